/** One call: deadline, attempts, fetch, decode, error. */

import { delay } from "@std/async/delay";
import {
  type Context,
  JSON_TYPE,
  parseObject,
  type Read,
  readAnswer,
  readPieces,
  readText,
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
import { redacted, redactError } from "./_redact.ts";
import { abortable, openScope, type Scope } from "./_scope.ts";
import { openTls, type TlsOptions } from "./_tls.ts";

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

/** The media type of logs. */
const TEXT_TYPE = "text/plain";

/** Makes calls to one server. */
export interface Transport {
  /**
   * Makes a call that is answered by a JSON object.
   *
   * @param scope A deadline that is running already.
   */
  json<T extends object>(
    call: Call,
    options?: RequestOptions,
    scope?: Scope,
  ): Promise<T>;
  /** Makes a call that is answered by text. */
  text(call: Call, options?: RequestOptions): Promise<string>;
  /**
   * Makes a call that is answered by text of any length, and gives it piece by
   * piece. The deadline holds for each piece.
   */
  chunks(
    call: Call,
    options?: RequestOptions,
  ): AsyncGenerator<string, void, undefined>;
  /** Does something under the deadline and the signal of one call. */
  within<T>(
    call: Call,
    options: RequestOptions | undefined,
    work: (scope: Scope) => Promise<T>,
  ): Promise<T>;
  /** Closes the connections that are this client's own. */
  close(): void;
}

/** Makes a transport; nothing is sent before it is used. */
export function openTransport(
  base: string,
  password: string,
  session: Authenticator,
  options: TransportOptions,
): Transport {
  const { fetch, onAttempt } = options;
  const common = readHeaders(options.headers);
  const tls = openTls(options.tls, fetch !== undefined);
  const tokens: string[] = [];

  function url({ path, query }: Call): string {
    return base + pathText(path) + (query?.size ? `?${query}` : "");
  }

  function open(call: Call, given: RequestOptions = {}, light: boolean): Scope {
    checkOptions(given, REQUEST_OPTIONS);
    readHeaders(given.headers); // refuses what is no header
    const { timeout = options.timeout ?? 60_000, signal } = given;
    const late = () =>
      failure(
        call,
        DecapodTimeoutError,
        `no answer within ${timeout} ms: the server is slow or the timeout short`,
        { outcomeUnknown: scope.doubt },
      );
    const scope: Scope = openScope(timeout, late, signal, light);
    return scope;
  }

  function failure<Options extends DecapodErrorOptions>(
    call: Call,
    Class: new (message: string, options: Options) => DecapodError,
    happened: string,
    options: Options,
  ): DecapodError {
    const { method } = call;
    const shownUrl = redacted(url(call), call.secrets);
    const outcomeUnknown = changes(call) && options.outcomeUnknown === true;
    const warning = outcomeUnknown
      ? "; it may have taken effect all the same, look before sending it again"
      : "";
    return new Class(`${method} ${shownUrl}: ${happened}${warning}`, {
      ...options,
      method,
      url: shownUrl,
      outcomeUnknown,
    });
  }

  /** Makes attempts until there is an answer, or no hope of one. */
  async function send<T>(
    call: Call,
    given: RequestOptions = {},
    scope: Scope,
    type: string,
    read: Read<T>,
  ): Promise<T> {
    const target = url(call); // before anybody logs in for it
    const headers: HeaderRecord = {
      accept: type,
      ...common,
      ...readHeaders(given.headers),
    };
    const body = JSON.stringify(call.body);
    if (body !== undefined) headers["content-type"] = JSON_TYPE;
    const auth = call.auth ?? ("authorization" in headers ? noAuth : session);
    const retries = given.retries ??
      (changes(call) ? 0 : options.retries ?? 2);
    let failures = 0;
    let renewed = false;
    for (let attempt = 1;; attempt++) {
      const token = await auth.token(scope.signal);
      if (token !== undefined) {
        headers.authorization = token;
        if (!tokens.includes(token)) tokens.unshift(token);
        tokens.splice(TOKENS);
      }
      try {
        return await once(
          call,
          target,
          attempt,
          headers,
          body,
          scope,
          type,
          read,
        );
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
        if (wait >= scope.remaining()) throw error; // says more than a timeout
        await delay(wait, { signal: scope.signal });
      }
    }
  }

  /** Sends the request once. */
  async function once<T>(
    call: Call,
    target: string,
    attempt: number,
    headers: HeaderRecord,
    body: string | undefined,
    scope: Scope,
    type: string,
    read: Read<T>,
  ): Promise<T> {
    const { method, secrets = [] } = call;
    const { signal, doubt } = scope; // the doubt of the attempts before
    const start = performance.now();
    let sent: Promise<Response> | undefined;
    let status: number | undefined;
    const drop = () =>
      sent?.then((late) => late.body?.cancel()).catch(() => {});
    const report = (error?: unknown) =>
      onAttempt?.({
        method,
        url: redacted(target, secrets),
        attempt,
        duration: performance.now() - start,
        ...status && { status },
        ...error !== undefined && { error },
      });
    const context: Context = {
      signal,
      light: !fetch,
      redact: (text) =>
        redacted(text, [
          password,
          ...tokens,
          ...secrets,
          ...headerSecrets(headers),
        ]),
      fail: (Class, happened, options) =>
        failure(call, Class, happened, {
          ...options,
          outcomeUnknown: doubt || options.outcomeUnknown,
        }),
      shown(error) {
        if (signal.aborted) return scope.reason();
        if (error instanceof DecapodError) return error;
        const { text, sent } = explain(error, base, context.redact);
        return context.fail(DecapodConnectionError, text, {
          cause: redactError(error, context.redact),
          outcomeUnknown: sent,
        });
      },
    };
    let answer: T;
    try {
      if (signal.aborted) throw signal.reason; // an own fetch may not mind it
      scope.doubt ||= changes(call);
      sent = (fetch ?? fetchOnce)(target, {
        method,
        headers,
        body,
        redirect: "manual", // workerd knows no "error"
        signal,
        ...tls?.init(),
      });
      const response = await (fetch ? abortable(sent, signal) : sent);
      status = response.status;
      answer = await readAnswer(response, type, read, context);
    } catch (thrown) {
      drop();
      const error = context.shown(thrown);
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

  const transport: Transport = {
    json<T extends object>(
      call: Call,
      given?: RequestOptions,
      scope?: Scope,
    ): Promise<T> {
      if (!scope) {
        return transport.within(
          call,
          given,
          (scope) => transport.json<T>(call, given, scope),
        );
      }
      return send(call, given, scope, JSON_TYPE, async (response, context) => {
        const answer = parseObject<T>(await readText(response, context));
        return answer && call.fits?.(answer) !== false ? answer : undefined;
      });
    },
    text: (call, given) =>
      transport.within(
        call,
        given,
        (scope) => send(call, given, scope, TEXT_TYPE, readText),
      ),
    async *chunks(call, given) {
      const scope = open(call, given, false);
      const decoder = new TextDecoder();
      try {
        const pieces = await send(call, given, scope, TEXT_TYPE, readPieces);
        scope.restart();
        for await (const piece of pieces) {
          scope.pause();
          yield decoder.decode(piece, { stream: true });
          scope.restart();
        }
        yield decoder.decode();
      } catch (error) {
        throw scope.signal.aborted ? scope.reason() : error;
      } finally {
        scope.close();
      }
    },
    async within(call, given, work) {
      const scope = open(call, given, !fetch);
      try {
        return await work(scope);
      } catch (error) {
        throw scope.signal.aborted ? scope.reason() : error;
      } finally {
        scope.close();
      }
    },
    close: () => tls?.close?.(),
  };
  return transport;
}

/** Whether it must not be sent again unless that is asked for. */
function changes({ method, repeatable }: Call): boolean {
  return method !== "GET" && !repeatable;
}
