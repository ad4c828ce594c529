/** One answer of the server: its status, its type, its body. */

import { isObject } from "./_check.ts";
import {
  DecapodAPIError,
  type DecapodError,
  type DecapodErrorOptions,
  DecapodResponseError,
} from "./errors.ts";
import { oneLine, type Redact, REDACTED } from "./_redact.ts";

/** What is around an answer. */
export interface Context {
  /** Makes an error that says which request it was. */
  fail: <Options extends DecapodErrorOptions>(
    Class: new (message: string, options: Options) => DecapodError,
    happened: string,
    options: Options,
  ) => DecapodError;
  /** Makes what takes the secrets out of a text. */
  redact: () => Redact;
  /** Ends the reading of the body. */
  signal: AbortSignal;
  /** Whether the runtime's own fetch gave the answer: it minds the signal. */
  light: boolean;
}

/** A kind of answer that can be asked for. */
export interface Kind<T> {
  /** Its media type. */
  type: string;
  /** Reads it; undefined if that is not what it is. */
  read: (response: Response, context: Context) => Promise<T | undefined> | T;
}

/** What logs come as. */
export const TEXT_KIND: Kind<string> = { type: "text/plain", read: readText };

/** A log that is still to be read. */
export const STREAM_KIND: Kind<AsyncIterable<Uint8Array>> = {
  type: TEXT_KIND.type,
  read: (response, { signal }) => pieces(response, signal),
};

/**
 * What models come as.
 *
 * @param fits Whether an object is what can be expected.
 */
export function jsonKind<T extends object>(
  fits: (answer: object) => boolean = () => true,
): Kind<T> {
  return {
    type: JSON_TYPE,
    async read(response, context) {
      const answer = parseObject<T>(await readText(response, context));
      return answer && fits(answer) ? answer : undefined;
    },
  };
}

const JSON_TYPE = "application/json";

/** The most of an error's body that is read, in bytes. */
const LONGEST_ERROR_BODY = 64 * 1024;

/** The longest wait that a server can ask for, in ms. */
const LONGEST_RETRY_AFTER = 30_000;

/** What to do about a status. */
const ADVICE: Record<number, string> = {
  401: " (check the login and the password)",
  403: " (the role of this user does not allow it)",
  413: " (the proxy in front of Decapod takes less at once)",
};

/** Reads an answer of this kind, or throws what is wrong with it. */
export async function readAnswer<T>(
  response: Response,
  { type, read }: Kind<T>,
  context: Context,
): Promise<T> {
  if (!response.ok) throw await refusal(response, context);
  if (!isType(response, type)) {
    const other = header(response, "content-type", context.redact());
    throw unfit(
      response,
      context,
      `${
        other || "of no type"
      }, not ${type}: check that the URL is that of the Decapod API`,
    );
  }
  const answer = await read(response, context);
  if (answer !== undefined) return answer;
  throw unfit(
    response,
    context,
    "not what Decapod gives here: it is empty, cut off, broken or of another shape",
  );
}

/** An error that says what came instead of what was asked for. */
function unfit(
  { status }: Response,
  { fail }: Context,
  what: string,
): DecapodError {
  return fail(
    DecapodResponseError,
    `the answer (status ${status}) is ${what}`,
    { outcomeUnknown: true },
  );
}

async function readText(
  response: Response,
  { signal, light }: Context,
): Promise<string> {
  if (!light) return await collect(response, signal);
  const bytes = await response.arrayBuffer(); // much faster than pieces
  checkLength(response, bytes.byteLength);
  return new TextDecoder().decode(bytes);
}

/** The pieces of a body, which has to be as long as it says. */
async function* pieces(
  response: Response, // kept whole: Deno forgets an abort otherwise
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  const stop = () => reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop);
  let size = 0;
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) break;
      size += value.length;
      yield value;
    }
    checkLength(response, size);
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/** A body as text; what comes after so many bytes is left out. */
async function collect(
  response: Response,
  signal: AbortSignal,
  most = Infinity,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of pieces(response, signal)) {
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
  const [essence = ""] = (headers.get("content-type") ?? "").split(/[;,]/);
  return essence.trim().toLowerCase().replace(/\/.*\+/, "/") === type;
}

/** The error for a redirect or an error status. */
async function refusal(
  response: Response,
  context: Context,
): Promise<DecapodError> {
  const { status, headers, type } = response;
  const redact = context.redact();
  const location = header(response, "location", redact)
    .replace(/\/\/[^/?#]*@/g, `//${REDACTED}@`);
  if (type === "opaqueredirect" || location && status < 400) {
    return unfit(
      response,
      context,
      `a redirect to ${
        location || "another place"
      }, which would lose the method and the token: use the URL that Decapod itself has`,
    );
  }
  // Where the body breaks off, the status alone says enough.
  const body = await collect(response, context.signal, LONGEST_ERROR_BODY)
    .catch(() => "");
  const json = isType(response, JSON_TYPE) &&
    parseObject<{ error?: unknown; message?: unknown }>(body);
  const { error, message } = json || {
    // First without secrets, then without tags: half a secret is not known.
    message: oneLine(redact(body).replace(/<[^<>]*>/g, " ")),
  };
  const statusText = redact(response.statusText);
  const name = typeof error === "string" ? redactName(error, redact) : "";
  const description = typeof message === "string" ? redact(message) : "";
  // A routing error says its status and its text once more in its name.
  const headline = oneLine(name || statusText);
  const title = headline.startsWith(String(status))
    ? headline
    : `${status} ${headline}`;
  const said = oneLine(description);
  const retryAfter = readRetryAfter(headers.get("retry-after"));
  return context.fail(
    DecapodAPIError,
    (title.includes(said) ? title : `${title}: ${said}`).trim() +
      (ADVICE[status] ?? ""),
    {
      code: status,
      error: name || statusText || String(status),
      description,
      outcomeUnknown: status >= 500,
      ...retryAfter !== undefined && { retryAfter },
    },
  );
}

/** A header as it may be shown. */
function header({ headers }: Response, name: string, redact: Redact): string {
  return oneLine(redact(headers.get(name) ?? ""));
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
function readRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const wait = /^\d+$/.test(value)
    ? Number(value) * 1000
    : /^\w{3}, .* GMT$/.test(value)
    ? Date.parse(value) - Date.now()
    : NaN;
  return Number.isNaN(wait)
    ? undefined
    : Math.min(Math.max(wait, 0), LONGEST_RETRY_AFTER);
}
