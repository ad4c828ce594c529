/**
 * Every call that can fail fails once, at every method: each fetch, answer,
 * piece of a body, timer and parsing of JSON. Then the caller aborts at each
 * of them.
 */

import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers/promises";
import { DecapodError } from "../mod.ts";
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

const TIMEOUT = 60_000;

/** Runs a method from the login on; `at` is told of each fallible call. */
async function run(
  operation: Operation,
  at: (number: number, caller: CountedSignal) => void,
): Promise<Run> {
  const world = await makeWorld();
  const caller = new CountedSignal();
  const { signal } = caller;
  using rack = new Rack();
  rack.onCall = (number) => at(number, caller);
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

Deno.test("torture: each fallible call of each method fails", async () => {
  using _ = chance(0);
  let runs = 0;
  for (const operation of OPERATIONS) {
    const smooth = await run(operation, () => {});
    assert("value" in smooth.outcome, operation.name);
    assertEquals(smooth.left, 0, operation.name);
    for (const [failing, kind] of smooth.calls.entries()) {
      const { outcome, left } = await run(operation, (number) => {
        if (number === failing) throw new Torture(`${kind} ${number} failed`);
      });
      const name = `${operation.name}, ${kind} ${failing}`;
      runs++;
      assertEquals(left, 0, name);
      if ("value" in outcome) {
        assertEquals(
          comparable(outcome.value),
          comparable(smooth.outcome.value),
          name,
        );
      } else {
        assert(
          outcome.error instanceof DecapodError,
          `${name}: ${outcome.error}`,
        );
      }
    }
  }
  console.log(`▸ torture: ${runs} runs, one failure each`);
  assert(runs > 500);
});

Deno.test("torture: the caller aborts at each fallible call of each method", async () => {
  using _ = chance(0);
  let runs = 0;
  for (const operation of OPERATIONS) {
    const { calls } = await run(operation, () => {});
    for (const [aborting, kind] of calls.entries()) {
      const reason = new Error("the caller has had enough");
      const { outcome, left } = await run(operation, (number, caller) => {
        if (number === aborting) caller.controller.abort(reason);
      });
      const name = `${operation.name}, aborted at ${kind} ${aborting}`;
      runs++;
      assertEquals(left, 0, name);
      // The very last call may have been all that was needed.
      if ("error" in outcome) {
        assert(outcome.error === reason, `${name}: ${outcome.error}`);
      } else assert(aborting >= calls.length - 2, name);
    }
  }
  console.log(`▸ torture: ${runs} runs, one abort each`);
  assert(runs > 500);
});

/** One method of each kind. */
const KINDS = [
  "getUser",
  "createCluster",
  "login",
  "logout",
  "streamExecutionLog",
  "iterate getClusters",
  "waitForExecution",
  "followExecution",
  "editCluster",
];

/** How many awaits after a call an abort can come. */
const AWAITS = 8;

Deno.test("torture: the caller aborts at the awaits between these calls", async () => {
  using _ = chance(0);
  let runs = 0;
  for (const name of KINDS) {
    const operation = OPERATIONS.find((operation) => operation.name === name);
    assert(operation);
    const smooth = await run(operation, () => {});
    assert("value" in smooth.outcome);
    for (const [call] of smooth.calls.entries()) {
      for (let awaits = 1; awaits <= AWAITS; awaits++) {
        const reason = new Error("the caller has had enough");
        const { outcome, left } = await run(operation, (number, caller) => {
          if (number === call) abortLater(caller, awaits, reason);
        });
        const place = `${name}, aborted ${awaits} awaits after call ${call}`;
        runs++;
        assertEquals(left, 0, place);
        if ("error" in outcome) {
          assert(outcome.error === reason, `${place}: ${outcome.error}`);
        } else {
          assertEquals(
            comparable(outcome.value),
            comparable(smooth.outcome.value),
            place,
          );
        }
      }
    }
  }
  console.log(`▸ torture: ${runs} runs, one abort between two calls each`);
});

/** Aborts after so many turns of the queue of microtasks. */
async function abortLater(
  { controller }: CountedSignal,
  awaits: number,
  reason: Error,
): Promise<void> {
  for (let turn = 0; turn < awaits; turn++) await Promise.resolve();
  controller.abort(reason);
}
