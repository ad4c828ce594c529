/** Behaviour of Python that is visible to clients. */
import { crash } from "./errors.ts";
import { isObject, type Json } from "./json.ts";

/** A value as Python's `repr` writes it in error messages. */
export function repr(value: Json): string {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  if (isObject(value)) {
    const pairs = Object.entries(value).map(([key, item]) =>
      `${quote(key)}: ${repr(item)}`
    );
    return `{${pairs.join(", ")}}`;
  }
  return String(value);
}

function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replace(
    /[\\\p{Cc}]/gu,
    (char) =>
      /[\\\n\r\t]/.test(char)
        ? JSON.stringify(char).slice(1, -1)
        : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return mark + (mark === "'" ? body.replaceAll("'", "\\'") : body) + mark;
}

/** The name of a value's type, as in Python's error messages. */
export function typeName(value: Json): string {
  if (value === null) return "NoneType";
  if (Array.isArray(value)) return "list";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "str";
  if (typeof value === "object") return "dict";
  return Number.isInteger(value) ? "int" : "float";
}

/** `name in value`, for any JSON value. */
export function contains(value: Json, name: string): boolean {
  if (typeof value === "string" || Array.isArray(value)) {
    return value.includes(name);
  }
  if (isObject(value)) return Object.hasOwn(value, name);
  throw crash(`argument of type '${typeName(value)}' is not iterable`);
}

/** `value[name]`, for any JSON value. */
export function subscript(value: Json, name: string): Json {
  if (isObject(value)) {
    const item = Object.hasOwn(value, name) ? value[name] : undefined;
    if (item === undefined) throw crash(repr(name));
    return item;
  }
  if (typeof value === "string") throw crash("string indices must be integers");
  if (Array.isArray(value)) {
    throw crash("list indices must be integers or slices, not str");
  }
  throw crash(`'${typeName(value)}' object is not subscriptable`);
}
