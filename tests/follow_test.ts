/** Tests of followExecution(), and of what waitForExecution() has in common. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodError,
  DecapodWaitTimeoutError,
  type Execution,
  type ExecutionEvent,
  type ExecutionStep,
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
async function follow(execution: ScriptedExecution): Promise<string[]> {
  const events = await withExecution(
    execution,
    (client) => Array.fromAsync(client.followExecution(ID)),
  );
  return events.map(label);
}

/** A step that finished at this second. */
function step(finished: number, name = `at ${finished}`): ScriptedStep {
  return { finished, name };
}

Deno.test("followExecution() yields each of 10,000 steps once and in order, and reads few twice", async () => {
  const clock = new TestClock();
  let polls = 0;
  await using server = new StandInServer({ now: clock.now }, ({ path }) => {
    if (polls > 1000) return apiError(403, "TooManyPolls", "It must end");
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
  const steps: ExecutionStep[] = [];
  using _ = skipWaits(TIMEOUT);
  for await (const event of client.followExecution(String(id))) {
    if (event.type === "step") steps.push(event.step);
    else states.push(`${event.execution.data.state} after ${steps.length}`);
  }
  const expected = "created after 0,started after 0,completed after 10000";
  assertEquals(states.join(), expected);
  const places = steps.map(({ id, data }) =>
    `${String(data.time_finished).padStart(12, "0")} ${id}`
  );
  assertEquals(places, [...new Set(places)].sort());
  assertEquals(new Set(steps.map(({ data }) => data.server_id)).size, 50);

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
  const changes = { 2: "started", 6: "failed" };
  const execution = new ScriptedExecution("created", changes);
  execution.onPoll = (poll) => {
    if (poll === 3) execution.steps.push(step(10), step(11, "b"));
    if (poll === 4) execution.steps.push(step(11, "c"), step(12));
  };
  execution.onSteps = () => {
    // Written after the poll, before the steps are read.
    if (execution.polls === 6 && execution.steps.length === 4) {
      execution.steps.push(step(13));
    }
  };
  const events = "created,started,at 10,b,c,at 12,at 13,failed";
  assertEquals((await follow(execution)).join(), events);
});

Deno.test("followExecution() can start while an execution runs and after its end", async () => {
  for (const state of ["", " completed", " failed", " canceled"]) {
    const states = `created started${state}`;
    const execution = new ScriptedExecution(states, { 2: "completed" });
    // Read in pages, yielded in the order in which they finished.
    const expected = Array.from({ length: 250 }, (_, second) => step(second));
    execution.steps.push(...expected.toReversed());
    const names = expected.map(({ name }) => name);
    const first = state === "" ? ["started"] : [];
    const last = state.trim() || "completed";
    assertEquals(await follow(execution), [...first, ...names, last]);
  }
});

Deno.test("followExecution() yields each state between two polls once, of very many the last", async () => {
  const many = Array.from({ length: 29 }, (_, index) => `s${index}`).join(" ");
  const last = many.split(" ").slice(-16);
  for (
    const [changes, expected] of [
      [
        { 2: "started started canceling", 3: "canceled" },
        ["started", "canceling", "canceled"],
      ],
      [{ 2: "started completed" }, ["started", "completed"]],
      [{ 2: `${many} completed` }, [...last, "completed"]],
    ] as const
  ) {
    const execution = new ScriptedExecution("created", changes);
    let reads = 0;
    execution.onVersion = () => void reads++;
    assertEquals(await follow(execution), ["created", ...expected]);
    assert(reads <= 16, String(reads));
  }
});

Deno.test("followExecution() and waitForExecution() continue if an execution still runs that was canceled before", async () => {
  for (const end of ["completed", "failed", "canceled"]) {
    const changes = { 2: "canceled", 5: "started", 7: end };
    const expected = ["created", "canceled", "started", end];
    const execution = new ScriptedExecution("created", changes);
    assertEquals(await follow(execution), expected);

    const awaited = new ScriptedExecution("created", changes);
    const states: string[] = [];
    const onUpdate = ({ data }: Execution) => void states.push(data.state);
    const outcome = await withExecution(
      awaited,
      (client) =>
        client.waitForExecution(ID, { onUpdate })
          .then(({ data }) => data.state, String),
    );
    assertStringIncludes(outcome, end);
    assertEquals(states, expected);
    assertEquals(awaited.polls, 7);
  }
});

Deno.test("followExecution() ignores an outdated copy of the execution", async () => {
  const changes = { 3: "started", 4: "completed" };
  const execution = new ScriptedExecution("created started", changes);
  execution.onPoll = (poll) => {
    if (poll === 2) execution.states.pop(); // the copy of another server
  };
  assertEquals(await follow(execution), ["started", "completed"]);
});

Deno.test("followExecution() yields each of hundreds of steps that started in the same second once", async () => {
  const execution = new ScriptedExecution("started", { 9: "completed" });
  const names: string[] = [];
  execution.onPoll = (poll) => {
    for (let index = 0; index < 70 && poll < 8; index++) {
      const name = `${poll}/${index}`;
      names.push(name);
      execution.steps.push(step(5, name));
    }
  };
  assertEquals(await follow(execution), ["started", ...names, "completed"]);
  assert(execution.read.items < 1000, `${execution.read.items} items`);
});

Deno.test("followExecution() yields steps that are written late before the end", async () => {
  const execution = new ScriptedExecution("started", { 3: "completed" });
  execution.onPoll = (poll) => {
    if (poll === 1) execution.steps.push(step(10), step(20));
    if (poll === 2) execution.steps.push(step(15, "late"), step(30));
  };
  const steps = ["at 10", "at 20", "at 30", "late"];
  assertEquals(await follow(execution), ["started", ...steps, "completed"]);
});

Deno.test("followExecution() continues after failed requests and yields nothing twice", async () => {
  const changes = { 3: "started canceling", 9: "canceled" };
  const execution = new ScriptedExecution("created", changes);
  const steps = Array.from({ length: 250 }, (_, second) => step(second));
  execution.onPoll = (poll) => {
    if (poll === 5) execution.steps.push(...steps);
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
  const states = ["created", "started", "canceling"];
  const names = steps.map(({ name }) => name);
  assertEquals(await follow(execution), [...states, ...names, "canceled"]);
  assert(failures > 1 && torn > 2);
});

Deno.test("followExecution() polls again after an invalid step or version", async () => {
  const broken: JsonValue[] = [null, {}, { time_finished: "1" }];
  for (const data of broken) {
    const changes = { 2: "started started", 4: "completed" };
    const execution = new ScriptedExecution("created", changes);
    execution.steps.push(step(1), step(2));
    let versions = 2;
    execution.onVersion = () => versions-- > 0 ? json({}) : undefined;
    const items: JsonValue = [{ id: "a", version: 1, data }];
    const page = { items, page: 1, per_page: 100, total: 1 };
    execution.onSteps = (request) => request === 1 ? json(page) : undefined;
    const expected = "created,started,at 1,at 2,completed";
    assertEquals((await follow(execution)).join(), expected);
    assert(versions < 0 && execution.read.requests > 1);
  }
});

Deno.test("followExecution() rejects at the first 403 of a poll, of steps or of a version", async () => {
  for (const place of ["onPoll", "onSteps", "onVersion"] as const) {
    const changes = { 2: "started canceling" };
    const execution = new ScriptedExecution("created started", changes);
    execution[place] = (number: number) =>
      number > 1 ? apiError(403, "Forbidden", "no") : undefined;
    await assertRejects(() => follow(execution), DecapodAPIError, "403");
  }
});

Deno.test("followExecution() rejects at the next event if the deadline passed meanwhile", async () => {
  for (const after of [1, 2, 3]) {
    const execution = new ScriptedExecution("created started");
    execution.steps.push(step(1), step(2));
    await withExecution(execution, async (client) => {
      const events = client.followExecution(ID, { timeout: 60 });
      for (let count = 0; count < after; count++) await events.next();
      // A timer of the same delay that is set later fires later.
      await new Promise((resolve) => setTimeout(resolve, 60));
      await assertRejects(() => events.next(), DecapodWaitTimeoutError);
    }, 60);
  }
});

Deno.test("followExecution() stops at an abort or return() between any two events and leaves no listener", async () => {
  const reason = new Error("enough");
  for (let after = 1; after <= 6; after++) {
    for (const isAborted of [true, false]) {
      const changes = { 2: "started canceling", 3: "canceled" };
      const execution = new ScriptedExecution("created", changes);
      execution.steps.push(step(1), step(2));
      await withExecution(execution, async (client) => {
        const counted = new CountedSignal();
        const { controller, signal } = counted;
        const events = client.followExecution(ID, { signal, timeout: 70_000 });
        for (let count = 0; count < after; count++) {
          assertEquals((await events.next()).done, false);
        }
        if (isAborted) controller.abort(reason);
        else await events.return();
        if (isAborted && after < 6) {
          const error = await assertRejects(() => events.next());
          assertStrictEquals(error, reason);
        }
        assertEquals((await events.next()).done, true); // the end was yielded
        assertEquals(counted.listeners, 0);
      }, 70_000);
    }
  }
});

Deno.test("followExecution() rejects if its steps never have a time", async () => {
  const execution = new ScriptedExecution("started");
  const items: JsonValue = [{ id: "a", version: 1, data: {} }];
  execution.onSteps = () => json({ items, page: 1, per_page: 100, total: 1 });
  await assertRejects(
    () => follow(execution),
    DecapodError,
    "step a has no time_finished",
  );
});
