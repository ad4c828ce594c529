/** Waits for an execution, and follows it, by polling. */

import { delay } from "@std/async/delay";
import type { Deadline, Ending } from "./deadline.ts";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  DecapodExecutionError,
  DecapodResponseError,
  DecapodTimeoutError,
  DecapodWaitTimeoutError,
} from "../errors.ts";
import { flattenWithin } from "./generators.ts";
import { readHeaders } from "./headers.ts";
import type { Listing } from "../listing.ts";
import type {
  Execution,
  ExecutionEvent,
  ExecutionState,
  ExecutionStep,
  StepFields,
} from "../models.ts";
import {
  FOLLOW_OPTIONS,
  type FollowOptions,
  INTERVAL,
  type Interval,
  type ListOptions,
  type RequestOptions,
  WAIT_OPTIONS,
  type WaitOptions,
} from "../options.ts";
import { singleLine } from "./redact.ts";
import type { Resource } from "./resource.ts";
import type { Transport } from "./transport.ts";
import {
  isObject,
  MAX_TIMER_DELAY,
  MILLISECONDS,
  validate,
  validateOptions,
} from "./validate.ts";

const TERMINAL_STATES: ExecutionState[] = ["completed", "canceled", "failed"];

/** The results error and unreachable, as numbers of the database. */
const FAILED_RESULTS = [2, 4];

/** How long transient errors are ignored before the first response, in ms. */
const NOT_SEEN_TIMEOUT = 60_000;

/** How many versions between two polls are reported one by one. */
const MAX_REPLAYED_VERSIONS = 16;

const STEPS_PER_PAGE = 100;

/** At this many reads that fail because a step has no time, following ends. */
const MAX_STEP_FAILURES = 10;

const MAX_STEPS_IN_MESSAGE = 5;

/** The client's methods that polling calls; a subclass may override them. */
interface ExecutionApi {
  getExecution: Resource<Execution>["get"];
  getExecutionVersion: Resource<Execution>["getVersion"];
  getExecutionSteps(
    id: string,
    options: ListOptions<StepFields>,
  ): Listing<ExecutionStep>;
}

/** Waits until an execution is in one of the expected states. */
export async function waitForExecution(
  api: ExecutionApi,
  transport: Transport,
  id: string,
  options: WaitOptions = {},
): Promise<Execution> {
  validateOptions(options, WAIT_OPTIONS);
  const { onUpdate, expect = ["completed"] } = options;
  const poller = new ExecutionPoller(api, transport, id, options);
  try {
    let version = 0;
    for (;;) {
      const execution = await poller.poll();
      if (execution.version < version) continue; // a stale response
      if (execution.version > version) {
        version = execution.version;
        poller.resetInterval();
        await poller.deadline.race(Promise.resolve(onUpdate?.(execution)));
      }
      if (expect.includes(execution.data.state)) return execution;
      if (hasEnded(execution)) throw await poller.executionError(execution);
    }
  } finally {
    poller.deadline.close();
  }
}

/** Yields each change of state and each step, the terminal state last. */
export function followExecution(
  api: ExecutionApi,
  transport: Transport,
  id: string,
  options: FollowOptions = {},
): AsyncGenerator<ExecutionEvent, void, undefined> {
  const open = () => {
    validateOptions(options, FOLLOW_OPTIONS);
    const poller = new ExecutionPoller(api, transport, id, options);
    return { deadline: poller.deadline, batches: readEvents(poller) };
  };
  return flattenWithin(open, (event) => [event]);
}

async function* readEvents(
  poller: ExecutionPoller,
): AsyncGenerator<ExecutionEvent, void, undefined> {
  const { api, id, request } = poller;
  const steps = new StepReader(poller);
  let last: Execution | undefined;
  for (;;) {
    const latest = await poller.poll();
    const isOver = hasEnded(latest);
    try {
      // Each version since the last poll; a stale response has none.
      let version = last
        ? Math.max(last.version + 1, latest.version - MAX_REPLAYED_VERSIONS)
        : latest.version;
      for (; version <= latest.version; version++) {
        const execution = version === latest.version ? latest : checkExecution(
          await api.getExecutionVersion(id, version, request),
        );
        if (execution === latest && isOver) break; // yielded after its steps
        if (execution.data.state !== last?.data.state) {
          poller.resetInterval();
          yield { type: "state", execution };
          request.signal?.throwIfAborted();
        }
        last = execution;
      }
      yield* steps.readNew(isOver);
    } catch (error) {
      poller.rethrowUnlessTransient(error);
      continue;
    }
    if (isOver) return yield { type: "state", execution: latest };
  }
}

/** Reads the steps of an execution that were not read before. */
class StepReader {
  readonly #seen = new Set<string>();
  /** When the last step finished, and how many finished at that time. */
  #lastTime = 0;
  #countAtLastTime = 0;
  #stepFailures = 0;

  constructor(readonly poller: ExecutionPoller) {}

  /** @param isOver Whether no further steps can be written. */
  async *readNew(isOver: boolean): AsyncGenerator<ExecutionEvent> {
    // Skips pages of steps that were read before.
    const page = Math.floor(this.#countAtLastTime / STEPS_PER_PAGE) + 1;
    const filter = { time_finished: { gte: this.#lastTime } };
    yield* this.#read(this.#lastTime ? { filter, page } : {});
    if (!isOver) return;
    // Some may have been written later, with an earlier time.
    const { total } = await this.poller.listSteps({ perPage: 1 });
    if (total > this.#seen.size) yield* this.#read({});
  }

  async *#read(
    query: ListOptions<StepFields>,
  ): AsyncGenerator<ExecutionEvent> {
    const { id } = this.poller;
    const listing = this.poller.listSteps({
      ...query,
      sortBy: { time_finished: 1, _id: 1 },
      perPage: STEPS_PER_PAGE,
    });
    for await (const step of listing) {
      if (this.#seen.has(step.id)) continue;
      const finished = step.data?.time_finished;
      if (!Number.isSafeInteger(finished)) {
        const isTolerable = ++this.#stepFailures < MAX_STEP_FAILURES;
        const ErrorClass = isTolerable ? DecapodResponseError : DecapodError;
        throw new ErrorClass(
          singleLine(
            `Cannot read the steps of execution ${id}: step ${step.id} has no time_finished`,
          ),
        );
      }
      this.#seen.add(step.id);
      if (finished > this.#lastTime) this.#countAtLastTime = 0;
      this.#lastTime = Math.max(this.#lastTime, finished);
      if (finished === this.#lastTime) this.#countAtLastTime++;
      this.poller.resetInterval();
      yield { type: "step", step };
    }
  }
}

/** Polls an execution at growing intervals, and ignores transient errors. */
class ExecutionPoller {
  /** Ends the polling. */
  readonly deadline: Deadline;
  /** The options of each request. */
  readonly request: RequestOptions;
  readonly #interval: Interval;
  readonly #start = performance.now();
  readonly #states: Record<string, number> = {};
  #latest: Execution | undefined;
  #lastError: unknown;
  #wait = 0;

  constructor(
    readonly api: ExecutionApi,
    transport: Transport,
    readonly id: string,
    readonly options: FollowOptions,
  ) {
    validate("id", id);
    const { timeout = Infinity, interval, signal, headers } = options;
    this.#interval = readInterval(interval);
    const record = readHeaders(headers);
    this.deadline = transport.openLongDeadline(
      (ending) => this.#endingError(ending),
      signal,
      timeout,
    );
    this.request = { signal: this.deadline.signal, headers: record };
  }

  /** Waits for the next poll, and polls until there is a response. */
  async poll(): Promise<Execution> {
    for (;;) {
      await this.#waitForNextPoll();
      try {
        const execution = checkExecution(
          await this.api.getExecution(this.id, this.request),
        );
        const { state } = execution.data;
        this.#states[state] = (this.#states[state] ?? 0) + 1;
        return this.#latest = execution;
      } catch (error) {
        this.rethrowUnlessTransient(error);
      }
    }
  }

  listSteps(query: ListOptions<StepFields>): Listing<ExecutionStep> {
    return this.api.getExecutionSteps(this.id, { ...query, ...this.request });
  }

  /** Returns to the shortest interval. */
  resetInterval(): void {
    this.#wait = this.#interval.min;
  }

  /** Rethrows an error that the next poll would not solve. */
  rethrowUnlessTransient(error: unknown): void {
    this.deadline.signal.throwIfAborted();
    const isEarly = performance.now() - this.#start < NOT_SEEN_TIMEOUT;
    if (!isTransient(error) || !(this.#latest || isEarly)) throw error;
    this.#lastError = error;
  }

  /** The error for an execution that ended in another state than expected. */
  async executionError(execution: Execution): Promise<DecapodExecutionError> {
    const { id, data: { state, playbook_configuration } } = execution;
    let failedSteps: ExecutionStep[] = [];
    let detail = "";
    let cause: unknown;
    try {
      const filter = { result: { in: FAILED_RESULTS } };
      failedSteps = await this.listSteps({ filter }).toArray();
      if (failedSteps.length > 0) detail = `: ${describeSteps(failedSteps)}`;
    } catch (error) {
      this.options.signal?.throwIfAborted();
      cause = error; // also a timeout: the execution's state matters more
      detail = " (its failed steps could not be read)";
    }
    const { playbook_name } = playbook_configuration;
    const what = `Execution ${id} of ${playbook_name} ended as ${state}`;
    return new DecapodExecutionError(singleLine(what, 150) + detail, {
      execution,
      failedSteps,
      cause,
    });
  }

  /** Waits for the interval, or until shortly before the deadline. */
  async #waitForNextPoll(): Promise<void> {
    const { min, max } = this.#interval;
    const low = Math.max(min, this.#wait * 0.75);
    const high = Math.min(max, this.#wait * 1.25);
    const isFirst = this.#wait === 0;
    this.#wait = Math.min(Math.max(min, this.#wait * 1.5), max);
    this.deadline.signal.throwIfAborted();
    if (isFirst) return;
    const left = this.deadline.remaining -
      Math.min(500, this.deadline.timeout / 5);
    if (left <= 0) throw this.#waitTimeoutError();
    const jittered = low + Math.random() * (high - low);
    const { signal } = this.deadline;
    await delay(Math.min(jittered, left), { signal });
  }

  #endingError({ ErrorClass, reason }: Ending): Error {
    return ErrorClass === DecapodTimeoutError
      ? this.#waitTimeoutError()
      : new ErrorClass(`Execution ${singleLine(this.id, 80)}: ${reason}`);
  }

  #waitTimeoutError(): DecapodWaitTimeoutError {
    const within = `within ${this.deadline.timeout} ms`;
    const seen = Object.entries(this.#states)
      .map(([state, count]) => `${state} ${count}×`).join(", ");
    const latest = this.#latest;
    const cause = latest ? undefined : this.#lastError;
    const error = cause instanceof Error ? ` (${cause.message})` : "";
    const what = latest === undefined
      ? `did not end ${within}: no poll succeeded${error}`
      : hasEnded(latest)
      ? `ended as ${latest.data.state}, but its details could not be read ${within} (polled ${seen})`
      : `did not end ${within}: it is ${latest.data.state} and continues (polled ${seen})`;
    return new DecapodWaitTimeoutError(
      singleLine(`Execution ${this.id} ${what}`, 500),
      {
        states: { ...this.#states },
        ...latest && { execution: latest },
        cause,
      },
    );
  }
}

/**
 * Whether an execution has ended. One that is canceled before it starts still
 * runs; `canceled` is then version 2.
 */
function hasEnded({ version, data: { state } }: Execution): boolean {
  const isStillQueued = state === "canceled" && version === 2;
  return TERMINAL_STATES.includes(state) && !isStillQueued;
}

function describeSteps(steps: ExecutionStep[]): string {
  const names = steps.slice(0, MAX_STEPS_IN_MESSAGE).map(({ data }) =>
    `"${singleLine(data.name, 60)}" on server ${
      singleLine(data.server_id ?? "unknown", 40)
    } (${singleLine(data.result, 20)})`
  );
  const more = steps.length - names.length;
  if (more > 0) names.push(`${more} more`);
  return singleLine(
    `failed steps are ${names.join(", ")} (see getExecutionLog)`,
    340,
  );
}

/** Throws if a response is not an execution. */
function checkExecution(execution: Execution): Execution {
  const { version, data } = execution;
  const isValid = Number.isSafeInteger(version) &&
    typeof data?.state === "string" && isObject(data.playbook_configuration);
  if (isValid) return execution;
  throw new DecapodResponseError(
    "Cannot poll the execution: the response is not an execution of Decapod",
  );
}

/** Whether the next poll may succeed; wider than RETRYABLE_STATUSES. */
function isTransient(error: unknown): boolean {
  return error instanceof DecapodAPIError
    ? [408, 429].includes(error.code) || error.code >= 500
    : error instanceof DecapodConnectionError ||
      error instanceof DecapodTimeoutError ||
      error instanceof DecapodResponseError;
}

function readInterval(interval: FollowOptions["interval"] = 1000): Interval {
  if (!isObject(interval)) validate("interval", interval, MILLISECONDS);
  const bounds = isObject(interval)
    ? interval
    : { min: interval, max: Math.min(10 * interval, MAX_TIMER_DELAY) };
  validateOptions(bounds, INTERVAL, "interval", "interval.");
  const { min, max } = bounds;
  if (min > max) {
    throw new RangeError(
      `Invalid interval: must have min ≤ max, got min ${min} and max ${max}`,
    );
  }
  return { min, max };
}
