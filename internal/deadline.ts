/** Ends calls: time limit, the caller's AbortSignal, logout. */

import { DecapodError, DecapodTimeoutError } from "../errors.ts";
import { isDeno } from "./runtime.ts";

/** Why the library itself ended a call. */
export interface Ending {
  /** The class of the error. */
  ErrorClass: typeof DecapodError;
  /** What happened, for the error's message. */
  reason: string;
}

/** Open deadlines, which logout() cancels. */
export type OpenDeadlines = Set<Deadline>;

/** The callbacks of a signal and the listener that calls them. */
interface Subscription {
  callbacks: Set<() => void>;
  listener: () => void; // not with `this`: older versions of workerd lack it
}

/** Callbacks share one listener: Node warns of a leak above ten of them. */
const subscriptions = new WeakMap<AbortSignal, Subscription>();

/** Calls back once when a signal is aborted; returns a function to cancel. */
function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks, listener } = subscriptions.get(signal) ??
    subscribe(signal);
  if (callbacks.size === 0) signal.addEventListener("abort", listener);
  callbacks.add(callback);
  return () => {
    callbacks.delete(callback);
    if (callbacks.size === 0) signal.removeEventListener("abort", listener);
  };
}

function subscribe(signal: AbortSignal): Subscription {
  const callbacks = new Set<() => void>();
  const listener = () => callbacks.forEach((callback) => callback());
  const subscription = { callbacks, listener };
  subscriptions.set(signal, subscription);
  return subscription;
}

/** A promise that rejects as soon as the signal is aborted. */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    const stop = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(stop);
  });
}

/** The time limits, in ms, for which calls on Deno share an alarm. */
const MIN_ALARM = 1000;
const MAX_ALARM = 60_000;

/** The latest alarm, for all calls that start at about the same time. */
let alarm: { timeout: number; start: number; signal: AbortSignal } | undefined;

/**
 * Aborts after a time limit or up to 1 % later. On Deno, setting and clearing
 * a timer for each call would add 6 % to it.
 */
function sharedAlarm(timeout: number, start: number): AbortSignal {
  const age = start - (alarm?.start ?? 0); // unreliable if a test fakes the clock
  const isUsable = alarm?.timeout === timeout && !alarm.signal.aborted &&
    age >= 0 && age <= timeout / 100;
  if (!alarm || !isUsable) {
    const signal = AbortSignal.timeout(Math.ceil(timeout * 1.01));
    alarm = { timeout, start, signal };
  }
  return alarm.signal;
}

/** Aborts its signal when a call has to end. */
export class Deadline {
  readonly #controller = new AbortController();
  /** Aborted when the call has to end. */
  readonly signal: AbortSignal = this.#controller.signal;
  /** Why the library ended the call, if it did. */
  ending: Ending | undefined;
  readonly #unsubscribe: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #alarm: AbortSignal | undefined;
  #end: number;
  #reject: ((reason: unknown) => void) | undefined;
  #isOnWire = false;
  #isCanceled = false;

  /**
   * @param timeout In milliseconds; `Infinity` for no limit.
   * @param toError Creates the error of a timeout or a cancellation.
   * @param open The open deadlines, which include this one until close().
   * @param caller The caller's signal.
   */
  constructor(
    readonly timeout: number,
    readonly toError: (ending: Ending) => Error,
    readonly open: OpenDeadlines,
    readonly caller?: AbortSignal,
  ) {
    caller?.throwIfAborted();
    open.add(this);
    // AbortSignal.any is not reliable: Node 20 loses its aborts.
    if (caller) {
      this.#unsubscribe = onAbort(caller, () => this.abort(caller.reason));
    }
    const start = performance.now();
    this.#end = start + timeout;
    if (isDeno() && timeout >= MIN_ALARM && timeout <= MAX_ALARM) {
      this.#alarm = sharedAlarm(timeout, start);
      this.#alarm.addEventListener("abort", this);
    } else {
      this.restart();
    }
  }

  /** Milliseconds left. */
  get remaining(): number {
    return this.#end - performance.now();
  }

  /** Starts the time limit again. */
  restart(): void {
    this.pause();
    this.#end = performance.now() + this.timeout;
    if (this.timeout === Infinity) return;
    this.#timer = setTimeout(() => this.handleEvent(), this.timeout);
  }

  /** Stops the timer. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#alarm?.removeEventListener("abort", this);
    this.#alarm = undefined;
  }

  /** Releases the timer and the caller's signal. */
  close(): void {
    this.pause();
    this.#unsubscribe?.();
    this.open.delete(this);
  }

  /** Rejects early if the call has to end; for one promise at a time. */
  race<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject; // a listener would add 3 % to a call
      if (this.signal.aborted) reject(this.signal.reason);
      promise.then(resolve, reject);
    });
  }

  /** Ends the call at its time limit; the alarm calls this as its listener. */
  handleEvent(): void {
    this.#finish({
      ErrorClass: DecapodTimeoutError,
      reason:
        `no response within ${this.timeout} ms (the server is slow or the timeout too short)`,
    });
  }

  /** Ends the call because the session ended. */
  cancel(): void {
    this.#isCanceled = true;
    if (this.#isOnWire) return; // its response may still arrive
    this.#finish({
      ErrorClass: DecapodError,
      reason: "canceled by logout() or disposal (is an await missing?)",
    });
  }

  /** Lets a request on the wire finish before cancel() takes effect. */
  beginRequest(): void {
    this.#isOnWire = true;
  }

  /** The attempt failed; from now on, cancel() takes effect at once. */
  endRequest(): void {
    this.#isOnWire = false;
    if (this.#isCanceled) this.cancel();
  }

  /** Excludes this deadline from cancellation by logout(). */
  detach(): void {
    this.open.delete(this);
  }

  /** Aborts the signal. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
    this.#reject?.(this.signal.reason);
  }

  #finish(ending: Ending): void {
    if (this.signal.aborted) return;
    if (this.caller?.aborted) return this.abort(this.caller.reason);
    this.ending = ending;
    this.abort(this.toError(ending));
  }
}
