/** Tests of getExecutionLog() and streamExecutionLog(). */

import { assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import {
  DecapodConnectionError,
  DecapodResponseError,
  type V1Client,
} from "../mod.ts";
import { StandIn } from "./standin/mod.ts";
import { clientOf } from "./support/churn.ts";
import { ID } from "./support/execution.ts";
import { CountedSignal } from "./support/patch.ts";
import { http, RawServer } from "./support/raw.ts";
import { TestServer } from "./support/server.ts";
import { LOGGED_IN, stalls, stubClient, typed } from "./support/stub.ts";
import { inTime } from "./support/time.ts";
import { untyped } from "./support/untyped.ts";

const encoder = new TextEncoder();

type Bytes = Uint8Array<ArrayBuffer>;

/** A client of a server with one log that arrives in these chunks. */
function logOf(chunks: () => Iterable<Bytes> | AsyncIterable<Bytes>) {
  const standIn = new StandIn({ servers: 0 });
  const id = String(standIn.seedExecution().id);
  standIn.setLog(id, () => ReadableStream.from(chunks()));
  return { client: clientOf(standIn), id };
}

/** The lines of a log that arrives in these chunks. */
async function linesOf(...chunks: Bytes[]): Promise<string[]> {
  const { client, id } = logOf(() => chunks.filter(({ length }) => length > 0));
  return await Array.fromAsync(client.streamExecutionLog(id));
}

/** Texts and their lines. */
const TEXTS: [string, string[]][] = [
  ["", []],
  ["\n", [""]],
  ["\n\n", ["", ""]],
  ["\r\n\r\n", ["", ""]],
  ["one", ["one"]],
  ["one\n", ["one"]],
  ["one\ntwo", ["one", "two"]],
  ["one\r\ntwo\r\n", ["one", "two"]],
  ["one\n\n\ntwo\n", ["one", "", "", "two"]],
  ["a\rb\r\r\nc\r", ["a\rb\r", "c\r"]],
  ["ä\r\n€uro\n😀 ok\u2028still\n→", ["ä", "€uro", "😀 ok\u2028still", "→"]],
];

Deno.test("streamExecutionLog() yields the same lines however the log is divided into chunks", async () => {
  for (const [text, lines] of TEXTS) {
    const bytes = encoder.encode(text);
    const single = [...bytes].map((byte) => Uint8Array.of(byte));
    assertEquals(await linesOf(...single), lines);
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const found = await linesOf(
          bytes.slice(0, first),
          bytes.slice(first, second),
          bytes.slice(second),
        );
        assertEquals(found, lines, `${text} ${first} ${second}`);
      }
    }
  }
});

Deno.test("streamExecutionLog() replaces invalid UTF-8", async () => {
  const bytes = Uint8Array.of(0x6f, 0xff, 0x6b, 0x0a, 0xe2, 0x82);
  assertEquals(await linesOf(bytes), ["o\ufffdk", "\ufffd"]);
});

/** Calls of both methods. */
const READS: ((client: V1Client, id: string) => Promise<unknown>)[] = [
  (client, id) => client.getExecutionLog(id),
  (client, id) => Array.fromAsync(client.streamExecutionLog(id)),
];

Deno.test("getExecutionLog() and streamExecutionLog() request the log without compression", async () => {
  await using server = new TestServer(() => typed("text/plain", ""));
  for (const read of READS) await read(server.client(LOGGED_IN), ID);
  const encodings = server.exchanges.map(({ headers }) =>
    headers.get("accept-encoding")
  );
  assertEquals(encodings, ["identity", "identity"]);
});

/** A server of a body that does not end; settled when the client closes it. */
function endlessServer(body: string, type = "text/plain"): RawServer {
  const headers = { "content-type": type, "content-length": "99" };
  return new RawServer(stalls(http("200 OK", body, headers)));
}

Deno.test("streamExecutionLog() closes the connection at an abort between two lines", async () => {
  await using server = endlessServer("1\n2\n3\n");
  const counted = new CountedSignal();
  const { controller, signal } = counted;
  const lines = server.client(LOGGED_IN).streamExecutionLog(ID, { signal });
  assertEquals((await lines.next()).value, "1");
  controller.abort("enough");
  await inTime(server.settled());
  assertEquals(await lines.next().catch((reason) => reason), "enough");
  assertEquals((await lines.next()).done, true);
  assertEquals(counted.listeners, 0);
});

/** The lines until the stream ends, and the name of its error, if any. */
async function outcomeOf(log: AsyncIterable<string>): Promise<string[]> {
  const lines: string[] = [];
  try {
    for await (const line of log) lines.push(line);
  } catch (error) {
    lines.push(error instanceof Error ? error.name : "");
  }
  return lines;
}

/** Bodies that do not end, and what is made of them. */
const ENDLESS: [body: string, type: string, outcome: string][] = [
  ["1\n2\n3\n", "text/plain", "1,2,3,DecapodTimeoutError"],
  ["<html>", "text/html", "DecapodResponseError"],
];

Deno.test("streamExecutionLog() rejects another content type, or if no chunk arrives within the timeout, and closes the connection", async () => {
  for (const [body, type, outcome] of ENDLESS) {
    await using server = endlessServer(body, type);
    const client = server.client({ ...LOGGED_IN, timeout: 100 });
    const log = client.streamExecutionLog(ID);
    assertEquals((await inTime(outcomeOf(log))).join(), outcome);
    await inTime(server.settled());
  }
});

Deno.test("streamExecutionLog() applies the timeout to each chunk, not to the reader", async () => {
  const timeout = 300;
  const { client, id } = logOf(async function* () {
    for (const chunk of ["a\nb", "\r", "\nc", "\nd\n"]) {
      await delay(timeout / 3);
      yield encoder.encode(chunk);
    }
  });
  const lines: string[] = [];
  for await (const line of client.streamExecutionLog(id, { timeout })) {
    lines.push(line);
    if (line === "a") await delay(timeout);
  }
  assertEquals(lines, ["a", "b", "c", "d"]);
});

Deno.test("getExecutionLog() and streamExecutionLog() of a custom fetch reject whichever bytes are missing", async () => {
  const text = "one\ntwo";
  const bufferOf = (part: string) =>
    Promise.resolve(encoder.encode(part).buffer);
  const length = { "content-length": String(text.length) };
  const { headers } = typed("text/plain", null, { headers: length });
  const status = 200;
  const responses: ((part: string) => unknown)[] = [
    (part) => new Response(part, { headers }),
    (part) => ({ status, headers, arrayBuffer: () => bufferOf(part) }),
  ];
  for (const respond of responses) {
    for (let size = 0; size < text.length; size++) {
      const part = text.slice(0, size);
      const client = stubClient(() => untyped(respond(part)), { retries: 0 });
      for (const read of READS) {
        await assertRejects(
          () => read(client, ID),
          DecapodConnectionError,
          `connection closed after ${size} of ${text.length} bytes`,
        );
      }
    }
  }
});

Deno.test("getExecutionLog() rejects a log longer than a string after one request", async () => {
  let requests = 0;
  const client = stubClient(() => {
    requests++;
    // Pages that nobody reads or writes take no memory.
    const arrayBuffer = () => Promise.resolve(new ArrayBuffer(2 ** 29));
    return Object.assign(typed("text/plain", null), { arrayBuffer });
  });
  await assertRejects(
    () => client.getExecutionLog(ID),
    DecapodResponseError,
    "has 536870912 bytes, more than fit into a string (use streamExecutionLog)",
  );
  assertEquals(requests, 1);
});
