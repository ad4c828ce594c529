/** The signal option of one call: what it ends, and what it leaves behind. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { delay } from "@std/async/delay";
import { DecapodAPIError, DecapodTimeoutError, type V1Client } from "../mod.ts";
import { OPERATIONS } from "./operations.ts";
import { gate, within } from "./support/gate.ts";
import { CountedSignal, replace } from "./support/patch.ts";
import { RawServer } from "./support/raw.ts";
import { INFO, makeClient } from "./support/server.ts";
import { head, stubClient } from "./support/stub.ts";
import { openWorld } from "./support/world.ts";

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
    const outcome = await within(pending.catch((error) => error), 500);
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
  assertEquals(await within(pending), "enough");
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
