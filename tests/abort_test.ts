/** Aborting each operation at every moment. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import type { V1Client } from "../mod.ts";
import { StandIn, TestClock } from "./standin/mod.ts";
import { type Fetch, Interruption } from "./support/interruption.ts";
import { makeClient, PASSWORD } from "./support/server.ts";

/** How long an abort may take, in milliseconds. */
const SOON = 50;

/** What each test has. */
interface Stage {
  standIn: StandIn;
  clock: TestClock;
  user: string;
  execution: string;
}

/** Something to abort. */
type Work = (
  client: V1Client,
  stage: Stage,
  options: { signal: AbortSignal },
  moment: () => void,
) => Promise<unknown>;

const WORKS: Record<string, Work> = {
  "getUser()": (client, { user }, options) => client.getUser(user, options),
  "createCluster()": (client, _, options) =>
    client.createCluster("mine", options),
  "deleteUser()": (client, { user }, options) =>
    client.deleteUser(user, options),
  "login()": (client, _, options) => client.login(options),
  "logout()": async (client, _, options) => {
    await client.login(options);
    await client.logout(options);
  },
  "getUsers()": async (client, _, options) => await client.getUsers(options),
  "toArray()": (client, _, options) =>
    client.getUsers({ perPage: 2, ...options }).toArray(),
  "Listing": async (client, _, options, moment) => {
    const users = client.getUsers({ perPage: 2, ...options });
    for await (const _ of users) moment();
  },
  "pages() with sortBy": async (
    client,
    _,
    options,
    moment,
  ) => {
    const sortBy = { login: 1 } as const;
    const users = client.getUsers({ perPage: 2, sortBy, ...options });
    for await (const _ of users.pages()) moment();
  },
  "waitForExecution()": (client, { execution }, options, moment) =>
    client.waitForExecution(execution, {
      timeout: 900_000,
      onUpdate: async () => {
        moment();
        await undefined;
      },
      ...options,
    }),
  "waitForExecution() of a failing execution": async (
    client,
    { standIn },
    options,
  ) => {
    const { id } = standIn.seedExecution({ failures: [{}], steps: 6 });
    const timeout = 900_000;
    try {
      await client.waitForExecution(String(id), { timeout, ...options });
    } catch (error) {
      if (!isFailure(error)) throw error;
    }
  },
  "followExecution()": async (client, { execution }, options, moment) => {
    const timeout = 900_000;
    const all = { timeout, ...options };
    for await (const _ of client.followExecution(execution, all)) moment();
  },
  "getExecutionLog()": (client, { execution, clock }, options) => {
    clock.advance(100_000);
    return client.getExecutionLog(execution, options);
  },
  "streamExecutionLog()": async (
    client,
    { execution, clock },
    options,
    moment,
  ) => {
    clock.advance(100_000);
    const lines = client.streamExecutionLog(execution, options);
    for await (const _ of lines) moment();
  },
  "editUser()": (client, { user }, options, moment) =>
    client.editUser(user, async (data) => {
      moment();
      await undefined;
      return { ...data, full_name: "mine" };
    }, options),
};

function isFailure(error: unknown): boolean {
  return error instanceof Error && error.name === "DecapodExecutionError";
}

/** A `fetch` that injects each of some faults once. */
function rough(fetch: Fetch, stage: Stage): Fetch {
  let away = true;
  let stale = true;
  return async (url, init) => {
    const { pathname } = new URL(url);
    if (init.method === "GET" && away && !pathname.startsWith("/v1/auth")) {
      away = false;
      return new Response("away", { status: 503 });
    }
    if (/^\/v1\/execution\/[^/]+\/$/.test(pathname)) {
      stage.clock.advance(15_000);
    }
    if (init.method === "PUT" && stale) {
      stale = false;
      const headers = new Headers(init.headers);
      const other: RequestInit = { ...init, headers };
      await (await fetch(url, other)).body?.cancel();
    }
    return await fetch(url, init);
  };
}

/** Aborts an operation at one moment and checks what is left of it. */
async function interrupt(
  work: Work,
  at: number,
  turns: number,
  url: string,
  serve: (standIn: StandIn) => void,
): Promise<"aborted" | "too late" | "never"> {
  const clock = new TestClock();
  const standIn = new StandIn({
    now: clock.now,
    servers: 0,
    rootPassword: PASSWORD,
    seed: 1,
  });
  const user = String(standIn.seedUsers(4)[0]?.id);
  const seeded = standIn.seedExecution({ servers: 2, steps: 6 });
  const stage = { standIn, clock, user, execution: String(seeded.id) };
  serve(standIn);
  const { setTimeout } = globalThis;
  const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

  using interruption = new Interruption(at, turns);
  const client = makeClient(url, {
    fetch: interruption.watch(rough(fetch, stage)),
  });
  let outcome: { value: unknown } | { error: unknown } | undefined;
  let time = 0;
  const { signal } = interruption;
  const settled = work(
    client,
    stage,
    { signal },
    () => interruption.moment("a call"),
  )
    .then((value) => outcome = { value }, (error) => outcome = { error })
    .then(() => time = performance.now());
  await Promise.race([settled, interruption.aborted]);
  if (!signal.aborted) {
    assert(outcome && "value" in outcome, Deno.inspect(outcome));
    return interruption.moments < at ? "never" : "too late";
  }
  // No response arrives any more: what is pending now stays pending.
  for (let turns = 0; turns < 5 && outcome === undefined; turns++) await turn();
  const where = `moment ${at} and ${turns} turns`;
  assert(outcome, `pending after ${where}`);
  // One value may have been yielded already.
  const late = interruption.late.join();
  assert(late === "" || late === "a call", `${late} after ${where}`);
  for (let turns = 0; turns < 5 && interruption.open.size > 0; turns++) {
    await turn();
  }
  assertEquals([...interruption.open], [], `open after ${where}`);
  assertEquals(interruption.listeners, 0, `listens after ${where}`);
  if ("value" in outcome) return "too late"; // all responses had arrived before
  assertStrictEquals(outcome.error, interruption.reason, where);
  assert(time - interruption.time < SOON, `late after ${where}`);
  return "aborted";
}

for (const [name, work] of Object.entries(WORKS)) {
  Deno.test(`signal ends ${name} at each moment on a real connection`, async () => {
    let current: StandIn | undefined;
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => current?.handler(request) ?? Response.error(),
    );
    const url = `http://127.0.0.1:${server.addr.port}`;
    let aborted = 0;
    for (const turns of [0, 3]) {
      for (let at = 1;; at++) {
        const outcome = await interrupt(work, at, turns, url, (standIn) => {
          current = standIn;
        });
        if (outcome === "never") break;
        if (outcome === "aborted") aborted++;
        // Only an operation that has all its responses may succeed.
        else assert(at > 2, `moment ${at}`);
      }
    }
    assert(aborted > 5, `${aborted} moments`);
  });
}
