/** Waiting for executions: until the end, and until no longer. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  type ClientOptions,
  DecapodAPIError,
  DecapodConnectionError,
  DecapodExecutionError,
  DecapodResponseError,
  DecapodWaitTimeoutError,
  type V1Client,
  type WaitOptions,
} from "../mod.ts";
import { TestClock } from "./standin/mod.ts";
import { badGateway, ID, ScriptedExecution } from "./support/execution.ts";
import { chance, CountedSignal } from "./support/patch.ts";
import { http, RawServer } from "./support/raw.ts";
import { apiError, json, makeClient, StandInServer } from "./support/server.ts";
import { skipWaits } from "./support/time.ts";

/** The client's own deadline in these tests. */
const TIMEOUT = 30_000;

/** Runs a test with an execution behind a real server, without real waits. */
async function scripted(
  execution: ScriptedExecution,
  test: (client: V1Client, waits: number[]) => Promise<void>,
  deadlines: number[] = [],
  options: Partial<ClientOptions> = {},
): Promise<void> {
  await using server = new StandInServer({ servers: 0 }, execution.answer);
  await using client = server.client({
    retries: 0,
    timeout: TIMEOUT,
    ...options,
  });
  await client.login();
  using skipped = skipWaits(TIMEOUT, ...deadlines);
  await test(client, skipped.waits);
}

Deno.test("waiting ends with the completed execution", async () => {
  const execution = new ScriptedExecution("created");
  execution.onLook = (look) => {
    if (look === 3) execution.states.push("started");
    if (look === 6) execution.states.push("completed");
  };
  const seen: string[] = [];
  await scripted(execution, async (client) => {
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
  assertEquals(execution.looks, 6);
  assertEquals(execution.read.requests, 0);
});

Deno.test("the looks come at growing, jittered intervals between two bounds", async () => {
  const bounds = { min: 1000, max: 20_000 };
  const all = new Set<number>();
  for (let round = 0; round < 5; round++) {
    const execution = new ScriptedExecution("created");
    execution.onLook = (look) => {
      if (look === 15) execution.states.push("started");
      if (look === 30) execution.states.push("completed");
    };
    await scripted(execution, async (client, waits) => {
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
  assert(all.size > 100, "chance has no part in it");
});

Deno.test("an interval is the shortest wait, ten times of it the longest", async () => {
  for (
    const [interval, random, first, last] of [
      [undefined, 0, 1000, 7500],
      [undefined, 0.999999, 1250, 10_000],
      [20, 0, 20, 150],
      [2 ** 31 - 1, 0.999999, 2 ** 31 - 1, 2 ** 31 - 1],
    ] as const
  ) {
    const execution = new ScriptedExecution("started");
    execution.onLook = (look) => {
      if (look === 12) execution.states.push("completed");
    };
    await scripted(execution, async (client, waits) => {
      using _ = chance(random);
      await client.waitForExecution(ID, { interval });
      assertEquals(Math.round(waits[0] ?? 0), first);
      assertEquals(Math.round(waits.at(-1) ?? 0), last);
    });
  }
});

Deno.test("a timeout says what was seen, after a last look just before it", async () => {
  const timeout = 60_000;
  for (const interval of [{ min: 7000, max: 7000 }, { min: 1e6, max: 1e6 }]) {
    const execution = new ScriptedExecution("created");
    execution.onLook = (look) => {
      if (look === 2) execution.states.push("started");
    };
    await scripted(execution, async (client, waits) => {
      const error = await assertRejects(
        () => client.waitForExecution(ID, { timeout, interval }),
        DecapodWaitTimeoutError,
      );
      const looks = waits.length + 1;
      assertEquals(execution.looks, looks);
      assertEquals(error.execution?.data.state, "started");
      assertEquals(error.states, { created: 1, started: looks - 1 });
      assertEquals(
        error.message,
        `Execution ${ID} did not end within 60000 ms: it is started (seen created 1×, started ${
          looks - 1
        }×) and goes on`,
      );
      const last = waits.reduce((sum, wait) => sum + wait, 0);
      assert(last > timeout - 1000 && last < timeout, String(last));
    }, [timeout]);
  }
});

Deno.test("an execution that ends just before the deadline is not missed", async () => {
  const execution = new ScriptedExecution("started");
  execution.onLook = (look) => {
    if (look === 2) execution.states.push("completed");
  };
  await scripted(execution, async (client) => {
    const timeout = 60_000;
    const options = { timeout, interval: 1e6 };
    const done = await client.waitForExecution(ID, options);
    assertEquals(done.data.state, "completed");
  }, [60_000]);
});

Deno.test("a look that hangs is over at the deadline", async () => {
  const held = Promise.withResolvers<undefined>();
  const execution = new ScriptedExecution("started");
  execution.onLook = (look) => look === 2 ? held.promise : undefined;
  await scripted(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID, { timeout: 200, interval: 1 }),
      DecapodWaitTimeoutError,
      "it is started (seen started 1×) and goes on",
    );
    assertEquals(error.states, { started: 1 });
    held.resolve(undefined);
  }, [200]);
});

/** What stands between a look and its answer for a while. */
const AWAY: Record<string, () => Response> = {
  "a proxy's 502": badGateway,
  "503": () => apiError(503, "ServiceUnavailable", "later"),
  "504": () => apiError(504, "GatewayTimeout", "late"),
  "429": () => apiError(429, "TooManyRequests", "slower"),
  "500": () => apiError(500, "InternalServerError", "crash"),
  "a page that is not Decapod's": () =>
    new Response("<html>Back soon</html>", {
      headers: { "content-type": "text/html" },
    }),
  "half an answer": () =>
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
) AWAY[name] = () => json(JSON.parse(text));

for (const [name, answer] of Object.entries(AWAY)) {
  Deno.test(`waiting outlasts ${name}, at first and in between`, async () => {
    const execution = new ScriptedExecution("started");
    execution.onLook = (look) => {
      if (look === 9) execution.states.push("completed");
      return look < 3 || look > 4 && look < 8 ? answer() : undefined;
    };
    await scripted(execution, async (client) => {
      const done = await client.waitForExecution(ID);
      assertEquals(done.data.state, "completed");
    });
    assertEquals(execution.looks, 9);
  });
}

Deno.test("waiting outlasts a server that refuses connections", async () => {
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

Deno.test("waiting outlasts connections that are reset and cut off", async () => {
  const execution = new ScriptedExecution("started");
  await using server = new RawServer(async (peer, number) => {
    if (number === 2) return await peer.firstByte(); // and resets it
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

Deno.test("waiting outlasts the death of its token", async () => {
  const clock = new TestClock();
  let looks = 0;
  await using server: StandInServer = new StandInServer(
    { now: clock.now },
    ({ path }) => {
      if (!path.startsWith("/v1/execution/")) return undefined;
      if (++looks === 2) server.standIn.revokeTokens();
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
  Deno.test(`${code} ends the waiting at once, at first and in between`, async () => {
    for (const at of [1, 3]) {
      const execution = new ScriptedExecution("started");
      execution.onLook = (look) =>
        look >= at ? apiError(code, "Permanent", "no") : undefined;
      await scripted(execution, async (client) => {
        const error = await assertRejects(
          () => client.waitForExecution(ID),
          DecapodAPIError,
        );
        assertEquals(error.code, code);
      });
      // A token may have died: 401 is tried once more with another.
      assertEquals(execution.looks, code === 401 ? at + 1 : at);
    }
  });
}

Deno.test("a server that was never seen is given a minute", async () => {
  const execution = new ScriptedExecution("started");
  execution.onLook = () => badGateway();
  await scripted(execution, async (client, waits) => {
    await assertRejects(() => client.waitForExecution(ID), DecapodAPIError);
    const waited = waits.reduce((sum, wait) => sum + wait, 0);
    assert(waited >= 60_000 && waited < 75_000, String(waited));
  });
});

Deno.test("a timeout without an answer says that there was none", async () => {
  const execution = new ScriptedExecution("started");
  execution.onLook = () => badGateway();
  await scripted(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID, { timeout: 20_000 }),
      DecapodWaitTimeoutError,
      `Execution ${ID} did not end within 20000 ms: it was never seen, the server gave no answer`,
    );
    assertEquals(error.execution, undefined);
    assertEquals(error.states, {});
  }, [20_000]);
});

Deno.test("a server that was seen is waited for without limit", async () => {
  const execution = new ScriptedExecution("started");
  execution.onLook = (look) => {
    if (look === 60) execution.states.push("completed");
    return look > 1 && look < 60 ? badGateway() : undefined;
  };
  await scripted(execution, async (client, waits) => {
    await client.waitForExecution(ID);
    assert(waits.reduce((sum, wait) => sum + wait, 0) > 300_000);
  });
});

Deno.test("a failed execution names the servers and the tasks that failed", async () => {
  const execution = new ScriptedExecution("started", "failed");
  execution.steps.push(
    { name: "fine", finished: 1 },
    { name: "prepare disk", finished: 2, result: "error" },
    { name: "reach it", finished: 3, result: "unreachable", server: null },
  );
  await scripted(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID),
      DecapodExecutionError,
    );
    assertEquals(
      error.message,
      `Execution ${ID} of cluster_deploy ended as failed: failed steps are ` +
        '"prepare disk" on server server1 (error), "reach it" on server ' +
        "unknown (unreachable); getExecutionLog says more",
    );
    assertEquals(error.execution.data.state, "failed");
    assertEquals(
      error.failedSteps.map(({ data }) => data.name),
      ["prepare disk", "reach it"],
    );
  });
  assertEquals(execution.read, { requests: 1, items: 2 });
});

Deno.test("of many failed steps an error names some and has them all", async () => {
  const execution = new ScriptedExecution("failed");
  for (let index = 0; index < 60; index++) {
    execution.steps.push({ name: `t${index}`, finished: 1, result: "error" });
  }
  await scripted(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID),
      DecapodExecutionError,
      '"t4" on server server1 (error), 55 more; getExecutionLog says more',
    );
    assertEquals(error.failedSteps.length, 60);
    assertEquals(error.message.includes('"t5"'), false);
  });
});

Deno.test("that the failed steps cannot be read hides no failure", async () => {
  const execution = new ScriptedExecution("failed");
  execution.onSteps = () => apiError(403, "Forbidden", "no");
  await scripted(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID),
      DecapodExecutionError,
      "ended as failed: which steps failed could not be read",
    );
    assertEquals(error.failedSteps, []);
    assertInstanceOf(error.cause, DecapodAPIError);
    assertEquals(error.cause.code, 403);
  });
  assertEquals(execution.read.requests, 1);
});

Deno.test("failed steps that hang are given up at the deadline, the failure is told", async () => {
  const held = Promise.withResolvers<undefined>();
  const execution = new ScriptedExecution("failed");
  execution.onSteps = () => held.promise;
  await scripted(execution, async (client) => {
    const error = await assertRejects(
      () => client.waitForExecution(ID, { timeout: 100 }),
      DecapodExecutionError,
      "which steps failed could not be read",
    );
    assertInstanceOf(error.cause, DecapodWaitTimeoutError);
    assertStringIncludes(
      error.cause.message,
      "ended, but not all was done within 100 ms: it is failed",
    );
    held.resolve(undefined);
  }, [100]);
});

/** The state at the end, what was expected, and whether that is an error. */
const ENDS: [string, WaitOptions["expect"], boolean][] = [
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

for (const [state, expect, isError] of ENDS) {
  Deno.test(`${state} is ${isError ? "not " : ""}what was expected of ${expect ?? "nothing said"}`, async () => {
    const execution = new ScriptedExecution("started", state);
    await scripted(execution, async (client) => {
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

Deno.test("a canceled execution is waited for through canceling", async () => {
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

Deno.test("a failed task is named by waiting, all the way", async () => {
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

Deno.test("onUpdate is waited for, and what it throws ends the waiting", async () => {
  for (const early of [true, false]) {
    const execution = new ScriptedExecution("started");
    execution.onLook = (look) => {
      if (look === 3) execution.states.push("completed");
    };
    const own = new Error("mine");
    await scripted(execution, async (client) => {
      let atWork = 0;
      const error = await assertRejects(() =>
        client.waitForExecution(ID, {
          onUpdate: early
            ? () => {
              throw own;
            }
            : async ({ data }) => {
              assertEquals(++atWork, 1);
              await client.getInfo();
              atWork--;
              if (data.state === "completed") throw own;
            },
        })
      );
      assertStrictEquals(error, own);
    });
    assertEquals(execution.looks, early ? 1 : 3);
  }
});

Deno.test("an onUpdate that hangs is over at the deadline", async () => {
  for (
    const [state, message] of [
      ["started", "did not end within 50 ms: it is started"],
      [
        "completed",
        "ended, but not all was done within 50 ms: it is completed",
      ],
    ] as const
  ) {
    await scripted(new ScriptedExecution(state), async (client) => {
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

Deno.test("headers go with each request", async () => {
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

Deno.test("an abort leaves no listener and no timer", async () => {
  await scripted(new ScriptedExecution("started"), async (client) => {
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

/** What nothing can be waited for with; JSON has neither NaN nor undefined. */
const BAD: [unknown, typeof TypeError, string][] = [
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
    "Invalid interval: min 6 is above max 5",
  ],
  [{ interval: { min: 1, most: 5 } }, TypeError, 'there is no "most"'],
  [{ signal: {} }, TypeError, "Invalid signal"],
  [{ intervall: 5 }, TypeError, 'there is no "intervall"'],
];
const BAD_WAIT: typeof BAD = [
  [{ expect: [] }, TypeError, "Invalid expect"],
  [{ expect: "completed" }, TypeError, "Invalid expect"],
  [{ expect: [1] }, TypeError, "Invalid expect"],
  [{ onUpdate: 1 }, TypeError, "Invalid onUpdate"],
];
const BAD_FOLLOW: typeof BAD = [
  [{ expect: ["completed"] }, TypeError, 'there is no "expect"'],
];

/** Options as a script without types could give them. */
function untyped(options: unknown): WaitOptions {
  return Object.assign({}, options);
}

Deno.test("what nothing can be waited for with is refused, and nothing is sent", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  for (const [options, Class, message] of [...BAD, ...BAD_WAIT]) {
    await assertRejects(
      () => client.waitForExecution(ID, untyped(options)),
      Class,
      message,
    );
  }
  for (const [options, Class, message] of [...BAD, ...BAD_FOLLOW]) {
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

Deno.test("a redirect is no answer, and not forever waited for", async () => {
  const execution = new ScriptedExecution("started");
  execution.onLook = () =>
    new Response(null, { status: 302, headers: { location: "/login" } });
  await scripted(execution, async (client) => {
    await assertRejects(
      () => client.waitForExecution(ID),
      DecapodResponseError,
    );
  });
});
