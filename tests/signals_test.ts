/** The signal option of one call: what it ends, and what it leaves behind. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { DecapodTimeoutError, type V1Client } from "../mod.ts";
import { gate, within } from "./support/gate.ts";
import { CountedSignal, replace } from "./support/patch.ts";
import { http, RawServer } from "./support/raw.ts";
import { INFO, StandInServer } from "./support/server.ts";
import { head, stubClient } from "./support/stub.ts";

/** The first value of an iteration. */
function first(items: AsyncIterable<unknown>): Promise<unknown> {
  return items[Symbol.asyncIterator]().next();
}

/** What a call can be doing when it is aborted, and what it was sent by then. */
const STAGES: [
  name: string,
  reached: "request" | "response" | "attempt",
  sent?: string,
  call?: (client: V1Client, signal: AbortSignal) => Promise<unknown>,
][] = [
  [
    "waits for the login",
    "request",
    "",
    (client, signal) => client.getUserSelf({ signal }),
  ],
  ["waits for the response", "request"],
  ["reads the body", "response", `${head(100)}{"time":`],
  ["reads the body of an error", "response", `${head(100, "500 No")}{"code":`],
  [
    "waits for another attempt",
    "attempt",
    http("503 Busy", "", { "retry-after": "20" }),
  ],
];

for (const [name, reached, sent = "", call] of STAGES) {
  Deno.test(`signal ends a call that ${name}`, async () => {
    const here = Promise.withResolvers<void>();
    const reach = (stage: string) => stage === reached && here.resolve();
    await using server = new RawServer(async (peer) => {
      await peer.request();
      reach("request");
      await peer.send(sent);
      if (reached !== "attempt") await peer.abandoned();
    });
    const counted = new CountedSignal();
    const { controller, signal } = counted;
    const client = server.client({
      onAttempt: () => reach("attempt"),
      async fetch(url, init) {
        const response = await fetch(url, init);
        reach("response");
        return response;
      },
    });
    const pending = call?.(client, signal) ?? client.getInfo({ signal });
    await here.promise;
    // Lets what follows begin: an attempt, a wait, a read.
    await new Promise((resolve) => setTimeout(resolve));
    const reason = { why: "no longer wanted" };
    controller.abort(reason);
    const outcome = await within(pending.catch((error) => error), 500);
    assertStrictEquals(outcome, reason);
    await server.settled();
    assertEquals(counted.listeners, 0);
    assert(counted.added > 0);
  });
}

Deno.test("signal that is already aborted sends nothing and gets no listener", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const counted = new CountedSignal();
  const { signal } = counted;
  const reason = new Error("too late");
  counted.controller.abort(reason);
  const calls = [
    () => client.getUser("id", { signal }),
    () => client.createCluster("ceph", { signal }),
    () => client.getExecutionLog("id", { signal }),
    () => first(client.streamExecutionLog("id", { signal })),
    () => Promise.resolve(client.getUsers({ signal })),
    () => first(client.getUsers({ signal })),
    () => client.login({ signal }),
    () => client.logout({ signal }),
    () => client.editUser("id", (data) => data, { signal }),
  ];
  for (const call of calls) {
    assertStrictEquals(await assertRejects(call), reason);
  }
  assertEquals(server.exchanges, []);
  assertEquals([counted.listeners, counted.added], [0, 0]);
});

Deno.test("signal that many calls share has one listener at most", async () => {
  const wall = gate();
  await using server = new StandInServer({}, async ({ path }) => {
    if (path === "/v1/info/") await wall.pass();
    return undefined;
  });
  const client = server.client();
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
  await new Promise((resolve) => setTimeout(resolve)); // fetch was called
  counted.controller.abort("enough");
  assertEquals(await within(pending), "enough");
  assertEquals(counted.listeners, 0);
  let isCanceled = false;
  const body = new ReadableStream({ cancel: () => void (isCanceled = true) });
  answered.resolve(new Response(body));
  await new Promise((resolve) => setTimeout(resolve));
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
  await new Promise((resolve) => setTimeout(resolve)); // the backoff began
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
  await using server = new StandInServer();
  const client = server.client({ timeout: 54_321 }); // no other test has it
  await client.getInfo();
  await client.login();
  const { id } = await client.createCluster("ceph");
  await client.editCluster(id, (data) => ({ ...data, name: "other" }));
  await client.getClusters();
  await client.getClusters().toArray();
  await assertRejects(() => client.getUser("unknown"));
  await client.deleteCluster(id);
  server.standIn.revokeTokens();
  await client.getUserSelf();
  await client.logout();
  await client.logout();
  await Promise.allSettled([client.getUserSelf(), client.logout()]);
  assertEquals(deadlines.map(({ listeners }) => listeners), [0]);
  assertGreater(Number(deadlines[0]?.added), 10); // all calls share it
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

Deno.test("timeout of an edit stays its error if the abort of its request logs out", async () => {
  const client: V1Client = stubClient((_, { signal }) => {
    signal?.addEventListener("abort", () => client.logout());
    return new Promise(() => {});
  });
  await assertRejects(
    () => client.editRole("id", (data) => data, { timeout: 20 }),
    DecapodTimeoutError,
  );
});
