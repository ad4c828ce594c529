/** JSON that says exactly what the caller passed, and JSON that was received. */

/** Serializes a body. Throws if JSON would silently change a value. */
export function serializeJson(body: unknown): string {
  const paths = new Map<unknown, string>();
  return JSON.stringify(body, function (this: object, key, value) {
    const holder = paths.get(this) ?? "";
    const name = Array.isArray(this)
      ? `${holder}[${key}]`
      : holder && key
      ? `${holder}.${key}`
      : holder + key;
    const problem = findProblem(value, Array.isArray(this));
    if (problem) {
      throw new TypeError(
        `Invalid ${
          name || "body"
        }: must be a value that JSON can represent exactly, got ${problem}`,
      );
    }
    if (typeof value === "object" && value !== null) paths.set(value, name);
    return value;
  });
}

/** What JSON would silently change about a value. */
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
    default:
      return value instanceof Map || value instanceof Set
        ? `a ${value.constructor.name}`
        : undefined;
  }
}

/** Parses JSON. JSON.parse's own error would quote the text. */
export function parseJson<T>(text: string): { value: T } | undefined {
  try {
    const value: T = JSON.parse(text);
    return { value };
  } catch {
    return undefined;
  }
}
