/** Waiting for an execution, and following it. */

import { delay } from "@std/async/delay";
import {
  isObject,
  MAX_TIMER_DELAY,
  validate,
  validateOptions,
} from "./validate.ts";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodExecutionError,
  DecapodResponseError,
  DecapodTimeoutError,
  DecapodWaitTimeoutError,
} from "../errors.ts";
import type { Listing } from "./listing.ts";
import type {
  Execution,
  ExecutionState,
  ExecutionStep,
  StepFields,
} from "../models.ts";
import type { ListOptions } from "./list_query.ts";
import { oneLine } from "./redact.ts";
import { abortable, Scope } from "./deadline.ts";
import type { RequestOptions } from "./transport.ts";

/** The shortest and the longest time between two looks, in ms. */
export interface Interval {
  /** The shortest, for the first looks and whenever something happens. */
  min: number;
  /** The longest, while nothing happens. */
  max: number;
}

/** How to follow an execution. */
export interface FollowOptions {
  /**
   * Milliseconds to go on for at the most; no limit unless said. A single look
   * has the client's `timeout` besides.
   */
  timeout?: number;
  /**
   * Milliseconds between two looks: the shortest time, and up to ten times as
   * long while nothing happens; or both bounds. 1,000 unless said.
   */
  interval?: number | Interval;
  /** Ends it at once, with the signal's reason. The execution goes on. */
  signal?: AbortSignal;
  /** More headers for each request. */
  headers?: RequestOptions["headers"];
}

/** How to wait for an execution. */
export interface WaitOptions extends FollowOptions {
  /** Called with the execution when it is first seen and at each change. */
  onUpdate?: (execution: Execution) => void | Promise<void>;
  /** The states to wait for; `["completed"]` unless said. */
  expect?: ExecutionState[];
}

/** Something that happened to an execution. */
export type ExecutionEvent =
  | {
    /** The execution is in a new state. */
    type: "state";
    /** The execution in that state. */
    execution: Execution;
  }
  | {
    /** A step has finished. */
    type: "step";
    /** The step. */
    step: ExecutionStep;
  };

/** What is needed of a client. */
export interface ExecutionApi {
  getExecution(id: string, options: RequestOptions): Promise<Execution>;
  getExecutionVersion(
    id: string,
    version: number,
    options: RequestOptions,
  ): Promise<Execution>;
  getExecutionSteps(
    id: string,
    options: ListOptions<StepFields>,
  ): Listing<ExecutionStep>;
}

const FOLLOW_OPTIONS = ["timeout", "interval", "signal", "headers"];
const WAIT_OPTIONS = [...FOLLOW_OPTIONS, "onUpdate", "expect"];

/** States that are an end. */
const ENDS: ExecutionState[] = ["completed", "canceled", "failed"];

/** How results that are failures are called in the database. */
const FAILURES = [2, 4]; // error, unreachable

/** How long an execution that was never seen is looked for, in ms. */
const PATIENCE = 60_000;

/** How many versions in a row can be missed and still be told. */
const MISSED = 16;

/** How many steps are read at a time. */
const STEPS = 100;

/** How often an error names a failed step. */
const NAMED = 5;

/** Waits until an execution is in one of the expected states. */
export async function waitForExecution(
  api: ExecutionApi,
  id: string,
  options: WaitOptions = {},
): Promise<Execution> {
  validateOptions(options, WAIT_OPTIONS);
  const { onUpdate, expect = ["completed"] } = options;
  const watch = openWatch(api, id, options);
  try {
    let version = 0;
    for (;;) {
      const execution = await watch.look();
      if (execution.version !== version) {
        version = execution.version;
        watch.hurry();
        const told = Promise.resolve(onUpdate?.(execution));
        await abortable(told, watch.request.signal);
      }
      const { state } = execution.data;
      if (expect.includes(state)) return execution;
      if (ENDS.includes(state)) throw await ended(api, execution, watch);
    }
  } finally {
    watch.close();
  }
}

/** Gives each change of state and each step, the end last. */
export async function* followExecution(
  api: ExecutionApi,
  id: string,
  options: FollowOptions = {},
): AsyncGenerator<ExecutionEvent, void, undefined> {
  validateOptions(options, FOLLOW_OPTIONS);
  const { look, hurry, survive, close, request } = openWatch(api, id, options);
  const seen = new Set<string>();
  let since = 0; // when the last step finished
  let atSince = 0; // how many steps finished just then
  let last: Execution | undefined;

  /** The steps that were not given yet, in the order in which they finished. */
  async function* unseen(query: ListOptions<StepFields> = {}) {
    for await (
      const step of api.getExecutionSteps(id, {
        ...query,
        ...request,
        sortBy: { time_finished: 1, _id: 1 },
        perPage: STEPS,
      })
    ) {
      if (seen.has(step.id)) continue;
      const finished = step.data?.time_finished;
      if (!Number.isSafeInteger(finished)) {
        throw new DecapodResponseError(
          "Cannot read the steps: the answer has one that Decapod would not give",
        );
      }
      seen.add(step.id);
      if (finished > since) [since, atSince] = [finished, 0];
      if (finished === since) atSince++;
      hurry();
      yield { type: "step", step } as const;
    }
  }

  try {
    for (;;) {
      const now = await look();
      const over = ENDS.includes(now.data.state);
      try {
        // Each change of state since the last look; a stale copy has none.
        let version = now.version;
        if (last) version = Math.max(last.version + 1, version - MISSED);
        for (; version <= now.version; version++) {
          const execution = version === now.version
            ? now
            : checked(await api.getExecutionVersion(id, version, request));
          if (execution === now && over) break; // first its last steps
          if (execution.data.state !== last?.data.state) {
            hurry();
            yield { type: "state", execution };
            request.signal.throwIfAborted();
          }
          last = execution;
        }
        const page = Math.floor(atSince / STEPS) + 1;
        const filter = { time_finished: { gte: since } };
        yield* unseen(since ? { filter, page } : {});
        // Some may have come late, with a time before those given already.
        if (over) {
          const count = { ...request, perPage: 1 };
          const { total } = await api.getExecutionSteps(id, count);
          if (total > seen.size) yield* unseen();
        }
      } catch (error) {
        survive(error);
        continue;
      }
      if (over) return yield { type: "state", execution: now };
    }
  } finally {
    close();
  }
}

/** Looks at an execution again and again. */
function openWatch(
  api: ExecutionApi,
  id: string,
  { timeout = Infinity, interval, signal, headers }: FollowOptions,
) {
  validate("id", id);
  const { min, max } = readInterval(interval);
  const scope = new Scope(timeout, late, signal);
  const request = { signal: scope.signal, ...headers && { headers } };
  const start = performance.now();
  const states: Record<string, number> = {};
  let seen: Execution | undefined;
  let wait = 0;

  function late(): DecapodWaitTimeoutError {
    const within = `within ${timeout} ms`;
    const looks = Object.entries(states)
      .map(([state, times]) => `${state} ${times}×`).join(", ");
    const what = seen === undefined
      ? `did not end ${within}: it was never seen, the server gave no answer`
      : ENDS.includes(seen.data.state)
      ? `ended, but not all was done ${within}: it is ${seen.data.state} (seen ${looks})`
      : `did not end ${within}: it is ${seen.data.state} (seen ${looks}) and goes on`;
    return new DecapodWaitTimeoutError(oneLine(`Execution ${id} ${what}`), {
      states: { ...states },
      ...seen && { execution: seen },
    });
  }

  /** Waits for the next look; the last one comes just before the deadline. */
  async function pause(): Promise<void> {
    const least = Math.max(min, wait * 0.75);
    const most = Math.min(max, wait * 1.25);
    const first = wait === 0;
    wait = Math.min(Math.max(min, wait * 1.5), max);
    if (first) return;
    const left = scope.remaining - Math.min(500, timeout / 5);
    if (left <= 0) throw late();
    const jittered = least + Math.random() * (most - least);
    await delay(Math.min(jittered, left), request);
  }

  /** Rethrows what waiting does not help against. */
  function survive(error: unknown): void {
    request.signal.throwIfAborted();
    const patient = seen || performance.now() - start < PATIENCE;
    if (!isPassing(error) || !patient) throw error;
  }

  return {
    /** What goes with each request. */
    request,
    /** The caller's own. */
    ...signal && { signal },
    survive,
    /** The execution as it is now, as soon as the server can be asked. */
    async look(): Promise<Execution> {
      for (;;) {
        await pause();
        try {
          const look = checked(await api.getExecution(id, request));
          const { state } = look.data;
          states[state] = (states[state] ?? 0) + 1;
          return seen = look;
        } catch (error) {
          survive(error);
        }
      }
    },
    /** Goes back to the shortest interval: something happens. */
    hurry() {
      wait = min;
    },
    /** Lets go of the timer and of the caller's signal. */
    close: () => scope.close(),
  };
}

/** Refuses what cannot be worked with as an execution. */
function checked(execution: Execution): Execution {
  const { version, data } = execution;
  if (
    !Number.isSafeInteger(version) || typeof data?.state !== "string" ||
    !isObject(data.playbook_configuration)
  ) {
    throw new DecapodResponseError(
      "Cannot watch the execution: the answer is not one as Decapod gives it",
    );
  }
  return execution;
}

/** The error for an execution that ended otherwise. */
async function ended(
  api: ExecutionApi,
  execution: Execution,
  { request, signal }: { request: RequestOptions; signal?: AbortSignal },
): Promise<DecapodExecutionError> {
  const { id, data: { state, playbook_configuration } } = execution;
  let failedSteps: ExecutionStep[] = [];
  let why = "";
  let cause: unknown;
  try {
    const filter = { result: { in: FAILURES } };
    failedSteps = await api.getExecutionSteps(id, { ...request, filter })
      .toArray();
    const named = failedSteps.slice(0, NAMED).map(({ data }) =>
      oneLine(
        `"${data.name}" on server ${
          data.server_id ?? "unknown"
        } (${data.result})`,
      )
    );
    const more = failedSteps.length - NAMED;
    if (more > 0) named.push(`${more} more`);
    if (named.length > 0) {
      why = `: failed steps are ${named.join(", ")}; getExecutionLog says more`;
    }
  } catch (error) {
    signal?.throwIfAborted();
    cause = error; // out of time, too: how it ended is worth more
    failedSteps = [];
    why = ": which steps failed could not be read";
  }
  return new DecapodExecutionError(
    oneLine(
      `Execution ${id} of ${playbook_configuration.playbook_name} ended as ${state}`,
    ) + why,
    { execution, failedSteps, cause },
  );
}

/** Whether it may be gone at the next look. */
function isPassing(error: unknown): boolean {
  return error instanceof DecapodAPIError
    ? error.code === 429 || error.code >= 500
    : error instanceof DecapodConnectionError ||
      error instanceof DecapodTimeoutError ||
      error instanceof DecapodResponseError;
}

function readInterval(interval: number | Interval = 1000): Interval {
  const given = isObject(interval)
    ? interval
    : { min: interval, max: Math.min(10 * interval, MAX_TIMER_DELAY) };
  // Both bounds are needed.
  const { min = NaN, max = NaN } = given;
  validateOptions(
    { ...given, min, max },
    ["min", "max"],
    "interval",
    "interval.",
  );
  if (min > max) {
    throw new RangeError(`Invalid interval: min ${min} is above max ${max}`);
  }
  return { min, max };
}
