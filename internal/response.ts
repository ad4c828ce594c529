/** One answer of the server: its status, its type, its body. */

import { isObject } from "./validate.ts";
import {
  DecapodAPIError,
  type DecapodError,
  type DecapodErrorOptions,
  DecapodResponseError,
} from "../errors.ts";
import { oneLine, type Redact, REDACTED } from "./redact.ts";

/** The call that an answer belongs to. */
export interface Exchange {
  /** Ends the reading of the body. */
  readonly signal: AbortSignal;
  /** Whether the runtime's own fetch gave the answer: it minds the signal. */
  readonly light: boolean;
  /** Takes the secrets out of a text. */
  redact(text: string): string;
  /** Makes an error that says which request it was. */
  fail<Options extends DecapodErrorOptions>(
    Class: new (message: string, options: Options) => DecapodError,
    happened: string,
    options: Options,
  ): DecapodError;
  /** What a caller gets to see of something that was thrown. */
  shown(error: unknown): unknown;
}

/** Reads a body; undefined if it is not what it should be. */
export type Read<T> = (
  response: Response,
  exchange: Exchange,
) => Promise<T | undefined> | T;

/** The media type of models. */
export const JSON_TYPE = "application/json";

/** The most of an error's body that is read, in bytes. */
const LONGEST_ERROR_BODY = 64 * 1024;

/** The longest wait that a server can ask for, in ms. */
const LONGEST_RETRY_AFTER = 30_000;

const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT$/;

/** What to do about a status. */
const ADVICE: Record<number, string> = {
  401: " (check the login and the password)",
  403: " (the method's documentation names the permission)",
  413: " (the proxy in front of Decapod takes less at once)",
};

/** What is wrong with an answer that is no success of this type, if it is. */
export function misfit(
  response: Response,
  type: string,
  exchange: Exchange,
): Promise<DecapodError> | DecapodError | undefined {
  const { status, type: kind, ok } = response;
  if (!ok) {
    const place = header(response, "location", exchange)
      .replace(/\/\/[^/?#]*@/g, `//${REDACTED}@`);
    return kind === "opaqueredirect" || place && status < 400
      ? unfit(
        response,
        exchange,
        `a redirect to ${
          place || "another place"
        }, which would lose the method and the token: use the URL that Decapod itself has`,
      )
      : refusal(response, exchange);
  }
  return isType(response, type) ? undefined : unfit(
    response,
    exchange,
    `${
      header(response, "content-type", exchange) || "no content type"
    } instead of ${type}: check that the URL is that of the Decapod API`,
  );
}

/** An error that says what came instead of what was asked for. */
export function unfit(
  { status }: Response,
  exchange: Exchange,
  what: string,
): DecapodError {
  return exchange.fail(
    DecapodResponseError,
    `the answer (status ${status}) is ${what}`,
    { outcomeUnknown: true },
  );
}

/** A header as it may be shown. */
function header(
  { headers }: Response,
  name: string,
  exchange: Exchange,
): string {
  return oneLine(exchange.redact(headers.get(name) ?? ""));
}

/** Reads a body as text. */
export async function readText(
  response: Response,
  exchange: Exchange,
): Promise<string> {
  if (!exchange.light) return await collect(response, exchange);
  const bytes = await response.arrayBuffer(); // much faster than pieces
  checkLength(response, bytes.byteLength);
  return new TextDecoder().decode(bytes);
}

/** Reads a body as a JSON object. */
export function readObject<T extends object>(
  response: Response,
  exchange: Exchange,
): Promise<T | undefined> {
  if (!exchange.light) return collect(response, exchange).then(parseObject<T>);
  return response.text().then((text) => {
    const value = parseObject<T>(text);
    // What broke off is no JSON: only then is the length worth a look.
    if (!value) checkLength(response, new TextEncoder().encode(text).length);
    return value;
  });
}

/** Gives the pieces of a body, which has to be as long as it says. */
export async function* readPieces(
  response: Response, // kept whole: Deno forgets an abort otherwise
  exchange: Exchange,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal } = exchange;
  const reader = response.body?.getReader();
  if (!reader) return;
  const stop = () => reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop);
  let size = 0;
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return checkLength(response, size);
      size += value.length;
      yield value;
    }
  } catch (error) {
    throw exchange.shown(error);
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/** A body as text, from its pieces; what comes after so many bytes is cut. */
async function collect(
  response: Response,
  exchange: Exchange,
  most = Infinity,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of readPieces(response, exchange)) {
    text += decoder.decode(piece, { stream: true });
    if ((most -= piece.length) <= 0) break;
  }
  return text + decoder.decode();
}

/** Some runtimes pass a body that broke off for a whole one. */
function checkLength({ headers }: Response, size: number): void {
  const length = Number(headers.get("content-length"));
  if (size < length && !headers.has("content-encoding")) {
    throw new Error(`connection closed after ${size} of ${length} bytes`);
  }
}

/** Whether it has this media type, with whatever parameters. */
function isType({ headers }: Response, type: string): boolean {
  const given = headers.get("content-type") ?? "";
  if (given === type) return true; // as a rule
  const [essence = ""] = given.split(/[;,]/);
  return essence.trim().toLowerCase().replace(/\/.*\+/, "/") === type;
}

/** The error for an error status. */
async function refusal(
  response: Response,
  exchange: Exchange,
): Promise<DecapodError> {
  const { status, headers } = response;
  const redact = (text: string) => exchange.redact(text);
  // Where the body breaks off, the status alone says enough.
  const body = await collect(response, exchange, LONGEST_ERROR_BODY)
    .catch(() => "");
  const { error, message } = isType(response, JSON_TYPE) &&
      parseObject<{ error?: unknown; message?: unknown }>(body) || {
    // First without secrets, then without tags: half a secret is not known.
    message: oneLine(redact(body).replace(/<[^<>]*>/g, " ")),
  };
  const statusText = redact(response.statusText);
  const name = typeof error === "string" ? redactName(error, redact) : "";
  const description = typeof message === "string" ? redact(message) : "";
  // A routing error says its status and its text once more in its name.
  const headline = oneLine(name || statusText);
  const title = headline.startsWith(`${status}`)
    ? headline
    : `${status} ${headline}`;
  const said = oneLine(description);
  // An unknown path, as opposed to an unknown id.
  const lost = status === 404 && headline.startsWith("404");
  const advice = lost ? " (check the URL and the ids)" : ADVICE[status] ?? "";
  const retryAfter = readRetryAfter(headers.get("retry-after") ?? "");
  return exchange.fail(
    DecapodAPIError,
    (title.includes(said) ? title : `${title}: ${said}`).trim() + advice,
    {
      code: status,
      error: name || statusText || `${status}`,
      description,
      outcomeUnknown: status >= 500,
      ...retryAfter !== undefined && { retryAfter },
    },
  );
}

/**
 * What a JSON object says, or undefined. The parser's own error is of no use:
 * it quotes the text, and there may be a token in it.
 */
function parseObject<T extends object>(text: string): T | undefined {
  try {
    const value: T | null = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A class name is no echo, even if a secret happens to be a part of it. */
function redactName(name: string, redact: Redact): string {
  const shown = redact(name);
  return /^(?:[A-Z][a-z]+){2,}$/.test(name) && shown !== REDACTED
    ? name
    : shown;
}

/** Milliseconds to wait; undefined if the header is none that HTTP knows. */
function readRetryAfter(value: string): number | undefined {
  const wait = /^\d+$/.test(value)
    ? Number(value) * 1000
    : HTTP_DATE.test(value)
    ? Date.parse(value) - Date.now()
    : NaN;
  return Number.isNaN(wait)
    ? undefined
    : Math.min(Math.max(wait, 0), LONGEST_RETRY_AFTER);
}
