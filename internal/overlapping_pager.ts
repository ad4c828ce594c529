/**
 * Numbered pages of items that can be deleted or moved in the meantime.
 *
 * Each page overlaps the one before. If they have an unchanged item in common,
 * no item between them was skipped. Otherwise earlier pages are read again.
 */

import { DecapodResponseError } from "../errors.ts";
import type { Page } from "../models.ts";
import type { ListOptionsLike } from "./list_query.ts";

/** The fields that identify an item. */
export interface HasId {
  id: string;
  version: number;
}

/** Decides which items of a page are new and which page follows. */
export interface Pager<T> {
  first: ListOptionsLike;
  advance(page: Page<T>): Step<T>;
}

/** The new items of a page, and what to request next if anything follows. */
export interface Step<T> {
  items: T[];
  next: ListOptionsLike | undefined;
  /** The total to report. Defaults to the page's. */
  total?: number;
}

/** How many pages in a row may have no new items. */
export const MAX_EMPTY_PAGES = 10;

/** The error for a server whose pages never end. */
export function repeatedItemsError(): DecapodResponseError {
  return new DecapodResponseError(
    "Cannot list: the server keeps returning the same items",
  );
}

/** @param keyOf Returns what identifies an item. */
export function overlappingPager<T extends HasId>(
  first: ListOptionsLike,
  keyOf: (item: T) => string,
): Pager<T> {
  /** The version of each item that was yielded or seen. */
  const seen = new Map<string, number>();
  /** The caller's page size, and where the first page began. */
  let size = 0;
  let start = 0;
  /** Everything before this position was yielded. */
  let position = 0;
  /** The position of the latest new item. */
  let furthest = 0;
  /** How many pages to go back when a page does not overlap. */
  let stepBack = 1;
  let emptyPages = 0;

  const advance = (page: Page<T>): Step<T> => {
    const { items: rows, total, per_page } = page;
    const from = (page.page - 1) * per_page;
    const isFirst = size === 0;
    if (isFirst) {
      size = per_page || 1; // 0 if the listing is empty
      start = from;
    }
    const overlaps = from <= start ||
      rows.some((row) => seen.get(keyOf(row)) === row.version);
    if (!overlaps) {
      position = Math.max(start, position - stepBack * size);
      stepBack *= 2;
    }
    const items = overlaps ? takeNew(rows, from, isFirst) : [];
    const isShort = rows.length < per_page;
    const isLast = overlaps && position >= from + rows.length &&
      (position === total || isShort && (position > total || !items.length));
    if (isLast) return { items, next: undefined };
    if (items.length > 0) {
      emptyPages = 0;
      furthest = Math.max(furthest, position);
    } else if (++emptyPages > furthest / size + MAX_EMPTY_PAGES) {
      throw repeatedItemsError();
    }
    return { items, next: nextPage() };
  };

  /** The new items of a page, no more than the caller's page size. */
  function takeNew(rows: T[], from: number, isFirst: boolean): T[] {
    const items: T[] = [];
    stepBack = 1;
    position = Math.max(from, start);
    for (const row of rows.slice(position - from)) {
      if (!seen.has(keyOf(row))) {
        if (!isFirst && items.length === size) break;
        items.push(row);
      }
      seen.set(keyOf(row), row.version);
      position++;
    }
    return items;
  }

  function nextPage(): ListOptionsLike {
    if (position <= start) return first;
    const perPage = overlappingSize(position, size);
    const page = Math.floor((position - 1) / perPage) + 1;
    return { ...first, page, perPage };
  }

  return { first, advance };
}

/**
 * The page size closest to the caller's with which a page begins shortly before
 * a position: at most a quarter of the page is read again.
 */
function overlappingSize(position: number, size: number): number {
  for (let distance = 0;; distance++) {
    for (const candidate of [size + 1 - distance, size + 1 + distance]) {
      if ((position - 1) % candidate + 1 <= candidate / 4) return candidate;
    }
  }
}
