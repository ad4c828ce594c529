/** Items that come many at a time, given one by one. */

/**
 * Gives each item of each batch. Written out because a generator would cost as
 * much for an item as a page does for all of its own.
 *
 * @param batches The batches, one after the other; ended when this is left.
 * @param itemsOf The items of one of them.
 * @param signal Ends it at once, whatever is left of a batch.
 */
export function each<Batch, T>(
  batches: AsyncGenerator<Batch, void, undefined>,
  itemsOf: (batch: Batch) => readonly T[],
  signal?: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  let batch: readonly T[] = [];
  let index = 0;
  let ended = false;
  let refill: Promise<void> | undefined;

  async function more(): Promise<void> {
    try {
      const next = await batches.next();
      if (next.done) ended = true;
      // It may have been left meanwhile.
      batch = next.done || ended ? [] : itemsOf(next.value);
      index = 0;
    } catch (error) {
      ended = true;
      throw error;
    } finally {
      refill = undefined;
    }
  }

  async function end(): Promise<IteratorReturnResult<undefined>> {
    ended = true;
    batch = [];
    await batches.return();
    return { done: true, value: undefined };
  }

  const iterator: AsyncGenerator<T, void, undefined> = {
    next() {
      if (signal?.aborted && !ended) {
        return end().then(() => {
          throw signal.reason;
        });
      }
      const value = batch[index];
      if (value !== undefined) {
        index++;
        return Promise.resolve({ done: false, value });
      }
      if (ended) return Promise.resolve({ done: true, value: undefined });
      refill ??= more();
      return refill.then(() => iterator.next());
    },
    return: end,
    async throw(error) {
      await end();
      throw error;
    },
    [Symbol.asyncIterator]: () => iterator,
    async [Symbol.asyncDispose]() {
      await end();
    },
  };
  return iterator;
}

/**
 * The lines of a text, as they come with its pieces, without `\n` or `\r\n`.
 * What follows the last line break is a line too, unless it is empty.
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
    const text = rest + chunk.slice(0, end);
    yield `${text}\n`.split(text.includes("\r") ? /\r?\n/ : "\n").slice(0, -1);
    rest = chunk.slice(end + 1);
  }
  if (rest !== "") yield [rest];
}
