/** The examples, run as a user runs them. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tempFolder } from "../.dev/files.ts";
import type { Output } from "../.dev/process.ts";
import { Client, generateCloudConfig, type V1Client } from "../mod.ts";
import { OPTIONS, TOKEN } from "./cloud_config/host.ts";
import { StandIn } from "./standin/mod.ts";
import { read } from "./support/markdown.ts";
import { Published, serve, SKIPPED } from "./support/published.ts";

const FOLDER = new URL("../examples/", import.meta.url);

/** What most examples need; cloud_config.ts reads and writes files instead. */
const NETWORK = ["--allow-net", "--allow-env"];

/**
 * Runs an example with the permissions that it asks for.
 *
 * @param interruptAt Sends Ctrl-C when this has been printed.
 */
async function example(
  name: string,
  args: string[],
  env: Record<string, string> = {},
  { permissions = NETWORK, interruptAt }: {
    permissions?: string[];
    interruptAt?: string | undefined;
  } = {},
): Promise<Output> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", ...permissions],
      ...[fileURLToPath(new URL(name, FOLDER)), ...args],
    ],
    env: { NO_COLOR: "1", DECAPOD_URL: "", ...env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  let stdout = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    stdout += text;
    if (interruptAt !== undefined && stdout.includes(interruptAt)) {
      interruptAt = undefined;
      child.kill("SIGINT");
    }
  }
  const { code } = await child.status;
  return { code, stdout, stderr: await stderr };
}

/** Creates a client for a stand-in, without a socket. */
function connect(standIn: StandIn): V1Client {
  const account = { login: "root", password: "root" };
  return new Client("http://decapod.test", {
    ...account,
    fetch: standIn.fetch,
  });
}

/** Deploys on two servers; returns the execution's id. */
async function startDeployment(client: V1Client): Promise<string> {
  const { id } = await client.createCluster("ceph");
  const servers = await client.getServers().toArray({ limit: 2 });
  const { data } = await client.createPlaybookConfiguration({
    name: "deploy",
    clusterId: id,
    playbookId: "cluster_deploy",
    serverIds: servers.map(({ id }) => id),
    hints: [{ id: "mon_count", value: 1 }],
    runAfter: true,
  });
  return data.created_execution_id ?? "";
}

const NAMES = ["bun_report", "deploy_cluster", "inventory", "watch_execution"];
for (const name of NAMES.map((name) => `${name}.ts`)) {
  Deno.test(`${name}: prints its usage, and exits with 2 on bad arguments`, async () => {
    const help = await example(name, ["--help"]);
    assertEquals([help.code, help.stderr], [0, ""]);
    assertStringIncludes(help.stdout, `Usage: ${name}`);
    const wrong = await example(name, ["--wrong"]);
    assertEquals([wrong.code, wrong.stdout], [2, ""]);
    assertStringIncludes(wrong.stderr, "--wrong");
    assertStringIncludes(wrong.stderr, `Usage: ${name}`);
  });

  Deno.test(`${name}: says what is missing in the environment`, async () => {
    const args = name === "watch_execution.ts" ? ["id"] : [];
    const { code, stderr } = await example(name, args);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "DECAPOD_URL");
    assertEquals(stderr.trim().split("\n").length, 1);
  });
}

Deno.test("bun_report.ts: rejects invalid numbers of days", async () => {
  for (const days of ["0", "1.5", "x", "10000"]) {
    const { code, stderr } = await example("bun_report.ts", ["--days", days]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "Invalid --days");
  }
});

/** What happens to a deployment, and how the example ends. */
const DEPLOYMENTS: Record<
  string,
  { task?: string; interruptAt?: string; code: number; state: string }
> = {
  completes: { code: 0, state: "completed" },
  fails: { task: "activate osd(s)", code: 1, state: "failed" },
  "is interrupted": { interruptAt: "  started", code: 130, state: "canceled" },
  "is interrupted before it starts": {
    interruptAt: "  created",
    code: 130,
    state: "canceled",
  },
};

for (const [what, expected] of Object.entries(DEPLOYMENTS)) {
  Deno.test(`deploy_cluster.ts: leaves nothing behind if the deployment ${what}`, async () => {
    const { task, interruptAt, code, state } = expected;
    const standIn = new StandIn({ pace: interruptAt ? 300 : 50 });
    if (task) standIn.failTask({ task });
    await using server = serve(standIn);
    const outcome = await example(
      "deploy_cluster.ts",
      [],
      server.account,
      { interruptAt },
    );
    const { stdout, stderr } = outcome;
    assertEquals(outcome.code, code, stdout + stderr);
    assertStringIncludes(stdout, `The deployment ended as ${state}`);
    assertStringIncludes(stdout, "Logging out");

    await using client = connect(standIn);
    assertEquals(await client.getClusters().toArray(), []);
    assertEquals((await client.getUsers()).total, 1);
    assertEquals(
      (await client.getRoles({ filter: { name: { regexp: "^demo" } } })).total,
      0,
    );
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

Deno.test("deploy_cluster.ts: --keep keeps the cluster", async () => {
  const standIn = new StandIn({ pace: 50 });
  await using server = serve(standIn);
  const { code, stdout, stderr } = await example(
    "deploy_cluster.ts",
    ["--keep"],
    server.account,
  );
  assertEquals([code, stderr], [0, ""], stdout);
  await using client = connect(standIn);
  const [cluster] = await client.getClusters().toArray();
  assertEquals(cluster?.data.configuration["mons"]?.length, 1);
  assertEquals(cluster?.data.configuration["osds"]?.length, 2);
  assertEquals((await client.getUsers()).total, 1);
});

Deno.test("deploy_cluster.ts: needs two free servers", async () => {
  await using server = serve(new StandIn({ servers: 1 }));
  const { code, stderr } = await example(
    "deploy_cluster.ts",
    [],
    server.account,
  );
  assertEquals(code, 1);
  assertStringIncludes(stderr, "2 free servers are needed, found 1");
});

Deno.test("inventory.ts: lists servers, also those without an IPv4 address", async () => {
  const time = Math.floor(Date.now() / 1000);
  const model = { version: 1, initiator_id: null, time_deleted: 0 };
  const server = (
    name: string,
    ip: string | null,
    cluster_id: string | null,
  ) => ({
    ...model,
    id: crypto.randomUUID(),
    model: "server",
    time_updated: time,
    data: { name, ip, cluster_id, state: "operational", facts: {} },
  });
  const cluster = { ...model, id: crypto.randomUUID(), data: { name: "ceph" } };
  const pages: Record<string, object[]> = {
    "/v1/cluster/": [cluster],
    "/v1/server/": [
      server("one", "10.0.0.1", cluster.id),
      server("two", null, null),
    ],
  };
  await using http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      const items = pages[new URL(request.url).pathname];
      return Response.json(
        items
          ? { items, page: 1, per_page: 100, total: items.length }
          : { id: "token" },
      );
    },
  );
  const { code, stdout, stderr } = await example("inventory.ts", [], {
    DECAPOD_URL: `http://127.0.0.1:${http.addr.port}`,
    DECAPOD_LOGIN: "root",
    DECAPOD_PASSWORD: "root",
  });
  assertEquals([code, stderr], [0, ""]);
  assertMatch(
    stdout,
    /^one +10\.0\.0\.1 +ceph +operational +unknown +unknown$/m,
  );
  assertMatch(stdout, /^two +no IPv4 +- +operational /m);
  assertMatch(stdout, /^2 servers$/m);
});

Deno.test("watch_execution.ts: shows an execution to its end", async () => {
  const standIn = new StandIn({ pace: 20 });
  await using server = serve(standIn);
  await using client = connect(standIn);
  const id = await startDeployment(client);
  const { code, stdout } = await example("watch_execution.ts", [id], {
    ...server.account,
  });
  assertEquals(code, 0);
  assertMatch(
    stdout,
    /ok {2}ceph-osd: activate osd\(s\)\n== completed\n$/,
  );
});

Deno.test("watch_execution.ts: Ctrl-C stops watching, not the execution", async () => {
  const standIn = new StandIn({ pace: 200 });
  await using server = serve(standIn);
  await using client = connect(standIn);
  const id = await startDeployment(client);
  const { code, stdout, stderr } = await example(
    "watch_execution.ts",
    [id],
    server.account,
    { interruptAt: "== started" },
  );
  assertEquals([code, stderr], [130, ""]);
  assertStringIncludes(stdout, "the execution continues");
  await client.waitForExecution(id, { interval: 50 });
});

Deno.test({
  name: "worker.ts: shows clusters and running executions on workerd",
  ignore: SKIPPED,
  async fn() {
    const standIn = new StandIn({ pace: 60_000 });
    standIn.seedClusters(1, () => "idle");
    await using server = serve(standIn);
    await using client = connect(standIn);
    const id = await startDeployment(client);
    await using published = await Published.open();
    const text = await read("examples/worker.ts");
    const [json, page] = await published.fetchWorker(
      text,
      server.account,
      ["/status.json", "/"],
    );
    assertEquals([json?.status, page?.status], [200, 200], json?.body);
    const { clusters, executions } = JSON.parse(json?.body ?? "");
    assertEquals(
      clusters.map(({ name }: { name: string }) => name),
      ["ceph", "idle"],
    );
    const [{ since, ...execution }] = executions;
    assert(Math.abs(Date.parse(since) - Date.now()) < 60_000);
    assertEquals(execution, {
      id,
      playbook: "cluster_deploy",
      state: "created",
    });
    assertStringIncludes(page?.type ?? "", "text/html");
    assertStringIncludes(page?.body ?? "", "<li>idle: 0 servers</li>");
    assertStringIncludes(
      page?.body ?? "",
      "<li>cluster_deploy: created since ",
    );

    const [failed] = await published.fetchWorker(
      text,
      { ...server.account, DECAPOD_PASSWORD: "wrong" },
      ["/status.json"],
    );
    assertEquals(failed?.status, 502);
    assertEquals(failed?.body, "Decapod is not available\n");
  },
});

Deno.test({
  name: "bun_report.ts: reports servers, clusters and failures on Bun",
  ignore: SKIPPED,
  async fn() {
    const standIn = new StandIn({ pace: 5 });
    standIn.failTask({ task: "activate osd(s)" });
    await using server = serve(standIn);
    await using client = connect(standIn);
    const id = await startDeployment(client);
    const expect = ["failed"];
    await client.waitForExecution(id, { expect, interval: 20 });
    await using published = await Published.open();
    await using bun = await published.bun();
    await bun.write("bun_report.ts", await read("examples/bun_report.ts"));
    const { code, stdout, stderr } = await published.run(
      published.programs.bun,
      bun,
      ["run", "bun_report.ts", "--days", "1"],
      server.account,
    );
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^- operational: 5$/m);
    assertMatch(stdout, /^- ceph: /m);
    assertStringIncludes(stdout, `cluster_deploy (${id})`);
    assertMatch(stdout, /^ {2}- ceph-osd: activate osd\(s\): error$/m);
  },
});

/** Registers a test of cloud_config.ts with a folder that has a public key. */
function testCloudConfig(
  name: string,
  body: (
    run: (args: string[], token?: string) => Promise<Output>,
    key: string,
    folder: string,
  ) => Promise<void>,
): void {
  Deno.test(`cloud_config.ts: ${name}`, async () => {
    using folder = tempFolder();
    const permissions = [
      ...["--allow-read", "--allow-write"],
      "--allow-env=DECAPOD_DISCOVERY_TOKEN",
    ];
    const key = join(folder.path, "id.pub");
    await Deno.writeTextFile(key, `${OPTIONS.publicKey}\n`);
    const run = (args: string[], DECAPOD_DISCOVERY_TOKEN = TOKEN) =>
      example("cloud_config.ts", args, { DECAPOD_DISCOVERY_TOKEN }, {
        permissions,
      });
    await body(run, key, folder.path);
  });
}

testCloudConfig(
  "prints the user-data or writes it to a file",
  async (run, key, folder) => {
    const args = ["--url", OPTIONS.url, "--key", key];
    const printed = async (more: string[], token?: string) => {
      const { code, stdout, stderr } = await run([...args, ...more], token);
      assertEquals([code, stderr], [0, ""]);
      return stdout;
    };
    assertEquals(await printed([]), generateCloudConfig(OPTIONS));
    const output = join(folder, "user-data.yaml");
    const more = [
      ...["--output", output, "--token", TOKEN, "--user=deploy", "--timeout=5"],
      ...["--package=python3", "--package=chrony", "--no-metadata"],
    ];
    assertEquals(await printed(more, ""), "");
    assertEquals(
      await Deno.readTextFile(output),
      generateCloudConfig({
        ...OPTIONS,
        username: "deploy",
        timeout: 5,
        packages: ["python3", "chrony"],
        metadata: false,
      }),
    );
    if (Deno.build.os !== "windows") {
      assertEquals(((await Deno.stat(output)).mode ?? 0) & 0o777, 0o600);
    }
    assertEquals(
      await printed(["--no-packages", "--no-discovery"]),
      generateCloudConfig({ ...OPTIONS, packages: [], noDiscovery: true }),
    );
    const usage = "Usage: cloud_config.ts --url URL --key FILE";
    assertStringIncludes(await printed(["--help"]), usage);
  },
);

testCloudConfig(
  "exits 2 for wrong arguments, without a stack",
  async (run, key, folder) => {
    const good = ["--url", "decapod.example", "--key", key];
    const privateKey = join(folder, "id");
    await Deno.writeTextFile(
      privateKey,
      "-----BEGIN OPENSSH PRIVATE KEY-----\n",
    );
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
    for (const [args, message, token] of wrong) {
      const { code, stdout, stderr } = await run(args, token);
      assertEquals({ code, stdout }, { code: 2, stdout: "" }, message);
      assertStringIncludes(stderr, message);
      assert(stderr.endsWith("\nTry --help\n"), stderr);
      assert(!stderr.includes(TOKEN) && !stderr.includes("    at "), stderr);
    }
  },
);
