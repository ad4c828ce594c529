/** Every method under every fault: see docs/reliability.md. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { DecapodConnectionError } from "../mod.ts";
import { faultNamed } from "./faults/faults.ts";
import { cells, runMatrix } from "./faults/matrix.ts";
import {
  matrixTable,
  PAGE,
  rulesTable,
  storm,
  waits,
} from "./faults/report.ts";
import { FaultServer } from "./faults/server.ts";
import { StandIn } from "./standin/mod.ts";
import { seededRandom } from "./standin/ids.ts";
import { section } from "./support/page.ts";
import { makeClient, PASSWORD } from "./support/server.ts";

/** The share of the cells in a sample. */
const SAMPLE = 0.07;

/** Adds a line to the report of the test run. */
const note = (text: string) => console.log(`▸ ${text}`);

Deno.test("V1Client has the predicted result, attempts and duration, and shows no secret, under every fault", async () => {
  const isWhole = Deno.env.get("CI") === "true" ||
    Deno.env.get("MATRIX") === "whole";
  const seed = Number(Deno.env.get("MATRIX_SEED") ?? 1);
  const all = cells();
  const random = seededRandom(seed);
  const chosen = isWhole ? all : all.filter(() => random() < SAMPLE);
  const start = performance.now();
  assertEquals(await runMatrix(chosen), []);
  const seconds = Math.round((performance.now() - start) / 1000);
  const scope = isWhole
    ? "all cells"
    : `a sample of ${all.length} cells (seed ${seed})`;
  note(`matrix, ${scope}: ${chosen.length} run, ${seconds} s`);
});

Deno.test("V1Client never applies a change twice when connections are lost", async () => {
  const chosen = cells().filter(({ operation, fault, position }) =>
    operation.requests.some(({ changes }) => changes) &&
    fault.event === "connection lost" && position === "first attempt"
  );
  assertEquals(await runMatrix(chosen), []);
  assert(chosen.length > 200);
});

Deno.test("docs/reliability.md: contains the current matrix", async () => {
  const page = await Deno.readTextFile(PAGE);
  assertEquals(section(page, "rules"), rulesTable());
  assertEquals(
    section(page, "matrix"),
    matrixTable(),
    "Run `deno task matrix` and look at what has changed",
  );
});

Deno.test("createCluster() rejects with outcomeUnknown if its response is lost", async () => {
  const standIn = new StandIn({ rootPassword: PASSWORD });
  await using server = new FaultServer(standIn.handler);
  const client = makeClient(server.url);
  await client.getInfo();
  await client.login();
  server.inject({
    fault: faultNamed("kept connection reset, request served"),
    operation: (method) => method === "POST",
    count: 1,
  });
  const error = await assertRejects(
    () => client.createCluster("ceph"),
    DecapodConnectionError,
    "the change may have been applied",
  );
  assertEquals(error.outcomeUnknown, true);
  const { items } = await client.getClusters();
  assertEquals(items.map(({ data }) => data.name), ["ceph"]);
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

Deno.test("V1Client by default sends at most three requests per call to an unavailable server", async () => {
  const { failed, requests, text } = await storm(1000);
  note(`storm: ${text}`);
  assertEquals(failed, 1000);
  assert(requests <= 3000);
});

Deno.test("V1Client spreads the delays before retries evenly", async () => {
  const found = await waits(1000, 1);
  assertEquals(found.length, 1000);
  for (const from of [0, 50, 100, 150]) {
    const count = found.filter((wait) => wait >= from && wait < from + 50);
    assert(count.length > 150 && count.length < 350);
  }
  assert(found.every((wait) => wait < 200));
});
