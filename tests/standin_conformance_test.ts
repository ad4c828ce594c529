/**
 * Replays all recorded exchanges with a Decapod 1.2 against the stand-in, in
 * their order.
 *
 * `fixtures/exchanges.jsonl` holds one exchange a line. Values that differ from
 * run to run are symbols: `$user.jdoe` is the same id everywhere, `$time` any
 * time, `$text` any text; `"...": true` allows further fields, `null` is an
 * absent header. `before` holds what else was done to the server: more requests,
 * back doors, time that passed in seconds. Time goes back twice, since the
 * server did within a second what the stand-in is given six for.
 */
import { assertEquals } from "@std/assert";
import { isObject, type Json, type JsonObject } from "./standin/json.ts";
import { StandIn, TestClock } from "./standin/mod.ts";
import { ORIGIN } from "./standin/session.ts";

interface Exchange {
  name?: string;
  before?: Action[];
  request: {
    method: string;
    path: string;
    query?: string;
    auth?: string;
    headers?: Record<string, string>;
    body?: Json;
    /** The text of the body, sent as it is. */
    text?: string;
  };
  /** Default: any body with the status 200. */
  response?: { status: number; headers: JsonObject; body?: Json };
}

type Action =
  | Exchange
  | { advance: number }
  | { backdoor: Backdoor; args: Json[] };

/** What no request can do: methods of the stand-in. */
type Backdoor = Exclude<
  keyof StandIn,
  "controller" | "discoveryToken" | "mails"
>;

/** Headers that no response has unless the recorded one has them. */
const ABSENT = {
  "cache-control": null,
  "www-authenticate": null,
  "x-token-expires": null,
};

const SYMBOL =
  /\$(token|user|role|cluster|configuration|execution|step|reset|password|etag)\.([\w-]+)/g;

class Replay {
  readonly #clock = new TestClock();
  readonly #standIn = new StandIn({
    now: this.#clock.now,
    seed: 1,
    servers: 0,
    discoveryDelay: 500,
  });
  readonly #symbols = new Map([
    ["$token.discovery", this.#standIn.discoveryToken],
  ]);
  /** The models as they were last received, by id. */
  readonly #models = new Map<Json | undefined, JsonObject>();

  /** Replays one exchange. */
  async play({ name = "before", ...exchange }: Exchange): Promise<void> {
    const { before = [], request, response } = exchange;
    for (const action of before) await this.#act(action);
    const { status, headers, body = null } = response ??
      { status: 200, headers: {}, body: { "...": true } };
    const received = await this.#send(request);
    const text = await received.text();
    const isJson = received.headers.get("Content-Type") === "application/json";
    const content: Json = isJson && text ? JSON.parse(text) : text || null;
    this.#remember(content);
    const found = Object.fromEntries(
      Object.keys(headers).map((name) => [name, received.headers.get(name)]),
    );
    const expected = { status, headers, body };
    const actual = { status: received.status, headers: found, body: content };
    assertEquals(this.#symbolize(actual, expected), expected, name);
  }

  async #act(action: Action): Promise<void> {
    if ("request" in action) await this.play(action);
    else if ("advance" in action) this.#clock.advance(action.advance * 1000);
    else {
      const args: Json[] = JSON.parse(this.#fill(action.args));
      Reflect.apply(this.#standIn[action.backdoor], this.#standIn, args);
    }
  }

  #send(request: Exchange["request"]): Promise<Response> {
    const { method, path, query, auth, body, text } = request;
    const headers = new Headers(request.headers);
    headers.forEach((value, name) => headers.set(name, this.#resolve(value)));
    if (auth !== undefined) headers.set("Authorization", this.#resolve(auth));
    return this.#standIn.fetch(
      ORIGIN + this.#resolve(query === undefined ? path : `${path}?${query}`),
      {
        method,
        headers,
        body: text ?? (body === undefined ? null : this.#fill(body)),
      },
    );
  }

  #remember(value: Json): void {
    if (typeof value !== "object" || value === null) return;
    if (isObject(value) && "time_updated" in value) {
      this.#models.set(value.id, value);
    }
    Object.values(value).forEach((item) => this.#remember(item));
  }

  /** JSON text with symbols and times filled in. */
  #fill(body: Json): string {
    const filled: Json = JSON.parse(this.#resolve(JSON.stringify(body)));
    if (!isObject(filled)) return JSON.stringify(filled);
    for (const name of ["time_updated", "time_deleted"]) {
      if (filled[name] !== "$time") continue;
      filled[name] = this.#models.get(filled.id)?.[name] ?? 0;
    }
    return JSON.stringify(filled);
  }

  #resolve(text: string): string {
    return text.replace(SYMBOL, (symbol, kind: string, login: string) => {
      const mails = this.#standIn.mails.filter((mail) => mail.login === login);
      const value = kind === "password"
        ? mails.find(({ password }) => password)?.password ?? "root"
        : kind === "reset"
        ? mails.find(({ resetToken }) => resetToken)?.resetToken
        : this.#symbols.get(symbol);
      if (value !== undefined) return value;
      throw new ReferenceError(`Cannot resolve ${symbol}: nothing has set it`);
    });
  }

  /** The value with symbols in place of what they stand for. */
  #symbolize(actual: Json, expected: Json | undefined): Json {
    if (typeof expected === "string") {
      return this.#stands(expected, actual) ? expected : actual;
    }
    if (Array.isArray(actual) && Array.isArray(expected)) {
      return actual.map((item, index) =>
        this.#symbolize(item, expected[index])
      );
    }
    if (!isObject(actual) || !isObject(expected)) return actual;
    const symbolized: JsonObject = expected["..."] ? { "...": true } : {};
    for (const [name, item] of Object.entries(actual)) {
      if (expected["..."] && !Object.hasOwn(expected, name)) continue;
      symbolized[name] = this.#symbolize(item, expected[name]);
    }
    return symbolized;
  }

  /** Whether a text with symbols stands for a value; sets a new symbol. */
  #stands(expected: string, actual: Json): boolean {
    if (expected === "$time") return Number.isInteger(actual);
    if (typeof actual !== "string") return false;
    const [symbol] = expected.match(SYMBOL) ?? [];
    if (symbol === expected && !this.#symbols.has(symbol)) {
      this.#symbols.set(symbol, actual);
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
  for (const line of lines) {
    const exchange: Required<Exchange> = JSON.parse(line);
    const { response } = exchange;
    response.headers = { ...ABSENT, ...response.headers };
    await replay.play(exchange);
  }
  assertEquals(lines.length, 510);
});
