/** Reacts to abort signals. */

/** The callbacks of a signal and the listener that calls them. */
interface Subscription {
  callbacks: Set<() => void>;
  listener: () => void; // not with `this`: older versions of workerd lack it
}

/** Callbacks share one listener: Node warns of a leak above ten of them. */
const subscriptions = new WeakMap<AbortSignal, Subscription>();

/** Calls back once when a signal is aborted; returns a function to cancel. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
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
