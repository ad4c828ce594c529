/** Each row of the table of operations, and calls that it cannot express. */
import type { Cluster } from "@decapod/decapodlib";
import { makeWorld, OPERATIONS, toWire, wireRequests } from "../operations.ts";
import { ACCOUNT, connect, open } from "./clients.ts";
import { assertEquals, openServer, section, test } from "./kit.ts";

section("methods");

for (const operation of OPERATIONS) {
  const symbol = operation.name.replace(/^\w+/, "$&()");
  test(`${symbol} sends its requests and returns the response`, async (settings) => {
    const { server, client } = await open(settings);
    const world = await makeWorld(
      client,
      ACCOUNT.password,
      (...args) => server.do(...args),
    );
    const { id: token } = await client.login();
    const { length } = await server.received();
    const { actual, expected } = await operation.verify(client, world);
    assertEquals(
      (await server.received()).slice(length).map(toWire),
      wireRequests(operation, world, token),
    );
    assertEquals(actual, expected);
  });
}

/** Editors of one cluster at the same time. */
const EDITORS = 8;
const EDITS = 10;

test(`editCluster() loses no edit of ${EDITORS} editors whose writes overlap`, async (settings) => {
  const server = await openServer(settings, { insertDuration: 2 });
  const { id } = await connect(server).createCluster("0");
  await Promise.all(Array.from({ length: EDITORS }, async () => {
    const client = connect(server);
    for (let edit = 0; edit < EDITS; edit++) {
      await client.editCluster(id, (data) => ({
        ...data,
        name: String(Number(data.name) + 1),
      }));
    }
  }));
  const { data, version } = await connect(server).getCluster(id);
  assertEquals(data.name, String(EDITORS * EDITS));
  assertEquals(version, EDITORS * EDITS + 1);
});

test("request() sends a body", async (settings) => {
  const client = connect(await openServer(settings));
  const body = { name: "ceph" };
  const { data } = await client.request<Cluster>("POST", "cluster/", { body });
  assertEquals(data.name, "ceph");
});
