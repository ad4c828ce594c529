/** One call: deadline, attempts, fetch, decode, error. */

import { delay } from "@std/async/delay";
import {
  Answer,
  JSON_TYPE,
  type MediaType,
  parseJson,
  TEXT_TYPE,
} from "./_answer.ts";
import { type Authenticator, noAuth } from "./auth.ts";
import {
  checkDuration,
  checkFunction,
  checkInteger,
  checkNames,
  checkSignal,
} from "./_check.ts";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  type DecapodErrorOptions,
  DecapodTimeoutError,
} from "./errors.ts";
import { headerSecrets, joinHeaders } from "./_headers.ts";
import { explain } from "./_network.ts";
import type { Path } from "./_path.ts";
import { type Redact, redactError, redactor } from "./_redact.ts";
import { Scope } from "./_scope.ts";
import { openTls, type TlsOptions, type TlsSession } from "./_tls.ts";

/** What each method takes as its last argument; all of it can be left out. */
export interface RequestOptions {
  /** Ends the call at once; it rejects with the signal's reason. */
  signal?: AbortSignal;
  /**
   * Milliseconds for the whole call: login, attempts, waits and the body. The
   * client's `timeout` unless said.
   */
  timeout?: number;
  /**
   * How often to try again after a failure of the network, 429, 502, 503 or
   * 504. Unless said the client's `retries` for what only reads, and 0 for
   * what changes something: it may have taken effect although no answer came.
   */
  retries?: number;
  /**
   * More headers. An `Authorization` here is sent instead of the session's
   * token, and nobody is logged in for the call.
   */
  headers?: Record<string, string> | Headers;
}

/** One attempt of a request, as `onAttempt` is told of it. */
export interface Attempt {
  /** The HTTP method. */
  method: string;
  /** The URL, without secrets. */
  url: string;
  /** The number of the attempt within its call, from 1. */
  attempt: number;
  /** How long it took until its body was read or it failed, in ms. */
  duration: number;
  /** The HTTP status, if there was an answer. */
  status?: number;
  /** What went wrong, if anything did. */
  error?: unknown;
}

/** How a client behaves towards the server. */
export interface TransportOptions {
  /** Milliseconds that a call may take; 60,000 unless said. */
  timeout?: number;
  /** How often a read or a login is tried again; 2 unless said. */
  retries?: number;
  /** Headers for each request. */
  headers?: Record<string, string> | Headers;
  /** Whom to trust and who to be over HTTPS. */
  tls?: TlsOptions;
  /** Used instead of the runtime's `fetch`, and called as that is. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Told of each attempt, for logs and metrics. */
  onAttempt?: (attempt: Attempt) => void;
}

/** A request to make. */
export interface Call {
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: Path;
  query?: URLSearchParams;
  body?: unknown;
  /** Whether a JSON object is what can be expected; any is unless said. */
  fits?: (answer: object) => boolean;
  /** Texts that must not be shown, besides those that the client knows. */
  secrets?: string[];
  /** Where the token comes from; the client's session unless said. */
  auth?: Authenticator;
  /** Whether the client's retries cover it although it is no GET. */
  repeatable?: boolean;
}

/** The names that a method's last argument takes. */
export const REQUEST_OPTIONS = ["signal", "timeout", "retries", "headers"];

const TIMEOUT = 60_000;
const RETRIES = 2;

/** Statuses that another attempt may get past. */
const TRANSIENT = new Set([429, 502, 503, 504]);

/** How many tokens are remembered to be kept out of messages. */
const TOKENS = 16;

/** A wait that grows with each attempt and is hardly ever the same for two. */
export function backoff(attempt: number, first = 200, longest = 8000): number {
  return Math.random() * Math.min(longest, first * 2 ** (attempt - 1));
}

/** What fetch takes here; `tls` are the settings of a client of Deno's. */
type Init = RequestInit & { tls?: Deno.CreateHttpClientOptions };

/**
 * The runtime's fetch, kept from sending a change twice: where a connection
 * that was kept breaks, Deno and Bun send the request again by themselves,
 * served or not. So each change takes a new connection, which cannot be stale:
 * Bun is told so by `keepalive`, Deno by a client that keeps none.
 */
async function fetchOnce(url: string, init: Init): Promise<Response> {
  if (init.method === "GET") return await fetch(url, init);
  if (!("Deno" in globalThis) || !Deno.createHttpClient) {
    return await fetch(url, { ...init, keepalive: false });
  }
  const client = Deno.createHttpClient({ ...init.tls, poolMaxIdlePerHost: 0 });
  try {
    return await fetch(url, { ...init, client });
  } finally {
    client.close(); // the body can be read all the same
  }
}

/** Makes calls to one server. */
export class Transport {
  readonly #base: string;
  readonly #password: string;
  readonly #auth: Authenticator;
  readonly #options: TransportOptions;
  readonly #fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly #tls: TlsSession;
  readonly #tokens: string[] = [];

  constructor(
    base: string,
    password: string,
    auth: Authenticator,
    options: TransportOptions,
  ) {
    checkDuration("timeout", options.timeout);
    checkInteger("retries", options.retries, 0);
    checkFunction("fetch", options.fetch);
    checkFunction("onAttempt", options.onAttempt);
    this.#base = base;
    this.#password = password;
    this.#auth = auth;
    const { headers } = options;
    this.#options = {
      ...options,
      ...headers && { headers: joinHeaders(headers) },
    };
    const { fetch = fetchOnce } = options;
    this.#fetch = (url, init) => fetch(url, init); // workerd minds its `this`
    this.#tls = openTls(options.tls, options.fetch !== undefined);
  }

  /** Makes a call that is answered by a JSON object. */
  json<T extends object>(call: Call, options?: RequestOptions): Promise<T> {
    return this.within(
      call,
      options,
      (scope) => this.send<T>(call, options, scope),
    );
  }

  /** The same under a deadline that is running already. */
  send<T extends object>(
    call: Call,
    options: RequestOptions | undefined,
    scope: Scope,
  ): Promise<T> {
    return this.#tryAgain(call, options, scope, JSON_TYPE, async (answer) => {
      const value = parseJson<T>(await answer.text());
      if (value === undefined) {
        throw answer.unfit("not a JSON object: it is empty, cut off or broken");
      }
      if (call.fits?.(value) === false) {
        throw answer.unfit("not what Decapod answers here");
      }
      return value;
    });
  }

  /** Makes a call that is answered by text. */
  text(call: Call, options?: RequestOptions): Promise<string> {
    return this.within(
      call,
      options,
      (scope) =>
        this.#tryAgain(
          call,
          options,
          scope,
          TEXT_TYPE,
          (answer) => answer.text(),
        ),
    );
  }

  /**
   * Makes a call that is answered by text of any length, and gives it piece by
   * piece. The deadline holds for each piece.
   */
  async *chunks(call: Call, options?: RequestOptions): AsyncGenerator<string> {
    const scope = this.#open(call, options);
    try {
      const answer = await this.#tryAgain(
        call,
        options,
        scope,
        TEXT_TYPE,
        (answer) => Promise.resolve(answer),
      );
      try {
        yield* answer.chunks();
      } catch (error) {
        const headers = joinHeaders(options?.headers);
        throw this.#shownError(
          call,
          scope,
          error,
          () => this.#redactor(call, headers),
        );
      }
    } finally {
      scope.close();
    }
  }

  /** Does something under the deadline and the signal of one call. */
  async within<T>(
    call: Call,
    options: RequestOptions | undefined,
    work: (scope: Scope) => Promise<T>,
  ): Promise<T> {
    const scope = this.#open(call, options);
    try {
      return await work(scope);
    } catch (error) {
      throw scope.signal.aborted ? scope.signal.reason : error;
    } finally {
      scope.close();
    }
  }

  /** Closes the connections that are this client's own. */
  close(): void {
    this.#tls.close();
  }

  #open(call: Call, options: RequestOptions = {}): Scope {
    checkNames("options", options, REQUEST_OPTIONS);
    checkDuration("timeout", options.timeout);
    checkInteger("retries", options.retries, 0);
    checkSignal(options.signal);
    joinHeaders(options.headers); // refuses what is no header
    const { timeout = this.#options.timeout ?? TIMEOUT, signal } = options;
    const late = () =>
      this.#error(
        call,
        DecapodTimeoutError,
        `no answer within ${timeout} ms: the server is slow or the timeout short`,
        { outcomeUnknown: scope.doubt },
      );
    const scope: Scope = new Scope(timeout, late, signal);
    return scope;
  }

  /** Makes attempts until there is an answer, or no hope of one. */
  async #tryAgain<T>(
    call: Call,
    options: RequestOptions = {},
    scope: Scope,
    type: MediaType,
    read: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    const headers = joinHeaders(this.#options.headers, options.headers);
    if (!headers.has("accept")) headers.set("accept", type.name);
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    if (body !== null) headers.set("content-type", JSON_TYPE.name);
    const own = headers.has("authorization") ? noAuth : this.#auth;
    const auth = call.auth ?? own;
    const covered = call.method === "GET" || call.repeatable === true;
    const retries = options.retries ??
      (covered ? this.#options.retries ?? RETRIES : 0);
    let failures = 0;
    let renewed = false;
    for (let attempt = 1;; attempt++) {
      const token = await auth.token(scope.signal);
      scope.signal.throwIfAborted(); // an own fetch may not look at it
      if (token !== undefined) {
        headers.set("authorization", token);
        this.#remember(token);
      }
      const outcome = await this.#attempt(
        call,
        headers,
        body,
        scope,
        (answer) => {
          answer.expect(type);
          return read(answer);
        },
      );
      this.#report(call, attempt, outcome);
      if ("value" in outcome) return outcome.value;
      const { error } = outcome;
      if (scope.signal.aborted) throw error;
      if (token !== undefined && !renewed && isRefusal(error)) {
        renewed = true; // the token had died; what was refused did nothing
        auth.revokeToken(token);
        continue;
      }
      if (!isTransient(error) || ++failures > retries) throw error;
      const asked = error instanceof DecapodAPIError ? error.retryAfter : 0;
      const wait = (asked ?? 0) + backoff(failures);
      if (wait >= scope.remaining) throw error; // says more than a timeout
      await delay(wait, { signal: scope.signal });
    }
  }

  /** Sends the request once. */
  async #attempt<T>(
    call: Call,
    headers: Headers,
    body: string | null,
    scope: Scope,
    read: (answer: Answer) => Promise<T>,
  ): Promise<Outcome<T>> {
    const start = performance.now();
    const redact = () => this.#redactor(call, headers);
    const doubt = scope.doubt; // of the attempts before
    scope.doubt = doubt || call.method !== "GET";
    let answer: Answer | undefined;
    try {
      const response = await scope.race(
        this.#fetch(this.#url(call, call.path.sent), {
          method: call.method,
          headers,
          body,
          redirect: "manual", // workerd knows no "error"
          signal: scope.signal,
          ...this.#tls.init(),
        }),
        (late) => late.body?.cancel(),
      );
      answer = new Answer(
        response,
        scope,
        (Class, happened, more) =>
          this.#error(call, Class, happened, more, doubt),
        redact,
      );
      await answer.check();
      return { value: await read(answer), start, answer };
    } catch (error) {
      answer?.cancel();
      const shown = this.#shownError(call, scope, error, redact, doubt);
      scope.doubt = shown instanceof DecapodError && shown.outcomeUnknown;
      return { error: shown, start, answer };
    }
  }

  #report(call: Call, attempt: number, outcome: Outcome<unknown>): void {
    const { start, answer } = outcome;
    try {
      this.#options.onAttempt?.({
        method: call.method,
        url: this.#url(call, call.path.shown),
        attempt,
        duration: performance.now() - start,
        ...(answer && { status: answer.status }),
        ...("error" in outcome && { error: outcome.error }),
      });
    } catch (error) {
      answer?.cancel();
      throw error;
    }
  }

  /** What a caller gets to see of something that was thrown. */
  #shownError(
    call: Call,
    scope: Scope,
    error: unknown,
    redact: () => Redact,
    doubt = false,
  ): unknown {
    if (scope.signal.aborted) return scope.signal.reason;
    if (error instanceof DecapodError) return error;
    const { text, sent } = explain(error, this.#base, redact());
    return this.#error(call, DecapodConnectionError, text, {
      cause: redactError(error, redact()),
      outcomeUnknown: sent,
    }, doubt);
  }

  #error<Options extends DecapodErrorOptions>(
    call: Call,
    Class: new (message: string, options: Options) => DecapodError,
    happened: string,
    options: Options,
    doubt = false,
  ): DecapodError {
    const { method } = call;
    const url = this.#url(call, call.path.shown);
    const outcomeUnknown = (doubt || options.outcomeUnknown === true) &&
      method !== "GET" && !call.repeatable;
    const warning = outcomeUnknown
      ? "; it may have taken effect all the same, look before sending it again"
      : "";
    return new Class(`${method} ${url}: ${happened}${warning}`, {
      ...options,
      method,
      url,
      outcomeUnknown,
    });
  }

  #url(call: Call, path: string): string {
    const query = String(call.query ?? "");
    return `${this.#base}${path}${query && `?${query}`}`;
  }

  #remember(token: string): void {
    if (this.#tokens.includes(token)) return;
    this.#tokens.unshift(token);
    this.#tokens.length = Math.min(this.#tokens.length, TOKENS);
  }

  #redactor(call: Call, headers: Headers): Redact {
    return redactor([
      this.#password,
      ...this.#tokens,
      ...call.secrets ?? [],
      ...headerSecrets(headers),
    ]);
  }
}

/** How an attempt went. */
type Outcome<T> =
  & { start: number; answer: Answer | undefined }
  & ({ value: T } | { error: unknown });

function isRefusal(error: unknown): boolean {
  return error instanceof DecapodAPIError && error.code === 401;
}

function isTransient(error: unknown): boolean {
  return error instanceof DecapodConnectionError ||
    error instanceof DecapodAPIError && TRANSIENT.has(error.code);
}
