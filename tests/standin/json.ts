/** JSON as Decapod writes it: sorted keys, compact when it succeeds. */

/** Anything that JSON can say. */
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
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** What {@linkcode toJson} writes: JSON, with floats where they are wanted. */
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

/**
 * Reads JSON and keeps apart what JavaScript throws together: `1.0` comes
 * back as a {@linkcode Float}, `1` as a number. Throws on anything unreadable.
 */
export function parseKeepingFloats(text: string): Writable {
  return JSON.parse(
    text,
    (_key, value, context?: { source?: string }) =>
      typeof value === "number" &&
        (context?.source === undefined
          ? !Number.isInteger(value)
          : /[.eE]/.test(context.source))
        ? new Float(value)
        : value,
  );
}

/** A string, or a word that only Python takes for a number. */
const STRING_OR_WORD = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g;

/**
 * Reads JSON as Python does: with numbers that are not finite. `NaN` comes
 * back as `Infinity`, which no schema tells from it.
 */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    const words: Record<string, string> = {
      "NaN": "1e999",
      "Infinity": "1e999",
      "-Infinity": "-1e999",
    };
    return JSON.parse(
      text.replace(STRING_OR_WORD, (match) => words[match] ?? match),
    );
  }
}
