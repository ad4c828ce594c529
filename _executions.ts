/** Waiting for an execution, and following it. */

import { delay } from "@std/async/delay";
import { check, checkOptions, DURATION, isObject, LONGEST } from "./_check.ts";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodExecutionError,
  DecapodResponseError,
  DecapodTimeoutError,
  DecapodWaitTimeoutError,
} from "./errors.ts";
import type { Listing } from "./_listing.ts";
import type {
  Execution,
  ExecutionState,
  ExecutionStep,
  StepFields,
} from "./models.ts";
import type { ListOptions } from "./_query.ts";
import { oneLine } from "./_redact.ts";
import { abortable, Scope } from "./_scope.ts";
import type { RequestOptions } from "./_transport.ts";

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
  checkOptions(options, WAIT_OPTIONS);
  const { onUpdate, expect = ["completed"] } = options;
  const watch = new Watch(api, id, options);
  try {
    for (let version = 0;;) {
      const execution = await watch.look();
      if (execution.version !== version) {
        version = execution.version;
        watch.hurry();
        const told = Promise.resolve(onUpdate?.(execution));
        await abortable(told, watch.options.signal);
      }
      const { state } = execution.data;
      if (expect.includes(state)) return execution;
      if (ENDS.includes(state)) {
        const error = await ended(api, execution, watch);
        options.signal?.throwIfAborted();
        throw error; // out of time, too: how it ended is worth more
      }
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
  checkOptions(options, FOLLOW_OPTIONS);
  const watch = new Watch(api, id, options);
  const seen = new Set<string>();
  let since = 0; // when the last step finished
  let last: Execution | undefined;

  const list = (more: ListOptions<StepFields>) =>
    api.getExecutionSteps(id, { ...more, ...watch.options });

  /** The steps that were not given yet, in the order in which they finished. */
  async function* unseen(filter?: { time_finished: { gte: number } }) {
    const sortBy = { time_finished: 1, _id: 1 } as const;
    for await (
      const step of list({
        ...filter && { filter },
        sortBy,
        perPage: STEPS,
      })
    ) {
      if (seen.has(step.id)) continue;
      seen.add(step.id);
      const finished = step.data?.time_finished;
      if (Number.isSafeInteger(finished) && finished > since) since = finished;
      watch.hurry();
      yield { type: "step", step } as const;
    }
  }

  try {
    for (;;) {
      const look = await watch.look();
      const over = ENDS.includes(look.data.state);
      try {
        // Each change of state since the last look; a stale copy has none.
        for (
          let version = last
            ? Math.max(last.version + 1, look.version - MISSED)
            : look.version;
          version <= look.version;
          version++
        ) {
          const execution = version === look.version
            ? look
            : await api.getExecutionVersion(id, version, watch.options);
          const { state } = execution.data;
          if (execution === look && over) break; // first its last steps
          if (state !== last?.data.state) {
            watch.hurry();
            yield { type: "state", execution };
          }
          last = execution;
        }
        yield* unseen(since ? { time_finished: { gte: since } } : undefined);
        // Some may have come late, with a time before those given already.
        if (over && (await list({ perPage: 1 })).total > seen.size) {
          yield* unseen();
        }
      } catch (error) {
        watch.survive(error);
        continue;
      }
      if (over) return yield { type: "state", execution: look };
    }
  } finally {
    watch.close();
  }
}

/** Looks at an execution again and again. */
class Watch {
  readonly #api: ExecutionApi;
  readonly #id: string;
  readonly #timeout: number;
  readonly #interval: Interval;
  readonly #scope: Scope;
  readonly #states: Record<string, number> = {};
  readonly #start = performance.now();
  /** What goes with each request. */
  readonly options: RequestOptions & { signal: AbortSignal };
  #seen: Execution | undefined;
  #wait = 0;

  constructor(
    api: ExecutionApi,
    id: string,
    { timeout = Infinity, interval, signal, headers }: FollowOptions,
  ) {
    check("id", id);
    this.#interval = readInterval(interval);
    this.#api = api;
    this.#id = id;
    this.#timeout = timeout;
    this.#scope = new Scope(timeout, () => this.#late(), signal);
    this.options = {
      signal: this.#scope.signal,
      ...headers && { headers },
    };
  }

  /** The execution as it is now, as soon as the server can be asked. */
  async look(): Promise<Execution> {
    for (;;) {
      await this.#pause();
      try {
        const look = await this.#api.getExecution(this.#id, this.options);
        const { version, data } = look;
        if (
          !Number.isSafeInteger(version) || typeof data?.state !== "string" ||
          !isObject(data.playbook_configuration)
        ) {
          throw new DecapodResponseError(
            "Cannot watch the execution: the answer is not one as Decapod gives it",
          );
        }
        this.#states[data.state] = (this.#states[data.state] ?? 0) + 1;
        return this.#seen = look;
      } catch (error) {
        this.survive(error);
      }
    }
  }

  /** Lets go of the timer and of the caller's signal. */
  close(): void {
    this.#scope.close();
  }

  /** Goes back to the shortest interval: something happens. */
  hurry(): void {
    this.#wait = this.#interval.min;
  }

  /** Rethrows what waiting does not help against. */
  survive(error: unknown): void {
    this.options.signal.throwIfAborted();
    const patient = this.#seen !== undefined ||
      performance.now() - this.#start < PATIENCE;
    if (!isPassing(error) || !patient) throw error;
  }

  /** Waits for the next look; the last one comes just before the deadline. */
  async #pause(): Promise<void> {
    const { min, max } = this.#interval;
    const wait = this.#wait;
    this.#wait = Math.min(Math.max(min, wait * 1.5), max);
    if (wait === 0) return; // the first look is at once
    const left = this.#scope.remaining - Math.min(500, this.#timeout / 5);
    if (left <= 0) throw this.#late();
    const jittered = Math.min(
      Math.max(min, wait * (0.75 + Math.random() / 2)),
      max,
    );
    await delay(Math.min(jittered, left), this.options);
  }

  #late(): DecapodWaitTimeoutError {
    const execution = this.#seen;
    const within = `within ${this.#timeout} ms`;
    const looks = Object.entries(this.#states)
      .map(([state, times]) => `${state} ${times}×`).join(", ");
    const what = execution === undefined
      ? `did not end ${within}: it was never seen, the server gave no answer`
      : ENDS.includes(execution.data.state)
      ? `ended, but not all was done ${within} (seen ${looks})`
      : `did not end ${within} and goes on (seen ${looks})`;
    return new DecapodWaitTimeoutError(
      oneLine(`Execution ${this.#id} ${what}`),
      { states: { ...this.#states }, ...execution && { execution } },
    );
  }
}

/** The error for an execution that ended otherwise. */
async function ended(
  api: ExecutionApi,
  execution: Execution,
  { options }: Watch,
): Promise<DecapodExecutionError> {
  const { id, data: { state, playbook_configuration } } = execution;
  let failedSteps: ExecutionStep[] = [];
  let why = "";
  let cause: unknown;
  try {
    const filter = { result: { in: FAILURES } };
    failedSteps = await api.getExecutionSteps(id, { ...options, filter })
      .toArray();
    const named = failedSteps.slice(0, NAMED).map(({ data }) =>
      oneLine(`"${data.name}" on server ${data.server_id} (${data.result})`)
    );
    const more = failedSteps.length - NAMED;
    if (more > 0) named.push(`${more} more`);
    if (named.length > 0) {
      why = `: failed steps are ${named.join(", ")}; getExecutionLog says more`;
    }
  } catch (error) {
    cause = error;
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
  if (!isObject(interval)) {
    check("interval", interval, DURATION);
    return { min: interval, max: Math.min(10 * interval, LONGEST) };
  }
  // Both bounds are needed.
  const { min = NaN, max = NaN } = interval;
  checkOptions({ ...interval, min, max }, ["min", "max"], "interval");
  if (min > max) {
    throw new RangeError(`Invalid interval: min ${min} is above max ${max}`);
  }
  return { min, max };
}
