/**
 * Runs the whole matrix and writes its tables to docs/reliability.md:
 * `deno task matrix`.
 *
 * @module
 */

import { replaceSection, table } from "../support/page.ts";
import { DecapodError } from "../../mod.ts";
import { makeClient } from "../support/server.ts";
import { skipTimers } from "../support/time.ts";
import { faultNamed } from "./faults.ts";
import { cells, runMatrix } from "./matrix.ts";
import { EVENTS, type Meaning, POSITIONS } from "./rules.ts";
import { FaultServer } from "./server.ts";

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

/** The number of cells by fault and position. */
export function matrixTable(): string {
  const all = cells();
  const faults = Map.groupBy(all, ({ fault }) => fault.name);
  const rows = table(
    ["Fault", ...POSITIONS],
    [...faults].map(([fault, row]) => [
      fault,
      ...POSITIONS.map((position) => {
        const count = row.filter((cell) => cell.position === position).length;
        return count ? `${count}/${count}` : "–";
      }),
    ]),
  );
  return `${all.length} cells run, ${all.length} passed.\n\n${rows}`;
}

/** Lets many clients call at once, and describes what the server received. */
export async function storm(clients: number) {
  await using server = new FaultServer(() =>
    Promise.reject(new Error("Cannot respond: the server is unavailable"))
  );
  server.inject({ fault: faultNamed("502 in HTML") });
  let failed = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    await makeClient(server.url).getInfo().catch((error) => {
      if (!(error instanceof DecapodError)) throw error;
      failed++;
    });
  }));
  const requests = server.received.length;
  const text =
    `${clients} clients, ${failed} calls failed, ${requests} requests`;
  return { failed, requests, text };
}

/** The delays of many clients before retries, in ms. */
export async function waits(clients: number, retries: number) {
  const timeout = 60_000; // differs from the delays
  using timers = skipTimers(timeout);
  const fetch = () => Promise.reject(new Error("Connection refused"));
  await Promise.all(Array.from({ length: clients }, async () => {
    const client = makeClient("http://decapod", { timeout, retries, fetch });
    await client.getInfo().catch(() => {});
  }));
  return timers.waits;
}

/** A storm, and how many of the delays lie in each interval of 25 ms. */
async function stormText(): Promise<string> {
  const { text } = await storm(1000);
  const intervals = (await waits(1000, 2)).map((ms) => Math.floor(ms / 25));
  const counts = Array.from(
    { length: 16 }, // the second delay is below 400 ms
    (_, place) => intervals.filter((interval) => interval === place).length,
  );
  const bars = counts.map((count, place) => {
    const from = String(25 * place).padStart(3);
    const bar = "#".repeat(Math.ceil(40 * count / Math.max(...counts)));
    return `${from} ms ${String(count).padStart(5)} ${bar}`;
  });
  return ["```text", text, ...bars, "```"].join("\n");
}

async function main(): Promise<number> {
  const start = performance.now();
  const failures = await runMatrix(cells());
  const seconds = Math.round((performance.now() - start) / 1000);
  for (const failure of failures) console.error(failure);
  console.log(`${failures.length} of ${cells().length} failed, ${seconds} s`);
  if (failures.length > 0) return 1;
  let page = await Deno.readTextFile(PAGE);
  page = replaceSection(page, "rules", rulesTable());
  page = replaceSection(page, "matrix", matrixTable());
  page = replaceSection(page, "storm", await stormText());
  await Deno.writeTextFile(PAGE, page);
  return 0;
}

if (import.meta.main) Deno.exit(await main());
