/** The query of a listing, with nothing in it that the server would misread. */

import {
  checkInteger,
  checkNames,
  checkSignal,
  checkString,
  invalid,
  isObject,
} from "./_check.ts";
import type { Filter, SortBy } from "./models.ts";
import { REQUEST_OPTIONS, type RequestOptions } from "./_transport.ts";

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

const PAGE_OPTIONS = [...REQUEST_OPTIONS, "page", "perPage", "all"];
const LIST_OPTIONS = [...PAGE_OPTIONS, "filter", "sortBy"];

/** What a listing's items are. */
export type Listed = "model" | "step" | "version";

/** Names that match nothing, and what the server's database has instead. */
const NO_MODEL_FIELDS = new Map([
  ["id", "model_id"],
  ["time_updated", "time_created"],
]);
const NO_STEP_FIELDS = new Map([
  ["id", "_id, which can only be sorted by"],
  ["model_id", "_id, which can only be sorted by"],
  ["time_updated", "time_finished"],
  ["time_created", "time_started"],
]);

const RESULTS = "ok 1, error 2, skipped 3, unreachable 4";

const OPERATORS = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "regexp"];

/**
 * Builds the query, or refuses what the server would pass over in silence.
 * What is left of the options is for the request.
 */
export function listQuery(
  options: AnyListOptions,
  listed: Listed,
): { query: URLSearchParams; options: RequestOptions } {
  const allowed = listed === "version" ? PAGE_OPTIONS : LIST_OPTIONS;
  checkNames("options", options, allowed);
  checkSignal(options.signal);
  const { page, perPage, all, filter, sortBy, ...rest } = options;
  checkInteger("page", page, 1);
  checkInteger("perPage", perPage, 1);
  if (all !== undefined && typeof all !== "boolean") {
    throw invalid("all", "true or false is needed", all);
  }
  const query = new URLSearchParams();
  if (page !== undefined) query.set("page", String(page));
  if (perPage !== undefined) query.set("per_page", String(perPage));
  if (all) query.set("all", "1");
  if (filter !== undefined) {
    checkFilter(filter, listed);
    query.set("filter", JSON.stringify(filter));
  }
  if (sortBy !== undefined) {
    checkSortBy(sortBy, listed);
    query.set("sort_by", JSON.stringify(sortBy));
  }
  return { query, options: rest };
}

function checkFilter(filter: object, listed: Listed): void {
  for (const [key, condition] of entries("filter", filter)) {
    const name = `filter.${key}`;
    checkKey(name, key, listed);
    if (key === "_id") {
      throw new TypeError(`Invalid ${name}: the server can only sort by _id`);
    }
    const operators = isObject(condition)
      ? entries(name, condition)
      : [["eq", condition] as const];
    for (const [operator, value] of operators) {
      checkOperator(`${name}.${operator}`, operator, value, listed);
    }
    if (operators.length === 0) {
      throw invalid(name, "a value or an operator is needed", condition);
    }
    if (operators.length > 1 && isObject(condition) && "regexp" in condition) {
      throw new TypeError(
        `Invalid ${name}: the server ignores other operators beside regexp`,
      );
    }
  }
}

function checkOperator(
  name: string,
  operator: string,
  value: unknown,
  listed: Listed,
): void {
  if (!OPERATORS.includes(operator)) {
    throw new TypeError(
      `Invalid ${name}: there is no such operator, but ${OPERATORS.join(", ")}`,
    );
  }
  if (operator === "regexp") return checkString(name, value);
  const values = operator === "in" ? value : [value];
  if (!Array.isArray(values)) throw invalid(name, "an array is needed", value);
  for (const one of values) {
    const number = typeof one === "number";
    if (!number && typeof one !== "string" && typeof one !== "boolean") {
      const needed =
        "a string, a whole number or a boolean is needed, or the " +
        "server would ignore the whole filter";
      throw invalid(name, needed, one);
    }
    if (number && !Number.isSafeInteger(one)) {
      throw invalid(name, "a whole number is needed", one, RangeError);
    }
    if (!number && listed === "step" && name.startsWith("filter.result.")) {
      throw invalid(name, `the server knows results as ${RESULTS}`, one);
    }
  }
}

function checkSortBy(sortBy: object, listed: Listed): void {
  const fields = entries("sortBy", sortBy);
  if (fields.length === 0) throw invalid("sortBy", "a field is needed", sortBy);
  for (const [key, direction] of fields) {
    const name = `sortBy.${key}`;
    checkKey(name, key, listed);
    if (direction !== 1 && direction !== -1) {
      throw invalid(name, "1 or -1 is needed", direction, RangeError);
    }
  }
}

/** Refuses names that the server's database does not have. */
function checkKey(name: string, key: string, listed: Listed): void {
  if (key === "" || /(^|\.)\$/.test(key)) {
    throw new TypeError(`Invalid ${name}: it is not the name of a field`);
  }
  const wrong = listed === "step" ? NO_STEP_FIELDS : NO_MODEL_FIELDS;
  const right = key.startsWith("data.") ? key.slice(5) : wrong.get(key);
  if (right !== undefined) {
    throw new TypeError(
      `Invalid ${name}: the server's name for it is ${right}`,
    );
  }
}

function entries(name: string, value: unknown): [string, unknown][] {
  if (!isObject(value)) throw invalid(name, "an object is needed", value);
  return Object.entries(value);
}
