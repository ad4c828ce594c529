/** What is wrong with an argument, said before anything is sent. */

/** What is needed of a value, and whether one is like that. */
export type Rule = [
  needed: string,
  fits: (value: unknown) => boolean,
  Class?: typeof TypeError | typeof RangeError,
];

const like = (sample: unknown): Rule => [
  `a ${typeof sample} is needed`,
  (value) => typeof value === typeof sample,
];

const wholeFrom = (least: number): Rule => [
  `a whole number from ${least} is needed`,
  (value) => Number.isSafeInteger(value) && Number(value) >= least,
  RangeError,
];

/** The longest that a timer can wait, in ms: about 24 days. */
export const LONGEST = 2 ** 31 - 1;

export const DURATION: Rule = [
  `milliseconds from above 0 to ${LONGEST} are needed`,
  (value) => typeof value === "number" && value > 0 && value <= LONGEST,
  RangeError,
];

/** Arguments and options by their names, which mean the same everywhere. */
const RULES: Record<string, Rule> = {
  all: like(true),
  change: like(like),
  expect: [
    "an array of at least one state is needed",
    (value) => Array.isArray(value) && value.length > 0,
  ],
  fetch: like(like),
  id: like(""),
  limit: wholeFrom(0),
  max: DURATION,
  min: DURATION,
  onAttempt: like(like),
  onUpdate: like(like),
  page: wholeFrom(1),
  perPage: wholeFrom(1),
  retries: wholeFrom(0),
  root: like(""),
  serverIds: ["an array is needed", Array.isArray],
  signal: [
    "an AbortSignal is needed",
    (value) => isObject(value) && "throwIfAborted" in value,
  ],
  timeout: DURATION,
  verify: like(true),
  version: wholeFrom(1),
};

/** Refuses a value that is not what its name needs. */
export function check(
  name: string,
  value: unknown,
  [needed, fits, Class] = RULES[name] ?? like(""),
  shown = name,
): void {
  if (!fits(value)) throw invalid(shown, needed, value, Class);
}

/** Refuses anything but an object with none but these names: no typos. */
export function checkNames(
  what: string,
  value: unknown,
  allowed: readonly string[],
): void {
  if (!isObject(value)) throw invalid(what, "an object is needed", value);
  for (const name of Object.keys(value)) {
    if (!allowed.includes(name)) {
      throw new TypeError(
        `Invalid ${what}: there is no "${name}", but ${allowed.join(", ")}`,
      );
    }
  }
}

/** The same, and refuses the values that do not fit. */
export function checkOptions(
  options: object,
  allowed: readonly string[],
  what = "options",
): void {
  checkNames(what, options, allowed);
  for (const [name, value] of Object.entries(options)) {
    const shown = what === "options" ? name : `${what}.${name}`;
    if (value !== undefined && Object.hasOwn(RULES, name)) {
      check(name, value, RULES[name], shown);
    }
  }
}

/** The error for an argument that is not what is needed. */
export function invalid(
  name: string,
  needed: string,
  value: unknown,
  Class: typeof TypeError | typeof RangeError = TypeError,
): Error {
  return new Class(`Invalid ${name}: ${needed}, it is ${kind(value)}`);
}

/** Whether it is an object with names. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Numbers as they are; of anything else, which may be a secret, the kind. */
function kind(value: unknown): string {
  if (typeof value === "number" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : `of type ${typeof value}`;
}
