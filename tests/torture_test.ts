/**
 * Every call that can fail fails once, at every method: each fetch, answer,
 * piece of a body, timer, parsing and writing of JSON. Then the caller aborts,
 * and the deadline comes, at each of them and at each await in between.
 */

import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers/promises";
import { DecapodError, DecapodTimeoutError } from "../mod.ts";
import { makeWorld, type Operation, OPERATIONS } from "./faults/operations.ts";
import { Rack, Torture } from "./faults/rack.ts";
import { chance, CountedSignal } from "./support/patch.ts";
import { makeClient } from "./support/server.ts";

/** What came of one run. */
interface Run {
  calls: string[];
  outcome: { value: unknown } | { error: unknown };
  /** How many timers, bodies and listeners were left. */
  left: number;
}

/** What a run is interfered with by. */
interface Hands {
  rack: Rack;
  caller: CountedSignal;
}

const TIMEOUT = 60_000;

/** Runs a method from the login on; `at` is told of each fallible call. */
async function run(
  operation: Operation,
  at: (number: number, hands: Hands) => void = () => {},
): Promise<Run> {
  const world = await makeWorld();
  const caller = new CountedSignal();
  const { signal } = caller;
  using rack = new Rack();
  rack.onCall = (number) => at(number, { rack, caller });
  const client = makeClient("http://decapod", {
    timeout: TIMEOUT,
    fetch: rack.wrap(world.standIn.fetch),
  });
  const outcome = await operation.run(client, world, { signal }).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  // What is being let go of may need some turns to be gone.
  for (let turn = 0; turn < 50 && rack.open > 0; turn++) await setImmediate();
  const left = rack.open + caller.listeners;
  return { calls: rack.calls, outcome, left };
}

/** A result without what chance has made. */
const comparable = (value: unknown) =>
  (JSON.stringify(value) ?? "").replace(
    /[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g,
    "id",
  );

/** Fails unless what came is what comes where nothing goes wrong. */
function assertSame(value: unknown, smooth: Run, name: string): void {
  assert("value" in smooth.outcome, name);
  assertEquals(comparable(value), comparable(smooth.outcome.value), name);
}

Deno.test("torture: each fallible call of each method fails", async () => {
  using _ = chance(0);
  let runs = 0;
  for (const operation of OPERATIONS) {
    const smooth = await run(operation);
    assertEquals(smooth.left, 0, operation.name);
    for (const [failing, kind] of smooth.calls.entries()) {
      const name = `${operation.name}, ${kind} ${failing}`;
      const failure = new Torture(name);
      const { outcome, left } = await run(operation, (number) => {
        if (number === failing) throw failure;
      });
      runs++;
      assertEquals(left, 0, name);
      if ("value" in outcome) {
        assertSame(outcome.value, smooth, name);
      } else if (kind === "stringify") {
        assert(outcome.error === failure, `${name}: the caller's own error`);
      } else {
        assert(
          outcome.error instanceof DecapodError,
          `${name}: ${outcome.error}`,
        );
      }
    }
  }
  console.log(`▸ torture: ${runs} runs, one failure each`);
  assert(runs > 1000);
});

/** More awaits than there are between any two fallible calls. */
const MANY = 100;

/** How many awaits come after each fallible call before the next one. */
async function countAwaits(operation: Operation): Promise<number[]> {
  const awaits: number[] = [];
  let latest = -1;
  const { calls } = await run(operation, (number) => {
    latest = number;
    afterEachAwait((turn) => {
      if (latest !== number) return false;
      awaits[number] = turn;
      return true;
    });
  });
  assertEquals(awaits.length, calls.length, operation.name);
  return awaits;
}

/** Calls a function again and again, an await later each time. */
async function afterEachAwait(
  again: (turn: number) => boolean,
): Promise<void> {
  for (let turn = 0; turn < MANY && again(turn); turn++) await undefined;
}

/** Interferes at each await of each method, and looks at what comes of it. */
async function atEachAwait(
  interfere: (hands: Hands) => void,
  check: (outcome: Run["outcome"], smooth: Run, place: string) => void,
): Promise<number> {
  using _ = chance(0);
  let runs = 0;
  for (const operation of OPERATIONS) {
    const smooth = await run(operation);
    const counts = await countAwaits(operation);
    for (const [call, awaits] of counts.entries()) {
      for (let count = 0; count <= awaits; count++) {
        const { outcome, left } = await run(operation, (number, hands) => {
          if (number !== call) return;
          afterEachAwait((turn) => {
            if (turn === count) interfere(hands);
            return turn < count;
          });
        });
        const place = `${operation.name}, ${count} awaits after ${call}, ${
          smooth.calls[call]
        }`;
        runs++;
        assertEquals(left, 0, place);
        check(outcome, smooth, place);
      }
    }
  }
  return runs;
}

Deno.test("torture: the caller aborts at each await of each method", async () => {
  const reason = new Error("the caller has had enough");
  const runs = await atEachAwait(
    ({ caller }) => caller.controller.abort(reason),
    (outcome, smooth, place) => {
      if ("value" in outcome) assertSame(outcome.value, smooth, place);
      else assert(outcome.error === reason, `${place}: ${outcome.error}`);
    },
  );
  console.log(`▸ torture: ${runs} runs, one abort each`);
  assert(runs > 5000);
});

Deno.test("torture: the deadline comes at each await of each method", async () => {
  const runs = await atEachAwait(
    ({ rack }) => rack.expire(),
    (outcome, smooth, place) => {
      if ("value" in outcome) assertSame(outcome.value, smooth, place);
      else {
        assert(
          outcome.error instanceof DecapodTimeoutError,
          `${place}: ${outcome.error}`,
        );
      }
    },
  );
  console.log(`▸ torture: ${runs} runs, one deadline each`);
  assert(runs > 5000);
});
