/** The query of a listing, with nothing in it that the server would misread. */

import {
  ARRAY,
  isObject,
  OBJECT,
  validate,
  validateNames,
  validateOptions,
  type Validator,
} from "./validate.ts";
import type { Filter, SortBy } from "../models.ts";
import { REQUEST_OPTIONS, type RequestOptions } from "./transport.ts";

/** Which page a listing gives. */
export interface PageOptions extends RequestOptions {
  /** The number of the page to get, or to begin with; from 1. */
  page?: number;
  /** How many items a page holds; 25 unless said, without an upper bound. */
  perPage?: number;
  /** Everything on one page. */
  all?: boolean;
}

/**
 * Which items a listing gives, and in which order.
 *
 * @typeParam Fields The names to filter and sort by.
 */
export interface ListOptions<Fields> extends PageOptions {
  /** Only the items for which all of this holds. */
  filter?: Filter<Fields>;
  /** The order of the items; each kind of model has its own unless said. */
  sortBy?: SortBy<Fields>;
}

/** A listing's options of whatever kind. */
export interface AnyListOptions extends PageOptions {
  filter?: object;
  sortBy?: object;
}

/** What a listing's items are. */
export type Listed = "model" | "step" | "version";

const PAGE_OPTIONS = [...REQUEST_OPTIONS, "page", "perPage", "all"];
const LIST_OPTIONS = [...PAGE_OPTIONS, "filter", "sortBy"];

/** Names that match nothing, and what the server's database has instead. */
const WRONG_NAMES: Record<Listed, Record<string, string>> = {
  model: { id: "model_id", time_updated: "time_created" },
  step: {
    id: "_id, which can only be sorted by",
    model_id: "_id, which can only be sorted by",
    time_updated: "time_finished",
    time_created: "time_started",
  },
  version: {},
};

const OPERATORS = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "regexp"];

/** What the server would ignore a whole filter for, if it is not like this. */
const VALUE: Validator = [
  "a string, an integer or a boolean",
  (value) => ["string", "boolean"].includes(typeof value),
];

const NUMBER: Validator = [
  "an integer",
  Number.isSafeInteger,
  RangeError,
];

const RESULT: Validator = [
  "a number: ok 1, error 2, skipped 3, unreachable 4",
  () => false,
];

const DIRECTION: Validator = [
  "1 or -1",
  (value) => value === 1 || value === -1,
  RangeError,
];

/** Refuses what the server would pass over in silence. */
export function checkListOptions(
  options: AnyListOptions,
  listed: Listed,
): void {
  validateOptions(options, listed === "version" ? PAGE_OPTIONS : LIST_OPTIONS);
  const { filter, sortBy } = options;
  const fields = (what: string, value: object | undefined) =>
    entries(what, value, WRONG_NAMES[listed]);
  for (const [name, key, condition] of fields("filter", filter)) {
    const rule = listed === "step" && key === "result" ? RESULT : VALUE;
    checkCondition(name, key, condition, rule);
  }
  const order = fields("sortBy", sortBy);
  for (const [name, , direction] of order) validate(name, direction, DIRECTION);
  if (sortBy && order.length === 0) {
    throw new TypeError("Invalid sortBy: a field is needed, there is none");
  }
}

/** The query of such options, as it stands in a URL. */
export function queryText(
  { page, perPage, all, filter, sortBy }: AnyListOptions,
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

/** What of the options is for the request. */
export function requestOptions(options: AnyListOptions): RequestOptions {
  const { signal, timeout, retries, headers } = options;
  return { signal, timeout, retries, headers };
}

function checkCondition(
  name: string,
  key: string,
  condition: unknown,
  rule: Validator,
): void {
  if (key === "_id") {
    throw new TypeError(`Invalid ${name}: the server can only sort by _id`);
  }
  const checkValue = (name: string, value: unknown) =>
    validate(name, value, typeof value === "number" ? NUMBER : rule);
  if (!isObject(condition)) return checkValue(name, condition);
  validateNames(name, condition, OPERATORS);
  const operators = Object.entries(condition);
  for (const [operator, value] of operators) {
    const shown = `${name}.${operator}`;
    if (operator === "regexp") validate(shown, value);
    else if (operator !== "in") checkValue(shown, value);
    else if (Array.isArray(value)) {
      for (const one of value) checkValue(shown, one);
    } else validate(shown, value, ARRAY);
  }
  if (
    operators.length !== 1 && (operators.length === 0 || "regexp" in condition)
  ) {
    throw new TypeError(
      `Invalid ${name}: an operator is needed, and regexp stands alone`,
    );
  }
}

/** The fields of a filter or an order, by names that the database has. */
function entries(
  what: string,
  value: object | undefined,
  wrong: Record<string, string>,
): [name: string, key: string, value: unknown][] {
  if (value === undefined) return [];
  validate(what, value, OBJECT);
  return Object.entries(value).map(([key, value]) => {
    const name = `${what}.${key}`;
    const right = key.startsWith("data.")
      ? key.slice(5)
      : Object.hasOwn(wrong, key) && wrong[key];
    if (right) {
      throw new TypeError(
        `Invalid ${name}: the server's name for it is ${right}`,
      );
    }
    if (/^$|(?:^|\.)\$/.test(key)) {
      throw new TypeError(`Invalid ${name}: it is not the name of a field`);
    }
    return [name, key, value];
  });
}
