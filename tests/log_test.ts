/** Tests of getExecutionLog() and streamExecutionLog(). */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodError,
  DecapodResponseError,
  DecapodTimeoutError,
  type V1Client,
} from "../mod.ts";
import { StandIn } from "./standin/mod.ts";
import { clientOf } from "./support/churn.ts";
import { CountedSignal } from "./support/patch.ts";
import { http, RawServer } from "./support/raw.ts";
import { makeClient, StandInServer } from "./support/server.ts";

const ID = "231c54ee-384b-4fce-8ad4-7e029c7d13cb";
const encoder = new TextEncoder();

type Bytes = Uint8Array<ArrayBuffer>;

/** The lines of a log that arrives in these chunks. */
async function linesOf(chunks: Bytes[]): Promise<string[]> {
  const standIn = new StandIn({ servers: 0 });
  const id = String(standIn.seedExecution().id);
  standIn.setLog(id, () => ReadableStream.from(chunks));
  return await Array.fromAsync(clientOf(standIn).streamExecutionLog(id));
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
    assertEquals(await linesOf([bytes]), lines);
    assertEquals(
      await linesOf([...bytes].map((byte) => Uint8Array.of(byte))),
      lines,
    );
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const chunks = [
          bytes.slice(0, first),
          bytes.slice(first, second),
          bytes.slice(second),
        ].filter(({ length }) => length > 0);
        assertEquals(
          await linesOf(chunks),
          lines,
          `${text} ${first} ${second}`,
        );
      }
    }
  }
});

Deno.test("streamExecutionLog() replaces invalid UTF-8", async () => {
  const bytes = Uint8Array.of(0x6f, 0xff, 0x6b, 0x0a, 0xe2, 0x82);
  assertEquals(await linesOf([bytes]), ["o\ufffdk", "\ufffd"]);
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
  assertEquals(
    server.sent("GET", `/v1/execution/${id}/log/`).map(({ headers }) =>
      headers.get("accept")
    ),
    Array(4).fill("text/plain"),
  );
  for (const { headers } of server.sent("GET", `/v1/execution/${id}/log/`)) {
    assertEquals(headers.get("accept-encoding"), "identity");
  }
});

Deno.test("streamExecutionLog() logs in again when its token expired", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const id = String(server.standIn.seedExecution().id);
  server.clock.advance(100_000);
  await client.login();
  server.standIn.revokeTokens();
  const [line] = await Array.fromAsync(client.streamExecutionLog(id));
  assertEquals(line, "Using /etc/ansible/ansible.cfg as config file");
  assertEquals(server.logins, 2);
});

/** Runs a test with a log that never ends; expects its connection to be closed. */
async function withEndlessLog(
  test: (client: V1Client, closed: Promise<void>) => Promise<void>,
): Promise<void> {
  const closed = Promise.withResolvers<void>();
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => {
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(encoder.encode("1\n2\n3\n")),
        cancel: () => closed.resolve(),
      });
      return new Response(body, { headers: { "content-type": "text/plain" } });
    },
  );
  const client = makeClient(`http://127.0.0.1:${server.addr.port}`, {
    headers: { authorization: "token" },
  });
  await test(client, closed.promise);
  await closed.promise;
}

Deno.test("streamExecutionLog() closes the connection when its loop is left", async () => {
  await withEndlessLog(async (client) => {
    for await (const line of client.streamExecutionLog(ID)) {
      if (line === "2") break;
    }
  });
});

Deno.test("streamExecutionLog() closes the connection when its loop throws", async () => {
  const own = new Error("mine");
  await withEndlessLog(async (client) => {
    const error = await assertRejects(async () => {
      for await (const _ of client.streamExecutionLog(ID)) throw own;
    });
    assertStrictEquals(error, own);
  });
});

Deno.test("streamExecutionLog() closes the connection at an abort between two lines", async () => {
  await withEndlessLog(async (client, closed) => {
    const counted = new CountedSignal();
    const { controller, signal } = counted;
    const lines = client.streamExecutionLog(ID, { signal });
    assertEquals((await lines.next()).value, "1");
    controller.abort("enough");
    await closed;
    assertEquals(await lines.next().catch((reason) => reason), "enough");
    assertEquals((await lines.next()).done, true);
    assertEquals(counted.listeners, 0);
  });
});

Deno.test("streamExecutionLog() closes the connection at an abort during next()", async () => {
  await withEndlessLog(async (client) => {
    const counted = new CountedSignal();
    const { controller, signal } = counted;
    const reason = new RangeError("enough");
    const error = await assertRejects(async () => {
      for await (const line of client.streamExecutionLog(ID, { signal })) {
        // The next line is waited for when the abort comes.
        if (line === "3") setTimeout(() => controller.abort(reason));
      }
    });
    assertStrictEquals(error, reason);
    assertEquals(counted.listeners, 0);
  });
});

Deno.test("streamExecutionLog() rejects if no chunk arrives within the timeout", async () => {
  await withEndlessLog(async (client) => {
    const seen: string[] = [];
    await assertRejects(async () => {
      const options = { timeout: 100 };
      for await (const line of client.streamExecutionLog(ID, options)) {
        seen.push(line);
      }
    }, DecapodTimeoutError);
    assertEquals(seen, ["1", "2", "3"]);
  });
});

/** Waits in real time. */
function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

Deno.test("streamExecutionLog() applies the timeout to each chunk, not to the reader", async () => {
  const timeout = 400;
  const standIn = new StandIn({ servers: 0 });
  const id = String(standIn.seedExecution().id);
  standIn.setLog(id, () =>
    ReadableStream.from((async function* () {
      for (const chunk of ["a\nb", "\r", "\nc", "\nd\n"]) {
        await wait(timeout / 3);
        yield encoder.encode(chunk);
      }
    })()));
  const lines: string[] = [];
  const client = clientOf(standIn);
  for await (const line of client.streamExecutionLog(id, { timeout })) {
    lines.push(line);
    if (line === "a") await wait(timeout);
  }
  assertEquals(lines, ["a", "b", "c", "d"]);
});

Deno.test("streamExecutionLog() rejects if no response arrives within the timeout", async () => {
  const held = Promise.withResolvers<undefined>();
  await using server = new StandInServer({}, () => held.promise);
  const client = server.client({ headers: { authorization: "token" } });
  await assertRejects(
    () => client.streamExecutionLog(ID, { timeout: 50 }).next(),
    DecapodTimeoutError,
  );
  held.resolve(undefined);
});

const TORN = "one\ntwo is to";

/** A response that ends in the middle of a line, in every framing. */
const TRUNCATED: Record<string, (string | Bytes)[]> = {
  "by length": [http("200 OK", TORN, {
    "content-type": "text/plain",
    "content-length": "99",
  })],
  "by length, with Connection: close": [http("200 OK", TORN, {
    "content-type": "text/plain",
    "content-length": "99",
    connection: "close",
  })],
  "in chunks": [chunked("HTTP/1.1 200 OK"), "e\r\n", TORN, "\r\n"],
  "in chunks, with Connection: close": [
    chunked("HTTP/1.1 200 OK\r\nconnection: close"),
    "e\r\n",
    TORN,
    "\r\n",
  ],
  "within a chunk": [chunked("HTTP/1.1 200 OK"), "63\r\n", TORN],
  "after a chunk's length": [
    chunked("HTTP/1.1 200 OK"),
    "e\r\n",
    TORN,
    "\r\n63\r\n",
  ],
  "before the last chunk's end": [
    chunked("HTTP/1.1 200 OK"),
    "e\r\n",
    TORN,
    "\r\n0\r\n",
  ],
};

function chunked(head: string): string {
  return `${head}\r\ncontent-type: text/plain\r\n` +
    "transfer-encoding: chunked\r\n\r\n";
}

/** The first bytes of a compressed log, with a response head that suits them. */
for (const framing of ["length", "chunks", "the end of the connection"]) {
  const whole = await compress(`${TORN}rn\n`.repeat(1000));
  const part = whole.slice(0, whole.length / 2);
  const head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" +
    "content-encoding: gzip\r\n";
  TRUNCATED[`in gzip, by ${framing}`] = framing === "length"
    ? [`${head}content-length: ${part.length}\r\n\r\n`, part]
    : framing === "chunks"
    ? [
      `${head}transfer-encoding: chunked\r\n\r\n`,
      `${part.length.toString(16)}\r\n`,
      part,
      "\r\n0\r\n\r\n",
    ]
    : [`${head}connection: close\r\n\r\n`, part];
}

async function compress(text: string): Promise<Bytes> {
  const stream = new Blob([text]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return await new Response(stream).bytes();
}

for (const [name, parts] of Object.entries(TRUNCATED)) {
  Deno.test(`streamExecutionLog() and getExecutionLog() reject a truncated log: ${name}`, async () => {
    await using server = new RawServer(async (peer) => {
      await peer.request();
      await peer.send(...parts);
    });
    const client = server.client({ headers: { authorization: "token" } });
    const lines: string[] = [];
    await assertRejects(async () => {
      const options = { retries: 3 };
      for await (const line of client.streamExecutionLog(ID, options)) {
        lines.push(line);
      }
    }, DecapodError);
    const isCompressed = name.startsWith("in gzip");
    if (!isCompressed) assertEquals(lines, ["one"]);
    for (const line of lines) assert(["one", "two is torn"].includes(line));
    // A stream that has begun is not started again.
    if (lines.length > 0) assertEquals(server.connections, 1);
    await assertRejects(
      () => client.getExecutionLog(ID, { retries: 0 }),
      DecapodError,
    );
  });
}

Deno.test("getExecutionLog() names an encoding that the runtime does not decode", async () => {
  await using server = new StandInServer({}, () =>
    new Response("compressed", {
      headers: { "content-type": "text/plain", "content-encoding": "x-lzma" },
    }));
  const client = server.client({ headers: { authorization: "token" } });
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

Deno.test("streamExecutionLog() rejects another content type and closes the body", async () => {
  const cancelled = Promise.withResolvers<void>();
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(encoder.encode("<html>")),
          cancel: () => cancelled.resolve(),
        }),
        { headers: { "content-type": "text/html" } },
      ),
  );
  const client = makeClient(`http://127.0.0.1:${server.addr.port}`, {
    headers: { authorization: "token" },
  });
  await assertRejects(
    () => client.streamExecutionLog(ID).next(),
    DecapodResponseError,
    "text/html",
  );
  await cancelled.promise;
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
