/** A listing that can be awaited or iterated. */

import { checkInteger, checkNames } from "./_check.ts";
import { DecapodResponseError } from "./errors.ts";
import type { Page } from "./models.ts";
import type { AnyListOptions, Listed } from "./_query.ts";

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
 * `is_latest`, pages are cut by number: still no item comes twice, and when
 * items are deleted meanwhile, the pages before are read again so that none is
 * skipped; but an item that an edit moves from a later page to an earlier one
 * is missed. A listing of versions is newest first; versions are never
 * deleted, so none is missed, and those made meanwhile are left out.
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
  readonly #walk: () => AsyncGenerator<Page<T>>;
  readonly #get: () => Promise<Page<T>>;
  readonly #signal: AbortSignal | undefined;
  #page: Promise<Page<T>> | undefined;

  /**
   * Listings come from the methods of a client.
   *
   * @param get Gets the page to await.
   * @param walk Gets all pages.
   * @param signal Ends an iteration.
   */
  constructor(
    get: () => Promise<Page<T>>,
    walk: () => AsyncGenerator<Page<T>>,
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
    checkNames("options", options, ["limit"]);
    const { limit } = options;
    checkInteger("limit", limit, 0);
    const items: T[] = [];
    if (limit === 0) return items;
    for await (const page of this.#walk()) {
      for (const item of page.items) items.push(item);
      if (limit !== undefined && items.length >= limit) break;
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
    () => walk(get, options, listed),
    options.signal,
  );
}

/** Says which items of a page are new, and what to ask for next. */
type Cut<T> = (page: Page<T>) => {
  items: T[];
  total: number;
  next: AnyListOptions | undefined;
};

/** Gets page after page, one ahead of its consumer. */
async function* walk<T extends Identified>(
  get: GetPage<T>,
  options: AnyListOptions,
  listed: Listed,
): AsyncGenerator<Page<T>, void, undefined> {
  const { signal } = options;
  const controller = new AbortController();
  const stop = () => controller.abort(signal?.reason);
  const fetchPage = (request: AnyListOptions) => {
    const page = get({ ...request, signal: controller.signal });
    page.catch(() => {}); // reported when its turn comes
    return page;
  };
  signal?.throwIfAborted();
  signal?.addEventListener("abort", stop);
  const { first, cut } = plan<T>(options, listed);
  let ahead: Promise<Page<T>> | undefined = fetchPage(first);
  try {
    for (let number = options.page ?? 1; ahead !== undefined;) {
      const page: Page<T> = await ahead;
      const { items, total, next } = cut(page);
      ahead = next && fetchPage(next);
      if (items.length === 0 && number !== (options.page ?? 1)) continue;
      yield { ...page, items, page: number++, total };
      signal?.throwIfAborted();
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    controller.abort();
    await ahead?.catch(() => {}); // nothing is under way any more
  }
}

/** What to ask for first, and how to go on. */
function plan<T extends Identified>(
  options: AnyListOptions,
  listed: Listed,
): { first: AnyListOptions; cut: Cut<T> } {
  const filter = new Map<string, unknown>(
    Object.entries(options.filter ?? {}),
  );
  if (listed === "version") return byNumber(options, versionKey);
  if (filter.has("is_latest")) {
    return byNumber({ sortBy: { _id: 1 }, ...options }, versionKey);
  }
  if (options.sortBy !== undefined) return byNumber(options, idKey);
  if (listed === "step") {
    return byNumber({ ...options, sortBy: { _id: 1 } }, idKey);
  }
  const sorted = { ...options, sortBy: { model_id: 1 } };
  const own = filter.get("model_id") ?? {};
  const condition = typeof own === "object" ? own : { eq: own };
  return options.all || "regexp" in condition
    ? byNumber(sorted, idKey)
    : byKey(sorted, condition);
}

const idKey = (item: Identified) => item.id;
const versionKey = (item: Identified) => `${item.id}/${item.version}`;

/**
 * Asks for what comes after the last id: whatever comes and goes before it
 * moves nothing.
 */
function byKey<T extends Identified>(
  options: AnyListOptions,
  condition: object,
): { first: AnyListOptions; cut: Cut<T> } {
  let first: Page<T> | undefined;
  let last: string | undefined;
  let given = 0;
  let numbered: Cut<T> | undefined;
  const cut: Cut<T> = (page) => {
    if (numbered) return numbered(page);
    const { items, total } = page;
    const after = last;
    if (after !== undefined && items.some(({ id }) => id <= after)) {
      if (first === undefined) {
        throw new DecapodResponseError(
          `Cannot list: the server was asked for ids after "${after}" and gave others`,
        );
      }
      // It cannot filter by id: go on from the first page by number.
      numbered = byNumber<T>(options, idKey).cut;
      return { ...numbered(first), items: [] };
    }
    first = after === undefined ? page : undefined;
    const passed = first ? (page.page - 1) * page.per_page : 0;
    last = items.at(-1)?.id;
    const whole = first ? total : given + total;
    given += passed + items.length;
    if (last === undefined || passed + items.length >= total) {
      return { items, total: whole, next: undefined };
    }
    const filter = { ...options.filter, model_id: { ...condition, gt: last } };
    const { page: _, ...rest } = options;
    return { items, total: whole, next: { ...rest, filter } };
  };
  return { first: options, cut };
}

/**
 * Asks for page after page. Where items were deleted before a page, what came
 * after them has moved up: as many pages are read again.
 */
function byNumber<T extends Identified>(
  options: AnyListOptions,
  key: (item: Identified) => string,
): { first: AnyListOptions; cut: Cut<T> } {
  const seen = new Set<string>();
  const start = options.page ?? 1;
  let number = start;
  let furthest = start;
  let total = 0;
  let barren = 0;
  const cut: Cut<T> = (page) => {
    const items = page.items.filter((item) => {
      const known = seen.has(key(item));
      seen.add(key(item));
      return !known;
    });
    barren = items.length > 0 ? 0 : barren + 1;
    const gone = Math.max(0, total - page.total);
    const size = Math.max(1, page.per_page);
    total = page.total;
    // Where it went on, less what went away, rounded down to a whole page.
    const back = Math.floor(((number - 1) * size - gone) / size) + 1;
    const done = options.all ||
      gone === 0 && (page.items.length === 0 || number * size >= total);
    number = gone > 0 ? Math.max(start, back) : number + 1;
    furthest = Math.max(furthest, number);
    if (!done && barren > furthest + 10) {
      throw new DecapodResponseError(
        "Cannot list: the server promises more items but keeps giving the same",
      );
    }
    return {
      items,
      total,
      next: done ? undefined : { ...options, page: number },
    };
  };
  return { first: options, cut };
}
