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

/** How many backslashes one can become: more would take a long time. */
const MOST = 8;

const ESCAPED = `\\\\{1,${MOST}}`;

/** What JSON writes after a backslash; the backslash itself aside. */
const ESCAPES = new Map([
  ['"', '"'],
  ["/", "/"],
  ["\b", "b"],
  ["\f", "f"],
  ["\n", "n"],
  ["\r", "r"],
  ["\t", "t"],
]);

/** What HTML calls characters. */
const ENTITIES = new Map([
  ["&", "amp"],
  ["<", "lt"],
  [">", "gt"],
  ['"', "quot"],
  ["'", "apos"],
]);

/**
 * All the ways to write a character: URL-encoded, JSON-escaped, both also more
 * than once, in HTML, raw. The longest come first.
 */
function spellings(character: string): string {
  const code = Number(character.codePointAt(0));
  const forms = [
    Array.from(encoder.encode(character), (byte) => `%(?:25)*${hex(byte, 2)}`)
      .join(""),
    character.split("").map((unit) =>
      `${ESCAPED}u${hex(unit.charCodeAt(0), 4)}`
    )
      .join(""),
    `&#(?:0*${code}|[xX]0*${hex(code, 1)});`,
  ];
  const entity = ENTITIES.get(character);
  if (entity !== undefined) forms.push(`&${entity};`);
  const escape = ESCAPES.get(character);
  if (escape !== undefined) forms.push(`${ESCAPED}${escape}`);
  if (character === " ") forms.push("\\+");
  forms.push(character.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  return `(?:${forms.join("|")})`;
}

/** A secret as a pattern; each backslash in it may have become several. */
function pattern(secret: string): string {
  const parts = secret.matchAll(/\\+|[^\\]/gu);
  return Array.from(
    parts,
    ([part]) =>
      part.startsWith("\\")
        ? `${spellings("\\")}{${part.length},${MOST * part.length}}`
        : spellings(part),
  ).join("");
}

/** Makes the function that takes these secrets out of a text. */
export function redactor(secrets: Iterable<string>): Redact {
  const patterns = [...secrets]
    .filter((secret) => secret !== "")
    .sort((a, b) => b.length - a.length)
    .map(pattern);
  if (patterns.length === 0) return (text) => text;
  const any = new RegExp(patterns.join("|"), "g");
  return (text) => {
    try {
      return text.replace(any, REDACTED);
    } catch {
      return REDACTED; // a secret too long to be looked for: nothing is shown
    }
  };
}

/** How deep a foreign error is looked into. */
const DEEPEST = 8;

/**
 * A foreign error without secrets: the error itself if there are none in it, a
 * copy of what can be shown otherwise.
 */
export function redactError(
  error: unknown,
  redact: Redact,
  depth = 0,
): unknown {
  if (isClean(error, redact, 0)) return error;
  if (!(error instanceof Error)) return redact(inWords(error));
  const copy = new Error(redact(error.message));
  copy.name = redact(error.name);
  copy.stack = `${copy.name}: ${copy.message}`;
  if (error.cause !== undefined && depth < DEEPEST) {
    copy.cause = redactError(error.cause, redact, depth + 1);
  }
  return copy;
}

/** What was thrown, if it is no error. */
export function inWords(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return `of type ${typeof thrown}`; // it cannot become a string
  }
}

/** Whether nothing in a value can tell a secret. */
function isClean(value: unknown, redact: Redact, depth: number): boolean {
  if (typeof value === "string") return redact(value) === value;
  if (typeof value === "symbol") return isClean(String(value), redact, depth);
  if (typeof value !== "object" || value === null) {
    return typeof value !== "function";
  }
  if (depth > DEEPEST) return false; // a chain without an end
  if (Array.isArray(value)) {
    return value.every((item) => isClean(item, redact, depth + 1));
  }
  // What a thing that is no error holds cannot be looked through.
  if (!(value instanceof Error)) return false;
  // These two need not be its own.
  return isClean(value.name, redact, depth) &&
    isClean(value.message, redact, depth) &&
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
