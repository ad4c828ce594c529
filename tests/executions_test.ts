/** Tests of waitForExecution(), and of the options of followExecution(). */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodExecutionError,
  DecapodResponseError,
  DecapodWaitTimeoutError,
  type Execution,
  V1Client,
  type WaitOptions,
} from "../mod.ts";
import {
  badGateway,
  ID,
  ScriptedExecution,
  TIMEOUT,
  withExecution,
} from "./support/execution.ts";
import { fixedRandom } from "./support/patch.ts";
import { apiError, json, StandInServer } from "./support/server.ts";
import { LOGGED_IN } from "./support/stub.ts";
import { inTime } from "./support/time.ts";

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
  const { id, version, data } = await wait(execution, {
    onUpdate: ({ data }) => void seen.push(data.state),
  });
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

Deno.test("waitForExecution() rejects at the deadline with the states that it has seen", async () => {
  const options = { timeout: 60_000, interval: { min: 7000, max: 7000 } };
  const execution = new ScriptedExecution("created", { 2: "started" });
  const waits: number[] = [];
  const error = await assertRejects(
    () => wait(execution, options, waits),
    DecapodWaitTimeoutError,
  );
  const polls = waits.length;
  assertEquals(execution.polls, polls + 1);
  assertEquals(error.execution?.data.state, "started");
  assertEquals(error.states, { created: 1, started: polls });
  assertEquals(
    error.message,
    `Execution ${ID} did not end within 60000 ms: it is started and continues (polled created 1×, started ${polls}×)`,
  );
  const last = sum(waits);
  assert(last > 59_000 && last < 60_000, String(last));
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

Deno.test("waitForExecution() aborts a hanging poll at the deadline", async () => {
  for (const [poll, text] of [[1, "no poll succeeded"], [2, "it is started"]]) {
    const execution = new ScriptedExecution("started");
    execution.onPoll = (number) =>
      number === poll ? execution.hanging.promise : undefined;
    await assertRejects(
      () => wait(execution, { timeout: 100, interval: 1 }),
      DecapodWaitTimeoutError,
      String(text),
    );
  }
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
  for (
    const [answer, Class] of [
      [badGateway, DecapodAPIError],
      [redirect, DecapodResponseError],
    ] as const
  ) {
    const execution = new ScriptedExecution("started");
    execution.onPoll = answer;
    const waits: number[] = [];
    await assertRejects(() => wait(execution, {}, waits), Class);
    const waited = sum(waits);
    // The requests take some of the minute, too.
    assert(waited > 59_000 && waited < 75_000, String(waited));
  }
});

Deno.test("waitForExecution() says at the deadline that no poll succeeded", async () => {
  const execution = new ScriptedExecution("started");
  execution.onPoll = badGateway;
  const error = await assertRejects(
    () => wait(execution, { timeout: 20_000 }),
    DecapodWaitTimeoutError,
    `Execution ${ID} did not end within 20000 ms: no poll succeeded (GET `,
  );
  assertInstanceOf(error.cause, DecapodAPIError);
  assertEquals(error.cause.code, 502);
  assertEquals([error.execution, error.states], [undefined, {}]);
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
  const forbid = () => apiError(403, "Forbidden", "no");
  const hang = ({ hanging }: ScriptedExecution) => hanging.promise;
  for (
    const [onSteps, options, reason] of [
      [forbid, {}, "DecapodAPIError: GET "],
      [
        hang,
        { timeout: 100 },
        `DecapodWaitTimeoutError: Execution ${ID} ended as failed, but its details could not be read within 100 ms`,
      ],
    ] as const
  ) {
    const execution = new ScriptedExecution("failed");
    execution.onSteps = () => onSteps(execution);
    const { failedSteps, cause } = await assertRejects(
      () => wait(execution, options),
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

/** States, the `expect` option, and the state of the result, if any. */
const LAST_STATES: [string, WaitOptions["expect"], string?][] = [
  ["started completed", undefined, "completed"],
  ["started canceled", undefined],
  ["started failed", undefined],
  ["started canceled", ["canceled"], "canceled"],
  ["canceled", ["canceled"], "canceled"],
  ["started canceling", ["canceled"], "canceled"],
  ["started completed", ["canceled"]],
  ["started failed", ["canceled", "completed"]],
  ["started failed", ["failed"], "failed"],
  ["started canceling", ["canceling", "canceled"], "canceling"],
  ["started unheard-of", ["unheard-of"], "unheard-of"],
];

Deno.test("waitForExecution() resolves with the first expected state, and rejects if it ends in another", async () => {
  for (const [states, expect, state] of LAST_STATES) {
    const changes = { 2: "canceled" };
    const execution = new ScriptedExecution(`created ${states}`, changes);
    const label = `${states}, expected ${expect}`;
    if (state) {
      assertEquals(
        (await wait(execution, { expect })).data.state,
        state,
        label,
      );
    } else {
      await assertRejects(
        () => wait(execution, { expect }),
        DecapodExecutionError,
        `ended as ${states.split(" ")[1]}`,
        label,
      );
    }
    assertEquals(execution.polls, states.endsWith(state ?? "") ? 1 : 2, label);
  }
});

Deno.test("waitForExecution() ignores an outdated copy, also in an expected state", async () => {
  const changes = { 3: "started completed" };
  const execution = new ScriptedExecution("created started", changes);
  execution.onPoll = (poll) => {
    if (poll === 2) execution.states.pop(); // the copy of another server
  };
  const seen: string[] = [];
  await wait(execution, {
    expect: ["created", "completed"],
    onUpdate: ({ data }) => void seen.push(data.state),
  });
  assertEquals(seen, ["started", "completed"]);
  assertEquals(execution.polls, 3);
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
  for (
    const [onUpdate, polls] of [[throwAtOnce, 1], [throwLater, 3]] as const
  ) {
    const execution = new ScriptedExecution("started", { 3: "completed" });
    const error = await assertRejects(() => wait(execution, { onUpdate }));
    assertStrictEquals(error, own);
    assertEquals(execution.polls, polls);
  }
});

Deno.test("waitForExecution() rejects at the deadline while onUpdate hangs", async () => {
  const onUpdate = () => new Promise<void>(() => {});
  for (
    const [state, message] of [
      ["started", "did not end within 50 ms: it is started"],
      ["completed", "within 50 ms"],
    ] as const
  ) {
    await assertRejects(
      () => wait(new ScriptedExecution(state), { timeout: 50, onUpdate }),
      DecapodWaitTimeoutError,
      message,
    );
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
  await assertRejects(
    () => follow({ expect: ["failed"] }),
    TypeError,
    "expect",
  );
  assertEquals(server.exchanges, []);
});

Deno.test("waitForExecution() calls the getExecution() of a subclass", async () => {
  class Client extends V1Client {
    override async getExecution(...args: Parameters<V1Client["getExecution"]>) {
      const execution = await super.getExecution(...args);
      const data = { ...execution.data, state: "completed" };
      return { ...execution, data };
    }
  }
  const execution = new ScriptedExecution("started");
  await withExecution(execution, async ({ url }) => {
    const account = { login: "root", password: "root" };
    const client = new Client(url, { ...account, ...LOGGED_IN });
    assertEquals((await client.waitForExecution(ID)).data.state, "completed");
  });
});
