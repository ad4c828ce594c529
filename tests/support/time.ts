/** Skips time, so that a test can wait for hours, and limits or holds waits. */

import { AssertionError } from "@std/assert";
import { replace } from "./patch.ts";

const { setTimeout, clearTimeout } = globalThis; // tests replace them

/** Fails, instead of hanging, if a promise is pending for too long. */
export async function inTime<T>(promise: Promise<T>, ms = 5000): Promise<T> {
  const { promise: hangs, reject } = Promise.withResolvers<never>();
  const error = new AssertionError(`Still pending after ${ms} ms`);
  const timer = setTimeout(() => reject(error), ms);
  return await Promise.race([promise, hangs])
    .finally(() => clearTimeout(timer));
}

/** A point at which requests wait until a test lets them continue. */
export function gate() {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const open = () => {
    point.isOpen = true;
    opened.resolve();
  };
  const point = {
    /** Resolves when the first one waits. */
    reached: reached.promise,
    isOpen: false,
    /** Lets all continue, also those to come. */
    open,
    [Symbol.dispose]: open, // or its server would wait for the requests
    /** Waits at the gate. */
    pass() {
      reached.resolve();
      return opened.promise;
    },
  };
  return point;
}

/**
 * Fires all timers at once except those with one of these delays; `waits` has
 * the delays of the others, in ms.
 */
export function skipTimers(...deadlines: number[]) {
  const waits: number[] = [];
  const { setTimeout } = globalThis;
  const skip = (callback: () => void, wait = 0) => {
    if (deadlines.includes(wait)) return setTimeout(callback, wait);
    waits.push(wait);
    return setTimeout(callback, 0);
  };
  const patched = Object.assign(skip, setTimeout);
  return { waits, ...replace(globalThis, "setTimeout", patched) };
}

/** The same, and advances the clock accordingly. */
export function skipWaits(...deadlines: number[]) {
  const timers = skipTimers(...deadlines);
  const now = performance.now.bind(performance);
  let [counted, skipped] = [0, 0];
  const clock = replace(performance, "now", () => {
    for (; counted < timers.waits.length; counted++) {
      skipped += timers.waits[counted] ?? 0;
    }
    return now() + skipped;
  });
  return {
    waits: timers.waits,
    [Symbol.dispose]() {
      clock[Symbol.dispose]();
      timers[Symbol.dispose]();
    },
  };
}
