/** Following executions: each state and each step once, the end last. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodWaitTimeoutError,
  type ExecutionEvent,
  type FollowOptions,
  type JsonValue,
  type V1Client,
} from "../mod.ts";
import { TestClock } from "./standin/mod.ts";
import {
  badGateway,
  ID,
  ScriptedExecution,
  type ScriptedStep,
} from "./support/execution.ts";
import { CountedSignal } from "./support/patch.ts";
import { apiError, json, StandInServer } from "./support/server.ts";
import { skipWaits } from "./support/time.ts";

/** The client's own deadline in these tests. */
const TIMEOUT = 30_000;

/** Runs a test with an execution behind a real server, without real waits. */
async function scripted(
  execution: ScriptedExecution,
  test: (client: V1Client) => Promise<void>,
  ...deadlines: number[]
): Promise<void> {
  await using server = new StandInServer({ servers: 0 }, execution.answer);
  await using client = server.client({ retries: 0, timeout: TIMEOUT });
  await client.login();
  using _ = skipWaits(TIMEOUT, ...deadlines);
  await test(client);
}

/** The state or the name of the step. */
function told(event: ExecutionEvent): string {
  return event.type === "state"
    ? event.execution.data.state
    : event.step.data.name;
}

/** All that is told of an execution. */
async function follow(
  execution: ScriptedExecution,
  options?: FollowOptions,
): Promise<string[]> {
  const events: string[] = [];
  await scripted(execution, async (client) => {
    for await (const event of client.followExecution(ID, options)) {
      events.push(told(event));
    }
  });
  return events;
}

/** A step that finished at this second. */
function step(finished: number, name = `at ${finished}`): ScriptedStep {
  return { finished, name };
}

Deno.test("10,000 steps on 50 servers are told once each and in order, at the cost of one reading", async () => {
  const clock = new TestClock();
  let looks = 0;
  await using server = new StandInServer({ now: clock.now }, ({ path }) => {
    // Now many steps come between two looks, now few or none.
    if (/execution\/[^/]+\/$/.test(path)) {
      clock.advance([0, 500, 3000, 30_000][looks++ % 4] ?? 0);
    } else if (path.endsWith("/steps/")) clock.advance(70);
    return undefined;
  });
  await using client = server.client({ timeout: TIMEOUT });
  const { id } = server.standIn.seedExecution({
    servers: 50,
    steps: 10_000,
    duration: 3_600_000,
    delay: 5000,
  });
  const states: string[] = [];
  const steps = new Set<string>();
  const servers = new Set<string | null>();
  let last = "";
  let order: [number, string] = [0, ""];
  using _ = skipWaits(TIMEOUT);
  for await (const event of client.followExecution(String(id))) {
    last = event.type;
    if (event.type === "state") states.push(event.execution.data.state);
    else {
      const { id, data } = event.step;
      assertEquals(steps.has(id), false);
      steps.add(id);
      servers.add(data.server_id);
      assert(data.time_finished >= order[0]);
      assert(data.time_finished > order[0] || id > order[1]);
      order = [data.time_finished, id];
    }
  }
  assertEquals(states, ["created", "started", "completed"]);
  assertEquals([steps.size, servers.size, last], [10_000, 50, "state"]);

  const reads = server.exchanges.filter(({ path }) => path.endsWith("/steps/"));
  const items = reads.reduce((sum, { answer }) => {
    const page: { items: unknown[] } = JSON.parse(answer?.text ?? "");
    return sum + page.items.length;
  }, 0);
  assert(items < 11_000 + 50 * looks, `${items} items in ${looks} looks`);
  assert(reads.length <= 100 + 2 * looks, `${reads.length} requests`);
  assert(looks > 100);
});

Deno.test("states and steps are told as they come, the end after the last steps", async () => {
  const execution = new ScriptedExecution("created");
  execution.onLook = (look) => {
    if (look === 2) execution.states.push("started");
    if (look === 3) execution.steps.push(step(10), step(11, "b"));
    if (look === 4) execution.steps.push(step(11, "c"), step(12));
    if (look === 6) execution.states.push("failed");
  };
  execution.onSteps = () => {
    // Written between the look and the reading.
    if (execution.looks === 6 && execution.steps.length === 4) {
      execution.steps.push(step(13));
    }
  };
  assertEquals(await follow(execution), [
    "created",
    "started",
    "at 10",
    "b",
    "c",
    "at 12",
    "at 13",
    "failed",
  ]);
});

Deno.test("following can begin in the middle and after the end", async () => {
  for (const state of ["started", "completed", "failed", "canceled"]) {
    const execution = new ScriptedExecution("created", "started");
    if (state !== "started") execution.states.push(state);
    // Read in pages, and told in the order in which they finished.
    const expected = Array.from({ length: 250 }, (_, second) => step(second));
    execution.steps.push(...expected.toReversed());
    execution.onLook = (look) => {
      if (look === 2) execution.states.push("completed");
    };
    const names = expected.map(({ name }) => name);
    assertEquals(
      await follow(execution),
      state === "started"
        ? ["started", ...names, "completed"]
        : [...names, state],
    );
  }
});

Deno.test("changes between two looks are told, each once", async () => {
  const execution = new ScriptedExecution("created");
  execution.onLook = (look) => {
    if (look === 2) execution.states.push("started", "started", "canceling");
    if (look === 3) execution.states.push("canceled");
  };
  assertEquals(await follow(execution), [
    "created",
    "started",
    "canceling",
    "canceled",
  ]);
  const quick = new ScriptedExecution("created");
  quick.onLook = (look) => {
    if (look === 2) quick.states.push("started", "completed");
  };
  assertEquals(await follow(quick), ["created", "started", "completed"]);
});

Deno.test("an execution that was canceled while created is followed to the end if it runs", async () => {
  const execution = new ScriptedExecution("created");
  execution.onLook = (look) => {
    if (look === 2) execution.states.push("canceled", "started");
    if (look === 3) execution.states.push("completed");
  };
  assertEquals(await follow(execution), [
    "created",
    "canceled",
    "started",
    "completed",
  ]);

  const clock = new TestClock();
  await using server = new StandInServer(
    { now: clock.now },
    ({ path }) => {
      if (path.startsWith("/v1/execution/")) clock.advance(1000);
      return undefined;
    },
  );
  await using client = server.client({ timeout: TIMEOUT });
  const id = String(server.standIn.seedExecution({ delay: 10_000 }).id);
  using _ = skipWaits(TIMEOUT);
  await client.cancelExecution(id);
  const events: string[] = [];
  for await (const event of client.followExecution(id)) {
    events.push(told(event));
  }
  assertEquals(events, ["canceled"]); // what is seen is taken for the end
  clock.advance(200_000);
  for await (const event of client.followExecution(id)) {
    events.push(told(event));
  }
  assertEquals(events.length, 1 + 30 + 1); // followed anew, with all its steps
  assertEquals(events.at(-1), "completed");
});

Deno.test("a copy of the server that lags behind is not believed", async () => {
  const execution = new ScriptedExecution("created", "started");
  const states = [...execution.states];
  execution.onLook = (look) => {
    const now = look === 2 ? states.slice(0, 1) : states;
    execution.states.splice(0, Infinity, ...now);
    if (look === 4) execution.states.push("completed");
  };
  assertEquals(await follow(execution), ["started", "completed"]);
});

Deno.test("of very many changes between two looks the last ones are told", async () => {
  const execution = new ScriptedExecution("created");
  execution.onLook = (look) => {
    if (look !== 2) return;
    for (let index = 0; index < 30; index++) execution.states.push(`s${index}`);
    execution.states.push("completed");
  };
  const events = await follow(execution);
  assertEquals(events.slice(-3), ["s28", "s29", "completed"]);
  assertEquals(new Set(events).size, events.length);
});

Deno.test("steps of one second are told once each, even if they are hundreds", async () => {
  const execution = new ScriptedExecution("started");
  const names: string[] = [];
  execution.onLook = (look) => {
    for (let index = 0; index < 70 && look < 8; index++) {
      const name = `${look}/${index}`;
      names.push(name);
      execution.steps.push(step(5, name));
    }
    if (look === 9) execution.states.push("completed");
  };
  assertEquals(await follow(execution), ["started", ...names, "completed"]);
  assert(execution.read.items < 1000, `${execution.read.items} items`);
});

Deno.test("steps that are written late are told before the end", async () => {
  const execution = new ScriptedExecution("started");
  execution.onLook = (look) => {
    if (look === 1) execution.steps.push(step(10), step(20));
    if (look === 2) execution.steps.push(step(15, "late"), step(30));
    if (look === 3) execution.states.push("completed");
  };
  assertEquals(await follow(execution), [
    "started",
    "at 10",
    "at 20",
    "at 30",
    "late",
    "completed",
  ]);
});

Deno.test("following outlasts a server that is away, and tells nothing twice", async () => {
  const execution = new ScriptedExecution("created");
  execution.onLook = (look) => {
    if (look === 3) execution.states.push("started", "canceling");
    if (look === 5) {
      for (let second = 0; second < 250; second++) {
        execution.steps.push(step(second));
      }
    }
    if (look === 9) execution.states.push("canceled");
    return [2, 7].includes(look) ? badGateway() : undefined;
  };
  let failures = 0;
  execution.onVersion = () => ++failures === 1 ? badGateway() : undefined;
  // The second page, once, and the count at the end.
  let torn = 0;
  execution.onSteps = (_, { page, per_page }) =>
    (page === "2" || per_page === "1") && ++torn % 2 === 1
      ? badGateway()
      : undefined;
  assertEquals(await follow(execution), [
    "created",
    "started",
    "canceling",
    ...Array.from({ length: 250 }, (_, second) => `at ${second}`),
    "canceled",
  ]);
  assert(failures > 1 && torn > 2);
});

Deno.test("a step that is none is not told, and waited for", async () => {
  const broken: JsonValue[] = [null, {}, { time_finished: "1" }];
  for (const data of broken) {
    const execution = new ScriptedExecution("started");
    execution.steps.push(step(1), step(2));
    execution.onLook = (look) => {
      if (look === 4) execution.states.push("completed");
    };
    const items: JsonValue = [{ id: "a", version: 1, data }];
    execution.onSteps = (request) =>
      request === 2
        ? json({ items, page: 1, per_page: 100, total: 1 })
        : undefined;
    assertEquals(await follow(execution), [
      "started",
      "at 1",
      "at 2",
      "completed",
    ]);
  }
});

Deno.test("a version that is none is not told, and waited for", async () => {
  const execution = new ScriptedExecution("created");
  execution.onLook = (look) => {
    if (look === 2) execution.states.push("started", "completed");
  };
  let broken = 2;
  execution.onVersion = () => broken-- > 0 ? json({}) : undefined;
  assertEquals(await follow(execution), ["created", "started", "completed"]);
});

for (const place of ["onLook", "onSteps", "onVersion"] as const) {
  Deno.test(`a 403 ends the following at once: ${place}`, async () => {
    const execution = new ScriptedExecution("created");
    execution.onLook = (look) => {
      if (look === 2) execution.states.push("started", "canceling");
    };
    const refused = apiError.bind(null, 403, "Forbidden", "no");
    execution[place] = (number: number) => number > 1 ? refused() : undefined;
    if (place === "onLook") execution.states.push("started");
    await assertRejects(() => follow(execution), DecapodAPIError, "403");
  });
}

Deno.test("an execution that is not there is not waited for", async () => {
  await scripted(new ScriptedExecution("created"), async (client) => {
    const error = await assertRejects(
      () => client.followExecution(crypto.randomUUID()).next(),
      DecapodAPIError,
    );
    assertEquals(error.code, 404);
  });
});

Deno.test("following ends at its deadline", async () => {
  const execution = new ScriptedExecution("started");
  execution.steps.push(step(1));
  const events: string[] = [];
  await scripted(execution, async (client) => {
    const error = await assertRejects(async () => {
      for await (
        const event of client.followExecution(ID, { timeout: 40_000 })
      ) events.push(told(event));
    }, DecapodWaitTimeoutError);
    assertEquals(error.states, { started: execution.looks });
  }, 40_000);
  assertEquals(events, ["started", "at 1"]);
});

Deno.test("a deadline that passes while the caller works ends it at the next event", async () => {
  for (const after of [1, 2, 3]) {
    const execution = new ScriptedExecution("created", "started");
    execution.steps.push(step(1), step(2));
    await scripted(execution, async (client) => {
      const events = client.followExecution(ID, { timeout: 60 });
      for (let count = 0; count < after; count++) await events.next();
      // A timer of the same length that is set later goes off later.
      await new Promise((resolve) => setTimeout(resolve, 60));
      await assertRejects(() => events.next(), DecapodWaitTimeoutError);
    }, 60);
  }
});

Deno.test("an abort ends it between any two events, and lets go of the signal", async () => {
  const reason = new Error("enough");
  for (let after = 1; after <= 6; after++) {
    const execution = new ScriptedExecution("created");
    execution.onLook = (look) => {
      if (look === 2) execution.states.push("started", "canceling");
      if (look === 3) execution.states.push("canceled");
    };
    execution.steps.push(step(1), step(2));
    await scripted(execution, async (client) => {
      const counted = new CountedSignal();
      const { controller, signal } = counted;
      const events = client.followExecution(ID, { signal, timeout: 70_000 });
      for (let count = 0; count < after; count++) {
        assertEquals((await events.next()).done, false);
      }
      controller.abort(reason);
      if (after < 6) {
        const error = await assertRejects(() => events.next());
        assertStrictEquals(error, reason);
      }
      assertEquals((await events.next()).done, true); // the end has been told
      assertEquals(counted.listeners, 0);
    }, 70_000);
  }
});

Deno.test("leaving the loop leaves nothing behind", async () => {
  const execution = new ScriptedExecution("started");
  for (let second = 0; second < 250; second++) {
    execution.steps.push(step(second));
  }
  await scripted(execution, async (client) => {
    for (const after of ["started", "at 0", "at 120"]) {
      const counted = new CountedSignal();
      const { signal } = counted;
      const options = { signal, timeout: 70_000 };
      for await (const event of client.followExecution(ID, options)) {
        if (told(event) === after) break;
      }
      assertEquals(counted.listeners, 0);
    }
  }, 70_000);
});
