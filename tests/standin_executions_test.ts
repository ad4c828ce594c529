/** Executions of the stand-in that follow the clock. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Json } from "./standin/json.ts";
import { fields, Session } from "./standin/session.ts";

Deno.test("stand-in runs an execution on the clock, step by step", async () => {
  const session = await Session.start();
  const { cluster, execution } = await session.deploy();
  const path = `/execution/${execution}`;
  assertEquals(await session.state(execution), "created");
  const log = () => session.outcome("GET", `${path}/log`);
  assertEquals(await log(), [404, "NotFound"]);

  session.clock.advance(500);
  assertEquals(await session.state(execution), "started");
  assertEquals(await session.list(`${path}/steps`), []);

  session.clock.advance(1000);
  assertEquals((await session.list(`${path}/steps`)).length, 6);
  assertEquals(await log(), [404, "NotFound"]);

  session.clock.advance(3500);
  assertEquals(await session.state(execution), "completed");
  assert((await session.log(execution)).includes("TASK"));
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

Deno.test("stand-in gives versions the time at which they were due", async () => {
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

Deno.test("stand-in fails an execution at a task, on a server", async () => {
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
  assertEquals(Object.keys(fields(data.configuration)), ["mons", "osds"]);

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

Deno.test("stand-in ends a canceled run a while later", async () => {
  const session = await Session.start();
  const { execution } = await session.deploy();
  session.clock.advance(1500);
  const { data } = await session.delete(`/execution/${execution}`);
  assertEquals(data.state, "canceling");
  const steps = () => session.list(`/execution/${execution}/steps`);
  const before = await steps();
  session.clock.advance(500);
  assertEquals(await session.state(execution), "canceled");
  session.clock.advance(10_000);
  assertEquals(await steps(), before);
});

Deno.test("stand-in offers Cinder files under the root that is asked for", async () => {
  const session = await Session.start();
  const { cluster } = await session.deploy();
  const path = `/cinder_integration/${cluster.id}`;
  session.clock.advance(5000);
  assertEquals(await session.outcome("GET", path), [404, "NotFound"]);
  await session.run(cluster, "cinder_integration");
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

Deno.test("StandIn.setLog() replaces a log, also by a stream", async () => {
  const session = await Session.start();
  const { execution } = await session.deploy();
  const chunk = new TextEncoder().encode("line\n");
  session.standIn.setLog(execution, () => ReadableStream.from([chunk, chunk]));
  const path = `/execution/${execution}/log`;
  assertEquals(await session.log(execution), "line\nline\n");
  const asJson = { "Accept": "application/json" };
  const json = await session.send("GET", path, undefined, asJson);
  assertEquals(await json.json(), { data: "line\nline\n" });
  const file = await session.send(
    "GET",
    `${path}?download=1`,
    undefined,
    asJson,
  );
  assertEquals(await file.text(), "line\nline\n");
});

Deno.test("stand-in runs executions that share a server one after the other", async () => {
  const session = await Session.start();
  const { cluster } = await session.deploy();
  session.clock.advance(5000);
  const runs = await Promise.all(
    ["add_pool", "add_pool", "hello_world"].map((playbook) =>
      session.run(cluster, playbook)
    ),
  );
  // All need the monitor. Each run takes 500 ms to start, 2,000 for its tasks
  // and 500 to end; one that waits starts as soon as the other has ended.
  const states = () => Promise.all(runs.map((id) => session.state(id)));
  const expected = [
    ["created", "created", "created"],
    ["started", "created", "created"],
    ["completed", "started", "created"],
    ["completed", "completed", "started"],
    ["completed", "completed", "completed"],
  ];
  for (const [index, milliseconds] of [0, 500, 2500, 2500, 2500].entries()) {
    session.clock.advance(milliseconds);
    assertEquals(await states(), expected[index]);
  }
});

Deno.test("stand-in fails executions of one playbook alone", async () => {
  const session = await Session.start();
  session.standIn.failTask({ playbook: "cluster_deploy" });
  const { cluster, execution } = await session.deploy();
  session.clock.advance(10_000);
  assertEquals(await session.state(execution), "failed");
  const purge = await session.run(cluster, "purge_cluster");
  session.clock.advance(10_000);
  assertEquals(await session.state(purge), "completed");
});

Deno.test("stand-in waits for its controller if it is to be moved by hand", async () => {
  const session = await Session.start({ manual: true });
  const { controller } = session.standIn;
  const { cluster, execution } = await session.deploy();
  session.clock.advance(100_000);
  assertEquals(await session.state(execution), "created");
  assertThrows(() => controller.complete(execution), Error, "it is queued");
  controller.start(execution);
  assertThrows(() => controller.start(execution), Error, "it is working");
  const second = await session.run(cluster, "hello_world");
  assertThrows(() => controller.start(second), Error, "its servers are busy");
  controller.fail(execution);
  assertEquals(await session.state(execution), "failed");
  assertThrows(() => controller.cancel(execution), Error, "it is ended");
  controller.end(second);
  assertEquals(await session.state(second), "completed");
});

Deno.test("stand-in ends a run at once if its controller says so", async () => {
  const session = await Session.start();
  const { execution } = await session.deploy();
  session.clock.advance(1500);
  session.standIn.controller.fail(execution);
  const steps = () => session.list(`/execution/${execution}/steps`);
  assertEquals((await steps()).length, 6);
  session.clock.advance(10_000);
  assertEquals((await steps()).length, 6);
  assertEquals(await session.state(execution), "failed");
});
