/**
 * Runs the whole matrix and writes its tables to docs/reliability.md:
 * `deno task matrix`.
 *
 * @module
 */

import { replaceSection, table } from "../support/page.ts";
import { fixedRandom } from "../support/patch.ts";
import { histogram } from "./histogram.ts";
import { cells, type Report, runMatrix } from "./matrix.ts";
import { EVENTS, type Meaning, POSITIONS } from "./rules.ts";
import { type Storm, storm, waits } from "./storm.ts";

/** The page with the tables. */
export const PAGE = new URL("../../docs/reliability.md", import.meta.url);

/** How the client handles each event. */
export function rulesTable(): string {
  const yes = (value: boolean | undefined) => value ? "yes" : "no";
  const meanings: [string, Meaning][] = Object.entries(EVENTS);
  return table(
    [
      "Event",
      "Ends in",
      "Reads and logins are retried",
      "Waiting continues",
      "Outcome of a change is unknown",
    ],
    meanings.map(([name, { error, code, passing, survived, unknown }]) => [
      name,
      error === undefined
        ? "a result"
        : `\`${error}\`${code === undefined ? "" : ` ${code}`}`,
      yes(error !== undefined && passing),
      yes(error !== undefined && survived),
      yes(error !== undefined && unknown),
    ]),
  );
}

/** Passed and run cells, by fault and position. */
export function matrixTable({ table: counts }: Pick<Report, "table">): string {
  return table(
    ["Fault", ...POSITIONS],
    [...counts].map(([fault, row]) => [
      fault,
      ...POSITIONS.map((position) => {
        const count = row.get(position);
        return count ? `${count.passed}/${count.run}` : "–";
      }),
    ]),
  );
}

function stormText(
  { clients, failed, arrivals }: Storm,
  waited: number[],
): string {
  return [
    "```text",
    `${clients} clients, ${failed} calls failed, ${arrivals.length} requests`,
    ...histogram(waited, 25, "ms"),
    "```",
  ].join("\n");
}

async function main(): Promise<number> {
  const start = performance.now();
  const report = await (async () => {
    using _ = fixedRandom(0);
    return await runMatrix(cells());
  })();
  const seconds = Math.round((performance.now() - start) / 1000);
  for (const failure of report.failures) console.error(failure);
  const sum = `${report.run} cells run, ${report.passed} passed`;
  console.log(`${sum} in ${seconds} s`);
  if (report.passed < report.run) return 1;
  let page = await Deno.readTextFile(PAGE);
  page = replaceSection(page, "rules", rulesTable());
  page = replaceSection(
    page,
    "matrix",
    `${sum}.\n\n${matrixTable(report)}`,
  );
  page = replaceSection(
    page,
    "storm",
    stormText(await storm(1000), await waits(1000, 2)),
  );
  await Deno.writeTextFile(PAGE, page);
  return 0;
}

if (import.meta.main) Deno.exit(await main());
