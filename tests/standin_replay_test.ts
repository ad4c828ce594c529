/**
 * Replays what was recorded from a Decapod 1.2 against the stand-in.
 *
 * `fixtures/exchanges.jsonl` holds one exchange a line, all with one server;
 * `fixtures/lifecycles.jsonl` one scenario a line, each with an empty server.
 * Values that differ from run to run are symbols: `$user.jdoe` is the same id
 * everywhere, `$time` any time but 0, `$text` any text, `$any` anything.
 * `"...": true` allows further fields, and in a request adds those of the model
 * as last received, which `"...": "$id.conf"` names; `null` is an absent header.
 * Besides requests, there are back doors, commands for the controller, and time
 * that passes, in seconds. It goes back twice, since the server did within a
 * second what the stand-in is given six for. The order of hosts in an inventory,
 * and which of the requests `at_once` wins, is the choice of the stand-in.
 */
import { assertEquals } from "@std/assert";
import { isObject, type Json, type JsonObject } from "./standin/json.ts";
import {
  DISCOVERY_TOKEN,
  StandIn,
  type StandInOptions,
  TestClock,
} from "./standin/mod.ts";
import { ORIGIN } from "./standin/session.ts";

interface Exchange {
  name?: string;
  request: {
    method: string;
    path: string;
    auth?: string;
    headers?: Record<string, string>;
    body?: Json;
    /** The text of the body, sent as it is. */
    text?: string;
  };
  response: { status: number; headers: JsonObject; body?: Json };
}

type Action =
  | Exchange
  | { at_once: Exchange[] }
  | { advance: number }
  | { controller: keyof StandIn["controller"]; execution?: string }
  /** What no request can do: a method of the stand-in. */
  | { backdoor: Exclude<keyof StandIn, "controller" | "mails">; args: Json[] };

/** Headers that no response has unless the recorded one has them. */
const ABSENT = {
  "cache-control": null,
  "www-authenticate": null,
  "x-token-expires": null,
};

const SYMBOL =
  /\$(token|user|role|cluster|configuration|execution|step|reset|password|etag|id)\.([\w-]+)/g;

class Replay {
  readonly #clock = new TestClock();
  readonly #standIn: StandIn;
  readonly #symbols: Map<string, string>;
  /** The models as they were last received, by id. */
  readonly #models = new Map<Json | undefined, JsonObject>();

  constructor(options: StandInOptions, symbols: Record<string, string> = {}) {
    const { now } = this.#clock;
    this.#standIn = new StandIn({ now, seed: 1, servers: 0, ...options });
    this.#symbols = new Map(Object.entries(symbols));
    this.#symbols.set("$token.discovery", DISCOVERY_TOKEN);
  }

  async play(action: Action): Promise<void> {
    if ("request" in action) await this.#exchange(action);
    else if ("at_once" in action) {
      await Promise.all(action.at_once.map((each) => this.#exchange(each)));
    } else if ("advance" in action) this.#clock.advance(action.advance * 1000);
    else if ("controller" in action) {
      const { controller, execution = "" } = action;
      this.#standIn.controller[controller](this.#resolve(execution));
    } else {
      const args = this.#resolve(JSON.stringify(action.args));
      const { [action.backdoor]: method } = this.#standIn;
      Reflect.apply(method, this.#standIn, JSON.parse(args));
    }
  }

  async #exchange({ name, request, response }: Exchange): Promise<void> {
    const { status, headers, body = null } = response;
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
    const what = name ?? `${request.method} ${request.path}`;
    assertEquals(this.#symbolize(actual, expected), expected, what);
  }

  #send(request: Exchange["request"]): Promise<Response> {
    const { method, path, auth, body, text } = request;
    const headers = new Headers(request.headers);
    if (auth !== undefined) headers.set("Authorization", auth);
    headers.forEach((value, name) => headers.set(name, this.#resolve(value)));
    return this.#standIn.fetch(ORIGIN + this.#resolve(path), {
      method,
      headers,
      body: text ?? (body === undefined ? null : this.#complete(body)),
    });
  }

  #remember(value: Json): void {
    if (typeof value !== "object" || value === null) return;
    if (isObject(value) && "time_updated" in value) {
      this.#models.set(value.id, value);
    }
    Object.values(value).forEach((item) => this.#remember(item));
  }

  /** The JSON text of a body, with symbols resolved and models added. */
  #complete(body: Json): string {
    const add = (sent: Json, known?: Json): Json => {
      if (!isObject(sent) || !sent["..."]) return sent;
      const { "...": id, ...own } = sent;
      const model = known ?? this.#models.get(id) ?? null;
      if (!isObject(model)) throw new ReferenceError(`Cannot find model ${id}`);
      if (own.data) own.data = add(own.data, model.data);
      return { ...model, ...own };
    };
    return JSON.stringify(add(JSON.parse(this.#resolve(JSON.stringify(body)))));
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
    if (expected === "$any") return true;
    if (expected === "$time") return Number.isInteger(actual) && actual !== 0;
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

/** The lines of a fixture. */
async function read<T>(file: string): Promise<T[]> {
  const url = new URL(`./fixtures/${file}.jsonl`, import.meta.url);
  const lines = (await Deno.readTextFile(url)).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line));
}

Deno.test("stand-in responds to every recorded request as a Decapod did", async () => {
  const exchanges = await read<Exchange & { before?: Action[] }>(
    "exchanges",
  );
  const replay = new Replay({ discoveryDelay: 500 });
  for (const { before = [], ...exchange } of exchanges) {
    for (const action of before) await replay.play(action);
    exchange.response.headers = { ...ABSENT, ...exchange.response.headers };
    await replay.play(exchange);
  }
  assertEquals(exchanges.length, 510);
});

interface Scenario {
  name: string;
  /** Whether Decapod's nginx is in front. */
  nginx?: boolean;
  symbols?: Record<string, string>;
  steps: Action[];
}

for (const scenario of await read<Scenario>("lifecycles")) {
  const { name, nginx = false, symbols, steps } = scenario;
  Deno.test(`stand-in replays a recorded Decapod: ${name}`, async () => {
    const options = { manual: true, insertDuration: 3, behindNginx: nginx };
    const replay = new Replay(options, symbols);
    for (const step of steps) await replay.play(step);
  });
}
