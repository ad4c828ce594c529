/**
 * The stand-in replays what a Decapod does over time, request by request.
 *
 * `fixtures/lifecycles.jsonl` holds one scenario a line, recorded from a Decapod
 * 1.2. Each begins with an empty server. Between requests, the controller is
 * told what to do. The first `$name` in a response binds the value, later ones
 * stand for it.
 */
import { assertEquals } from "@std/assert";
import { request as httpRequest } from "node:http";
import { isObject, type Json, type JsonObject } from "./standin/json.ts";
import { type Controller, StandIn, TestClock } from "./standin/mod.ts";

type ControllerStep = {
  controller: "discover" | "mail" | Exclude<keyof Controller, "discover">;
  execution?: string;
  binds?: string;
};

type ScenarioRequest = {
  method: string;
  path: string;
  /** The login of the sender; default: root. */
  as?: string;
  query?: JsonObject;
  headers?: Record<string, string>;
  /** `"$name"` is the whole model as last received. */
  body?: Json;
  /** The text of the body, sent as it is. */
  raw?: string;
  /** Changes to the body, by path. */
  tamper?: JsonObject;
  /** How many such requests are sent at the same time; `$i` is the index. */
  at_once?: number;
};

type ScenarioResponse = {
  status: number;
  /** The name of the error, or its beginning. */
  error?: string;
  /** The content type; default: JSON. */
  type?: string;
  /** The members to check. */
  body?: Json;
  /** `null` for an absent header. */
  headers?: Record<string, string | null>;
};

type ManyResponses = {
  /** How many responses have this status. */
  statuses: Record<string, number>;
  /** The possible errors. */
  errors: string[];
};

type RequestStep = {
  request: ScenarioRequest;
  response: ScenarioResponse | ManyResponses;
};

/** One line of the fixture. */
interface Scenario {
  readonly name: string;
  readonly about: string;
  /** Whether Decapod's nginx is in front. */
  readonly nginx?: boolean;
  readonly symbols?: Record<string, string>;
  readonly steps: readonly (ControllerStep | RequestStep)[];
}

/** Replays a scenario on a stand-in; returns the differences. */
async function play(scenario: Scenario): Promise<string[]> {
  const standIn = new StandIn({
    now: new TestClock().now,
    seed: 1,
    servers: 0,
    manual: true,
    insertDuration: 3,
    behindNginx: scenario.nginx ?? false,
  });
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    standIn.handler,
  );
  const player = new Player(standIn, server.addr.port, scenario.symbols);
  await player.login("root", "root");
  const differences: string[] = [];
  for (const [index, step] of scenario.steps.entries()) {
    const found = await player.step(step);
    const what = "request" in step
      ? `${step.request.method} ${step.request.path}`
      : step.controller;
    differences.push(...found.map((text) => `${index} ${what}: ${text}`));
  }
  return differences;
}

interface Received {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

class Player {
  readonly #standIn: StandIn;
  readonly #port: number;
  readonly #symbols: Map<string, string>;
  /** The models as they were last received, by id. */
  readonly #models = new Map<string, JsonObject>();
  /** By login. */
  readonly #tokens = new Map<string, string>();

  constructor(
    standIn: StandIn,
    port: number,
    symbols: Record<string, string> = {},
  ) {
    this.#standIn = standIn;
    this.#port = port;
    this.#symbols = new Map(Object.entries(symbols));
    this.#tokens.set("discovery", standIn.discoveryToken);
  }

  async login(username: string, password: string): Promise<void> {
    const body = { username, password };
    const request = { method: "POST", path: "/v1/auth/", as: "nobody", body };
    const { body: token } = await this.#send(request);
    const user = isObject(token) && isObject(token.data) && token.data.user;
    if (!isObject(user)) throw new Error(`Cannot log in as ${username}`);
    this.#symbols.set(`$${username}`, String(user.id));
  }

  async step(step: ControllerStep | RequestStep): Promise<string[]> {
    if ("controller" in step) {
      this.#control(step);
      return [];
    }
    const { request, response } = step;
    if ("status" in response) {
      return [...this.#compare(response, await this.#send(request))];
    }
    const all = Array.from(
      { length: request.at_once ?? 1 },
      (_, index) => this.#send(request, index),
    );
    return [...this.#compareMany(response, await Promise.all(all))];
  }

  #control({ controller: action, execution = "", binds = "" }: ControllerStep) {
    const { controller, mails } = this.#standIn;
    if (action === "discover") controller.discover();
    else if (action === "mail") {
      this.#symbols.set(binds, mails.at(-1)?.resetToken ?? "");
    } else controller[action](this.#fill(execution));
  }

  async #send(request: ScenarioRequest, index = 0): Promise<Received> {
    const { method, as = "root", query = {} } = request;
    const headers = new Headers(
      Object.entries(request.headers ?? {})
        .map(([name, value]) => [name, this.#fill(value)]),
    );
    const token = this.#tokens.get(as);
    if (token !== undefined) headers.set("Authorization", token);
    const body = this.#body(request, index);
    if (body !== undefined && !headers.has("Content-Type")) {
      headers.set("Content-Type", "application/json");
    }
    const pairs = Object.entries(query).map(([name, value]) => {
      const text = isObject(value) ? JSON.stringify(value) : String(value);
      return `${name}=${encodeURIComponent(this.#fill(text))}`;
    });
    const path = this.#fill(request.path) +
      (pairs.length > 0 ? `?${pairs.join("&")}` : "");
    const received = await send(this.#port, method, path, headers, body);
    this.#remember(received.body, request.body ?? null);
    return received;
  }

  #body({ body, raw, tamper = {} }: ScenarioRequest, index: number) {
    if (raw !== undefined || body === undefined) return raw;
    const model = typeof body === "string"
      ? this.#models.get(this.#fill(body))
      : body;
    const sent: Json = JSON.parse(this.#fill(JSON.stringify(model)));
    for (const [path, value] of Object.entries(tamper)) {
      const text = JSON.stringify(value).replaceAll("$i", String(index));
      replace(sent, path.split("."), JSON.parse(this.#fill(text)));
    }
    return JSON.stringify(sent);
  }

  /** The text with all bound symbols replaced by their values. */
  #fill(text: string): string {
    return text.replace(
      /\$[a-z]\w*/g,
      (symbol) => this.#symbols.get(symbol) ?? symbol,
    );
  }

  #remember(body: Json, sent: Json): void {
    if (!isObject(body) || typeof body.id !== "string") return;
    if (body.model !== "token") this.#models.set(body.id, body);
    else if (isObject(sent)) this.#tokens.set(String(sent.username), body.id);
  }

  *#compareMany({ statuses, errors }: ManyResponses, received: Received[]) {
    const counts: Record<string, number> = {};
    for (const { status, body } of received) {
      counts[status] = (counts[status] ?? 0) + 1;
      const error = isObject(body) ? body.error : undefined;
      if (error !== undefined && !errors.includes(String(error))) {
        yield `unexpected ${error}`;
      }
    }
    yield* this.#compareBody(statuses, counts, "statuses");
  }

  *#compare(expected: ScenarioResponse, received: Received): Iterable<string> {
    const { status, headers, body } = received;
    const { type = "application/json", error } = expected;
    if (status !== expected.status) {
      yield `${status} ${JSON.stringify(body)} is not ${expected.status}`;
    }
    yield* this.#compareBody(type, headers.get("Content-Type"), "type");
    for (const [name, value] of Object.entries(expected.headers ?? {})) {
      yield* this.#compareBody(value, headers.get(name), name);
    }
    if (error !== undefined) {
      const found = isObject(body) ? String(body.error) : "";
      if (!found.startsWith(error)) yield `error ${found} is not ${error}`;
    }
    if (expected.body !== undefined) {
      yield* this.#compareBody(expected.body, body, "body");
    }
  }

  *#compareBody(
    expected: Json,
    actual: Json,
    path: string,
    inConfiguration = false,
  ): Iterable<string> {
    const wrong = () =>
      `${path}: ${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`;
    if (Array.isArray(expected)) {
      if (!Array.isArray(actual) || actual.length !== expected.length) {
        yield wrong();
        return;
      }
      const rest = [...actual];
      for (const [index, item] of expected.entries()) {
        // In a configuration, lists come in any order.
        const place = inConfiguration
          ? rest.findIndex((other) => this.#fits(item, other))
          : 0;
        const [other = null] = rest.splice(Math.max(place, 0), 1);
        yield* this.#compareBody(item, other, `${path}[${index}]`);
      }
    } else if (isObject(expected)) {
      if (!isObject(actual)) yield wrong();
      else yield* this.#compareObject(expected, actual, path, inConfiguration);
    } else if (typeof expected !== "string" || !expected.startsWith("$")) {
      const wanted = typeof expected === "string"
        ? this.#fill(expected)
        : expected;
      if (wanted !== actual) yield wrong();
    } else if (expected === "$time") {
      if (!Number.isInteger(actual) || actual === 0) yield wrong();
    } else if (expected === "$any") {
      if (actual === null) yield wrong();
    } else if (!this.#symbols.has(expected)) {
      if (typeof actual !== "string") yield wrong();
      else this.#symbols.set(expected, actual);
    } else if (this.#symbols.get(expected) !== actual) yield wrong();
  }

  #fits(expected: Json, actual: Json): boolean {
    return [...this.#compareBody(expected, actual, "")].length === 0;
  }

  *#compareObject(
    expected: JsonObject,
    actual: JsonObject,
    path: string,
    inConfiguration: boolean,
  ): Iterable<string> {
    const { $keys: keys } = expected;
    const names = Array.isArray(keys) ? keys.map(String) : undefined;
    const wanted = names ?? Object.keys(expected);
    for (const name of wanted) {
      if (!Object.hasOwn(actual, name)) yield `${path}.${name}: missing`;
    }
    if (names || inConfiguration) {
      for (const name of Object.keys(actual)) {
        if (!wanted.includes(name)) yield `${path}.${name}: not expected`;
      }
    }
    if (names) return;
    for (const [name, value] of Object.entries(expected)) {
      yield* this.#compareBody(
        value,
        actual[name] ?? null,
        `${path}.${name}`,
        inConfiguration || name === "configuration",
      );
    }
  }
}

/** Sets a member of a value, by its path. */
function replace(value: Json, path: readonly string[], item: Json): void {
  const [name, ...rest] = path;
  if (!isObject(value) || name === undefined) return;
  if (rest.length === 0) value[name] = item;
  else replace(value[name] ?? null, rest, item);
}

/** Sends a request of any method, with the path as it is. */
function send(
  port: number,
  method: string,
  path: string,
  headers: Headers,
  body = "",
): Promise<Received> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: "127.0.0.1",
      port,
      method,
      path,
      headers: {
        ...Object.fromEntries(headers),
        ...(body !== "" && { "Content-Length": new Blob([body]).size }),
      },
      agent: false,
    }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => text += chunk);
      response.on("error", reject);
      response.on("end", () => {
        const received = new Headers();
        for (const [name, value] of Object.entries(response.headers)) {
          received.set(name, String(value));
        }
        const isJson = received.get("Content-Type") === "application/json";
        resolve({
          status: response.statusCode ?? 0,
          headers: received,
          body: isJson && text !== "" ? JSON.parse(text) : text,
        });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

const fixture = new URL("./fixtures/lifecycles.jsonl", import.meta.url);
for (const line of (await Deno.readTextFile(fixture)).trimEnd().split("\n")) {
  const scenario: Scenario = JSON.parse(line);
  Deno.test(`stand-in lives as a Decapod does: ${scenario.name}`, async () => {
    assertEquals(await play(scenario), []);
  });
}
