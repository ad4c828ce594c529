/** Waits on abort signals. */

/** The callbacks of a signal and its only listener. */
interface Subscription {
  callbacks: Set<() => void>;
  listener: () => void;
}

/** Node warns of a leak if a signal has more than ten listeners. */
const subscriptions = new WeakMap<AbortSignal, Subscription>();

/** Calls back once when a signal is aborted; returns a function that stops. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks, listener } = subscriptions.get(signal) ??
    subscribe(signal);
  callbacks.add(callback);
  return () => {
    callbacks.delete(callback);
    if (callbacks.size > 0) return;
    signal.removeEventListener("abort", listener);
    if (subscriptions.get(signal)?.callbacks === callbacks) {
      subscriptions.delete(signal);
    }
  };
}

function subscribe(signal: AbortSignal): Subscription {
  const callbacks = new Set<() => void>();
  const listener = () => callbacks.forEach((callback) => callback());
  const subscription = { callbacks, listener };
  subscriptions.set(signal, subscription);
  signal.addEventListener("abort", listener);
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
