/** A table that filters, sorts and pages thousands of rows fast. */

import { standard } from "./errors.ts";
import {
  compare,
  type Condition,
  type Query,
  type Sort,
  type Value,
} from "./filters.ts";

/** A row of a table. */
export interface Row {
  /** The field `_id`: unique, ascending with each new row. */
  readonly seq: number;
}

/** The rows of one page, and the total number of rows. */
export interface Page<R> {
  readonly rows: R[];
  readonly page: number;
  readonly perPage: number;
  readonly total: number;
}

/** Reads a field of a row by its name in the database. */
export type Field<R> = (row: R, name: string) => Value;

type Order<R> = (a: R, b: R) => number;

/** The first number that is too large for the database. */
const MAX_INTEGER = 2 ** 63;

/** The number of sort orders that are cached. */
const MAX_ORDERS = 8;

/** After this many changes, sorting again is cheaper than inserting. */
const MAX_CHANGES = 100;

interface KeptOrder<R> {
  readonly order: Order<R>;
  readonly rows: R[];
  /** The number of changes since the last read. */
  changes: number;
}

/** A set of rows that caches the sort orders in use. */
export class Table<R extends Row> {
  readonly #field: Field<R>;
  readonly #defaultSort: Sort;
  readonly #rows = new Set<R>();
  readonly #orders = new Map<string, KeptOrder<R>>();

  constructor(field: Field<R>, defaultSort: Sort) {
    this.#field = field;
    this.#defaultSort = defaultSort;
  }

  [Symbol.iterator](): Iterator<R> {
    return this.#rows[Symbol.iterator]();
  }

  add(row: R): void {
    this.#rows.add(row);
    this.#change((rows, order) =>
      rows.splice(search(rows, row, order), 0, row)
    );
  }

  delete(row: R): void {
    if (!this.#rows.delete(row)) return;
    this.#change((rows, order) => rows.splice(search(rows, row, order), 1));
  }

  /** Updates the cached orders; drops those that are no longer read. */
  #change(apply: (rows: R[], order: Order<R>) => void): void {
    for (const [key, kept] of this.#orders) {
      if (++kept.changes > MAX_CHANGES) this.#orders.delete(key);
      else apply(kept.rows, kept.order);
    }
  }

  list(query: Query): Page<R> {
    const sort = query.sort.length > 0 ? query.sort : this.#defaultSort;
    const conditions = query.filter();
    return cut(
      filterRows(this.#sorted(sort), conditions, sort, this.#field),
      query,
    );
  }

  #sorted(sort: Sort): R[] {
    const key = JSON.stringify(sort);
    let kept = this.#orders.get(key);
    if (kept === undefined) {
      const order = orderBy(sort, this.#field);
      kept = { order, rows: [...this.#rows].sort(order), changes: 0 };
      const [oldest] = this.#orders.keys();
      if (this.#orders.size >= MAX_ORDERS && oldest !== undefined) {
        this.#orders.delete(oldest);
      }
      this.#orders.set(key, kept);
    }
    kept.changes = 0;
    return kept.rows;
  }
}

/** Compares rows by fields, then by `_id`. */
export function orderBy<R extends Row>(sort: Sort, field: Field<R>): Order<R> {
  return (a, b) => {
    for (const [name, direction] of sort) {
      const order = name === "_id"
        ? a.seq - b.seq
        : compare(field(a, name), field(b, name));
      if (order !== 0) return order * direction;
    }
    return a.seq - b.seq;
  };
}

/** The index of a row in sorted rows. */
function search<R>(rows: readonly R[], row: R, order: Order<R>): number {
  return firstIndex(rows, (other) => order(other, row) >= 0);
}

/** Binary search: the first index from which on all rows pass a test. */
function firstIndex<R>(rows: readonly R[], test: (row: R) => boolean): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (test(rows[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The rows that pass all conditions, from sorted rows. */
export function filterRows<R extends Row>(
  rows: readonly R[],
  conditions: readonly Condition[],
  sort: Sort,
  field: Field<R>,
): readonly R[] {
  if (conditions.length === 0) return rows;
  const passes = (row: R) =>
    conditions.every(({ field: name, test }) =>
      // Ids in the database have a type that JSON does not have.
      test(name === "_id" ? ID : field(row, name))
    );
  const [only] = conditions;
  if (conditions.length === 1 && only?.range && only.field === sort[0]?.[0]) {
    return stretch(rows, passes);
  }
  return rows.filter(passes);
}

const ID = {};

/**
 * The rows that pass, if they are adjacent at one end, as for pagination by key.
 * Falls back to a test of each row if they are in the middle.
 */
function stretch<R>(
  rows: readonly R[],
  passes: (row: R) => boolean,
): readonly R[] {
  const [first] = rows;
  const last = rows.at(-1);
  if (first === undefined || last === undefined) return rows;
  const atStart = passes(first);
  const atEnd = passes(last);
  if (atStart && atEnd) return rows;
  if (atStart) return rows.slice(0, firstIndex(rows, (row) => !passes(row)));
  if (atEnd) return rows.slice(firstIndex(rows, passes));
  return rows.filter(passes);
}

/** One page of the rows. */
export function cut<R>(rows: readonly R[], query: Query): Page<R> {
  const total = rows.length;
  if (query.all) return { rows: [...rows], page: 1, perPage: total, total };
  const { page, perPage } = query;
  const skip = (page - 1) * perPage;
  if (skip >= MAX_INTEGER || perPage >= MAX_INTEGER) {
    throw standard("CannotConvertResultToJSONError");
  }
  return { rows: rows.slice(skip, skip + perPage), page, perPage, total };
}
