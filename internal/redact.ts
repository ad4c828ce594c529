/** Keeps secrets out of whatever a person or a log may read. */

/** What stands in a secret's place. */
export const REDACTED = "[redacted]";

/** A text without its secrets. */
export type Redact = (text: string) => string;

/** How many backslashes one can become: more would take a long time. */
const MOST = 8;

/** How deep a foreign error is looked into. */
const DEEPEST = 8;

/** The most of a foreign text that a message quotes. */
const QUOTED = 500;

/** What HTML and forms write instead of a character. */
const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  " ": "\\+",
};

const encoder = new TextEncoder();

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, "0");
}

/**
 * All the ways to write a character, for a pattern that ignores case: raw, in
 * HTML, URL-encoded, JSON-escaped, the last two also more than once.
 */
function spellings(character: string): string {
  const code = Number(character.codePointAt(0));
  const bytes = Array.from(encoder.encode(character));
  const units = character.split("").map((unit) => unit.charCodeAt(0));
  const forms = [
    bytes.map((byte) => `%(?:25)*${hex(byte, 2)}`).join(""),
    units.map((unit) => `\\\\{1,${MOST}}u${hex(unit, 4)}`).join(""),
    `&#(?:0*${code}|x0*${hex(code, 1)});`,
    character.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&"),
  ];
  const entity = ENTITIES[character];
  if (entity) forms.push(entity);
  const [, escape] = /^"\\(["bfnrt])"$/.exec(JSON.stringify(character)) ??
    /(\/)/.exec(character) ?? [];
  if (escape) forms.push(`\\\\{1,${MOST}}${escape}`);
  return `(?:${forms.join("|")})`;
}

/** A secret as a pattern; each backslash in it may have become several. */
function pattern(secret: string): string {
  return secret.replace(
    /\\+|[^\\]/gu,
    (part) =>
      part.startsWith("\\")
        ? `${spellings("\\")}{${part.length},${MOST * part.length}}`
        : spellings(part),
  );
}

/** Takes these secrets out of a text. */
export function redacted(text: string, secrets: string[] = []): string {
  const known = secrets.filter((secret) => secret)
    .sort((a, b) => b.length - a.length);
  try {
    return known.length > 0
      ? text.replace(new RegExp(known.map(pattern).join("|"), "gi"), REDACTED)
      : text;
  } catch {
    return REDACTED; // a secret too long to be looked for: nothing is shown
  }
}

/**
 * A foreign error without secrets: the error itself if there are none in it, a
 * copy of what can be shown otherwise.
 */
export function redactError(
  error: unknown,
  redact: Redact,
  depth = 0,
): unknown {
  if (isClean(error, redact)) return error;
  if (!(error instanceof Error)) return redact(inWords(error));
  const copy = new Error(redact(error.message));
  copy.name = redact(error.name);
  copy.stack = String(copy);
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
function isClean(value: unknown, redact: Redact, depth = 0): boolean {
  if (Object(value) !== value) return redact(String(value)) === String(value);
  // What a thing that is no error holds cannot be looked through.
  if (!(value instanceof Error || Array.isArray(value)) || depth > DEEPEST) {
    return false;
  }
  const keys = ["name", "message", ...Reflect.ownKeys(value)];
  try {
    return keys.every((key) =>
      isClean(Reflect.get(value, key), redact, depth + 1)
    );
  } catch {
    return false; // a getter of its own
  }
}

/** A foreign text on one line, cut where it gets long. */
export function oneLine(text: string): string {
  const line = text.slice(0, 4 * QUOTED)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ").trim();
  return line.length > QUOTED ? `${line.slice(0, QUOTED)}…` : line;
}
