/** How numbers are spread, as text. */

/** Lines of bars: how many of the numbers lie in each interval. */
export function histogram(
  numbers: number[],
  width: number,
  unit: string,
): string[] {
  const counts: number[] = [];
  for (const number of numbers) {
    const place = Math.max(0, Math.floor(number / width));
    counts[place] = (counts[place] ?? 0) + 1;
  }
  const rows = Array.from(counts, (count = 0) => count);
  const most = Math.max(...rows);
  const digits = String(rows.length * width).length;
  return rows.map((count, place) => {
    const from = String(place * width).padStart(digits);
    const bar = "#".repeat(Math.ceil(40 * count / most));
    return `${from} ${unit} ${String(count).padStart(5)} ${bar}`;
  });
}
