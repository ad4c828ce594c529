/** A table that filters, sorts and pages rows. */
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

/** A set of rows that keeps them sorted in each order until a row changes. */
export class Table<R extends Row> {
  readonly #field: Field<R>;
  readonly #defaultSort: Sort;
  readonly #rows = new Set<R>();
  readonly #sorted = new Map<string, R[]>();

  constructor(field: Field<R>, defaultSort: Sort) {
    this.#field = field;
    this.#defaultSort = defaultSort;
  }

  [Symbol.iterator](): Iterator<R> {
    return this.#rows[Symbol.iterator]();
  }

  add(row: R): void {
    this.#rows.add(row);
    this.#sorted.clear();
  }

  delete(row: R): void {
    if (this.#rows.delete(row)) this.#sorted.clear();
  }

  list(query: Query): Page<R> {
    const sort = query.sort.length > 0 ? query.sort : this.#defaultSort;
    const conditions = query.filter();
    const key = JSON.stringify(sort);
    const rows = this.#sorted.get(key) ??
      [...this.#rows].sort(orderBy(sort, this.#field));
    this.#sorted.set(key, rows);
    return cut(filterRows(rows, conditions, this.#field), query);
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

/** The rows that pass all conditions. */
export function filterRows<R extends Row>(
  rows: readonly R[],
  conditions: readonly Condition[],
  field: Field<R>,
): readonly R[] {
  return rows.filter((row) =>
    conditions.every(({ field: name, test }) =>
      // Ids in the database have a type that JSON does not have.
      test(name === "_id" ? ID : field(row, name))
    )
  );
}

const ID = {};

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
