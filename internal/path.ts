/** Paths of the API, with values that cannot lead anywhere else. */

import { validate } from "./validate.ts";
import { REDACTED } from "./redact.ts";

/** Fixed words, and the values between them. */
export interface Path {
  words: TemplateStringsArray;
  values: (string | number)[];
}

/** What errors call a value, by the word before it; `id` unless it is here. */
const NAMES: Record<string, string> = {
  cinder_integration: "clusterId",
  password_reset: "resetToken",
  version: "version",
};

/**
 * A path below `/v1/`. Nothing is checked before {@linkcode pathText}, so that
 * what is wrong with it rejects the call.
 */
export function path(
  words: TemplateStringsArray,
  ...values: (string | number)[]
): Path {
  return { words, values };
}

/**
 * The path as it is sent, or an error that says which value is of no use.
 *
 * @param secrets Values that must not stand in it.
 */
export function pathText({ words, values }: Path, secrets?: string[]): string {
  let text = `/v1/${words[0]}`;
  for (let index = 0; index < values.length; index++) {
    const before = `${words[index]}`;
    const value = values[index];
    // An id as the server gives it needs no second look.
    const plain = typeof value === "string" && before !== "/version/" &&
      /^[\w-]+$/.test(value);
    const sent = plain ? value : segment(before, value);
    text += secrets?.includes(`${value}`) ? REDACTED : sent;
    text += words[index + 1];
  }
  return `${text}/`;
}

/** @param before The words that it follows. */
function segment(before: string, value: unknown): string {
  const name = NAMES[`${before.split("/").at(-2)}`] ?? "id";
  validate(name, value);
  const text = String(value);
  // "." and ".." would be taken for steps in the path, encoded or not.
  if (/^\.{0,2}$/.test(text)) {
    throw new TypeError(
      `Invalid ${name}: an id as the server gave it is needed, it is "${text}"`,
    );
  }
  if (!text.isWellFormed()) {
    throw new TypeError(`Invalid ${name}: it is not well-formed Unicode`);
  }
  return encodeURIComponent(text);
}
