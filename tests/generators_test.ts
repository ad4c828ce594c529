/** Tests of the async generators for items and lines. */

import { assertEquals, assertRejects } from "@std/assert";
import { flatten, lines } from "../internal/generators.ts";

const identity = (batch: number[]) => batch;

/** Yields batches; `told.closed` says whether it was closed. */
function batches(...all: number[][]) {
  const told = { closed: false };
  async function* read(): AsyncGenerator<number[], void, undefined> {
    try {
      for (const batch of all) yield await Promise.resolve(batch);
    } finally {
      told.closed = true;
    }
  }
  return { told, items: read() };
}

Deno.test("flatten() yields all items in order to concurrent next() calls", async () => {
  const { items } = batches([1, 2], [], [3], [4, 5]);
  const iterator = flatten(items, identity);
  const asked = Array.from({ length: 7 }, () => iterator.next());
  const values = (await Promise.all(asked)).map(({ value }) => value);
  assertEquals(values, [1, 2, 3, 4, 5, undefined, undefined]);
});

Deno.test("flatten() closes its source however it is left", async () => {
  const ways: ((items: AsyncGenerator<number>) => Promise<unknown>)[] = [
    (items) => items.return(undefined),
    (items) => assertRejects(() => items.throw(new Error("mine")), Error, "m"),
    (items) => Promise.resolve(items[Symbol.asyncDispose]()),
    async (items) => {
      for await (const _ of items) break;
    },
  ];
  for (const leave of ways) {
    const { told, items } = batches([1, 2], [3]);
    const iterator = flatten(items, identity);
    assertEquals(await iterator.next(), { done: false, value: 1 });
    await leave(iterator);
    assertEquals(told.closed, true);
    assertEquals(await iterator.next(), { done: true, value: undefined });
  }
});

Deno.test("flatten() drops a batch that arrives after return()", async () => {
  const { told, items } = batches([1, 2, 3]);
  const iterator = flatten(items, identity);
  const asked = iterator.next();
  await iterator.return();
  assertEquals(told.closed, true);
  const end = { done: true, value: undefined };
  assertEquals([await asked, await iterator.next()], [end, end]);
});

Deno.test("flatten() rejects once with the error of its source", async () => {
  async function* broken(): AsyncGenerator<number[], void, undefined> {
    yield await Promise.resolve([1]);
    throw new Error("broken");
  }
  const iterator = flatten(broken(), identity);
  await iterator.next();
  await assertRejects(() => iterator.next(), Error, "broken");
  assertEquals((await iterator.next()).done, true);
});

Deno.test("flatten() rejects between two items when the signal is aborted", async () => {
  const controller = new AbortController();
  const { told, items } = batches([1, 2, 3]);
  const iterator = flatten(items, identity, undefined, controller.signal);
  await iterator.next();
  controller.abort("enough");
  assertEquals(await iterator.next().catch((reason) => reason), "enough");
  assertEquals(told.closed, true);
  assertEquals((await iterator.next()).done, true);
});

Deno.test("lines() yields the same lines for all chunks of a text", async () => {
  const text = "a\r\nb\n\n\r\nc\rd\r\r\n\ne";
  const expected = ["a", "b", "", "", "c\rd\r", "", "e"];
  for (let first = 0; first <= text.length; first++) {
    for (let second = first; second <= text.length; second++) {
      const chunks = [
        text.slice(0, first),
        text.slice(first, second),
        text.slice(second),
      ];
      const found: string[] = [];
      for await (const some of lines(ReadableStream.from(chunks))) {
        found.push(...some);
      }
      assertEquals(found, expected);
    }
  }
});

/** Yields the batch of a promise; `closed` says whether it was closed. */
class PendingSource {
  readonly started = Promise.withResolvers<void>();
  closed = false;
  readonly #batch = Promise.withResolvers<number[]>();

  async *read(): AsyncGenerator<number[], void, undefined> {
    try {
      this.started.resolve();
      yield await this.#batch.promise;
    } finally {
      this.closed = true;
    }
  }

  stop(): void {
    this.#batch.reject(new Error("stopped"));
  }
}

Deno.test("flatten() settles a pending next() when it is left", async () => {
  for (const way of ["return", "asyncDispose", "cancel"]) {
    const source = new PendingSource();
    const iterator = flatten(source.read(), identity, () => source.stop());
    const reader = way === "cancel"
      ? ReadableStream.from(iterator).getReader()
      : undefined;
    const next = reader?.read() ?? iterator.next();
    await source.started.promise;
    if (reader) await reader.cancel();
    else if (way === "return") await iterator.return();
    else await iterator[Symbol.asyncDispose]();
    assertEquals(await next, { done: true, value: undefined });
    assertEquals(source.closed, true);
    assertEquals((await iterator.next()).done, true);
  }
});
