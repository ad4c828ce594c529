/** Checks arguments and options before anything is sent. */

import { singleLine } from "./redact.ts";

/** What a value must be, how to test it, and the error's class. */
export type Validator = [
  expected: string,
  isValid: (value: unknown) => boolean,
  ErrorClass?: typeof TypeError | typeof RangeError,
];

/** The longest delay of a timer in ms, about 24 days. */
export const MAX_TIMER_DELAY = 2 ** 31 - 1;

const integerFrom = (min: number): Validator => [
  `an integer ≥ ${min}`,
  (value) => Number.isSafeInteger(value) && Number(value) >= min,
  RangeError,
];

export const MILLISECONDS: Validator = [
  `a positive number of milliseconds up to ${MAX_TIMER_DELAY}`,
  (value) => typeof value === "number" && value > 0 && value <= MAX_TIMER_DELAY,
  RangeError,
];

export const ARRAY: Validator = ["an array", Array.isArray];

const OBJECT: Validator = ["an object", isObject];

/** JSON would silently drop members of other objects. */
export const PLAIN_OBJECT: Validator = [
  "a plain object",
  (value) => isObject(value) && isPlain(value) && !("toJSON" in value),
];

export const STRING: Validator = ["a string", (it) => typeof it === "string"];

export const BOOLEAN: Validator = [
  "a boolean",
  (it) => typeof it === "boolean",
];

const FUNCTION: Validator = ["a function", (it) => typeof it === "function"];

export const NON_EMPTY_STRING: Validator = [
  "a non-empty string",
  (value) => typeof value === "string" && value !== "",
];

const STATES: Validator = [
  "a non-empty array of states",
  (value) =>
    Array.isArray(value) && value.length > 0 &&
    value.every((state) => typeof state === "string"),
];

const SIGNAL: Validator = [
  "an AbortSignal",
  (value) => isObject(value) && "throwIfAborted" in value,
];

/** The names of arguments and options by validator. */
const NAMES: [Validator, ...names: string[]][] = [
  [ARRAY, "hints", "permissions", "serverIds"],
  [BOOLEAN, "all", "runAfter", "verify"],
  [FUNCTION, "change", "fetch", "onAttempt", "onUpdate"],
  [MILLISECONDS, "max", "min", "timeout"],
  [OBJECT, "body", "tls"],
  [PLAIN_OBJECT, "query"],
  [SIGNAL, "signal"],
  [STATES, "expect"],
  [STRING, "clusterId", "email", "fullName", "host", "login", "name"],
  [STRING, "password", "playbookId", "root", "serverId", "username"],
  [integerFrom(0), "limit", "retries"],
  [
    integerFrom(1),
    "page",
    "perPage",
    "playbookConfigurationVersion",
    "version",
  ],
];

const VALIDATORS = new Map(
  NAMES.flatMap(([validator, ...names]) =>
    names.map((name) => [name, validator] as const)
  ),
);

/**
 * Throws if a value is invalid. The validator defaults to that of the name in
 * VALIDATORS, or to STRING.
 *
 * @param label The name in the error message.
 */
export function validate(
  name: string,
  value: unknown,
  [expected, isValid, ErrorClass = TypeError] = VALIDATORS.get(name) ?? STRING,
  label = name,
): void {
  if (isValid(value)) return;
  throw new ErrorClass(
    `Invalid ${label}: must be ${expected}, got ${describe(value)}`,
  );
}

/** Shows numbers; names only the type of other values: they may be secret. */
function describe(value: unknown): string {
  if (typeof value === "number" || value == null) return String(value);
  if (value === "") return "an empty string";
  if (Array.isArray(value)) return value.length ? "an array" : "an empty array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** Throws if the value is not an object or has unknown members. */
export function validateNames(
  label: string,
  value: object,
  known: readonly string[],
  kind = "option",
  prefix = "",
): void {
  validate(label, value, OBJECT);
  for (const name in value) {
    const isPolluted = name in Object.prototype && !Object.hasOwn(value, name);
    if (isPolluted || known.includes(name)) continue;
    const similar = known.find((one) => isSimilar(one, name));
    const suggestion = similar ? `did you mean "${similar}"? ` : "";
    throw new TypeError(
      `Unknown ${kind} "${prefix}${
        singleLine(name, 80)
      }": ${suggestion}Known ${kind}s: ${known.join(", ")}`,
    );
  }
}

/**
 * Throws if an object has an unknown member, lacks a required one or has an
 * invalid value; VALIDATORS has the checks.
 *
 * @param members Whether each known member is required.
 * @param prefix Precedes the names in errors.
 */
export function validateOptions(
  options: object,
  members: Record<string, boolean>,
  label = "options",
  prefix = "",
): void {
  validateNames(label, options, Object.keys(members), "option", prefix);
  for (const [name, isRequired] of Object.entries(members)) {
    const value: unknown = Reflect.get(options, name);
    if (value === undefined && !isRequired) continue;
    const validator = VALIDATORS.get(name);
    if (validator) validate(name, value, validator, prefix + name);
  }
}

/** Whether names differ at most in case, separators and two adjacent letters. */
function isSimilar(known: string, given: string): boolean {
  const normalize = (name: string) =>
    name.replace(/[^a-z0-9]/gi, "").toLowerCase();
  const one = normalize(known);
  const other = normalize(given);
  const shorter = Math.min(one.length, other.length);
  let start = 0;
  while (start < shorter && one[start] === other[start]) start++;
  let end = 0;
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) {
    end++;
  }
  const different = Math.max(one.length, other.length) - start - end;
  return different <= Math.min(2, known.length / 3);
}

/** Whether the prototype of an object is Object.prototype or null. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Whether a value is an object other than an array. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
