/** A host that boots with the user-data becomes a server of Decapod. */
import { assertEquals } from "@std/assert";
import { test } from "./cloud_config/discovery.ts";
import { ADDRESS, UUID } from "./cloud_config/host.ts";
import { DISCOVERY_TOKEN, StandInServer } from "./support/server.ts";

test("adds the host to getServers()", async (make) => {
  await using server = new StandInServer();
  await using client = server.client();
  const before = await client.getServers({ all: true });
  using host = make(server.url, {
    serverDiscoveryToken: DISCOVERY_TOKEN,
    username: "deploy",
  });

  for (let boot = 1; boot <= 2; boot++) {
    const { code, output } = await host.boot();
    assertEquals(code, 0, output);
    server.standIn.controller.discover();
    const { items } = await client.getServers({ all: true });
    assertEquals(items.length, before.items.length + 1);
    const found = items.find(({ id }) => id === UUID);
    assertEquals(found?.data.ip, ADDRESS);
    assertEquals(found?.data.username, "deploy");
    assertEquals(found?.data.state, "operational");
  }
});

test("adds no server with a wrong token", async (make) => {
  await using server = new StandInServer();
  await using client = server.client();
  const before = await client.getServers({ all: true });
  using host = make(server.url);
  const { code, output } = await host.boot();
  assertEquals(code, 6, output);
  const { items } = await client.getServers({ all: true });
  assertEquals(items, before.items);
});
