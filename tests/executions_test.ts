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
  V1Client,
  type WaitOptions,
} from "../mod.ts";
import {
  badGateway,
  ID,
  ScriptedExecution,
  withExecution,
} from "./support/execution.ts";
import { fixedRandom } from "./support/patch.ts";
import { apiError, json, StandInServer } from "./support/server.ts";
import { inTime } from "./support/time.ts";

const sum = (waits: number[]) => waits.reduce((all, wait) => all + wait, 0);

Deno.test("waitForExecution() resolves with the completed execution", async () => {
  const execution = new ScriptedExecution("created", {
    3: "started",
    6: "completed",
  });
  const seen: string[] = [];
  await withExecution(execution, async (client) => {
    const { id, version, data } = await client.waitForExecution(ID, {
      onUpdate: ({ data }) => void seen.push(data.state),
    });
    assertEquals([id, version, data.state], [ID, 3, "completed"]);
  });
  assertEquals(seen, ["created", "started", "completed"]);
  assertEquals(execution.polls, 6);
  assertEquals(execution.read.requests, 0);
});

Deno.test("waitForExecution() polls at growing, jittered intervals between min and max", async () => {
  const interval = { min: 1000, max: 20_000 };
  const all = new Set<number>();
  for (let round = 0; round < 5; round++) {
    const changes = { 15: "started", 30: "completed" };
    const execution = new ScriptedExecution("created", changes);
    await withExecution(execution, async (client, waits) => {
      await client.waitForExecution(ID, { interval });
      assertEquals(waits.length, 29);
      for (const wait of waits) {
        assert(wait >= interval.min && wait <= interval.max, String(wait));
        all.add(wait);
      }
      // The first is short, they grow, and are short again after a change.
      for (const short of [0, 14]) assert((waits[short] ?? NaN) <= 1250);
      for (const long of [13, 28]) assert((waits[long] ?? NaN) >= 15_000);
    });
  }
  assert(all.size > 100, "the intervals have jitter");
});

Deno.test("waitForExecution() takes a number as the shortest interval, ten times it as the longest", async () => {
  for (
    const [interval, random, first, last] of [
      [undefined, 0, 1000, 7500],
      [undefined, 0.999999, 1250, 10_000],
      [20, 0, 20, 150],
      [2 ** 31 - 1, 0.999999, 2 ** 31 - 1, 2 ** 31 - 1],
    ] as const
  ) {
    const execution = new ScriptedExecution("started", { 12: "completed" });
    await withExecution(execution, async (client, waits) => {
      using _ = fixedRandom(random);
      await client.waitForExecution(ID, { interval });
      assertEquals(Math.round(waits[0] ?? 0), first);
      assertEquals(Math.round(waits.at(-1) ?? 0), last);
    });
  }
});

Deno.test("waitForExecution() rejects at the deadline, after a last poll just before it", async () => {
  const timeout = 60_000;
  for (const interval of [{ min: 7000, max: 7000 }, { min: 1e6, max: 1e6 }]) {
    const execution = new ScriptedExecution("created", { 2: "started" });
    await withExecution(execution, async (client, waits) => {
      const error = await assertRejects(
        () => client.waitForExecution(ID, { timeout, interval }),
        DecapodWaitTimeoutError,
      );
      const polls = waits.length + 1;
      assertEquals(execution.polls, polls);
      assertEquals(error.execution?.data.state, "started");
      assertEquals(error.states, { created: 1, started: polls - 1 });
      assertEquals(
        error.message,
        `Execution ${ID} did not end within 60000 ms: it is started and continues (polled created 1×, started ${
          polls - 1
        }×)`,
      );
      const last = sum(waits);
      assert(last > timeout - 1000 && last < timeout, String(last));
    }, timeout);
  }
});

Deno.test("waitForExecution() polls a last time half a second before the deadline", async () => {
  const execution = new ScriptedExecution("started", { 2: "completed" });
  await withExecution(execution, async (client, waits) => {
    const options = { timeout: 10_000, interval: 60_000 };
    const { data } = await client.waitForExecution(ID, options);
    assertEquals(data.state, "completed");
    const [wait = 0, ...more] = waits;
    assert(wait > 9000 && wait <= 9500, `${wait}`);
    assertEquals(more, []);
  });
});

Deno.test("waitForExecution() aborts a hanging poll at the deadline", async () => {
  const execution = new ScriptedExecution("started");
  execution.onPoll = (poll) =>
    poll === 2 ? execution.hanging.promise : undefined;
  await withExecution(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID, { timeout: 200, interval: 1 }),
      DecapodWaitTimeoutError,
      "it is started and continues (polled started 1×)",
    );
    assertEquals(error.states, { started: 1 });
  }, 200);
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
      poll < 3 || poll > 4 && poll < 8 ? answer() : undefined;
    const { data } = await withExecution(
      execution,
      (client) => client.waitForExecution(ID),
    );
    assertEquals([data.state, execution.polls], ["completed", 9]);
  }
});

Deno.test("waitForExecution() rejects at the first 400", async () => {
  for (const at of [1, 3]) {
    const execution = new ScriptedExecution("started");
    execution.onPoll = (poll) =>
      poll >= at ? apiError(400, "Permanent", "no") : undefined;
    await withExecution(execution, (client) =>
      assertRejects(
        () => client.waitForExecution(ID),
        DecapodAPIError,
        "400",
      ));
    assertEquals(execution.polls, at);
  }
});

Deno.test("waitForExecution() rejects if no poll succeeds within a minute", async () => {
  const headers = { location: "/login" };
  for (
    const [answer, Class] of [
      [badGateway, DecapodAPIError],
      [
        () => new Response(null, { status: 302, headers }),
        DecapodResponseError,
      ],
    ] as const
  ) {
    const execution = new ScriptedExecution("started");
    execution.onPoll = answer;
    await withExecution(execution, async (client, waits) => {
      await assertRejects(() => client.waitForExecution(ID), Class);
      const waited = sum(waits);
      // The requests take some of the minute, too.
      assert(waited > 59_000 && waited < 75_000, String(waited));
    });
  }
});

Deno.test("waitForExecution() says at the deadline that no poll succeeded", async () => {
  const execution = new ScriptedExecution("started");
  execution.onPoll = badGateway;
  await withExecution(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID, { timeout: 20_000 }),
      DecapodWaitTimeoutError,
      `Execution ${ID} did not end within 20000 ms: no poll succeeded (GET `,
    );
    assertInstanceOf(error.cause, DecapodAPIError);
    assertEquals(error.cause.code, 502);
    assertEquals(error.execution, undefined);
    assertEquals(error.states, {});
  }, 20_000);
});

Deno.test("waitForExecution() waits without limit for a server that responded before", async () => {
  const execution = new ScriptedExecution("started", { 60: "completed" });
  execution.onPoll = (poll) => poll > 1 && poll < 60 ? badGateway() : undefined;
  await withExecution(execution, async (client, waits) => {
    await client.waitForExecution(ID);
    assert(sum(waits) > 300_000);
  });
});

/** Waits for an execution that fails, perhaps with a timeout. */
function failure(
  execution: ScriptedExecution,
  message: string,
  ...timeouts: [] | [number]
): Promise<DecapodExecutionError> {
  const [timeout] = timeouts;
  return withExecution(execution, (client) =>
    assertRejects(
      () => client.waitForExecution(ID, { timeout }),
      DecapodExecutionError,
      message,
    ), ...timeouts);
}

Deno.test("waitForExecution() names the failed steps and their servers", async () => {
  const execution = new ScriptedExecution("started failed");
  execution.steps.push(
    { name: "fine", finished: 1 },
    { name: "prepare disk", finished: 2, result: "error" },
    { name: "reach it", finished: 3, result: "unreachable", server: null },
  );
  const error = await failure(
    execution,
    `Execution ${ID} of cluster_deploy ended as failed: failed steps are ` +
      '"prepare disk" on server server1 (error), "reach it" on server ' +
      "unknown (unreachable) (see getExecutionLog)",
  );
  assertEquals(error.execution.data.state, "failed");
  const names = error.failedSteps.map(({ data }) => data.name);
  assertEquals(names, ["prepare disk", "reach it"]);
  assertEquals(execution.read, { requests: 1, items: 2 });
});

Deno.test("waitForExecution() names five of many failed steps and returns all", async () => {
  const execution = new ScriptedExecution("failed");
  for (let index = 0; index < 60; index++) {
    execution.steps.push({ name: `t${index}`, finished: 1, result: "error" });
  }
  const { message, failedSteps } = await failure(
    execution,
    '"t4" on server server1 (error), 55 more (see getExecutionLog)',
  );
  assertEquals(failedSteps.length, 60);
  assertEquals(message.includes('"t5"'), false);
});

Deno.test("waitForExecution() reports a failure even if its failed steps cannot be read", async () => {
  const execution = new ScriptedExecution("failed");
  execution.onSteps = () => apiError(403, "Forbidden", "no");
  const message = "ended as failed (its failed steps could not be read)";
  const { failedSteps, cause } = await failure(execution, message);
  assertEquals(failedSteps, []);
  assertInstanceOf(cause, DecapodAPIError);
  assertEquals(cause.code, 403);
  assertEquals(execution.read.requests, 1);
});

Deno.test("waitForExecution() reports a failure at the deadline while its failed steps are read", async () => {
  const execution = new ScriptedExecution("failed");
  execution.onSteps = () => execution.hanging.promise;
  const message = "(its failed steps could not be read)";
  const { cause } = await failure(execution, message, 100);
  assertInstanceOf(cause, DecapodWaitTimeoutError);
  assertStringIncludes(
    cause.message,
    "ended as failed, but its details could not be read within 100 ms",
  );
});

Deno.test("waitForExecution() rejects with the caller's reason at an abort while failed steps are read", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const execution = new ScriptedExecution("failed");
  execution.onSteps = () => {
    controller.abort("enough");
    return execution.hanging.promise;
  };
  await withExecution(execution, async (client) => {
    const waiting = client.waitForExecution(ID, { signal });
    assertEquals(await waiting.catch((reason) => reason), "enough");
  });
});

/** A last state, the `expect` option, and whether that is an error. */
const LAST_STATES: [string, WaitOptions["expect"], boolean][] = [
  ["completed", undefined, false],
  ["canceled", undefined, true],
  ["failed", undefined, true],
  ["canceled", ["canceled"], false],
  ["completed", ["canceled"], true],
  ["failed", ["canceled", "completed"], true],
  ["failed", ["failed"], false],
  ["canceling", ["canceling", "canceled"], false],
  ["unheard-of", ["unheard-of"], false],
];

for (const [state, expect, isError] of LAST_STATES) {
  Deno.test(`waitForExecution() ${isError ? "rejects" : "resolves"} if expect is ${expect ?? "the default"} and the state ${state}`, async () => {
    const execution = new ScriptedExecution(`created started ${state}`);
    await withExecution(execution, async (client) => {
      const waiting = client.waitForExecution(ID, { expect });
      if (isError) {
        await assertRejects(
          () => waiting,
          DecapodExecutionError,
          `ended as ${state}`,
        );
      } else assertEquals((await waiting).data.state, state);
    });
  });
}

Deno.test("waitForExecution() waits for canceled if it is expected, and no longer", async () => {
  for (const states of ["created canceled", "created started canceling"]) {
    const execution = new ScriptedExecution(states, { 2: "canceled" });
    const { data: { state }, version } = await withExecution(
      execution,
      (client) => client.waitForExecution(ID, { expect: ["canceled"] }),
    );
    const polls = states.endsWith("canceled") ? 1 : 2;
    assertEquals([state, execution.polls], ["canceled", polls]);
    assertEquals(version, 2 * polls);
  }
});

Deno.test("waitForExecution() ignores an outdated copy, also in an expected state", async () => {
  const execution = new ScriptedExecution("created started", {
    3: "started completed",
  });
  execution.onPoll = (poll) => {
    if (poll === 2) execution.states.pop(); // the copy of another server
  };
  const seen: string[] = [];
  await withExecution(execution, async (client) => {
    await client.waitForExecution(ID, {
      expect: ["created", "completed"],
      onUpdate: ({ data }) => void seen.push(data.state),
    });
  });
  assertEquals(seen, ["started", "completed"]);
  assertEquals(execution.polls, 3);
});

Deno.test("waitForExecution() awaits onUpdate and rejects with what it throws", async () => {
  const own = new Error("mine");
  for (const early of [true, false]) {
    const execution = new ScriptedExecution("started", { 3: "completed" });
    await withExecution(execution, async (client) => {
      let running = 0;
      const throwAtOnce = () => {
        throw own;
      };
      const throwLater: WaitOptions["onUpdate"] = async ({ data }) => {
        assertEquals(++running, 1);
        await client.getInfo();
        running--;
        if (data.state === "completed") throw own;
      };
      const onUpdate = early ? throwAtOnce : throwLater;
      const error = await assertRejects(() =>
        client.waitForExecution(ID, { onUpdate })
      );
      assertStrictEquals(error, own);
    });
    assertEquals(execution.polls, early ? 1 : 3);
  }
});

Deno.test("waitForExecution() rejects at the deadline while onUpdate hangs", async () => {
  for (
    const [state, message] of [
      ["started", "did not end within 50 ms: it is started"],
      ["completed", "within 50 ms"],
    ] as const
  ) {
    await withExecution(new ScriptedExecution(state), async (client) => {
      const onUpdate = () => new Promise<void>(() => {});
      await assertRejects(
        () => client.waitForExecution(ID, { timeout: 50, onUpdate }),
        DecapodWaitTimeoutError,
        message,
      );
    }, 50);
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

/** Invalid options of both methods. */
const INVALID: [object, string][] = [
  [{ timeout: 0 }, "Invalid timeout"],
  [{ timeout: -1 }, "Invalid timeout"],
  [{ timeout: NaN }, "Invalid timeout"],
  [{ timeout: Infinity }, "Invalid timeout"],
  [{ interval: 0 }, "Invalid interval"],
  [{ interval: -5 }, "Invalid interval"],
  [{ interval: NaN }, "Invalid interval"],
  [{ interval: null }, "Invalid interval"],
  [{ interval: {} }, "Invalid interval.min"],
  [{ interval: [] }, "Invalid interval"],
  [{ interval: { min: 5 } }, "Invalid interval.max"],
  [{ interval: { min: -1, max: 5 } }, "Invalid interval.min"],
  [{ interval: { min: 1, max: NaN } }, "Invalid interval.max"],
  [
    { interval: { min: 6, max: 5 } },
    "Invalid interval: must have min ≤ max, got min 6 and max 5",
  ],
];

/** The same, where the type is wrong, not the value. */
const WRONG_TYPE: [object, string][] = [
  [{ interval: { min: 1, most: 5 } }, 'Unknown option "interval.most"'],
  [{ signal: {} }, "Invalid signal"],
  [{ intervall: 5 }, 'Unknown option "intervall": did you mean "interval"?'],
];
const WRONG_TYPE_OF_WAIT: typeof WRONG_TYPE = [
  [{ expect: [] }, "Invalid expect"],
  [{ expect: "completed" }, "Invalid expect"],
  [{ expect: [1] }, "Invalid expect"],
  [{ onUpdate: 1 }, "Invalid onUpdate"],
];
const WRONG_TYPE_OF_FOLLOW: typeof WRONG_TYPE = [
  [{ expect: ["completed"] }, 'Unknown option "expect"'],
];

Deno.test("waitForExecution() and followExecution() reject invalid options and send nothing", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const wait = (id: string, options?: object) =>
    client.waitForExecution(id, options);
  const follow = (id: string, options?: object) =>
    client.followExecution(id, options).next();
  for (
    const [run, wrongType] of [
      [wait, WRONG_TYPE_OF_WAIT],
      [follow, WRONG_TYPE_OF_FOLLOW],
    ] as const
  ) {
    for (const [options, message] of INVALID) {
      await assertRejects(() => run(ID, options), RangeError, message);
    }
    for (const [options, message] of [...WRONG_TYPE, ...wrongType]) {
      await assertRejects(() => run(ID, options), TypeError, message);
    }
    for (const id of ["", ".", "..", JSON.parse("1")]) {
      await assertRejects(() => run(id), TypeError, "Invalid id");
    }
  }
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
    const client = new Client(url, {
      login: "root",
      password: "root",
      headers: { authorization: "token" },
    });
    assertEquals((await client.waitForExecution(ID)).data.state, "completed");
  });
});
