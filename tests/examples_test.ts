/** The examples, run as a user runs them. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { fileURLToPath } from "node:url";
import { Client, type V1Client } from "../mod.ts";
import { StandIn } from "./standin/mod.ts";
import { read } from "./support/markdown.ts";
import { Published, serve, SKIPPED } from "./support/published.ts";

const FOLDER = new URL("../examples/", import.meta.url);

/** How a program ended. */
interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs an example with the permissions that it asks for.
 *
 * @param interruptAt Sends Ctrl-C when this has been printed.
 */
async function example(
  name: string,
  args: string[],
  env: Record<string, string> = {},
  interruptAt?: string,
): Promise<Outcome> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--allow-net", "--allow-env"],
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

for (
  const name of [
    "bun_report.ts",
    "deploy_cluster.ts",
    "inventory.ts",
    "watch_execution.ts",
  ]
) {
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
      interruptAt,
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
    "== started",
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
