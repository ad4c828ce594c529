/** Flattens batches into items, and splits chunks into lines. */

import { addCaller } from "./caller.ts";
import type { Deadline } from "./deadline.ts";
import { DecapodError } from "../errors.ts";

/**
 * The deadline's signal of each iterator of flattenWithin(); flatten() needs it
 * if its batches are such an iterator.
 */
const signals = new WeakMap<object, AbortSignal>();

/**
 * Yields the items of each batch. Not an async generator: return() must work
 * while a next() is pending, and each item would cost as much as a batch.
 *
 * @param batches The batches; closed when the iteration ends.
 * @param itemsOf The items of a batch.
 * @param stop Aborts what next() waits for.
 * @param signal Ends the iteration between two items; the signal of the batches'
 * own deadline replaces it.
 */
export function flatten<Batch, T>(
  batches: AsyncGenerator<Batch, void, undefined>,
  itemsOf: (batch: Batch) => readonly T[],
  stop?: () => void,
  signal?: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const caller = new Error(); // for the stacks of errors
  let items: readonly T[] = [];
  let index = 0;
  let isDone = false;
  let pending: Promise<void> | undefined;

  async function readBatch(): Promise<void> {
    try {
      const batch = await batches.next();
      if (isDone) return;
      signal = signals.get(batches) ?? signal;
      isDone = batch.done === true;
      items = batch.done ? [] : itemsOf(batch.value);
      index = 0;
    } catch (error) {
      if (isDone) return; // the iteration was left
      isDone = true;
      addCaller(error, caller);
      throw error;
    } finally {
      pending = undefined;
    }
  }

  async function leave(): Promise<IteratorReturnResult<undefined>> {
    isDone = true;
    items = [];
    stop?.();
    await batches.return();
    return { done: true, value: undefined };
  }

  const iterator: AsyncGenerator<T, void, undefined> = {
    next() {
      const value = items[index];
      if (value !== undefined) {
        if (signal?.aborted) {
          const { reason } = signal;
          return leave().then(() => Promise.reject(reason));
        }
        index++;
        return Promise.resolve({ done: false, value });
      }
      if (isDone) return Promise.resolve({ done: true, value: undefined });
      pending ??= readBatch();
      return pending.then(() => iterator.next());
    },
    return: leave,
    async throw(error) {
      await leave();
      throw error;
    },
    [Symbol.asyncIterator]: () => iterator,
    async [Symbol.asyncDispose]() {
      await leave();
    },
  };
  return iterator;
}

/** Batches, and the deadline within which they are read. */
export interface Source<Batch> {
  deadline: Deadline;
  batches: AsyncGenerator<Batch, void, undefined>;
}

/**
 * Yields the items of each batch, within a deadline that is opened when the
 * iteration begins.
 */
export function flattenWithin<Batch, T>(
  open: () => Source<Batch>,
  itemsOf: (batch: Batch) => readonly T[],
): AsyncGenerator<T, void, undefined> {
  let deadline: Deadline | undefined;
  async function* readBatches(): AsyncGenerator<Batch, void, undefined> {
    const source = open();
    deadline = source.deadline;
    signals.set(batches, deadline.signal).set(iterator, deadline.signal);
    try {
      yield* source.batches;
    } finally {
      deadline.close();
    }
  }
  const stop = () =>
    deadline?.abort(new DecapodError("Iteration ended by the caller"));
  const batches = readBatches();
  const iterator = flatten(batches, itemsOf, stop);
  return iterator;
}

/**
 * Yields the lines of a text that arrives in chunks, a batch for each chunk,
 * without `\n` or `\r\n`. The last line need not end in a line break.
 */
export async function* lines(
  chunks: AsyncIterable<string>,
): AsyncGenerator<string[], void, undefined> {
  let rest = "";
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf("\n");
    if (end === -1) {
      rest += chunk;
      continue;
    }
    const text = rest + chunk.slice(0, end + 1);
    yield text.split(text.includes("\r") ? /\r?\n/ : "\n").slice(0, -1);
    rest = chunk.slice(end + 1);
  }
  if (rest !== "") yield [rest];
}
