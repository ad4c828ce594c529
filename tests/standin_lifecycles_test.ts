/**
 * The stand-in replays what a Decapod does over time, request by request.
 *
 * `fixtures/lifecycles.jsonl` holds one scenario a line, recorded from a Decapod
 * 1.2. Each begins with an empty server. Between requests, the controller is
 * told what to do. The first `$name` in a response binds the value, later ones
 * stand for it; `$time` is any time but 0, `$any` anything but null, or any end
 * of a text. A response names the members that matter, `$keys` all keys of an
 * object; in a `configuration`, all members are named, and lists have any order.
 */
import { assert, assertEquals, equal } from "@std/assert";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { once } from "node:events";
import { text as readText } from "node:stream/consumers";
import { isObject, type Json, type JsonObject } from "./standin/json.ts";
import { type Controller, StandIn, TestClock } from "./standin/mod.ts";
import { fields } from "./standin/session.ts";

/** One line of the fixture. */
interface Scenario {
  name: string;
  about: string;
  /** Whether Decapod's nginx is in front. */
  nginx?: boolean;
  symbols?: Record<string, string>;
  steps: (Action | Exchange)[];
}

interface Action {
  controller: "mail" | keyof Controller;
  execution?: string;
  /** The symbol for the reset token of the last mail. */
  binds?: string;
}

interface Exchange {
  request: {
    method: string;
    path: string;
    /** The login of the sender; default: root. */
    as?: string;
    query?: Record<string, string>;
    headers?: Record<string, string>;
    /** `"$name"` is the whole model as last received. */
    body?: Json;
    /** The text of the body, sent as it is. */
    raw?: string;
    /** Changes to the model in the body. */
    change?: JsonObject & { data?: JsonObject };
    /** How many such requests are sent at the same time; `$i` is the index. */
    at_once?: number;
  };
  response:
    | { status: number; headers?: JsonObject; body?: Json }
    /** How many responses have which status, and the possible errors. */
    | { statuses: Record<string, number>; errors: string[] };
}

interface Received {
  status: number;
  headers: IncomingMessage["headers"];
  body: Json;
}

class Player {
  readonly #symbols: Map<string, string>;
  /** The models as they were last received, by id. */
  readonly #models = new Map<string, JsonObject>();
  /** By login. */
  readonly #tokens: Map<string, string>;

  constructor(
    private readonly standIn: StandIn,
    private readonly port: number,
    { symbols = {} }: Scenario,
  ) {
    this.#symbols = new Map(Object.entries(symbols));
    this.#tokens = new Map([["discovery", standIn.discoveryToken]]);
  }

  async logIn(username: string, password: string): Promise<void> {
    const body = { username, password };
    const request = { method: "POST", path: "/v1/auth/", as: "nobody", body };
    const token = fields((await this.#send(request)).body);
    this.#symbols.set(`$${username}`, String(token.initiator_id));
  }

  act({ controller: action, execution = "", binds = "" }: Action): void {
    const { controller, mails } = this.standIn;
    if (action === "mail") {
      this.#symbols.set(binds, mails.at(-1)?.resetToken ?? "");
    } else controller[action](this.#fill(execution));
  }

  /** Sends the request, or many at once, and checks the responses. */
  async exchange({ request, response }: Exchange, what: string): Promise<void> {
    if ("status" in response) {
      const headers = {
        "content-type": "application/json",
        ...response.headers,
      };
      const expected = { ...response, headers };
      const received = await this.#send(request);
      const found = Object.fromEntries(
        Object.keys(headers).map((
          name,
        ) => [name, received.headers[name] ?? null]),
      );
      const actual = { ...received, headers: found };
      assertEquals(this.#match(expected, actual), expected, what);
      return;
    }
    const indexes = Array(request.at_once).keys().toArray();
    const all = await Promise.all(
      indexes.map((index) => this.#send(request, index)),
    );
    const statuses: Record<string, number> = {};
    for (const { status, body } of all) {
      statuses[status] = (statuses[status] ?? 0) + 1;
      const error = String(fields(body).error);
      assert(status === 200 || response.errors.includes(error), what);
    }
    assertEquals(statuses, response.statuses, what);
  }

  /** Sends a request of any method, with the path as it is. */
  async #send(template: Exchange["request"], index = 0): Promise<Received> {
    this.#symbols.set("$i", String(index));
    const request: Exchange["request"] = JSON.parse(
      this.#fill(JSON.stringify(template)),
    );
    const { method, as = "root", query, raw, change } = request;
    let { body, path } = request;
    if (typeof body === "string") body = fields(this.#models.get(body));
    if (change && isObject(body)) {
      const data = { ...fields(body.data), ...change.data };
      body = { ...body, ...change, data };
    }
    if (query) path += `?${new URLSearchParams(query)}`;
    const token = this.#tokens.get(as);
    const text = raw ?? (body && JSON.stringify(body));
    const sent = httpRequest({
      ...{ host: "127.0.0.1", port: this.port, method, path, agent: false },
      headers: {
        ...(token && { "Authorization": token }),
        ...(text && {
          "Content-Type": "application/json",
          "Content-Length": new TextEncoder().encode(text).length,
        }),
        ...request.headers,
      },
    });
    sent.end(text);
    const [response]: IncomingMessage[] = await once(sent, "response");
    assert(response);
    const { statusCode = 0, headers } = response;
    const content = await readText(response);
    const isJson = headers["content-type"] === "application/json";
    const received: Json = isJson && content ? JSON.parse(content) : content;
    if (isObject(received) && typeof received.id === "string") {
      if (received.model !== "token") this.#models.set(received.id, received);
      else this.#tokens.set(String(fields(body).username), received.id);
    }
    return { status: statusCode, headers, body: received };
  }

  /** The text with all bound symbols replaced by their values. */
  #fill(text: string): string {
    return text.replace(
      /\$[a-z]\w*/g,
      (symbol) => this.#symbols.get(symbol) ?? symbol,
    );
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
    if (typeof actual !== "string") return false;
    if (/^\$[a-z]\w*$/.test(expected) && !this.#symbols.has(expected)) {
      this.#symbols.set(expected, actual);
    }
    return expected.endsWith("$any")
      ? actual.startsWith(expected.slice(0, -"$any".length))
      : this.#fill(expected) === actual;
  }
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
    await player.logIn("root", "root");
    for (const [index, step] of scenario.steps.entries()) {
      if ("controller" in step) player.act(step);
      else {
        const { method, path } = step.request;
        await player.exchange(step, `${index} ${method} ${path}`);
      }
    }
  });
}
