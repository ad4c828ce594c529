/** The query of a listing, with nothing in it that the server would misread. */

import { checkInteger, checkNames, kind } from "./_check.ts";
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

/** Names that match nothing, with what to say instead. */
const NO_MODEL_FIELDS: Record<string, string> = {
  id: "model_id",
  time_updated: "time_created",
};
const NO_STEP_FIELDS: Record<string, string> = {
  id: "nothing: steps can be sorted by _id only",
  model_id: "nothing: steps can be sorted by _id only",
  time_updated: "time_finished",
  time_created: "time_started",
  version: "nothing: a step has one version only",
  initiator_id: "nothing: the listing is that of one execution already",
};

const OPERATORS = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "regexp"];

/** Builds the query, or refuses what the server would pass over in silence. */
export function listQuery(
  options: AnyListOptions = {},
  listed: Listed,
): URLSearchParams {
  checkNames(
    "the options of this listing",
    options,
    listed === "version" ? PAGE_OPTIONS : LIST_OPTIONS,
  );
  const { page, perPage, all, filter, sortBy } = options;
  checkInteger("page", page, 1);
  checkInteger("perPage", perPage, 1);
  if (all !== undefined && typeof all !== "boolean") {
    throw new TypeError(
      `Invalid all: true or false is needed, it is ${kind(all)}`,
    );
  }
  checkFilter(filter, listed);
  checkSortBy(sortBy, listed);
  const query = new URLSearchParams();
  if (page !== undefined) query.set("page", String(page));
  if (perPage !== undefined) query.set("per_page", String(perPage));
  if (all) query.set("all", "1");
  if (filter !== undefined) query.set("filter", JSON.stringify(filter));
  if (sortBy !== undefined) query.set("sort_by", JSON.stringify(sortBy));
  return query;
}

function checkFilter(filter: object | undefined, listed: Listed): void {
  if (filter === undefined) return;
  checkObject("filter", filter);
  for (const [key, condition] of Object.entries(filter)) {
    const name = `filter.${key}`;
    checkKey(name, key, listed);
    if (key === "_id") {
      throw new TypeError(
        `Invalid ${name}: the server can sort by _id but not filter by it`,
      );
    }
    if (!isObject(condition)) checkValue(name, condition, listed);
    else checkOperators(name, condition, listed);
  }
}

function checkOperators(name: string, condition: object, listed: Listed): void {
  const operators = Object.keys(condition);
  if (operators.length === 0) {
    throw new TypeError(`Invalid ${name}: it names no operator`);
  }
  if (operators.includes("regexp") && operators.length > 1) {
    throw new TypeError(
      `Invalid ${name}: the server ignores other operators beside regexp`,
    );
  }
  for (const [operator, value] of Object.entries(condition)) {
    const full = `${name}.${operator}`;
    if (!OPERATORS.includes(operator)) {
      throw new TypeError(
        `Invalid ${full}: the operators are ${OPERATORS.join(", ")}`,
      );
    }
    if (operator === "regexp") {
      if (typeof value !== "string") {
        throw new TypeError(
          `Invalid ${full}: a string in Python's dialect is needed, it is ${
            kind(value)
          }`,
        );
      }
    } else if (operator === "in") {
      if (!Array.isArray(value)) {
        throw new TypeError(
          `Invalid ${full}: an array is needed, it is ${kind(value)}`,
        );
      }
      for (const item of value) checkValue(full, item, listed);
    } else checkValue(full, value, listed);
  }
}

function checkValue(name: string, value: unknown, listed: Listed): void {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) {
      throw new RangeError(
        `Invalid ${name}: the server takes whole numbers only, it is ${value}`,
      );
    }
  } else if (typeof value !== "string" && typeof value !== "boolean") {
    throw new TypeError(
      `Invalid ${name}: a string, a whole number or a boolean is needed, it is ${
        kind(value)
      }; the server would ignore the whole filter`,
    );
  } else if (listed === "step" && name.startsWith("filter.result")) {
    throw new TypeError(
      `Invalid ${name}: the server knows results by number, ok is 1, error 2, skipped 3, unreachable 4`,
    );
  }
}

function checkSortBy(sortBy: object | undefined, listed: Listed): void {
  if (sortBy === undefined) return;
  checkObject("sortBy", sortBy);
  const entries = Object.entries(sortBy);
  if (entries.length === 0) {
    throw new TypeError("Invalid sortBy: it names no field");
  }
  for (const [key, direction] of entries) {
    checkKey(`sortBy.${key}`, key, listed);
    if (direction !== 1 && direction !== -1) {
      throw new RangeError(
        `Invalid sortBy.${key}: 1 or -1 is needed, the server would ignore anything else`,
      );
    }
  }
}

function checkKey(name: string, key: string, listed: Listed): void {
  if (key === "" || key.split(".").some((part) => part.startsWith("$"))) {
    throw new TypeError(
      `Invalid ${name}: a name of a field is needed, operators go into its value without a $`,
    );
  }
  const wrong = listed === "step" ? NO_STEP_FIELDS : NO_MODEL_FIELDS;
  const right = key.startsWith("data.")
    ? key.slice("data.".length)
    : Object.hasOwn(wrong, key)
    ? wrong[key]
    : undefined;
  if (right !== undefined) {
    throw new TypeError(
      `Invalid ${name}: the server's database has no such field, it says ${right}`,
    );
  }
}

function checkObject(name: string, value: unknown): void {
  if (!isObject(value)) {
    throw new TypeError(
      `Invalid ${name}: an object is needed, it is ${kind(value)}`,
    );
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
