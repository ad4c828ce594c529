/** Reads a response, or creates the error that it stands for. */

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

/** Reads the body of a successful response. */
export type Read<T> = (
  response: FetchResponse,
  request: OutgoingRequest,
) => Promise<T> | T;

const MAX_ERROR_BODY = 64 * 1024;

/** The longest string of V8, which has the shortest ones. */
const MAX_TEXT = 2 ** 29 - 24;

const URL_HINT = "check that the URL is that of the Decapod API";

/** What to do about statuses whose cause is not obvious. */
const HINTS: Record<number, string> = {
  401: "check the login and the password",
  403: "the method's documentation names the permission",
  407: "the proxy requires a login",
  413: "the proxy in front of Decapod accepts less at once",
};

/** Statuses of proxies, which say nothing about the URL. */
const PROXY_STATUSES = [407, 408, 413, 414, 429, 431];

/** Encodings that the runtimes decode; Deno decodes two of them. */
const DECODED = ["gzip", "br"];
const DECODED_ELSEWHERE = ["x-gzip", "deflate", "zstd"];

/** Whether the response is a success that can be read as requested. */
export function isExpected(
  response: FetchResponse,
  request: OutgoingRequest,
): boolean {
  return response.ok && hasType(response, request.type) &&
    (request.type !== "text/plain" || isDecoded(response, request));
}

/** The error for any other response. */
export async function responseError(
  response: FetchResponse,
  request: OutgoingRequest,
): Promise<DecapodError> {
  const header = (name: string) =>
    singleLine(request.redact(response.headers.get(name) ?? ""));
  const { status, ok, type } = response;
  if (ok && !isDecoded(response, request)) {
    return encodingError(response, request);
  }
  if (ok) {
    const contentType = header("content-type");
    return unexpected(
      response,
      request,
      status === 204
        ? `has no content (${URL_HINT})`
        : `is ${
          contentType || "of an unknown type"
        } instead of ${request.type} (${URL_HINT})`,
    );
  }
  const location = header("location")
    .replace(/\/\/[^/?#]*@/g, `//${REDACTED}@`);
  if (type === "opaqueredirect" || location && status < 400) {
    return unexpected(
      response,
      request,
      `is a redirect to ${
        location || "another place"
      }, which would lose the method and the token (use the URL that Decapod itself has)`,
    );
  }
  return await apiError(response, request);
}

/** Throws if a custom fetch returned something other than a Response. */
export function checkShape(
  response: Partial<FetchResponse> | undefined,
  request: OutgoingRequest,
): void {
  const { status, headers, text, arrayBuffer } = response ?? {};
  const missing = typeof status !== "number"
    ? "status"
    : typeof headers?.get !== "function"
    ? "headers"
    : typeof (text ?? arrayBuffer) !== "function"
    ? "text()"
    : undefined;
  if (missing === undefined) return;
  throw request.error(
    DecapodResponseError,
    `the custom fetch did not return a Response: it lacks ${missing} (return a Response, such as Response.json({}))`,
    { outcomeUnknown: true },
  );
}

/** Reads a body as text. */
export async function readText(
  response: FetchResponse,
  request: OutgoingRequest,
): Promise<string> {
  if (isStreamed(response, request)) {
    return decode(await readBytes(response, request), response, request);
  }
  if (typeof response.arrayBuffer !== "function") {
    return await request.deadline.race(response.text());
  }
  const bytes = await request.deadline.race(response.arrayBuffer());
  checkLength(response, bytes.byteLength);
  return decode(bytes, response, request);
}

/** Reads a body as a JSON object. */
export async function readObject<T extends object>(
  response: FetchResponse,
  request: OutgoingRequest,
): Promise<T> {
  const text = isStreamed(response, request) ||
      typeof response.text !== "function"
    ? await readText(response, request)
    : await request.deadline.race(response.text());
  const parsed = parseJson<T>(text);
  if (parsed && isObject(parsed.value)) {
    if (request.spec.isValid?.(parsed.value) !== false) return parsed.value;
  }
  if (!parsed) {
    if (!isDecoded(response, request)) throw encodingError(response, request);
    checkLength(response, new TextEncoder().encode(text).length);
  }
  throw unexpected(
    response,
    request,
    `is not the expected JSON object: it is ${
      text === "" ? "empty" : parsed ? "of another shape" : "invalid JSON"
    } (${URL_HINT})`,
  );
}

/** Yields the chunks of a body. */
export async function* readChunks(
  response: FetchResponse, // kept whole: Deno loses an abort otherwise
  request: OutgoingRequest,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const reader = isStream(response.body) && response.body.getReader();
  if (!reader) {
    yield new TextEncoder().encode(await readText(response, request));
    return;
  }
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await request.deadline.race(reader.read());
      if (done) return checkLength(response, size);
      size += value.length;
      yield value;
    }
  } catch (error) {
    throw request.toError(error, response);
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** A custom fetch may ignore the signal; only a reader can cancel its body. */
function isStreamed(
  { body }: FetchResponse,
  request: OutgoingRequest,
): boolean {
  return request.isCustom && isStream(body);
}

/** Whether a body is a web stream, and not the stream of another library. */
export function isStream(
  body: unknown,
): body is ReadableStream<Uint8Array<ArrayBuffer>> {
  return isObject(body) && "getReader" in body &&
    typeof body.getReader === "function";
}

/** The bytes of a body, or its first ones. */
async function readBytes(
  response: FetchResponse,
  request: OutgoingRequest,
  maxBytes = Infinity,
): Promise<ArrayBuffer> {
  const chunks: BlobPart[] = [];
  let size = 0;
  for await (const chunk of readChunks(response, request)) {
    chunks.push(chunk);
    if ((size += chunk.length) >= maxBytes) break;
  }
  return await new Blob(chunks).arrayBuffer();
}

function decode(
  bytes: ArrayBuffer,
  response: FetchResponse,
  request: OutgoingRequest,
): string {
  if (bytes.byteLength <= MAX_TEXT) return new TextDecoder().decode(bytes);
  throw unexpected(
    response,
    request,
    `has ${bytes.byteLength} bytes, more than fit into a string (use streamExecutionLog)`,
  );
}

/** An error about a response that Decapod would not send. */
function unexpected(
  { status }: FetchResponse,
  request: OutgoingRequest,
  problem: string,
): DecapodError {
  return request.error(
    DecapodResponseError,
    `the response (status ${status}) ${problem}`,
    { outcomeUnknown: true },
  );
}

/** Some runtimes report a truncated body as complete. */
function checkLength({ headers }: FetchResponse, size: number): void {
  const length = Number(headers.get("content-length"));
  const missing = length - size;
  // A byte order mark has 3 bytes, which are not part of the text.
  if (missing > 0 && missing !== 3 && !headers.get("content-encoding")) {
    throw new Error(`connection closed after ${size} of ${length} bytes`);
  }
}

/**
 * Whether the runtime decoded the body. If a request names encodings itself,
 * Deno decodes none and others do not notice a truncated body.
 */
function isDecoded(
  response: FetchResponse,
  { headers }: OutgoingRequest,
): boolean {
  const encoding = encodingOf(response);
  if (encoding === "" || encoding === "identity") return true;
  const accepted = headers["accept-encoding"];
  if (accepted === "identity") return false;
  return "Deno" in globalThis
    ? accepted === undefined && DECODED.includes(encoding)
    : DECODED.includes(encoding) || DECODED_ELSEWHERE.includes(encoding);
}

function encodingOf({ headers }: FetchResponse): string {
  return headers.get("content-encoding")?.trim().toLowerCase() ?? "";
}

function encodingError(
  response: FetchResponse,
  request: OutgoingRequest,
): DecapodError {
  const encoding = singleLine(request.redact(encodingOf(response)), 40);
  return unexpected(
    response,
    request,
    `is encoded as "${encoding}", which was not requested or cannot be decoded`,
  );
}

function hasType({ headers }: FetchResponse, type: string): boolean {
  const value = headers.get("content-type") ?? "";
  if (value === type) return true;
  const [essence = ""] = value.split(/[;,]/);
  return essence.trim().toLowerCase().replace(/\/.*\+/, "/") === type;
}

/** The error for an error status. */
async function apiError(
  response: FetchResponse,
  request: OutgoingRequest,
): Promise<DecapodError> {
  const { status, headers } = response;
  // If the body is truncated, the status is enough.
  const body = await readBytes(response, request, MAX_ERROR_BODY)
    .then((bytes) => new TextDecoder().decode(bytes), () => "");
  const json = hasType(response, "application/json")
    ? parseJson<{ error?: unknown; message?: unknown } | null>(body)?.value
    : undefined;
  const text = (value: unknown) =>
    typeof value === "string" ? request.redact(value) : "";
  const statusText = text(response.statusText);
  const name = text(json?.error);
  const headline = singleLine(name || statusText);
  const title = headline.startsWith(`${status}`)
    ? headline
    : `${status} ${headline}`.trim();
  const description = isObject(json)
    ? text(json.message)
    : withoutTags(text(body), title);
  const detail = singleLine(description, 250);
  const hint = request.sizeHint() ||
    statusHint(status, headline, isObject(json));
  const retryAfter = parseRetryAfter(headers.get("retry-after"));
  return request.error(
    DecapodAPIError,
    (title.includes(detail) ? title : `${title}: ${detail}`) + hint,
    {
      code: status,
      error: name || statusText || `${status}`,
      description,
      outcomeUnknown: status >= 500,
      ...retryAfter !== undefined && { retryAfter },
    },
  );
}

function statusHint(status: number, headline: string, isJson: boolean): string {
  const isUnknownPath = status === 404 && headline.startsWith("404");
  const hint = HINTS[status] ??
    (isJson && isUnknownPath
      ? "check the URL and the ids"
      : !isJson && status < 500 && !PROXY_STATUSES.includes(status)
      ? URL_HINT
      : undefined);
  return hint ? ` (${hint})` : "";
}

/** The text of a page without its title, which the error says already. */
function withoutTags(html: string, title: string): string {
  const text = html.replace(
    /<(title|style|script)\b.*?<\/\1>|<[^<>]*>/gis,
    " ",
  );
  return singleLine(text.replaceAll(title, " "));
}
