/** Tests of followExecution(). */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodExecutionError,
  DecapodWaitTimeoutError,
  type ExecutionEvent,
  type ExecutionState,
  type FollowOptions,
  type JsonValue,
} from "../mod.ts";
import { TestClock } from "./standin/mod.ts";
import {
  badGateway,
  ID,
  ScriptedExecution,
  type ScriptedStep,
  TIMEOUT,
  withExecution,
} from "./support/execution.ts";
import { CountedSignal } from "./support/patch.ts";
import { apiError, json, StandInServer } from "./support/server.ts";
import { skipWaits } from "./support/time.ts";

/** The state or the name of the step. */
function label(event: ExecutionEvent): string {
  return event.type === "state"
    ? event.execution.data.state
    : event.step.data.name;
}

/** The labels of all events. */
async function follow(
  execution: ScriptedExecution,
  options?: FollowOptions,
): Promise<string[]> {
  const events: string[] = [];
  await withExecution(execution, async (client) => {
    for await (const event of client.followExecution(ID, options)) {
      events.push(label(event));
    }
  });
  return events;
}

/** A step that finished at this second. */
function step(finished: number, name = `at ${finished}`): ScriptedStep {
  return { finished, name };
}

Deno.test("followExecution() yields each of 10,000 steps once and in order, and reads few twice", async () => {
  const clock = new TestClock();
  let polls = 0;
  await using server = new StandInServer({ now: clock.now }, ({ path }) => {
    // Many, few or no steps between two polls.
    if (/execution\/[^/]+\/$/.test(path)) {
      clock.advance([0, 500, 3000, 30_000][polls++ % 4] ?? 0);
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
  assert(items < 11_000 + 50 * polls, `${items} items in ${polls} polls`);
  assert(reads.length <= 100 + 2 * polls, `${reads.length} requests`);
  assert(polls > 100);
});

Deno.test("followExecution() yields states and steps in order, the terminal state last", async () => {
  const execution = new ScriptedExecution("created");
  execution.onPoll = (poll) => {
    if (poll === 2) execution.states.push("started");
    if (poll === 3) execution.steps.push(step(10), step(11, "b"));
    if (poll === 4) execution.steps.push(step(11, "c"), step(12));
    if (poll === 6) execution.states.push("failed");
  };
  execution.onSteps = () => {
    // Written after the poll, before the steps are read.
    if (execution.polls === 6 && execution.steps.length === 4) {
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

Deno.test("followExecution() can start while an execution runs and after its end", async () => {
  for (const state of ["started", "completed", "failed", "canceled"]) {
    const execution = new ScriptedExecution("created", "started");
    if (state !== "started") execution.states.push(state);
    // Read in pages, yielded in the order in which they finished.
    const expected = Array.from({ length: 250 }, (_, second) => step(second));
    execution.steps.push(...expected.toReversed());
    execution.onPoll = (poll) => {
      if (poll === 2) execution.states.push("completed");
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

Deno.test("followExecution() yields each state between two polls once", async () => {
  const execution = new ScriptedExecution("created");
  execution.onPoll = (poll) => {
    if (poll === 2) execution.states.push("started", "started", "canceling");
    if (poll === 3) execution.states.push("canceled");
  };
  assertEquals(await follow(execution), [
    "created",
    "started",
    "canceling",
    "canceled",
  ]);
  const quick = new ScriptedExecution("created");
  quick.onPoll = (poll) => {
    if (poll === 2) quick.states.push("started", "completed");
  };
  assertEquals(await follow(quick), ["created", "started", "completed"]);
});

/** States of an execution that was canceled before it started. */
const CANCELED_BEFORE_START = ["created", "canceled", "started"];

Deno.test("followExecution() continues if an execution that was canceled in time still runs", async () => {
  for (const end of ["completed", "failed", "canceled"]) {
    const execution = new ScriptedExecution("created");
    execution.onPoll = (poll) => {
      if (poll === 2) execution.states.push("canceled");
      if (poll === 5) execution.states.push("started");
      if (poll === 7) execution.states.push(end);
    };
    assertEquals(await follow(execution), [...CANCELED_BEFORE_START, end]);
  }
});

Deno.test("waitForExecution() continues if an execution that was canceled in time still runs", async () => {
  for (const end of ["completed", "failed", "canceled"]) {
    const execution = new ScriptedExecution("created");
    execution.onPoll = (poll) => {
      if (poll === 2) execution.states.push("canceled");
      if (poll === 5) execution.states.push("started");
      if (poll === 7) execution.states.push(end);
    };
    const states: string[] = [];
    await withExecution(execution, async (client) => {
      const waiting = client.waitForExecution(ID, {
        onUpdate: ({ data }) => {
          states.push(data.state);
        },
      });
      if (end === "completed") assertEquals((await waiting).version, 4);
      else await assertRejects(() => waiting, DecapodExecutionError, end);
    });
    assertEquals(states, [...CANCELED_BEFORE_START, end]);
    assertEquals(execution.polls, 7);
  }
});

Deno.test("waitForExecution() resolves at once with canceled if it is expected", async () => {
  const execution = new ScriptedExecution("created", "canceled");
  await withExecution(execution, async (client) => {
    const expect: ExecutionState[] = ["canceled"];
    const { version } = await client.waitForExecution(ID, { expect });
    assertEquals(version, 2);
  });
  assertEquals(execution.polls, 1);
});

Deno.test("waitForExecution() ignores an outdated copy of the execution", async () => {
  const execution = new ScriptedExecution("created", "started");
  const states = [...execution.states];
  execution.onPoll = (poll) => {
    const now = poll === 2 ? states.slice(0, 1) : states;
    execution.states.splice(0, Infinity, ...now);
    if (poll === 3) execution.states.push("completed");
  };
  const seen: string[] = [];
  await withExecution(execution, async (client) => {
    await client.waitForExecution(ID, {
      onUpdate: ({ data }) => void seen.push(data.state),
    });
  });
  assertEquals(seen, ["started", "completed"]);
});

Deno.test("followExecution() ignores an outdated copy of the execution", async () => {
  const execution = new ScriptedExecution("created", "started");
  const states = [...execution.states];
  execution.onPoll = (poll) => {
    const now = poll === 2 ? states.slice(0, 1) : states;
    execution.states.splice(0, Infinity, ...now);
    if (poll === 4) execution.states.push("completed");
  };
  assertEquals(await follow(execution), ["started", "completed"]);
});

Deno.test("followExecution() yields the last states of very many between two polls", async () => {
  const execution = new ScriptedExecution("created");
  execution.onPoll = (poll) => {
    if (poll !== 2) return;
    for (let index = 0; index < 30; index++) execution.states.push(`s${index}`);
    execution.states.push("completed");
  };
  const events = await follow(execution);
  assertEquals(events.slice(-3), ["s28", "s29", "completed"]);
  assertEquals(new Set(events).size, events.length);
});

Deno.test("followExecution() yields hundreds of steps of one second once each", async () => {
  const execution = new ScriptedExecution("started");
  const names: string[] = [];
  execution.onPoll = (poll) => {
    for (let index = 0; index < 70 && poll < 8; index++) {
      const name = `${poll}/${index}`;
      names.push(name);
      execution.steps.push(step(5, name));
    }
    if (poll === 9) execution.states.push("completed");
  };
  assertEquals(await follow(execution), ["started", ...names, "completed"]);
  assert(execution.read.items < 1000, `${execution.read.items} items`);
});

Deno.test("followExecution() yields steps that are written late before the end", async () => {
  const execution = new ScriptedExecution("started");
  execution.onPoll = (poll) => {
    if (poll === 1) execution.steps.push(step(10), step(20));
    if (poll === 2) execution.steps.push(step(15, "late"), step(30));
    if (poll === 3) execution.states.push("completed");
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

Deno.test("followExecution() continues after failed requests and yields nothing twice", async () => {
  const execution = new ScriptedExecution("created");
  execution.onPoll = (poll) => {
    if (poll === 3) execution.states.push("started", "canceling");
    if (poll === 5) {
      for (let second = 0; second < 250; second++) {
        execution.steps.push(step(second));
      }
    }
    if (poll === 9) execution.states.push("canceled");
    return [2, 7].includes(poll) ? badGateway() : undefined;
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

Deno.test("followExecution() polls again after an invalid step", async () => {
  const broken: JsonValue[] = [null, {}, { time_finished: "1" }];
  for (const data of broken) {
    const execution = new ScriptedExecution("started");
    execution.steps.push(step(1), step(2));
    execution.onPoll = (poll) => {
      if (poll === 4) execution.states.push("completed");
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

Deno.test("followExecution() polls again after an invalid version", async () => {
  const execution = new ScriptedExecution("created");
  execution.onPoll = (poll) => {
    if (poll === 2) execution.states.push("started", "completed");
  };
  let broken = 2;
  execution.onVersion = () => broken-- > 0 ? json({}) : undefined;
  assertEquals(await follow(execution), ["created", "started", "completed"]);
});

for (const place of ["onPoll", "onSteps", "onVersion"] as const) {
  Deno.test(`followExecution() rejects at the first 403: ${place}`, async () => {
    const execution = new ScriptedExecution("created");
    execution.onPoll = (poll) => {
      if (poll === 2) execution.states.push("started", "canceling");
    };
    const forbidden = apiError.bind(null, 403, "Forbidden", "no");
    execution[place] = (number: number) => number > 1 ? forbidden() : undefined;
    if (place === "onPoll") execution.states.push("started");
    await assertRejects(() => follow(execution), DecapodAPIError, "403");
  });
}

Deno.test("followExecution() rejects if the id is unknown", async () => {
  await withExecution(new ScriptedExecution("created"), async (client) => {
    const error = await assertRejects(
      () => client.followExecution(crypto.randomUUID()).next(),
      DecapodAPIError,
    );
    assertEquals(error.code, 404);
  });
});

Deno.test("followExecution() rejects at its deadline", async () => {
  const execution = new ScriptedExecution("started");
  execution.steps.push(step(1));
  const events: string[] = [];
  await withExecution(execution, async (client) => {
    const error = await assertRejects(async () => {
      for await (
        const event of client.followExecution(ID, { timeout: 40_000 })
      ) events.push(label(event));
    }, DecapodWaitTimeoutError);
    assertEquals(error.states, { started: execution.polls });
  }, [40_000]);
  assertEquals(events, ["started", "at 1"]);
});

Deno.test("followExecution() rejects at the next event if the deadline passed meanwhile", async () => {
  for (const after of [1, 2, 3]) {
    const execution = new ScriptedExecution("created", "started");
    execution.steps.push(step(1), step(2));
    await withExecution(execution, async (client) => {
      const events = client.followExecution(ID, { timeout: 60 });
      for (let count = 0; count < after; count++) await events.next();
      // A timer of the same delay that is set later fires later.
      await new Promise((resolve) => setTimeout(resolve, 60));
      await assertRejects(() => events.next(), DecapodWaitTimeoutError);
    }, [60]);
  }
});

Deno.test("followExecution() stops at an abort between any two events and leaves no listener", async () => {
  const reason = new Error("enough");
  for (let after = 1; after <= 6; after++) {
    const execution = new ScriptedExecution("created");
    execution.onPoll = (poll) => {
      if (poll === 2) execution.states.push("started", "canceling");
      if (poll === 3) execution.states.push("canceled");
    };
    execution.steps.push(step(1), step(2));
    await withExecution(execution, async (client) => {
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
      assertEquals((await events.next()).done, true); // the end was yielded
      assertEquals(counted.listeners, 0);
    }, [70_000]);
  }
});

Deno.test("followExecution() leaves no listener when its loop is left", async () => {
  const execution = new ScriptedExecution("started");
  for (let second = 0; second < 250; second++) {
    execution.steps.push(step(second));
  }
  await withExecution(execution, async (client) => {
    for (const after of ["started", "at 0", "at 120"]) {
      const counted = new CountedSignal();
      const { signal } = counted;
      const options = { signal, timeout: 70_000 };
      for await (const event of client.followExecution(ID, options)) {
        if (label(event) === after) break;
      }
      assertEquals(counted.listeners, 0);
    }
  }, [70_000]);
});

Deno.test("followExecution() reads at most 16 versions between two polls", async () => {
  const execution = new ScriptedExecution("created");
  execution.onPoll = (poll) => {
    if (poll === 2) {
      execution.states.push(...Array<string>(29).fill("started"), "completed");
    }
  };
  const read: number[] = [];
  execution.onVersion = (version) => {
    read.push(version);
    return undefined;
  };
  assertEquals(await follow(execution), ["created", "started", "completed"]);
  const latest = execution.states.length;
  assertEquals(read, Array.from({ length: 16 }, (_, n) => latest - 16 + n));
});
