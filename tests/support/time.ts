/** Time that passes at once, so that a test can wait for hours. */

import { replace } from "./patch.ts";

/** Waits that are over at once, and how long they would have been, in ms. */
export interface SkippedWaits extends Disposable {
  readonly waits: number[];
}

/**
 * Skips all waits but those for one of these deadlines: the clock moves on as
 * if they had been waited for. Deadlines are waited for as ever.
 */
export function skipWaits(...deadlines: number[]): SkippedWaits {
  const waits: number[] = [];
  let skipped = 0;
  const { setTimeout } = globalThis;
  const now = performance.now.bind(performance);
  const clock = replace(performance, "now", () => now() + skipped);
  const timers = replace(
    globalThis,
    "setTimeout",
    Object.assign(
      (callback: () => void, wait = 0) => {
        if (deadlines.includes(wait)) return setTimeout(callback, wait);
        waits.push(wait);
        skipped += wait;
        return setTimeout(callback, 0);
      },
      setTimeout,
    ),
  );
  return {
    waits,
    [Symbol.dispose]() {
      timers[Symbol.dispose]();
      clock[Symbol.dispose]();
    },
  };
}
