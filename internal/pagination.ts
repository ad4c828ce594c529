/** Creates listings, and decides how they move through pages. */

import { DecapodResponseError } from "../errors.ts";
import { getFilteredPage, regexpsOf } from "./filter_probe.ts";
import { flattenWithin } from "./generators.ts";
import { readHeaders } from "./headers.ts";
import { Listing } from "../listing.ts";
import {
  encodeQuery,
  type ListKind,
  validateListOptions,
} from "./list_query.ts";
import type { Page } from "../models.ts";
import type { ListOptionsLike } from "./list_query.ts";
import type { RequestOptions } from "../options.ts";
import { shorten } from "./redact.ts";
import {
  type HasId,
  MAX_EMPTY_PAGES,
  overlappingPager,
  type Pager,
  repeatedItemsError,
  type Step,
} from "./overlapping_pager.ts";
import type { Path } from "./path.ts";
import { pickOptions, type Transport } from "./transport.ts";
import { isObject } from "./validate.ts";

/** The server's page size. */
const DEFAULT_PER_PAGE = 25;

/** Gets the page that list options select. */
type PageReader<T> = (
  options: ListOptionsLike,
  signal?: AbortSignal,
) => Promise<Page<T>>;

/** Creates the listing of a path: of models, of versions or of steps. */
export function createListing<T extends HasId>(
  transport: Transport,
  path: Path,
  kind: ListKind,
  options: ListOptionsLike = {},
): Listing<T> {
  const spec = { method: "GET", path, isValid: isPage } as const;
  let headers: RequestOptions["headers"]; // an iterator can be read only once

  /** Validates the options; returns the function that gets a page. */
  function openReader(): PageReader<T> {
    validateListOptions(options, kind);
    headers ??= readHeaders(options.headers);
    const shared = { ...pickOptions(options), headers };
    const hasRegexp = regexpsOf(options).length > 0;
    return async (wanted, signal) => {
      const request = { ...shared, signal };
      return hasRegexp
        ? await getFilteredPage<T>(transport, spec, wanted, request)
        : await transport.json<Page<T>>(
          { ...spec, query: encodeQuery(wanted) },
          request,
        );
    };
  }

  /** @param limit How many items to read. */
  function pages(limit = Infinity): AsyncGenerator<Page<T>, void, undefined> {
    const open = () => {
      const getPage = openReader();
      const pager = choosePager<T>(options, kind, limit);
      const deadline = transport.openLongDeadline(
        ({ ErrorClass, reason }) =>
          new ErrorClass(
            `${shorten(transport.describe(spec), 200)}: ${reason}`,
          ),
        options.signal,
      );
      const { signal } = deadline;
      const batches = readAhead(pager, getPage, signal, options, limit);
      return { deadline, batches };
    };
    return flattenWithin(open, (page) => [page]);
  }

  return new Listing(
    async () => await openReader()(options, options.signal),
    pages,
    isObject(options) ? options.signal : undefined,
    () => transport.describe({ ...spec, query: encodeQuery(options) }),
  );
}

/** Yields pages with new items, or one empty page; prefetches the next one. */
async function* readAhead<T>(
  { first, advance }: Pager<T>,
  getPage: PageReader<T>,
  signal: AbortSignal,
  { page: firstNumber = 1 }: ListOptionsLike,
  limit: number,
): AsyncGenerator<Page<T>, void, undefined> {
  let prefetched: Promise<Page<T>> | undefined = getPage(first, signal);
  let number = firstNumber;
  let count = 0;
  let perPage: number | undefined;
  while (prefetched !== undefined) {
    const page: Page<T> = await prefetched;
    perPage ??= page.per_page;
    const { items, next, total = page.total } = advance(page);
    count += items.length;
    prefetched = next && count < limit ? getPage(next, signal) : undefined;
    prefetched?.catch(() => {}); // it is awaited in the next round
    if (items.length === 0 && (next || number > firstNumber)) continue;
    signal.throwIfAborted();
    yield { ...page, items, page: number++, per_page: perPage, total };
    signal.throwIfAborted();
  }
}

function choosePager<T extends HasId>(
  options: ListOptionsLike,
  kind: ListKind,
  limit: number,
): Pager<T> {
  // Read one by one: a spread would lose what options inherit from a class.
  const { page, all, filter, sortBy } = options;
  // On a later page, another size would be another start.
  const isSmall = !all && (page ?? 1) === 1 && limit < DEFAULT_PER_PAGE;
  const { perPage = isSmall ? limit : undefined } = options;
  const base = { page, perPage, all, filter };
  const fields = new Map<string, unknown>(Object.entries(filter ?? {}));
  const id = fields.get("model_id") ?? {};
  const condition = isObject(id) ? id : { eq: id };
  const isLatest = (fields.get("is_latest") ?? true) === true;
  // regexp cannot be combined with another condition on the id.
  const isKeyed = kind === "model" && isLatest && !sortBy &&
    !("regexp" in condition);
  // `_id` is the last key unless sortBy has it: equal items keep their order.
  const order = isKeyed ? { model_id: 1 } : { ...sortBy, _id: 1, ...sortBy };
  const first = kind === "version" ? base : { ...base, sortBy: order };
  if (all) {
    return { first, advance: ({ items }) => ({ items, next: undefined }) };
  }
  if (isKeyed) return keysetPager(first, condition);
  if (kind !== "model") return numberedPager(first);
  return overlappingPager(
    first,
    ({ id, version }) => isLatest ? id : `${id}/${version}`,
  );
}

/**
 * Keyset pagination: each page begins after the last id, so items that are
 * created or deleted before it do not shift the rest.
 */
function keysetPager<T extends HasId>(
  first: ListOptionsLike,
  condition: object,
): Pager<T> {
  let lastId = "";
  let count = 0;
  const advance = ({ items, page, per_page, total }: Page<T>): Step<T> => {
    const isSorted = isAscending(items, lastId);
    const end = (lastId ? 0 : (page - 1) * per_page) + items.length;
    const isLast = items.length === 0 || end === total ||
      end > total && items.length < per_page;
    const isOnlyPage = isLast && lastId === "";
    if (!isSorted && !isOnlyPage) {
      throw new DecapodResponseError(
        "Cannot list: the server does not sort by model_id",
      );
    }
    lastId = items.at(-1)?.id ?? lastId;
    const filter = { ...first.filter, model_id: { ...condition, gt: lastId } };
    const next = isLast ? undefined : { ...first, page: undefined, filter };
    const before = count; // later totals only count items after lastId
    count += end;
    return { items, next, total: before + total };
  };
  return { first, advance };
}

/** Whether each id comes after the one before. */
function isAscending(items: HasId[], after: string): boolean {
  return items.every(({ id }, index) => id > (items[index - 1]?.id ?? after));
}

/**
 * Numbered pages of items that are never deleted. New versions come first and
 * shift the others to later pages; repeated items are skipped.
 */
function numberedPager<T extends HasId>(first: ListOptionsLike): Pager<T> {
  const seen = new Set<string>();
  let emptyPages = 0;
  const isNew = ({ id, version }: T) => {
    const { size } = seen;
    return seen.add(`${id}/${version}`).size > size;
  };
  const advance = (page: Page<T>): Step<T> => {
    const { items: rows, page: number, per_page: size, total } = page;
    const items = rows.filter(isNew);
    if ((number - 1) * size + rows.length >= total) {
      return { items, next: undefined };
    }
    emptyPages = items.length > 0 ? 0 : emptyPages + 1;
    if (emptyPages > MAX_EMPTY_PAGES) throw repeatedItemsError();
    // A short page that is not the last has grown since: read it again.
    const next = rows.length < size ? number : number + 1;
    return { items, next: { ...first, page: next } };
  };
  return { first, advance };
}

function isPage(body: object): boolean {
  const { items, page, per_page, total }: Partial<Page<unknown>> = body;
  return Array.isArray(items) &&
    items.every((item) =>
      isObject(item) && "id" in item && typeof item.id === "string"
    ) &&
    [page, per_page, total].every((count) =>
      Number.isSafeInteger(count) && Number(count) >= 0
    ) && page !== 0;
}
