/** Redacts secrets; OutgoingRequest.redact() in request.ts says which. */

/** What replaces a secret. */
export const REDACTED = "[redacted]";

/** Removes every known secret from a text. */
type Redact = (text: string) => string;

/** Redacting shorter secrets would garble messages and reveal them. */
const MIN_SECRET = 4;

/** How deep the causes of an error are copied. */
const MAX_DEPTH = 8;

/** Characters and the patterns of their HTML entities; `&` comes first. */
const HTML_ENTITIES = [
  ["&", "&(?:amp|#0*38|#x0*26);"],
  ["<", "&(?:lt|#0*60|#x0*3c);"],
  [">", "&(?:gt|#0*62|#x0*3e);"],
  ['"', "&(?:quot|#0*34|#x0*22);"],
  ["'", "&(?:apos|#0*39|#x0*27);"],
] as const;

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

/** Patterns of a secret in the encodings in which servers echo values. */
function encodings(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  const url = encodeURIComponent(secret.toWellFormed());
  const form = new URLSearchParams([["", secret]]).toString().slice(1);
  const ascii = json.replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const jsons = [json, ascii].flatMap((text) => [
    text,
    text.replaceAll("/", "\\/"),
  ]);
  const urls = [url, form].flatMap((text) => [text, encodeURIComponent(text)]);
  const html = HTML_ENTITIES.reduce(
    (text, [char, entity]) => text.replaceAll(char, entity),
    escapePattern(secret),
  );
  return [...[secret, ...jsons, ...urls].map(escapePattern), html];
}

/** Replaces every secret in a text, in any case and any common encoding. */
export function redacted(text: string, secrets: readonly string[]): string {
  const patterns = secrets.filter(({ length }) => length >= MIN_SECRET)
    .flatMap(encodings)
    .sort((a, b) => b.length - a.length); // one may contain another
  if (patterns.length === 0) return text;
  const all = new RegExp([...new Set(patterns)].join("|"), "gi");
  return text.replace(all, REDACTED);
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

/** A text on one line without control characters, shortened in the middle. */
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
