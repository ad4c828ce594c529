/** A host that boots with the user-data becomes a server of Decapod's. */
import { assertEquals } from "@std/assert";
import { test } from "./cloud_config/discovery.ts";
import { ADDRESS, UUID } from "./cloud_config/host.ts";
import { DISCOVERY_TOKEN, StandInServer } from "./support/server.ts";

test("a host that boots appears in getServers()", async (make) => {
  await using server = new StandInServer();
  await using client = server.client();
  const before = await client.getServers({ all: true });
  using host = make(server.url, {
    serverDiscoveryToken: DISCOVERY_TOKEN,
    username: "deploy",
  });

  const { code, log } = await host.boot();
  assertEquals(code, 0, log);
  server.standIn.controller.discover();
  const { items } = await client.getServers({ all: true });
  assertEquals(items.length, before.items.length + 1);
  const found = items.find(({ id }) => id === UUID);
  assertEquals(found?.data.ip, ADDRESS);
  assertEquals(found?.data.username, "deploy");
  assertEquals(found?.data.state, "operational");

  // The next boot finds it there already.
  assertEquals((await host.boot()).code, 0);
  server.standIn.controller.discover();
  assertEquals(
    (await client.getServers({ all: true })).items.length,
    items.length,
  );
});

test("a wrong token makes no server", async (make) => {
  await using server = new StandInServer();
  await using client = server.client();
  const before = await client.getServers({ all: true });
  using host = make(server.url);
  const { code, log } = await host.boot();
  assertEquals(code, 6, log);
  const { items } = await client.getServers({ all: true });
  assertEquals(items, before.items);
});
