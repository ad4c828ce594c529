/** Listings, executions that are followed, and logs. */
import type { Client } from "@decapod/decapodlib";
import { connectToFault, open, seedExecution } from "./clients.ts";
import {
  assert,
  assertEquals,
  assertMatch,
  rejection,
  section,
  type Server,
  type Settings,
  test,
  within,
} from "./kit.ts";

const CLUSTERS = 60;

section("listings");

test("Listing yields each item once", async (settings) => {
  const { client } = await open(settings, { clusters: CLUSTERS });
  const names = new Set<string>();
  let count = 0;
  for await (const { data } of client.getClusters({ perPage: 7 })) {
    names.add(data.name);
    count++;
  }
  assertEquals([names.size, count], [CLUSTERS, CLUSTERS]);
  const sizes: number[] = [];
  for await (const { items } of client.getClusters({ perPage: 25 }).pages()) {
    sizes.push(items.length);
  }
  assertEquals(sizes, [25, 25, 10]);
  assertEquals((await client.getClusters().toArray({ limit: 3 })).length, 3);
  assertEquals((await client.getClusters().toArray()).length, CLUSTERS);
});

test("Listing sends nothing after the loop was left", async (settings) => {
  const { server, client } = await open(settings, { clusters: CLUSTERS });
  for await (const _ of client.getClusters({ perPage: 2 })) break;
  const before = (await server.requests()).length;
  await client.getInfo();
  assertEquals((await server.requests()).length, before + 1);
});

section("following");

/** An execution that runs. */
async function execute(settings: Settings) {
  const opened = await open(settings, { pace: 10 });
  const options = { servers: 2, steps: 6, duration: 300 };
  return { ...opened, id: await seedExecution(opened.server, options) };
}

test("waitForExecution() returns the completed execution", async (settings) => {
  const { client, id } = await execute(settings);
  const states: string[] = [];
  const execution = await client.waitForExecution(id, {
    interval: 20,
    onUpdate: ({ data }) => void states.push(data.state),
  });
  assertEquals(execution.data.state, "completed");
  assertEquals(states.at(-1), "completed");
});

test("followExecution() yields states and steps, the last state at the end", async (settings) => {
  const { client, id } = await execute(settings);
  const events: string[] = [];
  for await (const event of client.followExecution(id, { interval: 20 })) {
    events.push(
      event.type === "state" ? event.execution.data.state : event.type,
    );
  }
  assertEquals(events.filter((event) => event === "step").length, 6);
  assertEquals(events.at(-1), "completed");
});

section("logs");

test("streamExecutionLog() yields lines", async (settings) => {
  const { server, client, id } = await execute(settings);
  // Somewhere in it the bytes of one character arrive in two packets.
  const lines = Array.from(
    { length: 20_000 },
    (_, index) => `${index} größer € 𝒜 ${"x".repeat(index % 50)}`,
  );
  await server.do("setLog", id, lines.join("\r\n") + "\n");
  let index = 0;
  for await (const line of client.streamExecutionLog(id)) {
    assert(line === lines[index], `Wrong line ${index}: ${line}`);
    index++;
  }
  assertEquals(index, lines.length);
  const text = await client.getExecutionLog(id);
  assertEquals(text.length, lines.join("\r\n").length + 1);
});

test("streamExecutionLog() stops at once when it is aborted", async (settings) => {
  const client = connectToFault(settings, "hang-log");
  const controller = new AbortController();
  const reason = new Error("enough");
  const lines: string[] = [];
  const error = await rejection(async () => {
    const log = client.streamExecutionLog("id", { signal: controller.signal });
    for await (const line of log) {
      lines.push(line);
      controller.abort(reason);
    }
  });
  assert(error === reason, `Expected the reason, got ${error}`);
  assertEquals(lines, ["first"]);
  await fetch(`${settings.servers}/closed`);
});

test("streamExecutionLog() closes the connection when the loop is left", async (settings) => {
  const client = connectToFault(settings, "hang-log");
  for await (const line of client.streamExecutionLog("id")) {
    assertMatch(line, /first/);
    break;
  }
  await fetch(`${settings.servers}/closed`);
});

section("iterators");

/** Iterations whose next() waits for a response. */
const ITERATIONS: Record<
  string,
  (client: Client, id: string) => AsyncGenerator<unknown>
> = {
  "getClusters()": (client) => client.getClusters()[Symbol.asyncIterator](),
  "getClusters().pages()": (client) => client.getClusters().pages(),
  "streamExecutionLog()": (client, id) => client.streamExecutionLog(id),
  "followExecution()": (client, id) => client.followExecution(id),
};

/** The ways to leave an iteration. */
const LEAVES: Record<string, (items: AsyncGenerator) => Promise<unknown>> = {
  "return()": (items) => items.return(undefined),
  // TypeScript 5.4 does not know the method.
  "asyncDispose()": async (items) =>
    await Reflect.apply(Reflect.get(items, Symbol.asyncDispose), items, []),
};

for (const [iteration, iterate] of Object.entries(ITERATIONS)) {
  for (const [name, leave] of Object.entries(LEAVES)) {
    test(`${iteration} ends at ${name} while next() is pending`, async (settings) => {
      const { server, client, id } = await pendingRequest(settings);
      const items = iterate(client, id);
      const next = items.next();
      await server.held();
      await within(1000, leave(items));
      const { done } = await within(1000, next);
      assert(done, "Expected the end of the iteration");
      await assertNothingFollows(server);
    });
  }
  test(`${iteration} ends when a stream of it is canceled`, async (settings) => {
    const { from } = ReadableStream as {
      from?: (items: AsyncIterable<unknown>) => ReadableStream;
    };
    if (!from) return; // Bun 1.2 and Node 20.0 have none
    const { server, client, id } = await pendingRequest(settings);
    const reader = from.call(ReadableStream, iterate(client, id)).getReader();
    const read = reader.read();
    await server.held();
    await within(1000, reader.cancel());
    await within(1000, read);
    await assertNothingFollows(server);
  });
}

/** A client whose next request gets no response. */
async function pendingRequest(settings: Settings) {
  const { server, client, id } = await execute(settings);
  await client.login();
  await server.respondWith({ isHeld: true });
  return { server, client, id };
}

async function assertNothingFollows(server: Server): Promise<void> {
  const { length } = await server.requests();
  await server.release();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals((await server.requests()).length, length);
}
