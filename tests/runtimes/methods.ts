/** Each row of the table of operations, user-data and the environment. */
import { Client, generateCloudConfig } from "@decapod/decapodlib";
import { makeWorld, OPERATIONS, toWire, wireRequests } from "../operations.ts";
import { ACCOUNT, open } from "./clients.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  only,
  section,
  test,
  WITH_TLS,
} from "./kit.ts";

section("methods");

for (const operation of OPERATIONS) {
  const symbol = operation.name.replace(/^\w+/, "$&()");
  test(`${symbol} sends its requests and returns the response`, async (settings) => {
    const { server, client } = await open(settings);
    const world = await makeWorld(client, ACCOUNT.password, server.do);
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

test("generateCloudConfig() returns the same bytes on each runtime", ({ cloudConfig: { options, text } }) => {
  const isSame = generateCloudConfig(options) === text;
  assert(isSame, "Expected the same text");
});

only(...WITH_TLS);
test("fromEnv() reads the environment", (settings) => {
  assertEquals(Client.fromEnv().url, settings.servers);
});

only("workerd");
test("fromEnv() names the bindings where there is no environment", async () => {
  const bindings = /new Client\(env\.DECAPOD_URL, /;
  await assertRejects(() => Client.fromEnv(), TypeError, bindings);
});
