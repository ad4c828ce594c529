/** Logs that are cut off: where a runtime can tell, and where it cannot. */
import {
  type Client,
  DecapodError,
  DecapodResponseError,
} from "@decapod/decapodlib";
import { connectToFault, open, seedExecution } from "./clients.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  LOG_LINES,
  only,
  rejection,
  section,
  type Settings,
  test,
} from "./kit.ts";

section("truncation");

/** The framings of a log, and the runtimes that cannot tell a cut one. */
const FRAMINGS: Record<string, string[]> = {
  "content-length": [],
  "chunked": [],
  "chunked, Connection: close": ["node20"],
  "chunked, HTTP 1.0": ["node20"],
  "no length": ["bun", "deno", "node", "workerd"],
};

/** Framings of logs that are compressed although the client asks for none. */
const COMPRESSED = ["content-length", "chunked", "no length"]
  .map((framing) => `gzip, ${framing}`);

for (const [framing, blind] of Object.entries(FRAMINGS)) {
  test(`getExecutionLog() tells a cut log: ${framing}`, async (settings) => {
    const path = encodeURIComponent(framing);
    const whole = connectToFault(settings, `whole/${path}`);
    // Deno rejects all chunks under HTTP/1.0.
    if (settings.runtime === "deno" && framing === "chunked, HTTP 1.0") {
      await assertRejects(() => whole.getExecutionLog("id"), DecapodError);
    } else await assertWhole(whole);
    const cut = connectToFault(settings, `cut/${path}`, { retries: 0 });
    await assertCut(cut, isIn(blind, settings));
  });
}

for (const framing of COMPRESSED) {
  test(`getExecutionLog() returns no part of a compressed log: ${framing}`, async (settings) => {
    const path = encodeURIComponent(framing);
    const whole = connectToFault(settings, `whole/${path}`);
    const error = await rejection(() => whole.getExecutionLog("id"));
    // Deno 2.0 decodes the log and does not tell.
    if (error === undefined) await assertWhole(whole);
    else {
      assert(error instanceof DecapodResponseError, `Got ${error}`);
      const lines = () => whole.streamExecutionLog("id").next();
      await assertRejects(lines, DecapodResponseError, /gzip/);
    }
    await assertCut(connectToFault(settings, `cut/${path}`), false);
  });
}

test("getExecutionLog() asks for a log without compression", async (settings) => {
  const { server, client } = await open(settings);
  const id = await seedExecution(server);
  await rejection(() => client.getExecutionLog(id));
  const { headers } = (await server.received()).at(-1) ?? {};
  assertEquals(headers?.["accept-encoding"], "identity");
});

test("getExecutionLog() tells a cut log: no length, connection reset", async (settings) => {
  const faults = await (await fetch(`${settings.servers}/resets`)).text();
  const client = connectToFault({ faults }, "", { retries: 0 });
  await assertCut(client, isIn(["bun", "node"], settings));
});

/** Codes that end a stream of HTTP/2, and whether Deno tells an error. */
const RESETS: [code: string, isTold: boolean][] = [
  ["NO_ERROR", false],
  ["INTERNAL_ERROR", true],
  ["CANCEL", false],
];

for (const [code, isTold] of RESETS) {
  const tells = isTold ? "tells" : "cannot tell";
  const name = `getExecutionLog() of HTTP/2 ${tells} a cut log: ${code}`;
  // Other runtimes use HTTP/1.1.
  only("deno");
  test(name, async ({ http2, pem: { ca } }) => {
    const options = { retries: 0, tls: { ca } };
    const connect = (path: string) =>
      connectToFault({ faults: http2 }, path, options);
    await using whole = connect("whole");
    await assertWhole(whole);
    await using cut = connect(code);
    await assertCut(cut, !isTold);
  });
}

/** Whether a list has this runtime or this version of it. */
function isIn(list: string[], { runtime }: Settings): boolean {
  const { process } = globalThis as { process?: { version?: string } };
  const [major = ""] = process?.version?.match(/\d+/) ?? [];
  return list.includes(runtime) || list.includes(runtime + major);
}

async function assertWhole(client: Client): Promise<void> {
  assertEquals(
    (await client.getExecutionLog("id")).trimEnd().split("\n").length,
    LOG_LINES.length,
  );
  let count = 0;
  for await (const _ of client.streamExecutionLog("id")) count++;
  assertEquals(count, LOG_LINES.length);
}

/** @param isBlind Whether the runtime takes the log for complete. */
async function assertCut(client: Client, isBlind: boolean): Promise<void> {
  const failure = await rejection(() => client.getExecutionLog("id"));
  const lines: string[] = [];
  const streamFailure = await rejection(async () => {
    for await (const line of client.streamExecutionLog("id")) lines.push(line);
  });
  for (const error of [failure, streamFailure]) {
    assert(
      isBlind ? error === undefined : error instanceof DecapodError,
      `Expected ${isBlind ? "no error" : "a DecapodError"}, got ${error}`,
    );
  }
  if (isBlind) return;
  const torn = lines.filter((line, index) => line !== LOG_LINES[index]);
  assertEquals(torn, []);
}
