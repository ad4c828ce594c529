/**
 * Follows an execution by its id until it ends:
 *
 *     deno run --allow-net --allow-env examples/watch_execution.ts EXECUTION_ID
 *
 * It can begin in the middle of the run or after its end. Ctrl-C stops
 * watching; the execution goes on. The exit code is 0 if it completed.
 */
import process from "node:process";
import { Client, DecapodError } from "jsr:@decapod/decapodlib@^1";

const [id] = process.argv.slice(2);
if (!id) {
  console.error("Cannot watch: give the id of an execution");
  process.exit(2);
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
    console.log(`${time}  ${server}  ${result}  ${role}: ${name}`);
  }
  process.exitCode = state === "completed" ? 0 : 1;
} catch (error) {
  if (stop.signal.aborted) {
    console.log("Stopped watching; the execution goes on");
    process.exitCode = 130;
  } else if (error instanceof DecapodError || error instanceof TypeError) {
    console.error(error.message);
    process.exitCode = 1;
  } else throw error;
}
