/**
 * Compares several ways to do the same. `deno bench` measures times, `table.ts`
 * ratios, which other load of the machine affects less.
 */

import { type Spread, spread } from "./spread.ts";

/** One way; all must return the same number, such as how much was read. */
export type Way = () => number | Promise<number>;

/** What the library is compared with. */
export interface Target {
  /** The name of the other way. */
  against: string;
  /** Whether to compare times (less is better) or speeds. */
  of: "time" | "speed";
  /** The target of the ratio, if there is one. */
  wanted?: number;
}

/** A comparison. */
export interface Contest {
  name: string;
  /** The ways by name, the library first. */
  ways: Record<string, Way>;
  targets: Target[];
  /** How often each way runs per round. */
  times?: number;
  /** The number of rounds. */
  rounds?: number;
  /** How many bytes a way processes, to show a throughput. */
  bytes?: number;
}

/** Milliseconds per round, by the name of the way. */
export type Times = Map<string, number[]>;

/** Rounds that are not counted. */
const WARM_UP = 3;

/** Registers it with `deno bench`; the first target is the baseline. */
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

/** Runs all ways in rounds, in random order. */
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
    // In random order: a way may pay for the garbage of the one before.
    for (const { way, go, taken } of all.toSorted(() => Math.random() - 0.5)) {
      const start = performance.now();
      for (let time = 0; time < times; time++) {
        const found = await go();
        if (found === expected) continue;
        throw new Error(
          `Cannot compare ${way} (${name}): it returned ${found}, not ${expected}`,
        );
      }
      if (round >= 0) taken.push((performance.now() - start) / times);
    }
  }
  return new Map(all.map(({ way, taken }) => [way, taken]));
}

/** The ratio of the library to another way, per round. */
export function ratio(times: Times, { against, of }: Target): Spread {
  const [ours = []] = times.values();
  const theirs = times.get(against) ?? [];
  return spread(ours.map((time, round) => {
    const other = theirs[round] ?? NaN;
    return of === "time" ? time / other : other / time;
  }));
}
