/** The table of what passed where. */
import type { Result } from "./kit.ts";

/**
 * Prints the results, a column for each runtime, and the failures below.
 *
 * @param columns The results of each runtime, or why it was skipped.
 * @param strict Whether what was skipped has failed.
 * @returns The exit code.
 */
export function printTable(
  columns: Map<string, Result[] | string>,
  strict: boolean,
): number {
  const all = [...columns.values()].filter((column) => Array.isArray(column))
    .flat();
  const sections = [...new Set(all.map(({ section }) => section))];
  const rows = [["", ...columns.keys()]];
  for (const section of sections) {
    rows.push([
      section,
      ...[...columns.values()].map((column) =>
        Array.isArray(column)
          ? count(column.filter((result) => result.section === section))
          : "skipped"
      ),
    ]);
  }
  const widths =
    rows[0]?.map((_, index) =>
      Math.max(...rows.map((row) => row[index]?.length ?? 0))
    ) ?? [];
  for (const row of rows) {
    const cells = row.map((cell, index) => {
      const width = widths[index] ?? 0;
      return index === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    console.log(`  ${cells.join("  ")}`.trimEnd());
  }
  let skipped = 0;
  for (const [name, column] of columns) {
    if (!Array.isArray(column)) {
      skipped++;
      console.log(`\n  ${name} was skipped: ${column}`);
      continue;
    }
    for (const { section, name: test, failure } of column) {
      if (failure === undefined) continue;
      console.log(`\n  ${name}, ${section}: ${test}`);
      console.log(failure.replace(/^/gm, "    "));
    }
  }
  const failed = all.filter(({ failure }) => failure !== undefined).length;
  const lost = strict ? skipped : 0;
  console.log(
    `runtimes | ${all.length - failed} passed | ${failed + lost} failed | ${
      skipped - lost
    } skipped`,
  );
  return failed + lost > 0 ? 1 : 0;
}

function count(results: Result[]): string {
  const failed = results.filter(({ failure }) => failure !== undefined).length;
  const passed = results.length - failed;
  if (failed > 0) return `${passed} passed, ${failed} FAILED`;
  return passed > 0 ? String(passed) : "-";
}
