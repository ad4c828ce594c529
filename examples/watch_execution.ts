/**
 * Follows an execution until it ends:
 *
 *     deno run --allow-net --allow-env examples/watch_execution.ts EXECUTION_ID
 *
 * It works before, during and after the run. Ctrl-C stops watching; the
 * execution continues. The exit code is 0 if the execution completed.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Client, DecapodError } from "jsr:@decapod/decapodlib@^1";

const USAGE = `Usage: watch_execution.ts EXECUTION_ID

  --help  print this text

Set DECAPOD_URL, DECAPOD_LOGIN and DECAPOD_PASSWORD.`;

/** Reads the command line; prints the usage if it is wrong. */
function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      options: { help: { type: "boolean" } },
      allowPositionals: true,
    });
    if (values.help || positionals.length === 1) {
      return { help: values.help, id: positionals[0] ?? "" };
    }
    throw new Error("Cannot watch: pass the id of one execution");
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n`);
    console.error(USAGE);
    process.exit(2);
  }
}

const { help, id } = readArguments();
if (help) {
  console.log(USAGE);
  process.exit();
}

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

try {
  await using client = Client.fromEnv();
  let state = "";
  const names = new Map<string, string>();
  const events = client.followExecution(id, { signal: stop.signal });
  for await (const event of events) {
    if (event.type === "state") {
      ({ state } = event.execution.data);
      console.log(`== ${state}`);
      continue;
    }
    const { server_id, role, name, result, time_finished } = event.step.data;
    if (server_id && !names.has(server_id)) {
      names.set(server_id, (await client.getServer(server_id)).data.name);
    }
    const time = new Date(time_finished * 1000).toLocaleTimeString();
    const server = names.get(server_id ?? "") ?? "-";
    const task = role ? `${role}: ${name}` : name;
    console.log(`${time}  ${server}  ${result}  ${task}`);
  }
  process.exitCode = state === "completed" ? 0 : 1;
} catch (error) {
  if (stop.signal.aborted) {
    console.log("Stopped watching; the execution continues");
    process.exitCode = 130;
  } else if (error instanceof DecapodError || error instanceof TypeError) {
    console.error(error.message);
    process.exitCode = 1;
  } else throw error;
}
