/** The query of a listing: page, filter, order. */
import { crash } from "./errors.ts";
import { Float, type Json, parseKeepingFloats, type Writable } from "./json.ts";
import { compareText } from "./python.ts";
import { pythonRegExp } from "./regexp.ts";

/** A value in the database; undefined for a missing field. */
export type Value = Json | undefined;

/** Whether a value passes a condition. */
export type Test = (value: Value) => boolean;

/** The condition on one field. */
export interface Condition {
  readonly field: string;
  readonly test: Test;
}

/** The order of a listing: fields, each ascending (1) or descending (-1). */
export type Sort = readonly (readonly [field: string, direction: 1 | -1])[];

/** The query of a listing. */
export interface Query {
  readonly page: number;
  readonly perPage: number;
  readonly all: boolean;
  /** Compiles the filter; throws a 400 for an unknown operator. */
  readonly filter: () => Condition[];
  /** Empty for the default order. */
  readonly sort: Sort;
}

const PER_PAGE = 25;

/** Reads the query of a listing. Unreadable parts are ignored. */
export function readQuery(params: URLSearchParams): Query {
  const filter = readFilter(params.get("filter"));
  return {
    page: positiveInteger(params.get("page"), 1),
    perPage: positiveInteger(params.get("per_page"), PER_PAGE),
    all: YES.test(params.get("all") ?? ""),
    filter: () =>
      filter.map(({ field, compile }) => ({ field, test: compile() })),
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
  const parsed = readObject(text);
  const pairs = Object.entries(parsed ?? {});
  const sort: [string, 1 | -1][] = [];
  for (const [field, direction] of pairs) {
    if (direction !== 1 && direction !== -1) return [];
    sort.push([field, direction]);
  }
  return sort;
}

function readObject(text: string | null): { [key: string]: Writable } | null {
  if (text === null) return null;
  try {
    const value = parseKeepingFloats(text);
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}

function isFields(value: Writable): value is { [key: string]: Writable } {
  return typeof value === "object" && value !== null &&
    !Array.isArray(value) && !(value instanceof Float);
}

type Compile = () => Test;

interface RawCondition {
  readonly field: string;
  readonly compile: Compile;
}

/** One unreadable condition makes the whole filter unreadable. */
function readFilter(text: string | null): RawCondition[] {
  const conditions: RawCondition[] = [];
  for (const [field, value] of Object.entries(readObject(text) ?? {})) {
    const compile = readCondition(field, value);
    if (compile === null) return [];
    conditions.push({ field, compile });
  }
  return conditions;
}

function readCondition(field: string, value: Writable): Compile | null {
  if (field.startsWith("$") && !Array.isArray(value)) {
    return () => {
      throw crash(`The ${field} operator is not implemented in mongomock yet`);
    };
  }
  if (isFields(value)) {
    return "regexp" in value
      ? readRegExp(value.regexp)
      : () => compileOperators(value);
  }
  if (
    typeof value === "string" || typeof value === "number" ||
    typeof value === "boolean"
  ) {
    return () => equals(value);
  }
  return null;
}

function readRegExp(pattern: Writable | undefined): Compile | null {
  if (typeof pattern !== "string") return null;
  try {
    const expression = pythonRegExp(pattern);
    return () => (value) =>
      some(value, (item) => typeof item === "string" && expression.test(item));
  } catch {
    return null;
  }
}

type Operator = (operand: Json) => Test;

const OPERATORS: Record<string, Operator> = {
  eq: (operand) => equals(operand),
  ne: (operand) => not(equals(operand)),
  gt: (operand) => ordered(operand, (order) => order > 0),
  gte: (operand) => ordered(operand, (order) => order >= 0),
  lt: (operand) => ordered(operand, (order) => order < 0),
  lte: (operand) => ordered(operand, (order) => order <= 0),
  in: (operand) => among(operand, "$in"),
  nin: (operand) => not(among(operand, "$nin")),
};

function compileOperators(operators: { [key: string]: Writable }): Test {
  const entries = Object.entries(operators);
  if (entries.length === 0) return () => false;
  const tests = entries.map(([name, operand]) => {
    if (!Object.hasOwn(OPERATORS, name)) {
      throw crash(`unknown operator: $${name}`);
    }
    return OPERATORS[name]!(withoutFloats(operand));
  });
  return (value) => tests.every((test) => test(value));
}

function withoutFloats(value: Writable): Json {
  if (value instanceof Float) return value.value;
  if (Array.isArray(value)) return value.map(withoutFloats);
  if (isFields(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, withoutFloats(item)]),
    );
  }
  return value;
}

function not(test: Test): Test {
  return (value) => !test(value);
}

/** A list passes if one of its items does. */
function some(value: Value, test: Test): boolean {
  return test(value) || (Array.isArray(value) && value.some(test));
}

function equals(operand: Json): Test {
  if (operand === null) {
    return (value) =>
      some(value, (item) => item === null || item === undefined);
  }
  if (typeof operand !== "object") {
    return (value) => some(value, (item) => item === operand);
  }
  const wanted = JSON.stringify(operand);
  return (value) => some(value, (item) => JSON.stringify(item) === wanted);
}

function among(operand: Json, name: string): Test {
  if (!Array.isArray(operand)) throw crash(`${name} needs an array`);
  const tests = operand.map(equals);
  return (value) => tests.some((test) => test(value));
}

/** Only values of one type have an order; others do not pass. */
function ordered(operand: Json, pass: (order: number) => boolean): Test {
  const type = typeof operand;
  if (operand === null || (type !== "number" && type !== "string")) {
    return () => false;
  }
  return (value) =>
    some(value, (item) => typeof item === type && pass(compare(item, operand)));
}

/** The order of values of different types. */
const RANKS: Record<string, number> = {
  undefined: 0,
  number: 1,
  string: 2,
  object: 3,
  boolean: 5,
};

function rank(value: Value): number {
  if (value === null) return 0;
  return Array.isArray(value) ? 4 : RANKS[typeof value] ?? 3;
}

/** Orders two values as the database does. */
export function compare(a: Value, b: Value): number {
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return rank(a) - rank(b) || Number(a === true) - Number(b === true);
}
