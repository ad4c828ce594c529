/** A listing that can be awaited or iterated. */

import { checkOptions, isObject } from "./_check.ts";
import { DecapodResponseError } from "./errors.ts";
import type { Page } from "./models.ts";
import { type AnyListOptions, type Listed, listQuery } from "./_query.ts";

/** How many items an array may hold. */
export interface ToArrayOptions {
  /** The most items; all unless said. */
  limit?: number;
}

/** Gets one page from the server. */
export type GetPage<T> = (options: AnyListOptions) => Promise<Page<T>>;

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
 * `is_latest`, the first page comes as usual and, when you go on, all the rest
 * in one more request: pages that are cut one after the other would miss what
 * moves between them. So that no item comes twice, the ids of what was given
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
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.#walk()) {
      for (const item of page.items) {
        this.#signal?.throwIfAborted();
        yield item;
      }
    }
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
    checkOptions(options, ["limit"]);
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
    async () => await get(options),
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
  listQuery(options, listed); // refuses what the plan could not be made of
  const { signal, page: start = 1 } = options;
  const controller = new AbortController();
  const stop = () => controller.abort(signal?.reason);
  const fetchPage = (wanted: AnyListOptions) => {
    const page = get({ ...wanted, signal: controller.signal });
    page.catch(() => {}); // it is looked at when its turn comes
    return page;
  };
  const { first, cut } = plan<T>(options, listed);
  signal?.throwIfAborted();
  signal?.addEventListener("abort", stop);
  let ahead: Promise<Page<T>> | undefined = fetchPage(first);
  try {
    let given = 0;
    let perPage = 0;
    for (let number = start; ahead !== undefined;) {
      const page: Page<T> = await ahead;
      perPage ||= page.per_page;
      const { items, total, next } = cut(page);
      given += items.length;
      const more = next && given < limit ? next : undefined;
      // All the rest at once is too much to be asked for in advance.
      ahead = more && !more.all ? fetchPage(more) : undefined;
      const size = options.all ? Infinity : perPage || 1;
      for (let from = 0; from === 0 || from < items.length; from += size) {
        if (items.length === 0 && (next || number > start)) break;
        signal?.throwIfAborted();
        yield {
          ...page,
          items: items.slice(from, from + size),
          page: number++,
          per_page: perPage,
          total,
        };
        signal?.throwIfAborted();
      }
      if (more) ahead ??= fetchPage(more);
    }
  } finally {
    signal?.removeEventListener("abort", stop);
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

const idOf = (item: Identified) => item.id;
const versionOf = (item: Identified) => `${item.id}/${item.version}`;

function plan<T extends Identified>(
  options: AnyListOptions,
  listed: Listed,
): Plan<T> {
  if (listed === "version") return byNumber(options, versionOf);
  const { sortBy, all } = options;
  const filter = new Map<string, unknown>(Object.entries(options.filter ?? {}));
  // Two that are equal must not change places between two pages.
  const sorted = { ...options, sortBy: { ...sortBy, _id: 1, ...sortBy } };
  if (listed === "step") return byNumber(sorted, idOf); // none ever goes away
  if ((filter.get("is_latest") ?? true) !== true) {
    return byNumber(sorted, versionOf, true);
  }
  const own = filter.get("model_id") ?? {};
  const condition = isObject(own) ? own : { eq: own };
  if (sortBy !== undefined || all || "regexp" in condition) {
    return byNumber(sorted, idOf, true);
  }
  return byKey({ ...options, sortBy: { model_id: 1 } }, condition);
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
  let last = "";
  let given = 0;
  let numbered: Cut<T> | undefined;
  const cut: Cut<T> = (page) => {
    if (numbered) return numbered(page);
    const { items, per_page } = page;
    let after = last;
    if (!items.every(({ id }) => id > after && (after = id))) {
      // It cannot sort or filter by id: go on by number.
      numbered = byNumber<T>(options, idOf).cut;
      if (last === "") return numbered(page);
      if (first) return { ...numbered(first), items: [] };
      throw new DecapodResponseError(
        `Cannot list: the server was asked for ids after "${last}" and gave others`,
      );
    }
    first = last === "" ? page : undefined;
    const end = items.length + (first ? (page.page - 1) * per_page : 0);
    const total = given + page.total;
    given += end;
    last = after;
    // If more came than there should be, some have gone since the server
    // counted: only a short page is the last one then.
    const done = items.length === 0 || end === page.total ||
      end > page.total && items.length < per_page;
    const filter = { ...options.filter, model_id: { ...condition, gt: last } };
    const next = { ...options, page: undefined, filter };
    return { items, total, next: done ? undefined : next };
  };
  return { first: options, cut };
}

/** How many pages without anything new are read before giving up. */
const BARREN = 10;

/**
 * Asks for page after page and leaves out what was given.
 *
 * @param atOnce Whether items go away or move: then all that comes after the
 * first page is asked for at once.
 */
function byNumber<T extends Identified>(
  options: AnyListOptions,
  keyOf: (item: Identified) => string,
  atOnce = false,
): Plan<T> {
  const start = options.page ?? 1;
  const known = new Set<string>();
  let number = start;
  let passed = 0; // how many items stand before the first page
  let barren = 0;
  const cut: Cut<T> = ({ items: rows, total, per_page }) => {
    if (number === start) passed = (start - 1) * per_page;
    else if (atOnce) {
      const seen = rows.findIndex((row) => known.has(keyOf(row)));
      rows = rows.slice(seen < 0 ? passed : Math.min(passed, seen));
    }
    const items = rows.filter((row) => {
      const key = keyOf(row);
      return !known.has(key) && known.add(key);
    });
    const done = options.all || rows.length === 0 ||
      (atOnce ? number > start : false) || number * per_page >= total;
    barren = items.length > 0 ? 0 : barren + 1;
    if (!done && barren > BARREN) {
      throw new DecapodResponseError(
        "Cannot list: the server promises more items but keeps giving the same",
      );
    }
    number++;
    const { page: _, perPage: __, ...rest } = options;
    const next = atOnce ? { ...rest, all: true } : { ...options, page: number };
    return { items, total, next: done ? undefined : next };
  };
  return { first: options, cut };
}
