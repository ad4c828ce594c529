/** Replacements of parts of the platform until the end of a block. */

/** Replaces the value of a property. */
export function replace<T extends object, Key extends keyof T>(
  target: T,
  key: Key,
  value: T[Key],
): Disposable {
  const original = target[key];
  target[key] = value;
  return {
    [Symbol.dispose]() {
      target[key] = original;
    },
  };
}

/** Removes a property. */
export function without(target: object, key: string): Disposable {
  const own = Object.getOwnPropertyDescriptor(target, key);
  if (own === undefined) throw new Error(`Cannot remove ${key}: there is none`);
  Reflect.deleteProperty(target, key);
  return { [Symbol.dispose]: () => Object.defineProperty(target, key, own) };
}

/** Makes `Math.random()` return this value. */
export function fixedRandom(value: number): Disposable {
  return replace(Math, "random", () => value);
}

/** Records promises that reject without a handler. */
export function recordUnhandled(): Disposable & { reasons: unknown[] } {
  const reasons: unknown[] = [];
  const record = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    reasons.push(event.reason);
  };
  addEventListener("unhandledrejection", record);
  return {
    reasons,
    [Symbol.dispose]: () => removeEventListener("unhandledrejection", record),
  };
}

/** A signal that counts its listeners. */
export class CountedSignal {
  readonly controller = new AbortController();
  /** The current number of listeners. */
  listeners = 0;
  /** The number of listeners ever added. */
  added = 0;

  constructor() {
    const { signal } = this.controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    const known = new Set<unknown>();
    signal.addEventListener = (
      type: string,
      listener: EventListenerOrEventListenerObject,
      options?: boolean | AddEventListenerOptions,
    ) => {
      known.add(listener);
      this.added++;
      this.listeners = known.size;
      add(type, listener, options);
    };
    signal.removeEventListener = (
      type: string,
      listener: EventListenerOrEventListenerObject,
      options?: boolean | EventListenerOptions,
    ) => {
      known.delete(listener);
      this.listeners = known.size;
      remove(type, listener, options);
    };
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }
}
