/** Sends requests to one server: token, retries, deadline. */

import { delay } from "@std/async/delay";
import { type Authenticator, noAuth } from "../auth.ts";
import {
  abortable,
  Deadline,
  type Ending,
  type OpenDeadlines,
} from "./deadline.ts";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
} from "../errors.ts";
import { flattenWithin, lines } from "./generators.ts";
import { type HeaderRecord, readHeaders } from "./headers.ts";
import {
  type FetchInit,
  type FetchResponse,
  REQUEST_OPTIONS,
  type RequestOptions,
  type TransportOptions,
} from "../options.ts";
import {
  isUnsafe,
  OutgoingRequest,
  requestError,
  type RequestSpec,
  requestUrl,
} from "./request.ts";
import { IncomingResponse, isStream } from "./response.ts";
import { isDeno, userAgent } from "./runtime.ts";
import { openTls, type TlsSession } from "./tls.ts";
import { validateOptions } from "./validate.ts";

/** A call's options with parsed headers, for calls of several requests. */
type ParsedOptions = RequestOptions & { headers: HeaderRecord };

/** Statuses after which another attempt may succeed. */
const RETRYABLE_STATUSES = [408, 429, 502, 503, 504];

const DEFAULT_TIMEOUT = 60_000;
const DEFAULT_RETRIES = 2;

/** How many of the latest tokens are redacted. */
const MAX_TOKENS = 16;

/** Exponential backoff with full jitter, in ms. */
export function backoff(attempt: number, first = 200, max = 8000): number {
  return Math.random() * Math.min(max, first * 2 ** (attempt - 1));
}

const nativeFetch = globalThis.fetch;

/** The init of fetch; `tls` is for Deno's HTTP client, or for Bun's fetch. */
interface Init extends Omit<FetchInit, "headers" | "method"> {
  headers: HeaderRecord;
  method?: string;
  tls?: Deno.CreateHttpClientOptions;
}

/**
 * Sends a change on a new connection. On a reused one that breaks, Deno and Bun
 * would resend it: `keepalive: false` prevents that on Bun, an HTTP client
 * without idle connections on Deno.
 */
async function fetchOnce(url: string, init: Init): Promise<Response> {
  if (!isDeno() || !Deno.createHttpClient) {
    return await fetch(url, { ...init, keepalive: false });
  }
  const client = Deno.createHttpClient({ ...init.tls, poolMaxIdlePerHost: 0 });
  try {
    const response = Promise.resolve(fetch(url, { ...init, client }));
    return await abortable(response, init.signal);
  } finally {
    client.close(); // the body can still be read
  }
}

/** Sends requests to one server. */
export class Transport {
  readonly #headers: HeaderRecord;
  readonly #tls: TlsSession | undefined;
  /** The password and the latest tokens, to redact them. */
  readonly #secrets: string[];
  readonly #deadlines: OpenDeadlines = new Set();

  constructor(
    readonly base: string,
    password: string,
    readonly auth: Authenticator,
    readonly options: TransportOptions,
  ) {
    this.#secrets = [password];
    this.#headers = {
      "user-agent": userAgent(),
      ...readHeaders(options.headers),
    };
    this.#tls = openTls(options.tls, options.fetch !== undefined);
  }

  /** Requests a JSON object, within a given deadline or the call's own. */
  json<T extends object>(
    spec: RequestSpec,
    options?: RequestOptions,
    deadline?: Deadline,
  ): Promise<T> {
    const read = (response: IncomingResponse) => response.object<T>();
    return this.#send(spec, options, "application/json", read, deadline);
  }

  /** Requests the JSON object at a path. */
  get<T extends object>(
    path: RequestSpec["path"],
    options?: RequestOptions,
    spec?: Partial<RequestSpec>,
  ): Promise<T> {
    return this.json({ method: "GET", path, ...spec }, options);
  }

  /** Requests a text. */
  text(spec: RequestSpec, options?: RequestOptions): Promise<string> {
    const read = (response: IncomingResponse) => response.text();
    return this.#send(spec, options, "text/plain", read);
  }

  /** Yields the lines of a text; the time limit applies to each chunk. */
  lines(
    spec: RequestSpec,
    options?: RequestOptions,
  ): AsyncGenerator<string, void, undefined> {
    return flattenWithin(
      () => {
        const deadline = this.openDeadline(spec, options);
        const batches = lines(this.#chunks(spec, options, deadline));
        return { deadline, batches };
      },
      (batch) => batch,
    );
  }

  async *#chunks(
    spec: RequestSpec,
    options: RequestOptions | undefined,
    deadline: Deadline,
  ): AsyncGenerator<string, void, undefined> {
    const decoder = new TextDecoder();
    const read = (response: IncomingResponse) => response.chunks();
    const type = "text/plain";
    const chunks = await this.#send(spec, options, type, read, deadline);
    deadline.restart();
    for await (const chunk of chunks) {
      deadline.pause();
      yield decoder.decode(chunk, { stream: true });
      deadline.signal.throwIfAborted();
      deadline.restart();
    }
    deadline.pause();
    yield decoder.decode();
  }

  /** Method and URL of a request, without secrets. */
  describe(spec: RequestSpec): string {
    return `${spec.method} ${requestUrl(this.base, spec, spec.secrets)}`;
  }

  /** Runs a call of several requests within one deadline. */
  async withDeadline<T>(
    spec: RequestSpec,
    options: RequestOptions | undefined,
    work: (deadline: Deadline, options: ParsedOptions) => Promise<T>,
  ): Promise<T> {
    const deadline = this.openDeadline(spec, options);
    try {
      // An iterator can be read only once.
      const headers = readHeaders(options?.headers);
      return await work(deadline, { ...pickOptions(options), headers });
    } finally {
      deadline.close();
    }
  }

  /** Opens the deadline of one call; cancelAll() cancels it. */
  openDeadline(spec: RequestSpec, options?: RequestOptions): Deadline {
    if (options !== undefined) validateOptions(options, REQUEST_OPTIONS);
    const timeout = options?.timeout ?? this.options.timeout ??
      DEFAULT_TIMEOUT;
    return this.openLongDeadline(
      ({ ErrorClass, reason }) =>
        requestError(this.base, spec, ErrorClass, reason, {}),
      options?.signal,
      timeout,
    );
  }

  /**
   * Opens a deadline across several calls; cancelAll() cancels it.
   *
   * @param toError Creates the error of a timeout or a cancellation.
   */
  openLongDeadline(
    toError: (ending: Ending) => Error,
    signal?: AbortSignal,
    timeout = Infinity,
  ): Deadline {
    return new Deadline(timeout, toError, this.#deadlines, signal);
  }

  /** Cancels calls under way, except those whose single request was sent. */
  cancelAll(): void {
    for (const deadline of [...this.#deadlines]) {
      try {
        deadline.cancel();
      } catch {
        // workerd cannot abort signals of an earlier incoming request.
        this.#deadlines.delete(deadline);
      }
    }
  }

  /** Closes this client's own connections. */
  close(): void {
    this.#tls?.close?.();
  }

  /**
   * Sends the request, and retries it while that can help and retries are left.
   * A first 401 leads to a new login, which does not count as a retry.
   */
  async #send<T>(
    spec: RequestSpec,
    options: RequestOptions | undefined,
    type: string,
    read: (response: IncomingResponse) => Promise<T> | T,
    outer?: Deadline,
  ): Promise<T> {
    const deadline = outer ?? this.openDeadline(spec, options);
    let request: OutgoingRequest | undefined;
    let latest: unknown;
    try {
      request = new OutgoingRequest(
        this.base,
        spec,
        type,
        { ...this.#headers, ...readHeaders(options?.headers) },
        deadline,
        this.#secrets,
        // A test tool may have replaced the global fetch.
        this.options.fetch !== undefined || fetch !== nativeFetch,
      );
      const { headers } = request;
      const auth = spec.auth ??
        ("authorization" in headers ? noAuth : this.auth);
      const retries = options?.retries ??
        (isUnsafe(spec) ? 0 : this.options.retries ?? DEFAULT_RETRIES);
      let result: T;
      let failures = 0;
      let reauthenticated = false;
      for (let attempt = 1;; attempt++) {
        const token = await auth.token(deadline.signal, deadline.remaining / 2);
        if (token !== undefined) {
          this.redactToken(headers.authorization = token);
        }
        try {
          // Calls of several requests end at once at logout.
          if (!outer) deadline.beginRequest();
          result = await this.#attempt(request, attempt, read);
          break;
        } catch (error) {
          latest = error;
          const needsLogin = !reauthenticated && token !== undefined &&
            isUnauthorized(error);
          if (!needsLogin) failures++;
          const wait = needsLogin ? 0 : retryDelay(error, failures);
          if (wait === undefined || failures > retries) throw error;
          // With no time left, this error is more useful than a timeout.
          if (wait >= deadline.remaining) throw error;
          deadline.endRequest();
          if (needsLogin) {
            reauthenticated = true;
            auth.revokeToken(token);
          } else await delay(wait, { signal: deadline.signal });
        }
      }
      return result;
    } catch (error) {
      if (request && error === deadline.signal.reason) {
        throw request.toError(error);
      }
      // A login that fails must not hide that a change may have been applied.
      throw request?.outcomeUnknown ? latest : error;
    } finally {
      if (!outer) deadline.close();
    }
  }

  /** Sends a request once and reads its response. */
  async #attempt<T>(
    request: OutgoingRequest,
    attempt: number,
    read: (response: IncomingResponse) => Promise<T> | T,
  ): Promise<T> {
    const { deadline } = request;
    const { onAttempt } = this.options;
    const start = onAttempt ? performance.now() : 0;
    let pending: Promise<FetchResponse> | undefined;
    let response: FetchResponse | undefined;
    let error: unknown;
    try {
      deadline.signal.throwIfAborted();
      request.sent = true;
      pending = this.#fetch(request);
      response = await deadline.race(pending);
      const incoming = new IncomingResponse(response, request);
      if (!incoming.isExpected()) throw await incoming.error();
      return await read(incoming);
    } catch (thrown) {
      pending?.then(cancelBody).catch(() => {});
      error = request.toError(thrown, response);
      request.outcomeUnknown = error instanceof DecapodError &&
        error.outcomeUnknown;
      throw error;
    } finally {
      request.sent = false;
      if (onAttempt) this.#report(request, attempt, start, response, error);
    }
  }

  /** Calls `onAttempt`, and ignores its errors. */
  async #report(
    { spec }: OutgoingRequest,
    attempt: number,
    start: number,
    response?: FetchResponse,
    error?: unknown,
  ): Promise<void> {
    const { status } = response ?? {};
    try {
      await this.options.onAttempt?.({
        method: spec.method,
        url: requestUrl(this.base, spec, spec.secrets),
        attempt,
        duration: performance.now() - start,
        ...typeof status === "number" && { status },
        ...error !== undefined && { error },
      });
    } catch {
      // The hook is for logs and metrics.
    }
  }

  #fetch(
    { spec: { method }, url, headers, body, deadline, isCustom }:
      OutgoingRequest,
  ): Promise<FetchResponse> {
    const { fetch: custom } = this.options;
    const init: Init = {
      // A patched fetch may modify them, and the next attempt reuses them.
      headers: isCustom ? { ...headers } : headers,
      redirect: "manual", // workerd does not support "error"
      signal: deadline.signal,
      // Without this, older versions of Bun end a request after 300 s.
      ...("Bun" in globalThis && { timeout: false }),
      ...body !== undefined && { body },
      ...this.#tls?.init(),
    };
    if (custom) {
      const customInit = { ...init, method, headers: new Headers(headers) };
      return Promise.resolve(custom(url, customInit)); // a mock may return no promise
    }
    // Deno is slower if the method GET is passed.
    return method === "GET"
      ? Promise.resolve(fetch(url, init))
      : fetchOnce(url, { ...init, method });
  }

  /** Redacts a token from now on. */
  redactToken(token: string): void {
    if (this.#secrets.includes(token)) return;
    this.#secrets.splice(1, 0, token); // after the password
    this.#secrets.splice(1 + MAX_TOKENS);
  }
}

/** Copies the request options, including inherited ones. */
export function pickOptions(options: RequestOptions = {}): RequestOptions {
  const { signal, timeout, retries, headers } = options;
  return { signal, timeout, retries, headers };
}

async function cancelBody({ body }: FetchResponse): Promise<void> {
  if (isStream(body)) await body.cancel();
}

/** Whether the server responded with 401. */
export function isUnauthorized(error: unknown): boolean {
  return error instanceof DecapodAPIError && error.code === 401;
}

/** Milliseconds until the next attempt; undefined if no attempt can help. */
function retryDelay(error: unknown, failures: number): number | undefined {
  if (error instanceof DecapodConnectionError) return backoff(failures);
  return error instanceof DecapodAPIError &&
      RETRYABLE_STATUSES.includes(error.code)
    ? (error.retryAfter ?? 0) + backoff(failures)
    : undefined;
}
