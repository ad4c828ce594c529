/** Which failures are tried again, how often, and after which wait. */

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
  DecapodError,
  type V1Client,
} from "../mod.ts";
import { chance, hurry, replace } from "./support/patch.ts";
import { http, RawServer } from "./support/raw.ts";
import { apiError, INFO, TestServer } from "./support/server.ts";

const headers = { authorization: "token" };

/** A server that fails so often before it answers. */
function failing(
  times: number,
  failure: () => Response,
): TestServer {
  let count = 0;
  return new TestServer(() =>
    count++ < times ? failure() : Response.json(INFO)
  );
}

/** The methods of HTTP, each by a call that uses it. */
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
  const usual = method === "GET" ? 2 : 0;

  Deno.test(`${method} is tried again ${usual} times unless said`, async () => {
    using _ = chance(0);
    await using server = failing(9, () => apiError(503, "Busy", "Later"));
    const error = await assertRejects(
      () => call(server.client({ headers }), {}),
      DecapodAPIError,
      "503 Busy: Later",
    );
    assertEquals(error.code, 503);
    assertEquals(server.exchanges.length, usual + 1);
  });

  Deno.test(`the client's retries ${usual ? "" : "do not "}cover ${method}`, async () => {
    using _ = chance(0);
    await using server = failing(9, () => apiError(503, "Busy", "Later"));
    const client = server.client({ headers, retries: 4 });
    await assertRejects(() => call(client, {}), DecapodAPIError);
    assertEquals(server.exchanges.length, usual ? 5 : 1);
  });

  Deno.test(`a call's own retries cover ${method}`, async () => {
    using _ = chance(0);
    await using server = failing(3, () => apiError(502, "Bad", "Gateway"));
    const client = server.client({ headers, retries: 0 });
    await call(client, { retries: 3 });
    assertEquals(server.exchanges.length, 4);
  });

  Deno.test(`retries: 0 is one attempt at ${method}`, async () => {
    await using server = failing(9, () => apiError(503, "Busy", "Later"));
    const client = server.client({ headers, retries: 5 });
    await assertRejects(() => call(client, { retries: 0 }), DecapodAPIError);
    assertEquals(server.exchanges.length, 1);
  });
}

Deno.test("what is sent again is what was sent first", async () => {
  using _ = chance(0);
  await using server = failing(2, () => apiError(503, "Busy", "Later"));
  const client = server.client({ headers });
  await client.createCluster("ceph", { retries: 2 });
  const bodies = server.exchanges.map(({ body }) => body);
  assertEquals(bodies, Array.from({ length: 3 }, () => ({ name: "ceph" })));
});

for (const status of [429, 502, 503, 504]) {
  Deno.test(`${status} is tried again`, async () => {
    using _ = chance(0);
    await using server = failing(2, () => new Response("", { status }));
    assertEquals(await server.client().getInfo(), INFO);
    assertEquals(server.exchanges.length, 3);
  });
}

for (const status of [300, 400, 403, 404, 405, 406, 408, 409, 413, 500, 501]) {
  Deno.test(`${status} is not tried again`, async () => {
    await using server = failing(9, () => new Response("", { status }));
    const error = await assertRejects(
      () => server.client({ retries: 9 }).getInfo(),
      DecapodAPIError,
    );
    assertEquals(error.code, status);
    assertEquals(server.exchanges.length, 1);
  });
}

Deno.test("an answer that is not Decapod's is not tried again", async () => {
  await using server = failing(9, () => new Response("<html>"));
  const client = server.client({ retries: 9 });
  await assertRejects(() => client.getInfo(), DecapodError, "text/plain");
  assertEquals(server.exchanges.length, 1);
});

Deno.test("a connection that breaks is tried again", async () => {
  using _ = chance(0);
  const text = JSON.stringify(INFO);
  await using server = new RawServer(async (peer, number) => {
    await peer.request();
    if (number === 1) return;
    if (number === 2) {
      await peer.send(http("200 OK", "{", { "content-length": "100" }));
      return;
    }
    await peer.send(http("200 OK", text));
  });
  assertEquals(await server.client().getInfo(), INFO);
  assertEquals(server.connections, 3);
});

Deno.test("a log is read again as long as nothing of it was given", async () => {
  using _ = chance(0);
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
    "the connection broke off",
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
  using _ = chance(random);
  const timeout = 1_000_000;
  await using server = failing(
    Infinity,
    () =>
      apiError(503, "Busy", "Later", {
        ...(retryAfter !== undefined && { "retry-after": retryAfter }),
      }),
  );
  const client = server.client({ timeout });
  using timers = hurry(timeout);
  const error = await client.getInfo({ retries }).catch((error) => error);
  assertInstanceOf(error, DecapodAPIError);
  assertEquals(server.exchanges.length, retries + 1);
  return { waits: timers.waits, error };
}

Deno.test("waits grow, have full jitter and an upper bound", async () => {
  assertEquals(
    (await waits(8, 0.5)).waits,
    [100, 200, 400, 800, 1600, 3200, 4000, 4000],
  );
  assertEquals((await waits(3, 0)).waits, [0, 0, 0]);
});

Deno.test("Retry-After in seconds is obeyed, up to a cap", async () => {
  const cases: [string, number | undefined][] = [
    ["0", 0],
    ["1", 1000],
    ["7", 7000],
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
    ["2026-01-01T00:00:00Z", undefined],
    ["5, 7", undefined],
  ];
  for (const [header, wait] of cases) {
    const outcome = await waits(1, 0.5, header);
    assertEquals(outcome.error.retryAfter, wait, header);
    // The jitter comes on top: not all that were sent away come at once.
    assertEquals(outcome.waits, [100 + (wait ?? 0)], header);
  }
});

Deno.test("Retry-After as a date is obeyed, up to a cap", async () => {
  const now = Date.UTC(2026, 0, 1);
  using _ = replace(Date, "now", () => now);
  const cases: [string, number | undefined][] = [
    [new Date(now + 5000).toUTCString(), 5000],
    [new Date(now + 3_600_000).toUTCString(), 30_000],
    [new Date(now).toUTCString(), 0],
    [new Date(now - 5000).toUTCString(), 0],
    ["Thu, 32 Jan 2026 00:00:00 GMT", undefined],
    ["Thu, 01 Jan 2026 00:00:09 +0100", undefined],
    ["Thu, 01 Jan 2026 00:00:09", undefined],
    ["tomorrow", undefined],
  ];
  for (const [header, wait] of cases) {
    const outcome = await waits(1, 0, header);
    assertEquals(outcome.error.retryAfter, wait, header);
    assertEquals(outcome.waits, [wait ?? 0], header);
  }
});

Deno.test("nobody waits past the deadline", async () => {
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

Deno.test("a wait is a real one", async () => {
  await using server = failing(
    1,
    () => apiError(503, "Busy", "Later", { "retry-after": "1" }),
  );
  const start = performance.now();
  await server.client().getInfo();
  assertGreater(performance.now() - start, 990);
});

Deno.test("another 401 after a retry is not repeated again", async () => {
  using _ = chance(0);
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
