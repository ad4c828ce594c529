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
  /** The number of listeners ever added. */
  added = 0;
  readonly #known = new Set<unknown>();

  constructor() {
    const { signal } = this.controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      this.#known.add(args[1]);
      this.added++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      this.#known.delete(args[1]);
      remove(...args);
    };
  }

  /** The current number of listeners. */
  get listeners(): number {
    return this.#known.size;
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }
}
