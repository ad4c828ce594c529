/** What tests wait for: a point at which requests stop, and limited waits. */

import { inTime } from "./time.ts";

/** A point at which requests wait until a test lets them continue. */
export interface Gate extends Disposable {
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
  const open = () => {
    isOpen = true;
    opened.resolve();
  };
  return {
    reached: reached.promise,
    get isOpen() {
      return isOpen;
    },
    open,
    [Symbol.dispose]: open, // or its server would wait for the requests
    pass() {
      reached.resolve();
      return opened.promise;
    },
  };
}

/** Fails if a promise has not settled after some time. */
export const within = <T>(promise: PromiseLike<T>, ms = 2000): Promise<T> =>
  inTime(Promise.resolve(promise), ms);
