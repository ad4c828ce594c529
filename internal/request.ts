/** One outgoing request: URL, headers, redaction, errors that name it. */

import type { Authenticator } from "../auth.ts";
import type { Deadline } from "./deadline.ts";
import {
  DecapodConnectionError,
  DecapodError,
  type DecapodErrorOptions,
  DecapodTimeoutError,
} from "../errors.ts";
import { type HeaderRecord, headerSecrets } from "./headers.ts";
import { serializeJson } from "./json.ts";
import { describeNetworkError } from "./network_errors.ts";
import type { FetchResponse } from "../options.ts";
import { encodePath, type Path } from "./path.ts";
import { redacted, redactError, shorten } from "./redact.ts";
import { findProxy } from "./runtime.ts";

/** What a method of the client requests. */
export interface RequestSpec {
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: Path;
  query?: string;
  body?: unknown;
  /** Checks the shape of the response. Defaults to any object. */
  isValid?: (body: object) => boolean;
  /** Values of this request to redact. */
  secrets?: readonly string[];
  /** Provides the token. Defaults to the client's session. */
  auth?: Authenticator;
  /** Whether the client's retries apply although it is not a GET. */
  idempotent?: boolean;
}

/** A constructor of errors. */
export type ErrorClass<Options> = new (
  message: string,
  options: Options,
) => DecapodError;

const MAX_MESSAGE = 500;
const MAX_URL_IN_MESSAGE = 160;

/** The longest request line or header of Decapod's nginx, in bytes. */
const MAX_LINE = 4096;

/** Whether resending the request could apply a change twice. */
export function isUnsafe({ method, idempotent }: RequestSpec): boolean {
  return method !== "GET" && !idempotent;
}

/** The URL of a request; throws if a value in its path is invalid. */
export function requestUrl(
  base: string,
  { path, query }: RequestSpec,
  secrets?: readonly string[],
): string {
  return base + encodePath(path, secrets) + (query ? `?${query}` : "");
}

/** An error that names the request. */
export function requestError<Options extends DecapodErrorOptions>(
  base: string,
  spec: RequestSpec,
  Class: ErrorClass<Options>,
  reason: string,
  options: Options,
): DecapodError {
  const { method } = spec;
  const url = requestUrl(base, spec, spec.secrets);
  const outcomeUnknown = isUnsafe(spec) && options.outcomeUnknown === true;
  const suffix = outcomeUnknown
    ? "; the change may have been applied, check before retrying"
    : "";
  const message = `${method} ${shorten(url, MAX_URL_IN_MESSAGE)}: ${reason}`;
  return new Class(shorten(message, MAX_MESSAGE - suffix.length) + suffix, {
    ...options,
    method,
    url,
    outcomeUnknown,
  });
}

/** A request, with the context of its errors. */
export class OutgoingRequest {
  readonly url: string;
  readonly headers: HeaderRecord;
  readonly body: string | undefined;
  /** Whether an earlier attempt may have applied the change. */
  outcomeUnknown = false;
  /** Whether the current attempt was handed to fetch. */
  sent = false;

  /**
   * @param base The server's URL.
   * @param spec The endpoint, the body and how to treat them.
   * @param type The expected media type of the response.
   * @param headers The headers of the client and of the call.
   * @param secrets The client's password and latest tokens.
   * @param isCustom Whether a custom fetch sends it.
   */
  constructor(
    readonly base: string,
    readonly spec: RequestSpec,
    readonly type: string,
    headers: HeaderRecord,
    readonly deadline: Deadline,
    readonly secrets: readonly string[],
    readonly isCustom: boolean,
  ) {
    this.url = requestUrl(base, spec);
    this.headers = { accept: type, ...headers };
    // Node and Bun do not notice a truncated compressed body.
    if (type === "text/plain") this.headers["accept-encoding"] ??= "identity";
    if (spec.body === undefined) return;
    this.body = serializeJson(spec.body);
    this.headers["content-type"] = "application/json";
  }

  /** Redacts the client's password and tokens, secret arguments and headers. */
  redact(text: string): string {
    return redacted(text, [
      ...this.secrets,
      ...this.spec.secrets ?? [],
      ...headerSecrets(this.headers),
    ]);
  }

  /** An error that names the request. */
  error<Options extends DecapodErrorOptions>(
    Class: ErrorClass<Options>,
    reason: string,
    options: Options,
  ): DecapodError {
    return requestError(this.base, this.spec, Class, reason, {
      ...options,
      outcomeUnknown: this.outcomeUnknown || options.outcomeUnknown,
    });
  }

  /**
   * Converts whatever was thrown to the error that the caller gets.
   *
   * @param response The response, if its headers arrived.
   */
  toError(thrown: unknown, response?: FetchResponse): unknown {
    const { signal, ending } = this.deadline;
    if (ending) {
      const { ErrorClass, reason } = ending;
      return this.error(ErrorClass, reason, { outcomeUnknown: this.sent });
    }
    if (signal.aborted) return signal.reason; // the caller's own
    if (thrown instanceof DecapodError) return thrown;
    const cause = redactError(thrown, (text) => this.redact(text));
    const error = describeNetworkError(cause, this.isCustom, this.url);
    const { isTimeout, mayHaveReachedServer, isUnknown, mayBeLength } = error;
    // Once headers have arrived, any failure means that the body is truncated.
    const detail = isUnknown ? ` (${error.text})` : "";
    const text = !response || isTimeout
      ? error.text
      : `connection lost while reading the response${detail}`;
    return this.error(
      isTimeout ? DecapodTimeoutError : DecapodConnectionError,
      text + this.proxyHint() +
        (isUnknown || mayBeLength ? this.sizeHint() : ""),
      {
        cause,
        outcomeUnknown: mayHaveReachedServer || response !== undefined,
      },
    );
  }

  /** Names the proxy, which may be the cause. */
  proxyHint(): string {
    const proxy = this.isCustom ? undefined : findProxy(this.url);
    return proxy ? `; the request goes through the proxy ${proxy}` : "";
  }

  /** A hint if the URL or a header is too long for Decapod's nginx. */
  sizeHint(): string {
    const { length } = this.url.slice(new URL(this.url).origin.length);
    if (length > MAX_LINE - 20) {
      const advice = this.spec.query?.includes("filter=")
        ? "filter by fewer values per request"
        : "shorten it";
      return ` (the URL has ${this.url.length} characters, Decapod's nginx accepts about ${MAX_LINE}: ${advice})`;
    }
    const [name] = Object.entries(this.headers)
      .find(([name, value]) => name.length + value.length > MAX_LINE - 20) ??
      [];
    return name
      ? ` (the header ${name} is too long, Decapod's nginx accepts about ${MAX_LINE} characters)`
      : "";
  }
}
