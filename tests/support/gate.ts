/** A point at which requests wait until a test lets them continue. */

export interface Gate {
  /** Resolves when the first one waits. */
  readonly reached: Promise<void>;
  /** Lets all continue, also those to come. */
  open(): void;
  /** Waits at the gate. */
  pass(): Promise<void>;
}

export function gate(): Gate {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: opened.resolve,
    pass() {
      reached.resolve();
      return opened.promise;
    },
  };
}
