/**
 * Tests of every method with one failure: of each call that can fail (fetch,
 * response, chunk of a body, timer, JSON), and an abort, a deadline or a
 * logout at each of them and at each await in between.
 */

import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers/promises";
import {
  DecapodConnectionError,
  DecapodError,
  DecapodExecutionError,
  DecapodTimeoutError,
  type V1Client,
} from "../mod.ts";
import {
  FaultInjector,
  type Fetch,
  InjectedFailure,
} from "./faults/injector.ts";
import { type Operation, OPERATIONS } from "./operations.ts";
import { CountedSignal, fixedRandom } from "./support/patch.ts";
import { makeClient } from "./support/server.ts";
import { comparable, openWorld, type StandInWorld } from "./support/world.ts";

/** The result of one run. */
interface Run {
  calls: string[];
  outcome: { value: unknown } | { error: unknown };
  /** How many timers, bodies and listeners are left. */
  left: number;
}

/** What a run can be interrupted with. */
interface Controls {
  injector: FaultInjector;
  caller: CountedSignal;
  client: V1Client;
}

const TIMEOUT = 60_000;

/** Whether all places are tested or, to save time, some. */
const EVERY = Deno.env.get("CI") === "true" ? 1 : 5;

/** What is interrupted. */
interface Work extends Pick<Operation, "name" | "waits"> {
  run: (
    client: V1Client,
    world: StandInWorld,
    options?: { signal: AbortSignal },
  ) => Promise<unknown>;
}

/** The methods, and calls of them that take other paths. */
const WORKS: readonly Work[] = [
  ...OPERATIONS,
  {
    name: "getClusters, pages in the caller's order",
    run: (client, _, o) =>
      Array.fromAsync(
        client.getClusters({ perPage: 2, sortBy: { name: 1 }, ...o }).pages(),
      ),
  },
  {
    name: "waitForExecution of a failing execution",
    waits: true,
    async run(client, { standIn }, o) {
      const { id } = standIn.seedExecution({ failures: [{}], duration: 0 });
      const onUpdate = () => Promise.resolve();
      const options = { interval: 10, onUpdate, ...o };
      return await client.waitForExecution(String(id), options)
        .catch((error: unknown) => {
          if (error instanceof DecapodExecutionError) {
            return error.execution.data.state;
          }
          throw error;
        });
    },
  },
  {
    name: "editRole by a slow function",
    run: (client, { role }, o) =>
      client.editRole(role.id, async (data) => {
        await null;
        return { ...data, name: "renamed" };
      }, o),
  },
];

/** A server that fails reads at first, and where edits lose a race. */
function rough(fetch: Fetch, { name, waits }: Work): Fetch {
  let failures = waits ? 3 : 1; // as many as there are attempts, or one
  let races = name.startsWith("edit") ? 1 : 0;
  return async (url, init) => {
    if (init.method === "GET" && failures-- > 0) {
      return new Response("away", { status: 503 });
    }
    if (init.method === "PUT" && races-- > 0) await fetch(url, init);
    return await fetch(url, init);
  };
}

/** Runs a method, login included, and calls back at each fallible call. */
async function run(
  operation: Work,
  onCall: (number: number, controls: Controls) => void = () => {},
  serve: typeof rough = (fetch) => fetch,
): Promise<Run> {
  const world = await openWorld();
  const caller = new CountedSignal();
  const { signal } = caller;
  using injector = new FaultInjector();
  const client = makeClient("http://decapod", {
    timeout: TIMEOUT,
    fetch: injector.wrap(serve(world.standIn.fetch, operation)),
  });
  injector.onCall = (number) => onCall(number, { injector, caller, client });
  const settled = operation.run(client, world, { signal }).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  const stalled = injector.frozen.then(async () => {
    for (let turn = 0; turn < 50; turn++) await setImmediate();
    return { error: new Error("The call is still pending") };
  });
  const outcome = await Promise.race([settled, stalled]);
  // Canceled streams are closed some turns later.
  for (let turn = 0; turn < 50 && injector.open > 0; turn++) {
    await setImmediate();
  }
  const left = injector.open + caller.listeners;
  return { calls: injector.calls, outcome, left };
}

/** The error of a run; fails if it leaves something or has another result. */
function errorOf({ outcome, left }: Run, normal: Run, place: string): unknown {
  assertEquals(left, 0, place);
  if ("error" in outcome) return outcome.error;
  assert("value" in normal.outcome, place);
  const expected = comparable(normal.outcome.value);
  assertEquals(comparable(outcome.value), expected, place);
  return undefined;
}

/** Reports how many runs there were. */
function note(runs: number, what: string, least: number): void {
  console.log(`▸ torture: ${runs} runs, one ${what} each`);
  assert(runs > least);
}

/** Runs each method with a failure of each of its calls, if there is one. */
async function failEverywhere(
  failureOf: (kind: string, run: number) => Error | undefined,
  check: (error: unknown, place: string, failure: Error, kind: string) => void,
): Promise<number> {
  using _ = fixedRandom(0);
  let runs = 0;
  for (const operation of OPERATIONS) {
    const normal = await run(operation);
    assertEquals(normal.left, 0, operation.name);
    for (const [failing, kind] of normal.calls.entries()) {
      const failure = failureOf(kind, runs);
      if (!failure) continue;
      const failed = await run(operation, (number) => {
        if (number === failing) throw failure;
      });
      runs++;
      const place = `${operation.name}, ${kind} ${failing}, ${failure.cause}`;
      const error = errorOf(failed, normal, place);
      if (error !== undefined) check(error, place, failure, kind);
    }
  }
  return runs;
}

Deno.test("V1Client returns or rejects with a DecapodError if any internal operation fails", async () => {
  const runs = await failEverywhere(
    () => new InjectedFailure("injected"),
    (error, place, failure, kind) => {
      if (kind === "stringify") {
        assert(error === failure, `${place}: the caller's own error`);
      } else assert(error instanceof DecapodError, `${place}: ${error}`);
    },
  );
  note(runs, "failure", 1000);
});

/** What fetch rejects with if no connection was made. */
const NOT_SENT = [
  "tcp connect error: Connection refused (os error 111)",
  "dns error: failed to lookup address information",
  "connect EMFILE 10.0.0.1:9999",
  "connect EADDRNOTAVAIL 10.0.0.1:9999",
  "UND_ERR_CONNECT_TIMEOUT",
];

Deno.test("V1Client reports no unknown outcome if no connection was made", async () => {
  const runs = await failEverywhere(
    (kind, run) => {
      const cause = new Error(NOT_SENT[run % NOT_SENT.length]);
      return kind === "fetch"
        ? new TypeError("fetch failed", { cause })
        : undefined;
    },
    (error, place) => {
      assert(error instanceof DecapodConnectionError, `${place}: ${error}`);
      assertEquals(error.outcomeUnknown, false, place);
    },
  );
  note(runs, "failed connection", 100);
});

/** More awaits than there are between any two fallible calls. */
const MAX_AWAITS = 100;

/** Calls a function after each await until it returns false. */
async function afterEachAwait(
  callback: (turn: number) => boolean,
): Promise<void> {
  for (let turn = 0; turn < MAX_AWAITS && callback(turn); turn++) {
    await undefined;
  }
}

/** How many awaits follow each fallible call before the next one. */
async function countAwaits(
  operation: Work,
  serve?: typeof rough,
): Promise<number[]> {
  const awaits: number[] = [];
  let latest = -1;
  const { calls } = await run(operation, (number) => {
    latest = number;
    afterEachAwait((turn) => {
      if (latest !== number) return false;
      awaits[number] = turn;
      return true;
    });
  }, serve);
  assertEquals(awaits.length, calls.length, operation.name);
  return awaits;
}

/** Interrupts each method at each await, or at every fifth. */
async function interruptEverywhere(
  interrupt: (controls: Controls) => void,
  check: (error: unknown, place: string, calls: string[]) => void,
  { never = "", serve }: { never?: string; serve?: typeof rough } = {},
): Promise<number> {
  using _ = fixedRandom(0);
  let runs = 0;
  let places = 0;
  for (const operation of WORKS) {
    const normal = await run(operation, undefined, serve);
    const counts = await countAwaits(operation, serve);
    for (const [call, awaits] of counts.entries()) {
      const kind = normal.calls[call] ?? "";
      const first = kind === never ? 1 : 0;
      for (let count = first; count <= awaits; count++) {
        if (places++ % EVERY !== 0) continue;
        const interrupted = await run(operation, (number, controls) => {
          if (number !== call) return;
          afterEachAwait((turn) => {
            if (turn === count) interrupt(controls);
            return turn < count;
          });
        }, serve);
        runs++;
        const place =
          `${operation.name}, ${count} awaits after ${call}, ${kind}`;
        const error = errorOf(interrupted, normal, place);
        check(error, place, interrupted.calls);
      }
    }
  }
  return runs;
}

Deno.test("V1Client rejects with the caller's reason at an abort anywhere", async () => {
  const reason = new Error("the caller has had enough");
  let before = 0;
  const runs = await interruptEverywhere(
    ({ caller, injector }) => {
      caller.controller.abort(reason);
      injector.freeze();
      // A login starts in a turn of its own: it is aborted some awaits later.
      afterEachAwait((turn) => {
        before = injector.calls.length;
        return turn < 5;
      });
    },
    (error, place, calls) => {
      if (error === undefined) return;
      assert(error === reason, `${place}: ${error}`);
      assert(!calls.slice(before).includes("fetch"), `${place}: a request`);
    },
    { never: "timer", serve: rough }, // no abort happens within setTimeout()
  );
  note(runs, "abort", 5000 / EVERY);
});

Deno.test("V1Client rejects with a DecapodTimeoutError at a deadline anywhere", async () => {
  const runs = await interruptEverywhere(
    ({ injector }) => injector.expire(),
    (error, place) => {
      const isExpected = error instanceof DecapodTimeoutError;
      assert(isExpected || error === undefined, `${place}: ${error}`);
    },
  );
  note(runs, "deadline", 5000 / EVERY);
});

Deno.test("V1Client sends only the logout after a logout anywhere", async () => {
  let before = 0;
  let logout: Promise<void> = Promise.resolve();
  const runs = await interruptEverywhere(
    ({ client, injector }) => {
      before = injector.calls.length;
      logout = client.logout().catch(() => {});
    },
    (error, place, calls) => {
      const requests = calls.slice(before).filter((kind) => kind === "fetch");
      assert(requests.length <= 1, `${place}: more requests than the logout`);
      if (error === undefined) return;
      assert(error instanceof DecapodError, `${place}: ${error}`);
      const { message } = error;
      const isCanceled = /canceled by logout\(\) or disposal/.test(message);
      assert(isCanceled, `${place}: ${message}`);
    },
    { never: "stringify" }, // no logout happens while it serializes
  );
  await logout;
  note(runs, "logout", 5000 / EVERY);
});
