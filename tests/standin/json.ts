/** JSON as Decapod reads and writes it. */

/** A JSON value. */
export type Json =
  | null
  | boolean
  | number
  | string
  | Json[]
  | JsonObject;

/** A JSON object. */
export type JsonObject = { [key: string]: Json };

/** A number that the wire writes as a float: `1795453439.0`. */
export class Float {
  constructor(readonly value: number) {}
}

/** What {@linkcode toJson} accepts: JSON values and floats. */
export type Writable = Json | Float | { [key: string]: Writable } | Writable[];

/** Whether a value is a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Writes a value with its keys sorted, without spaces. */
export function toJson(value: Writable): string {
  if (value instanceof Float) {
    return Number.isInteger(value.value)
      ? `${value.value}.0`
      : String(value.value);
  }
  if (Array.isArray(value)) return `[${value.map(toJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
    return `{${
      pairs.map(([key, item]) => `${JSON.stringify(key)}:${toJson(item)}`)
        .join(",")
    }}`;
  }
  return JSON.stringify(value);
}

/** A string, or a number that only Python accepts. */
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g;

/**
 * Parses JSON as Python does, including numbers that are not finite. `NaN`
 * becomes `Infinity`: the schemas do not distinguish them.
 */
export function parseJson(text: string): Json {
  return JSON.parse(
    text.replace(
      STRING_OR_NUMBER,
      (token) =>
        token.startsWith('"') ? token : token.replace(/Infinity|NaN/, "1e999"),
    ),
  );
}
