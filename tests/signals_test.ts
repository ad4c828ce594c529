/** The signal option of one call: what it ends, and what it leaves behind. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { Deadline, type OpenDeadlines } from "../internal/deadline.ts";
import { DecapodError, type V1Client } from "../mod.ts";
import { gate } from "./support/gate.ts";
import { CountedSignal, replace } from "./support/patch.ts";
import { http, type Peer, RawServer } from "./support/raw.ts";
import { makeClient, StandInServer } from "./support/server.ts";

/** The head of a response, with a body of this length to come. */
const head = (length: number, status = "200 OK") =>
  http(status, "", { "content-length": String(length) });

/** What a call can be doing when it is aborted. */
interface Stage {
  name: string;
  /** Calls `here` when the call does it. */
  talk(peer: Peer, here: () => void): Promise<void>;
  call?: (client: V1Client, signal: AbortSignal) => Promise<unknown>;
}

const token = { authorization: "token" };

/** The first value of an iteration. */
function first(items: AsyncIterable<unknown>): Promise<unknown> {
  return items[Symbol.asyncIterator]().next();
}

const STAGES: Stage[] = [
  {
    name: "waits for the login",
    async talk(peer, here) {
      await peer.request();
      here();
      await peer.abandoned();
    },
    call: (client, signal) => client.getUserSelf({ signal }),
  },
  {
    name: "waits for the response",
    async talk(peer, here) {
      await peer.request();
      here();
      await peer.abandoned();
    },
  },
  {
    name: "reads the body",
    async talk(peer) {
      await peer.request();
      await peer.send(head(100), '{"time":');
      await peer.abandoned();
    },
  },
  {
    name: "reads the body of an error",
    async talk(peer) {
      await peer.request();
      await peer.send(head(100, "500 Sorry"), '{"code":');
      await peer.abandoned();
    },
  },
  {
    name: "waits for another attempt",
    async talk(peer) {
      await peer.request();
      await peer.send(http("503 Busy", "", { "retry-after": "20" }));
    },
  },
  {
    name: "iterates",
    async talk(peer, here) {
      await peer.request();
      here();
      await peer.abandoned();
    },
    call: (client, signal) =>
      first(client.getUsers({ signal, headers: token })),
  },
  {
    name: "streams",
    async talk(peer) {
      await peer.request();
      await peer.send(
        http("200 OK", "", {
          "content-type": "text/plain",
          "content-length": "100",
        }),
        "half a line",
      );
      await peer.abandoned();
    },
    call: (client, signal) =>
      first(client.streamExecutionLog("id", { signal, headers: token })),
  },
];

for (const { name, talk, call } of STAGES) {
  Deno.test(`signal ends a call that ${name}`, async () => {
    const here = Promise.withResolvers<void>();
    await using server = new RawServer((peer) => talk(peer, here.resolve));
    const counted = new CountedSignal();
    const { controller, signal } = counted;
    const client = server.client({
      onAttempt: () => here.resolve(), // it failed and will be retried
      async fetch(url, init) {
        const response = await fetch(url, init);
        if (/body|streams/.test(name)) here.resolve();
        return response;
      },
    });
    const make = call ?? ((client) => client.getInfo({ signal }));
    const pending = make(client, signal);
    await here.promise;
    // Lets what follows begin: an attempt, a wait, a read.
    await new Promise((resolve) => setTimeout(resolve));
    const reason = { why: "no longer wanted" };
    const start = performance.now();
    controller.abort(reason);
    const outcome = await pending.then(() => "done", (error) => error);
    assertLess(performance.now() - start, 500);
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

Deno.test("signal has no listener left after many calls", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const counted = new CountedSignal();
  const { signal } = counted;
  await client.getUserSelf({ signal });
  await client.getUsers({ signal });
  for await (const user of client.getUsers({ signal })) assert(user.id);
  await assertRejects(() => client.getUser("no-such-id", { signal }));
  await client.logout({ signal });
  assertEquals(counted.listeners, 0);
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
  const listeners: number[] = [];
  const calls = Array.from({ length: 12 }, () => client.getInfo({ signal }));
  await wall.reached;
  listeners.push(counted.listeners);
  wall.open();
  await Promise.all(calls);
  assertEquals([...listeners, counted.listeners], [1, 0]);
});

Deno.test("signal ends a call whose custom fetch ignores it", async () => {
  const counted = new CountedSignal();
  const { signal } = counted;
  const answered = Promise.withResolvers<Response>();
  const called = Promise.withResolvers<void>();
  const client = makeClient("http://decapod.example", {
    fetch() {
      called.resolve();
      return answered.promise;
    },
  });
  const pending = client.getInfo({ signal });
  await called.promise;
  counted.controller.abort("enough");
  assertEquals(await pending.catch((error) => error), "enough");
  assertEquals(counted.listeners, 0);
  // The body of a response that comes too late is canceled.
  const closed = Promise.withResolvers<void>();
  const body = new ReadableStream({ cancel: () => closed.resolve() });
  answered.resolve(new Response(body));
  await closed.promise;
});

Deno.test("signal ends a call whose custom body ignores it", async () => {
  const counted = new CountedSignal();
  const { signal } = counted;
  const read = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const client = makeClient("http://decapod.example", {
    fetch: () =>
      Promise.resolve(
        new Response(
          new ReadableStream({
            pull() {
              read.resolve();
              return new Promise(() => {});
            },
            cancel: () => closed.resolve(),
          }, { highWaterMark: 0 }),
          { headers: { "content-type": "application/json" } },
        ),
      ),
  });
  const pending = client.getInfo({ signal });
  await read.promise;
  counted.controller.abort("enough");
  assertEquals(await pending.catch((error) => error), "enough");
  await closed.promise;
  assertEquals(counted.listeners, 0);
});

Deno.test("signal's reason wins if an abort listener of the caller logs out", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const client = makeClient("http://decapod.example", {
    fetch: () => Promise.resolve(Response.json(null, { status: 503 })),
    onAttempt: () => attempted.resolve(),
  });
  const attempted = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => client.logout());
  const call = client.getInfo({ signal }).catch((reason) => reason);
  await attempted.promise;
  await new Promise((resolve) => setTimeout(resolve)); // the backoff began
  controller.abort("enough");
  assertEquals(await call, "enough");
});

Deno.test("signal may be aborted by the custom fetch itself", async () => {
  const { controller, signal } = new CountedSignal();
  const client = makeClient("http://decapod.example", {
    fetch() {
      controller.abort("by the fetch");
      return new Promise(() => {});
    },
  });
  const reason = await client.getInfo({ signal }).catch((error) => error);
  assertEquals(reason, "by the fetch");
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

const toError = () => new DecapodError("ended");

Deno.test("Deadline that is closed is not open for logout() any more", () => {
  const open: OpenDeadlines = new Set();
  const deadlines = [60_000, 1, Infinity].map((timeout) =>
    new Deadline(timeout, toError, open)
  );
  assertEquals(open.size, 3);
  for (const deadline of deadlines) deadline.close();
  assertEquals(open.size, 0);
});

Deno.test("Deadline shares an alarm only with calls that start within 1 % of the timeout", () => {
  let time = 0;
  let alarms = 0;
  using _clock = replace(performance, "now", () => time);
  using _alarms = replace(AbortSignal, "timeout", () => {
    alarms++;
    return new AbortController().signal;
  });
  const timeout = 20_100; // no other test has it
  for (const [start, expected] of [[0, 1], [201, 1], [202, 2], [403, 2]]) {
    time = Number(start);
    new Deadline(timeout, toError, new Set()).close();
    assertEquals(alarms, expected, `at ${start} ms`);
  }
});
