/** Read, change, write, until no other edit comes between. */

import { delay } from "@std/async/delay";
import { isObject, validate } from "./validate.ts";
import { DecapodAPIError } from "../errors.ts";
import type { Path } from "./path.ts";
import { abortable } from "./deadline.ts";
import { backoff, type RequestOptions, type Transport } from "./transport.ts";

/** Makes new data of the current. */
export type Change<Data> = (data: Data) => Data | Promise<Data>;

/** With fewer attempts, ten editors at once starve each other. */
const ATTEMPTS = 50;

/** Changes a model; on a concurrent edit it is read and changed anew. */
export function edit<M extends { data: object }>(
  transport: Transport,
  path: Path,
  change: Change<M["data"]>,
  options: RequestOptions | undefined,
): Promise<M> {
  const fits = ({ data }: { data?: unknown }) => isObject(data);
  const get = { method: "GET", path, fits } as const;
  const put = { method: "PUT", path } as const;
  return transport.within(put, options, async (scope) => {
    validate("change", change);
    for (let attempt = 1;; attempt++) {
      const model = await transport.json<M>(get, options, scope);
      const data = await abortable(
        Promise.resolve(model.data).then(change),
        scope.signal,
      );
      if (!isObject(data)) {
        throw new TypeError(
          "Cannot edit: the function has to return the new data, it returned none",
        );
      }
      try {
        // Sent again it could undo what came between: no retries.
        return await transport.json<M>(
          { ...put, body: { ...model, data } },
          { ...options, retries: 0 },
          scope,
        );
      } catch (error) {
        if (!isStale(error) || attempt === ATTEMPTS) throw error;
      }
      await delay(backoff(attempt, 20, 1000), { signal: scope.signal });
    }
  });
}

/** Whether somebody else made a new version since the model was read. */
function isStale(error: unknown): boolean {
  return error instanceof DecapodAPIError &&
    error.error === "CannotUpdateManagedFieldsError";
}
