/** The table of what passed where. */
import { table } from "../../.dev/table.ts";
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
  const all = [...targets.values()].flatMap((results) =>
    typeof results === "string" ? [] : results
  );
  const sections = [...new Set(all.map(({ section }) => section))];
  const rows = [["", ...sections]];
  for (const [name, results] of targets) {
    rows.push([
      name,
      ...sections.map((section) =>
        typeof results === "string"
          ? "skipped"
          : count(results.filter((result) => result.section === section))
      ),
    ]);
  }
  console.log(table(rows));
  let skipped = 0;
  for (const [name, results] of targets) {
    if (typeof results === "string") {
      skipped++;
      console.log(`\n  ${name} was skipped: ${results}`);
      continue;
    }
    for (const { section, name: test, failure } of results) {
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

/** The number of passed tests, and that of failed ones. */
function count(results: Result[]): string {
  const failed = results.filter(({ failure }) => failure !== undefined).length;
  const passed = results.length - failed;
  if (failed > 0) return `${passed} passed, ${failed} FAILED`;
  return passed > 0 ? String(passed) : "-";
}
