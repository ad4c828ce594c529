/**
 * Runs the whole matrix and writes its tables to docs/reliability.md:
 * `deno task matrix`.
 *
 * @module
 */

import { replaceSection, table } from "../support/page.ts";
import { fixedRandom } from "../support/patch.ts";
import { cells, type Report, runMatrix } from "./matrix.ts";
import { EVENTS, type Meaning, POSITIONS } from "./rules.ts";
import { histogram, storm, waits } from "./storm.ts";

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
      "`waitForExecution` and `followExecution` continue",
      "`outcomeUnknown` of a change",
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

/** The number of cells, and those run and passed by fault and position. */
export function matrixTable({ run, passed, table: counts }: Report): string {
  const rows = table(
    ["Fault", ...POSITIONS],
    [...counts].map(([fault, row]) => [
      fault,
      ...POSITIONS.map((position) => {
        const count = row.get(position);
        return count ? `${count.passed}/${count.run}` : "–";
      }),
    ]),
  );
  return `${run} cells run, ${passed} passed.\n\n${rows}`;
}

async function stormText(): Promise<string> {
  const { text } = await storm(1000);
  const bars = histogram(await waits(1000, 2), 25);
  return ["```text", text, ...bars, "```"].join("\n");
}

async function runAll(): Promise<Report> {
  using _ = fixedRandom(0);
  return await runMatrix(cells());
}

async function main(): Promise<number> {
  const start = performance.now();
  const report = await runAll();
  const { run, passed, failures } = report;
  const seconds = Math.round((performance.now() - start) / 1000);
  for (const failure of failures) console.error(failure);
  console.log(`${run} cells run, ${passed} passed in ${seconds} s`);
  if (failures.length > 0) return 1;
  let page = await Deno.readTextFile(PAGE);
  page = replaceSection(page, "rules", rulesTable());
  page = replaceSection(page, "matrix", matrixTable(report));
  page = replaceSection(page, "storm", await stormText());
  await Deno.writeTextFile(PAGE, page);
  return 0;
}

if (import.meta.main) Deno.exit(await main());
