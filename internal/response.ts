/** Reads a response, or creates the error that it stands for. */

import {
  DecapodAPIError,
  type DecapodError,
  DecapodResponseError,
} from "../errors.ts";
import { parseJson } from "./json.ts";
import { REDACTED, singleLine } from "./redact.ts";
import type { OutgoingRequest } from "./request.ts";
import { parseRetryAfter } from "./retry_after.ts";
import { isObject } from "./validate.ts";

/** Reads the body of a successful response. */
export type Read<T> = (
  response: Response,
  request: OutgoingRequest,
) => Promise<T> | T;

const MAX_ERROR_BODY = 64 * 1024;

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
const PLAIN = ["", "identity"];
const DECODED = [...PLAIN, "gzip", "br"];
const DECODED_ELSEWHERE = ["x-gzip", "deflate", "zstd"];

/** Whether the response is a success of the requested media type. */
export function isExpected(
  response: Response,
  { type }: OutgoingRequest,
): boolean {
  return response.ok && hasType(response, type);
}

/** The error for any other response. */
export async function responseError(
  response: Response,
  request: OutgoingRequest,
): Promise<DecapodError> {
  const header = (name: string) =>
    singleLine(request.redact(response.headers.get(name) ?? ""));
  const { status, ok, type } = response;
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
  response: Response | undefined,
  request: OutgoingRequest,
): void {
  const missing = !isObject(response)
    ? "everything"
    : typeof response.status !== "number"
    ? "status"
    : typeof response.headers?.get !== "function"
    ? "headers"
    : typeof response.text !== "function" &&
        typeof response.arrayBuffer !== "function"
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
  response: Response,
  request: OutgoingRequest,
): Promise<string> {
  checkEncoding(response, request);
  if (isStreamed(response, request)) return await collect(response, request);
  if (typeof response.arrayBuffer !== "function") {
    return await request.deadline.race(response.text());
  }
  const bytes = await request.deadline.race(response.arrayBuffer());
  checkLength(response, bytes.byteLength);
  return append("", response, request, () => new TextDecoder().decode(bytes));
}

/** Reads a body as a JSON object. */
export async function readObject<T extends object>(
  response: Response,
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
    checkEncoding(response, request);
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
  response: Response, // kept whole: Deno loses an abort otherwise
  request: OutgoingRequest,
): AsyncGenerator<Uint8Array, void, undefined> {
  checkEncoding(response, request);
  const reader = response.body?.getReader?.();
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
  { body }: Response,
  { isCustom }: OutgoingRequest,
): boolean {
  return isCustom && typeof body?.getReader === "function";
}

/** The text of a body, or of its first bytes. */
async function collect(
  response: Response,
  request: OutgoingRequest,
  maxBytes = Infinity,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of readChunks(response, request)) {
    text = append(
      text,
      response,
      request,
      () => decoder.decode(chunk, { stream: true }),
    );
    if ((maxBytes -= chunk.length) <= 0) break;
  }
  return text + decoder.decode();
}

/** Throws a useful error if a text becomes longer than a string can be. */
function append(
  text: string,
  response: Response,
  request: OutgoingRequest,
  decode: () => string,
): string {
  try {
    return text + decode();
  } catch {
    throw unexpected(
      response,
      request,
      "is longer than a string can be (use streamExecutionLog)",
    );
  }
}

/** An error about a response that Decapod would not send. */
function unexpected(
  { status }: Response,
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
function checkLength({ headers }: Response, size: number): void {
  const length = Number(headers.get("content-length"));
  const missing = length - size;
  // A byte order mark has 3 bytes, which are not part of the text.
  if (missing > 0 && missing !== 3 && !headers.has("content-encoding")) {
    throw new Error(`connection closed after ${size} of ${length} bytes`);
  }
}

/** Throws if the body is compressed in a way that the runtime does not decode. */
function checkEncoding(response: Response, request: OutgoingRequest): void {
  const header = response.headers.get("content-encoding");
  const encoding = header?.trim().toLowerCase() ?? "";
  const accepted = request.headers["accept-encoding"];
  const isDeno = "Deno" in globalThis;
  // Deno decodes nothing if the header was set.
  const isUndecoded = accepted === "identity" ||
    accepted !== undefined && isDeno;
  const decoded = isUndecoded
    ? PLAIN
    : isDeno
    ? DECODED
    : [...DECODED, ...DECODED_ELSEWHERE];
  if (decoded.includes(encoding)) return;
  throw unexpected(
    response,
    request,
    `is encoded as "${singleLine(request.redact(encoding), 40)}", which ${
      accepted === "identity"
        ? "was not requested (does a proxy compress it?)"
        : "this runtime does not decode"
    }`,
  );
}

function hasType({ headers }: Response, type: string): boolean {
  const value = headers.get("content-type") ?? "";
  if (value === type) return true;
  const [essence = ""] = value.split(/[;,]/);
  return essence.trim().toLowerCase().replace(/\/.*\+/, "/") === type;
}

/** The error for an error status. */
async function apiError(
  response: Response,
  request: OutgoingRequest,
): Promise<DecapodError> {
  const { status, headers } = response;
  // If the body is truncated, the status is enough.
  const body = await collect(response, request, MAX_ERROR_BODY)
    .catch(() => "");
  const json = hasType(response, "application/json")
    ? parseJson<{ error?: unknown; message?: unknown } | null>(body)?.value
    : undefined;
  const text = (value: unknown) =>
    typeof value === "string" ? request.redact(value) : "";
  const statusText = text(response.statusText);
  const name = redactName(json?.error, text);
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
  const text = singleLine(html.replace(/<[^<>]*>/g, " "));
  return text.replaceAll(title, " ").replace(/\s+/g, " ").trim();
}

/** A class name stays readable even if a short secret is part of it. */
function redactName(name: unknown, text: (value: unknown) => string): string {
  const redacted = text(name);
  return typeof name === "string" && /^(?:[A-Z][a-z]+){2,}$/.test(name) &&
      redacted !== REDACTED
    ? name
    : redacted;
}
