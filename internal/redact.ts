/** Redacts secrets; OutgoingRequest.redact() in request.ts says which. */

/** What replaces a secret. */
export const REDACTED = "[redacted]";

/** Removes every known secret from a text. */
type Redact = (text: string) => string;

/** Redacting shorter secrets would garble messages and reveal them. */
const MIN_SECRET = 4;

/** How deep the causes of an error are copied. */
const MAX_DEPTH = 8;

/** The names of HTML entities. */
const HTML_NAMES: Record<string, string> = {
  "&": "amp",
  "<": "lt",
  ">": "gt",
  '"': "quot",
  "'": "apos",
};

/** The letters of JSON's escapes. */
const ESCAPES: Record<string, string> = {
  "\b": "b",
  "\t": "t",
  "\n": "n",
  "\f": "f",
  "\r": "r",
};

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

function twice(text: string): string[] {
  return [text, encodeURIComponent(text)];
}

/** A pattern of backslashes, which JSON doubles: together they are not ambiguous. */
function anyBackslashes(count: number): string {
  const encoded = "(?:%(?:25)?5C|&#(?:0*92|x0*5c);|\\\\{1,2}u005c)";
  return `(?:\\\\{${count},${4 * count}}|${encoded}{${count}})`;
}

/** A pattern that matches a character in any encoding that servers echo. */
function anyEncoding(char: string): string {
  if (/[\w.~-]/.test(char)) return escapePattern(char); // never encoded
  const hex = (number: number) => number.toString(16);
  const code = Number(char.codePointAt(0));
  const url = encodeURIComponent(char.toWellFormed());
  const form = new URLSearchParams([["", char]]).toString().slice(1);
  const texts = [char, ...[url, form].flatMap(twice)];
  const units = char.split("").map((unit) => hex(unit.charCodeAt(0)));
  const entity = [HTML_NAMES[char], `#0*${code}`, `#x0*${hex(code)}`];
  const patterns = [
    ...texts.map(escapePattern),
    units.map((unit) => `\\\\{1,2}u${unit.padStart(4, "0")}`).join(""),
    `&(?:${entity.filter(Boolean).join("|")});`,
  ];
  // JSON, JSON inside JSON, and Python's repr.
  const escaped = ESCAPES[char] ?? (/['"/]/.test(char) && escapePattern(char));
  if (escaped) patterns.push(`\\\\{1,3}${escaped}`);
  return `(?:${[...new Set(patterns)].join("|")})`;
}

/** Replaces every secret in a text, in any case and any common encoding. */
export function redacted(text: string, secrets: readonly string[]): string {
  const patterns = [...new Set(secrets)]
    .filter(({ length }) => length >= MIN_SECRET)
    .sort((a, b) => b.length - a.length) // one may contain another
    .map((secret) =>
      secret.replace(
        /\\+|[^\\]/gu,
        (part) =>
          part.startsWith("\\")
            ? anyBackslashes(part.length)
            : anyEncoding(part),
      )
    );
  if (patterns.length === 0) return text;
  try {
    return text.replace(new RegExp(patterns.join("|"), "gi"), REDACTED);
  } catch {
    return REDACTED; // the pattern of a secret of 6000 symbols is too large
  }
}

/** A copy of an error: redacted name, message, stack, code and causes. */
export function redactError(
  error: unknown,
  redact: Redact,
  depth = 0,
): unknown {
  if (!isError(error)) return redact(toText(error));
  const copy = new Error(redact(error.message));
  // An assignment fails if a program froze Error.prototype.
  Object.defineProperty(copy, "name", {
    value: redact(error.name),
    configurable: true,
    writable: true,
  });
  copy.stack = redact(toText(error.stack ?? "")); // hooks may return an array
  if ("code" in error) {
    const { code } = error;
    const safe = typeof code === "number" ? code : redact(toText(code));
    Object.assign(copy, { code: safe });
  }
  const [first] = "errors" in error && Array.isArray(error.errors)
    ? error.errors
    : [];
  const cause = error.cause ?? first;
  if (cause !== undefined && depth < MAX_DEPTH) {
    copy.cause = redactError(cause, redact, depth + 1);
  }
  return copy;
}

/** Whether a value is an error, possibly of another realm, as in Jest. */
function isError(value: unknown): value is Error {
  return typeof value === "object" && value !== null && "message" in value &&
    typeof value.message === "string" && "name" in value &&
    typeof value.name === "string";
}

/** A thrown value as text. */
export function toText(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return `a value of type ${typeof thrown}`; // it has no toString
  }
}

/**
 * A text on one line without control characters, shortened in the middle. Only
 * the first 4 * maxLength characters are read.
 */
export function singleLine(text: string, maxLength = 300): string {
  const line = text.slice(0, 4 * maxLength)
    .replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_C}\s]+/gu, " ").trim();
  return shorten(line, maxLength);
}

/** A text with an ellipsis in the middle if it is too long. */
export function shorten(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const half = (maxLength - 1) / 2;
  const [start, end] = [text.slice(0, Math.ceil(half)), text.slice(-half)];
  return `${start}…${end}`.toWellFormed();
}
