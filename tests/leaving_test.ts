/** Tests of leaving an iterator while its next() is pending. */
import { assertEquals } from "@std/assert";
import type { V1Client } from "../mod.ts";
import { ID } from "./support/execution.ts";
import { http, RawServer } from "./support/raw.ts";
import { StandInServer } from "./support/server.ts";
import { LOGGED_IN } from "./support/stub.ts";
import { inTime } from "./support/time.ts";

const DONE = { done: true as const, value: undefined };

type Iterator = AsyncGenerator<unknown, void, undefined>;

/** Everything that can be iterated over. */
const ITERATORS: Record<string, (client: V1Client) => Iterator> = {
  "Listing": (client) => client.getUsers()[Symbol.asyncIterator](),
  "Listing with a regexp": (client) =>
    client.getUsers({ filter: { login: { regexp: "^a" } } }).pages(),
  "Listing.pages()": (client) => client.getUsers().pages(),
  "getUserVersions()": (client) => client.getUserVersions(ID).pages(),
  "getExecutionSteps()": (client) => client.getExecutionSteps(ID).pages(),
  "streamExecutionLog()": (client) => client.streamExecutionLog(ID),
  "streamExecutionLog() after a line": (client) =>
    client.streamExecutionLog(ID),
  "followExecution()": (client) => client.followExecution(ID),
};

type Leave = [next: Promise<unknown>, leave: () => PromiseLike<unknown>];

/** Ways to leave an iterator: the pending result of next(), and how to leave. */
const WAYS: Record<string, (items: Iterator) => Leave> = {
  "return()": (items) => [items.next(), () => items.return()],
  "asyncDispose": (items) => [items.next(), () => items[Symbol.asyncDispose]()],
  "cancel() of a stream": (items) => {
    const reader = ReadableStream.from(items).getReader();
    return [reader.read(), () => reader.cancel()];
  },
};

/** A chunk of a log whose second line is not complete. */
const TYPE = { "content-type": "text/plain", "content-length": "99" };
const CHUNK = http("200 OK", "one\ntwo is to", TYPE);

for (const [name, open] of Object.entries(ITERATORS)) {
  const sent = name.endsWith("after a line") ? [CHUNK] : [];
  for (const [way, start] of Object.entries(WAYS)) {
    Deno.test(`${name} aborts the pending request on ${way}`, async () => {
      const requested = Promise.withResolvers<void>();
      await using server = new RawServer(async (peer) => {
        await peer.request();
        requested.resolve();
        await peer.send(...sent);
        await peer.abandoned();
      });
      const iterator = open(server.client(LOGGED_IN));
      for (const _ of sent) assertEquals((await iterator.next()).value, "one");
      const [next, leave] = start(iterator);
      await requested.promise;
      await inTime(Promise.resolve(leave()));
      assertEquals(await inTime(next), DONE);
      await inTime(server.settled());
      assertEquals(await iterator.next(), DONE);
      assertEquals(server.connections, 1);
    });
  }
}

Deno.test("followExecution() stops polling on return() between two polls", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const { id } = server.standIn.seedExecution({ delay: 100_000 });
  const events = client.followExecution(String(id), { interval: 60_000 });
  await events.next(); // created
  const next = events.next();
  const stepsRead = server.exchanges.length + 1;
  while (server.exchanges.length < stepsRead) await client.getInfo();
  await inTime(events.return());
  assertEquals(await inTime(next), DONE);
  const { length } = server.exchanges;
  await client.getInfo();
  assertEquals(server.exchanges.length, length + 1);
});
