/** The table of what passed where. */
import { table } from "../support/page.ts";
import type { Result } from "./kit.ts";

/**
 * Prints the results, a row for each target, and the failures below.
 *
 * @param targets The results of each target, or why it was skipped.
 * @param strict Whether a skipped target is a failure.
 * @returns The exit code.
 */
export function printTable(
  targets: Map<string, Result[] | string>,
  strict: boolean,
): number {
  const rows = new Map<string, Result[]>();
  const details: string[] = [];
  for (const [target, results] of targets) {
    if (typeof results === "string") {
      details.push(`${target} was skipped: ${results}`);
      continue;
    }
    rows.set(target, results);
    for (const { section, name, failure } of results) {
      if (failure === undefined) continue;
      const text = failure.replace(/^/gm, "    ");
      details.push(`${target}, ${section}: ${name}\n${text}`);
    }
  }
  const all = [...rows.values()].flat();
  const sections = [...new Set(all.map(({ section }) => section))];
  const lines = [...rows].map(([target, results]) => [
    target,
    ...sections.map((name) =>
      count(results.filter(({ section }) => section === name))
    ),
  ]);
  console.log(table(["", ...sections], lines));
  for (const text of details) console.log(`\n  ${text}`);
  const skipped = targets.size - rows.size;
  const failed = all.filter(({ failure }) => failure !== undefined).length;
  const lost = strict ? skipped : 0;
  console.log(
    `runtimes | ${all.length - failed} passed | ${failed + lost} failed | ${
      skipped - lost
    } skipped`,
  );
  return failed + lost > 0 ? 1 : 0;
}

/** The number of passed tests, and that of failed ones. */
function count(results: Result[]): string {
  const failed = results.filter(({ failure }) => failure !== undefined).length;
  const passed = results.length - failed;
  if (failed > 0) return `${passed} passed, ${failed} FAILED`;
  return passed > 0 ? String(passed) : "-";
}
