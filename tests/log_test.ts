/** Logs: whole lines of what comes in pieces, and no connection left open. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodConnectionError,
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

/** Reads lines from a client whose server sends just these pieces. */
async function linesOf(pieces: Bytes[]): Promise<string[]> {
  const standIn = new StandIn({ servers: 0 });
  const id = String(standIn.seedExecution().id);
  standIn.setLog(id, () => ReadableStream.from(pieces));
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

Deno.test("a log comes as lines, wherever its bytes are cut", async () => {
  for (const [text, lines] of TEXTS) {
    const bytes = encoder.encode(text);
    assertEquals(await linesOf([bytes]), lines);
    assertEquals(
      await linesOf([...bytes].map((byte) => Uint8Array.of(byte))),
      lines,
    );
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const pieces = [
          bytes.slice(0, first),
          bytes.slice(first, second),
          bytes.slice(second),
        ].filter(({ length }) => length > 0);
        assertEquals(
          await linesOf(pieces),
          lines,
          `${text} ${first} ${second}`,
        );
      }
    }
  }
});

Deno.test("bytes that are no text do no harm", async () => {
  const bytes = Uint8Array.of(0x6f, 0xff, 0x6b, 0x0a, 0xe2, 0x82);
  assertEquals(await linesOf([bytes]), ["o\ufffdk", "\ufffd"]);
});

Deno.test("the log of an execution is its text, or its lines", async () => {
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
});

Deno.test("a log is asked for with a token that lives", async () => {
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

/** A server whose log never ends, and a promise of its being left. */
async function endless(
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

Deno.test("leaving the loop closes the connection", async () => {
  await endless(async (client) => {
    for await (const line of client.streamExecutionLog(ID)) {
      if (line === "2") break;
    }
  });
});

Deno.test("an error in the loop closes the connection", async () => {
  const own = new Error("mine");
  await endless(async (client) => {
    const error = await assertRejects(async () => {
      for await (const _ of client.streamExecutionLog(ID)) throw own;
    });
    assertStrictEquals(error, own);
  });
});

Deno.test("an abort closes the connection while the caller works, and gives no more lines", async () => {
  await endless(async (client, closed) => {
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

Deno.test("an abort closes the connection while a line is waited for", async () => {
  await endless(async (client) => {
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

Deno.test("a log that stalls is over at the deadline", async () => {
  await endless(async (client) => {
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

/** Waits for real. */
function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

Deno.test("a slow but steady log may take longer than the deadline, and its reader too", async () => {
  const timeout = 400;
  const standIn = new StandIn({ servers: 0 });
  const id = String(standIn.seedExecution().id);
  standIn.setLog(id, () =>
    ReadableStream.from((async function* () {
      for (const piece of ["a\nb", "\r", "\nc", "\nd\n"]) {
        await wait(timeout / 3);
        yield encoder.encode(piece);
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

Deno.test("a log that is not begun in time is not waited for", async () => {
  const held = Promise.withResolvers<undefined>();
  await using server = new StandInServer({}, () => held.promise);
  const client = server.client({ headers: { authorization: "token" } });
  await assertRejects(
    () => client.streamExecutionLog(ID, { timeout: 50 }).next(),
    DecapodTimeoutError,
  );
  held.resolve(undefined);
});

/** Answers that break off after a line and a half. */
const BROKEN: Record<string, string> = {
  "its length is said": http("200 OK", "one\ntwo is to", {
    "content-type": "text/plain",
    "content-length": "99",
  }),
  "it comes in chunks": "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" +
    "transfer-encoding: chunked\r\n\r\nb\r\none\ntwo is to\r\n",
};

for (const [name, answer] of Object.entries(BROKEN)) {
  Deno.test(`a log that breaks off is an error, no torn line, where ${name}`, async () => {
    await using server = new RawServer(async (peer) => {
      await peer.request();
      await peer.send(answer);
    });
    const client = server.client({ headers: { authorization: "token" } });
    const lines: string[] = [];
    await assertRejects(async () => {
      const options = { retries: 3 };
      for await (const line of client.streamExecutionLog(ID, options)) {
        lines.push(line);
      }
    }, DecapodConnectionError);
    assertEquals(lines, ["one"]);
    assertEquals(server.connections, 1); // and it is not begun anew
  });
}

Deno.test("what is no log is refused, and its body closed", async () => {
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

Deno.test("what no log can be asked for with is refused, and nothing is sent", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const typo = JSON.parse('{"perPage":1}');
  for (
    const read of [
      () => client.streamExecutionLog(ID, typo).next(),
      () => client.getExecutionLog(ID, typo),
    ]
  ) {
    await assertRejects(read, TypeError, 'there is no "perPage"');
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
