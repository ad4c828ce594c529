/** One call on a bad network: its result, its duration, and what it leaves open. */

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
  VERSION,
} from "../mod.ts";
import {
  fixedRandom,
  recordUnhandled,
  replace,
  without,
} from "./support/patch.ts";
import { http, type Peer, RawServer } from "./support/raw.ts";
import {
  apiError,
  INFO,
  makeClient,
  StandInServer,
  TestServer,
} from "./support/server.ts";
import { untyped } from "./support/untyped.ts";

const INFO_TEXT = JSON.stringify(INFO);
const HTML = "<html><head><title>502 Bad Gateway</title></head></html>";

/** The head of a response, with a body of this length to come. */
const head = (length: number, status = "200 OK") =>
  http(status, "", { "content-length": String(length) });

async function gzip(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A fault of the server, and what the caller gets. */
interface Fault {
  name: string;
  /** `arrived` resolves once the client has the head of the response. */
  talk(peer: Peer, arrived: Promise<void>): Promise<void>;
  call?: (client: V1Client) => PromiseLike<unknown>;
  timeout?: number;
  /** The error and a part of its message; none if the response is good. */
  error?: new (...args: never[]) => DecapodError;
  part?: string;
  code?: number;
}

/** Reads the request, responds and closes. */
const responds = (...parts: (string | Uint8Array)[]) => async (peer: Peer) => {
  await peer.request();
  await peer.send(...parts);
};

const FAULTS: Fault[] = [
  {
    name: "accepts and never responds",
    async talk(peer) {
      await peer.request();
      await peer.abandoned();
    },
    timeout: 250,
    error: DecapodTimeoutError,
    part: "no response within 250 ms",
  },
  {
    name: "sends headers and then stalls",
    async talk(peer) {
      await peer.request();
      await peer.send(head(100), '{"time":');
      await peer.abandoned();
    },
    timeout: 250,
    error: DecapodTimeoutError,
    part: "no response within 250 ms",
  },
  {
    name: "sends the headers of an error and then stalls",
    async talk(peer) {
      await peer.request();
      await peer.send(head(100, "502 Bad Gateway"), '{"code":');
      await peer.abandoned();
    },
    timeout: 250,
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
    timeout: 250,
    error: DecapodTimeoutError,
    part: "no response within 250 ms",
  },
  {
    name: "resets before it responds",
    async talk(peer) {
      await peer.firstByte();
    },
    error: DecapodConnectionError,
    part: "connection lost",
  },
  {
    name: "closes before it responds",
    async talk(peer) {
      await peer.request();
    },
    error: DecapodConnectionError,
    part: "connection lost",
  },
  {
    name: "resets in the middle of the body",
    async talk(peer, arrived) {
      await peer.firstByte();
      await peer.send(head(100), '{"time":');
      await arrived;
    },
    error: DecapodConnectionError,
    part: "connection lost",
  },
  {
    name: "closes in the middle of the body",
    talk: responds(head(100), '{"time":'),
    error: DecapodConnectionError,
    part: "connection lost",
  },
  {
    name: "leaves out the last chunk",
    talk: responds(
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" +
        "transfer-encoding: chunked\r\n\r\n" +
        `${INFO_TEXT.length.toString(16)}\r\n${INFO_TEXT}\r\n`,
    ),
    error: DecapodConnectionError,
    part: "connection lost",
  },
  {
    name: "sends invalid chunks",
    talk: responds(
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" +
        "transfer-encoding: chunked\r\n\r\nxyz\r\n{}\r\n",
    ),
    error: DecapodConnectionError,
  },
  {
    name: "declares a shorter length than it sends",
    talk: responds(
      http("200 OK", INFO_TEXT, { "content-length": "20" }),
    ),
    error: DecapodResponseError,
    part: "not the expected JSON object: it is ",
  },
  {
    name: "does not speak HTTP",
    talk: responds("SSH-2.0-OpenSSH_9.2p1\r\n"),
    error: DecapodConnectionError,
    part: "the server does not use HTTP",
  },
  {
    name: "sends cut JSON",
    talk: responds(http("200 OK", INFO_TEXT.slice(0, -10))),
    error: DecapodResponseError,
    part: "not the expected JSON object: it is ",
  },
  ...["[]", '"text"', "null", "1", "{}}"].map((text): Fault => ({
    name: `sends ${text}`,
    talk: responds(http("200 OK", text)),
    error: DecapodResponseError,
    part: "not the expected JSON object: it is ",
  })),
  {
    name: "sends an object that is not a page",
    call: (client) => client.getUsers({ headers: { authorization: "token" } }),
    talk: responds(http("200 OK", '{"items":{},"total":0}')),
    error: DecapodResponseError,
    part: "not the expected JSON object: it is of another shape",
  },
  {
    name: "sends a page without a total",
    call: (client) => client.getUsers({ headers: { authorization: "token" } }),
    talk: responds(http("200 OK", '{"items":[],"total":"0"}')),
    error: DecapodResponseError,
    part: "not the expected JSON object: it is of another shape",
  },
  {
    name: "sends HTML with 200",
    talk: responds(http("200 OK", HTML, { "content-type": "text/html" })),
    error: DecapodResponseError,
    part: "(status 200) is text/html instead of application/json",
  },
  {
    name: "sends HTML for a log",
    call: (client) =>
      client.getExecutionLog("id", { headers: { authorization: "token" } }),
    talk: responds(http("200 OK", HTML, { "content-type": "text/html" })),
    error: DecapodResponseError,
    part: "is text/html instead of text/plain",
  },
  {
    name: "sends HTML with 502",
    talk: responds(
      http("502 Bad Gateway", HTML, { "content-type": "text/html" }),
    ),
    error: DecapodAPIError,
    code: 502,
    part: "502 Bad Gateway",
  },
  {
    name: "sends cut JSON with 500",
    talk: responds(http("500 Internal Server Error", '{"code":500,"err')),
    error: DecapodAPIError,
    code: 500,
    part: "500 Internal Server Error",
  },
  {
    name: "breaks off the body of a 500",
    talk: responds(head(100, "500 Internal Server Error"), '{"code":'),
    error: DecapodAPIError,
    code: 500,
    part: "500 Internal Server Error",
  },
  {
    name: "sends a 404 without a body",
    talk: responds("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
    error: DecapodAPIError,
    code: 404,
    part: "404 Not Found",
  },
  {
    name: "sends 304",
    talk: responds("HTTP/1.1 304 Not Modified\r\n\r\n"),
    error: DecapodAPIError,
    code: 304,
  },
  {
    name: "sends an empty 200",
    talk: responds(http("200 OK", "")),
    error: DecapodResponseError,
    part: "not the expected JSON object: it is ",
  },
  {
    name: "sends a 200 without a type",
    talk: responds("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    error: DecapodResponseError,
    part: "is of an unknown type instead of application/json",
  },
  {
    name: "sends 204",
    talk: responds("HTTP/1.1 204 No Content\r\n\r\n"),
    error: DecapodResponseError,
    part: "(status 204) has no content",
  },
  ...[
    "https://decapod.example/v1/info/",
    "ftp://decapod.example/",
    "http://127.0.0.1:1/",
    "/elsewhere/",
    "javascript:alert(1)",
  ].map((location): Fault => ({
    name: `redirects to ${location}`,
    talk: responds(http("301 Moved Permanently", "", { location })),
    error: DecapodResponseError,
    part: `(status 301) is a redirect to ${location}, which would lose`,
  })),
  {
    name: "sends plain text as gzip",
    talk: responds(
      http("200 OK", "this is plain", { "content-encoding": "gzip" }),
    ),
    error: DecapodConnectionError,
  },
  {
    name: "sends JSON with a charset",
    talk: responds(
      http("200 OK", INFO_TEXT, {
        "content-type": 'Application/JSON ; Charset="UTF-8"',
      }),
    ),
  },
  {
    name: "sends JSON of another media type",
    talk: responds(
      http("200 OK", INFO_TEXT, { "content-type": "application/hal+json" }),
    ),
  },
  {
    name: "sends JSON after a byte order mark",
    talk: responds(http("200 OK", `\ufeff${INFO_TEXT}`)),
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
    name: "sends a body in tiny chunks",
    async talk(peer) {
      await peer.request();
      await peer.send(head(INFO_TEXT.length));
      for (const character of INFO_TEXT) await peer.send(character);
    },
  },
  {
    name: "sends a body until it closes",
    talk: responds(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n${INFO_TEXT}`,
    ),
  },
];

for (const fault of FAULTS) {
  const { name, talk, error: Class, part = "", code, timeout } = fault;
  Deno.test(`getInfo() at a server that ${name}`, async () => {
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
      assertStringIncludes(outcome.message, part);
      assertEquals(outcome.message.includes("\n"), false);
      assertEquals([outcome.method, outcome.outcomeUnknown], ["GET", false]);
      if (code !== undefined) {
        assertInstanceOf(outcome, DecapodAPIError);
        assertEquals(outcome.code, code);
      }
      assertStrictEquals(attempts[0]?.error, outcome);
    }
    await server.settled(); // also those that wait until the client disconnects
    assertEquals(server.connections, 1);
    assertEquals(attempts.length, 1);
  });
}

Deno.test("createCluster() says that the change may have been applied if the response is lost", async () => {
  for (const timeout of [undefined, 250]) {
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
      "; the change may have been applied, check before retrying",
    );
    assertEquals([error.method, error.outcomeUnknown], ["POST", true]);
    assertEquals(server.connections, 1);
  }
});

Deno.test("createCluster() and deleteCluster() use new connections, and bodies that any server can read", async () => {
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

Deno.test("createCluster() asks fetch for a new connection on other runtimes", async () => {
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

Deno.test("getServers() and putServer() work behind Decapod's nginx", async () => {
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
    "the proxy in front of Decapod accepts less at once",
  );
  assertEquals(error.code, 413);
  await assertRejects(
    () => makeClient(`${server.url}/ui`, { retries: 0 }).getInfo(),
    DecapodResponseError,
    "check that the URL is that of the Decapod API",
  );
});

Deno.test("timeout covers the login", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.abandoned();
  });
  const error = await assertRejects(
    () => server.client({ timeout: 250 }).getRoleSelf(),
    DecapodTimeoutError,
    "no response within 250 ms",
  );
  await server.settled();
  assertStringIncludes(error.message, server.url);
});

Deno.test("timeout covers all attempts together", async () => {
  using _ = fixedRandom(0);
  let answered = 0;
  await using server = new RawServer(async (peer) => {
    await peer.request();
    if (++answered < 3) await peer.send(http("503 Busy", ""));
    else await peer.abandoned();
  });
  await assertRejects(
    () => server.client({ timeout: 1000 }).getInfo({ retries: 9 }),
    DecapodTimeoutError,
    "no response within 1000 ms",
  );
  await server.settled();
  assertEquals(answered, 3);
});

Deno.test("timeout of the call replaces that of the client", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.abandoned();
  });
  const client = server.client({ timeout: 60_000 });
  await assertRejects(
    () => client.getInfo({ timeout: 20 }),
    DecapodTimeoutError,
    "no response within 20 ms",
  );
});

Deno.test("timeout may be a fraction, which AbortSignal.timeout() of Node rejects", async () => {
  await using server = new StandInServer();
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  using _ = replace(AbortSignal, "timeout", (time) => {
    if (!Number.isInteger(time)) throw new RangeError("It must be an integer");
    return timeout(time);
  });
  const info = await server.client({ timeout: 1234.5 }).getInfo();
  assertEquals(typeof info.version, "string");
});

Deno.test("timeout of many days does not use AbortSignal.timeout(), which would keep its timer", async () => {
  await using server = new StandInServer();
  using _ = replace(AbortSignal, "timeout", () => {
    throw new Error("It would be kept for days");
  });
  const info = await server.client({ timeout: 2 ** 31 - 1 }).getInfo();
  assertEquals(typeof info.version, "string");
});

Deno.test("getInfo() rejects a body that is shorter than its length, even if fetch accepts it", async () => {
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
    "connection lost",
  );
  // The length is that of the compressed body.
  const headers = { "content-length": `${length}0`, "content-encoding": "br" };
  assertEquals(await answer(headers).getInfo(), INFO);
});

Deno.test("Client keeps the path of the base URL, without a trailing /v1", async () => {
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

Deno.test("onAttempt is called for every attempt", async () => {
  using _ = fixedRandom(0);
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

/** Hooks that fail, each in another way. */
const FAILING_HOOKS: Record<string, () => unknown> = {
  throws: () => {
    throw new Error("of the hook");
  },
  rejects: () => Promise.reject(new Error("of the hook")),
  "rejects later": async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    throw new Error("of the hook");
  },
  "returns a thenable that rejects": () => ({
    then: (_: unknown, reject: (error: unknown) => void) =>
      reject(new Error("of the hook")),
  }),
  "returns a thenable that throws": () => ({
    then() {
      throw new Error("of the hook");
    },
  }),
  "never settles": () => new Promise(() => {}),
};

for (const [name, hook] of Object.entries(FAILING_HOOKS)) {
  Deno.test(`onAttempt that ${name} changes nothing`, async () => {
    using unhandled = recordUnhandled();
    await using server = new StandInServer();
    const client = server.client({ onAttempt: untyped(hook) });
    assertEquals((await client.getUserSelf()).data.login, "root");
    await assertRejects(() => client.getUser("id"), DecapodAPIError, "404");
    const { id } = server.standIn.seedExecution({ duration: 1 });
    server.clock.advance(5000);
    await Array.fromAsync(client.streamExecutionLog(String(id)));
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(unhandled.reasons, []);
  });
}

/** Encodings that Deno does not decode. */
const ENCODINGS: CompressionFormat[] = ["deflate", "gzip"];

for (const format of ENCODINGS) {
  Deno.test(`getExecutionLog() and getInfo() never return compressed bytes (${format})`, async () => {
    const name = format === "gzip" ? "x-gzip" : format;
    const names = [name, name.toUpperCase(), "zstd", "aws-chunked"];
    const bodies = { log: "one\ntwo\n", info: INFO_TEXT };
    for (const encoding of names) {
      await using server = new TestServer(async (_, { path }) => {
        const isLog = path.endsWith("/log/");
        const text = isLog ? bodies.log : bodies.info;
        const stream = new Blob([text]).stream()
          .pipeThrough(new CompressionStream(format));
        const body = await new Response(stream).arrayBuffer();
        const type = isLog ? "text/plain" : "application/json";
        const headers = { "content-encoding": encoding, "content-type": type };
        return new Response(body, { headers });
      });
      const client = server.client({ headers: { authorization: "token" } });
      const calls = [
        () => client.getExecutionLog("id"),
        () => Array.fromAsync(client.streamExecutionLog("id")),
        () => client.getInfo(),
      ];
      for (const call of calls) {
        await assertRejects(
          call,
          DecapodResponseError,
          `is encoded as "${encoding.toLowerCase()}"`,
        );
      }
      assertEquals(server.exchanges.length, calls.length);
    }
  });
}

Deno.test("getExecutionLog() asks for an uncompressed log", async () => {
  await using server = new TestServer(() =>
    new Response("one\n", { headers: { "content-type": "text/plain" } })
  );
  const client = server.client({ headers: { authorization: "token" } });
  await client.getExecutionLog("id");
  await Array.fromAsync(client.streamExecutionLog("id"));
  for (const { headers } of server.exchanges) {
    assertEquals(headers.get("accept-encoding"), "identity");
  }
});

Deno.test("getInfo() rejects JSON that is no object after one attempt, also after a byte order mark", async () => {
  for (
    const text of ["[]", "\ufeff[]", '\ufeff"text"', "\ufeffnull", "\ufeff"]
  ) {
    await using server = new RawServer(async (peer) => {
      await peer.request();
      await peer.send(http("200 OK", text));
    });
    await assertRejects(
      () => server.client().getInfo(),
      DecapodResponseError,
      "not the expected JSON object",
    );
    assertEquals(server.connections, 1);
  }
});

Deno.test("getExecutionLog() names streamExecutionLog() if the log is longer than a string can be", async () => {
  let attempts = 0;
  const client = makeClient("http://decapod.example", {
    headers: { authorization: "token" },
    fetch: () => {
      attempts++;
      const headers = { "content-type": "text/plain" };
      return Promise.resolve({
        ok: true,
        status: 200,
        statusText: "OK",
        text: () => Promise.reject(new RangeError("Invalid string length")),
        headers: new Headers(headers),
        arrayBuffer: () => Promise.resolve(new ArrayBuffer(2 ** 29)),
      });
    },
  });
  await assertRejects(
    () => client.getExecutionLog("id"),
    DecapodResponseError,
    "(use streamExecutionLog)",
  );
  assertEquals(attempts, 1);
});

Deno.test("getInfo() sends a User-Agent with VERSION, which headers can replace", async () => {
  await using server = new TestServer(() => Response.json(INFO));
  const client = server.client();
  await client.getInfo();
  await client.getInfo({ headers: { "User-Agent": "own/1" } });
  const agents = server.exchanges.map(({ headers }) =>
    headers.get("user-agent")
  );
  const { deno } = Deno.version;
  assertEquals(agents, [`decapodlib/${VERSION} Deno/${deno}`, "own/1"]);
});

Deno.test("createCluster() leaves no outcome unknown if its login takes too long", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.abandoned();
  });
  const error = await assertRejects(
    () => server.client().createCluster("ceph", { timeout: 250 }),
    DecapodTimeoutError,
    "no response within 250 ms",
  );
  assertEquals([error.method, error.outcomeUnknown], ["POST", false]);
});
