/**
 * Listings: pages of items that are requested when they are used.
 *
 * @example
 * ```ts
 * import { Client, type Listing, type User } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * async function countItems(listing: Listing<User>): Promise<number> {
 *   const { total } = await listing;
 *   return total;
 * }
 *
 * await using client = Client.fromEnv();
 * const listing = client.getUsers({ filter: { login: "root" } });
 * assertEquals(await countItems(listing), 1);
 * ```
 *
 * @module
 */

import { addCaller } from "./internal/caller.ts";
import { flatten } from "./internal/generators.ts";
import { validateOptions } from "./internal/validate.ts";
import type { Page } from "./models.ts";
import { TO_ARRAY_OPTIONS, type ToArrayOptions } from "./options.ts";

/**
 * Items of the server, page by page. Nothing is requested until it is used:
 *
 * - `await` returns one page as the server has it.
 * - `for await` yields every item of all pages, `pages()` every page, and
 *   `toArray()` returns all items as an array.
 *
 * An iteration yields each item that exists from its start to its end **exactly
 * once**, even if items are created, changed or deleted in the meantime. Items
 * that appear or disappear during the iteration may be included or not. By
 * default an iteration sorts models by id and steps by creation, because edits
 * do not change these orders. The next page is requested while the current one
 * is processed; leaving the loop cancels that request.
 *
 * With your own `sortBy` there is one exception: an item can be missed if it is
 * edited during the iteration and thereby moves from a later page to an earlier
 * one. The same applies to a filter with `is_latest: false` or
 * `model_id.regexp`. Except for the default order of models, the ids of all
 * items are kept in memory.
 *
 * Versions are listed newest first; versions that are created during the
 * iteration are not included.
 *
 * An `async` function that returns a listing returns its page, because `await`
 * applies to any object with a `then`. Return `{ listing }`, or make the
 * function not `async`.
 *
 * @category Client
 * @typeParam T The type of the items.
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
 *
 * const servers = await client.getServers().toArray({ limit: 2 });
 * assertEquals(servers.length, 2);
 * ```
 */
export class Listing<T> implements PromiseLike<Page<T>>, AsyncIterable<T> {
  readonly #walk: (limit?: number) => AsyncGenerator<Page<T>>;
  readonly #get: () => Promise<Page<T>>;
  readonly #signal: AbortSignal | undefined;
  readonly #caller = new Error(); // for the stacks of errors
  #page: Promise<Page<T>> | undefined;

  /**
   * Listings are created by the methods of a client, or by tests.
   *
   * @param get Gets the page to await.
   * @param walk Yields all pages, or those with the first `limit` items.
   * @param signal Ends an iteration.
   * @param describe Returns what `console.log` shows of the listing.
   */
  constructor(
    get: () => Promise<Page<T>>,
    walk: (limit?: number) => AsyncGenerator<Page<T>>,
    signal?: AbortSignal,
    describe: () => string = () => "",
  ) {
    this.#get = get;
    this.#walk = walk;
    this.#signal = signal;
    const value = () => {
      try {
        return `Listing { ${describe()} }`;
      } catch {
        return "Listing {}"; // its arguments are invalid
      }
    };
    for (const name of ["nodejs.util.inspect.custom", "Deno.customInspect"]) {
      Object.defineProperty(this, Symbol.for(name), { value });
    }
  }

  /**
   * Gets the page that `page` and `perPage` select; `await` calls this. It is
   * requested once; after a failure, the next `await` requests it again.
   *
   * @param onfulfilled Called with the page.
   * @param onrejected Called with the error.
   * @returns A promise of the callback's result.
   */
  then<Result1 = Page<T>, Result2 = never>(
    onfulfilled?: ((page: Page<T>) => Result1 | PromiseLike<Result1>) | null,
    onrejected?: ((reason: unknown) => Result2 | PromiseLike<Result2>) | null,
  ): Promise<Result1 | Result2> {
    const page = this.#page ??= this.#get();
    page.catch((error) => {
      if (this.#page === page) this.#page = undefined;
      addCaller(error, this.#caller);
    });
    return page.then(onfulfilled, onrejected);
  }

  /**
   * Handles the error of the page, as a promise's `catch` does.
   *
   * @param onrejected Called with the error.
   * @returns A promise of the page or of the callback's result.
   */
  catch<Result = never>(
    onrejected?: ((reason: unknown) => Result | PromiseLike<Result>) | null,
  ): Promise<Page<T> | Result> {
    return this.then(undefined, onrejected);
  }

  /**
   * Calls back when the page has arrived or failed, as a promise's `finally`.
   *
   * @param onfinally Called without arguments.
   * @returns A promise of the page.
   */
  finally(onfinally?: (() => void) | null): Promise<Page<T>> {
    return this.then().finally(onfinally);
  }

  /**
   * Yields every item of all pages.
   *
   * @returns An iterator; leaving it cancels the request under way.
   */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const pages = this.#walk();
    return flatten(pages, ({ items }) => items, undefined, this.#signal);
  }

  /**
   * Yields every page. Items that were yielded before are left out, and pages
   * are numbered as they are yielded.
   *
   * @returns An iterator; leaving it cancels the request under way.
   */
  pages(): AsyncGenerator<Page<T>, void, undefined> {
    return this.#walk();
  }

  /**
   * Returns all items as an array.
   *
   * @param options The maximum number of items.
   * @returns The items.
   * @throws {RangeError} If the limit is not an integer ≥ 0.
   */
  async toArray(options: ToArrayOptions = {}): Promise<T[]> {
    validateOptions(options, TO_ARRAY_OPTIONS);
    const { limit } = options;
    const items: T[] = [];
    if (limit === 0) return items;
    for await (const page of this.#walk(limit)) {
      for (const item of page.items) items.push(item);
    }
    return items.slice(0, limit);
  }
}
