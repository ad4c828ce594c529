/** The interface of pagers, and their errors. */

import { DecapodResponseError } from "../errors.ts";
import type { Page } from "../models.ts";
import type { ListOptionsLike } from "../options.ts";

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

/** The error for a server that does not page as Decapod does. */
export function pagingError(problem: string): DecapodResponseError {
  return new DecapodResponseError(`Cannot list: ${problem}`);
}

/** The error for a server whose pages never end. */
export function repeatedItemsError(): DecapodResponseError {
  return pagingError("the server keeps returning the same items");
}
