/** The query of a listing: page, filter, order. */
import { crash } from "./errors.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import { pythonRegExp } from "./regexp.ts";

/** A value in the database; undefined for a missing field. */
export type Value = Json | undefined;

/** Whether a value passes a condition. */
type Test = (value: Value) => boolean;

/** The condition on one field. */
export interface Condition {
  readonly field: string;
  readonly test: Test;
}

/** The order of a listing: fields, each ascending (1) or descending (-1). */
export type Sort = readonly (readonly [field: string, direction: 1 | -1])[];

/** The query of a listing. Its unreadable parts are ignored. */
export interface Query {
  readonly page: number;
  readonly perPage: number;
  readonly all: boolean;
  /** Compiles the filter; throws a 400 for an unknown operator. */
  readonly filter: () => Condition[];
  /** Empty for the default order. */
  readonly sort: Sort;
}

/** Reads the query of a listing. */
export function readQuery(params: URLSearchParams): Query {
  return {
    page: positiveInteger(params.get("page"), 1),
    perPage: positiveInteger(params.get("per_page"), 25),
    all: YES.test(params.get("all") ?? ""),
    filter: () => readFilter(params.get("filter")),
    sort: readSort(params.get("sort_by")),
  };
}

export const YES = /^(?:y|yes|t|true|on|1)$/i;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

function positiveInteger(text: string | null, fallback: number): number {
  if (text === null || !NUMBER.test(text.trim())) return fallback;
  const value = Math.trunc(Number(text));
  return value > 0 && Number.isFinite(value) ? value : fallback;
}

function readSort(text: string | null): Sort {
  const sort: [string, 1 | -1][] = [];
  for (const [field, direction] of readEntries(text)) {
    if (direction !== 1 && direction !== -1) return [];
    sort.push([field, direction]);
  }
  return sort;
}

/** The entries of an object. Floats are null: neither is readable. */
function readEntries(text: string | null): [string, Json][] {
  try {
    const value: Json = JSON.parse(text ?? "");
    const isFloat: unknown = JSON.parse(
      text ?? "",
      (_key, item, { source = "" }: { source?: string } = {}) =>
        typeof item === "object" ? item : /^-?\d+[.e]/i.test(source),
    );
    if (!isObject(value) || !isObject(isFloat)) return [];
    return Object.entries(value).map(([name, item]) => [
      name,
      isFloat[name] === true ? null : item,
    ]);
  } catch {
    return [];
  }
}

/** One unreadable condition makes the whole filter unreadable. */
function readFilter(text: string | null): Condition[] {
  const conditions: [field: string, compile: () => Test][] = [];
  for (const [field, value] of readEntries(text)) {
    const compile = readCondition(field, value);
    if (compile === null) return [];
    conditions.push([field, compile]);
  }
  return conditions.map(([field, compile]) => ({ field, test: compile() }));
}

function readCondition(field: string, value: Json): (() => Test) | null {
  if (field.startsWith("$") && !Array.isArray(value)) {
    return () => {
      throw crash(`The ${field} operator is not implemented in mongomock yet`);
    };
  }
  if (isObject(value)) {
    return "regexp" in value
      ? readRegExp(value.regexp)
      : () => compileOperators(value);
  }
  return value === null || Array.isArray(value) ? null : () => equals(value);
}

function readRegExp(pattern: Value): (() => Test) | null {
  if (typeof pattern !== "string") return null;
  try {
    const { test } = pythonRegExp(pattern);
    return () => some((item) => typeof item === "string" && test(item));
  } catch {
    return null;
  }
}

const OPERATORS: Record<string, (operand: Json) => Test> = {
  eq: (operand) => equals(operand),
  ne: (operand) => not(equals(operand)),
  gt: (operand) => ordered(operand, (order) => order > 0),
  gte: (operand) => ordered(operand, (order) => order >= 0),
  lt: (operand) => ordered(operand, (order) => order < 0),
  lte: (operand) => ordered(operand, (order) => order <= 0),
  in: (operand) => among(operand, "$in"),
  nin: (operand) => not(among(operand, "$nin")),
};

function compileOperators(operators: JsonObject): Test {
  const tests = Object.entries(operators).map(([name, operand]) => {
    const operator = Object.hasOwn(OPERATORS, name) && OPERATORS[name];
    if (!operator) throw crash(`unknown operator: $${name}`);
    return operator(operand);
  });
  return (value) => tests.length > 0 && tests.every((test) => test(value));
}

function not(test: Test): Test {
  return (value) => !test(value);
}

/** A list passes if one of its items does. */
function some(test: Test): Test {
  return (value) => test(value) || (Array.isArray(value) && value.some(test));
}

/** A missing field equals null. */
function equals(operand: Json): Test {
  if (typeof operand !== "object") return some((item) => item === operand);
  const text = JSON.stringify(operand);
  return some((item) => JSON.stringify(item ?? null) === text);
}

function among(operand: Json, name: string): Test {
  if (!Array.isArray(operand)) throw crash(`${name} needs an array`);
  const tests = operand.map(equals);
  return (value) => tests.some((test) => test(value));
}

/** Only values of one type have an order; others do not pass. */
function ordered(operand: Json, pass: (order: number) => boolean): Test {
  const type = typeof operand;
  if (type !== "number" && type !== "string") return () => false;
  return some((item) => typeof item === type && pass(compare(item, operand)));
}

/** The types of values in their order, after null. */
const TYPES = ["number", "string", "object", "array", "boolean"];

function rank(value: Value): number {
  if (value === null) return -1;
  return TYPES.indexOf(Array.isArray(value) ? "array" : typeof value);
}

/** Orders two values as the database does. */
export function compare(a: Value, b: Value): number {
  if (typeof a === "string" && typeof b === "string") {
    return a < b ? -1 : Number(a > b);
  }
  return rank(a) - rank(b) || Number(a) - Number(b) || 0;
}
