/** A listing that can be awaited or iterated. */

import { isObject, validateOptions } from "./validate.ts";
import { DecapodResponseError } from "../errors.ts";
import { each } from "./items.ts";
import type { Page } from "../models.ts";
import {
  type AnyListOptions,
  checkListOptions,
  type Listed,
  queryText,
  requestOptions,
} from "./list_query.ts";
import type { RequestOptions } from "./transport.ts";

/** How many items an array may hold. */
export interface ToArrayOptions {
  /** The most items; all unless said. */
  limit?: number;
}

/** Gets one page from the server. */
export type GetPage<T> = (
  query: string,
  options: RequestOptions,
) => Promise<Page<T>>;

/** What tells items apart. */
interface Identified {
  id: string;
  version: number;
}

/**
 * Items of the server, page by page. Nothing is requested until it is used:
 *
 * - `await` gives one page, as the server has it.
 * - `for await` gives every item of all pages, `pages()` every page, and
 *   `toArray()` all items in an array.
 *
 * An iteration gives each item **exactly once** that existed from its start to
 * its end, whatever is created, changed and deleted meanwhile. To that end it
 * asks for an order that edits do not disturb: by id for models, by creation
 * for steps. Items that come or go meanwhile may be among them or not. While
 * you work on a page the next one is on its way; leaving the loop cancels it.
 *
 * Under a `sortBy` of your own, or a filter with `model_id.regexp` or
 * `is_latest`, pages are cut by number, with `_id` to decide between equals.
 * Each begins with an item of the page before; where that is not in its place
 * any more, earlier pages are read again. So still no item comes twice and
 * none is skipped, but for one: an item that is itself edited meanwhile, so
 * that it moves from a later place to an earlier one. The ids of what was given
 * are kept until the end.
 *
 * A listing of versions is newest first; versions are never deleted, so none is
 * missed, and those made meanwhile are left out.
 *
 * @typeParam T What the items are.
 *
 * @example
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 *
 * const logins: string[] = [];
 * for await (const user of client.getUsers()) logins.push(user.data.login);
 * assert(logins.includes("root"));
 *
 * const page = await client.getUsers({ perPage: 1 });
 * assertEquals(page.items.length, 1);
 * ```
 */
export class Listing<T> implements PromiseLike<Page<T>>, AsyncIterable<T> {
  readonly #walk: (limit?: number) => AsyncGenerator<Page<T>>;
  readonly #get: () => Promise<Page<T>>;
  readonly #signal: AbortSignal | undefined;
  #page: Promise<Page<T>> | undefined;

  /**
   * Listings come from the methods of a client.
   *
   * @param get Gets the page to await.
   * @param walk Gets all pages, or as many as so many items need.
   * @param signal Ends an iteration.
   *
   * @example
   * ```ts
   * import { Listing } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * const page = { items: ["a", "b"], page: 1, per_page: 25, total: 2 };
   * const listing = new Listing( // as a test may need one
   *   () => Promise.resolve(page),
   *   async function* () {
   *     yield await Promise.resolve(page);
   *   },
   * );
   * assertEquals(await listing.toArray(), ["a", "b"]);
   * ```
   */
  constructor(
    get: () => Promise<Page<T>>,
    walk: (limit?: number) => AsyncGenerator<Page<T>>,
    signal?: AbortSignal,
  ) {
    this.#get = get;
    this.#walk = walk;
    this.#signal = signal;
  }

  /**
   * Gets the one page that `page` and `perPage` name, as `await` does. It is
   * requested once, however often this is called.
   *
   * @param onfulfilled Called with the page.
   * @param onrejected Called with the error.
   * @returns A promise of what these return.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { page, per_page } = await client.getServers({ page: 2, perPage: 3 });
   * assertEquals([page, per_page], [2, 3]);
   * ```
   */
  then<Result1 = Page<T>, Result2 = never>(
    onfulfilled?: ((page: Page<T>) => Result1 | PromiseLike<Result1>) | null,
    onrejected?: ((reason: unknown) => Result2 | PromiseLike<Result2>) | null,
  ): Promise<Result1 | Result2> {
    this.#page ??= this.#get();
    return this.#page.then(onfulfilled, onrejected);
  }

  /**
   * Gives every item of all pages.
   *
   * @returns An iterator; leaving it early cancels what is under way.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * for await (const server of client.getServers({ perPage: 2 })) {
   *   assertEquals(server.model, "server");
   * }
   * ```
   */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    return each(this.#walk(), ({ items }) => items, this.#signal);
  }

  /**
   * Gives every page. Items that were given before are left out, pages are
   * numbered as they come.
   *
   * @returns An iterator; leaving it early cancels what is under way.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * for await (const page of client.getServers({ perPage: 2 }).pages()) {
   *   assert(page.items.length <= 2);
   * }
   * ```
   */
  pages(): AsyncGenerator<Page<T>, void, undefined> {
    return this.#walk();
  }

  /**
   * Gives all items in an array.
   *
   * @param options The most items to give.
   * @returns The items.
   * @throws {RangeError} If the limit is no whole number from 0.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const servers = await client.getServers().toArray({ limit: 2 });
   * assertEquals(servers.length, 2);
   * ```
   */
  async toArray(options: ToArrayOptions = {}): Promise<T[]> {
    validateOptions(options, ["limit"]);
    const { limit } = options;
    const items: T[] = [];
    if (limit === 0) return items;
    for await (const page of this.#walk(limit)) {
      for (const item of page.items) items.push(item);
    }
    return items.slice(0, limit);
  }
}

/** Makes a listing of a way to get its pages. */
export function makeListing<T extends Identified>(
  get: GetPage<T>,
  options: AnyListOptions = {},
  listed: Listed,
): Listing<T> {
  return new Listing(
    async () => {
      checkListOptions(options, listed);
      return await get(queryText(options), requestOptions(options));
    },
    (limit) => walk(get, options, listed, limit),
    isObject(options) ? options.signal : undefined,
  );
}

/** Gets page after page, one ahead of its consumer. */
async function* walk<T extends Identified>(
  get: GetPage<T>,
  options: AnyListOptions,
  listed: Listed,
  limit = Infinity,
): AsyncGenerator<Page<T>, void, undefined> {
  checkListOptions(options, listed); // and what the plan could not be made of
  const { page: start = 1 } = options;
  const request = requestOptions(options);
  const { first, cut } = plan<T>(options, listed);
  const outer = request.signal;
  outer?.throwIfAborted();
  const controller = new AbortController();
  const { signal } = controller;
  const stop = () => controller.abort(outer?.reason);
  outer?.addEventListener("abort", stop);
  const fetchPage = async (wanted: AnyListOptions) =>
    await get(queryText(wanted), { ...request, signal });
  let ahead: Promise<Page<T>> | undefined = fetchPage(first);
  try {
    let given = 0;
    let perPage: number | undefined;
    for (let number = start; ahead !== undefined;) {
      const page: Page<T> = await ahead;
      perPage ??= page.per_page;
      const { items, total, next } = cut(page);
      given += items.length;
      ahead = next && given < limit ? fetchPage(next) : undefined;
      ahead?.catch(() => {}); // it is looked at when its turn comes
      if (items.length === 0 && (next || number > start)) continue;
      signal.throwIfAborted();
      yield { ...page, items, page: number++, per_page: perPage, total };
      signal.throwIfAborted();
    }
  } finally {
    outer?.removeEventListener("abort", stop);
    controller.abort();
    await ahead?.catch(() => {}); // nothing is under way any more
  }
}

/** Says which items of a page are new, and what to ask for next. */
type Cut<T> = (page: Page<T>) => {
  items: T[];
  total: number;
  next: AnyListOptions | undefined;
};

/** What to ask for first, and how to go on. */
interface Plan<T> {
  first: AnyListOptions;
  cut: Cut<T>;
}

function plan<T extends Identified>(
  options: AnyListOptions,
  listed: Listed,
): Plan<T> {
  if (listed === "version") return byNumber(options, VERSIONS);
  const { sortBy, all } = options;
  const filter = new Map<string, unknown>(Object.entries(options.filter ?? {}));
  // Two that are equal must not change places between two pages.
  const sorted = { ...options, sortBy: { ...sortBy, _id: 1, ...sortBy } };
  if (listed === "step") {
    return byNumber(sorted, sortBy === undefined ? STEPS : SORTED_STEPS);
  }
  const latest = filter.get("is_latest") ?? true;
  if (latest !== true) return byNumber(sorted, OLD_MODELS);
  if (sortBy !== undefined) return byNumber(sorted, MODELS);
  const own = filter.get("model_id") ?? {};
  const condition = typeof own === "object" ? own : { eq: own };
  const byId = { ...options, sortBy: { model_id: 1 } };
  return all || "regexp" in condition
    ? byNumber(byId, MODELS)
    : byKey(byId, condition);
}

/**
 * Asks for what comes after the last id: whatever comes and goes before it
 * moves nothing.
 */
function byKey<T extends Identified>(
  options: AnyListOptions,
  condition: object,
): Plan<T> {
  let first: Page<T> | undefined;
  let last: string | undefined;
  let given = 0;
  let numbered: Cut<T> | undefined;
  const cut: Cut<T> = (page) => {
    if (numbered) return numbered(page);
    const { items } = page;
    if (!isAscending(items, last)) {
      // It cannot sort or filter by id: go on by number.
      numbered = byNumber<T>(options, MODELS).cut;
      if (last === undefined) return numbered(page);
      if (first) return { ...numbered(first), items: [] };
      throw new DecapodResponseError(
        `Cannot list: the server was asked for ids after "${last}" and gave others`,
      );
    }
    first = last === undefined ? page : undefined;
    const passed = first ? offset(page) : 0;
    const total = given + page.total;
    given += passed + items.length;
    last = items.at(-1)?.id;
    const short = items.length < page.per_page;
    if (
      last === undefined || isLast(passed + items.length, page.total, short)
    ) {
      return { items, total, next: undefined };
    }
    const filter = { ...options.filter, model_id: { ...condition, gt: last } };
    const { page: _, ...rest } = options;
    return { items, total, next: { ...rest, filter } };
  };
  return { first: options, cut };
}

/** Whether each id comes after the one before. */
function isAscending(items: Identified[], after = ""): boolean {
  return items.every(({ id }) => {
    const ascending = id > after;
    after = id;
    return ascending;
  });
}

/** How many items the server has passed over before a page. */
function offset<T>({ page, per_page }: Page<T>): number {
  return (page - 1) * per_page;
}

/**
 * Whether so many items are all. If they are more than there should be, some
 * have gone since the server counted: only a short page is the last one then.
 */
function isLast(end: number, total: number, short: boolean): boolean {
  return end === total || end > total && short;
}

/** What pages that are cut by number have in them. */
interface Numbered {
  /** What tells the items apart. */
  key: (item: Identified) => string;
  /** Whether items go away or move: then pages have to overlap. */
  unsteady?: boolean;
  /** Whether versions go down: higher ones have been made meanwhile. */
  falling?: boolean;
  /** How many keys are kept besides a page's; all of them unless said. */
  kept?: number;
}

const idOf = (item: Identified) => item.id;
const versionOf = (item: Identified) => `${item.id}/${item.version}`;

const MODELS: Numbered = { key: idOf, unsteady: true };
const OLD_MODELS: Numbered = { key: versionOf, unsteady: true };
const VERSIONS: Numbered = { key: versionOf, falling: true, kept: 0 };
const SORTED_STEPS: Numbered = { key: idOf };
const STEPS: Numbered = { key: idOf, kept: 0 }; // they are only added at the end

/** How many pages without anything new are read before giving up. */
const BARREN = 10;

/**
 * Asks for page after page. Where items go away or move, a page has to show
 * one that was given and has not changed since: then nothing that belongs
 * before it is missing, and what comes after it is there. Otherwise earlier
 * pages are read again.
 */
function byNumber<T extends Identified>(
  options: AnyListOptions,
  { key, unsteady = false, falling = false, kept = Infinity }: Numbered,
): Plan<T> {
  const known = new Map<string, number>(); // versions that were given
  let overlapping = unsteady;
  let least = Infinity; // version that was given
  let size = 0; // of the caller's pages
  let asked: number | undefined; // a size to overlap by
  let start = 0; // where the first page begins
  let end = 0; // where the next page should
  let furthest = 0; // where something new was found
  let back = 1; // how many pages to go back by
  let barren = 0; // pages with nothing new, since the last with something

  const request = (): AnyListOptions => {
    asked = undefined;
    if (end <= start) return options;
    if (!overlapping) return { ...options, page: Math.floor(end / size) + 1 };
    asked = overlappingSize(end, size);
    return {
      ...options,
      page: Math.floor((end - 1) / asked) + 1,
      perPage: asked,
    };
  };

  const cut: Cut<T> = (page) => {
    const { items: rows, total, per_page } = page;
    const from = offset(page);
    if (rows.length > per_page && !options.all) {
      throw new DecapodResponseError(
        `Cannot list: the server gave ${rows.length} items on a page of ${per_page}`,
      );
    }
    if (size === 0) {
      size = per_page || 1; // 0 if there is nothing at all
      start = from;
    } else if (asked !== undefined && asked !== per_page) {
      overlapping = false; // it has a size of its own
      asked = undefined;
      size = per_page || size;
    }
    const items: T[] = [];
    let done = options.all === true;
    const inPlace = !overlapping || from <= start ||
      rows.some((row) => known.get(key(row)) === row.version);
    if (inPlace) {
      back = 1;
      end = Math.max(from, start);
      for (const row of rows.slice(end - from)) {
        const late = falling && row.version > least;
        if (!late && !known.has(key(row))) {
          if (asked !== undefined && items.length === size) break;
          items.push(row);
          least = row.version;
        }
        known.set(key(row), row.version);
        end++;
      }
      const short = rows.length < (asked ?? size);
      done ||= end >= from + rows.length &&
        (isLast(end, total, short) || short && items.length === 0);
    } else {
      end = Math.max(start, end - back * size);
      back *= 2;
    }
    for (const oldest of known.keys()) {
      if (known.size <= kept + size) break;
      known.delete(oldest);
    }
    if (items.length > 0) {
      barren = 0;
      furthest = Math.max(furthest, end);
    } else if (!done && ++barren > furthest / size + BARREN) {
      throw new DecapodResponseError(
        "Cannot list: the server promises more items but keeps giving the same",
      );
    }
    return { items, total, next: done ? undefined : request() };
  };
  return { first: options, cut };
}

/**
 * The size of a page which begins with few of the first `end` items: at most a
 * quarter of it, so that it is worth it. The nearest to the usual size.
 */
function overlappingSize(end: number, size: number): number {
  for (let distance = 0;; distance++) {
    for (const near of [size + 1 - distance, size + 1 + distance]) {
      if ((end - 1) % near + 1 <= near / 4) return near;
    }
  }
}
