/** One answer of the server: its status, its type, its body. */

import {
  DecapodAPIError,
  type DecapodError,
  type DecapodErrorOptions,
  DecapodResponseError,
} from "./errors.ts";
import { oneLine, type Redact, REDACTED } from "./_redact.ts";
import type { Scope } from "./_scope.ts";

/** Makes an error that says which request it was. */
export type Fail = <Options extends DecapodErrorOptions>(
  Class: new (message: string, options: Options) => DecapodError,
  happened: string,
  options: Options,
) => DecapodError;

/** A media type that can be asked for. */
export interface MediaType {
  name: string;
  pattern: RegExp;
}

/** What models come as. */
export const JSON_TYPE: MediaType = {
  name: "application/json",
  pattern: /^\s*application\/(?:[\w.+-]+\+)?json\s*(?:[;,]|$)/i,
};

/** What logs come as. */
export const TEXT_TYPE: MediaType = {
  name: "text/plain",
  pattern: /^\s*text\/plain\s*(?:[;,]|$)/i,
};

/** The most of an error's body that is read, in bytes. */
const LONGEST_ERROR_BODY = 64 * 1024;

/** The longest wait that a server can ask for, in ms. */
const LONGEST_RETRY_AFTER = 30_000;

const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT$/;

/** What to do about a status. */
const ADVICE: Record<number, string> = {
  401: " (check the login and the password)",
  403: " (the role of this user does not allow it)",
  413: " (the proxy in front of Decapod takes less at once)",
};

/** An answer whose body is still to be read. */
export class Answer {
  readonly #response: Response; // kept whole: Deno forgets an abort otherwise
  readonly #scope: Scope;
  readonly #fail: Fail;
  readonly #redact: () => Redact;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(
    response: Response,
    scope: Scope,
    fail: Fail,
    redact: () => Redact,
  ) {
    this.#response = response;
    this.#scope = scope;
    this.#fail = fail;
    this.#redact = redact;
  }

  /** The HTTP status. */
  get status(): number {
    return this.#response.status;
  }

  /** Refuses what is no success: redirects and errors. */
  async check(): Promise<void> {
    const { status, ok, type } = this.#response;
    if (ok) return;
    const location = this.#header("location")
      .replace(/\/\/[^/?#]*@/g, `//${REDACTED}@`);
    if (type === "opaqueredirect" || location !== "" && status < 400) {
      throw this.unfit(
        `a redirect to ${
          location || "another place"
        }, which would lose the method and the token: use the URL that Decapod itself has`,
      );
    }
    throw await this.#apiError();
  }

  /** Refuses a body of another type. */
  expect({ name, pattern }: MediaType): void {
    if (!pattern.test(this.#response.headers.get("content-type") ?? "")) {
      const type = this.#header("content-type");
      throw this.unfit(
        `${
          type || "no content type"
        } instead of ${name}: check that the URL is that of the Decapod API`,
      );
    }
  }

  /** An error that says what came instead of what was asked for. */
  unfit(what: string): DecapodError {
    return this.#fail(
      DecapodResponseError,
      `the answer (status ${this.status}) is ${what}`,
      { outcomeUnknown: true },
    );
  }

  /** The whole body, or what fits into so many bytes. */
  async text(most = Infinity): Promise<string> {
    let text = "";
    let size = 0;
    const decoder = new TextDecoder();
    for await (const chunk of this.#bytes()) {
      size += chunk.length;
      text += decoder.decode(chunk, { stream: true });
      if (size >= most) break;
    }
    return text + decoder.decode();
  }

  /** The body piece by piece; the deadline holds for each of them. */
  async *chunks(): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    this.#scope.restart();
    for await (const chunk of this.#bytes()) {
      this.#scope.pause();
      yield decoder.decode(chunk, { stream: true });
      this.#scope.restart();
    }
    yield decoder.decode();
  }

  /** Closes the body, read or not. */
  cancel(): void {
    (this.#reader ?? this.#response.body)?.cancel().catch(() => {});
  }

  async *#bytes(): AsyncGenerator<Uint8Array> {
    const { signal } = this.#scope;
    const reader = this.#response.body?.getReader();
    if (reader === undefined) return;
    this.#reader = reader;
    const stop = () => this.cancel();
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
      const { headers } = this.#response;
      const length = headers.get("content-length");
      if (
        length !== null && size < Number(length) &&
        !headers.has("content-encoding")
      ) throw new Error(`connection closed after ${size} of ${length} bytes`);
    } finally {
      signal.removeEventListener("abort", stop);
      this.cancel();
    }
  }

  async #apiError(): Promise<DecapodError> {
    const { status, headers } = this.#response;
    const { error, description } = await this.#errorBody();
    const statusText = this.#redact()(this.#response.statusText);
    const retryAfter = readRetryAfter(headers.get("retry-after"));
    // A routing error says its status and its text once more in its name.
    const headline = oneLine(error || statusText);
    const title = headline.startsWith(String(status))
      ? headline
      : `${status} ${headline}`;
    const text = oneLine(description);
    return this.#fail(
      DecapodAPIError,
      (title.includes(text) ? title : `${title}: ${text}`).trim() +
        (ADVICE[status] ?? ""),
      {
        code: status,
        error: error || statusText || String(status),
        description,
        outcomeUnknown: status >= 500,
        ...(retryAfter !== undefined && { retryAfter }),
      },
    );
  }

  /** What an error's body says, as far as it can be read and be shown. */
  async #errorBody(): Promise<{ error: string; description: string }> {
    const redact = this.#redact();
    let text = "";
    try {
      text = await this.text(LONGEST_ERROR_BODY);
    } catch {
      this.#scope.signal.throwIfAborted();
      // It broke off: the status alone says enough.
    }
    const type = this.#response.headers.get("content-type") ?? "";
    const value = JSON_TYPE.pattern.test(type) &&
      parseJson<{ error?: unknown; message?: unknown }>(text);
    if (value) {
      const { error, message } = value;
      return {
        error: typeof error === "string" ? redactName(error, redact) : "",
        description: typeof message === "string" ? redact(message) : "",
      };
    }
    // First without secrets, then without tags: half a secret is not known.
    const description = oneLine(redact(text).replace(/<[^<>]*>/g, " "));
    return { error: "", description };
  }

  /** A header as it may be shown. */
  #header(name: string): string {
    return oneLine(this.#redact()(this.#response.headers.get(name) ?? ""));
  }
}

/**
 * What a JSON object says, or undefined. The parser's own error is of no use:
 * it quotes the text, and there may be a token in it.
 */
export function parseJson<T extends object>(text: string): T | undefined {
  try {
    const value: T | null = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value)
      ? value
      : undefined;
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
  let wait;
  if (/^\d+$/.test(value)) wait = Number(value) * 1000;
  else if (HTTP_DATE.test(value)) wait = Date.parse(value) - Date.now();
  return wait === undefined || Number.isNaN(wait)
    ? undefined
    : Math.min(Math.max(wait, 0), LONGEST_RETRY_AFTER);
}
