/** The examples, run as a user runs them; on other runtimes: published_test.ts. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { tempFolder } from "../.dev/files.ts";
import { deno } from "../.dev/process.ts";
import worker from "../examples/worker.ts";
import { generateCloudConfig } from "../mod.ts";
import { OPTIONS, TOKEN } from "./cloud_config/host.ts";
import { StandIn } from "./standin/mod.ts";
import { replace } from "./support/patch.ts";

import { makeClient, serve } from "./support/server.ts";

/**
 * Runs an example with the permissions that it asks for.
 *
 * @param interruptAt Sends Ctrl-C when this has been printed.
 */
function example(
  name: string,
  args: string[],
  env: Record<string, string> = {},
  { permissions = ["--allow-net", "--allow-env"], interruptAt = "" } = {},
) {
  const script = ["--quiet", "--no-prompt", ...permissions, `examples/${name}`];
  let printed = "";
  return deno(["run", ...script, ...args], {
    env: { DECAPOD_URL: "", ...env },
    onOutput(chunk, child) {
      printed += chunk;
      if (interruptAt === "" || !printed.includes(interruptAt)) return;
      interruptAt = "";
      child.kill("SIGINT");
    },
  });
}

/** Runs an example with this stand-in as its Decapod. */
async function exampleWith(
  standIn: StandIn,
  name: string,
  args: string[] = [],
  options?: Parameters<typeof example>[3],
) {
  await using server = serve(standIn);
  return await example(name, args, server.account, options);
}

/** Creates a client for a stand-in, without a socket. */
const connect = ({ fetch }: StandIn) =>
  makeClient("http://decapod.test", { password: "root", fetch });

const NAMES = ["bun_report", "deploy_cluster", "inventory", "watch_execution"];
for (const name of NAMES.map((name) => `${name}.ts`)) {
  Deno.test(`${name} prints its usage, and reports bad arguments and a missing environment`, async () => {
    const [help, wrong, missing] = await Promise.all([
      example(name, ["--help"]),
      example(name, ["--wrong"]),
      example(name, name === "watch_execution.ts" ? ["id"] : []),
    ]);
    assertEquals([help.code, help.stderr], [0, ""]);
    assertStringIncludes(help.stdout, `Usage: ${name}`);
    assertEquals([wrong.code, wrong.stdout], [2, ""]);
    assertStringIncludes(wrong.stderr, "--wrong");
    assertStringIncludes(wrong.stderr, `Usage: ${name}`);
    assertEquals(missing.code, 1);
    assertMatch(missing.stderr, /^.*DECAPOD_URL.*\n$/);
  });
}

Deno.test("bun_report.ts rejects invalid numbers of days", async () => {
  await Promise.all(["0", "1.5", "x", "10000"].map(async (days) => {
    const { code, stderr } = await example("bun_report.ts", ["--days", days]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "Invalid --days");
  }));
});

/** What happens to a deployment, the exit code, the last state, and when to interrupt. */
const DEPLOYMENTS: [string, number, string, interruptAt?: string][] = [
  ["completes", 0, "completed"],
  ["fails", 1, "failed"],
  ["is interrupted", 130, "canceled", "  started"],
  ["is interrupted before its start", 130, "canceled", "  created"],
];

for (const [what, code, state, interruptAt] of DEPLOYMENTS) {
  Deno.test(`deploy_cluster.ts leaves nothing behind if the deployment ${what}`, async () => {
    const standIn = new StandIn({ pace: interruptAt ? 150 : 50 });
    if (state === "failed") standIn.failTask({ task: "activate osd(s)" });
    const example = "deploy_cluster.ts";
    const outcome = await exampleWith(standIn, example, [], { interruptAt });
    const { stdout, stderr } = outcome;
    assertEquals(outcome.code, code, stdout + stderr);
    assertStringIncludes(stdout, `The deployment ended as ${state}`);
    assertStringIncludes(stdout, "Logging out");

    await using client = connect(standIn);
    const role = { name: { regexp: "^demo" } };
    assertEquals(await client.getClusters().toArray(), []);
    assertEquals((await client.getUsers()).total, 1);
    assertEquals((await client.getRoles({ filter: role })).total, 0);
    for await (const { data } of client.getServers()) {
      assertEquals(data.cluster_id, null);
    }
    // A Decapod locks a configuration for good if no run of it completed.
    const left = await client.getPlaybookConfigurations().toArray();
    assert(left.length <= (state === "completed" ? 0 : 1), stdout);
    for (const { id } of left) {
      assertStringIncludes(stderr, `Left the playbook configuration ${id}`);
    }
    if (left.length === 0) assertEquals(stderr, "");
  });
}

Deno.test("deploy_cluster.ts --keep keeps the cluster", async () => {
  const standIn = new StandIn({ pace: 50 });
  const outcome = await exampleWith(standIn, "deploy_cluster.ts", ["--keep"]);
  const { code, stdout, stderr } = outcome;
  assertEquals([code, stderr], [0, ""], stdout);
  await using client = connect(standIn);
  const [cluster] = await client.getClusters().toArray();
  assertEquals(cluster?.data.configuration["mons"]?.length, 1);
  assertEquals(cluster?.data.configuration["osds"]?.length, 2);
  assertEquals((await client.getUsers()).total, 1);
});

Deno.test("deploy_cluster.ts needs two free servers", async () => {
  const standIn = new StandIn({ servers: 1 });
  const { code, stderr } = await exampleWith(standIn, "deploy_cluster.ts");
  assertEquals(code, 1);
  assertStringIncludes(stderr, "2 free servers are needed, found 1");
});

Deno.test("inventory.ts lists servers, also those without an IPv4 address", async () => {
  const standIn = new StandIn({ servers: 0 });
  const [cluster] = standIn.seedClusters(1, () => "ceph");
  const cluster_id = String(cluster?.["id"]);
  standIn.addServer({ name: "one", ip: "10.0.0.1", cluster_id, facts: {} });
  standIn.addServer({ name: "two", ip: null });
  const { code, stdout, stderr } = await exampleWith(standIn, "inventory.ts");
  assertEquals([code, stderr], [0, ""]);
  const one = /^one +10\.0\.0\.1 +ceph +operational +unknown +unknown$/m;
  assertMatch(stdout, one);
  assertMatch(stdout, /^two +no IPv4 +- +operational +\d+\.\d GiB +vda /m);
  assertMatch(stdout, /^2 servers$/m);
});

Deno.test("watch_execution.ts shows an execution to its end", async () => {
  const standIn = new StandIn();
  const { id } = standIn.seedExecution({ steps: 2, servers: 1, duration: 40 });
  const args = [String(id)];
  const outcome = await exampleWith(standIn, "watch_execution.ts", args);
  const { code, stdout } = outcome;
  assertEquals(code, 0);
  assertMatch(stdout, /ok {2}seeded: task 000002\n== completed\n$/);
});

Deno.test("watch_execution.ts stops watching on Ctrl-C, and does not cancel the execution", async () => {
  const standIn = new StandIn();
  const { id } = standIn.seedExecution({ duration: 3_600_000 });
  const args = [String(id)];
  const outcome = await exampleWith(standIn, "watch_execution.ts", args, {
    interruptAt: "== started",
  });
  const { code, stdout, stderr } = outcome;
  assertEquals([code, stderr], [130, ""]);
  assertStringIncludes(stdout, "the execution continues");
  await using client = connect(standIn);
  assertEquals((await client.getExecution(String(id))).data.state, "started");
});

Deno.test("worker.ts responds with 502 if it cannot log in", async () => {
  await using server = serve(new StandIn());
  const request = new Request("http://worker.test/status.json");
  const env = { ...server.account, DECAPOD_PASSWORD: "wrong" };
  const logged: string[] = [];
  using _ = replace(console, "error", (text: string) => void logged.push(text));
  const response = await worker.fetch(request, env);
  assertEquals(response.status, 502);
  assertEquals(await response.text(), "Decapod is not available\n");
  assertStringIncludes(logged.join(), "401 Unauthorized");
});

/** Runs cloud_config.ts, which reads and writes files. */
function cloudConfig(args: string[], DECAPOD_DISCOVERY_TOKEN: string = TOKEN) {
  const environment = "--allow-env=DECAPOD_DISCOVERY_TOKEN";
  const permissions = ["--allow-read", "--allow-write", environment];
  const env = { DECAPOD_DISCOVERY_TOKEN };
  return example("cloud_config.ts", args, env, { permissions });
}

/** A folder with a public key. */
function keyFolder() {
  const folder = tempFolder();
  const key = `${folder.path}/id.pub`;
  Deno.writeTextFileSync(key, `${OPTIONS.publicKey}\n`);
  return { ...folder, key };
}

Deno.test("cloud_config.ts prints the user-data or writes it to a file", async () => {
  using folder = keyFolder();
  const printed = async (more: string[], token?: string) => {
    const args = ["--url", OPTIONS.url, "--key", folder.key, ...more];
    const { code, stdout, stderr } = await cloudConfig(args, token);
    assertEquals([code, stderr], [0, ""]);
    return stdout;
  };
  const file = `${folder.path}/user-data.yaml`;
  const more = [
    ...["--output", file, "--token", TOKEN, "--user=deploy", "--timeout=5"],
    ...["--package=python3", "--package=chrony", "--no-metadata"],
  ];
  const [plain, written, short, help] = await Promise.all([
    printed([]),
    printed(more, ""),
    printed(["--no-packages", "--no-discovery"]),
    printed(["--help"]),
  ]);
  assertEquals(plain, generateCloudConfig(OPTIONS));
  assertEquals(written, "");
  const packages = ["python3", "chrony"];
  const options = { username: "deploy", timeout: 5, packages, metadata: false };
  const expected = generateCloudConfig({ ...OPTIONS, ...options });
  assertEquals(await Deno.readTextFile(file), expected);
  if (Deno.build.os !== "windows") {
    assertEquals(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  }
  const none = { packages: [], noDiscovery: true };
  assertEquals(short, generateCloudConfig({ ...OPTIONS, ...none }));
  assertStringIncludes(help, "Usage: cloud_config.ts --url URL --key FILE");
});

Deno.test("cloud_config.ts exits with 2 on wrong arguments, without a stack", async () => {
  using folder = keyFolder();
  const { key } = folder;
  const good = ["--url", "decapod.example", "--key", key];
  const privateKey = `${folder.path}/id`;
  await Deno.writeTextFile(privateKey, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
  const wrong: [args: string[], message: string, token?: string][] = [
    [["--key", key], "Missing --url"],
    [["--url", "decapod.example"], "Missing --key"],
    [[...good, "--colour"], "Unknown option '--colour'"],
    [[...good, "--url", "ftp://decapod.example"], "Invalid url: "],
    [[...good, "--timeout", "soon"], "Invalid timeout: "],
    [[...good, "--key", "/nowhere/id.pub"], "Cannot read /nowhere/id.pub: "],
    [[...good, "--key", privateKey], "got a private key"],
    [[...good, "--output", "/nowhere/x"], "Cannot write /nowhere/x: "],
    [[...good, "--user", TOKEN], "Invalid username: "],
    [[...good, "more"], "Unexpected argument 'more'"],
    [good, "Missing --token, or DECAPOD_DISCOVERY_TOKEN", ""],
  ];
  await Promise.all(wrong.map(async ([args, message, token]) => {
    const { code, stdout, stderr } = await cloudConfig(args, token);
    assertEquals({ code, stdout }, { code: 2, stdout: "" }, message);
    assertStringIncludes(stderr, message);
    assert(stderr.endsWith("\nTry --help\n"), stderr);
    assert(!stderr.includes(TOKEN) && !stderr.includes("    at "), stderr);
  }));
});
