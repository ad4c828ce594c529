/** Executions of the stand-in: what runs over time, and what it leaves. */

import { assert, assertEquals } from "@std/assert";
import type { Json } from "./standin/json.ts";
import { fields, Session } from "./standin/session.ts";

Deno.test("an execution runs on the clock, step by step", async () => {
  const session = await Session.start();
  const { cluster, execution } = await session.deploy();
  const path = `/execution/${execution}`;
  assertEquals(await session.state(execution), "created");
  assertEquals(await session.outcome("GET", `${path}/log`), [404, "NotFound"]);
  assertEquals(
    await session.outcome(
      "DELETE",
      `/playbook_configuration/${
        (await session.list("/playbook_configuration"))[0]?.id
      }`,
    ),
    [400, "CannotDeleteLockedPlaybookConfiguration"],
  );

  session.clock.advance(500);
  assertEquals(await session.state(execution), "started");
  const early = await session.log(execution);
  assertEquals(early.includes("TASK"), false);
  assertEquals(await session.list(`${path}/steps`), []);

  session.clock.advance(1000);
  assertEquals((await session.list(`${path}/steps`)).length, 6);
  const grown = await session.log(execution);
  assert(grown.startsWith(early) && grown.length > early.length);

  session.clock.advance(3500);
  assertEquals(await session.state(execution), "completed");
  const steps = await session.list(`${path}/steps`, {
    all: "1",
    sort_by: '{"_id":1}',
  });
  assertEquals(steps.length, 8 * 3);
  assertEquals(steps[0]?.data.name, "Gathering Facts");
  for (const { data } of steps) {
    assert(Number(data.time_started) <= Number(data.time_finished));
  }
  const finished = steps.map(({ data }) => Number(data.time_finished));
  assertEquals(finished, finished.toSorted((a, b) => a - b));
  const versions = await session.list(`${path}/version`);
  assertEquals(
    versions.map(({ data }) => data.state ?? null),
    ["completed", "started", "created"],
  );

  const { data } = await session.get(`/cluster/${cluster.id}`);
  assertEquals(Object.keys(fields(data.configuration)), ["mons", "osds"]);
  const members = await session.list("/server", {
    filter: JSON.stringify({ cluster_id: cluster.id ?? "" }),
  });
  assertEquals(members.length, 3);
  assertEquals(await session.outcome("DELETE", `/cluster/${cluster.id}`), [
    400,
    "CannotDeleteClusterWithServers",
  ]);
});

Deno.test("versions bear the time at which they were due", async () => {
  const session = await Session.start({ pace: 10_000 });
  const { execution } = await session.deploy();
  const start = session.clock.now() / 1000;
  // Nobody looks until everything is over.
  session.clock.advance(1_000_000);
  const versions = await session.list(`/execution/${execution}/version`);
  assertEquals(
    versions.map(({ time_updated }) => Number(time_updated) - start),
    [100, 10, 0],
  );
});

Deno.test("a server renamed shows under its new name in its cluster", async () => {
  const session = await Session.start();
  const { cluster } = await session.deploy();
  session.clock.advance(5000);
  const [server] = await session.list("/server", {
    filter: JSON.stringify({ cluster_id: cluster.id ?? "" }),
  });
  assert(server);
  const changed = await session.put(`/server/${server.id}`, {
    ...server,
    data: { ...server.data, name: "renamed", ip: "1.2.3.4" },
  });
  assertEquals(changed.data, { ...server.data, name: "renamed" });
  const { data } = await session.get(`/cluster/${cluster.id}`);
  const entries = Object.values(fields(data.configuration)).flat().map(fields);
  assertEquals(
    entries.filter(({ server_name }) => server_name === "renamed")
      .map(({ version }) => version ?? null),
    [changed.version ?? null],
  );
});

Deno.test("a purge sets the servers free and deletes the cluster", async () => {
  const session = await Session.start();
  const { cluster } = await session.deploy();
  session.clock.advance(5000);
  const purge = await session.post("/playbook_configuration", {
    name: "purge",
    cluster_id: String(cluster.id),
    playbook_id: "purge_cluster",
    server_ids: [],
    hints: [],
    run: true,
  });
  session.clock.advance(5000);
  const state = await session.state(String(purge.data.created_execution_id));
  assertEquals(state, "completed");
  const gone = await session.get(`/cluster/${cluster.id}`);
  assert(Number(gone.time_deleted) > 0);
  const servers = await session.list("/server");
  assertEquals(servers.map(({ data }) => data.cluster_id), Array(5).fill(null));
  assertEquals(
    await session.outcome("GET", `/cinder_integration/${cluster.id}`),
    [404, "NotFound"],
  );
});

Deno.test("servers are added to a role and taken out again", async () => {
  const session = await Session.start();
  const { cluster } = await session.deploy();
  session.clock.advance(5000);
  const [server] = await session.list("/server", {
    filter: '{"cluster_id":{"eq":null}}',
  });
  const run = async (playbook_id: string) => {
    await session.post("/playbook_configuration", {
      name: playbook_id,
      cluster_id: String(cluster.id),
      playbook_id,
      server_ids: [String(server?.id)],
      hints: [],
      run: true,
    });
    session.clock.advance(5000);
    const { data } = await session.get(`/cluster/${cluster.id}`);
    return Object.keys(fields(data.configuration));
  };
  assertEquals(await run("add_rgw"), ["mons", "osds", "rgws"]);
  assertEquals(await run("remove_rgw"), ["mons", "osds"]);
  const { data } = await session.get(`/server/${server?.id}`);
  assertEquals(data.cluster_id, null);
});

Deno.test("an execution fails at a task, on a server", async () => {
  const session = await Session.start();
  const [, second] = await session.list("/server");
  session.standIn.failTask({
    task: "install ceph packages",
    server: String(second?.id),
  });
  const { cluster, execution } = await session.deploy();
  session.clock.advance(10_000);
  assertEquals(await session.state(execution), "failed");
  const steps = await session.list(`/execution/${execution}/steps`, {
    all: "1",
  });
  assertEquals(steps.length, 4 * 3);
  const failed = await session.list(`/execution/${execution}/steps`, {
    filter: '{"result":2}',
  });
  assertEquals(failed.map(({ data }) => [data.server_id, data.name]), [
    [second?.id, "install ceph packages"],
  ]);
  assertEquals(fields(failed[0]?.data.error).failed, true);
  assert((await session.log(execution)).includes("Internal error"));
  const { data } = await session.get(`/cluster/${cluster.id}`);
  assertEquals(data.configuration, {});
  assertEquals(
    await session.outcome("GET", `/cinder_integration/${cluster.id}`),
    [404, "NotFound"],
  );

  session.standIn.repairTasks();
  const { id = null, version = null } = fields(
    (await session.get(`/execution/${execution}`)).data.playbook_configuration,
  );
  const again = await session.post("/execution", {
    playbook_configuration: { id, version },
  });
  session.clock.advance(10_000);
  assertEquals(await session.state(String(again.id)), "completed");
});

Deno.test("a cancel does what the state allows", async (t) => {
  await t.step("created: canceled, and nothing runs", async () => {
    const session = await Session.start();
    const { execution } = await session.deploy();
    const { data } = await session.delete(`/execution/${execution}`);
    assertEquals(data.state, "canceled");
    session.clock.advance(10_000);
    assertEquals(await session.state(execution), "canceled");
    assertEquals(await session.list(`/execution/${execution}/steps`), []);
  });
  await t.step("created: may run all the same", async () => {
    const session = await Session.start({ canceledMayRun: true });
    const { execution } = await session.deploy();
    await session.delete(`/execution/${execution}`);
    assertEquals(await session.state(execution), "canceled");
    session.clock.advance(1000);
    assertEquals(await session.state(execution), "started");
    session.clock.advance(4000);
    const versions = await session.list(`/execution/${execution}/version`);
    assertEquals(
      versions.map(({ data }) => data.state ?? null),
      ["completed", "started", "canceled", "created"],
    );
  });
  await t.step("started: canceling, then canceled", async () => {
    const session = await Session.start();
    const { execution } = await session.deploy();
    session.clock.advance(1500);
    const { data } = await session.delete(`/execution/${execution}`);
    assertEquals(data.state, "canceling");
    const { length } = await session.list(`/execution/${execution}/steps`);
    const again = await session.delete(`/execution/${execution}`);
    assertEquals([again.data.state, again.version], ["canceling", 3]);
    session.clock.advance(500);
    assertEquals(await session.state(execution), "canceled");
    session.clock.advance(10_000);
    assertEquals(
      (await session.list(`/execution/${execution}/steps`)).length,
      length,
    );
  });
  await t.step("completed: unchanged", async () => {
    const session = await Session.start();
    const { execution } = await session.deploy();
    session.clock.advance(10_000);
    const { data, version } = await session.delete(`/execution/${execution}`);
    assertEquals([data.state, version], ["completed", 3]);
  });
});

Deno.test("a configuration that may not be run leaves no trace", async () => {
  const session = await Session.start();
  const cluster = await session.post("/cluster", { name: "ceph" });
  const role = await session.post("/role", {
    name: "planner",
    permissions: [{
      name: "api",
      permissions: [
        "view_playbook_configuration",
        "create_playbook_configuration",
      ],
    }],
  });
  await session.post("/user", {
    login: "ann",
    email: "ann@example.com",
    full_name: "Ann",
    role_id: String(role.id),
  });
  const servers = await session.list("/server");
  session.token = await session.login(
    "ann",
    session.standIn.mails.at(-1)?.password ?? "",
  );
  const body = {
    name: "deploy",
    cluster_id: String(cluster.id),
    playbook_id: "cluster_deploy",
    server_ids: servers.map(({ id }) => String(id)),
    hints: [],
  };
  assertEquals(
    await session.outcome("POST", "/playbook_configuration", {
      ...body,
      run: true,
    }),
    [403, "Forbidden"],
  );
  assertEquals(await session.list("/playbook_configuration"), []);
  const made = await session.post("/playbook_configuration", body);
  assertEquals(made.data.created_execution_id, null);
});

Deno.test("cinder data has its paths under the root that is asked for", async () => {
  const session = await Session.start();
  const { cluster } = await session.deploy();
  const path = `/cinder_integration/${cluster.id}`;
  assertEquals(await session.outcome("GET", path), [404, "NotFound"]);
  session.clock.advance(5000);
  const names = [
    "ceph.client.compute.keyring",
    "ceph.client.images.keyring",
    "ceph.client.volumes.keyring",
    "ceph.conf",
  ];
  for (
    const [query, root] of [
      ["", "/etc/ceph/"],
      ["?root=/opt/", "/opt/"],
      ["?root=/", "/"],
      ["?root=here", "here/"],
    ]
  ) {
    const files: Record<string, Json> = await session.get(path + query);
    assertEquals(Object.keys(files), names.map((name) => root + name));
    const text = String(files[`${root}ceph.conf`]);
    assert(text.includes(`keyring = ${root}ceph.client.images.keyring\n`));
  }
});

Deno.test("the log comes as text, as a file or as JSON", async () => {
  const session = await Session.start();
  const { execution } = await session.deploy();
  session.clock.advance(5000);
  const path = `/execution/${execution}/log`;
  const text = await session.log(execution);
  const asJson = { "Accept": "application/json" };
  const json = await session.send("GET", path, undefined, asJson);
  assertEquals(await json.json(), { data: text });
  const file = await session.send(
    "GET",
    `${path}?download=1`,
    undefined,
    asJson,
  );
  assertEquals(await file.text(), text);
  assertEquals(
    file.headers.get("Content-Disposition"),
    `attachment; filename=${execution}.log`,
  );
  const etag = file.headers.get("ETag") ?? "";
  const known = { "If-None-Match": `"other", W/${etag}` };
  const unchanged = await session.send("GET", path, undefined, known);
  assertEquals([unchanged.status, await unchanged.text()], [304, ""]);

  const chunk = new TextEncoder().encode("line\n");
  session.standIn.setLog(execution, () => ReadableStream.from([chunk, chunk]));
  assertEquals(await session.log(execution), "line\nline\n");
});

Deno.test("an execution of 10,000 steps on 50 servers is delivered whole", async () => {
  const session = await Session.start();
  const { id } = session.standIn.seedExecution({
    servers: 50,
    steps: 10_000,
    duration: 200_000,
  });
  const path = `/execution/${id}/steps`;
  const seen = new Set<Json>();
  for (let second = 0; second <= 200; second++) {
    const steps = await session.list(path, {
      all: "1",
      filter: JSON.stringify({
        time_finished: { gte: session.clock.now() / 1000 - 1 },
      }),
    });
    for (const step of steps) seen.add(step.id ?? null);
    session.clock.advance(1000);
  }
  assertEquals(seen.size, 10_000);
  assertEquals(await session.state(String(id)), "completed");
});
