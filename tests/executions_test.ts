/** Tests of waitForExecution() and followExecution(). */

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
  DecapodExecutionError,
  DecapodResponseError,
  DecapodWaitTimeoutError,
  type Execution,
  type ExecutionEvent,
  type ExecutionStep,
  type JsonValue,
  type WaitOptions,
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
import { CountedSignal, fixedRandom } from "./support/patch.ts";
import { apiError, json, StandInServer } from "./support/server.ts";
import { inTime, skipWaits } from "./support/time.ts";

/** Waits for the execution; adds the waits between polls to `waits`. */
function wait(
  execution: ScriptedExecution,
  options: WaitOptions = {},
  waits: number[] = [],
): Promise<Execution> {
  return withExecution(
    execution,
    (client, skipped) =>
      client.waitForExecution(ID, options)
        .finally(() => waits.push(...skipped)),
    options.timeout ?? TIMEOUT,
  );
}

const sum = (waits: number[]) => waits.reduce((all, wait) => all + wait, 0);

Deno.test("waitForExecution() resolves with the completed execution", async () => {
  const changes = { 3: "started", 6: "completed" };
  const execution = new ScriptedExecution("created", changes);
  const seen: string[] = [];
  const onUpdate = ({ data }: Execution) => void seen.push(data.state);
  const { id, version, data } = await wait(execution, { onUpdate });
  assertEquals([id, version, data.state], [ID, 3, "completed"]);
  assertEquals(seen, ["created", "started", "completed"]);
  assertEquals([execution.polls, execution.read.requests], [6, 0]);
});

const LONGEST = 2 ** 31 - 1;
const RANGE = { min: 1000, max: 20_000 };

/** Intervals, a random number, and the first and the longest wait with it. */
const INTERVALS: [WaitOptions["interval"], number, number, number][] = [
  [undefined, 0, 1000, 7500],
  [undefined, 0.999999, 1250, 10_000],
  [20, 0, 20, 150],
  [RANGE, 0, 1000, 15_000],
  [RANGE, 0.999999, 1250, 20_000],
  [LONGEST, 0.999999, LONGEST, LONGEST],
];

Deno.test("waitForExecution() polls at jittered intervals that grow from min to max, and anew after a change", async () => {
  for (const [interval, random, first, longest] of INTERVALS) {
    using _ = fixedRandom(random);
    const changes = { 15: "started", 30: "completed" };
    const execution = new ScriptedExecution("created", changes);
    const waits: number[] = [];
    await wait(execution, { interval }, waits);
    assertEquals(waits.length, 29);
    for (const grown of [waits.slice(0, 14), waits.slice(14, 28)]) {
      const [shortest = 0, ...more] = grown.map(Math.round);
      assertEquals([shortest, more.at(-1)], [first, longest]);
      assertEquals(more, more.toSorted((a, b) => a - b));
    }
  }
});

const hang = () => new Promise<never>(() => {});

const SLOW = { timeout: 60_000, interval: { min: 7000, max: 7000 } };
const SHORT = { timeout: 100, interval: 1 };
const HANGS = { timeout: 50, onUpdate: hang };
const CONTINUES =
  "within 60000 ms: it is started and continues (polled created 1×, started 9×)";
const UNREAD = "ended as completed, but its details could not be read within";
const DOWN =
  `Execution ${ID} did not end within 20000 ms: no poll succeeded (GET `;

/** The first poll that hangs; at 0 each poll fails. */
const [EACH_FAILS, FIRST, SECOND, NONE] = [0, 1, 2, Infinity];

/** States, options, what happens to polls, the error's states and its message. */
const LATE: [string, WaitOptions, number, Record<string, number>, string][] = [
  ["created", SLOW, NONE, { created: 1, started: 9 }, CONTINUES],
  ["created", SHORT, FIRST, {}, "no poll succeeded"],
  ["created", SHORT, SECOND, { created: 1 }, "it is created"],
  ["created", HANGS, NONE, { created: 1 }, "is created"],
  ["completed", HANGS, NONE, { completed: 1 }, UNREAD],
  ["started", { timeout: 20_000 }, EACH_FAILS, {}, DOWN],
];

Deno.test("waitForExecution() rejects at the deadline with the states that it has seen, also while polls fail, or one or onUpdate hangs", async () => {
  for (const [state, options, polls, states, message] of LATE) {
    const execution = new ScriptedExecution(state, { 2: "started" });
    execution.onPoll = polls === EACH_FAILS
      ? badGateway
      : (poll) => poll === polls ? execution.hanging.promise : undefined;
    const error = await assertRejects(
      () => wait(execution, options),
      DecapodWaitTimeoutError,
      message,
    );
    assertEquals(error.states, states);
    assertEquals(error.execution?.data.state, Object.keys(states).at(-1));
    assertEquals(error.cause instanceof DecapodAPIError, polls === EACH_FAILS);
  }
});

Deno.test("waitForExecution() polls a last time half a second before the deadline", async () => {
  const execution = new ScriptedExecution("started", { 2: "completed" });
  const waits: number[] = [];
  const options = { timeout: 10_000, interval: 60_000 };
  assertEquals((await wait(execution, options, waits)).version, 2);
  const [only = 0, ...more] = waits;
  assert(only > 9000 && only <= 9500, String(only));
  assertEquals(more, []);
});

/** Responses that the matrix does not have. */
const UNUSABLE: (() => Response)[] = [
  () => apiError(408, "RequestTimeout", "slow"),
  () => apiError(429, "TooManyRequests", "busy"),
  () => json({ id: ID, version: 1 }),
  () => json({ id: ID, data: { state: "failed" } }),
  () => json({ version: 1, data: { playbook_configuration: {} } }),
  () => json({ version: 1, data: { state: "completed" } }),
];

Deno.test("waitForExecution() continues after a 408, a 429 and what is not an execution", async () => {
  for (const answer of UNUSABLE) {
    const execution = new ScriptedExecution("started", { 9: "completed" });
    execution.onPoll = (poll) =>
      [3, 4, 8, 9].includes(poll) ? undefined : answer();
    assertEquals((await wait(execution)).data.state, "completed");
    assertEquals(execution.polls, 9);
  }
});

Deno.test("waitForExecution() rejects if no poll succeeds within a minute", async () => {
  const headers = { location: "/login" };
  const redirect = () => new Response(null, { status: 302, headers });
  const cases = [
    [badGateway, DecapodAPIError],
    [redirect, DecapodResponseError],
  ] as const;
  for (const [answer, Class] of cases) {
    const execution = new ScriptedExecution("started");
    execution.onPoll = answer;
    const waits: number[] = [];
    await assertRejects(() => wait(execution, {}, waits), Class);
    const waited = sum(waits);
    // The requests take some of the minute, too.
    assert(waited > 59_000 && waited < 75_000, String(waited));
  }
});

Deno.test("waitForExecution() waits without limit for a server that responded before", async () => {
  const execution = new ScriptedExecution("started", { 60: "completed" });
  execution.onPoll = (poll) => poll > 1 && poll < 60 ? badGateway() : undefined;
  const waits: number[] = [];
  await wait(execution, {}, waits);
  assert(sum(waits) > 300_000);
});

Deno.test("waitForExecution() names failed steps and their servers, five at most, and returns all", async () => {
  const execution = new ScriptedExecution("started failed");
  execution.steps.push(
    { name: "fine", finished: 1 },
    { name: "prepare disk", finished: 2, result: "error" },
    { name: "reach it", finished: 3, result: "unreachable", server: null },
  );
  const error = await assertRejects(
    () => wait(execution),
    DecapodExecutionError,
    `Execution ${ID} of cluster_deploy ended as failed: failed steps are ` +
      '"prepare disk" on server server1 (error), "reach it" on server ' +
      "unknown (unreachable) (see getExecutionLog)",
  );
  assertEquals(error.execution.data.state, "failed");
  const names = error.failedSteps.map(({ data }) => data.name);
  assertEquals(names, ["prepare disk", "reach it"]);
  assertEquals(execution.read, { requests: 1, items: 2 });

  for (let index = 3; index <= 60; index++) {
    execution.steps.push({ name: `t${index}`, finished: 4, result: "error" });
  }
  const { failedSteps } = await assertRejects(
    () => wait(execution),
    DecapodExecutionError,
    '"t5" on server server1 (error), 55 more (see getExecutionLog)',
  );
  assertEquals(failedSteps.length, 60);
});

Deno.test("waitForExecution() reports a failure even if its failed steps cannot be read in time", async () => {
  const late = "ended as failed, but its details could not be read within 100";
  const cases = [[undefined, "DecapodAPIError: GET "], [100, late]] as const;
  for (const [timeout, reason] of cases) {
    const execution = new ScriptedExecution("failed");
    execution.onSteps = () =>
      timeout ? execution.hanging.promise : apiError(403, "Forbidden", "no");
    const { failedSteps, cause } = await assertRejects(
      () => wait(execution, { timeout }),
      DecapodExecutionError,
      "ended as failed (its failed steps could not be read)",
    );
    assertEquals([failedSteps, execution.read.requests], [[], 1]);
    assertStringIncludes(String(cause), reason);
  }
});

Deno.test("waitForExecution() rejects with the caller's reason at an abort while failed steps are read", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const execution = new ScriptedExecution("failed");
  execution.onSteps = () => {
    controller.abort("enough");
    return execution.hanging.promise;
  };
  const outcome = await wait(execution, { signal }).catch((reason) => reason);
  assertEquals(outcome, "enough");
});

const FAILS = "DecapodExecutionError";

/** States, the `expect` option, the last state or the error, and the polls. */
const LAST_STATES: [string, WaitOptions["expect"], string, number?][] = [
  ["started completed", undefined, "completed"],
  ["started canceled", undefined, FAILS],
  ["started failed", undefined, FAILS],
  ["started canceled", ["canceled"], "canceled"],
  ["canceled", ["canceled"], "canceled"],
  ["started canceling", ["canceled"], "canceled", 2],
  ["started completed", ["canceled"], FAILS],
  ["started failed", ["canceled", "completed"], FAILS],
  ["started failed", ["failed"], "failed"],
  ["started canceling", ["canceling", "canceled"], "canceling"],
  ["started unheard-of", ["unheard-of"], "unheard-of"],
];

Deno.test("waitForExecution() resolves with the first expected state, and rejects if it ends in another", async () => {
  for (const [states, expect, expected, polls = 1] of LAST_STATES) {
    const changes = { 2: "canceled" };
    const execution = new ScriptedExecution(`created ${states}`, changes);
    const outcome = await wait(execution, { expect })
      .then(({ data }) => data.state, ({ name }) => name);
    const label = `${states}, expected ${expect}`;
    assertEquals([outcome, execution.polls], [expected, polls], label);
  }
});

Deno.test("waitForExecution() awaits onUpdate and rejects with what it throws", async () => {
  const own = new Error("mine");
  let running = 0;
  const throwAtOnce = () => {
    throw own;
  };
  const throwLater: WaitOptions["onUpdate"] = async ({ data }) => {
    assertEquals(++running, 1);
    await new Promise((resolve) => setTimeout(resolve));
    running--;
    if (data.state === "completed") throw own;
  };
  const cases = [[throwAtOnce, 1], [throwLater, 3]] as const;
  for (const [onUpdate, polls] of cases) {
    const execution = new ScriptedExecution("started", { 3: "completed" });
    const error = await assertRejects(() => wait(execution, { onUpdate }));
    assertStrictEquals(error, own);
    assertEquals(execution.polls, polls);
  }
});

Deno.test("waitForExecution() sends its headers with each request", async () => {
  const execution = new ScriptedExecution("failed");
  await using server = new StandInServer({ servers: 0 }, execution.answer);
  await using client = server.client();
  const waiting = client.waitForExecution(ID, { headers: { "x-mine": "1" } });
  await assertRejects(() => inTime(waiting), DecapodExecutionError);
  const sent = server.exchanges.map(({ headers }) => headers.get("x-mine"));
  assertEquals(sent, [null, "1", "1"]); // the login, the poll, the steps
});

Deno.test("waitForExecution() calls a getExecution() that was overridden", async () => {
  await withExecution(new ScriptedExecution("started"), async (client) => {
    const { getExecution } = client;
    client.getExecution = async (...args) => {
      const execution = await getExecution.apply(client, args);
      return { ...execution, data: { ...execution.data, state: "completed" } };
    };
    assertEquals((await client.waitForExecution(ID)).data.state, "completed");
  });
});

/** The state or the name of the step. */
function label(event: ExecutionEvent): string {
  return event.type === "state"
    ? event.execution.data.state
    : event.step.data.name;
}

/** The labels of all events. */
const follow = (execution: ScriptedExecution) =>
  withExecution(
    execution,
    (client) => Array.fromAsync(client.followExecution(ID), label),
  );

/** A step that finished at this second. */
function step(finished: number, name = `at ${finished}`): ScriptedStep {
  return { finished, name };
}

Deno.test("followExecution() yields each of 2,000 steps once and in order, and reads few twice", async () => {
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
  const size = { servers: 50, steps: 2000 };
  const times = { duration: 3_600_000, delay: 5000 };
  const { id } = server.standIn.seedExecution({ ...size, ...times });
  const states: string[] = [];
  const steps: ExecutionStep[] = [];
  using _ = skipWaits(TIMEOUT);
  for await (const event of client.followExecution(String(id))) {
    if (event.type === "step") steps.push(event.step);
    else states.push(`${event.execution.data.state} after ${steps.length}`);
  }
  const expected = "created after 0,started after 0,completed after 2000";
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
  assert(items < 2200 + 50 * polls, `${items} items in ${polls} polls`);
  assert(reads.length <= 20 + 2 * polls, `${reads.length} requests`);
  assert(polls > 100);
});

Deno.test("followExecution() yields states and steps in order, then steps written late, the terminal state last", async () => {
  const changes = { 2: "started", 6: "failed" };
  const execution = new ScriptedExecution("created", changes);
  const { steps } = execution;
  execution.onPoll = (poll) => {
    if (poll === 3) steps.push(step(10), step(11, "b"));
    if (poll === 4) steps.push(step(11, "c"), step(12));
    if (poll === 5) steps.push(step(9, "late"));
  };
  execution.onSteps = () => {
    // Written after the poll, before the steps are read.
    if (execution.polls === 6 && steps.length === 5) steps.push(step(13));
  };
  const events = "created,started,at 10,b,c,at 12,at 13,late,failed";
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

const MANY = Array.from({ length: 29 }, (_, index) => `s${index}`);

/** States of new versions at the second poll, and those that are yielded. */
const REPLAYED: [states: string, yielded: string][] = [
  ["started started canceling", "started,canceling,canceled"],
  ["started completed", "started,completed"],
  [`${MANY.join(" ")} completed`, `${MANY.slice(-16)},completed`],
];

Deno.test("followExecution() yields each state between two polls once, of very many only the last", async () => {
  for (const [states, yielded] of REPLAYED) {
    const changes = { 2: states, 3: "canceled" };
    const execution = new ScriptedExecution("created", changes);
    let reads = 0;
    execution.onVersion = () => void reads++;
    assertEquals((await follow(execution)).join(), `created,${yielded}`);
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
    const outcome = await wait(awaited, { onUpdate })
      .then(({ data }) => data.state, String);
    assertStringIncludes(outcome, end);
    assertEquals(states, expected);
    assertEquals(awaited.polls, 7);
  }
});

Deno.test("followExecution() and waitForExecution() ignore an outdated copy, also in an expected state", async () => {
  const withOutdated = () => {
    const changes = { 3: "started completed" };
    const execution = new ScriptedExecution("created started", changes);
    execution.onPoll = (poll) => {
      if (poll === 2) execution.states.pop(); // the copy of another server
    };
    return execution;
  };
  assertEquals(await follow(withOutdated()), ["started", "completed"]);
  const { version } = await wait(withOutdated(), {
    expect: ["created", "completed"],
  });
  assertEquals(version, 3);
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

/** A page with one step. */
const stepPage = (data: JsonValue) =>
  json({
    items: [{ id: "a", version: 1, data }],
    page: 1,
    per_page: 100,
    total: 1,
  });

Deno.test("followExecution() polls again after an invalid step or version", async () => {
  const broken: JsonValue[] = [null, {}, { time_finished: "1" }];
  for (const data of broken) {
    const changes = { 2: "started started", 4: "completed" };
    const execution = new ScriptedExecution("created", changes);
    execution.steps.push(step(1), step(2));
    let versions = 2;
    execution.onVersion = () => versions-- > 0 ? json({}) : undefined;
    execution.onSteps = (request) => request === 1 ? stepPage(data) : undefined;
    const expected = "created,started,at 1,at 2,completed";
    assertEquals((await follow(execution)).join(), expected);
    assert(versions < 0 && execution.read.requests > 1);
  }
});

const forbid = (number: number) =>
  number > 1 ? apiError(403, "Forbidden", "no") : undefined;

type Place = "onPoll" | "onSteps" | "onVersion";

/** Responses that polling again would not change, and the error. */
const FATAL: [Place, (number: number) => Response | undefined, string][] = [
  ["onPoll", forbid, "403"],
  ["onSteps", forbid, "403"],
  ["onVersion", forbid, "403"],
  ["onSteps", () => stepPage({}), "step a has no time_finished"],
];

Deno.test("followExecution() rejects at the first 403 of a poll, of steps or of a version, and if steps never have a time", async () => {
  for (const [place, answer, message] of FATAL) {
    const changes = { 2: "started canceling" };
    const execution = new ScriptedExecution("created started", changes);
    execution[place] = answer;
    await assertRejects(() => follow(execution), DecapodError, message);
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

/** An option, invalid values, the error's class and a part of its message. */
const INVALID: [string, unknown[], ErrorConstructor, part?: string][] = [
  ["timeout", [0, -1, NaN, Infinity], RangeError],
  ["interval", [0, -5, NaN, null, [], {}, { min: -1, max: 5 }], RangeError],
  ["interval", [{ min: 5 }, { min: 1, max: NaN }], RangeError, "interval.max"],
  ["interval", [{ min: 6, max: 5 }], RangeError, "got min 6 and max 5"],
  ["interval", [{ min: 1, most: 5 }], TypeError, '"interval.most"'],
  ["intervall", [5], TypeError, '"intervall": did you mean "interval"?'],
  ["signal", [{}], TypeError],
  ["expect", [[], "completed", [1]], TypeError],
  ["onUpdate", [1], TypeError],
];

Deno.test("waitForExecution() and followExecution() reject invalid options and send nothing", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const follow = (options: object) =>
    client.followExecution(ID, options).next();
  for (const [name, values, Class, part = name] of INVALID) {
    for (const options of values.map((value) => ({ [name]: value }))) {
      const label = Deno.inspect(options);
      const wait = () => client.waitForExecution(ID, options);
      await assertRejects(wait, Class, part, label);
      await assertRejects(() => follow(options), Class, part, label);
    }
  }
  await assertRejects(() => follow({ expect: ["failed"] }), TypeError);
  assertEquals(server.exchanges, []);
});
