/**
 * Replays all recorded exchanges with a Decapod 1.2 against the stand-in, in
 * their order.
 *
 * `fixtures/exchanges.jsonl` holds one exchange a line. Values that differ from
 * run to run are symbols: `$user.jdoe` is the same id everywhere, `$time` any
 * time, `$text` any text; `...` allows further fields. `before` holds what else
 * was done to the server: more requests, back doors, time that passed. Time goes
 * back twice, since the server did within a second what the stand-in is given
 * six for.
 */
import { assertEquals } from "@std/assert";
import { isObject, type Json } from "./standin/json.ts";
import { StandIn, TestClock } from "./standin/mod.ts";
import { fields, ORIGIN } from "./standin/session.ts";

type Action =
  | {
    request: [method: string, path: string, body: Json];
    auth: string;
    as?: string;
  }
  | { put: string; data: Json }
  | { login: string; as: string }
  | { mail: string; as: string }
  | { bind: string; from: string }
  | { advance: number }
  | { backdoor: Backdoor; args: Json[] };

/** What no request can do: methods of the stand-in. */
type Backdoor =
  | "addServer"
  | "failTask"
  | "repairTasks"
  | "setCinder"
  | "setPace"
  | "setTasks";

interface Exchange {
  name: string;
  before?: Action[];
  request: {
    method: string;
    path: string;
    query?: string;
    auth?: string;
    headers?: Record<string, string>;
    body?: Json;
    text?: string;
  };
  response: {
    status: number;
    headers: Record<string, string>;
    body?: Json;
  };
}

const SYMBOL =
  /\$(?:token|user|role|cluster|configuration|execution|step|reset|password|etag)\.[\w-]+/g;

/** Merges a value into another, object by object. */
function merge(under: Json, over: Json): Json {
  if (!isObject(over)) return over;
  const merged = { ...fields(under) };
  for (const [name, value] of Object.entries(over)) {
    merged[name] = merge(merged[name] ?? {}, value);
  }
  return merged;
}

class Replay {
  readonly clock = new TestClock();
  readonly #symbols = new Map<string, string>();
  /** The times of each model as they were last seen, by id. */
  readonly #times = new Map<string, { [key: string]: Json }>();
  readonly #standIn: StandIn;
  #last: Json = null;

  constructor() {
    this.#standIn = new StandIn({
      now: this.clock.now,
      seed: 1,
      servers: 0,
      discoveryDelay: 500,
    });
    this.#symbols.set("$token.discovery", this.#standIn.discoveryToken);
  }

  /** Replays one exchange; returns the differences. */
  async play({ before = [], request, response }: Exchange): Promise<string[]> {
    for (const action of before) await this.#act(action);
    const { method, path, query, auth, headers, body, text } = request;
    const actual = await this.#send(
      method,
      query === undefined ? path : `${path}?${query}`,
      auth,
      text ?? (body === undefined ? undefined : this.#fill(body)),
      headers,
    );
    return [
      ...this.#compare(response.status, actual.status, "status"),
      ...this.#compareHeaders(response.headers, actual.headers),
      ...this.#compare(response.body ?? null, actual.body, "body"),
    ];
  }

  async #act(action: Action): Promise<void> {
    if ("request" in action) {
      const [method, path, body] = action.request;
      const sent = body === null ? undefined : this.#fill(body);
      await this.#must(method, path, action.auth, sent);
      if (action.as) this.#symbols.set(action.as, this.#lastId());
    } else if ("put" in action) {
      await this.#must("GET", action.put, "$token.root");
      const model = merge(this.#last, { data: action.data });
      await this.#must("PUT", action.put, "$token.root", JSON.stringify(model));
    } else if ("login" in action) {
      const { login } = action;
      const credentials = { username: login, password: this.#password(login) };
      const body = JSON.stringify(credentials);
      await this.#must("POST", "/v1/auth/", undefined, body);
      this.#symbols.set(action.as, this.#lastId());
    } else if ("mail" in action) {
      const mail = this.#standIn.mails.find(({ login, resetToken }) =>
        login === action.mail && resetToken !== undefined
      );
      this.#symbols.set(action.as, mail?.resetToken ?? "");
    } else if ("bind" in action) {
      const { [action.from]: value } = fields(fields(this.#last).data);
      this.#symbols.set(action.bind, String(value));
    } else if ("advance" in action) {
      this.clock.advance(action.advance * 1000);
    } else {
      const args: Json[] = JSON.parse(this.#fill(action.args));
      Reflect.apply(this.#standIn[action.backdoor], this.#standIn, args);
    }
  }

  #lastId(): string {
    return String(fields(this.#last).id);
  }

  #password(login: string): string {
    return this.#standIn.mails.find((mail) =>
      mail.login === login && mail.password !== undefined
    )?.password ?? "root";
  }

  async #must(
    method: string,
    path: string,
    auth?: string,
    body?: string,
  ): Promise<void> {
    const { status, body: answer } = await this.#send(method, path, auth, body);
    assertEquals(status, 200, `${method} ${path}: ${JSON.stringify(answer)}`);
  }

  async #send(
    method: string,
    path: string,
    auth?: string,
    body?: string,
    more: Record<string, string> = {},
  ): Promise<{ status: number; headers: Headers; body: Json }> {
    const headers = new Headers();
    for (const [name, value] of Object.entries(more)) {
      headers.set(name, this.#resolve(value));
    }
    if (auth !== undefined) headers.set("Authorization", this.#resolve(auth));
    if (body !== undefined) headers.set("Content-Type", "application/json");
    const response = await this.#standIn.fetch(ORIGIN + this.#resolve(path), {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const isJson = response.headers.get("Content-Type") === "application/json";
    this.#last = text === "" ? null : isJson ? JSON.parse(text) : text;
    this.#remember(this.#last);
    const { status } = response;
    return { status, headers: response.headers, body: this.#last };
  }

  #remember(value: Json): void {
    if (typeof value !== "object" || value === null) return;
    if (!Array.isArray(value) && "time_updated" in value) {
      this.#times.set(String(value.id), value);
    }
    Object.values(value).forEach((item) => this.#remember(item));
  }

  /** JSON text with symbols and times filled in. */
  #fill(body: Json): string {
    const filled = JSON.parse(this.#resolve(JSON.stringify(body)));
    if (typeof filled === "object" && filled !== null) {
      const [first = {}] = this.#times.values();
      const latest = this.#times.get(filled.id) ?? first;
      for (const name of ["time_updated", "time_deleted"]) {
        if (filled[name] === "$time") filled[name] = latest[name];
      }
    }
    return JSON.stringify(filled);
  }

  #resolve(text: string): string {
    return text.replace(SYMBOL, (symbol) => {
      const value = this.#symbols.get(symbol);
      if (value !== undefined) return value;
      if (symbol.startsWith("$password.")) {
        return this.#password(symbol.slice(10));
      }
      throw new ReferenceError(`Cannot resolve ${symbol}: nothing has set it`);
    });
  }

  *#compareHeaders(
    expected: Record<string, string>,
    actual: Headers,
  ): Generator<string> {
    for (const [name, value] of Object.entries(expected)) {
      const found = actual.get(name);
      if (name === "Transfer-Encoding") {
        // Without a length, a server sends the body in chunks.
        yield* this.#compare(null, actual.get("Content-Length"), name);
      } else if (name === "Allow") {
        const sorted = (text: string | null) => text?.split(", ").sort() ?? [];
        yield* this.#compare(sorted(value), sorted(found), name);
      } else yield* this.#compare(value, found, name);
    }
    const known = new Headers(expected);
    for (
      const name of ["X-Token-Expires", "WWW-Authenticate", "Cache-Control"]
    ) {
      if (actual.has(name) && !known.has(name)) yield `${name}: not expected`;
    }
  }

  *#compare(expected: Json, actual: Json, path: string): Generator<string> {
    const wrong = `${path}: ${JSON.stringify(actual)} is not ${
      JSON.stringify(expected)
    }`;
    if (typeof expected === "string") {
      if (!this.#fits(expected, actual)) yield wrong;
    } else if (Array.isArray(expected)) {
      if (!Array.isArray(actual) || actual.length !== expected.length) {
        yield wrong;
        return;
      }
      for (const [index, item] of expected.entries()) {
        yield* this.#compare(item, actual[index] ?? null, `${path}[${index}]`);
      }
    } else if (isObject(expected)) {
      if (!isObject(actual)) {
        yield wrong;
        return;
      }
      const { "...": open, ...wanted } = expected;
      const found = new Map(Object.entries(actual));
      for (const [name, item] of Object.entries(wanted)) {
        const value = found.get(name);
        found.delete(name);
        yield* value === undefined
          ? [`${path}.${name}: missing`]
          : this.#compare(item, value, `${path}.${name}`);
      }
      if (open) return;
      for (const name of found.keys()) yield `${path}.${name}: not expected`;
    } else if (expected !== actual) yield wrong;
  }

  #fits(expected: string, actual: Json): boolean {
    if (expected === "$time") return Number.isInteger(actual);
    if (typeof actual !== "string") return false;
    const [symbol] = expected.match(SYMBOL) ?? [];
    if (symbol === expected && !this.#symbols.has(symbol)) {
      this.#symbols.set(symbol, actual);
      return true;
    }
    const [start = "", ...rest] = this.#resolve(expected).split("$text");
    return rest.length === 0
      ? actual === start
      : actual.startsWith(start) && actual.length > start.length;
  }
}

Deno.test("stand-in responds to every recorded request as a Decapod did", async () => {
  const url = new URL("./fixtures/exchanges.jsonl", import.meta.url);
  const lines = (await Deno.readTextFile(url)).trimEnd().split("\n");
  const replay = new Replay();
  const wrong: Record<string, string[]> = {};
  for (const line of lines) {
    const exchange: Exchange = JSON.parse(line);
    const differences = await replay.play(exchange);
    if (differences.length > 0) wrong[exchange.name] = differences;
  }
  assertEquals(lines.length, 510);
  assertEquals(wrong, {});
});
