/** A median and the medians of the lowest and the highest part. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** The number of parts of a measurement. */
const PARTS = 10;

/**
 * The median of all values, and the lowest and highest median of a part: single
 * values are distorted by garbage collections.
 */
export function spread(values: number[]): Spread {
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
