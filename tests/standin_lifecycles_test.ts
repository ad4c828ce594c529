/**
 * The stand-in replays what a Decapod does over time, request by request.
 *
 * `fixtures/lifecycles.jsonl` holds one scenario a line, recorded from a Decapod
 * 1.2. Each begins with an empty server. Between requests, the controller is
 * told what to do. The first `$name` in a response binds the value, later ones
 * stand for it; `$time` is any time but 0, `$any` anything but null. A body
 * names the members that matter, `$keys` all keys of an object; in a
 * `configuration`, all members are named, and lists have any order.
 */
import { assert, assertEquals, equal } from "@std/assert";
import { request as httpRequest } from "node:http";
import { text as readText } from "node:stream/consumers";
import { isObject, type Json, type JsonObject } from "./standin/json.ts";
import { type Controller, StandIn, TestClock } from "./standin/mod.ts";
import { fields } from "./standin/session.ts";

interface ControllerStep {
  controller: "mail" | keyof Controller;
  execution?: string;
  /** The symbol for the reset token of the last mail. */
  binds?: string;
}

interface ScenarioRequest {
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
}

interface ScenarioResponse {
  status: number;
  /** The name of the error, or its beginning. */
  error?: string;
  /** The content type; default: JSON. */
  type?: string;
  body?: Json;
  /** `null` for an absent header. */
  headers?: Record<string, string | null>;
}

/** How many responses have which status, and the possible errors. */
interface ManyResponses {
  statuses: Record<string, number>;
  errors: string[];
}

interface RequestStep {
  request: ScenarioRequest;
  response: ScenarioResponse | ManyResponses;
}

/** One line of the fixture. */
interface Scenario {
  name: string;
  about: string;
  /** Whether Decapod's nginx is in front. */
  nginx?: boolean;
  symbols?: Record<string, string>;
  steps: (ControllerStep | RequestStep)[];
}

interface Received {
  status: number;
  headers: Headers;
  body: Json;
}

class Player {
  readonly #standIn: StandIn;
  readonly #port: number;
  readonly #symbols: Map<string, string>;
  /** The models as they were last received, by id. */
  readonly #models = new Map<string, JsonObject>();
  /** By login. */
  readonly #tokens = new Map<string, string>();

  constructor(standIn: StandIn, port: number, { symbols = {} }: Scenario) {
    this.#standIn = standIn;
    this.#port = port;
    this.#symbols = new Map(Object.entries(symbols));
    this.#tokens.set("discovery", standIn.discoveryToken);
  }

  async login(username: string, password: string): Promise<void> {
    const body = { username, password };
    const request = { method: "POST", path: "/v1/auth/", as: "nobody", body };
    const token = fields((await this.#send(request)).body);
    this.#symbols.set(`$${username}`, String(token.initiator_id));
  }

  control({ controller: action, execution = "", binds = "" }: ControllerStep) {
    const { controller, mails } = this.#standIn;
    if (action === "mail") {
      this.#symbols.set(binds, mails.at(-1)?.resetToken ?? "");
    } else controller[action](this.#fill(execution));
  }

  /** Sends the request, or many at once, and checks the responses. */
  async play({ request, response }: RequestStep, what: string): Promise<void> {
    if ("status" in response) {
      const received = this.#seen(await this.#send(request), response);
      assertEquals(received, { type: "application/json", ...response }, what);
      return;
    }
    const all = await Promise.all(
      Array.from(
        { length: request.at_once ?? 1 },
        (_, index) => this.#send(request, index),
      ),
    );
    const statuses: Record<string, number> = {};
    for (const { status, body } of all) {
      statuses[status] = (statuses[status] ?? 0) + 1;
      const { error } = fields(body);
      assert(status === 200 || response.errors.includes(`${error}`), what);
    }
    assertEquals(statuses, response.statuses, what);
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
      const names = path.split(".");
      const last = names.pop() ?? "";
      const parent = names.reduce(
        (item, name) => fields(item[name]),
        fields(sent),
      );
      parent[last] = JSON.parse(this.#fill(text));
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

  /** What a response is expected to tell, as it was received. */
  #seen(
    { status, headers, body }: Received,
    expected: ScenarioResponse,
  ): JsonObject {
    const seen: JsonObject = { status, type: headers.get("Content-Type") };
    if (expected.error !== undefined) {
      const error = isObject(body) ? String(body.error) : "";
      seen.error = error.slice(0, expected.error.length);
    }
    if (expected.headers !== undefined) {
      seen.headers = {};
      for (const [name, value] of Object.entries(expected.headers)) {
        seen.headers[name] = this.#match(value, headers.get(name));
      }
    }
    if (expected.body !== undefined) {
      seen.body = this.#match(expected.body, body);
    }
    return seen;
  }

  /** The parts of `actual` that are named, as `expected` where they match. */
  #match(expected: Json, actual: Json, inConfiguration = false): Json {
    if (typeof expected === "string") {
      return this.#fits(expected, actual) ? expected : actual;
    }
    if (Array.isArray(expected) && Array.isArray(actual)) {
      const rest = [...actual];
      const found = expected.map((item) => {
        const match = (other: Json) => this.#match(item, other);
        const place = inConfiguration
          ? rest.findIndex((other) => equal(match(other), item))
          : 0;
        return match(rest.splice(Math.max(place, 0), 1)[0] ?? null);
      });
      return [...found, ...rest];
    }
    if (!isObject(expected) || !isObject(actual)) return actual;
    const { $keys: keys } = expected;
    if (Array.isArray(keys)) {
      const found = new Set(Object.keys(actual));
      return equal(new Set(keys), found) ? expected : { $keys: [...found] };
    }
    const seen: JsonObject = {};
    for (const name of Object.keys(inConfiguration ? actual : expected)) {
      const { [name]: value } = actual;
      if (value === undefined) continue;
      const inside = inConfiguration || name === "configuration";
      seen[name] = this.#match(expected[name] ?? null, value, inside);
    }
    return seen;
  }

  #fits(expected: string, actual: Json): boolean {
    if (expected === "$time") return Number.isInteger(actual) && actual !== 0;
    if (expected === "$any") return actual !== null;
    if (
      /^\$[a-z]\w*$/.test(expected) && !this.#symbols.has(expected) &&
      typeof actual === "string"
    ) this.#symbols.set(expected, actual);
    return this.#fill(expected) === actual;
  }
}

/** Sends a request of any method, with the path as it is. */
async function send(
  port: number,
  method: string,
  path: string,
  headers: Headers,
  body = "",
): Promise<Received> {
  if (body !== "") {
    headers.set("Content-Length", String(new Blob([body]).size));
  }
  const options = { host: "127.0.0.1", port, method, path, agent: false };
  const request = httpRequest({
    ...options,
    headers: Object.fromEntries(headers),
  });
  const { promise, resolve, reject } = Promise.withResolvers<Received>();
  request.on("error", reject);
  request.on("response", async (response) => {
    const received = new Headers();
    for (const [name, value] of Object.entries(response.headers)) {
      received.set(name, String(value));
    }
    const text = await readText(response);
    const isJson = received.get("Content-Type") === "application/json";
    resolve({
      status: response.statusCode ?? 0,
      headers: received,
      body: isJson && text !== "" ? JSON.parse(text) : text,
    });
  });
  request.end(body);
  return await promise;
}

const fixture = new URL("./fixtures/lifecycles.jsonl", import.meta.url);
for (const line of (await Deno.readTextFile(fixture)).trimEnd().split("\n")) {
  const scenario: Scenario = JSON.parse(line);
  Deno.test(`stand-in lives as a Decapod does: ${scenario.name}`, async () => {
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
    const player = new Player(standIn, server.addr.port, scenario);
    await player.login("root", "root");
    for (const [index, step] of scenario.steps.entries()) {
      if ("controller" in step) player.control(step);
      else {
        const { method, path } = step.request;
        await player.play(step, `${index} ${method} ${path}`);
      }
    }
  });
}
