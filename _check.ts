/** What is wrong with an argument, said before anything is sent. */

/** The error for an argument that is not what is needed. */
export function invalid(
  name: string,
  needed: string,
  value: unknown,
  Class: typeof TypeError | typeof RangeError = TypeError,
): Error {
  return new Class(`Invalid ${name}: ${needed}, it is ${kind(value)}`);
}

/** Refuses anything but an object with none but these names: no typos. */
export function checkNames(
  what: string,
  value: object | undefined,
  allowed: readonly string[],
): void {
  if (value === undefined) return;
  if (!isObject(value)) throw invalid(what, "an object is needed", value);
  for (const name of Object.keys(value)) {
    if (!allowed.includes(name)) {
      throw new TypeError(
        `Invalid ${what}: there is no "${name}", but ${allowed.join(", ")}`,
      );
    }
  }
}

/** Refuses a number that is not whole or too small. */
export function checkInteger(
  name: string,
  value: unknown,
  least: number,
): void {
  if (value === undefined) return;
  if (Number.isSafeInteger(value) && Number(value) >= least) return;
  const needed = `a whole number from ${least} is needed`;
  throw invalid(name, needed, value, RangeError);
}

/** The longest that a timer can wait: about 24 days. */
const LONGEST = 2 ** 31 - 1;

/** Refuses a time that no timer can wait for. */
export function checkDuration(name: string, value: number | undefined): void {
  if (value === undefined) return;
  if (typeof value === "number" && value > 0 && value <= LONGEST) return;
  const needed = `milliseconds from above 0 to ${LONGEST} are needed`;
  throw invalid(name, needed, value, RangeError);
}

/** Refuses anything but text. */
export function checkString(name: string, value: unknown): void {
  if (typeof value !== "string") {
    throw invalid(name, "a string is needed", value);
  }
}

/** Refuses anything but a function, if it is there. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") {
    throw invalid(name, "a function is needed", value);
  }
}

/** Refuses anything but an array, and gives it back. */
export function checkArray<T>(name: string, value: readonly T[]): readonly T[] {
  if (Array.isArray(value)) return value;
  throw invalid(name, "an array is needed", value);
}

/** Refuses anything but a signal, if it is there. */
export function checkSignal(value: unknown): void {
  if (value === undefined || isObject(value) && "throwIfAborted" in value) {
    return;
  }
  throw invalid("signal", "an AbortSignal is needed", value);
}

/** Whether it is an object with names. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Numbers as they are; of anything else, which may be a secret, the kind. */
export function kind(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `of type ${typeof value}`;
}
