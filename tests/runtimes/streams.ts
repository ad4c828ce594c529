/** Logs, logs that are cut off, and iterations that are left. */
import {
  type Client,
  DecapodError,
  DecapodResponseError,
} from "@decapod/decapodlib";
import { connectToFault, open, seedExecution } from "./clients.ts";
import {
  allClosed,
  assert,
  assertEquals,
  assertRejects,
  cutLog,
  LOG_LINES,
  only,
  rejection,
  section,
  test,
  within,
} from "./kit.ts";

section("logs");

test("streamExecutionLog() yields lines", async (settings) => {
  const { server, client } = await open(settings);
  const id = await seedExecution(server);
  // Somewhere in it the bytes of one character arrive in two packets.
  const lines = Array.from(
    { length: 20_000 },
    (_, index) => `${index} größer € 𝒜 ${"x".repeat(index % 50)}`,
  );
  const text = lines.join("\r\n") + "\n";
  await server.do("setLog", id, text);
  let index = 0;
  for await (const line of client.streamExecutionLog(id)) {
    assert(line === lines[index], `Wrong line ${index}: ${line}`);
    index++;
  }
  assertEquals(index, lines.length);
  assert(await client.getExecutionLog(id) === text, "Expected the same text");
  const { headers } = (await server.received()).at(-1) ?? {};
  assertEquals(headers?.["accept-encoding"], "identity");
});

type End = (client: Client, controller: AbortController) => unknown;

/** How a log ends after its first line, and the message of its error. */
const ENDS: [when: string, end: End, message?: RegExp, timeout?: number][] = [
  ["an abort", (_, aborter) => aborter.abort(Error("enough")), /^enough$/],
  ["a logout", (client) => client.logout(), /canceled by logout\(\)/],
  ["a timeout between two chunks", () => {}, /within 500 ms/, 500],
  ["return() of its iterator", () => "return"],
];

for (const [when, end, message, timeout] of ENDS) {
  test(`streamExecutionLog() closes the connection at ${when}`, async (settings) => {
    const client = connectToFault(settings, "hang-log", { timeout });
    const controller = new AbortController();
    const { signal } = controller;
    const lines: string[] = [];
    const read = async () => {
      for await (const line of client.streamExecutionLog("id", { signal })) {
        lines.push(line);
        if (await end(client, controller)) break;
      }
    };
    if (message) await assertRejects(read, Error, message);
    else await read();
    assertEquals(lines, ["first"]);
    await within(1000, allClosed(settings));
  });
}

section("iterators");

type Iterate = (client: Client, id: string) => AsyncGenerator<unknown>;

/** Iterations whose next() waits for a response. */
const ITERATIONS: Record<string, Iterate> = {
  "getClusters()": (client) => client.getClusters()[Symbol.asyncIterator](),
  "streamExecutionLog()": (client, id) => client.streamExecutionLog(id),
  "followExecution()": (client, id) => client.followExecution(id),
};

/** A pending next(), and how to leave the iteration. */
type Leaving = [next: Promise<unknown>, leave: () => Promise<unknown>];

const LEAVINGS: Record<string, (items: AsyncGenerator) => Leaving | undefined> =
  {
    "return()": (items) => [items.next(), () => items.return(undefined)],
    // TypeScript 5.4 does not know the method.
    "asyncDispose()": (items) => [
      items.next(),
      async () =>
        await Reflect.apply(Reflect.get(items, Symbol.asyncDispose), items, []),
    ],
    "cancel() of a stream": (items) => {
      const { from } = ReadableStream as {
        from?: (items: AsyncIterable<unknown>) => ReadableStream;
      };
      if (!from) return; // Bun 1.2 and Node 20.0 have none
      const reader = from.call(ReadableStream, items).getReader();
      return [reader.read(), () => reader.cancel()];
    },
  };

for (const [iteration, iterate] of Object.entries(ITERATIONS)) {
  for (const [way, start] of Object.entries(LEAVINGS)) {
    test(`${iteration} ends at ${way} while next() is pending`, async (settings) => {
      const { server, client } = await open(settings);
      const id = await seedExecution(server);
      await client.login();
      await server.respondWith({ isHeld: true });
      const leaving = start(iterate(client, id));
      if (!leaving) return;
      const [next, leave] = leaving;
      await server.held();
      await within(1000, leave());
      await within(1000, next);
      const { length } = await server.requests();
      await server.release();
      await new Promise((resolve) => setTimeout(resolve, 50));
      assertEquals((await server.requests()).length, length);
    });
  }
}

section("cut logs");

test("getExecutionLog() and streamExecutionLog() report the cut logs of docs/runtimes.md", async (settings) => {
  for (const [framing, reported] of Object.entries(settings.cutLogs)) {
    const path = encodeURIComponent(framing);
    const whole = connectToFault(settings, `whole/${path}`);
    // Deno rejects all chunks under HTTP/1.0.
    if (settings.runtime === "deno" && framing === "chunks, with HTTP/1.0") {
      await assertRejects(() => whole.getExecutionLog("id"), DecapodError);
    } else await assertWhole(whole);
    if (reported === "sometimes") continue;
    const id = crypto.randomUUID();
    const options = { retries: 0 };
    const late = connectToFault(settings, `cut-late/${path}/${id}`, options);
    const { error } = await readLines(late, () => cutLog(settings, id));
    assertEquals([framing, error ? "yes" : "no"], [framing, reported]);
    if (!error) continue;
    await assertCut(connectToFault(settings, `cut/${path}`, options));
  }
});

for (const framing of ["Content-Length", "chunks", "end of the connection"]) {
  test(`getExecutionLog() returns no part of a compressed log: ${framing}`, async (settings) => {
    const path = encodeURIComponent(`gzip, ${framing}`);
    const whole = connectToFault(settings, `whole/${path}`);
    const { error } = await readLines(whole);
    // Deno 2.0 decodes the log and does not tell.
    if (error === undefined) await assertWhole(whole);
    else {
      const read = () => whole.getExecutionLog("id");
      await assertRejects(read, DecapodResponseError, /gzip/);
    }
    await assertCut(connectToFault(settings, `cut/${path}`, { retries: 0 }));
  });
}

only("deno", "workerd");
test("getExecutionLog() reports a connection that was reset", async ({ resets }) => {
  await assertCut(connectToFault({ faults: resets }, "", { retries: 0 }));
});

only("deno"); // others use HTTP/1.1
test("getExecutionLog() of HTTP/2 reports one code of a cut log", async ({ http2, pem }) => {
  const options = { retries: 0, tls: { ca: pem.ca } };
  const at = (path: string) => connectToFault({ faults: http2 }, path, options);
  await using whole = at("whole");
  await assertWhole(whole);
  await using failed = at("INTERNAL_ERROR");
  await assertCut(failed);
  for (const code of ["NO_ERROR", "CANCEL"]) {
    await using client = at(code);
    assertEquals((await readLines(client)).error, undefined);
  }
});

/** Streams a log: its error and the lines before, which are complete then. */
async function readLines(client: Client, atFirst?: () => Promise<unknown>) {
  const lines: string[] = [];
  const error = await rejection(async () => {
    for await (const line of client.streamExecutionLog("id")) {
      if (lines.push(line) === 1) await atFirst?.();
    }
  });
  assert(!error || error instanceof DecapodError, `Got ${error}`);
  const torn = lines.filter((line, index) => line !== LOG_LINES[index]);
  if (error) assertEquals(torn, []);
  return { error, lines };
}

async function assertWhole(client: Client): Promise<void> {
  const text = await client.getExecutionLog("id");
  const { lines } = await readLines(client);
  const counts = [text.trimEnd().split("\n").length, lines.length];
  assertEquals(counts, [LOG_LINES.length, LOG_LINES.length]);
}

async function assertCut(client: Client): Promise<void> {
  await assertRejects(() => client.getExecutionLog("id"), DecapodError);
  assert((await readLines(client)).error, "Expected an error");
}
