/**
 * Compares several ways to do the same. `deno bench` measures times, `table.ts`
 * ratios, which other load of the machine affects less.
 */

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

/** Registers them with `deno bench`; the first target is the baseline. */
export function register(...contests: Contest[]): Contest[] {
  for (const { name, ways, targets } of contests) {
    for (const [way, go] of Object.entries(ways)) {
      Deno.bench({
        name: way,
        group: name,
        baseline: way === targets[0]?.against,
        fn: async () => void await go(),
      });
    }
  }
  return contests;
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

/** A median and the medians of the lowest and the highest part. */
export type Spread = ReturnType<typeof spread>;

/** The number of parts of a measurement. */
const PARTS = 10;

/**
 * The median of all values, and the lowest and highest median of a part: single
 * values are distorted by garbage collections.
 */
export function spread(values: number[]) {
  const size = Math.ceil(values.length / PARTS);
  const medians = Array.from(
    { length: Math.ceil(values.length / size) },
    (_, part) => median(values.slice(part * size, (part + 1) * size)),
  );
  return {
    median: median(values),
    min: Math.min(...medians),
    max: Math.max(...medians),
  };
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** The median, and the range in brackets. */
export function show({ median, min, max }: Spread, digits = 2): string {
  const [middle, least, most] = [median, min, max].map((value) =>
    value.toFixed(digits)
  );
  return `${middle} (${least} – ${most})`;
}
