/** One call on a bad network: what comes of it, when, and what is left open. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  type Attempt,
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  DecapodResponseError,
  DecapodTimeoutError,
  type V1Client,
} from "../mod.ts";
import { chance, replace, without } from "./support/patch.ts";
import { http, type Peer, RawServer } from "./support/raw.ts";
import {
  apiError,
  INFO,
  makeClient,
  StandInServer,
  TestServer,
} from "./support/server.ts";

const INFO_TEXT = JSON.stringify(INFO);
const HTML = "<html><head><title>502 Bad Gateway</title></head></html>";

/** The head of an answer, with a body of this length to come. */
const head = (length: number, status = "200 OK") =>
  http(status, "", { "content-length": String(length) });

async function gzip(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** What a server does to a call, and what the caller sees of it. */
interface Fault {
  name: string;
  /** `arrived` is there once the client has the head of the answer. */
  talk(peer: Peer, arrived: Promise<void>): Promise<void>;
  call?: (client: V1Client) => PromiseLike<unknown>;
  timeout?: number;
  /** The error, and what its message says; none if the answer is good. */
  error?: new (...args: never[]) => DecapodError;
  says?: string;
  code?: number;
}

/** Reads the request, answers it, and waits until the client hangs up. */
const answers = (...parts: (string | Uint8Array)[]) => async (peer: Peer) => {
  await peer.request();
  await peer.send(...parts);
};

const FAULTS: Fault[] = [
  {
    name: "accepts and never answers",
    async talk(peer) {
      await peer.request();
      await peer.abandoned();
    },
    timeout: 50,
    error: DecapodTimeoutError,
    says: "no answer within 50 ms",
  },
  {
    name: "sends headers and then stalls",
    async talk(peer) {
      await peer.request();
      await peer.send(head(100), '{"time":');
      await peer.abandoned();
    },
    timeout: 50,
    error: DecapodTimeoutError,
    says: "no answer within 50 ms",
  },
  {
    name: "sends the headers of an error and then stalls",
    async talk(peer) {
      await peer.request();
      await peer.send(head(100, "502 Bad Gateway"), '{"code":');
      await peer.abandoned();
    },
    timeout: 50,
    error: DecapodTimeoutError,
  },
  {
    name: "sends a body without an end",
    async talk(peer) {
      await peer.request();
      await peer.send(head(1_000_000_000));
      const kilobyte = " ".repeat(1024);
      while (await peer.send(kilobyte).then(() => true, () => false));
    },
    timeout: 80,
    error: DecapodTimeoutError,
    says: "no answer within 80 ms",
  },
  {
    name: "resets before it answers",
    async talk(peer) {
      await peer.firstByte();
    },
    error: DecapodConnectionError,
    says: "the connection broke off",
  },
  {
    name: "closes before it answers",
    async talk(peer) {
      await peer.request();
    },
    error: DecapodConnectionError,
    says: "the connection broke off",
  },
  {
    name: "resets in the middle of the body",
    async talk(peer, arrived) {
      await peer.firstByte();
      await peer.send(head(100), '{"time":');
      await arrived;
    },
    error: DecapodConnectionError,
    says: "the connection broke off",
  },
  {
    name: "closes in the middle of the body",
    talk: answers(head(100), '{"time":'),
    error: DecapodConnectionError,
    says: "the connection broke off",
  },
  {
    name: "leaves out the last chunk",
    talk: answers(
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" +
        "transfer-encoding: chunked\r\n\r\n" +
        `${INFO_TEXT.length.toString(16)}\r\n${INFO_TEXT}\r\n`,
    ),
    error: DecapodConnectionError,
    says: "the connection broke off",
  },
  {
    name: "sends chunks that are none",
    talk: answers(
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" +
        "transfer-encoding: chunked\r\n\r\nxyz\r\n{}\r\n",
    ),
    error: DecapodConnectionError,
  },
  {
    name: "says a shorter length than it sends",
    talk: answers(
      http("200 OK", INFO_TEXT, { "content-length": "20" }),
    ),
    error: DecapodResponseError,
    says: "not a JSON object",
  },
  {
    name: "speaks something else",
    talk: answers("SSH-2.0-OpenSSH_9.2p1\r\n"),
    error: DecapodConnectionError,
    says: "no HTTP is spoken there",
  },
  {
    name: "sends cut JSON",
    talk: answers(http("200 OK", INFO_TEXT.slice(0, -10))),
    error: DecapodResponseError,
    says: "not a JSON object",
  },
  ...["[]", '"text"', "null", "1", "{}}"].map((text): Fault => ({
    name: `sends ${text}`,
    talk: answers(http("200 OK", text)),
    error: DecapodResponseError,
    says: "not a JSON object",
  })),
  {
    name: "sends something else than a page",
    call: (client) => client.getUsers({ headers: { authorization: "token" } }),
    talk: answers(http("200 OK", '{"items":{},"total":0}')),
    error: DecapodResponseError,
    says: "not a JSON object as Decapod gives it here",
  },
  {
    name: "sends a page without a total",
    call: (client) => client.getUsers({ headers: { authorization: "token" } }),
    talk: answers(http("200 OK", '{"items":[],"total":"0"}')),
    error: DecapodResponseError,
    says: "not a JSON object as Decapod gives it here",
  },
  {
    name: "sends HTML with 200",
    talk: answers(http("200 OK", HTML, { "content-type": "text/html" })),
    error: DecapodResponseError,
    says: "(status 200) is text/html instead of application/json",
  },
  {
    name: "sends HTML for a log",
    call: (client) =>
      client.getExecutionLog("id", { headers: { authorization: "token" } }),
    talk: answers(http("200 OK", HTML, { "content-type": "text/html" })),
    error: DecapodResponseError,
    says: "is text/html instead of text/plain",
  },
  {
    name: "sends HTML with 502",
    talk: answers(
      http("502 Bad Gateway", HTML, { "content-type": "text/html" }),
    ),
    error: DecapodAPIError,
    code: 502,
    says: "502 Bad Gateway",
  },
  {
    name: "sends cut JSON with 500",
    talk: answers(http("500 Internal Server Error", '{"code":500,"err')),
    error: DecapodAPIError,
    code: 500,
    says: "500 Internal Server Error",
  },
  {
    name: "breaks off the body of a 500",
    talk: answers(head(100, "500 Internal Server Error"), '{"code":'),
    error: DecapodAPIError,
    code: 500,
    says: "500 Internal Server Error",
  },
  {
    name: "sends a 404 without a body",
    talk: answers("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
    error: DecapodAPIError,
    code: 404,
    says: "404 Not Found",
  },
  {
    name: "sends 304",
    talk: answers("HTTP/1.1 304 Not Modified\r\n\r\n"),
    error: DecapodAPIError,
    code: 304,
  },
  {
    name: "sends an empty 200",
    talk: answers(http("200 OK", "")),
    error: DecapodResponseError,
    says: "not a JSON object",
  },
  {
    name: "sends a 200 without a type",
    talk: answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    error: DecapodResponseError,
    says: "no content type instead of application/json",
  },
  {
    name: "sends 204",
    talk: answers("HTTP/1.1 204 No Content\r\n\r\n"),
    error: DecapodResponseError,
    says: "(status 204)",
  },
  ...[
    "https://decapod.example/v1/info/",
    "ftp://decapod.example/",
    "http://127.0.0.1:1/",
    "/elsewhere/",
    "javascript:alert(1)",
  ].map((location): Fault => ({
    name: `redirects to ${location}`,
    talk: answers(http("301 Moved Permanently", "", { location })),
    error: DecapodResponseError,
    says: `(status 301) is a redirect to ${location}, which would lose`,
  })),
  {
    name: "sends gzip that is none",
    talk: answers(
      http("200 OK", "this is plain", { "content-encoding": "gzip" }),
    ),
    error: DecapodConnectionError,
  },
  {
    name: "sends JSON with a charset",
    talk: answers(
      http("200 OK", INFO_TEXT, {
        "content-type": 'Application/JSON ; Charset="UTF-8"',
      }),
    ),
  },
  {
    name: "sends JSON of another name",
    talk: answers(
      http("200 OK", INFO_TEXT, { "content-type": "application/hal+json" }),
    ),
  },
  {
    name: "sends JSON after a byte order mark",
    talk: answers(http("200 OK", `\ufeff${INFO_TEXT}`)),
  },
  {
    name: "sends a gzipped body",
    async talk(peer) {
      const body = await gzip(INFO_TEXT);
      await peer.request();
      const length = String(body.length);
      const more = { "content-encoding": "gzip", "content-length": length };
      await peer.send(http("200 OK", "", more), body);
    },
  },
  {
    name: "sends a body in tiny pieces",
    async talk(peer) {
      await peer.request();
      await peer.send(head(INFO_TEXT.length));
      for (const character of INFO_TEXT) await peer.send(character);
    },
  },
  {
    name: "sends a body until it closes",
    talk: answers(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n${INFO_TEXT}`,
    ),
  },
];

for (const fault of FAULTS) {
  const { name, talk, error: Class, says = "", code, timeout } = fault;
  Deno.test(`a server that ${name}`, async () => {
    const arrived = Promise.withResolvers<void>();
    await using server = new RawServer((peer) => talk(peer, arrived.promise));
    const attempts: Attempt[] = [];
    const client = server.client({
      retries: 0,
      onAttempt: (attempt) => attempts.push(attempt),
      async fetch(url, init) {
        const response = await fetch(url, init);
        arrived.resolve();
        return response;
      },
      ...(timeout !== undefined && { timeout }),
    });
    const call = fault.call ?? ((client) => client.getInfo());
    const start = performance.now();
    const outcome = await Promise.resolve(call(client)).catch((error) => error);
    assertLess(performance.now() - start, 5000);

    if (Class === undefined) assertEquals(outcome, INFO);
    else {
      assertInstanceOf(outcome, Class);
      assertStringIncludes(outcome.message, `GET ${server.url}/v1/`);
      assertStringIncludes(outcome.message, says);
      assertEquals(outcome.message.includes("\n"), false);
      assertEquals([outcome.method, outcome.outcomeUnknown], ["GET", false]);
      if (code !== undefined) {
        assertInstanceOf(outcome, DecapodAPIError);
        assertEquals(outcome.code, code);
      }
      assertStrictEquals(attempts[0]?.error, outcome);
    }
    await server.settled(); // whoever waits for the client to go has seen it go
    assertEquals(server.connections, 1);
    assertEquals(attempts.length, 1);
  });
}

Deno.test("nobody there: the request is known not to be sent", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}`;
  listener.close();
  const client = makeClient(url, { headers: { authorization: "token" } });
  const error = await assertRejects(
    () => client.createCluster("ceph"),
    DecapodConnectionError,
    `POST ${url}/v1/cluster/: connection refused`,
  );
  assertEquals(error.outcomeUnknown, false);
  assertInstanceOf(error.cause, Error);
  assertStrictEquals(error.exception, error.cause);
});

Deno.test("a broken POST says that it may have taken effect", async () => {
  for (const timeout of [undefined, 50]) {
    await using server = new RawServer(async (peer) => {
      await peer.request();
      if (timeout !== undefined) await peer.abandoned();
    });
    const client = server.client({
      headers: { authorization: "token" },
      ...(timeout !== undefined && { timeout }),
    });
    const error = await assertRejects(
      () => client.createCluster("ceph"),
      DecapodError,
      "it may have taken effect all the same, look before sending it again",
    );
    assertEquals([error.method, error.outcomeUnknown], ["POST", true]);
    assertEquals(server.connections, 1);
  }
});

Deno.test("changes go out on new connections, as the plainest server reads them", async () => {
  const seen: [connection: number, request: string][] = [];
  await using server = new RawServer(async (peer, number) => {
    for (;;) {
      const request = await peer.request();
      if (request === "") return; // the client has gone
      seen.push([number, request]);
      await peer.send(http("200 OK", "{}"));
    }
  });
  const client = server.client({ headers: { authorization: "own" } });
  await client.getInfo();
  await client.getInfo();
  await client.createCluster("ceph");
  await client.deleteCluster("a");
  const connections = seen.map(([number]) => number);
  assertEquals(connections, [1, 1, 2, 3]);
  const [, , post = "", bare = ""] = seen.map(([, request]) => request);
  assert(post.endsWith('\r\n\r\n{"name":"ceph"}'), post);
  assert(/^content-length: 15\r$/im.test(post), post);
  assert(bare.endsWith("\r\n\r\n"), bare);
  for (const request of [post, bare]) {
    assert(!/^transfer-encoding/im.test(request), request);
  }
  assert(!/^content-type/im.test(bare), bare);
});

Deno.test("elsewhere fetch is asked for a new connection for each change", async () => {
  const asked: [method?: string, keepalive?: boolean][] = [];
  using _deno = without(Deno, "createHttpClient");
  using _fetch = replace(globalThis, "fetch", (_, init) => {
    asked.push([init?.method, init?.keepalive]);
    return Promise.resolve(Response.json({}));
  });
  const headers = { authorization: "own" };
  const client = makeClient("http://decapod", { headers });
  await client.getInfo();
  await client.createCluster("ceph");
  await client.deleteCluster("a");
  // Without a method fetch does a GET, and the faster for it.
  assertEquals(asked, [
    [undefined, undefined],
    ["POST", false],
    ["DELETE", false],
  ]);
});

Deno.test("an answer behind Decapod's nginx comes through", async () => {
  await using server = new StandInServer({ behindNginx: true, servers: 40 });
  const client = server.client();
  const { items } = await client.getServers({ all: true });
  assertEquals(items.length, 40);
  const [node] = items;
  assert(node);
  const facts = { ...node.data.facts, big: "x".repeat(1024 * 1024) };
  const error = await assertRejects(
    () => client.putServer({ ...node, data: { ...node.data, facts } }),
    DecapodAPIError,
    "the proxy in front of Decapod takes less at once",
  );
  assertEquals(error.code, 413);
  await assertRejects(
    () => makeClient(`${server.url}/ui`, { retries: 0 }).getInfo(),
    DecapodResponseError,
    "check that the URL is that of the Decapod API",
  );
});

Deno.test("the deadline covers the login", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.abandoned();
  });
  const error = await assertRejects(
    () => server.client({ timeout: 50 }).getRoleSelf(),
    DecapodTimeoutError,
    "no answer within 50 ms",
  );
  await server.settled();
  assertStringIncludes(error.message, server.url);
});

Deno.test("the deadline covers all attempts together", async () => {
  using _ = chance(0);
  let answered = 0;
  await using server = new RawServer(async (peer) => {
    await peer.request();
    if (++answered < 3) await peer.send(http("503 Busy", ""));
    else await peer.abandoned();
  });
  await assertRejects(
    () => server.client({ timeout: 1000 }).getInfo({ retries: 9 }),
    DecapodTimeoutError,
    "no answer within 1000 ms",
  );
  await server.settled();
  assertEquals(answered, 3);
});

Deno.test("a call's own timeout counts more than the client's", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.abandoned();
  });
  const client = server.client({ timeout: 60_000 });
  await assertRejects(
    () => client.getInfo({ timeout: 20 }),
    DecapodTimeoutError,
    "no answer within 20 ms",
  );
});

Deno.test("a timeout may have a part of a millisecond, as Node's signals have not", async () => {
  await using server = new StandInServer();
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  using _ = replace(AbortSignal, "timeout", (time) => {
    if (!Number.isInteger(time)) throw new RangeError("It must be an integer");
    return timeout(time);
  });
  const info = await server.client({ timeout: 1234.5 }).getInfo();
  assertEquals(typeof info.version, "string");
});

Deno.test("a long timeout leaves no timer of the platform's behind", async () => {
  await using server = new StandInServer();
  using _ = replace(AbortSignal, "timeout", () => {
    throw new Error("It would be kept for days");
  });
  const info = await server.client({ timeout: 2 ** 31 - 1 }).getInfo();
  assertEquals(typeof info.version, "string");
});

Deno.test("a fetch that fails too late is nobody's business", async () => {
  const failed = Promise.withResolvers<Response>();
  const client = makeClient("http://decapod.example", {
    fetch: () => failed.promise,
    timeout: 1,
  });
  await assertRejects(() => client.getInfo(), DecapodTimeoutError);
  failed.reject(new Error("too late"));
  await failed.promise.catch(() => {});
});

Deno.test("an injected fetch is called as the platform's is", async () => {
  await using server = new StandInServer();
  const seen: { self: unknown; input: unknown; init: RequestInit }[] = [];
  const client = server.client({
    fetch(this: unknown, input: string, init: RequestInit) {
      seen.push({ self: this, input, init });
      return fetch(input, init);
    },
  });
  await client.createCluster("ceph");
  const [login, create] = seen;
  assert(login && create);
  assertEquals([login.self, create.self], [undefined, undefined]);
  assertStrictEquals(create.input, `${server.url}/v1/cluster/`);
  assertEquals(create.init.method, "POST");
  assertEquals(create.init.body, '{"name":"ceph"}');
  assertEquals(create.init.redirect, "manual");
  assertInstanceOf(create.init.signal, AbortSignal);
  assertEquals(
    new Headers(create.init.headers).get("authorization"),
    server.token,
  );
});

Deno.test("a body shorter than its length broke off, if fetch says so or not", async () => {
  const answer = (headers: HeadersInit) =>
    makeClient("http://decapod", {
      retries: 0,
      fetch: () => Promise.resolve(Response.json(INFO, { headers })),
    });
  const length = String(INFO_TEXT.length);
  assertEquals(
    await answer({ "content-length": length }).getInfo(),
    INFO,
  );
  await assertRejects(
    () => answer({ "content-length": `${length}0` }).getInfo(),
    DecapodConnectionError,
    "the connection broke off",
  );
  // The length is that of what was sent, before it was unpacked.
  const headers = { "content-length": `${length}0`, "content-encoding": "br" };
  assertEquals(await answer(headers).getInfo(), INFO);
});

Deno.test("a fetch that throws at once is a failed fetch", async () => {
  const cause = new TypeError("made of stone");
  const client = makeClient("http://decapod.example", {
    retries: 0,
    fetch() {
      throw cause;
    },
  });
  const error = await assertRejects(
    () => client.getInfo(),
    DecapodConnectionError,
    "GET http://decapod.example/v1/info/: the network failed: made of stone",
  );
  assertStrictEquals(error.cause, cause);
});

Deno.test("an injected fetch may give the answer itself, no promise", async () => {
  const options: object = { fetch: () => Response.json(INFO) };
  const client = makeClient("http://decapod.example", options);
  assertEquals(await client.getInfo(), INFO);
});

Deno.test("headers of client and call go along, the call's first", async () => {
  await using server = new StandInServer();
  const client = server.client({
    headers: new Headers({ "x-one": "client", "x-two": "client" }),
  });
  await client.createCluster("ceph", {
    headers: { "X-Two": "call", "content-type": "text/plain", accept: "a/b" },
  });
  const [login, create] = server.exchanges;
  assertEquals(login?.headers.get("x-two"), "client");
  const names = ["x-one", "x-two", "content-type", "accept"];
  assertEquals(names.map((name) => create?.headers.get(name)), [
    "client",
    "call",
    "application/json", // the body is what it is
    "a/b",
  ]);
});

Deno.test("a base URL is kept, with or without /v1 at its end", async () => {
  const prefixes = {
    "": "",
    "/": "",
    "/v1": "",
    "/v1/": "",
    "//": "",
    "/proxy/decapod": "/proxy/decapod",
    "/proxy/decapod/": "/proxy/decapod",
    "/proxy/decapod/v1//": "/proxy/decapod",
    "/v1/decapod": "/v1/decapod",
    "/xv1": "/xv1",
  };
  await using server = new TestServer(() => Response.json(INFO));
  for (const [given, kept] of Object.entries(prefixes)) {
    const client = makeClient(`${server.url}${given}`);
    assertEquals(client.url, `${server.url}${kept}`);
    await client.getInfo();
    assertEquals(server.exchanges.at(-1)?.path, `${kept}/v1/info/`);
  }
});

Deno.test("onAttempt is told of every attempt", async () => {
  using _ = chance(0);
  let count = 0;
  await using server = new StandInServer(
    {},
    ({ path }) =>
      path === "/v1/role/self/" && ++count < 2
        ? apiError(503, "Busy", "Later")
        : undefined,
  );
  const attempts: Attempt[] = [];
  const client = server.client({ onAttempt: (one) => attempts.push(one) });
  await client.getRoleSelf();
  const url = `${server.url}/v1/role/self/`;
  const [login, refused, answered, ...more] = attempts;
  assertEquals(more, []);
  assertEquals(
    [login?.method, login?.url, login?.attempt, login?.status],
    ["POST", `${server.url}/v1/auth/`, 1, 200],
  );
  assertEquals(
    [refused?.method, refused?.url, refused?.attempt, refused?.status],
    ["GET", url, 1, 503],
  );
  assertInstanceOf(refused?.error, DecapodAPIError);
  assertEquals([answered?.attempt, answered?.status], [2, 200]);
  assert(answered && !("error" in answered));
  for (const { duration } of attempts) assert(duration >= 0);
});

/** The first thing that an iteration gives. */
function first(items: AsyncIterable<unknown>): Promise<unknown> {
  return items[Symbol.asyncIterator]().next();
}

Deno.test("what onAttempt throws is the caller's, unchanged", async () => {
  await using server = new StandInServer();
  const thrown = new Error("from the hook");
  const client = server.client({
    headers: { authorization: "token" },
    onAttempt() {
      throw thrown;
    },
  });
  const calls = [
    () => client.getInfo(),
    () => client.getUser("id"),
    () => first(client.streamExecutionLog("id")),
  ];
  for (const call of calls) {
    assertStrictEquals(await assertRejects(call), thrown);
  }
});
