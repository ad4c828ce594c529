/** Headers that callers give: checked, joined, and kept out of messages. */

import { invalid, isObject } from "./_check.ts";

/** Names whose values are nobody else's business. */
const SECRET = /auth|cookie|token|secret|key|password|session/i;

type Given = Record<string, string> | Headers | undefined;

/** The headers of all, where a later one replaces an earlier one. */
export function joinHeaders(...all: Given[]): Headers {
  const joined = new Headers();
  for (const given of all) {
    if (given === undefined) continue;
    if (!isObject(given)) {
      throw invalid("headers", "an object with names is needed", given);
    }
    const entries = given instanceof Headers ? given : Object.entries(given);
    for (const [name, value] of entries) set(joined, name, value);
  }
  return joined;
}

/** Sets one header, or says which is not fit to be one, without its value. */
function set(headers: Headers, name: string, value: string): void {
  const shown = name.replace(/[^\x20-\x7e]/g, "?");
  if (typeof value !== "string") {
    throw invalid(`header "${shown}"`, "a string is needed", value);
  }
  // The platform trims what is at the ends, even an injected line break.
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    throw new TypeError(
      `Invalid header "${shown}": its value has a line break or another character that HTTP does not allow`,
    );
  }
  try {
    headers.set(name, value);
  } catch {
    throw new TypeError(
      `Invalid header "${shown}": its name has a character that HTTP does not allow`,
    );
  }
}

/** The values that a server could echo and that must not be shown then. */
export function headerSecrets(headers: Headers): string[] {
  return [...headers]
    .filter(([name]) => SECRET.test(name))
    .flatMap(([, value]) => [value, value.slice(value.lastIndexOf(" ") + 1)]);
}
