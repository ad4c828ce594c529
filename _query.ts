/** The query of a listing, with nothing in it that the server would misread. */

import { check, checkOptions, invalid, isObject } from "./_check.ts";
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

/**
 * Builds the query, or refuses what the server would pass over in silence.
 * What is left of the options is for the request.
 */
export function listQuery(
  options: AnyListOptions,
  listed: Listed,
): { query: URLSearchParams; options: RequestOptions } {
  checkOptions(options, listed === "version" ? PAGE_OPTIONS : LIST_OPTIONS);
  const { page, perPage, all, filter, sortBy, ...rest } = options;
  const query = new URLSearchParams();
  if (page !== undefined) query.set("page", `${page}`);
  if (perPage !== undefined) query.set("per_page", `${perPage}`);
  if (all) query.set("all", "1");
  if (filter !== undefined) {
    for (const [key, condition] of entries("filter", filter, listed)) {
      checkCondition(`filter.${key}`, key, condition, listed);
    }
    query.set("filter", JSON.stringify(filter));
  }
  if (sortBy !== undefined) {
    const fields = entries("sortBy", sortBy, listed);
    for (const [key, direction] of fields) {
      if (direction !== 1 && direction !== -1) {
        throw invalid(
          `sortBy.${key}`,
          "1 or -1 is needed",
          direction,
          RangeError,
        );
      }
    }
    if (fields.length === 0) {
      throw invalid("sortBy", "a field is needed", sortBy);
    }
    query.set("sort_by", JSON.stringify(sortBy));
  }
  return { query, options: rest };
}

function checkCondition(
  name: string,
  key: string,
  condition: unknown,
  listed: Listed,
): void {
  if (key === "_id") {
    throw new TypeError(`Invalid ${name}: the server can only sort by _id`);
  }
  const operators = isObject(condition)
    ? Object.entries(condition)
    : [["eq", condition] as const];
  if (operators.length === 0) {
    throw invalid(name, "a value or an operator is needed", condition);
  }
  for (const [operator, value] of operators) {
    if (!OPERATORS.includes(operator)) {
      throw new TypeError(
        `Invalid ${name}.${operator}: there is no such operator, but ${
          OPERATORS.join(", ")
        }`,
      );
    }
    if (operator !== "regexp") {
      const results = listed === "step" && key === "result";
      checkValues(`${name}.${operator}`, operator, value, results);
    } else if (operators.length > 1) {
      throw new TypeError(
        `Invalid ${name}: the server ignores other operators beside regexp`,
      );
    } else check(`${name}.regexp`, value);
  }
}

/** Refuses values for which the server would ignore the whole filter. */
function checkValues(
  name: string,
  operator: string,
  value: unknown,
  results: boolean,
): void {
  const values = operator === "in" ? value : [value];
  if (!Array.isArray(values)) throw invalid(name, "an array is needed", value);
  for (const one of values) {
    const number = typeof one === "number";
    if (number ? !Number.isSafeInteger(one) : results) {
      const numbers = "ok 1, error 2, skipped 3, unreachable 4";
      const needed = `a whole number is needed${results ? `: ${numbers}` : ""}`;
      throw invalid(name, needed, one, number ? RangeError : TypeError);
    }
    if (!number && typeof one !== "string" && typeof one !== "boolean") {
      throw invalid(
        name,
        "a string, a whole number or a boolean is needed",
        one,
      );
    }
  }
}

/** The fields of a filter or an order, by names that the database has. */
function entries(
  what: string,
  value: object,
  listed: Listed,
): [string, unknown][] {
  if (!isObject(value)) throw invalid(what, "an object is needed", value);
  const all: [string, unknown][] = Object.entries(value);
  for (const [key] of all) {
    const name = `Invalid ${what}.${key}`;
    if (key === "" || /(^|\.)\$/.test(key)) {
      throw new TypeError(`${name}: it is not the name of a field`);
    }
    const right = key.startsWith("data.")
      ? key.slice(5)
      : new Map(Object.entries(WRONG_NAMES[listed])).get(key);
    if (right !== undefined) {
      throw new TypeError(`${name}: the server's name for it is ${right}`);
    }
  }
  return all;
}
