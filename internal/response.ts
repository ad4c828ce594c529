/** Checks and reads responses, and creates the errors for bad ones. */

import {
  DecapodAPIError,
  type DecapodError,
  DecapodResponseError,
} from "../errors.ts";
import { parseJson } from "./json.ts";
import type { FetchResponse } from "../options.ts";
import { REDACTED, singleLine } from "./redact.ts";
import type { OutgoingRequest } from "./request.ts";
import { parseRetryAfter } from "./retry_after.ts";
import { isObject } from "./validate.ts";

const MAX_ERROR_BODY = 64 * 1024;

/** Longer than a header can be, in characters. */
const MAX_SECRET = 8192;

/** V8's maximum string length, the lowest of all engines. */
const MAX_TEXT = 2 ** 29 - 24;

const URL_HINT = "check that the URL points to the Decapod API";

/** What to do about statuses whose cause is not obvious. */
const HINTS: Record<number, string> = {
  401: "check the login and the password",
  403: "the method's documentation names the permission",
  407: "the proxy requires a login",
  413: "the proxy in front of Decapod accepts less at once",
};

/** Statuses of proxies that do not suggest a wrong URL. */
const PROXY_STATUSES = [407, 408, 413, 414, 429, 431];

/** Errors of concurrent edits; not redacted, because edit() compares them. */
export const STALE = "CannotUpdateManagedFieldsError";
export const DUPLICATE = "CannotUpdateModelWithSuchParameters";
const RACES = [STALE, DUPLICATE];

/** Successful statuses without a body. */
const EMPTY_STATUSES = [204, 205];

/** Content encodings that every runtime decodes. */
const DECODED = ["", "identity", "gzip", "br"];

/** A response to a request. */
export class IncomingResponse {
  // Keeps the whole response: Deno loses aborts if only its body is kept.
  constructor(
    readonly response: FetchResponse,
    readonly request: OutgoingRequest,
  ) {}

  /**
   * Whether it is a success of the requested type. Throws if a custom fetch
   * returned something other than a Response.
   */
  isExpected(): boolean {
    // A test tool may have replaced fetch before this package was imported.
    if (this.request.isCustom || !(this.response instanceof Response)) {
      this.#checkShape();
    }
    const { type } = this.request;
    // Some runtimes do not notice that a compressed log is truncated.
    return this.#isSuccess() && this.#hasType(type) &&
      (type !== "text/plain" || ["", "identity"].includes(this.#encoding()));
  }

  /** The error for a response that isExpected() rejects. */
  async error(): Promise<DecapodError> {
    const { status, type } = this.response;
    if (EMPTY_STATUSES.includes(status)) {
      return this.#unexpected(`has no content (${URL_HINT})`);
    }
    if (status === 206) return this.#unexpected("is only a part");
    if (this.#isSuccess()) {
      if (this.#hasType(this.request.type)) return this.#encodingError();
      const found = this.#header("content-type") || "of an unknown type";
      return this.#unexpected(
        `is ${found} instead of ${this.request.type} (${URL_HINT})`,
      );
    }
    const location = this.#header("location")
      .replace(/[/\\]{2}[^/\\?#]*@/g, `//${REDACTED}@`);
    if (type === "opaqueredirect" || location && status < 400) {
      const target = location || "another place";
      return this.#unexpected(
        `is a redirect to ${target}, which would lose the method and the token (use Decapod's own URL)`,
      );
    }
    return await this.#apiError();
  }

  /** Reads the body as text. */
  async text(): Promise<string> {
    const { response, request: { deadline } } = this;
    if (!this.#isStreamed() && typeof response.arrayBuffer !== "function") {
      return await deadline.race(Promise.resolve(response.text()));
    }
    const bytes = this.#isStreamed()
      ? await this.#bytes()
      : await deadline.race(response.arrayBuffer());
    const { byteLength } = bytes;
    this.#checkLength(byteLength);
    if (byteLength <= MAX_TEXT) return new TextDecoder().decode(bytes);
    throw this.#unexpected(
      `has ${byteLength} bytes, more than fit into a string (use streamExecutionLog)`,
    );
  }

  /** Reads the body as a JSON object. */
  async object<T extends object>(): Promise<T> {
    const { response, request: { deadline, spec } } = this;
    const text = this.#isStreamed() || typeof response.text !== "function"
      ? await this.text()
      : await deadline.race(Promise.resolve(response.text()));
    const parsed = parseJson<T>(text);
    if (!parsed) {
      if (!DECODED.includes(this.#encoding())) throw this.#encodingError();
      // The text may lack a byte order mark of 3 bytes.
      this.#checkLength(new TextEncoder().encode(text).length + 3);
    } else if (
      isObject(parsed.value) && spec.isValid?.(parsed.value) !== false
    ) {
      return parsed.value;
    }
    const found = text === ""
      ? "empty"
      : parsed
      ? "of another shape"
      : "invalid JSON";
    throw this.#unexpected(
      `is not the expected JSON object: it is ${found} (${URL_HINT})`,
    );
  }

  /** Yields the chunks of the body. */
  async *chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const { response: { body }, request } = this;
    if (!isStream(body)) {
      const text = await this.text().catch((error) => {
        throw request.toError(error, this.response);
      });
      yield new TextEncoder().encode(text);
      return;
    }
    const reader = body.getReader();
    let size = 0;
    try {
      for (;;) {
        const { done, value } = await request.deadline.race(reader.read());
        if (done) return this.#checkLength(size);
        size += value.length;
        yield value;
      }
    } catch (error) {
      throw request.toError(error, this.response);
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  #isSuccess(): boolean {
    const { status } = this.response;
    return status >= 200 && status < 300 && status !== 206;
  }

  #checkShape(): void {
    const response: Partial<FetchResponse> = this.response ?? {};
    const { status, headers, text, arrayBuffer, body, type } = response;
    if (status === 0 && type === "error") throw new Error("network error");
    const [missing] = Object.entries({
      status: typeof status !== "number",
      headers: typeof headers?.get !== "function",
      "text()": typeof (text ?? arrayBuffer) !== "function",
      "an unread body": isStream(body) && body.locked,
    }).find(([, isMissing]) => isMissing) ?? [];
    if (missing === undefined) return;
    throw this.request.error(
      DecapodResponseError,
      `the custom fetch did not return a Response: it lacks ${missing} (return a new Response for each call, such as Response.json({}))`,
      { outcomeUnknown: true },
    );
  }

  /** Whether to use a reader, to cancel the body of a custom fetch. */
  #isStreamed(): boolean {
    return this.request.isCustom && isStream(this.response.body);
  }

  /** The first bytes of the body; all of them by default. */
  async #bytes(maxBytes = Number.MAX_SAFE_INTEGER): Promise<ArrayBuffer> {
    const chunks: BlobPart[] = [];
    let size = 0;
    for await (const chunk of this.chunks()) {
      chunks.push(chunk);
      if ((size += chunk.length) >= maxBytes) break;
    }
    return await new Blob(chunks).slice(0, maxBytes).arrayBuffer();
  }

  /** Throws if the body is truncated; some runtimes report it as complete. */
  #checkLength(size: number): void {
    const { headers } = this.response;
    const length = Number(headers.get("content-length"));
    // Most responses are complete: only others' encoding is read, and redacted.
    const isTruncated = size < length &&
      ["", "identity"].includes(this.#encoding());
    if (isTruncated) {
      throw new Error(`connection closed after ${size} of ${length} bytes`);
    }
  }

  #header(name: string): string {
    const value = this.response.headers.get(name) ?? "";
    return singleLine(this.request.redact(value));
  }

  #hasType(type: string): boolean {
    const value = this.response.headers.get("content-type") ?? "";
    if (value === type) return true;
    const [essence = ""] = value.split(/[;,]/);
    return essence.trim().toLowerCase().replace(/\/.*\+/, "/") === type;
  }

  #encoding(): string {
    return this.#header("content-encoding").toLowerCase();
  }

  #encodingError(): DecapodError {
    return this.#unexpected(
      `is encoded as "${this.#encoding()}", which was not requested or cannot be decoded`,
    );
  }

  /** The error for a response that Decapod would not send. */
  #unexpected(problem: string): DecapodError {
    return this.request.error(
      DecapodResponseError,
      `the response (status ${this.response.status}) ${problem}`,
      { outcomeUnknown: true },
    );
  }

  /** The error for an error status. */
  async #apiError(): Promise<DecapodError> {
    const { response: { status, headers, statusText }, request } = this;
    // If the body is truncated or still encoded, the status is enough.
    const isReadable = DECODED.includes(this.#encoding());
    const bytes = isReadable && await this.#bytes(MAX_ERROR_BODY)
      .catch(() => undefined);
    const body = bytes ? new TextDecoder().decode(bytes) : "";
    // The end of a truncated body may be a part of a secret.
    const isCut = bytes && bytes.byteLength === MAX_ERROR_BODY;
    const end = isCut ? -MAX_SECRET : undefined;
    const json = this.#hasType("application/json")
      ? parseJson<{ error?: unknown; message?: unknown } | null>(body)?.value
      : undefined;
    const text = (value: unknown) =>
      typeof value === "string" ? request.redact(value) : "";
    const error = RACES.find((name) => name === json?.error) ??
      (text(json?.error) || text(statusText));
    const headline = singleLine(error);
    const title = headline.startsWith(`${status}`)
      ? headline
      : `${status} ${headline}`.trim();
    const description = isObject(json)
      ? text(json.message)
      : withoutTags(text(body).slice(0, end), [title, headline]);
    const detail = singleLine(description, 250);
    const summary = !isObject(json) && detail.startsWith(`${status} `)
      ? detail
      : title.includes(detail)
      ? title
      : `${title}: ${detail}`;
    const hint = (isObject(json) ? "" : request.sizeHint()) ||
      statusHint(status, headline, isObject(json));
    const retryAfter = parseRetryAfter(headers.get("retry-after"));
    return request.error(
      DecapodAPIError,
      summary + hint,
      {
        code: status,
        error: error || `${status}`,
        description,
        outcomeUnknown: status >= 500,
        ...retryAfter !== undefined && { retryAfter },
      },
    );
  }
}

/** Whether a body is a web stream, not a stream of another library. */
export function isStream(
  body: unknown,
): body is ReadableStream<Uint8Array<ArrayBuffer>> {
  return isObject(body) && "getReader" in body &&
    typeof body.getReader === "function";
}

function statusHint(status: number, headline: string, isJson: boolean): string {
  // For an unknown id, the error is "NotFound".
  const isUnknownPath = status === 404 && headline.startsWith("404");
  const hint = HINTS[status] ??
    (isJson && isUnknownPath
      ? "check the URL and the ids"
      : !isJson && status < 500 && !PROXY_STATUSES.includes(status)
      ? URL_HINT
      : undefined);
  return hint ? ` (${hint})` : "";
}

/** The text of an HTML page, without titles that the message already has. */
function withoutTags(html: string, titles: string[]): string {
  const tags = /<(title|style|script)\b.*?<\/\1>|<[^<>]*>|\s+/gis;
  let text = singleLine(html.replace(tags, " ").replace(/ +/g, " "));
  for (const title of titles.filter(Boolean)) {
    while (text.toLowerCase().startsWith(title.toLowerCase())) {
      text = text.slice(title.length).trim();
    }
  }
  return text;
}
