/** Tests of leaving an iterator while its next() is pending. */

import { assert, assertEquals } from "@std/assert";
import type { V1Client } from "../mod.ts";
import { ID } from "./support/execution.ts";
import { RawServer } from "./support/raw.ts";
import { StandInServer } from "./support/server.ts";

type Iterator = AsyncGenerator<unknown, void, undefined>;

/** Everything that can be iterated over. */
const ITERATORS: Record<string, (client: V1Client) => Iterator> = {
  "Listing": (client) => client.getUsers()[Symbol.asyncIterator](),
  "Listing with a regexp": (client) =>
    client.getUsers({ filter: { login: { regexp: "^a" } } })
      [Symbol.asyncIterator](),
  "Listing.pages()": (client) => client.getUsers().pages(),
  "getUserVersions()": (client) =>
    client.getUserVersions(ID)[Symbol.asyncIterator](),
  "getExecutionSteps()": (client) =>
    client.getExecutionSteps(ID)[Symbol.asyncIterator](),
  "streamExecutionLog()": (client) => client.streamExecutionLog(ID),
  "followExecution()": (client) => client.followExecution(ID),
};

/** The ways to leave an iterator; each returns the pending result. */
const WAYS: Record<
  string,
  (iterator: Iterator, pending: Promise<void>) => Promise<unknown>
> = {
  "return()": async (iterator, pending) => {
    const next = iterator.next();
    await pending;
    assertEquals(await iterator.return(), { done: true, value: undefined });
    return await next;
  },
  "asyncDispose": async (iterator, pending) => {
    const next = iterator.next();
    await pending;
    await iterator[Symbol.asyncDispose]();
    return await next;
  },
  "cancel() of a stream": async (iterator, pending) => {
    const reader = ReadableStream.from(iterator).getReader();
    const next = reader.read();
    await pending;
    await reader.cancel();
    return await next;
  },
};

for (const [name, open] of Object.entries(ITERATORS)) {
  for (const [way, leave] of Object.entries(WAYS)) {
    Deno.test(`${name} aborts the pending request on ${way}`, async () => {
      const requested = Promise.withResolvers<void>();
      const abandoned = Promise.withResolvers<void>();
      await using server = new RawServer(async (peer) => {
        await peer.request();
        requested.resolve();
        await peer.abandoned();
        abandoned.resolve();
      });
      const client = server.client({ headers: { authorization: "token" } });
      const iterator = open(client);
      const start = performance.now();
      assertEquals(await leave(iterator, requested.promise), {
        done: true,
        value: undefined,
      });
      await abandoned.promise;
      assert(
        performance.now() - start < 5000,
        "it does not wait for a timeout",
      );
      assertEquals(await iterator.next(), { done: true, value: undefined });
      assertEquals(server.connections, 1);
    });
  }
}

Deno.test("streamExecutionLog() closes the connection on return() between two chunks", async () => {
  const abandoned = Promise.withResolvers<void>();
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.send(
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" +
        "content-length: 99\r\n\r\none\ntwo is to",
    );
    await peer.abandoned();
    abandoned.resolve();
  });
  const client = server.client({ headers: { authorization: "token" } });
  const lines = client.streamExecutionLog(ID);
  assertEquals(await lines.next(), { done: false, value: "one" });
  const next = lines.next();
  await lines.return();
  assertEquals(await next, { done: true, value: undefined });
  await abandoned.promise;
});

Deno.test("followExecution() stops polling on return() between two polls", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const { id } = server.standIn.seedExecution({ delay: 100_000 });
  const events = client.followExecution(String(id), { interval: 60_000 });
  await events.next(); // created
  const next = events.next();
  const stepsRead = server.exchanges.length + 1;
  while (server.exchanges.length < stepsRead) await client.getInfo();
  await events.return();
  assertEquals(await next, { done: true, value: undefined });
  const { length } = server.exchanges;
  await client.getInfo();
  assertEquals(server.exchanges.length, length + 1);
});
