/**
 * What the suite is written with: tests in sections, assertions, and the
 * servers at the other end of the socket. Only what every runtime has.
 */

import type { CloudConfigOptions } from "@decapod/decapodlib";

/** A runtime, whatever its version. */
export type Runtime = "bun" | "deno" | "node" | "workerd";

/** What the runner tells the suite. */
export interface Settings {
  runtime: Runtime;
  /** The URL of the servers; stand-in servers are below it. */
  servers: string;
  /** The URL of the server that sends faulty responses. */
  faults: string;
  /** The URL of the server that resets connections within a log. */
  resets: string;
  /** The URL of the HTTP/2 server. */
  http2: string;
  /** The URL of the proxy. */
  proxy: string;
  /** Host and path that only the proxy can reach. */
  behindProxy: string;
  /** URLs of TLS servers, by what is special about them. */
  tls: Record<
    | ("elsewhere" | "expired" | "future" | "good" | "self")
    | ("requiresCertificate" | "requiresCertificate12"),
    string
  >;
  /** Certificates and keys, as PEM text. */
  pem: Record<
    "ca" | "cert" | "key" | "otherCa" | "otherCert" | "otherKey" | "self",
    string
  >;
  /** What `generateCloudConfig` has to return. */
  cloudConfig: { options: CloudConfigOptions; text: string };
  /** Whether a cut log is an error, by the framing of its response. */
  cutLogs: Record<string, string>;
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
let chosen: readonly Runtime[] = ALL;

/** Begins a section: the tests below are counted under this name. */
export function section(name: string): void {
  current = name;
}

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

/** Fails unless the work throws an error of this class. */
export async function assertRejects<E extends Error>(
  work: () => unknown,
  Class: new (...args: never[]) => E,
  pattern = /./,
): Promise<E> {
  const error = await rejection(work);
  assert(
    error instanceof Class && pattern.test(error.message),
    `Expected a ${Class.name}, ${pattern}, got ${describe(error)}`,
  );
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

async function post<T>(url: string, body: unknown = {}): Promise<T> {
  const init = { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(url, init);
  const text = await response.text();
  assert(response.ok, `The server failed: ${text}`);
  return JSON.parse(text);
}

/** A stand-in server that belongs to one test; `url` is for its clients. */
export function serverAt(url: string) {
  const control = `${url}/control`;
  const received = () => post<Received[]>(`${control}/received`);
  return {
    url,
    /** The requests so far, in order. */
    received,
    /** The same, each as `GET /v1/cluster/`. */
    requests: async () =>
      (await received()).map(({ method, path }) => `${method} ${path}`),
    /** Calls a method of the stand-in server or reads a property. */
    do: <T>(member: string, ...args: unknown[]) =>
      post<T>(`${control}/do`, { member, args }),
    /** Overrides the responses to the next requests, one after another. */
    respondWith: (...responses: CannedResponse[]) =>
      post<null>(`${control}/responses`, responses),
    /** Waits until a response is held back. */
    held: () => post<null>(`${control}/held`),
    /** Sends the responses that are held back. */
    release: () => post<null>(`${control}/release`),
  };
}

/** A stand-in server. */
export type Server = ReturnType<typeof serverAt>;

/** Opens a stand-in server with these options. */
export async function openServer(
  { servers }: Settings,
  options: Record<string, unknown> = {},
): Promise<Server> {
  return serverAt(servers + await post<string>(`${servers}/open`, options));
}

/** Waits until no connection to the server with faults is open. */
export function allClosed({ servers }: Settings): Promise<null> {
  return post(`${servers}/closed`);
}

/** Cuts the log off that has this id in its path. */
export function cutLog({ servers }: Settings, id: string): Promise<null> {
  return post(`${servers}/cut`, id);
}

/** The lines of the log that the faulty server sends. */
export const LOG_LINES: string[] = Array.from(
  { length: 2000 },
  (_, index) => `line ${index}: ${(index * 7919) % 10_007}`,
);
