/** What is wrong with an argument, said before anything is sent. */

/** What is needed of a value, and whether one is like that. */
export type Rule = [
  needed: string,
  fits: (value: unknown) => boolean,
  Class?: typeof TypeError | typeof RangeError,
];

/** The longest that a timer can wait, in ms: about 24 days. */
export const LONGEST = 2 ** 31 - 1;

const wholeFrom = (least: number): Rule => [
  `a whole number from ${least} is needed`,
  (value) => Number.isSafeInteger(value) && Number(value) >= least,
  RangeError,
];

const DURATION: Rule = [
  `milliseconds from above 0 to ${LONGEST} are needed`,
  (value) => typeof value === "number" && value > 0 && value <= LONGEST,
  RangeError,
];

export const ARRAY: Rule = ["an array is needed", Array.isArray];

export const OBJECT: Rule = ["an object is needed", isObject];

const TEXT: Rule = [
  "a string is needed",
  (value) => typeof value === "string",
];

const BOOLEAN: Rule = [
  "a boolean is needed",
  (value) => typeof value === "boolean",
];

const FUNCTION: Rule = [
  "a function is needed",
  (value) => typeof value === "function",
];

/** What may be empty only where the server says so. */
export const WORD: Rule = [
  "a string that is not empty is needed",
  (value) => typeof value === "string" && value !== "",
];

/** Arguments and options by their names, which mean the same everywhere. */
const RULES: Record<string, Rule> = {
  all: BOOLEAN,
  change: FUNCTION,
  clusterId: TEXT,
  email: TEXT,
  expect: [
    "an array of at least one state is needed",
    (value) =>
      Array.isArray(value) && value.length > 0 &&
      value.every((state) => typeof state === "string"),
  ],
  fetch: FUNCTION,
  fullName: TEXT,
  headers: OBJECT,
  host: TEXT,
  limit: wholeFrom(0),
  login: TEXT,
  max: DURATION,
  min: DURATION,
  name: TEXT,
  onAttempt: FUNCTION,
  onUpdate: FUNCTION,
  page: wholeFrom(1),
  perPage: wholeFrom(1),
  playbookConfigurationVersion: wholeFrom(1),
  playbookId: TEXT,
  retries: wholeFrom(0),
  root: TEXT,
  serverIds: ARRAY,
  signal: [
    "an AbortSignal is needed",
    (value) => isObject(value) && "throwIfAborted" in value,
  ],
  timeout: DURATION,
  tls: OBJECT,
  username: TEXT,
  verify: BOOLEAN,
  version: wholeFrom(1),
};

/** Refuses a value that is not what its name needs: text unless said. */
export function check(
  name: string,
  value: unknown,
  [needed, fits, Class = TypeError] = RULES[name] ?? TEXT,
  shown = name,
): void {
  if (fits(value)) return;
  // Numbers as they are; of anything else, which may be a secret, the kind.
  const what = typeof value === "number" || value === null
    ? value
    : value === ""
    ? "empty"
    : Array.isArray(value)
    ? "an array"
    : `of type ${typeof value}`;
  throw new Class(`Invalid ${shown}: ${needed}, it is ${what}`);
}

/** Refuses anything but an object with none but these names: no typos. */
export function checkNames(
  what: string,
  value: unknown,
  allowed: readonly string[],
): void {
  check(what, value, OBJECT);
  for (const name in Object(value)) {
    if (!allowed.includes(name)) {
      throw new TypeError(
        `Invalid ${what}: there is no "${name}", but ${allowed.join(", ")}`,
      );
    }
  }
}

/**
 * The same, and refuses the values that do not fit.
 *
 * @param prefix What stands in front of their names in errors.
 */
export function checkOptions(
  options: object,
  allowed: readonly string[],
  what = "options",
  prefix = "",
): void {
  checkNames(what, options, allowed);
  // Also those that it has from its class.
  for (const name of allowed) {
    const value: unknown = Reflect.get(options, name);
    const rule = RULES[name];
    if (value !== undefined && rule) check(name, value, rule, prefix + name);
  }
}

/** Whether it is an object with names. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
