/** Headers that callers give: checked, joined, and kept out of messages. */

import { validate } from "./validate.ts";

/** Headers by their names in lower case. */
export type HeaderRecord = Record<string, string>;

/** Names whose values are nobody else's business. */
const SECRET = /auth|cookie|token|secret|key|password|session/i;

/** The headers by their names in lower case, or an error without a value. */
export function readHeaders(
  given: Record<string, string> | Headers | undefined,
): HeaderRecord {
  if (given === undefined) return {};
  validate("headers", given);
  const entries = given instanceof Headers ? [...given] : Object.entries(given);
  return Object.fromEntries(entries.map(([name, value]) => {
    const what = `header "${name.replace(/[^\x20-\x7e]/g, "?")}"`;
    validate(what, value);
    // The platform trims what is at the ends, even an injected line break.
    if (
      !/^[\w!#$%&'*+.^`|~-]+$/.test(name) ||
      /[^\t\x20-\x7e\x80-\xff]/.test(value)
    ) {
      throw new TypeError(
        `Invalid ${what}: it has a character that HTTP does not allow`,
      );
    }
    return [name.toLowerCase(), value.replace(/^[\t ]+|[\t ]+$/g, "")];
  }));
}

/** The values that a server could echo and that must not be shown then. */
export function headerSecrets(headers: HeaderRecord): string[] {
  return Object.entries(headers)
    .filter(([name]) => SECRET.test(name))
    .flatMap(([, value]) => [value, value.replace(/^.*[\t ]/, "")]);
}
