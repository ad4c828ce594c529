/** Every method under every fault: see docs/reliability.md. */

import { assert, assertEquals } from "@std/assert";
import { DecapodConnectionError } from "../mod.ts";
import { FAULTS } from "./faults/faults.ts";
import { histogram } from "./faults/histogram.ts";
import { type Cell, cells, type Report, runMatrix } from "./faults/matrix.ts";
import { matrixTable, PAGE, rulesTable } from "./faults/report.ts";
import { FaultServer } from "./faults/server.ts";
import { storm, waits } from "./faults/storm.ts";
import { OPERATIONS } from "./operations.ts";
import { StandIn } from "./standin/mod.ts";
import { seededRandom } from "./standin/ids.ts";
import { section } from "./support/page.ts";
import { fixedRandom } from "./support/patch.ts";
import { makeClient, PASSWORD } from "./support/server.ts";

/** The number of cells in a sample. */
const SAMPLE = 1200;

/** A random sample of the cells. */
function sample(all: Cell[], count: number, seed: number): Cell[] {
  const random = seededRandom(seed);
  const drawn = all.map((cell) => ({ cell, place: random() }))
    .sort((a, b) => a.place - b.place).slice(0, count);
  return drawn.map(({ cell }) => cell);
}

/** Adds a line to the report of the test run. */
const note = (text: string) => console.log(`▸ ${text}`);

Deno.test("V1Client behaves as docs/reliability.md says under every fault", async () => {
  const whole = Deno.env.get("CI") === "true" ||
    Deno.env.get("MATRIX") === "whole";
  const seed = Number(Deno.env.get("MATRIX_SEED") ?? 1);
  const all = cells();
  const chosen = whole ? all : sample(all, SAMPLE, seed);
  const start = performance.now();
  let report: Report;
  {
    using _ = fixedRandom(0); // no delays between attempts
    report = await runMatrix(chosen);
  }
  const seconds = Math.round((performance.now() - start) / 1000);
  const scope = whole
    ? "all cells"
    : `a sample of ${all.length} cells (seed ${seed})`;
  note(
    `matrix, ${scope}: ${report.run} run, ${report.passed} passed, ${seconds} s`,
  );
  assertEquals(report.failures, []);
  assertEquals(report.passed, chosen.length);
});

Deno.test("V1Client never applies a change twice when connections are lost", async () => {
  const changes = OPERATIONS.filter(({ requests }) =>
    requests.some(({ changes }) => changes)
  );
  const resets = FAULTS.filter(({ event }) => event === "connection lost");
  const chosen = cells().filter(({ operation, fault, position }) =>
    changes.includes(operation) && resets.includes(fault) &&
    position === "first attempt"
  );
  using _ = fixedRandom(0);
  const report = await runMatrix(chosen);
  assertEquals(report.failures, []);
  assert(report.run > 200);
});

Deno.test("matrix: runMatrix() reports cells that break a rule", async () => {
  // Cells with wrong expectations must fail.
  const right = cells().filter(({ operation, position }) =>
    operation.name === "createCluster" && position === "first attempt"
  );
  const wrong = right.map((cell): Cell => ({
    ...cell,
    expected: {
      ...cell.expected,
      attempts: (cell.expected.attempts ?? 0) + 1,
      unknown: !cell.expected.unknown,
    },
  }));
  using _ = fixedRandom(0);
  const report = await runMatrix(wrong);
  assertEquals(report.passed, 0);
  assertEquals(report.failures.length, right.length);
});

Deno.test("docs/reliability.md contains the current matrix", async () => {
  const page = await Deno.readTextFile(PAGE);
  assertEquals(section(page, "rules"), rulesTable());
  const all = cells();
  const table: Report["table"] = new Map();
  for (const { fault, position } of all) {
    const row = table.get(fault.name) ?? new Map();
    const { run } = row.get(position) ?? { run: 0 };
    row.set(position, { run: run + 1, passed: run + 1 });
    table.set(fault.name, row);
  }
  assertEquals(
    section(page, "matrix"),
    `${all.length} cells run, ${all.length} passed.\n\n${
      matrixTable({ table })
    }`,
    "Run `deno task matrix` and look at what has changed",
  );
});

Deno.test("createCluster() rejects with outcomeUnknown if its response is lost", async () => {
  const standIn = new StandIn({ rootPassword: PASSWORD });
  await using server = new FaultServer(standIn.handler);
  const client = makeClient(server.url);
  const fault = FAULTS.find(({ name }) =>
    name === "kept connection reset, request served"
  );
  assert(fault);
  await client.getInfo();
  await client.login();
  server.inject({
    fault,
    operation: (method, path) => method === "POST" && path === "/v1/cluster/",
    skip: 0,
    count: 1,
    inBody: false,
  });
  const error = await client.createCluster("ceph").catch((error) => error);
  assert(error instanceof DecapodConnectionError);
  assertEquals(error.outcomeUnknown, true);
  assert(error.message.includes("the change may have been applied"));
  const { items } = await client.getClusters();
  assertEquals(items.map(({ data }) => data.name), ["ceph"]);
});

Deno.test("outcomeUnknown stays true after a later attempt that was rejected", async () => {
  // The first attempt loses its connection, the second one gets a 429.
  const answers = [
    () => Promise.reject(new Error("connection reset")),
    () => Promise.resolve(Response.json({}, { status: 429 })),
  ];
  using _ = fixedRandom(0);
  const client = makeClient("http://decapod", {
    fetch: () => answers.shift()?.() ?? Promise.reject(),
  });
  const error = await client.requestPasswordReset("ann", { retries: 1 })
    .catch((error) => error);
  assertEquals(error.code, 429);
  assertEquals(error.outcomeUnknown, true);
});

Deno.test("V1Client does not repeat changes on connections that were closed while idle", async () => {
  // Each response offers to keep the connection, which is then closed.
  const standIn = new StandIn({ rootPassword: PASSWORD });
  await using server = new FaultServer(standIn.handler);
  server.keepAlive = true;
  server.closesIdle = true;
  const client = makeClient(server.url);
  const names = Array.from({ length: 50 }, (_, number) => `ceph${number}`);
  for (const name of names) {
    assertEquals((await client.getUserSelf()).data.login, "root");
    await client.createCluster(name);
  }
  const created = await client.getClusters().toArray();
  assertEquals(created.map(({ data }) => data.name).sort(), names.sort());
  const creations = server.received.filter(({ method, path }) =>
    method === "POST" && path === "/v1/cluster/"
  );
  assertEquals(creations.length, names.length);
});

Deno.test("V1Client sends at most three requests per call to an unavailable server", async () => {
  const { clients, failed, arrivals } = await storm(1000);
  note(
    `storm: ${clients} clients, ${failed} calls failed, ${arrivals.length} requests`,
  );
  for (const line of histogram(arrivals, 250, "ms")) note(line);
  assertEquals(failed, clients);
  assert(arrivals.length <= (1 + 2) * clients);
});

Deno.test("V1Client spreads the delays before retries evenly", async () => {
  const found = await waits(1000, 1);
  assertEquals(found.length, 1000);
  const quarters = [0, 0, 0, 0];
  for (const wait of found) {
    const quarter = Math.floor(wait / 50);
    quarters[quarter] = (quarters[quarter] ?? 0) + 1;
  }
  assertEquals(quarters.length, 4, "no wait is longer than 200 ms");
  for (const count of quarters) assert(count > 150 && count < 350);
});
