/**
 * What the suite is written against: tests in sections, a few asserts, and the
 * servers at the other end of the socket. Only what every runtime has.
 */

/** What the suite runs on. */
export type Runtime = "bun" | "deno" | "node" | "workerd";

/** What the runner tells the suite. */
export interface Settings {
  /** Which runtime this is, whatever its version. */
  runtime: Runtime;
  /** The URL of the servers; below it are all others. */
  servers: string;
  /** The same for the server whose answers are faulty. */
  faults: string;
  /** What `generateCloudConfig` has to give. */
  cloudConfig: string;
  /** URLs of servers that speak TLS, by what is special about them. */
  tls: Record<
    | "elsewhere"
    | "expired"
    | "future"
    | "good"
    | "self"
    | "wantsCertificate"
    | "wantsCertificate12",
    string
  >;
  /** Certificates and keys, as PEM text. */
  pem: Record<
    "ca" | "cert" | "key" | "otherCa" | "otherCert" | "otherKey" | "self",
    string
  >;
  /** The URL of the proxy. */
  proxy: string;
  /** Host and path that only the proxy can reach. */
  behindProxy: string;
}

/** How a test ended. */
export interface Result {
  section: string;
  name: string;
  /** Why it failed; undefined if it passed. */
  failure?: string;
}

interface Test {
  section: string;
  name: string;
  run: (settings: Settings) => Promise<void> | void;
  /** Where it means something. */
  runtimes: readonly Runtime[];
}

/** Those whose fetch takes TLS settings, or that have one that does. */
export const WITH_TLS: Runtime[] = ["bun", "deno", "node"];

const tests: Test[] = [];
let current = "";

/** Begins a section: what follows is counted under this name. */
export function section(name: string): void {
  current = name;
}

/** Adds a test to the section; for all runtimes unless said. */
export function test(
  name: string,
  run: Test["run"],
  runtimes: Test["runtimes"] = [...WITH_TLS, "workerd"],
): void {
  tests.push({ section: current, name, run, runtimes });
}

/** A test that takes longer hangs, in milliseconds. */
const LONGEST = 20_000;

/** Runs all tests, one after another. */
export async function* runTests(settings: Settings): AsyncGenerator<Result> {
  for (const { section, name, run, runtimes } of tests) {
    if (!runtimes.includes(settings.runtime)) continue;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const hangs = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`it hangs: no end within ${LONGEST} ms`)),
        LONGEST,
      );
    });
    try {
      await Promise.race([run(settings), hangs]);
      yield { section, name };
    } catch (error) {
      yield { section, name, failure: describe(error) };
    } finally {
      clearTimeout(timer);
    }
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined
    ? ""
    : `\ncaused by ${describe(error.cause)}`;
  return `${error.stack ?? error}${cause}`;
}

/** Fails unless the condition holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** Fails unless both look the same as JSON. */
export function assertEquals(actual: unknown, expected: unknown): void {
  const [left, right] = [actual, expected].map((value) =>
    JSON.stringify(value, null, 1) ?? "undefined"
  );
  assert(left === right, `Expected ${right}, got ${left}`);
}

/** Fails unless the text matches. */
export function assertMatch(text: string, pattern: RegExp): void {
  assert(
    pattern.test(text),
    `Expected ${pattern}, got ${JSON.stringify(text)}`,
  );
}

/** Fails unless the work is refused with an error of this very class. */
export async function assertRejects<E extends Error>(
  work: () => unknown,
  Class: new (...args: never[]) => E,
  pattern = /./,
): Promise<E> {
  let error: unknown;
  try {
    await work();
  } catch (thrown) {
    error = thrown;
  }
  assert(
    error instanceof Class,
    `Expected a ${Class.name}, got ${describe(error)}`,
  );
  assertMatch(error.message, pattern);
  return error;
}

/** A request that a server got. */
export interface Seen {
  method: string;
  path: string;
  authorization: string | null;
}

/** A stand-in Decapod of one test's own. */
export class Server {
  /** The base URL for a client. */
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** What it was asked for, in order. */
  async seen(): Promise<Seen[]> {
    const response = await fetch(`${this.url}/control/seen`);
    return JSON.parse(await response.text());
  }

  /** The same, each as `GET /v1/cluster/`. */
  async requests(): Promise<string[]> {
    return (await this.seen()).map(({ method, path }) => `${method} ${path}`);
  }

  /** Calls a method of the stand-in or reads a property of it. */
  async do<T>(member: string, ...args: unknown[]): Promise<T> {
    const response = await this.#post("do", { member, args });
    return JSON.parse(await response.text());
  }

  /** Answers the next requests like this instead, one after another. */
  async answerWith(...answers: Answer[]): Promise<void> {
    await this.#post("answers", answers);
  }

  async #post(what: string, body: unknown): Promise<Response> {
    const response = await fetch(`${this.url}/control/${what}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    if (response.ok) return response;
    throw new Error(`The server refused: ${await response.text()}`);
  }
}

/** An answer that the stand-in would not give. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
  /** Only requests with such a method; of any unless said. */
  method?: string;
}

/** Opens a stand-in with these options of its constructor. */
export async function openServer(
  { servers }: Settings,
  options: Record<string, unknown> = {},
): Promise<Server> {
  const response = await fetch(`${servers}/open`, {
    method: "POST",
    body: JSON.stringify(options),
  });
  return new Server(`${servers}${await response.text()}`);
}
