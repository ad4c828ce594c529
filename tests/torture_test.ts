/**
 * Tests of every method with one failure: of each call that can fail (fetch,
 * response, chunk of a body, timer, JSON), and an abort, a deadline or a
 * logout at each of them and at each await in between.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
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
import { forAllCores } from "./support/cores.ts";
import { CountedSignal, fixedRandom } from "./support/patch.ts";
import { makeClient } from "./support/server.ts";
import { comparable, openWorld, type StandInWorld } from "./support/world.ts";

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

type Serve = (fetch: Fetch, work: Work) => Fetch;

/** A server that fails reads at first, and where edits lose a race. */
const rough: Serve = (fetch, { name, waits }) => {
  let failures = waits ? 3 : 1; // as many as there are attempts, or one
  let races = name.startsWith("edit") ? 1 : 0;
  return async (url, init) => {
    if (init.method === "GET" && failures-- > 0) {
      return new Response("away", { status: 503 });
    }
    if (init.method === "PUT" && races-- > 0) await fetch(url, init);
    return await fetch(url, init);
  };
};

/** Runs a method, login included, and calls back at each fallible call. */
async function run(
  work: Work,
  onCall: (number: number, controls: Controls) => void = () => {},
  serve: Serve = (fetch) => fetch,
) {
  const world = await openWorld();
  const caller = new CountedSignal();
  const { signal } = caller;
  using injector = new FaultInjector();
  const client = makeClient("http://decapod", {
    timeout: TIMEOUT,
    fetch: injector.wrap(serve(world.standIn.fetch, work)),
  });
  injector.onCall = (number) => onCall(number, { injector, caller, client });
  const settled = work.run(client, world, { signal }).then(
    (value) => ({ value, error: undefined }),
    (error: unknown) => ({ error }),
  );
  const stalled = injector.frozen.then(async () => {
    for (let turn = 0; turn < 50; turn++) await setImmediate();
    return { error: new Error("The call is still pending") };
  });
  const { value, error }: { value?: unknown; error: unknown } = await Promise
    .race([settled, stalled]);
  // Canceled streams are closed some turns later.
  for (let turn = 0; turn < 50 && injector.open > 0; turn++) {
    await setImmediate();
  }
  // How many timers, bodies and listeners are left.
  const left = injector.open + caller.listeners;
  return { calls: injector.calls, value, error, left };
}

type Run = Awaited<ReturnType<typeof run>>;

/** The error of a run; fails if it leaves something or has another result. */
function errorOf({ value, error, left }: Run, normal: Run, place: string) {
  assertEquals(left, 0, place);
  if (error === undefined) {
    assertEquals(comparable(value), comparable(normal.value), place);
  }
  return error;
}

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
async function countAwaits(work: Work, serve?: Serve): Promise<number[]> {
  const awaits: number[] = [];
  let latest = -1;
  const { calls } = await run(work, (number) => {
    latest = number;
    afterEachAwait((turn) => {
      if (latest !== number) return false;
      awaits[number] = turn;
      return true;
    });
  }, serve);
  assertEquals(awaits.length, calls.length, work.name);
  return awaits;
}

/** What happens in the runs of a test, once in each. */
interface Torture {
  /** Whether it happens at the awaits after calls, too. */
  readonly atAwaits?: boolean;
  /** The calls at which it happens. Defaults to all. */
  readonly isAt?: (kind: string) => boolean;
  readonly serve?: Serve;
  /** Makes it happen; at a call it may throw. */
  readonly strike: (controls: Controls, runs: number) => void;
  /** Checks the error of a run; undefined if it had its normal result. */
  readonly check: (
    error: unknown,
    place: string,
    kind: string,
    calls: string[],
  ) => void;
}

/** Runs each method once for each place, and returns the number of runs. */
async function runAll(
  { atAwaits, isAt = () => true, serve, strike, check }: Torture,
  share: number,
  shares: number,
): Promise<number> {
  using _ = fixedRandom(0);
  const step = atAwaits ? EVERY : 1;
  let runs = 0;
  let places = 0;
  for (const work of WORKS) {
    const normal = await run(work, undefined, serve);
    assertEquals([normal.left, normal.error], [0, undefined], work.name);
    const awaits = atAwaits ? await countAwaits(work, serve) : [];
    for (const [call, kind] of normal.calls.entries()) {
      for (let at = isAt(kind) ? 0 : 1; at <= (awaits[call] ?? 0); at++) {
        if (places++ % (step * shares) !== step * share) continue;
        const struck = await run(work, (number, controls) => {
          if (number !== call) return;
          if (at === 0) return strike(controls, runs);
          afterEachAwait((turn) => {
            if (turn === at) strike(controls, runs);
            return turn < at;
          });
        }, serve);
        runs++;
        const place = `${work.name}, ${at} awaits after ${call}, ${kind}`;
        check(errorOf(struck, normal, place), place, kind, struck.calls);
      }
    }
  }
  return runs;
}

const failure = new InjectedFailure("injected");

/** What fetch rejects with if no connection was made. */
const NOT_SENT = [
  "tcp connect error: Connection refused (os error 111)",
  "dns error: failed to lookup address information",
  "connect EMFILE 10.0.0.1:9999",
  "connect EADDRNOTAVAIL 10.0.0.1:9999",
  "UND_ERR_CONNECT_TIMEOUT",
];

const reason = new Error("the caller has had enough");

/** The number of calls before the latest abort or logout. */
let before = 0;

const TORTURES: Record<string, Torture> = {
  "failure": {
    strike() {
      throw failure;
    },
    check(error, place, kind) {
      const isExpected = kind === "stringify" // the caller's own error
        ? error === failure
        : error instanceof DecapodError;
      assert(isExpected || error === undefined, `${place}: ${error}`);
    },
  },
  "failed connection": {
    isAt: (kind) => kind === "fetch",
    strike(_, runs) {
      const cause = new Error(NOT_SENT[runs % NOT_SENT.length]);
      throw new TypeError("fetch failed", { cause });
    },
    check(error, place) {
      if (error === undefined) return;
      assert(error instanceof DecapodConnectionError, `${place}: ${error}`);
      assertEquals(error.outcomeUnknown, false, place);
    },
  },
  "abort": {
    atAwaits: true,
    isAt: (kind) => kind !== "timer", // no abort happens within setTimeout()
    serve: rough,
    strike({ caller, injector }) {
      caller.controller.abort(reason);
      injector.freeze();
      // A login starts in a turn of its own: it is aborted some awaits later.
      afterEachAwait((turn) => {
        before = injector.calls.length;
        return turn < 5;
      });
    },
    check(error, place, _, calls) {
      if (error === undefined) return;
      assert(error === reason, `${place}: ${error}`);
      assert(!calls.slice(before).includes("fetch"), `${place}: a request`);
    },
  },
  "deadline": {
    atAwaits: true,
    strike: ({ injector }) => injector.expire(),
    check(error, place) {
      const isExpected = error instanceof DecapodTimeoutError;
      assert(isExpected || error === undefined, `${place}: ${error}`);
    },
  },
  "logout": {
    atAwaits: true,
    isAt: (kind) => kind !== "stringify", // no logout while it serializes
    strike({ client, injector }) {
      before = injector.calls.length;
      client.logout().catch(() => {});
    },
    check(error, place, _, calls) {
      const requests = calls.slice(before).filter((kind) => kind === "fetch");
      assert(requests.length <= 1, `${place}: more requests than the logout`);
      if (error === undefined) return;
      assert(error instanceof DecapodError, `${place}: ${error}`);
      const isCanceled = /canceled by logout\(\) or disposal/;
      assertMatch(error.message, isCanceled, place);
    },
  },
};

const onAllCores = forAllCores(
  import.meta.url,
  async (what: string, share, shares) => {
    const found = TORTURES[what];
    return found ? await runAll(found, share, shares) : 0;
  },
);

/** Runs a torture on all cores; fails if there are too few runs. */
async function torture(what: string, least: number): Promise<void> {
  const counts = await onAllCores(what);
  const runs = counts.reduce((sum, count) => sum + count);
  console.log(`▸ torture: ${runs} runs, one ${what} each`);
  assert(runs > least);
}

Deno.test("V1Client returns or rejects with a DecapodError if any internal operation fails", () =>
  torture("failure", 1000));

Deno.test("V1Client reports no unknown outcome if no connection was made", () =>
  torture("failed connection", 100));

Deno.test("V1Client returns or rejects with the caller's reason if it is aborted at any await", () =>
  torture("abort", 5000 / EVERY));

Deno.test("V1Client returns or rejects with a DecapodTimeoutError if its deadline passes at any await", () =>
  torture("deadline", 5000 / EVERY));

Deno.test("V1Client sends nothing but the logout after a logout at any await", () =>
  torture("logout", 5000 / EVERY));
