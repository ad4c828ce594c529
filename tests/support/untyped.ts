/** Values as programs without types pass them. */

/** The value, as whatever type is expected. */
export function untyped<T>(value: unknown): T {
  return new Map().set("", value).get("");
}
