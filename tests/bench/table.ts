/**
 * Measures everything and writes the tables of docs/performance.md, after the
 * benchmarks in `deno task bench`.
 *
 * @module
 */

import { replaceSection, table } from "../support/page.ts";
import { contests as calls } from "./call_bench.ts";
import { contests as cloudConfigs } from "./cloud_config_bench.ts";
import {
  compete,
  type Contest,
  ratio,
  show,
  type Spread,
  spread,
  type Target,
} from "./contest.ts";
import { contests as followings, traffic } from "./follow_bench.ts";
import { contests as listings } from "./listing_bench.ts";
import { contests as logs } from "./log_bench.ts";
import { importCost, memoryCost } from "./process_cost.ts";

const PAGE = new URL("../../docs/performance.md", import.meta.url);

const CONTESTS: Contest[] = [
  ...calls,
  ...listings,
  ...logs,
  ...cloudConfigs,
  ...followings,
];

/** Number of process pairs to run. */
const PAIRS = 40;

/** The highest ratio of memory for a hundred times as many items. */
const MOST_MEMORY = 1.5;

const MEDIAN = "Median (min – max)";
const RATIOS = ["What", "Against", "Ratio of", MEDIAN, "Target", "Met"];
const TIMES = ["What", "How", MEDIAN, "Unit"];
const TRAFFIC = ["How", "Requests", "Responses"];

/** A ratio, and whether it meets its target. */
function ratioRow(what: string, target: Target, ratio: Spread): string[] {
  const { against, of, wanted } = target;
  const row = [what, against, of, show(ratio)];
  if (wanted === undefined) return [...row, "–", "–"];
  const isMet = of === "time" ? ratio.median <= wanted : ratio.median >= wanted;
  const sign = of === "time" ? "≤" : "≥";
  return [...row, `${sign} ${wanted}`, isMet ? "yes" : "no"];
}

/** The time of one way, or its throughput. */
function timeRow(contest: Contest, way: string, taken: number[]): string[] {
  const { name, bytes } = contest;
  const row = (unit: string, digits: number, value: (ms: number) => number) => [
    name,
    way,
    show(spread(taken.map(value)), digits),
    unit,
  ];
  if (bytes !== undefined) return row("MB/s", 0, (ms) => bytes / 1000 / ms);
  return spread(taken).median < 1
    ? row("µs", 1, (ms) => ms * 1000)
    : row("ms", 1, (ms) => ms);
}

/** Time and memory of whole processes. */
async function processRatios(): Promise<string[][]> {
  const target: Target = {
    against: "an empty script",
    of: "time",
    wanted: 1.4,
  };
  const imports = ratio(await importCost(PAIRS), target);
  const memory = (await memoryCost()).map(({ name, little, much, ratio }) => [
    `memory for ${much} ${name}`,
    `${little} of them`,
    "memory",
    ratio.toFixed(2),
    `≤ ${MOST_MEMORY}`,
    ratio <= MOST_MEMORY ? "yes" : "no",
  ]);
  return [ratioRow("a process that imports", target, imports), ...memory];
}

async function main(): Promise<void> {
  const ratios: string[][] = [];
  const times: string[][] = [];
  for (const contest of CONTESTS) {
    const measured = await compete(contest);
    for (const target of contest.targets) {
      ratios.push(ratioRow(contest.name, target, ratio(measured, target)));
    }
    for (const [way, taken] of measured) {
      times.push(timeRow(contest, way, taken));
    }
  }
  ratios.push(...await processRatios());
  const parts = {
    ratios: table(RATIOS, ratios),
    times: table(TIMES, times),
    traffic: table(TRAFFIC, await traffic()),
  };
  let page = await Deno.readTextFile(PAGE);
  for (const [name, text] of Object.entries(parts)) {
    page = replaceSection(page, name, text);
  }
  await Deno.writeTextFile(PAGE, page);
  console.log(Object.values(parts).join("\n\n"));
  const missed = ratios.filter((row) => row.at(-1) === "no").length;
  // A missed target is a row of the page, not a failure.
  if (missed > 0) console.error(`\n${missed} targets were missed`);
}

if (import.meta.main) await main();
