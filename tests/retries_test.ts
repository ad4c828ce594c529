/** Retries: after which failures, how often, and after which wait. */

import {
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertLessOrEqual,
  assertRejects,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodResponseError,
  type V1Client,
} from "../mod.ts";
import { fixedRandom, replace } from "./support/patch.ts";
import { skipTimers } from "./support/time.ts";
import { http, RawServer } from "./support/raw.ts";
import { apiError, INFO, TestServer } from "./support/server.ts";

const headers = { authorization: "token" };

/** A server that fails so often before it responds with success. */
function failing(
  times: number,
  failure: () => Response,
): TestServer {
  let count = 0;
  return new TestServer(() =>
    count++ < times ? failure() : Response.json(INFO)
  );
}

/** A call for each HTTP method. */
const CALLS: Record<
  string,
  (client: V1Client, options: { retries?: number }) => Promise<unknown>
> = {
  GET: (client, options) => client.getUser("id", options),
  POST: (client, options) => client.createCluster("ceph", options),
  PUT: (client, options) =>
    client.updateCluster({
      id: "id",
      model: "cluster",
      version: 1,
      initiator_id: null,
      time_updated: 0,
      time_deleted: 0,
      data: { name: "ceph", configuration: {} },
    }, options),
  DELETE: (client, options) => client.deleteCluster("id", options),
};

for (const [method, call] of Object.entries(CALLS)) {
  Deno.test(`retries of client and call apply to ${method} as documented`, async () => {
    using _ = fixedRandom(0);
    const isGet = method === "GET";
    const cases: [ofClient?: number, ofCall?: number, attempts?: number][] = [
      [undefined, undefined, isGet ? 3 : 1],
      [4, undefined, isGet ? 5 : 1],
      [0, undefined, 1],
      [0, 3, 4],
      [5, 0, 1],
    ];
    for (const [retries, own, attempts] of cases) {
      await using server = failing(9, () => apiError(503, "Busy", "Later"));
      const client = server.client({ headers, retries });
      const error = await assertRejects(
        () => call(client, { retries: own }),
        DecapodAPIError,
        "503 Busy: Later",
      );
      assertEquals(error.code, 503);
      assertEquals(server.exchanges.length, attempts, `${retries}, ${own}`);
    }
    await using server = failing(2, () => apiError(502, "Bad", "Gateway"));
    await call(server.client({ headers }), { retries: 2 });
    assertEquals(server.exchanges.length, 3);
    const [first, ...others] = server.exchanges.map(({ body }) => body);
    for (const body of others) assertEquals(body, first);
  });
}

/** How many attempts a GET has in which each response has this status. */
const STATUSES: Record<number, number> = Object.fromEntries([
  ...[408, 429, 502, 503, 504].map((status) => [status, 3]),
  ...[300, 304, 400, 403, 404, 405, 406, 409, 413, 500, 501]
    .map((status) => [status, 1]),
]);

for (const [status, attempts] of Object.entries(STATUSES)) {
  Deno.test(`getInfo() has ${attempts} attempts at status ${status}`, async () => {
    using _ = fixedRandom(0);
    const code = Number(status);
    const body = code === 304 ? null : "";
    await using server = failing(9, () => new Response(body, { status: code }));
    const error = await assertRejects(
      () => server.client().getInfo(),
      DecapodAPIError,
    );
    assertEquals(error.code, code);
    assertEquals(server.exchanges.length, attempts);
  });
}

Deno.test("login() retries 408 as it retries 503", async () => {
  using _ = fixedRandom(0);
  for (const status of [408, 503]) {
    let count = 0;
    await using server = new TestServer(() =>
      count++ < 2
        ? new Response("", { status })
        : Response.json({ id: "token" })
    );
    assertEquals((await server.client().login()).id, "token");
    assertEquals(server.logins, 3);
  }
});

Deno.test("createCluster() sends a change once if the response is 408", async () => {
  await using server = failing(9, () => new Response("", { status: 408 }));
  await assertRejects(
    () => server.client({ headers }).createCluster("ceph"),
    DecapodAPIError,
    "408",
  );
  assertEquals(server.exchanges.length, 1);
});

Deno.test("getInfo() does not retry a response that is not Decapod's", async () => {
  await using server = failing(9, () => new Response("<html>"));
  const client = server.client({ retries: 9 });
  await assertRejects(() => client.getInfo(), DecapodResponseError);
  assertEquals(server.exchanges.length, 1);
});

Deno.test("getInfo() retries a lost connection", async () => {
  using _ = fixedRandom(0);
  await using server = new RawServer(async (peer, number) => {
    await peer.request();
    if (number === 1) return;
    await peer.send(
      number === 2
        ? http("200 OK", "{", { "content-length": "100" })
        : http("200 OK", JSON.stringify(INFO)),
    );
  });
  assertEquals(await server.client().getInfo(), INFO);
  assertEquals(server.connections, 3);
});

Deno.test("streamExecutionLog() retries until the first line was yielded", async () => {
  using _ = fixedRandom(0);
  const type = { "content-type": "text/plain" };
  await using server = new RawServer(async (peer, number) => {
    await peer.request();
    if (number < 3) return;
    await peer.send(
      number === 3
        ? http("200 OK", "one\ntwo\n", type)
        : http("200 OK", "one\ntw", { ...type, "content-length": "8" }),
    );
  });
  const client = server.client({ headers });
  assertEquals(
    await Array.fromAsync(client.streamExecutionLog("id")),
    ["one", "two"],
  );
  const lines: string[] = [];
  await assertRejects(
    async () => {
      for await (const line of client.streamExecutionLog("id")) {
        lines.push(line);
      }
    },
    DecapodConnectionError,
    "connection lost",
  );
  assertEquals(lines, ["one"]);
  assertEquals(server.connections, 4);
});

/** The waits between attempts, in ms, when everything fails. */
async function waits(
  retries: number,
  random: number,
  retryAfter?: string,
): Promise<{ waits: number[]; error: DecapodAPIError }> {
  using _ = fixedRandom(random);
  const timeout = 1_000_000;
  await using server = failing(
    Infinity,
    () =>
      apiError(503, "Busy", "Later", {
        ...(retryAfter !== undefined && { "retry-after": retryAfter }),
      }),
  );
  const client = server.client({ timeout });
  using timers = skipTimers(timeout);
  const error = await client.getInfo({ retries }).catch((error) => error);
  assertInstanceOf(error, DecapodAPIError);
  assertEquals(server.exchanges.length, retries + 1);
  return { waits: timers.waits, error };
}

Deno.test("getInfo() waits longer after each failure, with full jitter and an upper bound", async () => {
  assertEquals(
    (await waits(8, 0.5)).waits,
    [100, 200, 400, 800, 1600, 3200, 4000, 4000],
  );
  assertEquals((await waits(3, 0)).waits, [0, 0, 0]);
});

/** When the dates below are read: 1 January 2026. */
const NOW = Date.UTC(2026, 0, 1);

const LATER = (ms: number) => new Date(NOW + ms).toUTCString();

/** Retry-After headers, and what they mean in ms; undefined if invalid. */
const RETRY_AFTER: [header: string, wait: number | undefined][] = [
  ["0", 0],
  ["1", 1000],
  [" 7 ", 7000],
  ["30", 30_000],
  ["31", 30_000],
  ["99999999", 30_000],
  ["9".repeat(400), 30_000],
  ["1.5", undefined],
  ["-5", undefined],
  ["1e3", undefined],
  ["0x10", undefined],
  ["soon", undefined],
  ["", undefined],
  ["Infinity", undefined],
  ["5, 7", undefined],
  // IMF-fixdate
  [LATER(5000), 5000],
  [` ${LATER(5000)} `, 5000],
  [LATER(3_600_000), 30_000],
  [LATER(0), 0],
  [LATER(-5000), 0],
  ["Thu, 32 Jan 2026 00:00:00 GMT", undefined],
  ["Tue, 31 Nov 2026 00:00:00 GMT", undefined],
  ["Thu, 01 Jan 2026 25:00:00 GMT", undefined],
  ["Thu, 01 Jan 2026 00:60:00 GMT", undefined],
  ["Thu, 01 Foo 2026 00:00:00 GMT", undefined],
  ["Thu, 01 anF 2026 00:00:00 GMT", undefined],
  ["Thu, 01 Jan 2026 00:00:09 +0100", undefined],
  ["Thu, 01 Jan 2026 00:00:09", undefined],
  ["2026-01-01T00:00:09Z", undefined],
  // RFC 850: two digits more than 50 years ahead are of the last century.
  ["Thursday, 01-Jan-26 00:00:05 GMT", 5000],
  ["Friday, 01-Jan-76 00:00:00 GMT", 30_000],
  ["Saturday, 01-Jan-77 00:00:00 GMT", 0],
  ["Friday, 31-Dec-99 23:59:59 GMT", 0],
  ["Thursday, 01-Jan-2026 00:00:05 GMT", undefined],
  // asctime
  ["Thu Jan  1 00:00:05 2026", 5000],
  [" Thu Jan  1 00:00:05 2026 ", 5000],
  ["Sat Jan 10 00:00:05 2026", 30_000],
  ["Thu Jan 1 00:00:05 2026", undefined],
  ["Thu Jan  1 00:00:05 26", undefined],
];

Deno.test("retryAfter has all forms of the header, and the wait obeys it up to 30 s", async () => {
  using _ = replace(Date, "now", () => NOW);
  for (const [header, wait] of RETRY_AFTER) {
    const outcome = await waits(1, 0.5, header);
    assertEquals(outcome.error.retryAfter, wait, header);
    // With jitter in addition: not all clients return at once.
    assertEquals(outcome.waits, [100 + (wait ?? 0)], header);
  }
});

Deno.test("getInfo() does not wait past its deadline", async () => {
  await using server = failing(
    9,
    () => apiError(429, "Busy", "Later", { "retry-after": "20" }),
  );
  const start = performance.now();
  const error = await assertRejects(
    () => server.client({ timeout: 10_000 }).getInfo(),
    DecapodAPIError, // which says more than a timeout
    "429 Busy: Later",
  );
  assertLessOrEqual(performance.now() - start, 5000);
  assertEquals(error.retryAfter, 20_000);
  assertEquals(server.exchanges.length, 1);
});

Deno.test("getInfo() really waits for Retry-After", async () => {
  await using server = failing(
    1,
    () => apiError(503, "Busy", "Later", { "retry-after": "1" }),
  );
  const start = performance.now();
  await server.client().getInfo();
  assertGreater(performance.now() - start, 990);
});

Deno.test("getUserSelf() logs in again once, also if it is retried in between", async () => {
  using _ = fixedRandom(0);
  const statuses = [401, 503, 401];
  let logins = 0;
  await using server = new TestServer((_, { path }) => {
    if (path === "/v1/auth/") return Response.json({ id: `t${++logins}` });
    const code = statuses.shift() ?? 200;
    return apiError(code, "Failure", `Number ${3 - statuses.length}`);
  });
  const error = await assertRejects(
    () => server.client().getUserSelf(),
    DecapodAPIError,
    "Number 3",
  );
  assertEquals(error.code, 401);
  const tokens = server.sent("GET", "/v1/user/self/")
    .map(({ headers }) => headers.get("authorization"));
  assertEquals(tokens, ["t1", "t2", "t2"]);
  assertEquals(logins, 2);
});
