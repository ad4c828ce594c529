/** One call: deadline, attempts, fetch, decode, error. */

import { delay } from "@std/async/delay";
import {
  jsonKind,
  type Kind,
  readAnswer,
  STREAM_KIND,
  TEXT_KIND,
} from "./_answer.ts";
import { type Authenticator, noAuth } from "./auth.ts";
import { checkOptions } from "./_check.ts";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  type DecapodErrorOptions,
  DecapodTimeoutError,
} from "./errors.ts";
import { type HeaderRecord, headerSecrets, readHeaders } from "./_headers.ts";
import { explain } from "./_network.ts";
import { type Path, pathText } from "./_path.ts";
import { type Redact, redactError, redactor } from "./_redact.ts";
import { abortable, Scope } from "./_scope.ts";
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

/** Statuses that another attempt may get past. */
const TRANSIENT = [429, 502, 503, 504];

/** How many tokens are remembered to be kept out of messages. */
const TOKENS = 16;

/** A wait that grows with each attempt and is hardly ever the same for two. */
export function backoff(attempt: number, first = 200, longest = 8000): number {
  return Math.random() * Math.min(longest, first * 2 ** (attempt - 1));
}

/**
 * The runtime's fetch, kept from sending a change twice: where a connection
 * that was kept breaks, Deno and Bun send the request again by themselves,
 * served or not. Deno cannot do so with a Blob; Bun has no reason to with
 * `keepalive: false`, which takes a new connection. A DELETE has no body to
 * make a Blob of, so Deno may repeat it; done twice it does no more than once.
 */
function fetchOnce(url: string, init: RequestInit): Promise<Response> {
  if (init.method === "GET") return fetch(url, init);
  const body = typeof init.body === "string" ? new Blob([init.body]) : null;
  return fetch(url, { ...init, body, keepalive: false });
}

/** Makes calls to one server. */
export class Transport {
  readonly #base: string;
  readonly #password: string;
  readonly #auth: Authenticator;
  readonly #options: TransportOptions;
  readonly #headers: HeaderRecord;
  readonly #tls: TlsSession | undefined;
  readonly #tokens: string[] = [];

  constructor(
    base: string,
    password: string,
    auth: Authenticator,
    options: TransportOptions,
  ) {
    this.#base = base;
    this.#password = password;
    this.#auth = auth;
    this.#options = options;
    this.#headers = readHeaders(options.headers);
    this.#tls = openTls(options.tls, options.fetch !== undefined);
  }

  /** Makes a call that is answered by a JSON object. */
  json<T extends object>(
    call: Call,
    options?: RequestOptions,
    scope?: Scope,
  ): Promise<T> {
    const kind = jsonKind<T>(call.fits);
    return scope ? this.#send(call, options, scope, kind) : this.within(
      call,
      options,
      (scope) => this.#send(call, options, scope, kind),
    );
  }

  /** Makes a call that is answered by text. */
  text(call: Call, options?: RequestOptions): Promise<string> {
    return this.within(
      call,
      options,
      (scope) => this.#send(call, options, scope, TEXT_KIND),
    );
  }

  /**
   * Makes a call that is answered by text of any length, and gives it piece by
   * piece. The deadline holds for each piece.
   */
  async *chunks(
    call: Call,
    options?: RequestOptions,
  ): AsyncGenerator<string, void, undefined> {
    const scope = this.#open(call, options, false);
    const decoder = new TextDecoder();
    try {
      const answer = await this.#send(call, options, scope, STREAM_KIND);
      try {
        scope.restart();
        for await (const piece of answer) {
          scope.pause();
          yield decoder.decode(piece, { stream: true });
          scope.restart();
        }
        yield decoder.decode();
      } catch (error) {
        throw this.#shown(call, scope, error, readHeaders(options?.headers));
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
    const scope = this.#open(call, options, this.#options.fetch === undefined);
    try {
      return await work(scope);
    } catch (error) {
      throw scope.signal.aborted ? scope.reason : error;
    } finally {
      scope.close();
    }
  }

  /** Closes the connections that are this client's own. */
  close(): void {
    this.#tls?.close?.();
  }

  #open(call: Call, options: RequestOptions = {}, light: boolean): Scope {
    checkOptions(options, REQUEST_OPTIONS);
    const { timeout = this.#options.timeout ?? 60_000, signal } = options;
    const late = () =>
      this.#error(
        call,
        DecapodTimeoutError,
        `no answer within ${timeout} ms: the server is slow or the timeout short`,
        { outcomeUnknown: scope.doubt },
      );
    const scope: Scope = new Scope(timeout, late, signal, light);
    return scope;
  }

  /** Makes attempts until there is an answer, or no hope of one. */
  async #send<T>(
    call: Call,
    options: RequestOptions = {},
    scope: Scope,
    kind: Kind<T>,
  ): Promise<T> {
    const headers: HeaderRecord = {
      accept: kind.type,
      ...this.#headers,
      ...readHeaders(options.headers),
    };
    const body = JSON.stringify(call.body);
    if (body !== undefined) headers["content-type"] = "application/json";
    const auth = call.auth ??
      ("authorization" in headers ? noAuth : this.#auth);
    const retries = options.retries ??
      (changes(call) ? 0 : this.#options.retries ?? 2);
    let failures = 0;
    let renewed = false;
    for (let attempt = 1;; attempt++) {
      const token = await auth.token(scope.signal);
      if (token !== undefined) this.#remember(headers.authorization = token);
      try {
        return await this.#attempt(call, attempt, headers, body, scope, kind);
      } catch (error) {
        if (scope.signal.aborted) throw error;
        const { code = 0, retryAfter = 0 } = error instanceof DecapodAPIError
          ? error
          : {};
        if (code === 401 && token !== undefined && !renewed) {
          renewed = true; // the token had died; what was refused did nothing
          auth.revokeToken(token);
          continue;
        }
        const passing = TRANSIENT.includes(code) ||
          error instanceof DecapodConnectionError;
        if (!passing || ++failures > retries) throw error;
        const wait = retryAfter + backoff(failures);
        if (wait >= scope.remaining) throw error; // says more than a timeout
        await delay(wait, { signal: scope.signal });
      }
    }
  }

  /** Sends the request once. */
  async #attempt<T>(
    call: Call,
    attempt: number,
    headers: HeaderRecord,
    body: string | undefined,
    scope: Scope,
    kind: Kind<T>,
  ): Promise<T> {
    const { method } = call;
    const { fetch, onAttempt } = this.#options;
    const { signal, doubt } = scope;
    const start = performance.now();
    let status: number | undefined;
    const report = (error?: unknown) =>
      onAttempt?.({
        method,
        url: this.#url(call, true),
        attempt,
        duration: performance.now() - start,
        ...status && { status },
        ...error !== undefined && { error },
      });
    let sent: Promise<Response> | undefined;
    const drop = () =>
      sent?.then((late) => late.body?.cancel()).catch(() => {});
    let answer: T;
    try {
      scope.throwIfOver(); // an own fetch may not look at it
      scope.doubt ||= changes(call);
      sent = (fetch ?? fetchOnce)(this.#url(call), {
        method,
        headers,
        body,
        redirect: "manual", // workerd knows no "error"
        signal,
        ...this.#tls?.init(),
      });
      const response = await (fetch ? abortable(sent, signal) : sent);
      status = response.status;
      answer = await readAnswer(response, kind, {
        fail: (Class, happened, more) =>
          this.#error(call, Class, happened, more, doubt),
        redact: () => this.#redactor(call, headers),
        signal,
        light: fetch === undefined,
      });
    } catch (thrown) {
      drop();
      const error = this.#shown(call, scope, thrown, headers, doubt);
      scope.doubt = error instanceof DecapodError && error.outcomeUnknown;
      report(error);
      throw error;
    }
    try {
      report();
    } catch (error) {
      drop();
      throw error;
    }
    return answer;
  }

  /** What a caller gets to see of something that was thrown. */
  #shown(
    call: Call,
    scope: Scope,
    error: unknown,
    headers: HeaderRecord,
    doubt = false,
  ): unknown {
    if (scope.signal.aborted) return scope.reason;
    if (error instanceof DecapodError) return error;
    const redact = this.#redactor(call, headers);
    const { text, sent } = explain(error, this.#base, redact);
    const cause = redactError(error, redact);
    const options = { cause, outcomeUnknown: sent };
    return this.#error(call, DecapodConnectionError, text, options, doubt);
  }

  /** @param doubt Whether an attempt before may have changed something. */
  #error<Options extends DecapodErrorOptions>(
    call: Call,
    Class: new (message: string, options: Options) => DecapodError,
    happened: string,
    options: Options,
    doubt = false,
  ): DecapodError {
    const { method } = call;
    const url = this.#url(call, true);
    const outcomeUnknown = changes(call) &&
      (doubt || options.outcomeUnknown === true);
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

  #url({ path, query, secrets = [] }: Call, shown = false): string {
    const url = this.#base + pathText(path) + (query ? `?${query}` : "");
    return shown ? redactor(secrets)(url) : url;
  }

  #remember(token: string): void {
    if (this.#tokens.includes(token)) return;
    this.#tokens.unshift(token);
    this.#tokens.splice(TOKENS);
  }

  #redactor({ secrets = [] }: Call, headers: HeaderRecord): Redact {
    return redactor([
      this.#password,
      ...this.#tokens,
      ...secrets,
      ...headerSecrets(headers),
    ]);
  }
}

/** Whether it must not be sent again unless that is asked for. */
function changes({ method, repeatable }: Call): boolean {
  return method !== "GET" && !repeatable;
}
