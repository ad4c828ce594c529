/**
 * Prints a report in Markdown: servers by state, clusters, recent failures.
 *
 *     bunx jsr add @decapod/decapodlib
 *     bun run bun_report.ts --days 7 > report.md
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Client, DecapodError } from "@decapod/decapodlib";

const USAGE = `Usage: bun_report.ts [--days NUMBER]

  --days NUMBER  report failures of the last NUMBER days (7)
  --help         print this text

Set DECAPOD_URL, DECAPOD_LOGIN and DECAPOD_PASSWORD.`;

/** Reads the command line; prints the usage if it is wrong. */
function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        days: { type: "string", default: "7" },
        help: { type: "boolean", default: false },
      },
    });
    const days = Number(values.days);
    if (Number.isInteger(days) && days > 0 && days < 10_000) {
      return { ...values, days };
    }
    throw new Error("Invalid --days: must be an integer from 1 to 9999");
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n`);
    console.error(USAGE);
    process.exit(2);
  }
}

async function printServers(client: Client): Promise<void> {
  const counts = new Map<string, number>();
  for await (const { data } of client.getServers({ perPage: 100 })) {
    counts.set(data.state, (counts.get(data.state) ?? 0) + 1);
  }
  console.log("# Decapod\n\n## Servers\n");
  for (const [state, count] of counts) console.log(`- ${state}: ${count}`);
}

async function printClusters(client: Client): Promise<void> {
  console.log("\n## Clusters\n");
  let count = 0;
  for await (const { data } of client.getClusters({ sortBy: { name: 1 } })) {
    count++;
    const roles = Object.entries(data.configuration)
      .map(([role, servers]) => `${servers.length} ${role}`);
    console.log(`- ${data.name}: ${roles.join(", ") || "not deployed"}`);
  }
  if (count === 0) console.log("- none");
}

async function printFailures(client: Client, days: number): Promise<void> {
  const since = Math.floor(Date.now() / 1000 - days * 24 * 60 * 60);
  console.log(`\n## Failures of the last ${days} days\n`);
  let count = 0;
  const failed = client.getExecutions({
    filter: { state: "failed", time_created: { gte: since } },
  });
  for await (const { id, data, time_updated } of failed) {
    count++;
    const time = new Date(time_updated * 1000).toISOString();
    const { playbook_name } = data.playbook_configuration;
    console.log(`- ${time} ${playbook_name} (${id})`);
    const steps = client.getExecutionSteps(id, {
      filter: { result: { in: [2, 4] } }, // error, unreachable
    });
    for await (const { data: { role, name, result } } of steps) {
      console.log(`  - ${role ? `${role}: ` : ""}${name}: ${result}`);
    }
  }
  if (count === 0) console.log("- none");
}

const { days, help } = readArguments();
if (help) {
  console.log(USAGE);
  process.exit();
}
try {
  await using client = Client.fromEnv();
  await printServers(client);
  await printClusters(client);
  await printFailures(client, days);
} catch (error) {
  if (!(error instanceof DecapodError || error instanceof TypeError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}
