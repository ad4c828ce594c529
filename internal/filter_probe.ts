/**
 * Asks the server whether it understands a filter. A regular expression that
 * its Python cannot compile makes Decapod ignore the whole filter and list
 * everything.
 */

import { encodeQuery } from "./list_query.ts";
import type { Page } from "../models.ts";
import type { ListOptionsLike } from "./list_query.ts";
import type { RequestOptions } from "../options.ts";
import { singleLine } from "./redact.ts";
import type { RequestSpec } from "./request.ts";
import type { Transport } from "./transport.ts";
import { isObject } from "./validate.ts";

/** A field that no item has: a match means that the filter was ignored. */
const NO_SUCH_FIELD = "decapodlib_no_such_field";

/** How many filters a client remembers. */
const MAX_VERIFIED = 1000;

/** The filters that a client's server understands. */
const verifiedFilters = new WeakMap<Transport, Set<string>>();

/** The conditions of a filter that have a `regexp`, by field. */
export function regexpsOf(
  { filter }: ListOptionsLike,
): [field: string, condition: object][] {
  return Object.entries(filter ?? {})
    .filter(([, condition]) => isObject(condition) && "regexp" in condition);
}

/** Whether JavaScript confirms that an item matches. */
function matches(
  item: object,
  patterns: [field: string, condition: object][],
): boolean {
  const fields = { ...item, ...Object(Reflect.get(item, "data")) };
  return patterns.every(([field, condition]) => {
    const value: unknown = Reflect.get(fields, field);
    try {
      return typeof value === "string" &&
        new RegExp(Reflect.get(condition, "regexp")).test(value);
    } catch {
      return false; // Python has other syntax
    }
  });
}

/** Gets a page. Throws if the server would ignore its filter. */
export function getFilteredPage<T extends object>(
  transport: Transport,
  spec: RequestSpec,
  wanted: ListOptionsLike,
  options: RequestOptions,
): Promise<Page<T>> {
  return transport.withDeadline(spec, options, async (deadline) => {
    const list = (listOptions: ListOptionsLike): Promise<Page<T>> => {
      const query = encodeQuery(listOptions);
      return transport.json({ ...spec, query }, options, deadline);
    };
    const patterns = regexpsOf(wanted);
    const verified = verifiedFilters.get(transport) ?? new Set();
    verifiedFilters.set(transport, verified);
    const key = JSON.stringify([spec.path, patterns]);
    if (verified.has(key)) return await list(wanted);
    const filter = { ...wanted.filter, [NO_SUCH_FIELD]: 0 };
    const probe = async () => {
      const { total } = await list({ filter, perPage: 1 });
      if (total === 0) return;
      const names = patterns.map(([field]) => `filter.${field}.regexp`);
      const label = singleLine(names.join(" or "), 200);
      throw new TypeError(
        `Invalid ${label}: must be a regular expression in Python's syntax (otherwise the server ignores the whole filter)`,
      );
    };
    await probe();
    const page = await list(wanted);
    // The first item may have been created after the probe.
    if (!page.items.every((item) => matches(item, patterns))) await probe();
    // A server without any items lists none even if it ignores the filter.
    if (page.total > 0) {
      if (verified.size >= MAX_VERIFIED) verified.clear();
      verified.add(key);
    }
    return page;
  });
}
