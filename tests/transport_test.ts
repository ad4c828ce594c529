/** One call on a bad network or with a signal: its result, and what it leaves. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { delay } from "@std/async/delay";
import { deflateSync, gzipSync } from "node:zlib";
import {
  type Attempt,
  DecapodAPIError,
  DecapodConnectionError,
  type DecapodError,
  DecapodResponseError,
  DecapodTimeoutError,
  V1Client,
  VERSION,
} from "../mod.ts";
import { OPERATIONS } from "./operations.ts";
import {
  CountedSignal,
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
import { gate, inTime } from "./support/time.ts";
import { untyped } from "./support/untyped.ts";
import { openWorld } from "./support/world.ts";

const INFO_TEXT = JSON.stringify(INFO);
const OK = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/** A whole response, with these headers. */
const sends = (body: string, headers?: Record<string, string>) =>
  responds(http("200 OK", body, headers));

const LOCATIONS = [
  "ftp://decapod.example/",
  "/elsewhere/",
  "javascript:alert(1)",
];

type ErrorClass = new (...args: never[]) => DecapodError;

/** What a server does. */
type Talks = Record<string, (peer: Peer) => Promise<void>>;

/** What makes a call fail, by the class and a part of the error. */
const FAULTS: [ErrorClass, Record<string, Talks>][] = [
  [DecapodTimeoutError, {
    "no response within 250 ms": {
      "accepts and never responds": stalls(),
      "sends the head of an error and then stalls": stalls(head(100, "502 No")),
    },
  }],
  [DecapodConnectionError, {
    "connection lost": {
      "resets before it responds": (peer) => peer.firstByte(),
      "sends invalid chunks": responds(
        `${OK}transfer-encoding: chunked\r\n\r\nxyz\r\n{}\r\n`,
      ),
    },
    "the server does not use HTTP": {
      "does not speak HTTP": responds("SSH-2.0-OpenSSH_9.2p1\r\n"),
    },
  }],
  [DecapodResponseError, {
    "not the expected JSON object: it is ": Object.fromEntries(
      ["", "[]", '"text"', "null", "1", "{}}", INFO_TEXT.slice(0, -10)]
        .flatMap((text) => [text, `\ufeff${text}`])
        .map((body) => [`sends ${JSON.stringify(body)}`, sends(body)]),
    ),
    "(status 200) is text/html instead of application/json": {
      "sends HTML": sends("<html>", { "content-type": "text/html" }),
    },
    "is of an unknown type instead of application/json": {
      "sends no type": responds("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    },
    "(status 204) has no content": {
      "sends 204": responds("HTTP/1.1 204 No Content\r\n\r\n"),
    },
    "(status 205) has no content": {
      "sends 205": responds("HTTP/1.1 205 No\r\ncontent-length: 0\r\n\r\n"),
    },
    "(status 206) is only a part": {
      "sends 206": responds(http("206 Partial Content", INFO_TEXT)),
    },
    ...Object.fromEntries(LOCATIONS.map((location) => [
      `(status 301) is a redirect to ${location}, which would lose`,
      { [`redirects to ${location}`]: responds(http("301", "", { location })) },
    ])),
  }],
  [DecapodAPIError, {
    "500 Internal Server Error": {
      "cuts the JSON of a 500": responds(http("500 Error", '{"code":500,"err')),
      "cuts a 500": responds(head(100, "500 Error"), '{"code":'),
    },
  }],
];

/** Calls getInfo() once at a server that does this. */
async function callOnce(talk: Talks[string], timeout: number) {
  await using server = new RawServer(talk);
  const attempts: Attempt[] = [];
  const onAttempt = (attempt: Attempt) => attempts.push(attempt);
  const client = server.client({ retries: 0, timeout, onAttempt });
  const outcome = await inTime(client.getInfo().catch((error) => error));
  await server.settled(); // also those that wait until the client disconnects
  assertEquals([server.connections, attempts.length], [1, 1]);
  return { outcome, url: server.url, attempt: attempts[0] };
}

for (const [Class, parts] of FAULTS) {
  for (const [part, talks] of Object.entries(parts)) {
    for (const [name, talk] of Object.entries(talks)) {
      Deno.test(`getInfo() fails at a server that ${name}`, async () => {
        const timeout = Class === DecapodTimeoutError ? 250 : 10_000;
        const { outcome, url, attempt } = await callOnce(talk, timeout);
        assertInstanceOf(outcome, Class);
        assertStringIncludes(outcome.message, `GET ${url}/v1/`);
        assertStringIncludes(outcome.message, part);
        assertEquals(outcome.message.includes("\n"), false);
        assertEquals([outcome.method, outcome.outcomeUnknown], ["GET", false]);
        assertStrictEquals(attempt?.error, outcome);
      });
    }
  }
}

const SUCCESSES: Talks = {
  "sends JSON with a charset": sends(INFO_TEXT, {
    "content-type": 'Application/JSON ; Charset="UTF-8"',
  }),
  "sends JSON of another media type": sends(INFO_TEXT, {
    "content-type": "application/hal+json",
  }),
  "sends JSON after a byte order mark": sends(`\ufeff${INFO_TEXT}`),
  "sends a body until it closes": responds(`${OK}\r\n${INFO_TEXT}`),
  "sends a gzipped body": responds(
    `${OK}content-encoding: gzip\r\n\r\n`,
    new Uint8Array(gzipSync(INFO_TEXT)),
  ),
};

for (const [name, talk] of Object.entries(SUCCESSES)) {
  Deno.test(`getInfo() succeeds at a server that ${name}`, async () => {
    assertEquals((await callOnce(talk, 10_000)).outcome, INFO);
  });
}

Deno.test("createCluster() and deleteCluster() use new connections, and no Transfer-Encoding", async () => {
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

Deno.test("timeout covers the login and all attempts, and leaves the outcome of a change unknown", async () => {
  using _ = fixedRandom(0);
  type Call = (client: V1Client) => Promise<unknown>;
  const calls: [failures: number, outcomeUnknown: boolean, Call][] = [
    [0, false, (client) => client.createCluster("ceph")], // it logs in first
    [0, true, (client) => client.requestPasswordReset("ann")],
    [2, false, (client) => client.getInfo({ retries: 9 })],
  ];
  for (const [failures, outcomeUnknown, call] of calls) {
    await using server = new RawServer(async (peer, number) => {
      await peer.request();
      if (number <= failures) await peer.send(http("503 Busy", ""));
      else await peer.abandoned();
    });
    const timeout = 250 + 500 * failures; // enough for the failures
    const error = await assertRejects(
      () => inTime(call(server.client({ timeout }))),
      DecapodTimeoutError,
      `no response within ${timeout} ms`,
    );
    assertEquals(error.outcomeUnknown, outcomeUnknown);
    await server.settled();
    assertEquals(server.connections, failures + 1);
  }
});

Deno.test("timeout accepts fractions and many days, for which AbortSignal.timeout() does not serve", async () => {
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
  const getInfo = (length: number, encoding: string) => {
    const headers = {
      "content-length": String(length),
      ...encoding && { "content-encoding": encoding },
    };
    return stubClient(() => Response.json(INFO, { headers }), { retries: 0 })
      .getInfo();
  };
  assertEquals(await getInfo(length, ""), INFO);
  // The length is that of the compressed body.
  assertEquals(await getInfo(length + 10, "br"), INFO);
  for (const encoding of ["", "identity"]) {
    const { cause } = await assertRejects(
      () => getInfo(length + 10, encoding),
      DecapodConnectionError,
      "connection lost",
    );
    const bytes = `${length} of ${length + 10} bytes`;
    assertStringIncludes(String(cause), `connection closed after ${bytes}`);
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
  const url = new URL("https://[::1]:443/a/v1/");
  const client = new V1Client(url, { login: "a", password: "b" });
  assertEquals(client.url, "https://[::1]/a");
});

Deno.test("onAttempt is called for every attempt", async () => {
  using _ = fixedRandom(0);
  let count = 0;
  await using server = new TestServer((_, { path }) =>
    path === "/v1/role/self/" && ++count < 2
      ? apiError(503, "Busy", "Later")
      : Response.json({ id: "token" })
  );
  const attempts: Attempt[] = [];
  const onAttempt = (attempt: Attempt) => attempts.push(attempt);
  await server.client({ onAttempt }).getRoleSelf();
  const auth = { method: "POST", url: `${server.url}/v1/auth/` };
  const role = { method: "GET", url: `${server.url}/v1/role/self/` };
  const error = attempts[1]?.error;
  assertInstanceOf(error, DecapodAPIError);
  assert(attempts.every(({ duration }) => duration >= 0));
  assertEquals(attempts.map(({ duration: _, ...attempt }) => attempt), [
    { ...auth, attempt: 1, status: 200 },
    { ...role, attempt: 1, status: 503, error },
    { ...role, attempt: 2, status: 200 },
  ]);
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

Deno.test("getExecutionLog(), streamExecutionLog() and getInfo() reject a Content-Encoding that Deno does not decode", async () => {
  const encodings = new Map([
    [deflateSync(INFO_TEXT), ["deflate", "DEFLATE", "zstd"]],
    [gzipSync(INFO_TEXT), ["x-gzip", "X-GZIP", "aws-chunked"]],
  ]);
  for (const [bytes, names] of encodings) {
    for (const encoding of names) {
      const headers = { "content-encoding": encoding };
      await using server = new TestServer((request) =>
        typed(request.headers.get("accept") ?? "", new Uint8Array(bytes), {
          headers,
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

Deno.test("signal ends a call that waits for the response or reads it, and its connection", async () => {
  for (const sent of ["", `${head(100)}{"time":`, head(100, "500 No")]) {
    const reached = Promise.withResolvers<void>();
    await using server = new RawServer(async (peer) => {
      await peer.request();
      await peer.send(sent);
      reached.resolve();
      await peer.abandoned();
    });
    const counted = new CountedSignal();
    const { controller, signal } = counted;
    const pending = server.client().getInfo({ signal });
    await reached.promise;
    await delay(20); // it reads
    const reason = { why: "no longer wanted" };
    controller.abort(reason);
    const outcome = await inTime(pending.catch((error) => error), 500);
    assertStrictEquals(outcome, reason);
    await server.settled();
    assertEquals([counted.listeners, counted.added], [0, 1]);
  }
});

Deno.test("signal that is already aborted sends nothing and gets no listener", async () => {
  const world = await openWorld();
  const client = stubClient(() => {
    throw new Error("A request was sent");
  });
  const counted = new CountedSignal();
  const { controller, signal } = counted;
  const reason = new Error("too late");
  controller.abort(reason);
  for (const { name, run } of OPERATIONS) {
    const call = run(client, world, { signal });
    assertStrictEquals(await call.catch((error) => error), reason, name);
  }
  assertEquals([counted.listeners, counted.added], [0, 0]);
});

Deno.test("signal that many calls share has one listener at most", async () => {
  const wall = gate();
  const client = stubClient(() => wall.pass().then(() => Response.json(INFO)));
  const counted = new CountedSignal();
  const { signal } = counted;
  const calls = Array.from({ length: 12 }, () => client.getInfo({ signal }));
  await wall.reached;
  const { listeners } = counted;
  wall.open();
  await Promise.all(calls);
  assertEquals([listeners, counted.listeners], [1, 0]);
});

Deno.test("signal ends a call whose custom fetch ignores it, and the late body is canceled", async () => {
  const counted = new CountedSignal();
  const { signal } = counted;
  const answered = Promise.withResolvers<Response>();
  const client = stubClient(() => answered.promise);
  const pending = client.getInfo({ signal }).catch((error) => error);
  await delay(0); // fetch was called
  counted.controller.abort("enough");
  assertEquals(await inTime(pending), "enough");
  assertEquals(counted.listeners, 0);
  let isCanceled = false;
  const body = new ReadableStream({ cancel: () => void (isCanceled = true) });
  answered.resolve(new Response(body));
  await delay(0);
  assertEquals(isCanceled, true);
});

Deno.test("signal's reason wins if an abort listener of the caller logs out", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const attempted = Promise.withResolvers<void>();
  const client = stubClient(() => new Response("", { status: 503 }), {
    onAttempt: () => attempted.resolve(),
  });
  signal.addEventListener("abort", () => client.logout());
  const call = client.getInfo({ signal }).catch((reason) => reason);
  await attempted.promise;
  await delay(0); // the backoff began
  controller.abort("enough");
  assertEquals(await call, "enough");
});

Deno.test("logout() does not abort the signals of calls that have ended", async () => {
  const signals: (AbortSignal | null | undefined)[] = [];
  const client = stubClient((_, { signal }) => {
    signals.push(signal);
    return Response.json(INFO);
  });
  for (const timeout of [60_000, 100, 2 ** 31 - 1]) {
    await client.getInfo({ timeout });
  }
  await client.editRole("id", (data) => data).catch(() => {}); // several requests
  await client.logout();
  assertEquals(signals.map((one) => one?.aborted), Array(4).fill(false));
});

Deno.test("timeout leaves no listener on its alarm, which would keep the program running", async () => {
  const deadlines: CountedSignal[] = [];
  using _ = replace(AbortSignal, "timeout", () => {
    const counted = new CountedSignal();
    deadlines.push(counted);
    return counted.signal;
  });
  const timeout = 54_321; // no other test has it
  for (const { run } of OPERATIONS) {
    const world = await openWorld();
    const { fetch } = world.standIn;
    const client = makeClient("http://decapod", { fetch, timeout });
    await run(client, world);
    await Promise.allSettled([client.getUserSelf(), client.logout()]);
    const id = crypto.randomUUID();
    await assertRejects(() => client.getUser(id), DecapodAPIError);
  }
  assert(deadlines.length > 0);
  for (const { added, listeners } of deadlines) {
    assertEquals(listeners, 0);
    assert(added > 0);
  }
});

Deno.test("timeout shares an alarm only with calls that start within 1 % of it", async () => {
  let time = 0;
  let alarms = 0;
  const timeout = 20_100; // no other test has it
  const client = stubClient(() => Response.json(INFO), { timeout });
  using _clock = replace(performance, "now", () => time);
  using _alarms = replace(AbortSignal, "timeout", () => {
    alarms++;
    return new AbortController().signal;
  });
  for (const [start = 0, expected] of [[0, 1], [201, 1], [202, 2], [403, 2]]) {
    time = start;
    await client.getInfo();
    assertEquals(alarms, expected, `at ${start} ms`);
  }
});

Deno.test("timeout is 60 s by default", async () => {
  const alarms: number[] = [];
  using _clock = replace(performance, "now", () => 1e9); // no shared alarm
  using _alarms = replace(AbortSignal, "timeout", (ms) => {
    alarms.push(ms);
    return new AbortController().signal;
  });
  await stubClient(() => Response.json(INFO)).getInfo();
  const [alarm = 0] = alarms;
  assert(alarm >= 60_000 && alarm <= 60_600, `${alarm} ms, shared within 1 %`);
});

Deno.test("editRole() rejects with a DecapodTimeoutError even if an abort listener of its request calls logout()", async () => {
  const client: V1Client = stubClient((_, { signal }) => {
    signal?.addEventListener("abort", () => client.logout());
    return new Promise(() => {});
  });
  await assertRejects(
    () => client.editRole("id", (data) => data, { timeout: 20 }),
    DecapodTimeoutError,
  );
});
