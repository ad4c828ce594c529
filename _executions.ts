/** Waiting for an execution, and following it. */

import { delay } from "@std/async/delay";
import {
  checkDuration,
  checkFunction,
  checkNames,
  checkSignal,
  checkString,
  isObject,
} from "./_check.ts";
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
import { Scope } from "./_scope.ts";
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
const ENDS = new Set<ExecutionState>(["completed", "canceled", "failed"]);

/** How results that are failures are called in the database. */
const FAILURES = [2, 4]; // error, unreachable

/** How long an execution that was never seen is looked for, in ms. */
const PATIENCE = 60_000;

/** The longest that a timer can wait, in ms. */
const LONGEST_WAIT = 2 ** 31 - 1;

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
  checkNames("options", options, WAIT_OPTIONS);
  const { onUpdate, expect = ["completed"] } = options;
  checkFunction("onUpdate", onUpdate);
  checkExpected(expect);
  const watch = new Watch(api, id, options);
  try {
    for (let version = 0;;) {
      const execution = await watch.look();
      if (execution.version !== version) {
        version = execution.version;
        watch.hurry();
        await watch.race(async () => await onUpdate?.(execution));
      }
      const { state } = execution.data;
      if (expect.includes(state)) return execution;
      if (ENDS.has(state)) throw await ended(api, execution, watch);
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
  checkNames("options", options, FOLLOW_OPTIONS);
  const watch = new Watch(api, id, options);
  const steps = new Steps(api, id, watch.options);
  let last: Execution | undefined;
  try {
    for (;;) {
      const look = await watch.look();
      const over = ENDS.has(look.data.state);
      try {
        for (const execution of await missed(api, last, look, watch.options)) {
          if (execution === look && over) break; // first its last steps
          last = execution;
          watch.hurry();
          yield { type: "state", execution };
          watch.throwIfOver();
        }
        for await (const step of steps.unseen(over)) {
          watch.hurry();
          yield { type: "step", step };
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
  readonly #options: FollowOptions;
  readonly #interval: Interval;
  readonly #scope: Scope;
  readonly #states: Record<string, number> = {};
  readonly #start = performance.now();
  #seen: Execution | undefined;
  #wait = 0;
  #slowest = 0;

  constructor(api: ExecutionApi, id: string, options: FollowOptions) {
    checkString("id", id);
    checkDuration("timeout", options.timeout);
    checkSignal(options.signal);
    this.#interval = readInterval(options.interval);
    this.#api = api;
    this.#id = id;
    this.#options = options;
    this.#scope = new Scope(
      options.timeout,
      () => this.#late(),
      options.signal,
    );
  }

  /** What goes with each request. */
  get options(): RequestOptions {
    const { headers } = this.#options;
    return { signal: this.#scope.signal, ...(headers && { headers }) };
  }

  /** The execution as it is now, as soon as the server can be asked. */
  async look(): Promise<Execution> {
    for (;;) {
      await this.#pause();
      try {
        const start = performance.now();
        const look = await this.#api.getExecution(this.#id, this.options);
        checkExecution(look);
        this.#slowest = Math.max(this.#slowest, performance.now() - start);
        const { state } = look.data;
        this.#states[state] = (this.#states[state] ?? 0) + 1;
        return this.#seen = look;
      } catch (error) {
        this.survive(error);
      }
    }
  }

  /** Waits for what the caller does, but not past the end. */
  race<T>(work: () => Promise<T>): Promise<T> {
    return this.#scope.race(work());
  }

  /** Lets go of the timer and of the caller's signal. */
  close(): void {
    this.#scope.close();
  }

  /** Goes back to the shortest interval: something happens. */
  hurry(): void {
    this.#wait = this.#interval.min;
  }

  /** Throws if the time is up or the caller has aborted. */
  throwIfOver(): void {
    this.#scope.signal.throwIfAborted();
  }

  /** Throws if the caller has aborted. */
  throwIfAborted(): void {
    this.#options.signal?.throwIfAborted();
  }

  /** Rethrows what waiting does not help against. */
  survive(error: unknown): void {
    this.throwIfOver();
    const patient = this.#seen !== undefined ||
      performance.now() - this.#start < PATIENCE;
    if (!isPassing(error) || !patient) throw error;
  }

  /** Waits for the next look; the last one comes just before the deadline. */
  async #pause(): Promise<void> {
    const { min, max } = this.#interval;
    const { remaining, signal } = this.#scope;
    const { timeout = Infinity } = this.#options;
    const lead = Math.min(Math.max(50, 2 * this.#slowest), 500, timeout / 5);
    if (this.#wait === 0) {
      this.#wait = min;
      return; // the first look is at once
    }
    if (remaining <= lead) throw this.#late();
    const least = Math.max(min, this.#wait * 0.75);
    const most = Math.min(max, this.#wait * 1.25);
    this.#wait = Math.min(this.#wait * 1.5, max);
    const wait = least + Math.random() * (most - least);
    await delay(Math.min(wait, remaining - lead), { signal });
  }

  #late(): DecapodWaitTimeoutError {
    const seen = this.#seen;
    const state = seen?.data.state;
    const within = `within ${this.#options.timeout} ms`;
    const looks = Object.entries(this.#states)
      .map(([state, times]) => `${state} ${times}×`).join(", ");
    return new DecapodWaitTimeoutError(
      oneLine(
        `Execution ${this.#id} ${
          state === undefined
            ? `did not end ${within}: it was never seen, the server gave no answer`
            : ENDS.has(state)
            ? `ended, but not all was done ${within}: it is ${state} (seen ${looks})`
            : `did not end ${within}: it is ${state} (seen ${looks}) and goes on`
        }`,
      ),
      { states: { ...this.#states }, ...(seen && { execution: seen }) },
    );
  }
}

/** Reads the steps of an execution, none of them twice. */
class Steps {
  readonly #api: ExecutionApi;
  readonly #id: string;
  readonly #options: RequestOptions;
  readonly #seen = new Set<string>();
  #since: number | undefined;
  #atSince = 0;

  constructor(api: ExecutionApi, id: string, options: RequestOptions) {
    this.#api = api;
    this.#id = id;
    this.#options = options;
  }

  /**
   * Steps that were not given yet, in the order in which they finished.
   *
   * @param last Whether no more steps will come: then it is counted whether
   * any came late, with a time before those that were given already.
   */
  async *unseen(last: boolean): AsyncGenerator<ExecutionStep, void, undefined> {
    const since = this.#since;
    // Of the steps with the time of the last one, so many are known already.
    yield* this.#read({
      ...(since !== undefined && { filter: { time_finished: { gte: since } } }),
      page: Math.floor(this.#atSince / STEPS) + 1,
    });
    if (!last) return;
    const { total } = await this.#list({ perPage: 1 });
    if (total > this.#seen.size) yield* this.#read({});
  }

  async *#read(
    options: ListOptions<StepFields>,
  ): AsyncGenerator<ExecutionStep, void, undefined> {
    const sortBy = { time_finished: 1, _id: 1 } as const;
    for await (
      const step of this.#list({ ...options, sortBy, perPage: STEPS })
    ) {
      if (this.#seen.has(step.id)) continue;
      checkStep(step);
      this.#seen.add(step.id);
      const { time_finished } = step.data;
      if (time_finished === this.#since) this.#atSince++;
      else if (this.#since === undefined || time_finished > this.#since) {
        this.#since = time_finished;
        this.#atSince = 1;
      }
      yield step;
    }
  }

  #list(options: ListOptions<StepFields>): Listing<ExecutionStep> {
    return this.#api.getExecutionSteps(this.#id, {
      ...options,
      ...this.#options,
    });
  }
}

/** The states between two looks and the later look, each change once. */
async function missed(
  api: ExecutionApi,
  last: Execution | undefined,
  look: Execution,
  options: RequestOptions,
): Promise<Execution[]> {
  if (last === undefined) return [look];
  if (look.version <= last.version) return []; // nothing new, or a stale copy
  const all = [last];
  const first = Math.max(last.version + 1, look.version - MISSED);
  for (let version = first; version < look.version; version++) {
    const one = await api.getExecutionVersion(look.id, version, options);
    checkExecution(one);
    all.push(one);
  }
  all.push(look);
  return all.filter((one, index) =>
    index > 0 && one.data.state !== all[index - 1]?.data.state
  );
}

/** The error for an execution that ended otherwise. */
async function ended(
  api: ExecutionApi,
  execution: Execution,
  watch: Watch,
): Promise<DecapodExecutionError> {
  const { id, data: { state, playbook_configuration } } = execution;
  let failedSteps: ExecutionStep[] = [];
  let cause: unknown;
  try {
    const filter = { result: { in: FAILURES } };
    failedSteps = await api.getExecutionSteps(id, { ...watch.options, filter })
      .toArray();
    failedSteps.forEach(checkStep);
  } catch (error) {
    failedSteps = [];
    watch.throwIfAborted();
    cause = error; // out of time, too: how it ended is worth more
  }
  const named = failedSteps.slice(0, NAMED).map(({ data }) =>
    oneLine(
      `"${data.name}" on server ${
        data.server_id ?? "unknown"
      } (${data.result})`,
    )
  );
  if (failedSteps.length > NAMED) {
    named.push(`${failedSteps.length - NAMED} more`);
  }
  const why = cause !== undefined
    ? ": which steps failed could not be read"
    : named.length > 0
    ? `: failed steps are ${named.join(", ")}; getExecutionLog says more`
    : "";
  return new DecapodExecutionError(
    oneLine(
      `Execution ${id} of ${playbook_configuration.playbook_name} ended as ${state}`,
    ) + why,
    { execution, failedSteps, cause },
  );
}

/** Refuses what cannot be worked with as an execution. */
function checkExecution({ version, data }: Execution): void {
  const fits = Number.isSafeInteger(version) && isObject(data) &&
    typeof data.state === "string" && isObject(data.playbook_configuration);
  if (!fits) {
    throw new DecapodResponseError(
      "Cannot watch the execution: the answer is not one as Decapod gives it",
    );
  }
}

/** Refuses what cannot be worked with as a step. */
function checkStep({ data }: ExecutionStep): void {
  if (!isObject(data) || !Number.isSafeInteger(data.time_finished)) {
    throw new DecapodResponseError(
      "Cannot read the steps: the answer has one that Decapod would not give",
    );
  }
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
  if (typeof interval === "object" && interval !== null) {
    checkNames("interval", interval, ["min", "max"]);
    // NaN is refused: both bounds are needed.
    const { min = NaN, max = NaN } = interval;
    checkDuration("interval.min", min);
    checkDuration("interval.max", max);
    if (min > max) {
      throw new RangeError(`Invalid interval: min ${min} is above max ${max}`);
    }
    return { min, max };
  }
  checkDuration("interval", interval);
  return { min: interval, max: Math.min(10 * interval, LONGEST_WAIT) };
}

function checkExpected(expect: unknown): void {
  if (!Array.isArray(expect) || expect.length === 0) {
    throw new RangeError(
      'Invalid expect: at least one state is needed, such as ["completed"]',
    );
  }
  for (const state of expect) checkString("expect", state);
}
