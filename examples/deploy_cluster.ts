/**
 * Deploys a Ceph cluster from nothing and shows how it gets on:
 *
 *     deno run --allow-net --allow-env examples/deploy_cluster.ts [--keep]
 *
 * It makes a role, a user and a cluster, takes up to three free servers, runs
 * the playbook `cluster_deploy` and cleans up: the cluster is purged again
 * unless `--keep` is given. DECAPOD_URL, DECAPOD_LOGIN and DECAPOD_PASSWORD
 * say where. Ctrl-C cancels the deployment and cleans up, too.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import {
  Client,
  DecapodError,
  type Execution,
  type ExecutionStep,
  type PlaybookConfiguration,
  type Server,
} from "jsr:@decapod/decapodlib@^1";

const SERVERS = 3;
const LOG_LINES = 8;

/** Things to undo at the end, the last one first. */
const cleanUp: [what: string, undo: () => Promise<unknown>][] = [];

/** Aborted by Ctrl-C; a second one ends the program at once. */
const interrupt = new AbortController();
process.on("SIGINT", () => {
  if (interrupt.signal.aborted) process.exit(130);
  interrupt.abort(new Error("Interrupted"));
});

/** How the servers get on: a line a server, or plain lines in a file. */
class Progress {
  readonly #start = Date.now();
  readonly #names: Map<string, string>;
  readonly #lines = new Map<string, string>();
  readonly #steps = new Map<string, number>();
  #state = "created";
  #drawn = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(servers: Server[]) {
    this.#names = new Map(servers.map(({ id, data }) => [id, data.name]));
    if (!process.stdout.isTTY) return;
    for (const { id } of servers) this.#lines.set(id, "waits");
    this.#timer = setInterval(() => this.#draw(), 200);
  }

  state(execution: Execution): void {
    this.#state = execution.data.state;
    if (this.#timer) this.#draw();
    else console.log(`${this.#elapsed()}  ${this.#state}`);
  }

  step({ data }: ExecutionStep): void {
    const id = data.server_id ?? "";
    const count = (this.#steps.get(id) ?? 0) + 1;
    this.#steps.set(id, count);
    const what = task(data);
    const line = data.result === "ok" ? what : `${what} (${data.result})`;
    if (this.#timer) {
      this.#lines.set(id, `${String(count).padStart(3)} steps  ${line}`);
      this.#draw();
    } else console.log(`${this.#elapsed()}  ${this.#name(id)}  ${line}`);
  }

  end(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#draw();
  }

  #name(id: string): string {
    return this.#names.get(id) ?? "no server";
  }

  #elapsed(): string {
    return `${((Date.now() - this.#start) / 1000).toFixed(1)} s`.padStart(7);
  }

  #draw(): void {
    const width = process.stdout.columns || 80;
    const rows = [...this.#lines].map(([id, line]) =>
      `  ${this.#name(id)}  ${line}`
    );
    rows.push(`${this.#elapsed()}  ${this.#state}`);
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : "";
    process.stdout.write(
      up + rows.map((row) => `\x1b[2K${row.slice(0, width - 1)}\n`).join(""),
    );
    this.#drawn = rows.length;
  }
}

function task({ role, name }: ExecutionStep["data"]): string {
  return role ? `${role}: ${name}` : name;
}

/** Runs a playbook configuration and shows its progress to the end. */
async function run(
  client: Client,
  configuration: PlaybookConfiguration,
  servers: Server[],
  signal?: AbortSignal,
): Promise<Execution> {
  const { id } = await client.createExecution(
    configuration.id,
    configuration.version,
  );
  const progress = new Progress(servers);
  try {
    const options = { interval: 250, ...(signal && { signal }) };
    for await (const event of client.followExecution(id, options)) {
      if (event.type === "state") progress.state(event.execution);
      else progress.step(event.step);
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
    progress.end();
    console.log("\nInterrupted, the execution is being canceled");
    await client.cancelExecution(id);
    return await client.waitForExecution(id, {
      expect: ["canceled", "completed", "failed"],
      timeout: 60_000,
    });
  } finally {
    progress.end();
  }
  return await client.getExecution(id);
}

/** Shows which steps failed, and the end of the log. */
async function showOutcome(client: Client, { id, data }: Execution) {
  console.log(`\nThe deployment ended as ${data.state}`);
  const failed = client.getExecutionSteps(id, {
    filter: { result: { in: [2, 4] } },
  });
  for await (const { data: step } of failed) {
    const server = step.server_id
      ? (await client.getServer(step.server_id)).data.name
      : "no server";
    console.log(`  failed on ${server}: ${task(step)}`);
    console.log(`    ${step.error["msg"] ?? "no message"}`);
  }
  const last: string[] = [];
  try {
    for await (const line of client.streamExecutionLog(id)) {
      last.push(line);
      if (last.length > LOG_LINES) last.shift();
    }
  } catch (error) {
    if (!(error instanceof DecapodError)) throw error;
    return; // canceled before there was a log
  }
  console.log("\nThe log ends with");
  for (const line of last) console.log(`  ${line}`);
}

/** Takes the servers out of the cluster, by Decapod's own playbook. */
async function removeCluster(client: Client, id: string): Promise<void> {
  const { data: { configuration } } = await client.getCluster(id);
  if (Object.keys(configuration).length > 0) {
    console.log("Purging the cluster");
    const purging = await client.createPlaybookConfiguration({
      name: "purge",
      clusterId: id,
      playbookId: "purge_cluster",
      serverIds: [],
      runAfter: true,
    });
    await client.waitForExecution(purging.data.created_execution_id ?? "", {
      interval: 250,
    });
  }
  const { time_deleted } = await client.getCluster(id);
  if (time_deleted === 0) await client.deleteCluster(id); // purging does it, too
}

async function deploy(client: Client, keep: boolean): Promise<number> {
  const me = await client.getUserSelf();
  console.log(`Logged in to ${client.url} as ${me.data.full_name}`);

  const name = `demo${Date.now().toString(36)}`;
  const role = await client.createRole(name, [
    { name: "api", permissions: ["view_cluster", "view_execution"] },
    { name: "playbook", permissions: ["cluster_deploy"] },
  ]);
  cleanUp.push(["the role", () => client.deleteRole(role.id)]);
  const user = await client.createUser({
    login: name,
    email: `${name}@example.com`,
    fullName: "Demo Operator",
    roleId: role.id,
  });
  cleanUp.push(["the user", () => client.deleteUser(user.id)]);
  console.log(`Made the role and the user ${name}`);

  const servers: Server[] = [];
  for await (
    const server of client.getServers({ filter: { state: "operational" } })
  ) {
    if (server.data.cluster_id === null) servers.push(server);
    if (servers.length === SERVERS) break;
  }
  if (servers.length === 0) {
    console.error("Cannot deploy: no server is free");
    return 1;
  }
  console.log(`Took ${servers.map(({ data }) => data.name).join(", ")}`);

  const cluster = await client.createCluster(name);
  if (!keep) {
    cleanUp.push(["the cluster", () => removeCluster(client, cluster.id)]);
  }
  const configuration = await client.createPlaybookConfiguration({
    name: "deploy",
    clusterId: cluster.id,
    playbookId: "cluster_deploy",
    serverIds: servers.map(({ id }) => id),
    hints: [{ id: "mon_count", value: 1 }],
  });
  console.log(`Deploying the cluster ${name}\n`);
  const execution = await run(
    client,
    configuration,
    servers,
    interrupt.signal,
  );
  await showOutcome(client, execution);
  if (interrupt.signal.aborted) return 130;
  return execution.data.state === "completed" ? 0 : 1;
}

const { values } = parseArgs({
  options: { keep: { type: "boolean", default: false } },
});
try {
  await using client = Client.fromEnv();
  try {
    process.exitCode = await deploy(client, values.keep);
  } finally {
    console.log("");
    for (const [what, undo] of cleanUp.reverse()) {
      try {
        await undo();
        console.log(`Cleaned up ${what}`);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        console.error(`Left ${what} behind: ${why}`);
      }
    }
  }
  console.log("Logging out");
} catch (error) {
  if (!(error instanceof DecapodError || error instanceof TypeError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}
if (interrupt.signal.aborted) {
  console.log("Interrupted: canceled, cleaned up and logged out");
}
