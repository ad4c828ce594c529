/** Custom fetches, and programs that replace the global one. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertNotStrictEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  type ClientOptions,
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  DecapodResponseError,
  DecapodTimeoutError,
  type RequestOptions,
  type V1Client,
} from "../mod.ts";
import { replace } from "./support/patch.ts";
import { http, RawServer } from "./support/raw.ts";
import { INFO, makeClient, StandInServer } from "./support/server.ts";
import { untyped } from "./support/untyped.ts";

type Fetch = NonNullable<ClientOptions["fetch"]>;

/** A client that never logs in. */
function clientOf(fetch: Fetch, options: Partial<ClientOptions> = {}) {
  const headers = { authorization: "token" };
  return makeClient("http://decapod.example", { headers, fetch, ...options });
}

/** Calls of each method, and of each way to read a body. */
const CALLS: Record<
  string,
  (client: V1Client, options: RequestOptions) => Promise<unknown>
> = {
  "getInfo()": (client, options) => client.getInfo(options),
  "createCluster()": (client, options) => client.createCluster("c", options),
  "deleteCluster()": (client, options) => client.deleteCluster("id", options),
  "getExecutionLog()": (client, options) =>
    client.getExecutionLog("id", options),
  "streamExecutionLog()": async (client, options) => {
    await Array.fromAsync(client.streamExecutionLog("id", options));
  },
};

const acceptOf = (init?: RequestInit) =>
  new Headers(init?.headers).get("accept") ?? "";

/** Global fetches of test tools, none of which honours the signal. */
const REPLACEMENTS: Record<
  string,
  (bodies: { open: number }) => typeof fetch
> = {
  "never settles": () => () => new Promise(() => {}),
  "responds with an endless body": (bodies) => (_, init) => {
    bodies.open++;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (bodies.open > 0) controller.enqueue(new Uint8Array([32]));
      },
      cancel: () => void bodies.open--,
    });
    const headers = { "content-type": acceptOf(init) };
    return Promise.resolve(new Response(body, { headers }));
  },
  "responds with a body that stalls": (bodies) => (_, init) => {
    bodies.open++;
    const body = new ReadableStream({ cancel: () => void bodies.open-- });
    const headers = { "content-type": acceptOf(init) };
    return Promise.resolve(new Response(body, { headers }));
  },
};

for (const [kind, replacement] of Object.entries(REPLACEMENTS)) {
  for (const [name, call] of Object.entries(CALLS)) {
    Deno.test(`${name} ends in time if globalThis.fetch was replaced by one that ${kind}`, async () => {
      const bodies = { open: 0 };
      const headers = { authorization: "token" };
      const before = makeClient("http://decapod.example", { headers });
      using _ = replace(globalThis, "fetch", replacement(bodies));
      const after = makeClient("http://decapod.example", { headers });
      for (const client of [before, after]) {
        const start = performance.now();
        // The timeout applies to each chunk of a stream.
        if (name !== "streamExecutionLog()" || !kind.includes("endless")) {
          await assertRejects(
            () => call(client, { timeout: 40 }),
            DecapodTimeoutError,
            "no response within 40 ms",
          );
        }
        const controller = new AbortController();
        const pending = call(client, { signal: controller.signal });
        setTimeout(() => controller.abort("enough"), 20);
        assertEquals(await pending.catch((reason) => reason), "enough");
        assertLess(performance.now() - start, 2000);
      }
      await new Promise((resolve) => setTimeout(resolve, 10)); // a last pull
      const { open } = bodies;
      bodies.open = 0;
      await new Promise((resolve) => setTimeout(resolve, 10));
      assertEquals(open, 0, "bodies that are still read");
    });
  }
}

Deno.test("timeout and signal hold if globalThis.fetch was replaced by one that passes no signal on", async () => {
  const parts = {
    head: "",
    body: http("200 OK", "", { "content-length": "9" }),
  };
  for (const [part, text] of Object.entries(parts)) {
    for (const name of ["getInfo()", "createCluster()"]) {
      const release = Promise.withResolvers<void>();
      using _end = { [Symbol.dispose]: () => release.resolve() };
      await using server = new RawServer(async (peer) => {
        await peer.request();
        await peer.send(text);
        await release.promise;
      });
      const { fetch } = globalThis;
      const inner: Promise<unknown>[] = [];
      using _ = replace(globalThis, "fetch", (input, init) => {
        const { signal: _, ...rest } = init ?? {};
        const response = fetch(input, rest);
        inner.push(response);
        return response;
      });
      const client = server.client({ headers: { authorization: "token" } });
      const call = CALLS[name];
      assert(call);
      await assertRejects(
        () => call(client, { timeout: 40 }),
        DecapodTimeoutError,
        "within 40 ms",
        `${name}, ${part}`,
      );
      const signal = AbortSignal.timeout(40);
      const reason = await call(client, { signal }).catch((error) => error);
      assertEquals(reason, signal.reason, `${name}, ${part}`);
      release.resolve();
      await server.settled();
      await Promise.allSettled(inner);
    }
  }
});

/** The errors of Node's fetch when its own limits end a request. */
const LIMITS: [code: string, message: string][] = [
  ["UND_ERR_HEADERS_TIMEOUT", "Headers Timeout Error"],
  ["UND_ERR_BODY_TIMEOUT", "Body Timeout Error"],
];

for (const [code, message] of LIMITS) {
  Deno.test(`fetch that rejects with ${code} is a timeout and is not retried`, async () => {
    for (const name of ["getInfo()", "createCluster()"]) {
      let attempts = 0;
      const cause = Object.assign(new Error(message), { code });
      const client = clientOf(() => {
        attempts++;
        return Promise.reject(new TypeError("fetch failed", { cause }));
      });
      const error = await assertRejects(
        () => Promise.resolve(CALLS[name]?.(client, {})),
        DecapodTimeoutError,
        "300 s",
      );
      assertEquals(error.outcomeUnknown, name === "createCluster()");
      assertEquals(attempts, 1);
    }
  });
}

Deno.test("fetch whose body ends at Node's own limit is a timeout and is not retried", async () => {
  let attempts = 0;
  const client = clientOf(() => {
    attempts++;
    const cause = Object.assign(new Error("Body Timeout Error"), {
      code: "UND_ERR_BODY_TIMEOUT",
    });
    const body = new ReadableStream({
      pull: (controller) =>
        controller.error(new TypeError("terminated", { cause })),
    });
    const headers = { "content-type": "application/json" };
    return Promise.resolve(new Response(body, { headers }));
  });
  await assertRejects(() => client.getInfo(), DecapodTimeoutError, "300 s");
  assertEquals(attempts, 1);
});

const headers = new Headers({ "content-type": "application/json" });
const logHeaders = new Headers({ "content-type": "text/plain" });

/** What mocks return, and what they lack. */
const POOR: [name: string, value: unknown, lacks: string][] = [
  ["nothing", undefined, "status"],
  ["null", null, "status"],
  ["a string", "{}", "status"],
  ["an empty object", {}, "status"],
  ["only json()", { json: () => INFO }, "status"],
  ["no headers", { ok: true, status: 200, json: () => INFO }, "headers"],
  [
    "headers of another kind",
    { ok: true, status: 200, headers: {} },
    "headers",
  ],
  ["text that is no function", { status: 200, headers, text: "{}" }, "text()"],
  ["no text()", { ok: true, status: 200, headers, json: () => INFO }, "text()"],
];

for (const [name, value, lacks] of POOR) {
  Deno.test(`fetch that returns ${name} is refused after one attempt`, async () => {
    for (const call of Object.values(CALLS)) {
      let attempts = 0;
      const client = clientOf(() => {
        attempts++;
        return Promise.resolve(untyped(value));
      });
      const error = await assertRejects(
        () => call(client, {}),
        DecapodResponseError,
        "the custom fetch did not return a Response",
      );
      assertStringIncludes(error.message, `lacks ${lacks}`);
      assertEquals(attempts, 1);
    }
  });
}

Deno.test("fetch that returns Response.error() failed on the network", async () => {
  const client = clientOf(() => Promise.resolve(Response.error()));
  await assertRejects(() => client.getInfo(), DecapodConnectionError);
});

Deno.test("fetch that returns one Response twice is refused", async () => {
  const response = Response.json({});
  const client = clientOf(() => Promise.resolve(response));
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
    body: { pipe() {}, on() {} },
    text: () => Promise.resolve(text),
  }),
};

for (const [name, methods] of Object.entries(READABLE)) {
  Deno.test(`fetch may return a response that has only ${name}`, async () => {
    const client = clientOf((url) =>
      Promise.resolve(untyped({
        ok: true,
        status: 200,
        ...url.includes("/log/")
          ? { headers: logHeaders, ...methods("one\ntwo") }
          : { headers, ...methods(JSON.stringify(INFO)) },
      }))
    );
    assertEquals(await client.getInfo(), INFO);
    assertEquals(await client.getExecutionLog("id"), "one\ntwo");
    assertEquals(
      await Array.fromAsync(client.streamExecutionLog("id")),
      ["one", "two"],
    );
    const failing = clientOf(() =>
      Promise.resolve(untyped({
        ok: false,
        status: 404,
        headers,
        ...methods('{"error":"NotFound","message":"Sorry"}'),
      }))
    );
    await assertRejects(
      () => failing.getInfo(),
      DecapodError,
      "404 NotFound: Sorry",
    );
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
    const rejecting = clientOf(() => Promise.reject(thrown), { retries: 0 });
    const throwing = clientOf(() => {
      throw thrown;
    }, { retries: 0 });
    for (const client of [rejecting, throwing]) {
      const error = await assertRejects(
        () => client.getInfo(),
        DecapodConnectionError,
        `GET http://decapod.example/v1/info/: the custom fetch failed: ${quoted}`,
      );
      if (!(thrown instanceof Error)) continue;
      assertNotStrictEquals(error.cause, thrown);
      assertInstanceOf(error.cause, Error);
      assertEquals(error.cause.message, thrown.message);
      assertEquals(error.cause.name, thrown.name);
    }
  });
}

Deno.test("fetch may return a response that is no promise", async () => {
  const client = clientOf(() => untyped(Response.json(INFO)));
  assertEquals(await client.getInfo(), INFO);
});

Deno.test("fetch that rejects too late changes nothing", async () => {
  const failed = Promise.withResolvers<Response>();
  const client = clientOf(() => failed.promise, { timeout: 1 });
  await assertRejects(() => client.getInfo(), DecapodTimeoutError);
  failed.reject(new Error("too late"));
  await failed.promise.catch(() => {});
});

Deno.test("fetch is called as the global one is", async () => {
  await using server = new StandInServer();
  const seen: { self: unknown; input: unknown; init: RequestInit }[] = [];
  const client = server.client({
    fetch(this: unknown, input: string, init: RequestInit) {
      seen.push({ self: this, input, init });
      return fetch(input, init);
    },
  });
  await client.createCluster("ceph");
  await client.getUserSelf();
  const [login, create, get] = seen;
  assert(login && create && get);
  assertEquals(seen.map(({ self }) => self), [undefined, undefined, undefined]);
  assertEquals(create.input, `${server.url}/v1/cluster/`);
  assertEquals([create.init.method, get.init.method], ["POST", "GET"]);
  assertEquals([create.init.body, get.init.body], [
    '{"name":"ceph"}',
    undefined,
  ]);
  assertEquals(create.init.redirect, "manual");
  assertInstanceOf(create.init.signal, AbortSignal);
  assertInstanceOf(create.init.headers, Headers);
  assertEquals(create.init.headers.get("authorization"), server.token);
});

Deno.test("headers that a replaced globalThis.fetch adds are not in the next attempt", async () => {
  const seen: (string | null)[] = [];
  const { fetch } = globalThis;
  await using server = new StandInServer({}, ({ headers }) => {
    seen.push(headers.get("baggage"));
    return new Response("", { status: seen.length < 3 ? 503 : 404 });
  });
  using _ = replace(globalThis, "fetch", (input, init) => {
    const headers: Record<string, string> = untyped(init?.headers);
    headers.baggage = [headers.baggage ?? [], "key=value"].flat().join();
    return fetch(input, init);
  });
  const client = server.client({ headers: { authorization: "token" } });
  await assertRejects(() => client.getInfo(), DecapodError, "404");
  assertEquals(seen, ["key=value", "key=value", "key=value"]);
});

Deno.test("DecapodAPIError is created in time from a large page in one chunk", async () => {
  const headers = { "content-type": "text/html" };
  const page = "<title ".repeat(150_000);
  const client = clientOf(() =>
    Promise.resolve(new Response(page, { status: 400, headers }))
  );
  const start = performance.now();
  await assertRejects(() => client.getInfo(), DecapodAPIError);
  assert(performance.now() - start < 1000);
});

Deno.test("getInfo() and createCluster() switch off Bun's own limit of 300 s", async () => {
  const limits: unknown[] = [];
  using _ = replace(globalThis, "fetch", (_input, init) => {
    limits.push(Reflect.get(init ?? {}, "timeout"));
    return Promise.resolve(Response.json(INFO));
  });
  const client = makeClient("http://decapod.example", {
    headers: { authorization: "token" },
  });
  await client.getInfo();
  Object.defineProperty(globalThis, "Bun", { configurable: true, value: {} });
  try {
    await client.getInfo();
    await client.createCluster("ceph");
  } finally {
    Reflect.deleteProperty(globalThis, "Bun");
  }
  assertEquals(limits, [undefined, false, false]);
});

Deno.test("createCluster() leaves the outcome unknown if its body fails as if nothing was sent", async () => {
  const refused = Object.assign(new TypeError("down"), {
    code: "ECONNREFUSED",
  });
  const client = makeClient("http://decapod.example", {
    headers: { authorization: "token" },
    fetch: () =>
      Promise.resolve(
        new Response(
          new ReadableStream({ pull: (body) => body.error(refused) }),
          { headers: { "content-type": "application/json" } },
        ),
      ),
  });
  const error = await assertRejects(
    () => client.createCluster("ceph"),
    DecapodConnectionError,
    "connection lost while reading the response",
  );
  assertEquals(error.outcomeUnknown, true);
});
