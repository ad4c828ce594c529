/** The middle of what was measured, and how far it goes to both sides. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** How many parts the measurements of one thing are taken in. */
const PARTS = 10;

/**
 * The median of all, and the lowest and the highest median of a part: a single
 * measurement goes far beyond these whenever memory is cleaned up.
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

/** The middle, and the ends in brackets. */
export function show({ median, min, max }: Spread, digits = 2): string {
  const [middle, least, most] = [median, min, max].map((value) =>
    value.toFixed(digits)
  );
  return `${middle} (${least} – ${most})`;
}
