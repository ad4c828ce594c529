/**
 * What the suite is written with: tests in sections, assertions, and the
 * servers at the other end of the socket. Only what every runtime has.
 */

/** A runtime, whatever its version. */
export type Runtime = "bun" | "deno" | "node" | "workerd";

/** What the runner tells the suite. */
export interface Settings {
  runtime: Runtime;
  /** The URL of the servers; stand-in servers are below it. */
  servers: string;
  /** The URL of the server that sends faulty responses. */
  faults: string;
  /** What `generateCloudConfig` has to return. */
  cloudConfig: string;
  /** URLs of TLS servers, by what is special about them. */
  tls: Record<
    | "elsewhere"
    | "expired"
    | "future"
    | "good"
    | "self"
    | "requiresCertificate"
    | "requiresCertificate12",
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
  /** The URL of the HTTP/2 server. */
  http2: string;
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
  runtimes: readonly Runtime[];
}

/** The runtimes on which TLS can be configured, on Node by a custom fetch. */
export const WITH_TLS: Runtime[] = ["bun", "deno", "node"];

/** All runtimes. */
export const ALL: Runtime[] = [...WITH_TLS, "workerd"];

const tests: Test[] = [];
let current = "";

/** Begins a section: the tests below are counted under this name. */
export function section(name: string): void {
  current = name;
}

let chosen: readonly Runtime[] = ALL;

/** Limits the next test to some runtimes. */
export function only(...runtimes: Runtime[]): void {
  chosen = runtimes;
}

/** Adds a test to the section. */
export function test(name: string, run: Test["run"]): void {
  tests.push({ section: current, name, run, runtimes: chosen });
  chosen = ALL;
}

/** A test that takes longer hangs. */
const LIMIT_MS = 20_000;

/** Runs all tests, one after another. */
export async function* runTests(settings: Settings): AsyncGenerator<Result> {
  for (const { section, name, run, runtimes } of tests) {
    if (!runtimes.includes(settings.runtime)) continue;
    try {
      await within(LIMIT_MS, Promise.resolve(settings).then(run));
      yield { section, name };
    } catch (error) {
      yield { section, name, failure: describe(error) };
    }
  }
}

/** Rejects if a promise does not settle in time. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hangs = new Promise<never>((_, reject) => {
    const error = new Error(`Not settled within ${ms} ms`);
    timer = setTimeout(() => reject(error), ms);
  });
  return await Promise.race([promise, hangs])
    .finally(() => clearTimeout(timer));
}

/** A promise that is resolved from outside. */
export function deferred<T = void>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
} {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((resolvePromise) => resolve = resolvePromise);
  return { promise, resolve };
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined
    ? ""
    : `\ncaused by ${describe(error.cause)}`;
  return `${error.stack ?? error}\n${error.message}${cause}`;
}

/** Fails unless the condition holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** Fails unless both are the same as JSON. */
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

/** Fails unless the work throws an error of this class. */
export async function assertRejects<E extends Error>(
  work: () => unknown,
  Class: new (...args: never[]) => E,
  pattern = /./,
): Promise<E> {
  const error = await rejection(work);
  assert(
    error instanceof Class,
    `Expected a ${Class.name}, got ${describe(error)}`,
  );
  assertMatch(error.message, pattern);
  return error;
}

/** What the work throws or rejects with; undefined if it succeeds. */
export async function rejection(work: () => unknown): Promise<unknown> {
  return await Promise.resolve().then(work).then(
    () => undefined,
    (error) => error,
  );
}

/** A request that a server received. */
export interface Received {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: Record<string, string>;
  /** The body, parsed as JSON; null if there was none. */
  body: unknown;
}

/** A stand-in server that belongs to one test. */
export class Server {
  /** The base URL for a client. */
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** The requests so far, in order. */
  async received(): Promise<Received[]> {
    const response = await fetch(`${this.url}/control/received`);
    return JSON.parse(await response.text());
  }

  /** The same, each as `GET /v1/cluster/`. */
  async requests(): Promise<string[]> {
    return (await this.received())
      .map(({ method, path }) => `${method} ${path}`);
  }

  /** Calls a method of the stand-in server or reads a property. */
  async do<T>(member: string, ...args: unknown[]): Promise<T> {
    const response = await this.#post("do", { member, args });
    return JSON.parse(await response.text());
  }

  /** Overrides the responses to the next requests, one after another. */
  async respondWith(...responses: CannedResponse[]): Promise<void> {
    await this.#post("responses", responses);
  }

  /** Waits until a response is held back. */
  async held(): Promise<void> {
    await this.#post("held");
  }

  /** Sends the responses that are held back. */
  async release(): Promise<void> {
    await this.#post("release");
  }

  async #post(control: string, body: unknown = {}): Promise<Response> {
    const response = await fetch(`${this.url}/control/${control}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    if (response.ok) return response;
    throw new Error(`The server failed: ${await response.text()}`);
  }
}

/** A response that replaces that of the stand-in server. */
export interface CannedResponse {
  /** Only for requests with this method. Defaults to any. */
  method?: string;
  /** Defaults to the status and the body of the stand-in server. */
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** Whether to wait for `release()`. */
  isHeld?: boolean;
}

/** Opens a stand-in server with these options. */
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

/** The lines of the log that the faulty server sends. */
export const LOG_LINES: string[] = Array.from(
  { length: 2000 },
  (_, index) => `line ${index}: ${(index * 7919) % 10_007}`,
);
