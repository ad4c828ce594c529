/**
 * Runs the whole matrix and writes it down in docs/reliability.md:
 * `deno task matrix`.
 *
 * @module
 */

import { chance } from "../support/patch.ts";
import { histogram } from "./histogram.ts";
import { cells, type Report, runMatrix } from "./matrix.ts";
import { EVENTS, type Meaning, POSITIONS } from "./rules.ts";
import { type Storm, storm, waits } from "./storm.ts";

/** The page that shows it. */
export const PAGE = new URL("../../docs/reliability.md", import.meta.url);

/** Where each generated part stands in the page. */
export function section(page: string, name: string): string {
  const [start, end] = markers(name);
  const from = page.indexOf(start);
  const to = page.indexOf(end);
  if (from < 0 || to < from) {
    throw new Error(`Cannot find the part ${name} of the page: add ${start}`);
  }
  return page.slice(from + start.length, to).trim();
}

function markers(name: string): [string, string] {
  return [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
}

function replaceSection(page: string, name: string, text: string): string {
  const old = section(page, name);
  const [start, end] = markers(name);
  const whole = page.slice(page.indexOf(start), page.indexOf(end));
  return old === text ? page : page.replace(
    `${whole}${end}`,
    () => `${start}\n\n${text}\n\n${end}`,
  );
}

/** What each event is to the client. */
export function rulesTable(): string {
  const yes = (value: boolean | undefined) => value ? "yes" : "no";
  const meanings: [string, Meaning][] = Object.entries(EVENTS);
  return table(
    [
      "Event",
      "Ends in",
      "Reads and logins try again",
      "Waiting goes on",
      "A change may have been made",
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

/** Cells passed of cells run, by fault and position. */
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

/** A Markdown table as the formatter has it. */
function table(head: string[], rows: string[][]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) =>
    Math.max(3, ...all.map((row) => row[column]?.length ?? 0))
  );
  const line = (row: string[]) =>
    `| ${
      row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")
    } |`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [line(head), rule, ...rows.map(line)].join("\n");
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
    using _ = chance(0);
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
