/** Reacts to abort signals. */

/** Callbacks share one listener: Node warns of a leak above ten of them. */
const callbacksOf = new WeakMap<AbortSignal, Set<() => void>>();

function callAll(this: AbortSignal): void {
  callbacksOf.get(this)?.forEach((callback) => callback());
}

/** Calls back once when a signal is aborted; returns a function to cancel. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const callbacks = callbacksOf.get(signal) ?? new Set();
  if (callbacks.size === 0) {
    callbacksOf.set(signal, callbacks);
    signal.addEventListener("abort", callAll);
  }
  callbacks.add(callback);
  return () => {
    callbacks.delete(callback);
    if (callbacks.size === 0) signal.removeEventListener("abort", callAll);
  };
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
