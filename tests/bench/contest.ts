/**
 * One thing done in several ways. Each contest is run by `deno bench`, for the
 * times, and by `table.ts`, for the ratios: what the machine does besides slows
 * down all ways of a round alike, so a ratio is worth more than a time.
 */

import { type Spread, spread } from "./spread.ts";

/** Does it; all ways must give the same number, such as how much was read. */
export type Way = () => number | Promise<number>;

/** What our way is held against. */
export interface Target {
  /** The name of the other way. */
  against: string;
  /** Whether times are compared, where less is better, or speeds. */
  of: "time" | "speed";
  /** What the ratio of ours to the other's should come to; if anything. */
  wanted?: number;
}

/** A contest. */
export interface Contest {
  name: string;
  /** The ways by their names, ours first. */
  ways: Record<string, Way>;
  targets: Target[];
  /** How often each way goes in a round. */
  times?: number;
  /** How many rounds there are. */
  rounds?: number;
  /** How many bytes a way goes through, if that says more than the time. */
  bytes?: number;
}

/** What came of a contest: milliseconds for each round, by the way's name. */
export type Times = Map<string, number[]>;

/** Rounds that do not count: code is compiled, caches fill. */
const WARM_UP = 3;

/** Lets `deno bench` run it; the first target is the baseline. */
export function register({ name, ways, targets }: Contest): void {
  for (const [way, go] of Object.entries(ways)) {
    Deno.bench({
      name: way,
      group: name,
      baseline: way === targets[0]?.against,
      fn: async () => {
        await go();
      },
    });
  }
}

/** Lets all ways go in turn, round after round, each time in another order. */
export async function compete(
  { name, ways, times = 1, rounds = 100 }: Contest,
): Promise<Times> {
  const all = Object.entries(ways).map(([way, go]) => ({
    way,
    go,
    taken: Array<number>(),
  }));
  const expected = await all[0]?.go();
  for (let round = -WARM_UP; round < rounds; round++) {
    // Each now follows one, now another: it may pay for what that one left.
    for (const { way, go, taken } of all.toSorted(() => Math.random() - 0.5)) {
      const start = performance.now();
      for (let time = 0; time < times; time++) {
        const found = await go();
        if (found === expected) continue;
        throw new Error(
          `Cannot compare ${way} (${name}): it gave ${found}, not ${expected}`,
        );
      }
      if (round >= 0) taken.push((performance.now() - start) / times);
    }
  }
  return new Map(all.map(({ way, taken }) => [way, taken]));
}

/** Ours to the other, of the two in the same round. */
export function ratio(times: Times, { against, of }: Target): Spread {
  const [ours = []] = times.values();
  const theirs = times.get(against) ?? [];
  return spread(ours.map((time, round) => {
    const other = theirs[round] ?? NaN;
    return of === "time" ? time / other : other / time;
  }));
}
