/** One call: deadline, attempts, fetch, decode, error. */

import { delay } from "@std/async/delay";
import {
  type Exchange,
  JSON_TYPE,
  misfit,
  type Read,
  readObject,
  readPieces,
  readText,
  unfit,
} from "./response.ts";
import { type Authenticator, noAuth } from "../auth.ts";
import { validateOptions } from "./validate.ts";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  type DecapodErrorOptions,
  DecapodTimeoutError,
} from "../errors.ts";
import { type HeaderRecord, headerSecrets, readHeaders } from "./headers.ts";
import { explain } from "./network_errors.ts";
import { type Path, pathText } from "./path.ts";
import { redacted, redactError } from "./redact.ts";
import { abortable, Scope } from "./deadline.ts";
import { openTls, type TlsOptions, type TlsSession } from "./tls.ts";

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
  /** What stands behind the question mark. */
  query?: string;
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

/** The media type of logs. */
const TEXT_TYPE = "text/plain";

/** What is said of an answer that cannot be read. */
const UNFIT =
  "not a JSON object as Decapod gives it here: it is empty, cut off, broken or of another shape";

/** Milliseconds for a call, unless said. */
const TIMEOUT = 60_000;

/** How often a read or a login is tried again, unless said. */
const RETRIES = 2;

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

/** A request as it goes out, with whose token, and how often at the most. */
interface Outgoing {
  call: Call;
  scope: Scope;
  url: string;
  init: RequestInit;
  /** Those of `init`. */
  headers: HeaderRecord;
  auth: Authenticator;
  /** How often it is tried again. */
  retries: number;
}

/** Makes calls to one server. */
export class Transport {
  readonly #base: string;
  readonly #password: string;
  readonly #auth: Authenticator;
  readonly #options: TransportOptions;
  readonly #headers: HeaderRecord;
  /** Whether requests go out with the runtime's own fetch. */
  readonly #light: boolean;
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
    this.#light = options.fetch === undefined;
    this.#tls = openTls(options.tls, !this.#light);
  }

  /**
   * Makes a call that is answered by a JSON object.
   *
   * @param scope A deadline that is running already.
   */
  json<T extends object>(
    call: Call,
    options?: RequestOptions,
    scope?: Scope,
  ): Promise<T> {
    return this.#send<T>(call, options, scope, JSON_TYPE, readObject);
  }

  /** Makes a call that is answered by text. */
  text(call: Call, options?: RequestOptions): Promise<string> {
    return this.#send(call, options, undefined, TEXT_TYPE, readText);
  }

  /**
   * Makes a call that is answered by text of any length, and gives it piece by
   * piece. The deadline holds for each piece.
   */
  async *chunks(
    call: Call,
    options?: RequestOptions,
  ): AsyncGenerator<string, void, undefined> {
    const scope = this.#open(call, options);
    const decoder = new TextDecoder();
    try {
      const pieces = await this.#send(
        call,
        options,
        scope,
        TEXT_TYPE,
        readPieces,
      );
      scope.restart();
      for await (const piece of pieces) {
        scope.pause();
        yield decoder.decode(piece, { stream: true });
        scope.restart();
      }
      yield decoder.decode();
    } catch (error) {
      throw scope.signal.aborted ? scope.reason : error;
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
      throw scope.signal.aborted ? scope.reason : error;
    } finally {
      scope.close();
    }
  }

  /** Begins the deadline of a call; whoever does so closes it. */
  #open(call: Call, options: RequestOptions = {}, light = false): Scope {
    validateOptions(options, REQUEST_OPTIONS);
    if (options.headers) readHeaders(options.headers); // or refuses them
    const { timeout = this.#options.timeout ?? TIMEOUT, signal } = options;
    const scope: Scope = new Scope(
      timeout,
      () => this.#late(call, timeout, scope),
      signal,
      light,
    );
    return scope;
  }

  #fetch(url: string, init: RequestInit): Promise<Response> {
    const own = this.#options.fetch; // not called as a method: workerd minds
    if (own) {
      const headers = new Headers(init.headers); // its to keep and to change
      return Promise.resolve(own(url, { ...init, headers })); // or no promise
    }
    const full = this.#tls ? { ...init, ...this.#tls.init() } : init;
    return init.method === undefined ? fetch(url, full) : fetchOnce(url, full);
  }

  /** Closes the connections that are this client's own. */
  close(): void {
    this.#tls?.close?.();
  }

  /**
   * Makes attempts until there is an answer, or no hope of one. All in one
   * function: another that has to be waited for takes a hundredth of a call.
   */
  async #send<T>(
    call: Call,
    options: RequestOptions = {},
    outer: Scope | undefined,
    type: string,
    read: Read<T>,
  ): Promise<T> {
    const scope = outer ?? this.#open(call, options, this.#light);
    try {
      const outgoing = this.#prepare(call, options, scope, type);
      const { url, init, headers, auth } = outgoing;
      const { onAttempt } = this.#options;
      let failures = 0;
      let renewed = false;
      for (let attempt = 1;; attempt++) {
        const token = await auth.token(scope.signal);
        if (token !== undefined) {
          headers.authorization = token;
          this.#remember(token);
        }
        const exchange = this.#exchange(outgoing);
        const start = onAttempt ? performance.now() : 0;
        let outcome: Outcome<T>;
        let sent: Promise<Response> | undefined;
        let response: Response | undefined;
        try {
          scope.signal.throwIfAborted(); // an injected fetch may not mind it
          scope.doubt ||= changes(call);
          sent = this.#fetch(url, init);
          response = await (this.#light ? sent : abortable(sent, scope.signal));
          const wrong = misfit(response, type, exchange);
          if (wrong) throw await wrong;
          const answer = await read(response, exchange);
          if (answer === undefined || call.fits?.(Object(answer)) === false) {
            throw unfit(response, exchange, UNFIT);
          }
          outcome = { answer };
        } catch (thrown) {
          sent?.then((late) => late.body?.cancel()).catch(() => {});
          const error = exchange.shown(thrown);
          scope.doubt = error instanceof DecapodError && error.outcomeUnknown;
          outcome = { error };
        }
        if (onAttempt) this.#report(call, attempt, start, outcome, response);
        if ("answer" in outcome) return outcome.answer;
        const { error } = outcome;
        if (!renewed && token !== undefined && isRefusal(error)) {
          renewed = true; // the token had died; what was refused did nothing
          auth.revokeToken(token);
          continue;
        }
        const wait = waitAfter(error, ++failures);
        // Where there is no time to wait the error says more than a timeout.
        if (failures > outgoing.retries || !(wait < scope.remaining)) {
          throw error;
        }
        await delay(wait, { signal: scope.signal });
      }
    } catch (error) {
      throw !outer && scope.signal.aborted ? scope.reason : error;
    } finally {
      if (!outer) scope.close();
    }
  }

  /** What goes out, and how often at the most. */
  #prepare(
    call: Call,
    options: RequestOptions,
    scope: Scope,
    type: string,
  ): Outgoing {
    const { method, body } = call;
    const headers: HeaderRecord = { accept: type, ...this.#headers };
    if (options.headers) Object.assign(headers, readHeaders(options.headers));
    if (body !== undefined) headers["content-type"] = JSON_TYPE;
    const init: RequestInit = {
      headers,
      redirect: "manual", // workerd knows no "error"
      signal: scope.signal,
    };
    // Deno takes its time over a method, even the usual one.
    if (method !== "GET" || !this.#light) init.method = method;
    if (body !== undefined) init.body = JSON.stringify(body);
    return {
      call,
      scope,
      headers,
      init,
      url: this.#url(call),
      auth: call.auth ?? ("authorization" in headers ? noAuth : this.#auth),
      retries: options.retries ??
        (changes(call) ? 0 : this.#options.retries ?? RETRIES),
    };
  }

  /** What the reading of an answer and its errors need to know of the call. */
  #exchange({ call, headers, scope }: Outgoing): Exchange {
    const { signal, doubt } = scope; // the doubt of the attempts before
    const exchange: Exchange = {
      signal,
      light: this.#light,
      redact: (text) =>
        redacted(text, [
          this.#password,
          ...this.#tokens,
          ...call.secrets ?? [],
          ...headerSecrets(headers),
        ]),
      fail: (Class, happened, options) =>
        this.#error(call, Class, happened, {
          ...options,
          outcomeUnknown: doubt || options.outcomeUnknown,
        }),
      shown: (error) => {
        if (signal.aborted) return scope.reason;
        if (error instanceof DecapodError) return error;
        const { text, sent } = explain(error, this.#base, exchange.redact);
        return exchange.fail(DecapodConnectionError, text, {
          cause: redactError(error, exchange.redact),
          outcomeUnknown: sent,
        });
      },
    };
    return exchange;
  }

  #report<T>(
    call: Call,
    attempt: number,
    start: number,
    outcome: Outcome<T>,
    response: Response | undefined,
  ): void {
    try {
      this.#options.onAttempt?.({
        method: call.method,
        url: this.#url(call, call.secrets),
        attempt,
        duration: performance.now() - start,
        ...response && { status: response.status },
        ...("error" in outcome && { error: outcome.error }),
      });
    } catch (error) {
      response?.body?.cancel().catch(() => {}); // of a stream, not yet read
      throw error;
    }
  }

  #late(call: Call, timeout: number, { doubt }: Scope): DecapodError {
    return this.#error(
      call,
      DecapodTimeoutError,
      `no answer within ${timeout} ms: the server is slow or the timeout short`,
      { outcomeUnknown: doubt },
    );
  }

  #error<Options extends DecapodErrorOptions>(
    call: Call,
    Class: new (message: string, options: Options) => DecapodError,
    happened: string,
    options: Options,
  ): DecapodError {
    const { method } = call;
    const url = this.#url(call, call.secrets);
    const outcomeUnknown = changes(call) && options.outcomeUnknown === true;
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

  /** @param secrets Values that must not stand in it. */
  #url({ path, query }: Call, secrets?: string[]): string {
    return this.#base + pathText(path, secrets) + (query ? `?${query}` : "");
  }

  #remember(token: string): void {
    if (this.#tokens.includes(token)) return;
    this.#tokens.unshift(token);
    this.#tokens.length = Math.min(this.#tokens.length, TOKENS);
  }
}

/** How an attempt went. */
type Outcome<T> = { answer: T } | { error: unknown };

function isRefusal(error: unknown): boolean {
  return error instanceof DecapodAPIError && error.code === 401;
}

/** Milliseconds until another attempt is worth it; none is after NaN. */
function waitAfter(error: unknown, failures: number): number {
  if (error instanceof DecapodConnectionError) return backoff(failures);
  return error instanceof DecapodAPIError && TRANSIENT.includes(error.code)
    ? (error.retryAfter ?? 0) + backoff(failures)
    : NaN;
}

/** Whether it must not be sent again unless that is asked for. */
function changes({ method, repeatable }: Call): boolean {
  return method !== "GET" && !repeatable;
}
