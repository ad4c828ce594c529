/** Items that come many at a time, given one by one. */

import { assertEquals, assertRejects } from "@std/assert";
import { flatten, lines } from "../internal/generators.ts";

const own = (batch: number[]) => batch;

/** Gives these arrays, and tells whether it was left. */
function batches(...all: number[][]) {
  const told = { left: false };
  async function* give(): AsyncGenerator<number[], void, undefined> {
    try {
      for (const batch of all) yield await Promise.resolve(batch);
    } finally {
      told.left = true;
    }
  }
  return { told, items: give() };
}

Deno.test("flatten() gives all items in order, whoever asks before the last came", async () => {
  const { items } = batches([1, 2], [], [3], [4, 5]);
  const iterator = flatten(items, own);
  const asked = Array.from({ length: 7 }, () => iterator.next());
  const values = (await Promise.all(asked)).map(({ value }) => value);
  assertEquals(values, [1, 2, 3, 4, 5, undefined, undefined]);
});

Deno.test("flatten() ends what it reads from, however it is left", async () => {
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
    const iterator = flatten(items, own);
    assertEquals(await iterator.next(), { done: false, value: 1 });
    await leave(iterator);
    assertEquals(told.left, true);
    assertEquals(await iterator.next(), { done: true, value: undefined });
  }
});

Deno.test("flatten() gives nothing more once it is left, whatever comes late", async () => {
  const { told, items } = batches([1, 2, 3]);
  const iterator = flatten(items, own);
  const asked = iterator.next();
  await iterator.return();
  assertEquals(told.left, true);
  const end = { done: true, value: undefined };
  assertEquals([await asked, await iterator.next()], [end, end]);
});

Deno.test("flatten() fails once, with what its source failed with", async () => {
  async function* broken(): AsyncGenerator<number[], void, undefined> {
    yield await Promise.resolve([1]);
    throw new Error("broken");
  }
  const iterator = flatten(broken(), own);
  await iterator.next();
  await assertRejects(() => iterator.next(), Error, "broken");
  assertEquals((await iterator.next()).done, true);
});

Deno.test("flatten() ends between two items when it is aborted", async () => {
  const controller = new AbortController();
  const { told, items } = batches([1, 2, 3]);
  const iterator = flatten(items, own, controller.signal);
  await iterator.next();
  controller.abort("enough");
  assertEquals(await iterator.next().catch((reason) => reason), "enough");
  assertEquals(told.left, true);
  assertEquals((await iterator.next()).done, true);
});

Deno.test("lines() are the same wherever the text is cut", async () => {
  const text = "a\r\nb\n\n\r\nc\rd\r\r\n\ne";
  const expected = ["a", "b", "", "", "c\rd\r", "", "e"];
  for (let first = 0; first <= text.length; first++) {
    for (let second = first; second <= text.length; second++) {
      const pieces = [
        text.slice(0, first),
        text.slice(first, second),
        text.slice(second),
      ];
      const found: string[] = [];
      for await (const some of lines(ReadableStream.from(pieces))) {
        found.push(...some);
      }
      assertEquals(found, expected);
    }
  }
});
