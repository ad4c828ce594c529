/**
 * Prints a table of all servers:
 *
 *     deno run --allow-net --allow-env examples/inventory.ts
 */
import process from "node:process";
import { parseArgs } from "node:util";
import {
  Client,
  DecapodError,
  type JsonObject,
  type JsonValue,
} from "jsr:@decapod/decapodlib@^1";

const USAGE = `Usage: inventory.ts

  --help  print this text

Set DECAPOD_URL, DECAPOD_LOGIN and DECAPOD_PASSWORD.`;

const WIDTHS = [24, 16, 16, 14, 10];

function row(...cells: string[]): string {
  return cells.map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0)).join(" ")
    .trimEnd();
}

/** Formats the memory of Ansible's facts in GiB. */
function memory({ ansible_memtotal_mb: megabytes }: JsonObject): string {
  return typeof megabytes === "number"
    ? `${(megabytes / 1024).toFixed(1)} GiB`
    : "unknown";
}

/** Lists names and sizes of the disks, without loop devices and the like. */
function disks({ ansible_devices: devices }: JsonObject): string {
  if (!isObject(devices)) return "unknown";
  return Object.entries(devices)
    .filter(([name]) => !/^(loop|sr|fd|ram|dm-)/.test(name))
    .map(([name, disk]) =>
      `${name} ${isObject(disk) ? disk["size"] ?? "?" : "?"}`
    )
    .join(", ") || "none";
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads the command line; prints the usage if it is wrong. */
function readArguments() {
  try {
    return parseArgs({ options: { help: { type: "boolean" } } }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n`);
    console.error(USAGE);
    process.exit(2);
  }
}

if (readArguments().help) {
  console.log(USAGE);
  process.exit();
}
try {
  await using client = Client.fromEnv();
  const clusters = new Map<string, string>();
  for await (const { id, data } of client.getClusters({ perPage: 100 })) {
    clusters.set(id, data.name);
  }
  console.log(row("SERVER", "ADDRESS", "CLUSTER", "STATE", "MEMORY", "DISKS"));
  let count = 0;
  for await (const { data } of client.getServers({ perPage: 100 })) {
    count++;
    console.log(row(
      data.name,
      data.ip ?? "no IPv4", // the host was registered with an IPv6 address
      data.cluster_id ? clusters.get(data.cluster_id) ?? data.cluster_id : "-",
      data.state,
      memory(data.facts),
      disks(data.facts),
    ));
  }
  console.log(`${count} servers`);
} catch (error) {
  if (!(error instanceof DecapodError || error instanceof TypeError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}
