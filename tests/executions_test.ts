/** Tests of waitForExecution(). */

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
  DecapodConnectionError,
  DecapodError,
  DecapodExecutionError,
  DecapodResponseError,
  DecapodWaitTimeoutError,
  type WaitOptions,
} from "../mod.ts";
import { TestClock } from "./standin/mod.ts";
import {
  badGateway,
  ID,
  ScriptedExecution,
  TIMEOUT,
  withExecution,
} from "./support/execution.ts";
import { CountedSignal, fixedRandom } from "./support/patch.ts";
import { http, RawServer } from "./support/raw.ts";
import { apiError, json, makeClient, StandInServer } from "./support/server.ts";
import { skipWaits } from "./support/time.ts";

Deno.test("waitForExecution() resolves with the completed execution", async () => {
  const execution = new ScriptedExecution("created");
  execution.onPoll = (poll) => {
    if (poll === 3) execution.states.push("started");
    if (poll === 6) execution.states.push("completed");
  };
  const seen: string[] = [];
  await withExecution(execution, async (client) => {
    const done = await client.waitForExecution(ID, {
      onUpdate: ({ data }) => {
        seen.push(data.state);
      },
    });
    assertEquals([done.id, done.version, done.data.state], [
      ID,
      3,
      "completed",
    ]);
  });
  assertEquals(seen, ["created", "started", "completed"]);
  assertEquals(execution.polls, 6);
  assertEquals(execution.read.requests, 0);
});

Deno.test("waitForExecution() polls at growing, jittered intervals between min and max", async () => {
  const bounds = { min: 1000, max: 20_000 };
  const all = new Set<number>();
  for (let round = 0; round < 5; round++) {
    const execution = new ScriptedExecution("created");
    execution.onPoll = (poll) => {
      if (poll === 15) execution.states.push("started");
      if (poll === 30) execution.states.push("completed");
    };
    await withExecution(execution, async (client, waits) => {
      await client.waitForExecution(ID, { interval: bounds });
      assertEquals(waits.length, 29);
      for (const wait of waits) {
        assert(wait >= bounds.min && wait <= bounds.max, String(wait));
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
    const execution = new ScriptedExecution("started");
    execution.onPoll = (poll) => {
      if (poll === 12) execution.states.push("completed");
    };
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
    const execution = new ScriptedExecution("created");
    execution.onPoll = (poll) => {
      if (poll === 2) execution.states.push("started");
    };
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
      const last = waits.reduce((sum, wait) => sum + wait, 0);
      assert(last > timeout - 1000 && last < timeout, String(last));
    }, [timeout]);
  }
});

Deno.test("waitForExecution() notices an end just before the deadline", async () => {
  const execution = new ScriptedExecution("started");
  execution.onPoll = (poll) => {
    if (poll === 2) execution.states.push("completed");
  };
  await withExecution(execution, async (client) => {
    const timeout = 60_000;
    const options = { timeout, interval: 1e6 };
    const done = await client.waitForExecution(ID, options);
    assertEquals(done.data.state, "completed");
  }, [60_000]);
});

Deno.test("waitForExecution() aborts a hanging poll at the deadline", async () => {
  const held = Promise.withResolvers<undefined>();
  const execution = new ScriptedExecution("started");
  execution.onPoll = (poll) => poll === 2 ? held.promise : undefined;
  await withExecution(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID, { timeout: 200, interval: 1 }),
      DecapodWaitTimeoutError,
      "it is started and continues (polled started 1×)",
    ).finally(() => held.resolve(undefined));
    assertEquals(error.states, { started: 1 });
  }, [200]);
});

/** Responses of a server that is unavailable for a while. */
const UNAVAILABLE: Record<string, () => Response> = {
  "a proxy's 502": badGateway,
  "503": () => apiError(503, "ServiceUnavailable", "later"),
  "408": () => apiError(408, "RequestTimeout", "slow"),
  "504": () => apiError(504, "GatewayTimeout", "late"),
  "429": () => apiError(429, "TooManyRequests", "slower"),
  "500": () => apiError(500, "InternalServerError", "crash"),
  "an HTML page": () =>
    new Response("<html>Back soon</html>", {
      headers: { "content-type": "text/html" },
    }),
  "truncated JSON": () =>
    new Response('{"id": ', {
      headers: { "content-type": "application/json" },
    }),
};

for (
  const [name, text] of Object.entries({
    "an execution without data": `{"id":"${ID}","version":1}`,
    "an execution without a version":
      `{"id":"${ID}","data":{"state":"failed"}}`,
    "an execution without a state":
      '{"version":1,"data":{"playbook_configuration":{}}}',
    "an execution without a playbook":
      '{"version":1,"data":{"state":"completed"}}',
  })
) UNAVAILABLE[name] = () => json(JSON.parse(text));

for (const [name, answer] of Object.entries(UNAVAILABLE)) {
  Deno.test(`waitForExecution() continues after ${name}`, async () => {
    const execution = new ScriptedExecution("started");
    execution.onPoll = (poll) => {
      if (poll === 9) execution.states.push("completed");
      return poll < 3 || poll > 4 && poll < 8 ? answer() : undefined;
    };
    await withExecution(execution, async (client) => {
      const done = await client.waitForExecution(ID);
      assertEquals(done.data.state, "completed");
    });
    assertEquals(execution.polls, 9);
  });
}

Deno.test("waitForExecution() continues after refused connections", async () => {
  const execution = new ScriptedExecution("started");
  const listen = (port: number) =>
    Deno.serve(
      { hostname: "127.0.0.1", port, onListen() {} },
      async (request) => {
        const { pathname: path } = new URL(request.url);
        const { method, headers } = request;
        const exchange = { method, path, query: {}, headers, body: undefined };
        return await execution.answer(exchange) ?? badGateway();
      },
    );
  let server = listen(0);
  const { port } = server.addr;
  const refused: unknown[] = [];
  await using client = makeClient(`http://127.0.0.1:${port}`, {
    retries: 0,
    timeout: TIMEOUT,
    headers: { authorization: "token" },
    onAttempt: ({ error }) => {
      if (error !== undefined && refused.push(error) === 3) {
        execution.states.push("completed");
        server = listen(port);
      }
    },
  });
  using _ = skipWaits(TIMEOUT);
  const done = await client.waitForExecution(ID, {
    onUpdate: async ({ data }) => {
      if (data.state === "started") await server.shutdown();
    },
  });
  assertEquals(done.data.state, "completed");
  for (const error of refused) assertInstanceOf(error, DecapodConnectionError);
  await server.shutdown();
});

Deno.test("waitForExecution() continues after connections that are reset or truncated", async () => {
  const execution = new ScriptedExecution("started");
  await using server = new RawServer(async (peer, number) => {
    if (number === 2) return await peer.firstByte(); // and resets the connection
    const request = await peer.request();
    if (number === 3) return await peer.send("HTTP/1.1 200 OK\r\n");
    if (number === 5) execution.states.push("completed");
    const [, path = ""] = request.split(" ");
    const answer = await execution.answer({
      method: "GET",
      path,
      query: {},
      headers: new Headers(),
      body: undefined,
    });
    const headers = { connection: "close" };
    await peer.send(http("200 OK", await answer?.text() ?? "", headers));
  });
  await using client = server.client({
    retries: 0,
    timeout: TIMEOUT,
    headers: { authorization: "token" },
  });
  using _ = skipWaits(TIMEOUT);
  const done = await client.waitForExecution(ID);
  assertEquals(done.data.state, "completed");
  assertEquals(server.connections, 5);
});

Deno.test("waitForExecution() logs in again when its token expires", async () => {
  const clock = new TestClock();
  let polls = 0;
  await using server: StandInServer = new StandInServer(
    { now: clock.now },
    ({ path }) => {
      if (!path.startsWith("/v1/execution/")) return undefined;
      if (++polls === 2) server.standIn.revokeTokens();
      clock.advance(10_000);
      return undefined;
    },
  );
  await using client = server.client({ retries: 0, timeout: TIMEOUT });
  const { id } = server.standIn.seedExecution();
  using _ = skipWaits(TIMEOUT);
  const done = await client.waitForExecution(String(id));
  assertEquals(done.data.state, "completed");
  assertEquals(server.logins, 2);
});

for (const code of [400, 401, 403, 404]) {
  Deno.test(`waitForExecution() rejects at the first ${code}`, async () => {
    for (const at of [1, 3]) {
      const execution = new ScriptedExecution("started");
      execution.onPoll = (poll) =>
        poll >= at ? apiError(code, "Permanent", "no") : undefined;
      await withExecution(execution, async (client) => {
        const error = await assertRejects(
          () => client.waitForExecution(ID),
          DecapodAPIError,
        );
        assertEquals(error.code, code);
      });
      // A token may have expired: after a 401 the client logs in again.
      assertEquals(execution.polls, code === 401 ? at + 1 : at);
    }
  });
}

Deno.test("waitForExecution() rejects if no poll succeeds within a minute", async () => {
  const execution = new ScriptedExecution("started");
  execution.onPoll = () => badGateway();
  await withExecution(execution, async (client, waits) => {
    await assertRejects(() => client.waitForExecution(ID), DecapodAPIError);
    const waited = waits.reduce((sum, wait) => sum + wait, 0);
    assert(waited >= 60_000 && waited < 75_000, String(waited));
  });
});

Deno.test("waitForExecution() says at the deadline that no poll got a response", async () => {
  const execution = new ScriptedExecution("started");
  execution.onPoll = () => badGateway();
  await withExecution(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID, { timeout: 20_000 }),
      DecapodWaitTimeoutError,
      `Execution ${ID} did not end within 20000 ms: no poll got a response`,
    );
    assertEquals(error.execution, undefined);
    assertEquals(error.states, {});
  }, [20_000]);
});

Deno.test("waitForExecution() waits without limit for a server that responded before", async () => {
  const execution = new ScriptedExecution("started");
  execution.onPoll = (poll) => {
    if (poll === 60) execution.states.push("completed");
    return poll > 1 && poll < 60 ? badGateway() : undefined;
  };
  await withExecution(execution, async (client, waits) => {
    await client.waitForExecution(ID);
    assert(waits.reduce((sum, wait) => sum + wait, 0) > 300_000);
  });
});

Deno.test("waitForExecution() names the failed steps and their servers", async () => {
  const execution = new ScriptedExecution("started", "failed");
  execution.steps.push(
    { name: "fine", finished: 1 },
    { name: "prepare disk", finished: 2, result: "error" },
    { name: "reach it", finished: 3, result: "unreachable", server: null },
  );
  await withExecution(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID),
      DecapodExecutionError,
    );
    assertEquals(
      error.message,
      `Execution ${ID} of cluster_deploy ended as failed: failed steps are ` +
        '"prepare disk" on server server1 (error), "reach it" on server ' +
        "unknown (unreachable) (see getExecutionLog)",
    );
    assertEquals(error.execution.data.state, "failed");
    assertEquals(
      error.failedSteps.map(({ data }) => data.name),
      ["prepare disk", "reach it"],
    );
  });
  assertEquals(execution.read, { requests: 1, items: 2 });
});

Deno.test("waitForExecution() names five of many failed steps and returns all", async () => {
  const execution = new ScriptedExecution("failed");
  for (let index = 0; index < 60; index++) {
    execution.steps.push({ name: `t${index}`, finished: 1, result: "error" });
  }
  await withExecution(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID),
      DecapodExecutionError,
      '"t4" on server server1 (error), 55 more (see getExecutionLog)',
    );
    assertEquals(error.failedSteps.length, 60);
    assertEquals(error.message.includes('"t5"'), false);
  });
});

Deno.test("waitForExecution() reports a failure even if its failed steps cannot be read", async () => {
  const execution = new ScriptedExecution("failed");
  execution.onSteps = () => apiError(403, "Forbidden", "no");
  await withExecution(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID),
      DecapodExecutionError,
      "ended as failed (its failed steps could not be read)",
    );
    assertEquals(error.failedSteps, []);
    assertInstanceOf(error.cause, DecapodAPIError);
    assertEquals(error.cause.code, 403);
  });
  assertEquals(execution.read.requests, 1);
});

Deno.test("waitForExecution() reports a failure at the deadline while its failed steps are read", async () => {
  const held = Promise.withResolvers<undefined>();
  const execution = new ScriptedExecution("failed");
  execution.onSteps = () => held.promise;
  await withExecution(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID, { timeout: 100 }),
      DecapodExecutionError,
      "(its failed steps could not be read)",
    ).finally(() => held.resolve(undefined));
    assertInstanceOf(error.cause, DecapodWaitTimeoutError);
    assertStringIncludes(
      error.cause.message,
      "ended as failed, but was not reported completely within 100 ms",
    );
  }, [100]);
});

Deno.test("waitForExecution() rejects with the caller's reason at an abort while failed steps are read", async () => {
  const held = Promise.withResolvers<undefined>();
  const controller = new AbortController();
  const execution = new ScriptedExecution("failed");
  execution.onSteps = () => {
    controller.abort("enough");
    return held.promise;
  };
  await withExecution(execution, async (client) => {
    const { signal } = controller;
    const waiting = client.waitForExecution(ID, { signal });
    assertEquals(await waiting.catch((reason) => reason), "enough");
    held.resolve(undefined);
  });
});

Deno.test("waitForExecution() and followExecution() reject at logout() between two polls", async () => {
  const execution = new ScriptedExecution("started");
  await using server = new StandInServer({ servers: 0 }, execution.answer);
  const client = server.client();
  const interval = 60_000;
  const message = "canceled by logout() or disposal (is an await missing?)";
  const updated = Promise.withResolvers<void>();
  const waiting = assertRejects(
    () =>
      client.waitForExecution(ID, {
        interval,
        onUpdate: () => updated.resolve(),
      }),
    DecapodError,
    message,
  );
  const events = client.followExecution(ID, { interval });
  await events.next();
  const following = assertRejects(() => events.next(), DecapodError, message);
  await updated.promise;
  await client.logout();
  await Promise.all([waiting, following]);
  const { polls } = execution;
  await client.getInfo();
  assertEquals(execution.polls, polls);
  await client.logout();
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
  ["a new state", ["a new state"], false],
];

for (const [state, expect, isError] of LAST_STATES) {
  Deno.test(`waitForExecution() ${isError ? "rejects" : "resolves"} if expect is ${expect ?? "the default"} and the state ${state}`, async () => {
    const execution = new ScriptedExecution("created", "started", state);
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

Deno.test("waitForExecution() waits for canceled while an execution is canceling", async () => {
  const clock = new TestClock();
  await using server = new StandInServer({ now: clock.now }, ({ path }) => {
    if (path.startsWith("/v1/execution/")) clock.advance(100);
    return undefined;
  });
  await using client = server.client({ timeout: TIMEOUT });
  const seeded = server.standIn.seedExecution({ servers: 2, steps: 200 });
  const id = String(seeded.id);
  await client.waitForExecution(id, { expect: ["started"], interval: 1 });
  const seen: string[] = [];
  await client.cancelExecution(id);
  const end = await client.waitForExecution(id, {
    expect: ["canceled"],
    interval: 1,
    onUpdate: ({ data }) => {
      seen.push(data.state);
    },
  });
  assertEquals(end.data.state, "canceled");
  assertEquals(seen, ["canceling", "canceled"]);
});

Deno.test("waitForExecution() names the failed steps of the stand-in", async () => {
  const clock = new TestClock();
  await using server = new StandInServer({ now: clock.now }, ({ path }) => {
    if (path.startsWith("/v1/execution/")) clock.advance(1000);
    return undefined;
  });
  await using client = server.client();
  const task = "task 000003";
  const seeded = server.standIn.seedExecution({ failures: [{ task }] });
  const error = await assertRejects(
    () => client.waitForExecution(String(seeded.id), { interval: 1 }),
    DecapodExecutionError,
    `"${task}" on server `,
  );
  assertEquals(error.failedSteps.length, 3);
  for (const { data } of error.failedSteps) {
    assertStringIncludes(error.message, String(data.server_id));
  }
});

Deno.test("waitForExecution() awaits onUpdate and rejects with what it throws", async () => {
  for (const early of [true, false]) {
    const execution = new ScriptedExecution("started");
    execution.onPoll = (poll) => {
      if (poll === 3) execution.states.push("completed");
    };
    const own = new Error("mine");
    await withExecution(execution, async (client) => {
      let running = 0;
      const error = await assertRejects(() =>
        client.waitForExecution(ID, {
          onUpdate: early
            ? () => {
              throw own;
            }
            : async ({ data }) => {
              assertEquals(++running, 1);
              await client.getInfo();
              running--;
              if (data.state === "completed") throw own;
            },
        })
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
      await assertRejects(
        () =>
          client.waitForExecution(ID, {
            timeout: 50,
            onUpdate: () => new Promise(() => {}),
          }),
        DecapodWaitTimeoutError,
        message,
      );
    }, [50]);
  }
});

Deno.test("waitForExecution() sends its headers with each request", async () => {
  const execution = new ScriptedExecution("failed");
  await using server = new StandInServer({ servers: 0 }, execution.answer);
  await using client = server.client();
  const headers = { "x-mine": "1" };
  await assertRejects(
    () => client.waitForExecution(ID, { headers }),
    DecapodExecutionError,
  );
  const sent = server.exchanges.filter(({ path }) =>
    path.startsWith("/v1/execution/")
  );
  assertEquals(sent.map(({ headers }) => headers.get("x-mine")), ["1", "1"]);
});

Deno.test("waitForExecution() leaves no listener and no timer after an abort", async () => {
  await withExecution(new ScriptedExecution("started"), async (client) => {
    const counted = new CountedSignal();
    const { controller, signal } = counted;
    const reason = { enough: true };
    const waiting = client.waitForExecution(ID, {
      signal,
      timeout: 90_000,
      onUpdate: () => controller.abort(reason),
    });
    assertStrictEquals(await waiting.catch((error) => error), reason);
    assertEquals(counted.listeners, 0);
    const again = client.waitForExecution(ID, { signal });
    assertStrictEquals(await again.catch((error) => error), reason);
  }, [90_000]);
});

/** Invalid options of both methods; JSON has neither NaN nor undefined. */
const INVALID: [unknown, typeof TypeError, string][] = [
  [{ timeout: 0 }, RangeError, "Invalid timeout"],
  [{ timeout: -1 }, RangeError, "Invalid timeout"],
  [{ timeout: NaN }, RangeError, "Invalid timeout"],
  [{ timeout: Infinity }, RangeError, "Invalid timeout"],
  [{ interval: 0 }, RangeError, "Invalid interval"],
  [{ interval: -5 }, RangeError, "Invalid interval"],
  [{ interval: NaN }, RangeError, "Invalid interval"],
  [{ interval: null }, RangeError, "Invalid interval"],
  [{ interval: {} }, RangeError, "Invalid interval.min"],
  [{ interval: [] }, RangeError, "Invalid interval"],
  [{ interval: { min: 5 } }, RangeError, "Invalid interval.max"],
  [{ interval: { min: -1, max: 5 } }, RangeError, "Invalid interval.min"],
  [{ interval: { min: 1, max: NaN } }, RangeError, "Invalid interval.max"],
  [
    { interval: { min: 6, max: 5 } },
    RangeError,
    "Invalid interval: must have min ≤ max, got min 6 and max 5",
  ],
  [
    { interval: { min: 1, most: 5 } },
    TypeError,
    'Unknown option "interval.most"',
  ],
  [{ signal: {} }, TypeError, "Invalid signal"],
  [
    { intervall: 5 },
    TypeError,
    'Unknown option "intervall": did you mean "interval"?',
  ],
];
const INVALID_WAIT: typeof INVALID = [
  [{ expect: [] }, TypeError, "Invalid expect"],
  [{ expect: "completed" }, TypeError, "Invalid expect"],
  [{ expect: [1] }, TypeError, "Invalid expect"],
  [{ onUpdate: 1 }, TypeError, "Invalid onUpdate"],
];
const INVALID_FOLLOW: typeof INVALID = [
  [{ expect: ["completed"] }, TypeError, 'Unknown option "expect"'],
];

/** Options as a script without types could pass them. */
function untyped(options: unknown): WaitOptions {
  return Object.assign({}, options);
}

Deno.test("waitForExecution() and followExecution() reject invalid options and send nothing", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  for (const [options, Class, message] of [...INVALID, ...INVALID_WAIT]) {
    await assertRejects(
      () => client.waitForExecution(ID, untyped(options)),
      Class,
      message,
    );
  }
  for (const [options, Class, message] of [...INVALID, ...INVALID_FOLLOW]) {
    await assertRejects(
      () => client.followExecution(ID, untyped(options)).next(),
      Class,
      message,
    );
  }
  for (const id of ["", ".", ".."]) {
    await assertRejects(() => client.waitForExecution(id), TypeError);
    await assertRejects(() => client.followExecution(id).next(), TypeError);
  }
  await assertRejects(
    () => client.waitForExecution(JSON.parse("1")),
    TypeError,
    "Invalid id",
  );
  assertEquals(server.exchanges, []);
});

Deno.test("waitForExecution() rejects after a minute of redirects", async () => {
  const execution = new ScriptedExecution("started");
  execution.onPoll = () =>
    new Response(null, { status: 302, headers: { location: "/login" } });
  await withExecution(execution, async (client) => {
    await assertRejects(
      () => client.waitForExecution(ID),
      DecapodResponseError,
    );
  });
});

Deno.test("waitForExecution() ignores an outdated copy in an expected state", async () => {
  const execution = new ScriptedExecution("created", "started");
  execution.onPoll = (poll) => {
    if (poll === 2) execution.states.pop(); // the copy of another server
    if (poll === 3) execution.states.push("started", "completed");
  };
  await withExecution(execution, async (client) => {
    const done = await client.waitForExecution(ID, {
      expect: ["created", "completed"],
    });
    assertEquals(done.data.state, "completed");
  });
  assertEquals(execution.polls, 3);
});

Deno.test("waitForExecution() polls a last time half a second before the deadline", async () => {
  const execution = new ScriptedExecution("started");
  execution.onPoll = (poll) => {
    if (poll === 2) execution.states.push("completed");
  };
  await withExecution(execution, async (client, waits) => {
    const options = { timeout: 10_000, interval: 60_000 };
    const { data } = await client.waitForExecution(ID, options);
    assertEquals(data.state, "completed");
    const [wait = 0, ...more] = waits;
    assert(wait > 9000 && wait <= 9500, `${wait}`);
    assertEquals(more, []);
  });
});
