/** A point at which requests wait until a test lets them continue. */

export interface Gate {
  /** Resolves when the first one waits. */
  readonly reached: Promise<void>;
  /** Whether it was opened. */
  readonly isOpen: boolean;
  /** Lets all continue, also those to come. */
  open(): void;
  /** Waits at the gate. */
  pass(): Promise<void>;
}

export function gate(): Gate {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  let isOpen = false;
  return {
    reached: reached.promise,
    get isOpen() {
      return isOpen;
    },
    open() {
      isOpen = true;
      opened.resolve();
    },
    pass() {
      reached.resolve();
      return opened.promise;
    },
  };
}
