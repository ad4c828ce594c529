/** The endpoints that versioned models have in common. */

import { delay } from "@std/async/delay";
import type { Deadline } from "./deadline.ts";
import { DecapodAPIError } from "../errors.ts";
import type { Listing } from "../listing.ts";
import type { Model } from "../models.ts";
import type { ListOptionsLike } from "./list_query.ts";
import type { Change, RequestOptions } from "../options.ts";
import { createListing } from "./pagination.ts";
import { path } from "./path.ts";
import { DUPLICATE, STALE } from "./response.ts";
import { backoff, type Transport } from "./transport.ts";
import { isObject, validate } from "./validate.ts";

/** With fewer attempts, ten concurrent editors starve each other. */
const MAX_ATTEMPTS = 50;

/** Lists, reads and changes the models of one kind. */
export class Resource<M extends Model<string, object>> {
  /** @param name The model's name, which is also its path. */
  constructor(readonly transport: Transport, readonly name: M["model"]) {}

  list(options?: ListOptionsLike): Listing<M> {
    const models = path`${this.name}`;
    return createListing(this.transport, models, "model", options);
  }

  listVersions(id: string, options?: ListOptionsLike): Listing<M> {
    const versions = path`${this.name}/${id}/version`;
    return createListing(this.transport, versions, "version", options);
  }

  get(id: string, options?: RequestOptions): Promise<M> {
    return this.transport.get(path`${this.name}/${id}`, options);
  }

  getVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<M> {
    const modelPath = path`${this.name}/${id}/version/${version}`;
    return this.transport.get(modelPath, options);
  }

  create<T extends object = M>(
    body: object,
    options?: RequestOptions,
  ): Promise<T> {
    const all = path`${this.name}`;
    return this.transport.json({ method: "POST", path: all, body }, options);
  }

  async update(model: M, options?: RequestOptions): Promise<M> {
    if (!isObject(model) || "then" in model) {
      throw new TypeError(
        `Invalid ${this.name}: must be a whole model as it was read, got ${
          isObject(model) ? "a promise (is an await missing?)" : typeof model
        }`,
      );
    }
    const modelPath = path`${this.name}/${model.id}`;
    const spec = { method: "PUT", path: modelPath, body: model } as const;
    return await this.transport.json(spec, options);
  }

  /** Reads, changes and writes; retries if someone else wrote in between. */
  edit(
    id: string,
    change: Change<M["data"]>,
    options?: RequestOptions,
  ): Promise<M> {
    const modelPath = path`${this.name}/${id}`;
    const get = { method: "GET", path: modelPath, isValid: hasData } as const;
    const put = { method: "PUT", path: modelPath } as const;
    const { transport } = this;
    return transport.withDeadline(put, options, async (deadline, parsed) => {
      validate("change", change);
      const { signal } = deadline;
      const read = () => transport.json<M>(get, parsed, deadline);
      // A resent write could undo another editor's change.
      const once = { ...parsed, retries: 0 };
      let model = await read();
      for (let attempt = 1;; attempt++) {
        const data = await applyChange(model, change, deadline);
        try {
          const spec = { ...put, body: { ...model, data } };
          return await transport.json<M>(spec, once, deadline);
        } catch (error) {
          if (!mayBeRace(error) || attempt === MAX_ATTEMPTS) throw error;
          await delay(backoff(attempt, 20, 1000), { signal });
          const latest = await read();
          // No other editor wrote: the new data itself is a duplicate.
          if (latest.version === model.version && !isStale(error)) throw error;
          model = latest;
        }
      }
    });
  }

  delete(id: string, options?: RequestOptions): Promise<M> {
    const modelPath = path`${this.name}/${id}`;
    return this.transport.json({ method: "DELETE", path: modelPath }, options);
  }
}

/** Calls `change`; throws if it returns no object. */
async function applyChange<Data extends object>(
  model: { data: Data },
  change: Change<Data>,
  deadline: Deadline,
): Promise<Data> {
  const data = await deadline.race(Promise.resolve(model.data).then(change));
  if (isObject(data)) return data;
  throw new TypeError(
    "Invalid change: must return the new data, got no object",
  );
}

/** Whether another editor may have written since the model was read. */
function mayBeRace(error: unknown): boolean {
  // Decapod reports writes that overlap as duplicates.
  return isStale(error) || isError(error, DUPLICATE);
}

function isStale(error: unknown): boolean {
  return isError(error, STALE);
}

function isError(error: unknown, name: string): boolean {
  return error instanceof DecapodAPIError && error.error === name;
}

function hasData(model: { data?: unknown }): boolean {
  return isObject(model.data);
}
