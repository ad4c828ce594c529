/** Keeps secrets out of whatever a person or a log may read. */

/** What stands in a secret's place. */
export const REDACTED = "[redacted]";

/** A text without its secrets. */
export type Redact = (text: string) => string;

const encoder = new TextEncoder();

/** A number in base 16, upper and lower case alike, as a pattern. */
function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, "0").replace(
    /[a-f]/g,
    (digit) => `[${digit}${digit.toUpperCase()}]`,
  );
}

/** All the ways to write a character: raw, URL-encoded, JSON-escaped. */
function spellings(character: string): string {
  const forms = [
    character.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"),
    Array.from(encoder.encode(character), (byte) => `%${hex(byte, 2)}`)
      .join(""),
    character.split("").map((unit) => `\\\\u${hex(unit.charCodeAt(0), 4)}`)
      .join(""),
  ];
  if (character === " ") forms.push("\\+");
  const escaped = JSON.stringify(character).slice(1, -1);
  if (escaped !== character) forms.unshift(escaped.replaceAll("\\", "\\\\"));
  if (character === "/") forms.unshift("\\\\/");
  return `(?:${forms.join("|")})`;
}

/** Makes the function that takes these secrets out of a text. */
export function redactor(secrets: Iterable<string>): Redact {
  const patterns = [...secrets]
    .filter((secret) => secret !== "")
    .sort((a, b) => b.length - a.length)
    .map((secret) => [...secret].map(spellings).join(""));
  if (patterns.length === 0) return (text) => text;
  const pattern = new RegExp(patterns.join("|"), "g");
  return (text) => text.replace(pattern, REDACTED);
}

/**
 * A foreign error without secrets: the error itself if there are none in it, a
 * copy of what can be shown otherwise.
 */
export function redactError(error: unknown, redact: Redact): unknown {
  if (isClean(error, redact, 0)) return error;
  if (!(error instanceof Error)) return redact(String(error));
  const copy = new Error(redact(error.message));
  copy.name = redact(error.name);
  copy.stack = `${copy.name}: ${copy.message}`;
  if (error.cause !== undefined) copy.cause = redactError(error.cause, redact);
  return copy;
}

/** Whether nothing in a value can tell a secret. */
function isClean(value: unknown, redact: Redact, depth: number): boolean {
  if (typeof value === "string") return redact(value) === value;
  if (typeof value !== "object" || value === null) {
    return typeof value !== "function";
  }
  if (depth > 8) return false; // a chain without an end
  if (Array.isArray(value)) {
    return value.every((item) => isClean(item, redact, depth + 1));
  }
  // What a thing that is no error holds cannot be looked through.
  if (!(value instanceof Error)) return false;
  return isClean(value.name, redact, depth) &&
    Reflect.ownKeys(value).every((key) =>
      isClean(Reflect.get(value, key), redact, depth + 1)
    );
}

/** The most of a foreign text that a message quotes. */
const QUOTED = 500;

/** A foreign text on one line, cut where it gets long. */
export function oneLine(text: string): string {
  // deno-fmt-ignore
  const line = text.slice(0, 4 * QUOTED)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ").trim();
  return line.length > QUOTED ? `${line.slice(0, QUOTED)}…` : line;
}
