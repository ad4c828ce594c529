/** Validates list options, and encodes them as a query. */

import { LIST_OPTIONS, PAGE_OPTIONS, type PageOptions } from "../options.ts";
import { singleLine } from "./redact.ts";
import {
  ARRAY,
  isObject,
  PLAIN_OBJECT,
  STRING,
  validate,
  validateNames,
  validateOptions,
  type Validator,
} from "./validate.ts";

/** The list options of any kind of model. */
export interface ListOptionsLike extends PageOptions {
  /** Conditions that all must hold for an item. */
  filter?: object | undefined;
  /** The order of the items. */
  sortBy?: object | undefined;
}

/** What a listing contains. */
export type ListKind = "model" | "step" | "version";

/** Field names that match nothing, and the database's names for them. */
const DATABASE_NAMES: Record<ListKind, Record<string, string>> = {
  model: { id: "model_id", time_updated: "time_created" },
  step: {
    id: "_id (only in sortBy)",
    model_id: "_id (only in sortBy)",
    time_updated: "time_finished",
    time_created: "time_started",
  },
  version: {},
};

const OPERATORS = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "regexp"];

/** The server would ignore the whole filter for any other value. */
const VALUE: Validator = [
  "a string, an integer or a boolean",
  (value) => ["string", "boolean"].includes(typeof value),
];

const INTEGER: Validator = ["an integer", Number.isSafeInteger, RangeError];

/** No value passes: numbers are checked as integers before. */
const RESULT: Validator = [
  "a number: ok 1, error 2, skipped 3, unreachable 4",
  () => false,
];

const DIRECTION: Validator = [
  "1 or -1",
  (value) => value === 1 || value === -1,
  RangeError,
];

/** Throws if the server would silently ignore or misread an option. */
export function validateListOptions(
  options: ListOptionsLike,
  kind: ListKind,
): void {
  validateOptions(options, kind === "version" ? PAGE_OPTIONS : LIST_OPTIONS);
  const names = DATABASE_NAMES[kind];
  const { filter, sortBy } = options;
  for (const [label, field, condition] of readFields("filter", filter, names)) {
    const isResult = kind === "step" && field === "result";
    validateCondition(label, field, condition, isResult ? RESULT : VALUE);
  }
  const order = readFields("sortBy", sortBy, names);
  for (const [label, , direction] of order) {
    validate(label, direction, DIRECTION);
  }
  if (sortBy && order.length === 0) {
    throw new TypeError("Invalid sortBy: must have a field, got none");
  }
}

/** The query of list options as it appears in a URL. */
export function encodeQuery(
  { page, perPage, all, filter, sortBy }: ListOptionsLike,
): string {
  const json = (value: object) => encodeURIComponent(JSON.stringify(value));
  const parts: string[] = [];
  if (page !== undefined) parts.push(`page=${page}`);
  if (perPage !== undefined) parts.push(`per_page=${perPage}`);
  if (all) parts.push("all=1");
  if (filter) parts.push(`filter=${json(filter)}`);
  if (sortBy) parts.push(`sort_by=${json(sortBy)}`);
  return parts.join("&");
}

function validateCondition(
  label: string,
  field: string,
  condition: unknown,
  validator: Validator,
): void {
  if (field === "_id") {
    throw new TypeError(
      `Invalid ${label}: must be another field, the server can only sort by _id`,
    );
  }
  const validateValue = (label: string, value: unknown) =>
    validate(label, value, typeof value === "number" ? INTEGER : validator);
  if (!isObject(condition)) return validateValue(label, condition);
  validateNames(label, condition, OPERATORS, "operator", `${label}.`);
  const operators = Object.entries(condition);
  for (const [operator, value] of operators) {
    const name = `${label}.${operator}`;
    if (operator === "in" && Array.isArray(value)) {
      for (const one of value) validateValue(name, one);
    } else if (operator === "in") validate(name, value, ARRAY);
    else if (operator === "regexp") validate(name, value, STRING);
    else validateValue(name, value);
  }
  const isAmbiguous = "regexp" in condition && operators.length > 1;
  if (isAmbiguous || operators.length === 0) {
    throw new TypeError(
      `Invalid ${label}: must have ${
        isAmbiguous ? "no other operator beside regexp" : "an operator"
      }`,
    );
  }
}

/** The fields of a filter or an order; throws for names of the API only. */
function readFields(
  option: string,
  value: object | undefined,
  databaseNames: Record<string, string>,
): [label: string, field: string, value: unknown][] {
  if (value === undefined) return [];
  validate(option, value, PLAIN_OBJECT);
  return Object.entries(value).map(([field, value]) => {
    const label = `${option}.${singleLine(field, 80)}`;
    const name = field.startsWith("data.")
      ? field.slice(5)
      : Object.hasOwn(databaseNames, field) && databaseNames[field];
    if (name) {
      throw new TypeError(
        `Invalid ${label}: must be the database's name, which is ${
          singleLine(name, 80)
        }`,
      );
    }
    if (/^$|(?:^|\.)\$/.test(field)) {
      throw new TypeError(`Invalid ${label}: must be the name of a field`);
    }
    return [label, field, value];
  });
}
