/** One call on a bad network: its result, its duration, and what it leaves open. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { delay } from "@std/async/delay";
import {
  type Attempt,
  DecapodAPIError,
  DecapodConnectionError,
  type DecapodError,
  DecapodResponseError,
  DecapodTimeoutError,
  VERSION,
} from "../mod.ts";
import { within } from "./support/gate.ts";
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
import {
  head,
  LOGGED_IN,
  responds,
  stalls,
  stubClient,
  typed,
} from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";

const INFO_TEXT = JSON.stringify(INFO);
const OK = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/** A text compressed by the platform. */
async function compressed(
  text: string,
  format: CompressionFormat,
): Promise<ArrayBuffer> {
  const stream = new Blob([text]).stream()
    .pipeThrough(new CompressionStream(format));
  return await new Response(stream).arrayBuffer();
}

/** A whole response, with these headers. */
const sends = (body: string, headers?: Record<string, string>) =>
  responds(http("200 OK", body, headers));

/** An HTML page. */
const page = (status: string) =>
  responds(
    http(status, "<html><head><title>502 Bad Gateway</title></head></html>", {
      "content-type": "text/html",
    }),
  );

/** The class of the error, a part of its message, and its status. */
type Problem = [
  Class: new (...args: never[]) => DecapodError,
  part?: string,
  code?: number,
];

const LATE: Problem = [DecapodTimeoutError, "no response within 250 ms"];
const LOST: Problem = [DecapodConnectionError, "connection lost"];
const NO_JSON: Problem = [
  DecapodResponseError,
  "not the expected JSON object: it is ",
];
const unexpected = (part: string): Problem => [DecapodResponseError, part];

/** What a server does, and how the call fails; not at all without a problem. */
type Fault = [
  name: string,
  talk: (peer: Peer) => Promise<void>,
  problem?: Problem,
];

const FAULTS: Fault[] = [
  ["accepts and never responds", stalls(), LATE],
  ["sends headers and then stalls", stalls(head(100), '{"time":'), LATE],
  [
    "sends the headers of an error and then stalls",
    stalls(head(100, "502 Bad Gateway"), '{"code":'),
    [DecapodTimeoutError],
  ],
  ["resets before it responds", (peer) => peer.firstByte(), LOST],
  ["closes before it responds", responds(), LOST],
  ["closes in the middle of the body", responds(head(100), '{"time":'), LOST],
  [
    "sends invalid chunks",
    responds(`${OK}transfer-encoding: chunked\r\n\r\nxyz\r\n{}\r\n`),
    [DecapodConnectionError],
  ],
  [
    "does not speak HTTP",
    responds("SSH-2.0-OpenSSH_9.2p1\r\n"),
    [DecapodConnectionError, "the server does not use HTTP"],
  ],
  ["sends cut JSON", sends(INFO_TEXT.slice(0, -10)), NO_JSON],
  ["sends an empty 200", sends(""), NO_JSON],
  ...["[]", '"text"', "null", "1", "{}}"].flatMap((text) =>
    [text, `\ufeff${text}`].map((body): Fault => [
      `sends ${JSON.stringify(body)}`,
      sends(body),
      NO_JSON,
    ])
  ),
  [
    "sends HTML with 200",
    page("200 OK"),
    unexpected("(status 200) is text/html instead of application/json"),
  ],
  [
    "sends a 200 without a type",
    responds("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    unexpected("is of an unknown type instead of application/json"),
  ],
  [
    "sends 204",
    responds("HTTP/1.1 204 No Content\r\n\r\n"),
    unexpected("(status 204) has no content"),
  ],
  [
    "sends 205",
    responds("HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n"),
    unexpected("(status 205) has no content"),
  ],
  [
    "sends 206",
    responds(http("206 Partial Content", INFO_TEXT)),
    unexpected("(status 206) is only a part"),
  ],
  ...[
    ...["https://decapod.example/v1/info/", "ftp://decapod.example/"],
    ...["http://127.0.0.1:1/", "/elsewhere/", "javascript:alert(1)"],
  ].map((location): Fault => [
    `redirects to ${location}`,
    responds(http("301 Moved Permanently", "", { location })),
    unexpected(`(status 301) is a redirect to ${location}, which would lose`),
  ]),
  ...[
    responds(http("500 Internal Server Error", '{"code":500,"err')),
    responds(head(100, "500 Internal Server Error"), '{"code":'),
  ].map((talk, index): Fault => [
    `breaks off the ${["JSON", "body"][index]} of a 500`,
    talk,
    [DecapodAPIError, "500 Internal Server Error", 500],
  ]),
  [
    "sends JSON with a charset",
    sends(INFO_TEXT, { "content-type": 'Application/JSON ; Charset="UTF-8"' }),
  ],
  [
    "sends JSON of another media type",
    sends(INFO_TEXT, { "content-type": "application/hal+json" }),
  ],
  ["sends JSON after a byte order mark", sends(`\ufeff${INFO_TEXT}`)],
  [
    "sends a gzipped body",
    async (peer) => {
      const body = new Uint8Array(await compressed(INFO_TEXT, "gzip"));
      const length = String(body.length);
      const more = { "content-encoding": "gzip", "content-length": length };
      await responds(http("200 OK", "", more), body)(peer);
    },
  ],
  ["sends a body until it closes", responds(`${OK}\r\n${INFO_TEXT}`)],
];

for (const [name, talk, problem] of FAULTS) {
  Deno.test(`getInfo() at a server that ${name}`, async () => {
    await using server = new RawServer(talk);
    const attempts: Attempt[] = [];
    const [Class, part = "", code] = problem ?? [];
    const client = server.client({
      retries: 0,
      onAttempt: (attempt) => attempts.push(attempt),
      ...(Class === DecapodTimeoutError && { timeout: 250 }),
    });
    const outcome = await within(client.getInfo().catch((error) => error));

    if (Class === undefined) assertEquals(outcome, INFO);
    else {
      assertInstanceOf(outcome, Class);
      assertStringIncludes(outcome.message, `GET ${server.url}/v1/`);
      assertStringIncludes(outcome.message, part);
      assertEquals(outcome.message.includes("\n"), false);
      assertEquals([outcome.method, outcome.outcomeUnknown], ["GET", false]);
      if (code !== undefined) assertEquals(Reflect.get(outcome, "code"), code);
      assertStrictEquals(attempts[0]?.error, outcome);
    }
    await server.settled(); // also those that wait until the client disconnects
    assertEquals(server.connections, 1);
    assertEquals(attempts.length, 1);
  });
}

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
  const client = server.client(LOGGED_IN);
  await client.getInfo();
  await client.getInfo();
  await client.createCluster("ceph");
  await client.deleteCluster("a");
  assertEquals(seen.map(([number]) => number), [1, 1, 2, 3]);
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
  const client = makeClient("http://decapod.example", LOGGED_IN);
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

Deno.test("timeout covers the login, and leaves no outcome unknown", async () => {
  await using server = new RawServer(stalls());
  const client = server.client({ timeout: 250 });
  const calls: (() => Promise<unknown>)[] = [
    () => client.getRoleSelf(),
    () => client.createCluster("ceph"),
    () => client.login(),
  ];
  for (const call of calls) {
    const error = await assertRejects(
      () => within(call()),
      DecapodTimeoutError,
      "no response within 250 ms",
    );
    assertStringIncludes(error.message, server.url);
    assertEquals(error.outcomeUnknown, false);
  }
  await server.settled();
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
    () => within(server.client({ timeout: 250 }).getInfo({ retries: 9 })),
    DecapodTimeoutError,
    "no response within 250 ms",
  );
  await server.settled();
  assertEquals(answered, 3);
});

Deno.test("timeout of the call replaces that of the client", async () => {
  const client = stubClient(async (_, { signal }) => {
    await delay(500, { signal: signal ?? undefined }); // or the call succeeds
    return Response.json(INFO);
  }, { timeout: 250 });
  await assertRejects(
    () => client.getInfo({ timeout: 20 }),
    DecapodTimeoutError,
    "no response within 20 ms",
  );
});

Deno.test("timeout may be a fraction or many days, for which AbortSignal.timeout() does not serve", async () => {
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  using _ = replace(AbortSignal, "timeout", (time) => {
    if (!Number.isInteger(time)) throw new RangeError("Node would reject it");
    if (time > 1e6) throw new RangeError("It would be kept for days");
    return timeout(time);
  });
  for (const timeout of [1234.5, 2 ** 31 - 1]) {
    const client = stubClient(() => Response.json(INFO), { timeout });
    assertEquals(await client.getInfo(), INFO);
  }
});

Deno.test("getInfo() rejects a body that is shorter than its length, even if fetch accepts it", async () => {
  const { length } = INFO_TEXT;
  const getInfo = (headers: Record<string, string>) =>
    stubClient(() => Response.json(INFO, { headers }), { retries: 0 })
      .getInfo();
  assertEquals(await getInfo({ "content-length": String(length) }), INFO);
  const longer = { "content-length": String(length + 10) };
  // The length is that of the compressed body.
  assertEquals(await getInfo({ ...longer, "content-encoding": "br" }), INFO);
  for (
    const headers of [longer, { ...longer, "content-encoding": "identity" }]
  ) {
    const { cause } = await assertRejects(
      () => getInfo(headers),
      DecapodConnectionError,
      "connection lost",
    );
    assertEquals(
      cause instanceof Error && cause.message,
      `connection closed after ${length} of ${length + 10} bytes`,
    );
  }
});

Deno.test("Client keeps the path of the base URL, without a trailing /v1", async () => {
  const prefixes: [kept: string, ...given: string[]][] = [
    ["", "", "/", "/v1", "/v1/", "//"],
    ["/proxy/decapod", "/proxy/decapod/", "/proxy/decapod/v1//"],
    ["/v1/decapod", "/v1/decapod"],
    ["/xv1", "/xv1"],
  ];
  await using server = new TestServer(() => Response.json(INFO));
  for (const [kept, ...given] of prefixes) {
    for (const path of given) {
      const client = makeClient(`${server.url}${path}`);
      assertEquals(client.url, `${server.url}${kept}`);
      await client.getInfo();
      assertEquals(server.exchanges.at(-1)?.path, `${kept}/v1/info/`);
    }
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
  for (const { duration } of attempts) assert(duration >= 0);
  const url = `${server.url}/v1/role/self/`;
  assertEquals(
    attempts.map(({ method, url, attempt, status, error }) => [
      ...[method, url, attempt, status],
      error instanceof DecapodAPIError ? error.code : error,
    ]),
    [
      ["POST", `${server.url}/v1/auth/`, 1, 200, undefined],
      ["GET", url, 1, 503, 503],
      ["GET", url, 2, 200, undefined],
    ],
  );
  assertEquals(attempts.map((one) => "error" in one), [false, true, false]);
});

const failure = new Error("of the hook");
const fail = () => {
  throw failure;
};

/** Hooks that fail, each in another way. */
const FAILING_HOOKS: Record<string, () => unknown> = {
  throws: fail,
  rejects: () => Promise.reject(failure),
  "rejects later": () => delay(1).then(fail),
  "returns a thenable that rejects": () => ({
    then: (_: unknown, reject: (error: unknown) => void) => reject(failure),
  }),
  "returns a thenable that throws": () => ({ then: fail }),
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
    await delay(5);
    assertEquals(unhandled.reasons, []);
  });
}

Deno.test("getExecutionLog() and getInfo() never return bytes that Deno does not decode", async () => {
  const encodings: [CompressionFormat, ...names: string[]][] = [
    ["deflate", "deflate", "DEFLATE", "zstd"],
    ["gzip", "x-gzip", "X-GZIP", "aws-chunked"],
  ];
  for (const [format, ...names] of encodings) {
    const body = await compressed(INFO_TEXT, format);
    for (const encoding of names) {
      await using server = new TestServer((_, { headers }) =>
        typed(headers.get("accept") ?? "", body, {
          headers: { "content-encoding": encoding },
        })
      );
      const client = server.client(LOGGED_IN);
      const calls = [
        () => client.getExecutionLog("id"),
        () => client.streamExecutionLog("id").next(),
        () => client.getInfo(),
      ];
      const part = `is encoded as "${encoding.toLowerCase()}"`;
      for (const call of calls) {
        await assertRejects(call, DecapodResponseError, part);
      }
      assertEquals(server.exchanges.length, calls.length);
    }
  }
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
