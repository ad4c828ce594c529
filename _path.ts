/** Paths of the API, with ids that cannot lead anywhere else. */

import { checkInteger, checkString } from "./_check.ts";
import { REDACTED } from "./_redact.ts";

/** A path as it is sent, and as it may be shown. */
export interface Path {
  sent: string;
  shown: string;
}

/** A fixed word, or a value under its name. */
export type Segment = string | Record<string, string | number>;

/** Values that must not be shown. */
const SECRET = new Set(["resetToken"]);

/**
 * Builds `/v1/…/` of fixed words and named values: `path("user", { id })`.
 * The name of a value is what an error calls it.
 */
export function path(...parts: Segment[]): Path {
  let sent = "/v1/";
  let shown = sent;
  for (const part of parts) {
    if (typeof part === "string") {
      sent += `${part}/`;
      shown += `${part}/`;
      continue;
    }
    for (const [name, value] of Object.entries(part)) {
      const encoded = segment(name, value);
      sent += `${encoded}/`;
      shown += `${SECRET.has(name) ? REDACTED : encoded}/`;
    }
  }
  return { sent, shown };
}

function segment(name: string, value: string | number): string {
  if (name === "version") {
    checkInteger(name, value ?? null, 1);
    return String(value);
  }
  checkString(name, value);
  const text = String(value);
  // "." and ".." would be taken for steps in the path, encoded or not.
  if (text === "" || text === "." || text === "..") {
    throw new TypeError(
      `Invalid ${name}: an id as the server gave it is needed, it is "${text}"`,
    );
  }
  if (!text.isWellFormed()) {
    throw new TypeError(`Invalid ${name}: it is not well-formed Unicode`);
  }
  return encodeURIComponent(text);
}
