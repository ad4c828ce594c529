/** Retries: after which failures, how often, and after which wait. */

import {
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertRejects,
} from "@std/assert";
import {
  type ClientOptions,
  DecapodAPIError,
  DecapodConnectionError,
  type V1Client,
} from "../mod.ts";
import { fixedRandom, replace } from "./support/patch.ts";
import { skipTimers } from "./support/time.ts";
import { http, RawServer } from "./support/raw.ts";
import { apiError, INFO } from "./support/server.ts";
import { LOGGED_IN, stubClient } from "./support/stub.ts";

/** A client whose server fails so often before it responds with success. */
function failing(
  times: number,
  failure: () => Response,
  options: Partial<ClientOptions> = {},
) {
  const bodies: unknown[] = [];
  const client = stubClient((_, { body }) => {
    return bodies.push(body) <= times ? failure() : Response.json(INFO);
  }, options);
  return { client, bodies };
}

const status = (code: number) => () =>
  new Response(code === 304 ? null : "", { status: code });

/** A call for each HTTP method. */
const CALLS: Record<
  string,
  (client: V1Client, options: { retries?: number }) => Promise<unknown>
> = {
  GET: (client, options) => client.getUser("id", options),
  POST: (client, options) => client.createCluster("ceph", options),
  PUT: (client, options) =>
    client.request("PUT", "cluster/id", { body: { name: "ceph" }, ...options }),
  DELETE: (client, options) => client.deleteCluster("id", options),
};

for (const [method, call] of Object.entries(CALLS)) {
  Deno.test(`retries of the client apply to reads only, those of a call to every method: ${method}`, async () => {
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
      const { client, bodies } = failing(9, status(503), { retries });
      const error = await assertRejects(
        () => call(client, { retries: own }),
        DecapodAPIError,
      );
      assertEquals(error.code, 503);
      assertEquals(bodies.length, attempts, `${retries}, ${own}`);
    }
    const { client, bodies } = failing(2, status(502));
    await call(client, { retries: 2 });
    assertEquals(bodies, [bodies[0], bodies[0], bodies[0]]);
  });
}

/** Statuses by how many attempts a GET has at them. */
const STATUSES = {
  3: [408, 429, 502, 503, 504],
  1: [300, 304, 400, 403, 404, 405, 406, 409, 413, 500, 501],
};

for (const [attempts, statuses] of Object.entries(STATUSES)) {
  Deno.test(`getInfo() and login() have ${attempts} attempts at status ${statuses.join(", ")}, createCluster() one`, async () => {
    using _ = fixedRandom(0);
    for (const code of statuses) {
      for (const method of ["getInfo", "login", "createCluster"] as const) {
        const { client, bodies } = failing(9, status(code));
        const isRetried = method !== "createCluster";
        const call = () =>
          isRetried ? client[method]() : client[method]("ceph");
        const error = await assertRejects(call, DecapodAPIError);
        const expected = isRetried ? Number(attempts) : 1;
        assertEquals([error.code, bodies.length], [code, expected]);
      }
    }
  });
}

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
  const client = server.client(LOGGED_IN);
  const whole = await Array.fromAsync(client.streamExecutionLog("id"));
  assertEquals(whole, ["one", "two"]);
  const lines = client.streamExecutionLog("id");
  assertEquals(await lines.next(), { done: false, value: "one" });
  await assertRejects(() => lines.next(), DecapodConnectionError, "lost");
  assertEquals(server.connections, 4);
});

/** The waits between attempts, in ms, when everything fails. */
async function waits(retries: number, random: number, retryAfter?: string) {
  using _ = fixedRandom(random);
  const timeout = 1_000_000;
  const headers: Record<string, string> = {};
  if (retryAfter !== undefined) headers["retry-after"] = retryAfter;
  const failure = () => apiError(503, "Busy", "Later", headers);
  const { client, bodies } = failing(retries + 1, failure, { timeout });
  using timers = skipTimers(timeout);
  const error = await client.getInfo({ retries }).catch((error) => error);
  assertInstanceOf(error, DecapodAPIError);
  assertEquals(bodies.length, retries + 1);
  return { waits: timers.waits, error };
}

Deno.test("getInfo() waits longer after each failure, with full jitter and an upper bound", async () => {
  const expected = [100, 200, 400, 800, 1600, 3200, 4000, 4000];
  assertEquals((await waits(8, 0.5)).waits, expected);
  assertEquals((await waits(3, 0)).waits, [0, 0, 0]);
});

/** When the dates below are read: 1 January 2026. */
const NOW = Date.UTC(2026, 0, 1);

const LATER = (ms: number) => new Date(NOW + ms).toUTCString();

/** What Retry-After headers mean in ms. */
const RETRY_AFTER: [wait: number, ...headers: string[]][] = [
  [0, "0", LATER(0), LATER(-5000)],
  [1000, "1"],
  [7000, " 7 "],
  [30_000, "30", "31", "99999999", "9".repeat(400), LATER(3_600_000)],
  [5000, LATER(5000), ` ${LATER(5000)} `],
  // RFC 850: two digits more than 50 years ahead are of the last century.
  [5000, "Thursday, 01-Jan-26 00:00:05 GMT"],
  [30_000, "Friday, 01-Jan-76 00:00:00 GMT"],
  [0, "Saturday, 01-Jan-77 00:00:00 GMT", "Friday, 31-Dec-99 23:59:59 GMT"],
  // asctime
  [5000, "Thu Jan  1 00:00:05 2026", " Thu Jan  1 00:00:05 2026 "],
  [30_000, "Sat Jan 10 00:00:05 2026"],
];

const INVALID_RETRY_AFTER = [
  ...["1.5", "-5", "1e3", "0x10", "soon", "", "Infinity", "5, 7"],
  "Thu, 32 Jan 2026 00:00:00 GMT",
  "Tue, 31 Nov 2026 00:00:00 GMT",
  "Thu, 01 Jan 2026 25:00:00 GMT",
  "Thu, 01 Jan 2026 00:60:00 GMT",
  "Thu, 01 Foo 2026 00:00:00 GMT",
  "Thu, 01 anF 2026 00:00:00 GMT",
  "Thu, 01 Jan 2026 00:00:09 +0100",
  "Thu, 01 Jan 2026 00:00:09",
  "2026-01-01T00:00:09Z",
  "Thursday, 01-Jan-2026 00:00:05 GMT",
  "Thu Jan 1 00:00:05 2026",
  "Thu Jan  1 00:00:05 26",
];

Deno.test("retryAfter has all forms of the header, and the wait obeys it up to 30 s", async () => {
  using _ = replace(Date, "now", () => NOW);
  const rows: [wait: number | undefined, ...headers: string[]][] = [
    ...RETRY_AFTER,
    [undefined, ...INVALID_RETRY_AFTER],
  ];
  for (const [wait, ...headers] of rows) {
    for (const header of headers) {
      const outcome = await waits(1, 0.5, header);
      assertEquals(outcome.error.retryAfter, wait, header);
      // With jitter in addition: not all clients return at once.
      assertEquals(outcome.waits, [100 + (wait ?? 0)], header);
    }
  }
});

Deno.test("getInfo() does not wait past its deadline", async () => {
  const busy = () => apiError(429, "Busy", "Later", { "retry-after": "20" });
  const { client, bodies } = failing(9, busy, { timeout: 10_000 });
  const start = performance.now();
  const error = await assertRejects(
    () => client.getInfo(),
    DecapodAPIError, // which says more than a timeout
    "429 Busy: Later",
  );
  assertLessOrEqual(performance.now() - start, 5000);
  assertEquals([error.retryAfter, bodies.length], [20_000, 1]);
});

Deno.test("createCluster() leaves the outcome unknown if its retry is rejected", async () => {
  using _ = fixedRandom(0);
  const reset = Object.assign(new TypeError("reset"), { code: "ECONNRESET" });
  // A login that the retry needs is rejected, or the retry itself.
  for (const rejections of [[401, 403], [429]]) {
    const responses = [
      () => Response.json({ id: "token" }),
      () => Promise.reject(reset),
      ...rejections.map(status),
    ];
    const respond = () => responses.shift()?.() ?? status(500)();
    const client = stubClient(respond, { headers: {} });
    const { code, outcomeUnknown } = await assertRejects(
      () => client.createCluster("ceph", { retries: 1 }),
      DecapodAPIError,
      "the change may have been applied",
    );
    assertEquals([code, outcomeUnknown], [rejections[0], true]);
    assertEquals(responses, []);
  }
});
