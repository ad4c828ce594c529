/**
 * Deploys a Ceph cluster on up to three free servers, shows the progress, and
 * removes everything again:
 *
 *     deno run --allow-net --allow-env examples/deploy_cluster.ts [--keep]
 *
 * It creates a role, a user and a cluster, and runs the playbook
 * `cluster_deploy`. At the end, also after a failure or Ctrl-C, it purges the
 * cluster and deletes what it created. With `--keep` the cluster stays.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import {
  Client,
  DecapodAPIError,
  DecapodError,
  type Execution,
  type ExecutionStep,
  type PlaybookConfiguration,
  type Server,
} from "jsr:@decapod/decapodlib@^1";

const USAGE = `Usage: deploy_cluster.ts [--keep]

  --keep  keep the cluster instead of purging it at the end
  --help  print this text

Set DECAPOD_URL, DECAPOD_LOGIN and DECAPOD_PASSWORD.`;

/** One monitor, and at least one server for OSDs. */
const MIN_SERVERS = 2;
const MAX_SERVERS = 3;
const LOG_LINES = 8;

/** What to undo at the end, in reverse order. */
const cleanUp: [what: string, undo: () => Promise<unknown>][] = [];

/** Aborted by the first Ctrl-C; the second one exits at once. */
const interrupt = new AbortController();
process.on("SIGINT", () => {
  if (interrupt.signal.aborted) process.exit(130);
  interrupt.abort(new Error("Interrupted"));
});

/** Shows progress: one line per server on a terminal, else plain lines. */
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
): Promise<Execution> {
  const { signal } = interrupt;
  signal.throwIfAborted();
  const { id } = await client.createExecution(
    configuration.id,
    configuration.version,
  );
  cleanUp.push(["the execution", () => stop(client, id)]);
  const progress = new Progress(servers);
  try {
    const events = client.followExecution(id, { interval: 250, signal });
    for await (const event of events) {
      if (event.type === "state") progress.state(event.execution);
      else progress.step(event.step);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    console.log("\nInterrupted: canceling the execution (Ctrl-C again exits)");
  } finally {
    progress.end();
  }
  const execution = await stop(client, id);
  cleanUp.pop(); // it has ended
  return execution;
}

/** Cancels an execution if it has not ended, and waits for its end. */
async function stop(client: Client, id: string): Promise<Execution> {
  let execution = await client.getExecution(id);
  for await (const event of client.followExecution(id, { interval: 250 })) {
    if (event.type !== "state") continue;
    execution = event.execution;
    // An execution that is canceled before its start runs nevertheless.
    if (execution.data.state === "started") await client.cancelExecution(id);
  }
  return execution;
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
    if (!(error instanceof DecapodAPIError && error.code === 404)) throw error;
    console.log("There is no log: the run failed before Ansible started");
    return;
  }
  console.log("\nThe log ends with");
  for (const line of last) console.log(`  ${line}`);
}

/**
 * Deletes a cluster. Servers stay in it after every deployment, also after a
 * failed or canceled one: then the playbook `purge_cluster` releases them and
 * deletes the cluster.
 */
async function removeCluster(client: Client, id: string): Promise<void> {
  const { data: { configuration } } = await client.getCluster(id);
  if (Object.keys(configuration).length === 0) {
    await client.deleteCluster(id);
    return;
  }
  console.log("Purging the cluster");
  const purge = await client.createPlaybookConfiguration({
    name: "purge",
    clusterId: id,
    playbookId: "purge_cluster",
    serverIds: [],
  });
  const execution = await client.createExecution(purge.id, purge.version);
  await client.waitForExecution(execution.id, { interval: 250 });
  await client.deletePlaybookConfiguration(purge.id);
}

/** Deletes a configuration; explains the error if Decapod has locked it. */
async function removeConfiguration(client: Client, id: string): Promise<void> {
  try {
    await client.deletePlaybookConfiguration(id);
  } catch (error) {
    const locked = error instanceof DecapodAPIError &&
      error.error === "CannotDeleteLockedPlaybookConfiguration";
    if (!locked) throw error;
    throw new Error(
      "Decapod locks a configuration until a run of it completes, and none did",
      { cause: error },
    );
  }
}

/** Creates everything and deploys; returns the exit code. */
async function deploy(client: Client, keep: boolean): Promise<number> {
  const me = await client.getUserSelf();
  console.log(`Logged in to ${client.url} as ${me.data.full_name}`);

  const servers: Server[] = [];
  for await (
    const server of client.getServers({ filter: { state: "operational" } })
  ) {
    // Servers without an IPv4 address cannot be in an inventory.
    const { cluster_id, ip } = server.data;
    if (cluster_id === null && ip !== null) servers.push(server);
    if (servers.length === MAX_SERVERS) break;
  }
  if (servers.length < MIN_SERVERS) {
    console.error(
      `Cannot deploy: ${MIN_SERVERS} free servers are needed, ` +
        `found ${servers.length}`,
    );
    return 1;
  }

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
  console.log(`Created the role and the user ${name}`);

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
  if (!keep) {
    cleanUp.push([
      `the playbook configuration ${configuration.id}`,
      () => removeConfiguration(client, configuration.id),
    ]);
  }
  const names = servers.map(({ data }) => data.name).join(", ");
  console.log(`Deploying the cluster ${name} on ${names}\n`);
  const execution = await run(client, configuration, servers);
  await showOutcome(client, execution);
  return execution.data.state === "completed" ? 0 : 1;
}

/** Undoes everything, the last thing first. */
async function undoAll(): Promise<void> {
  console.log("");
  for (const [what, undo] of cleanUp.reverse()) {
    try {
      await undo();
      console.log(`Cleaned up ${what}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      console.error(`Left ${what} behind: ${reason}`);
    }
  }
}

/** Reads the command line; prints the usage if it is wrong. */
function readArguments() {
  try {
    const { values } = parseArgs({
      options: { keep: { type: "boolean" }, help: { type: "boolean" } },
    });
    return values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n`);
    console.error(USAGE);
    process.exit(2);
  }
}

const { keep = false, help } = readArguments();
if (help) {
  console.log(USAGE);
  process.exit();
}
try {
  await using client = Client.fromEnv();
  try {
    process.exitCode = await deploy(client, keep);
  } finally {
    await undoAll();
  }
  console.log("Logging out");
} catch (error) {
  const expected = interrupt.signal.aborted || error instanceof DecapodError ||
    error instanceof TypeError;
  if (!expected) throw error;
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
if (interrupt.signal.aborted) process.exitCode = 130;
