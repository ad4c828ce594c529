/** Tests of leaving an iterator while its next() is pending. */
import { assertEquals } from "@std/assert";
import type { V1Client } from "../mod.ts";
import { ID } from "./support/execution.ts";
import { within } from "./support/gate.ts";
import { RawServer } from "./support/raw.ts";
import { StandInServer } from "./support/server.ts";
import { LOGGED_IN } from "./support/stub.ts";

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
  "followExecution()": (client) => client.followExecution(ID),
};

/** Ways to leave an iterator: the pending result of next(), and how to leave. */
const WAYS: Record<
  string,
  (iterator: Iterator) => [Promise<unknown>, () => PromiseLike<unknown>]
> = {
  "return()": (iterator) => [iterator.next(), () => iterator.return()],
  "asyncDispose": (iterator) => [
    iterator.next(),
    () => iterator[Symbol.asyncDispose](),
  ],
  "cancel() of a stream": (iterator) => {
    const reader = ReadableStream.from(iterator).getReader();
    return [reader.read(), () => reader.cancel()];
  },
};

for (const [name, open] of Object.entries(ITERATORS)) {
  for (const [way, start] of Object.entries(WAYS)) {
    Deno.test(`${name} aborts the pending request on ${way}`, async () => {
      const requested = Promise.withResolvers<void>();
      await using server = new RawServer(async (peer) => {
        await peer.request();
        requested.resolve();
        await peer.abandoned();
      });
      const iterator = open(server.client(LOGGED_IN));
      const [next, leave] = start(iterator);
      await requested.promise;
      await within(leave());
      assertEquals(await within(next), DONE);
      await within(server.settled());
      assertEquals(await iterator.next(), DONE);
      assertEquals(server.connections, 1);
    });
  }
}

Deno.test("streamExecutionLog() closes the connection on return() between two chunks", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.send(
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" +
        "content-length: 99\r\n\r\none\ntwo is to",
    );
    await peer.abandoned();
  });
  const lines = server.client(LOGGED_IN).streamExecutionLog(ID);
  assertEquals(await lines.next(), { done: false, value: "one" });
  const next = lines.next();
  assertEquals(await within(lines.return()), DONE);
  assertEquals(await within(next), DONE);
  await within(server.settled());
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
  await within(events.return());
  assertEquals(await within(next), DONE);
  const { length } = server.exchanges;
  await client.getInfo();
  assertEquals(server.exchanges.length, length + 1);
});
