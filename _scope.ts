/** The life of one call: its deadline and its caller's signal in one. */

/** Ends what is done within it when the time is up or the caller aborts. */
export interface Scope {
  /** Aborted when the scope ends before its work does. */
  signal: AbortSignal;
  /** Whether something may have been changed of which no answer told. */
  doubt: boolean;
  /** Why it has ended: the caller's reason, or the error of being late. */
  reason(): unknown;
  /** Milliseconds until the deadline. */
  remaining(): number;
  /** Gives the whole time again. */
  restart(): void;
  /** Stops the clock: whoever is at work is not the server. */
  pause(): void;
  /** Lets go of the timer and of the caller's signal. */
  close(): void;
}

/**
 * Begins a scope.
 *
 * @param timeout Milliseconds until it ends by itself.
 * @param late Makes the error to end with.
 * @param outer The caller's signal.
 * @param light Whether it can be the platform's own timeout: that costs least,
 * but can neither be restarted nor keep a program running.
 */
export function openScope(
  timeout: number,
  late: () => Error,
  outer?: AbortSignal,
  light = false,
): Scope {
  outer?.throwIfAborted();
  let end = performance.now() + timeout;
  if (light && !outer) {
    let error: Error | undefined;
    return {
      signal: AbortSignal.timeout(timeout),
      doubt: false,
      reason: () => error ??= late(),
      remaining: () => end - performance.now(),
      restart() {},
      pause() {},
      close() {},
    };
  }
  // Not AbortSignal.any: Node 20 loses its aborts when it collects garbage.
  const controller = new AbortController();
  const { signal } = controller;
  const abort = () => controller.abort(outer?.reason);
  outer?.addEventListener("abort", abort);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const scope: Scope = {
    signal,
    doubt: false,
    reason: () => signal.reason,
    remaining: () => end - performance.now(),
    restart() {
      clearTimeout(timer);
      end = performance.now() + timeout;
      if (timeout < Infinity && !signal.aborted) {
        timer = setTimeout(() => controller.abort(late()), timeout);
      }
    },
    pause: () => clearTimeout(timer),
    close() {
      clearTimeout(timer);
      outer?.removeEventListener("abort", abort);
    },
  };
  scope.restart();
  return scope;
}

/** A promise that is no longer waited for once the signal is aborted. */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    promise.then(resolve, reject).finally(() =>
      signal.removeEventListener("abort", stop)
    );
  });
}
