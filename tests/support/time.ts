/** Skips time, so that a test can wait for hours. */

import { replace } from "./patch.ts";

/** Waits that end at once, and their lengths in ms. */
export interface SkippedWaits extends Disposable {
  readonly waits: number[];
}

/**
 * Skips all waits except those of one of these lengths, and advances the clock
 * accordingly.
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
