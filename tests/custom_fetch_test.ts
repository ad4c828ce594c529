/** Custom fetches, and programs that replace the global one. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertNotStrictEquals,
  assertRejects,
} from "@std/assert";
import { Readable } from "node:stream";
import {
  type ClientOptions,
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  DecapodResponseError,
  DecapodTimeoutError,
  noAuth,
  type RequestOptions,
  type V1Client,
} from "../mod.ts";
import { path } from "../internal/path.ts";
import { replace } from "./support/patch.ts";
import { INFO, makeClient } from "./support/server.ts";
import { LOGGED_IN, stubClient, typed } from "./support/stub.ts";
import { inTime } from "./support/time.ts";
import { untyped } from "./support/untyped.ts";

const BASE = "http://decapod.example";

/** A client that never logs in. */
const clientOf = (fetch: ClientOptions["fetch"], retries?: number) =>
  makeClient(BASE, { ...LOGGED_IN, fetch, retries });

type Call = (client: V1Client, options?: RequestOptions) => Promise<unknown>;

const getInfo: Call = (client, options) => client.getInfo(options);
const createCluster: Call = (client, options) =>
  client.createCluster("c", options);

/** Calls of each method, and of each way to read a body. */
const CALLS: Record<string, Call> = {
  "getInfo()": getInfo,
  "createCluster()": createCluster,
  "deleteCluster()": (client, options) => client.deleteCluster("id", options),
  "getExecutionLog()": (client, options) =>
    client.getExecutionLog("id", options),
  "streamExecutionLog()": (client, options) =>
    Array.fromAsync(client.streamExecutionLog("id", options)),
};

const nextTurn = () => new Promise((resolve) => setTimeout(resolve));

for (const [name, call] of Object.entries(CALLS)) {
  Deno.test(`${name} ends in time if globalThis.fetch was replaced by one that ignores the signal`, async () => {
    let open = 0;
    let hasBody = false;
    const before = makeClient(BASE, LOGGED_IN);
    using _ = replace(globalThis, "fetch", (_, init) => {
      if (!hasBody) return new Promise(() => {});
      open++;
      const body = new ReadableStream({ cancel: () => void open-- });
      const type = new Headers(init?.headers).get("accept") ?? "";
      return Promise.resolve(typed(type, body));
    });
    for (const client of [before, makeClient(BASE, LOGGED_IN)]) {
      for (hasBody of [false, true]) {
        await assertRejects(
          () => inTime(call(client, { timeout: 40 })),
          DecapodTimeoutError,
          "no response within 40 ms",
        );
        const controller = new AbortController();
        const pending = call(client, { signal: controller.signal })
          .catch((reason) => reason);
        await nextTurn();
        controller.abort("enough");
        assertEquals(await inTime(pending), "enough");
      }
    }
    await nextTurn();
    assertEquals(open, 0, "bodies that are still read");
  });
}

/** A body that fails when it is read. */
function failingBody(error: Error): ReadableStream {
  return new ReadableStream({ pull: (body) => body.error(error) });
}

Deno.test("fetch or a body that ends at Node's own limit is a timeout and is not retried", async () => {
  for (const limit of ["HEADERS", "BODY"]) {
    const code = `UND_ERR_${limit}_TIMEOUT`;
    const cause = Object.assign(new Error("Timeout Error"), { code });
    const error = new TypeError("fetch failed", { cause });
    const responses = [
      () => Promise.reject(error),
      () => typed("application/json", failingBody(error)),
    ];
    for (const respond of responses) {
      for (const call of [getInfo, createCluster]) {
        let attempts = 0;
        const client = stubClient(respond, { onAttempt: () => attempts++ });
        const rejected = () => call(client);
        const { outcomeUnknown } = await assertRejects(
          rejected,
          DecapodTimeoutError,
          "300 s",
        );
        assertEquals([outcomeUnknown, attempts], [call === createCluster, 1]);
      }
    }
  }
});

const headers = new Headers({ "content-type": "application/json" });
const logHeaders = new Headers({ "content-type": "text/plain" });

/** What mocks return, and what they lack. */
const POOR: [name: string, value: unknown, lacks: string][] = [
  ["nothing", undefined, "status"],
  ["null", null, "status"],
  ["a string", "{}", "status"],
  ["only json()", { json: () => INFO }, "status"],
  ["only a status", { status: 200 }, "headers"],
  ["no headers", { status: 200, text: () => "{}" }, "headers"],
  ["headers of another kind", { status: 200, headers: {} }, "headers"],
  ["text that is no function", { status: 200, headers, text: "{}" }, "text()"],
  ["no text()", { status: 200, headers, json: () => INFO }, "text()"],
];

Deno.test("fetch that returns no Response is refused after one attempt", async () => {
  let attempts = 0;
  let value: unknown;
  const respond = () => {
    attempts++;
    return Promise.resolve(untyped<Response>(value));
  };
  const client = clientOf(respond);
  using _ = replace(globalThis, "fetch", respond);
  // The query makes it another module, which finds another global fetch.
  const { Transport } = await import("../internal/transport.ts?replaced");
  const transport = new Transport(BASE, "password", noAuth, {});
  const calls = [
    ...Object.values(CALLS).map((call) => () => call(client)),
    () => transport.get(path`info`),
  ];
  for (const [name, poor, lacks] of POOR) {
    value = poor;
    for (const call of calls) {
      attempts = 0;
      const message = `fetch did not return a Response: it lacks ${lacks}`;
      await assertRejects(call, DecapodResponseError, message, name);
      assertEquals(attempts, 1);
    }
  }
});

Deno.test("fetch that returns Response.error() failed on the network", async () => {
  const client = stubClient(() => Response.error());
  await assertRejects(() => client.getInfo(), DecapodConnectionError);
});

Deno.test("fetch that returns one Response twice is refused", async () => {
  const response = Response.json({});
  const client = stubClient(() => response);
  await client.getInfo();
  await assertRejects(
    () => client.getInfo(),
    DecapodResponseError,
    "lacks an unread body",
  );
});

/** Responses without a web stream that are good enough. */
const READABLE: Record<string, (text: string) => object> = {
  "text()": (text) => ({ text: () => Promise.resolve(text) }),
  "arrayBuffer()": (text) => ({
    arrayBuffer: () => Promise.resolve(new TextEncoder().encode(text).buffer),
  }),
  "a body of node:stream and text()": (text) => ({
    body: Readable.from([text]),
    text: () => Promise.resolve(text),
  }),
};

for (const [name, methods] of Object.entries(READABLE)) {
  Deno.test(`fetch may return a response that has only ${name}`, async () => {
    const client = stubClient((url) => {
      const [status, head, text] = url.includes("/log/")
        ? [200, logHeaders, "one\ntwo"]
        : url.includes("/info/")
        ? [200, headers, JSON.stringify(INFO)]
        : [404, headers, '{"error":"No","message":"M"}'];
      return untyped({ status, headers: head, ...methods(text) });
    });
    assertEquals(await client.getInfo(), INFO);
    assertEquals(await client.getExecutionLog("id"), "one\ntwo");
    const lines = await Array.fromAsync(client.streamExecutionLog("id"));
    assertEquals(lines, ["one", "two"]);
    await assertRejects(() => client.getUser("a"), DecapodError, "404 No: M");
  });
}

/** What a custom fetch may throw, and what the message quotes. */
const THROWN: [name: string, thrown: unknown, quoted: string][] = [
  ["an error", new TypeError("made of stone"), "made of stone"],
  ["a bug", new TypeError("x is not a function"), "x is not a function"],
  ["a string", "made of stone", "made of stone"],
  ["undefined", undefined, "undefined"],
  ["an object without text", Object.create(null), "a value of type object"],
  [
    "an error with a cause",
    new Error("failed", { cause: new Error("made of stone") }),
    "made of stone",
  ],
];

for (const [name, thrown, quoted] of THROWN) {
  Deno.test(`fetch that throws ${name} is quoted, with a copy as the cause`, async () => {
    const throwing = () => {
      throw thrown;
    };
    for (const fetch of [throwing, () => Promise.reject(thrown)]) {
      const error = await assertRejects(
        () => clientOf(fetch, 0).getInfo(),
        DecapodConnectionError,
        `GET ${BASE}/v1/info/: the custom fetch failed: ${quoted}`,
      );
      if (!(thrown instanceof Error)) continue;
      assertNotStrictEquals(error.cause, thrown);
      assertInstanceOf(error.cause, Error);
      assertEquals(String(error.cause), String(thrown));
    }
  });
}

Deno.test("fetch that rejects too late changes nothing", async () => {
  const failed = Promise.withResolvers<Response>();
  const client = stubClient(() => failed.promise, { timeout: 1 });
  await assertRejects(() => client.getInfo(), DecapodTimeoutError);
  failed.reject(new Error("too late"));
  await nextTurn();
});

Deno.test("fetch gets a string URL, a complete init and no this", async () => {
  const seen: { self: unknown; input: string; init: RequestInit }[] = [];
  const client = clientOf(function (this: unknown, input, init) {
    seen.push({ self: this, input, init });
    return Promise.resolve(Response.json({}));
  });
  await client.createCluster("ceph");
  await client.getUserSelf();
  const [create, get] = seen;
  assert(create && get);
  assertEquals([create.self, get.self], [undefined, undefined]);
  assertEquals(create.input, `${BASE}/v1/cluster/`);
  assertEquals([create.init.method, get.init.method], ["POST", "GET"]);
  const bodies = [create.init.body, get.init.body];
  assertEquals(bodies, ['{"name":"ceph"}', undefined]);
  assertEquals(create.init.redirect, "manual");
  assertInstanceOf(create.init.signal, AbortSignal);
  assertInstanceOf(create.init.headers, Headers);
  assertEquals(create.init.headers.get("authorization"), "token");
});

Deno.test("headers that a replaced globalThis.fetch adds are not in the next attempt", async () => {
  const seen: (string | undefined)[] = [];
  using _ = replace(globalThis, "fetch", (_, init) => {
    const headers: Record<string, string> = untyped(init?.headers);
    headers.baggage = [headers.baggage ?? [], "key=value"].flat().join();
    seen.push(headers.baggage);
    const status = seen.length < 3 ? 503 : 404;
    return Promise.resolve(new Response("", { status }));
  });
  await assertRejects(() => makeClient(BASE).getInfo(), DecapodError, "404");
  assertEquals(seen, ["key=value", "key=value", "key=value"]);
});

Deno.test("DecapodAPIError is created in time from the beginning of a large page", async () => {
  let chunks = 0;
  const many = new ReadableStream({
    pull(body) {
      if (chunks++ < 1000) body.enqueue(new Uint8Array(1024));
      else body.close();
    },
  });
  for (const page of ["<title ".repeat(40_000), many]) {
    const client = stubClient(() => typed("text/html", page, { status: 400 }));
    const start = performance.now();
    await assertRejects(() => client.getInfo(), DecapodAPIError);
    assertLess(performance.now() - start, 1000);
  }
  assertLess(chunks, 100);
});

Deno.test("getInfo() and createCluster() switch off Bun's own limit of 300 s", async () => {
  const limits: unknown[] = [];
  using _ = replace(globalThis, "fetch", (_input, init) => {
    limits.push(Reflect.get(init ?? {}, "timeout"));
    return Promise.resolve(Response.json(INFO));
  });
  const client = makeClient(BASE, LOGGED_IN);
  await client.getInfo();
  Reflect.set(globalThis, "Bun", {});
  using stack = new DisposableStack();
  stack.defer(() => Reflect.deleteProperty(globalThis, "Bun"));
  await client.getInfo();
  await client.createCluster("ceph");
  assertEquals(limits, [undefined, false, false]);
});

Deno.test("createCluster() sets outcomeUnknown if reading the response fails with ECONNREFUSED", async () => {
  const code = "ECONNREFUSED";
  const refused = Object.assign(new TypeError("down"), { code });
  const body = failingBody(refused);
  const client = stubClient(() => typed("application/json", body));
  const error = await assertRejects(
    () => client.createCluster("ceph"),
    DecapodConnectionError,
    "connection lost while reading the response",
  );
  assertEquals(error.outcomeUnknown, true);
});

Deno.test("fetch may be a custom one where there is no global Response", async () => {
  const response = Response.json(INFO);
  const client = stubClient(() => response);
  using _ = replace(globalThis, "Response", untyped(undefined));
  assertEquals<unknown>(await client.getInfo(), INFO);
});
