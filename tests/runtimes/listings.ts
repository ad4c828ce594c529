/** Listings, executions that are followed, and logs. */
import {
  DecapodConnectionError,
  DecapodExecutionError,
  DecapodWaitTimeoutError,
} from "@decapod/decapodlib";
import { Client } from "@decapod/decapodlib";
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  openServer,
  section,
  type Settings,
  test,
} from "./kit.ts";
import { connect } from "./sessions.ts";

const CLUSTERS = 60;

section("listings");

test("awaited, one page as the wire has it", async (settings) => {
  const server = await openServer(settings, { clusters: CLUSTERS });
  const client = connect(server);
  const listing = client.getClusters({ page: 2, perPage: 7 });
  assertEquals(await server.requests(), []);
  const page = await listing;
  assertEquals([page.page, page.per_page, page.total], [2, 7, CLUSTERS]);
  assertEquals(page.items.length, 7);
  await listing;
  assertEquals((await server.requests()).length, 2);
});

test("iterated, each item once", async (settings) => {
  const server = await openServer(settings, { clusters: CLUSTERS });
  const client = connect(server);
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

test("left early, nothing goes on", async (settings) => {
  const server = await openServer(settings, { clusters: CLUSTERS });
  const client = connect(server);
  for await (const _ of client.getClusters({ perPage: 2 })) break;
  const before = (await server.requests()).length;
  await client.getInfo();
  assertEquals((await server.requests()).length, before + 1);
});

test("filtered and sorted", async (settings) => {
  const server = await openServer(settings, { clusters: CLUSTERS });
  const client = connect(server);
  const { items, total } = await client.getClusters({
    filter: { name: { regexp: "^cluster00000[0-4]$" } },
    sortBy: { name: -1 },
  });
  assertEquals(total, 5);
  assertEquals(items[0]?.data.name, "cluster000004");
});

section("following");

/** An execution that is on its way. */
async function execute(settings: Settings, fail: boolean) {
  const server = await openServer(settings, { pace: 10 });
  if (fail) await server.do("failTask");
  const client = connect(server);
  const { id } = await server.do<{ id: string }>("seedExecution", {
    servers: 2,
    steps: 6,
    duration: 300,
  });
  return { server, client, id };
}

test("waiting gives the completed execution", async (settings) => {
  const { client, id } = await execute(settings, false);
  const states: string[] = [];
  const execution = await client.waitForExecution(id, {
    interval: 20,
    onUpdate: ({ data }) => void states.push(data.state),
  });
  assertEquals(execution.data.state, "completed");
  assertEquals(states.at(-1), "completed");
});

test("waiting for what fails throws it", async (settings) => {
  const { client, id } = await execute(settings, false);
  await client.cancelExecution(id);
  const error = await assertRejects(
    () => client.waitForExecution(id, { interval: 20 }),
    DecapodExecutionError,
  );
  assert(error.execution.id === id, "Expected the execution");
});

test("waiting ends at its timeout", async (settings) => {
  const server = await openServer(settings, { pace: 10 });
  const client = connect(server);
  const { id } = await server.do<{ id: string }>("seedExecution", {});
  const error = await assertRejects(
    () => client.waitForExecution(id, { interval: 20, timeout: 200 }),
    DecapodWaitTimeoutError,
  );
  assert(error.execution?.id === id, "Expected the execution as it was seen");
});

test("following gives states and steps, the end last", async (settings) => {
  const { client, id } = await execute(settings, false);
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

test("streamed by line", async (settings) => {
  const { server, client, id } = await execute(settings, false);
  // Bytes of a character come in different packets somewhere in there.
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

/** A client for a server whose answers are broken. */
export function connectToFault(
  { faults }: Settings,
  fault: string,
  options: object = {},
): Client {
  return new Client(`${faults}/${fault}`, {
    login: "root",
    password: "root",
    // With a header of one's own nobody is logged in.
    headers: { authorization: "own" },
    ...options,
  });
}

test("torn off, an error and no torn line", async (settings) => {
  const client = connectToFault(settings, "torn");
  const lines: string[] = [];
  await assertRejects(async () => {
    for await (const line of client.streamExecutionLog("id")) lines.push(line);
  }, DecapodConnectionError);
  // A stream that fails may drop what nobody has read yet.
  assert(lines.length === 0 || lines.join() === "first", lines.join());
});

test("aborted, at once and with the reason", async (settings) => {
  const client = connectToFault(settings, "hang-log");
  const controller = new AbortController();
  const reason = new Error("enough");
  const lines: string[] = [];
  const error = await (async () => {
    const log = client.streamExecutionLog("id", { signal: controller.signal });
    for await (const line of log) {
      lines.push(line);
      controller.abort(reason);
    }
  })().catch((error) => error);
  assert(error === reason, `Expected the reason, got ${error}`);
  assertEquals(lines, ["first"]);
  await fetch(`${settings.servers}/closed`);
});

test("left early, the connection is closed", async (settings) => {
  const client = connectToFault(settings, "hang-log");
  for await (const line of client.streamExecutionLog("id")) {
    assertMatch(line, /first/);
    break;
  }
  await fetch(`${settings.servers}/closed`);
});
