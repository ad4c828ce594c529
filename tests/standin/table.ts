/** A table that filters, sorts and pages rows. */
import { standard } from "./errors.ts";
import { compare, type Query, type Sort, type Value } from "./filters.ts";
import type { Version } from "./store.ts";

/** The rows of one page, and the total number of rows. */
export interface Page<R> {
  readonly rows: readonly R[];
  readonly page: number;
  readonly perPage: number;
  readonly total: number;
}

/** Reads a field of a row by its name in the database. */
export type Field<R> = (row: R, name: string) => Value;

/** The first number that is too large for the database. */
const MAX_INTEGER = 2 ** 63;

/** Ids in the database have a type that JSON does not have. */
const ID = {};

/** A set of rows that keeps them sorted in each order until a row changes. */
export class Table<R extends Pick<Version, "seq">> {
  readonly #rows: Set<R>;
  readonly #sorted = new Map<string, R[]>();

  constructor(
    private readonly field: Field<R>,
    private readonly defaultSort: Sort,
    rows: Iterable<R>,
  ) {
    this.#rows = new Set(rows);
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
    const conditions = query.filter();
    const sort = query.sort.length > 0 ? query.sort : this.defaultSort;
    const key = JSON.stringify(sort);
    const sorted = this.#sorted.get(key) ?? this.#sort(sort);
    this.#sorted.set(key, sorted);
    const rows = sorted.filter((row) =>
      conditions.every(({ field, test }) =>
        test(field === "_id" ? ID : this.field(row, field))
      )
    );
    return cut(rows, query);
  }

  /** The rows, sorted by fields, then by `_id`. */
  #sort(sort: Sort): R[] {
    return [...this.#rows].sort((a, b) => {
      for (const [name, direction] of sort) {
        const order = name === "_id"
          ? a.seq - b.seq
          : compare(this.field(a, name), this.field(b, name));
        if (order !== 0) return order * direction;
      }
      return a.seq - b.seq;
    });
  }
}

/** One page of the rows. */
export function cut<R>(rows: readonly R[], query: Query): Page<R> {
  const total = rows.length;
  if (query.all) return { rows, page: 1, perPage: total, total };
  const { page, perPage } = query;
  const skip = (page - 1) * perPage;
  if (skip >= MAX_INTEGER || perPage >= MAX_INTEGER) {
    throw standard("CannotConvertResultToJSONError");
  }
  return { rows: rows.slice(skip, skip + perPage), page, perPage, total };
}
