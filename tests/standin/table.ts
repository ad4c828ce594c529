/** Rows that can be filtered, sorted and paged, fast enough for thousands. */

import { standard } from "./errors.ts";
import {
  compare,
  type Condition,
  type Query,
  type Sort,
  type Value,
} from "./filters.ts";

/** Anything with a place in the order of creation. */
export interface Row {
  /** The field `_id`: grows with each row, never twice the same. */
  readonly seq: number;
}

/** The rows of one page, and how many there are in all. */
export interface Page<R> {
  readonly rows: R[];
  readonly page: number;
  readonly perPage: number;
  readonly total: number;
}

/** Reads a field of a row by the name that the database gives it. */
export type Field<R> = (row: R, name: string) => Value;

type Order<R> = (a: R, b: R) => number;

/** The biggest number that the database takes. */
const MAX_INTEGER = 2 ** 63;

/** How many orders are kept ready. */
const KEPT_ORDERS = 8;

/** From here on sorting anew is cheaper than putting each row in its place. */
const MOST_CHANGES = 100;

interface KeptOrder<R> {
  readonly order: Order<R>;
  readonly rows: R[];
  /** How many rows have come and gone since anybody looked. */
  changes: number;
}

/** A set of rows that keeps itself sorted in every order that was asked for. */
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

  /** Keeps the orders up to date; drops those that nobody has looked at. */
  #change(apply: (rows: R[], order: Order<R>) => void): void {
    for (const [key, kept] of this.#orders) {
      if (++kept.changes > MOST_CHANGES) this.#orders.delete(key);
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
      if (this.#orders.size >= KEPT_ORDERS && oldest !== undefined) {
        this.#orders.delete(oldest);
      }
      this.#orders.set(key, kept);
    }
    kept.changes = 0;
    return kept.rows;
  }
}

/** Compares rows by fields, then by age, so that no two are alike. */
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

/** The place of a row in sorted rows. */
function search<R>(rows: readonly R[], row: R, order: Order<R>): number {
  return firstIndex(rows, (other) => order(other, row) >= 0);
}

/** The first index whose row passes a test that only later rows pass. */
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

/** The rows that pass every condition. The rows come sorted. */
export function filterRows<R extends Row>(
  rows: readonly R[],
  conditions: readonly Condition[],
  sort: Sort,
  field: Field<R>,
): readonly R[] {
  if (conditions.length === 0) return rows;
  const passes = (row: R) =>
    conditions.every(({ field: name, test }) =>
      // Ids of the database are of a type that JSON cannot write.
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
 * The rows that pass, where these lie together at one end: what paging by key
 * asks for. Falls back to looking at each where they lie in the middle.
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
