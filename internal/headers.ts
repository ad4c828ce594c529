/** Headers that callers pass in. */

import type { HeadersOption } from "../options.ts";
import { isPlain, validate } from "./validate.ts";

/** Headers by lower-case name. */
export type HeaderRecord = Record<string, string>;

/** Header names whose values are secret. */
const SECRET_NAMES = /auth|cookie|token|secret|key|password|session/i;

/** Headers that only the runtime may set: Node rejects them or hangs. */
const RUNTIME_NAMES =
  /^(?:content-length|transfer-encoding|expect|keep-alive|upgrade)$/i;

/** Reads headers; throws if one is invalid, without showing its value. */
export function readHeaders(headers: HeadersOption | undefined): HeaderRecord {
  if (headers === undefined) return {};
  validate("headers", headers, [
    "an object, a Headers or pairs of names and values",
    isHeaders,
  ]);
  const pairs = isIterable(headers) ? [...headers] : Object.entries(headers);
  const values = new Map<string, string>();
  for (const [name, value] of pairs.map(readPair)) {
    const earlier = values.get(name);
    const separator = name === "cookie" ? "; " : ", ";
    values.set(
      name,
      earlier === undefined ? value : earlier + separator + value,
    );
  }
  return Object.fromEntries(values);
}

function readPair(pair: unknown): [name: string, value: string] {
  if (!Array.isArray(pair) || pair.length !== 2) {
    throw new TypeError("Invalid headers: must be pairs of names and values");
  }
  const [name, value] = pair;
  validate("header name", name);
  const label = `header "${name.slice(0, 80).replace(/[^\x20-\x7e]/g, "?")}"`;
  validate(label, value);
  // fetch would trim line breaks at the ends, even injected ones.
  const isValid = /^[\w!#$%&'*+.^`|~-]+$/.test(name) &&
    /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
  if (!isValid) {
    throw new TypeError(
      `Invalid ${label}: must contain only characters that HTTP allows`,
    );
  }
  if (RUNTIME_NAMES.test(name)) {
    throw new TypeError(`Invalid ${label}: must be left to the runtime`);
  }
  return [name.toLowerCase(), value.replace(/^[\t ]+|[\t ]+$/g, "")];
}

/** Whether it is iterable, a plain object, or has own properties. */
function isHeaders(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return isIterable(value) || isPlain(value) || Object.keys(value).length > 0;
}

function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value;
}

/** The values of secret headers, and their parts, to redact them. */
export function headerSecrets(headers: HeaderRecord): string[] {
  return Object.entries(headers)
    .filter(([name]) => SECRET_NAMES.test(name))
    .flatMap(([, value]) => [value, ...value.split(/[\t ;,]+|^[^=;]*=/)])
    .filter((value) => !/^(?:basic|bearer|digest|negotiate)$/i.test(value));
}
