/** What is wrong with an argument, said before anything is sent. */

/** Refuses names that are none: a typo must not pass for a setting. */
export function checkNames(
  what: string,
  value: object | undefined,
  allowed: readonly string[],
): void {
  if (value === undefined) return;
  if (value === null || typeof value !== "object") {
    throw new TypeError(
      `Invalid ${what}: an object is needed, it is ${kind(value)}`,
    );
  }
  for (const name of Object.keys(value)) {
    if (!allowed.includes(name)) {
      throw new TypeError(
        `Unknown name "${name}" in ${what}: it takes ${allowed.join(", ")}`,
      );
    }
  }
}

/** Refuses a number that is not whole or not within bounds. */
export function checkInteger(
  name: string,
  value: number | undefined,
  least: number,
): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
    throw new RangeError(
      `Invalid ${name}: a whole number from ${least} is needed, it is ${
        shown(value)
      }`,
    );
  }
}

/** The longest that a timer can wait: about 24 days. */
const LONGEST = 2 ** 31 - 1;

/** Refuses a time that no timer can wait for. */
export function checkDuration(name: string, value: number | undefined): void {
  if (
    value !== undefined &&
    !(typeof value === "number" && value > 0 && value <= LONGEST)
  ) {
    throw new RangeError(
      `Invalid ${name}: milliseconds from above 0 to ${LONGEST} are needed, it is ${
        shown(value)
      }`,
    );
  }
}

/** Refuses anything but text. */
export function checkString(name: string, value: unknown): void {
  if (typeof value !== "string") {
    throw new TypeError(
      `Invalid ${name}: a string is needed, it is ${kind(value)}`,
    );
  }
}

/** Refuses anything but a function. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") {
    throw new TypeError(
      `Invalid ${name}: a function is needed, it is ${kind(value)}`,
    );
  }
}

/** What kind of thing a value is, for a message that must not show it. */
export function kind(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `of type ${typeof value}`;
}

/** A number as it is, anything else by its kind. */
function shown(value: unknown): string {
  return typeof value === "number" ? String(value) : kind(value);
}
