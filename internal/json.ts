/** Serializes bodies, and parses responses. */

import { singleLine } from "./redact.ts";
import { isObject } from "./validate.ts";

/** Types that JSON represents exactly, named as by Object.prototype.toString. */
const REPRESENTABLE = ["Object", "Array", "Null", "String", "Boolean"];

/**
 * Serializes a body. Throws for values that JSON cannot represent; objects with
 * `toJSON()` are sent as what it returns.
 */
export function serializeJson(body: unknown): string {
  /** The enclosing objects of the current value and their paths. */
  const ancestors: { value: object; name: string }[] = [];
  return JSON.stringify(body, function (this: object, key, value: unknown) {
    while (ancestors.length > 0 && ancestors.at(-1)?.value !== this) {
      ancestors.pop();
    }
    const parent = ancestors.at(-1)?.name ?? "";
    const name = Array.isArray(this)
      ? `${parent}[${key}]`
      : [parent, key].filter(Boolean).join(".");
    const problem = ancestors.some((outer) => outer.value === value)
      ? "a circular structure"
      : value == null && isObject(Reflect.get(this, key))
      ? "an object that JSON turns into null or nothing"
      : findProblem(value, Array.isArray(this));
    if (problem) {
      throw new TypeError(
        `Invalid ${
          singleLine(name || "body", 200)
        }: must be a value that JSON can represent exactly, got ${problem}`,
      );
    }
    if (typeof value === "object" && value !== null) {
      ancestors.push({ value, name });
    }
    return value;
  });
}

/** Describes a value that JSON would silently change. */
function findProblem(value: unknown, isItem: boolean): string | undefined {
  switch (typeof value) {
    case "number":
      return !Number.isFinite(value)
        ? String(value)
        : Number.isInteger(value) && !Number.isSafeInteger(value)
        ? `the integer ${value}, which is beyond 2^53 - 1`
        : undefined;
    case "undefined":
      return isItem ? "undefined" : undefined;
    case "bigint":
    case "function":
    case "symbol":
      return `a ${typeof value}`;
    default: {
      const kind = Object.prototype.toString.call(value).slice(8, -1);
      return REPRESENTABLE.includes(kind) ? undefined : `a ${kind}`;
    }
  }
}

/** Parses JSON; undefined if invalid: JSON.parse's error quotes the text. */
export function parseJson<T>(text: string): { value: T } | undefined {
  try {
    const value: T = JSON.parse(text);
    return { value };
  } catch {
    return undefined;
  }
}
