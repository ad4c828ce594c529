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

const MILLISECONDS: Validator = [
  `a positive number of milliseconds up to ${MAX_TIMER_DELAY}`,
  (value) => typeof value === "number" && value > 0 && value <= MAX_TIMER_DELAY,
  RangeError,
];

export const ARRAY: Validator = ["an array", Array.isArray];

const OBJECT: Validator = ["an object", isObject];

export const STRING: Validator = [
  "a string",
  (value) => typeof value === "string",
];

export const BOOLEAN: Validator = [
  "a boolean",
  (value) => typeof value === "boolean",
];

const FUNCTION: Validator = [
  "a function",
  (value) => typeof value === "function",
];

export const NON_EMPTY_STRING: Validator = [
  "a non-empty string",
  (value) => typeof value === "string" && value !== "",
];

/** Validators of arguments and options by name. */
const VALIDATORS: Record<string, Validator> = {
  all: BOOLEAN,
  body: OBJECT,
  change: FUNCTION,
  clusterId: STRING,
  email: STRING,
  expect: [
    "a non-empty array of states",
    (value) =>
      Array.isArray(value) && value.length > 0 &&
      value.every((state) => typeof state === "string"),
  ],
  fetch: FUNCTION,
  fullName: STRING,
  hints: ARRAY,
  host: STRING,
  limit: integerFrom(0),
  login: STRING,
  max: MILLISECONDS,
  min: MILLISECONDS,
  name: STRING,
  onAttempt: FUNCTION,
  onUpdate: FUNCTION,
  page: integerFrom(1),
  perPage: integerFrom(1),
  permissions: ARRAY,
  playbookConfigurationVersion: integerFrom(1),
  playbookId: STRING,
  query: OBJECT,
  retries: integerFrom(0),
  root: STRING,
  runAfter: BOOLEAN,
  serverId: STRING,
  serverIds: ARRAY,
  signal: [
    "an AbortSignal",
    (value) => isObject(value) && "throwIfAborted" in value,
  ],
  timeout: MILLISECONDS,
  tls: OBJECT,
  username: STRING,
  verify: BOOLEAN,
  version: integerFrom(1),
};

/**
 * Throws if a value is invalid. The validator defaults to that of the name in
 * VALIDATORS, or to STRING.
 *
 * @param label The name in the error message.
 */
export function validate(
  name: string,
  value: unknown,
  [expected, isValid, ErrorClass = TypeError] = VALIDATORS[name] ?? STRING,
  label = name,
): void {
  if (isValid(value)) return;
  throw new ErrorClass(
    `Invalid ${label}: must be ${expected}, got ${describe(value)}`,
  );
}

/** Quotes numbers; names only the type of other values: they may be secret. */
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
    const isInherited = name in Object.prototype && !Object.hasOwn(value, name);
    if (isInherited || known.includes(name)) continue;
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
 * Throws if an object has unknown members or invalid values.
 *
 * @param prefix Precedes the names in errors.
 */
export function validateOptions(
  options: object,
  known: readonly string[],
  label = "options",
  prefix = "",
): void {
  validateNames(label, options, known, "option", prefix);
  for (const name of known) {
    const value: unknown = Reflect.get(options, name);
    if (value === undefined) continue;
    const validator = VALIDATORS[name];
    if (validator) validate(name, value, validator, prefix + name);
  }
}

/** Throws if an object to create lacks a member or has an unknown one. */
export function validateNew(
  label: string,
  value: object,
  { required, optional }: Record<"required" | "optional", string[]>,
): void {
  validateOptions(value, [...required, ...optional], label);
  for (const name of required) validate(name, Reflect.get(value, name));
}

/** Whether names differ in case and separators, or in two adjacent letters. */
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

/** Whether an object is plain: of no class, so that it has own members only. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Whether a value is an object other than an array. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
