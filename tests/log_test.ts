/** Tests of getExecutionLog() and streamExecutionLog(). */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  DecapodResponseError,
  DecapodTimeoutError,
} from "../mod.ts";
import { StandIn } from "./standin/mod.ts";
import { clientOf } from "./support/churn.ts";
import { CountedSignal } from "./support/patch.ts";
import { http, RawServer } from "./support/raw.ts";
import { makeClient, StandInServer } from "./support/server.ts";
import { stubClient } from "./support/stub.ts";
import { inTime } from "./support/time.ts";
import { untyped } from "./support/untyped.ts";

const ID = "231c54ee-384b-4fce-8ad4-7e029c7d13cb";
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

Deno.test("streamExecutionLog() yields the same lines for all chunks of a log", async () => {
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

Deno.test("getExecutionLog() returns the text, streamExecutionLog() yields its lines", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const id = String(server.standIn.seedExecution({ delay: 1000 }).id);
  for (
    const read of [
      () => client.getExecutionLog(id),
      () => client.streamExecutionLog(id).next(),
    ]
  ) {
    const error = await assertRejects(read, DecapodAPIError);
    assertEquals(error.code, 404);
  }
  server.clock.advance(100_000);
  const text = await client.getExecutionLog(id);
  assert(text.includes("\nTASK [seeded : task 000001] ***"));
  const lines = await Array.fromAsync(client.streamExecutionLog(id));
  assertEquals(lines.join("\n") + "\n", text);
  for (const { headers } of server.sent("GET", `/v1/execution/${id}/log/`)) {
    assertEquals(headers.get("accept"), "text/plain");
    assertEquals(headers.get("accept-encoding"), "identity");
  }
});

/** A client whose session needs no login. */
const SESSION = { headers: { authorization: "token" } };

/** A server of a body that does not end; settled when the client closes it. */
function endlessServer(body: string, type: string): RawServer {
  return new RawServer(async (peer) => {
    await peer.request();
    const headers = { "content-type": type, "content-length": "99" };
    await peer.send(http("200 OK", body, headers));
    await peer.abandoned();
  });
}

Deno.test("streamExecutionLog() closes the connection at an abort between two lines", async () => {
  await using server = endlessServer("1\n2\n3\n", "text/plain");
  const counted = new CountedSignal();
  const { controller, signal } = counted;
  const lines = server.client(SESSION).streamExecutionLog(ID, { signal });
  assertEquals((await lines.next()).value, "1");
  controller.abort("enough");
  await inTime(server.settled());
  assertEquals(await lines.next().catch((reason) => reason), "enough");
  assertEquals((await lines.next()).done, true);
  assertEquals(counted.listeners, 0);
});

Deno.test("streamExecutionLog() rejects if no chunk arrives within the timeout", async () => {
  await using server = endlessServer("1\n2\n3\n", "text/plain");
  const log = server.client(SESSION).streamExecutionLog(ID, { timeout: 100 });
  const seen: string[] = [];
  const reading = (async () => {
    for await (const line of log) seen.push(line);
  })();
  await assertRejects(() => inTime(reading), DecapodTimeoutError);
  assertEquals(seen, ["1", "2", "3"]);
  await inTime(server.settled());
});

Deno.test("streamExecutionLog() rejects another content type and closes the body", async () => {
  await using server = endlessServer("<html>", "text/html");
  await assertRejects(
    () => server.client(SESSION).streamExecutionLog(ID).next(),
    DecapodResponseError,
    "text/html",
  );
  await inTime(server.settled());
});

Deno.test("streamExecutionLog() applies the timeout to each chunk, not to the reader", async () => {
  const timeout = 400;
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

const TORN = "one\ntwo is to";

/** Responses that end in the middle of a line; 63 is 99 in hexadecimal. */
const TRUNCATED: Record<string, string> = {
  "by length": http("200 OK", TORN, {
    "content-type": "text/plain",
    "content-length": "99",
  }),
  "within a chunk": "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" +
    `transfer-encoding: chunked\r\n\r\n63\r\n${TORN}`,
};

for (const [name, response] of Object.entries(TRUNCATED)) {
  Deno.test(`streamExecutionLog() yields the whole lines of a truncated log and rejects: ${name}`, async () => {
    await using server = new RawServer(async (peer) => {
      await peer.request();
      await peer.send(response);
    });
    const lines: string[] = [];
    await assertRejects(async () => {
      const log = server.client(SESSION).streamExecutionLog(ID, { retries: 3 });
      for await (const line of log) lines.push(line);
    }, DecapodError);
    assertEquals(lines, ["one"]);
    // A stream that has begun is not started again.
    assertEquals(server.connections, 1);
  });
}

Deno.test("getExecutionLog() and streamExecutionLog() of a custom fetch reject whichever bytes are missing", async () => {
  const text = "one\ntwo";
  const headers = new Headers({
    "content-type": "text/plain",
    "content-length": String(text.length),
  });
  const responses: ((part: string) => unknown)[] = [
    (part) => new Response(part, { headers }),
    (part) => ({
      status: 200,
      headers,
      arrayBuffer: () => Promise.resolve(encoder.encode(part).buffer),
    }),
  ];
  for (const respond of responses) {
    for (let size = 0; size <= text.length; size++) {
      const client = stubClient(() => untyped(respond(text.slice(0, size))), {
        retries: 0,
      });
      const reads = [
        () => client.getExecutionLog(ID),
        () => Array.fromAsync(client.streamExecutionLog(ID)),
      ];
      for (const read of reads) {
        if (size === text.length) {
          assertEquals([await read()].flat().join("\n"), text);
          continue;
        }
        await assertRejects(
          read,
          DecapodConnectionError,
          `connection closed after ${size} of ${text.length} bytes`,
        );
      }
    }
  }
});

Deno.test("getExecutionLog() names an encoding that the runtime does not decode", async () => {
  await using server = new StandInServer({}, () =>
    new Response("compressed", {
      headers: { "content-type": "text/plain", "content-encoding": "x-lzma" },
    }));
  const client = server.client(SESSION);
  for (
    const read of [
      () => client.getExecutionLog(ID),
      () => client.streamExecutionLog(ID).next(),
    ]
  ) await assertRejects(read, DecapodResponseError, '"x-lzma"');
  assertEquals(server.exchanges.length, 2);
});

Deno.test("getExecutionLog() rejects a log longer than a string after one request", async () => {
  let requests = 0;
  const client = makeClient("http://decapod", {
    headers: { authorization: "token" },
    fetch: () => {
      requests++;
      const headers = { "content-type": "text/plain" };
      // Pages that nobody reads or writes take no memory.
      const arrayBuffer = () => Promise.resolve(new ArrayBuffer(2 ** 29));
      const response = new Response(null, { headers });
      return Promise.resolve(Object.assign(response, { arrayBuffer }));
    },
  });
  await assertRejects(
    () => client.getExecutionLog(ID),
    DecapodResponseError,
    "has 536870912 bytes, more than fit into a string (use streamExecutionLog)",
  );
  assertEquals(requests, 1);
});

Deno.test("streamExecutionLog() and getExecutionLog() reject invalid options and send nothing", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const typo = JSON.parse('{"perPage":1}');
  for (
    const read of [
      () => client.streamExecutionLog(ID, typo).next(),
      () => client.getExecutionLog(ID, typo),
    ]
  ) {
    await assertRejects(read, TypeError, 'Unknown option "perPage"');
  }
  for (const timeout of [0, -1, NaN]) {
    await assertRejects(
      () => client.streamExecutionLog(ID, { timeout }).next(),
      RangeError,
      "Invalid timeout",
    );
  }
  await assertRejects(() => client.streamExecutionLog("..").next(), TypeError);
  assertEquals(server.exchanges, []);
});
