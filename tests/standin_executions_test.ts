/** Executions of the stand-in that follow the clock. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { fields, Session } from "./standin/session.ts";

/** All steps of an execution, the first at the beginning. */
function stepsOf(session: Session, execution: string) {
  const query = { all: "1", sort_by: '{"_id":1}' };
  return session.list(`/execution/${execution}/steps`, query);
}

Deno.test("stand-in advances an execution with the clock, and has its log at the end", async () => {
  const session = await Session.start();
  const { execution } = await session.deploy();
  const start = session.clock.now() / 1000;
  // Milliseconds that pass, and what can be read then.
  const table: [passed: number, state: string, steps: number, log: number][] = [
    [499, "created", 0, 404],
    [1, "started", 0, 404],
    [1000, "started", 2 * 3, 404],
    [3499, "started", 8 * 3, 404],
    [1, "completed", 8 * 3, 200],
  ];
  for (const [milliseconds, state, steps, log] of table) {
    session.clock.advance(milliseconds);
    assertEquals(await session.state(execution), state);
    assertEquals((await stepsOf(session, execution)).length, steps);
    const response = await session.send("GET", `/execution/${execution}/log`);
    await response.body?.cancel();
    assertEquals(response.status, log);
  }
  assert((await session.log(execution)).includes("TASK"));
  const steps = await stepsOf(session, execution);
  assertEquals(steps[0]?.data.name, "Gathering Facts");
  for (const { data } of steps) {
    assert(Number(data.time_started) <= Number(data.time_finished));
  }
  const finished = steps.map(({ data }) => Number(data.time_finished) - start);
  assertEquals(finished, finished.toSorted((a, b) => a - b));
});

Deno.test("stand-in catches up in order, with the time of each version", async () => {
  const session = await Session.start({ pace: 10_000 });
  const { execution } = await session.deploy();
  const start = session.clock.now() / 1000;
  const { id: short = null } = session.standIn.seedExecution({ duration: 1 });
  // Nobody looks until everything is over.
  session.clock.advance(1_000_000);
  const versions = await session.list(`/execution/${execution}/version`);
  assertEquals(
    versions.map(({ time_updated }) => Number(time_updated) - start),
    [100, 10, 0],
  );
  const ended = await session.list("/execution", { sort_by: '{"_id":1}' });
  assertEquals(ended.map(({ id }) => id ?? null), [short, execution]);
});

Deno.test("StandIn.failTask() fails a task of a playbook", async () => {
  const session = await Session.start();
  const task = "install ceph packages";
  session.standIn.failTask({ playbook: "cluster_deploy", task });
  const { cluster, execution } = await session.deploy();
  session.clock.advance(10_000);
  assertEquals(await session.state(execution), "failed");
  const steps = await stepsOf(session, execution);
  assertEquals(steps.length, 4 * 3);
  for (const [index, { data }] of steps.entries()) {
    const fails = index >= 3 * 3;
    assertEquals([data.name === task, data.result === "error"], [fails, fails]);
    assertEquals("failed" in fields(data.error), fails);
  }
  assert((await session.log(execution)).includes("Internal error"));

  const other = await session.run(cluster, "purge_cluster");
  session.clock.advance(10_000);
  assertEquals(await session.state(other), "completed");
  session.standIn.repairTasks();
  const repaired = await session.deploy();
  session.clock.advance(10_000);
  assertEquals(await session.state(repaired.execution), "completed");
});

Deno.test("stand-in ends a canceled run a while later, one that the controller ends at once", async () => {
  const table: [ending: string, wait: number, end: string][] = [
    ["canceling", 500, "canceled"],
    ["failed", 0, "failed"],
  ];
  for (const [ending, wait, end] of table) {
    const session = await Session.start();
    const { execution } = await session.deploy();
    session.clock.advance(1500);
    if (ending === "failed") session.standIn.controller.fail(execution);
    else await session.delete(`/execution/${execution}`);
    assertEquals(await session.state(execution), ending);
    session.clock.advance(wait);
    assertEquals(await session.state(execution), end);
    session.clock.advance(10_000);
    assertEquals((await stepsOf(session, execution)).length, 2 * 3);
  }
});

Deno.test("stand-in offers Cinder files under the root that is asked for", async () => {
  const session = await Session.start();
  const { cluster } = await session.deploy();
  session.clock.advance(5000);
  await session.run(cluster, "cinder_integration");
  session.clock.advance(5000);
  const names = ["compute", "images", "volumes"]
    .map((name) => `ceph.client.${name}.keyring`).concat("ceph.conf");
  for (
    const [query = "", root = ""] of [
      ["", "/etc/ceph/"],
      ["?root=/opt/", "/opt/"],
      ["?root=/", "/"],
      ["?root=here", "here/"],
    ]
  ) {
    const path = `/cinder_integration/${cluster.id}${query}`;
    const files = fields(await session.get(path));
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
  const read = async (query: string, Accept: string) => {
    const path = `/execution/${execution}/log${query}`;
    return await (await session.send("GET", path, undefined, { Accept }))
      .text();
  };
  const text = "line\nline\n";
  assertEquals(await read("", "*/*"), text);
  assertEquals(await read("?download=1", "application/json"), text);
  const json = await read("", "application/json");
  assertEquals(JSON.parse(json), { data: text });
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
  const table: [milliseconds: number, ...states: string[]][] = [
    [0, "created", "created", "created"],
    [500, "started", "created", "created"],
    [2500, "completed", "started", "created"],
    [2500, "completed", "completed", "started"],
    [2500, "completed", "completed", "completed"],
  ];
  for (const [milliseconds, ...states] of table) {
    session.clock.advance(milliseconds);
    const found = await Promise.all(runs.map((id) => session.state(id)));
    assertEquals(found, states);
  }
});

Deno.test("StandIn.controller runs executions by hand", async () => {
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
