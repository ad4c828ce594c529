/** Logins and tokens that are refused. */
import { Client, DecapodAPIError } from "@decapod/decapodlib";
import { open } from "./clients.ts";
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  only,
  rejection,
  section,
  test,
  WITH_TLS,
} from "./kit.ts";

const LOGIN = "POST /v1/auth/";

section("login");

test("login() happens once for many calls at once", async (settings) => {
  const { server, client } = await open(settings);
  assertEquals((await server.requests()).length, 0);
  await Promise.all(
    Array.from({ length: 10 }, () => client.getUserSelf()),
  );
  const requests = await server.requests();
  assertEquals(requests.filter((one) => one === LOGIN).length, 1);
  assertEquals(requests.length, 11);
});

test("login() that fails rejects all calls that wait and is forgotten", async (settings) => {
  const { server, client } = await open(settings, {
    client: { password: "changed" },
  });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 3 }, () => client.getUserSelf()),
  );
  for (const outcome of outcomes) {
    assert(
      outcome.status === "rejected" &&
        outcome.reason instanceof DecapodAPIError &&
        outcome.reason.code === 401,
      `Expected a refused login, got ${JSON.stringify(outcome)}`,
    );
  }
  assertEquals(await server.requests(), [LOGIN]);
  await server.do("setPassword", "root", "changed");
  assertEquals((await client.getUserSelf()).data.login, "root");
});

test("login() continues for others if the call that began it aborts", async (settings) => {
  const { server, client } = await open(settings);
  const controller = new AbortController();
  const reason = new Error("enough");
  const first = client.getUserSelf({ signal: controller.signal });
  const second = client.getUserSelf();
  controller.abort(reason);
  assert(
    await rejection(() => first) === reason,
    "Expected the signal's reason",
  );
  assertEquals((await second).data.login, "root");
  assertEquals(await server.requests(), [LOGIN, "GET /v1/user/self/"]);
});

test("login() that another call began delays a call by half its timeout", async (settings) => {
  const { server, client } = await open(settings);
  await server.respondWith({ isHeld: true });
  const first = client.getUserSelf();
  await server.held();
  const second = await client.getUserSelf({ timeout: 1000 });
  assertEquals(second.data.login, "root");
  await server.release();
  assertEquals((await first).data.login, "root");
});

only(...WITH_TLS);
test("fromEnv() reads the environment", (settings) => {
  assertEquals(Client.fromEnv().url, settings.servers);
});

only("workerd");
test("fromEnv() names the bindings where there is no environment", async () => {
  const error = await assertRejects(() => Client.fromEnv(), TypeError);
  assertMatch(error.message, /new Client\(env\.DECAPOD_URL, /);
});

section("401");

test("V1Auth replaces a refused token, whatever the method", async (settings) => {
  const { server, client } = await open(settings);
  await client.login();
  await server.do("revokeTokens");
  await client.createCluster("one");
  await server.do("revokeTokens");
  assertEquals((await client.getClusters()).total, 1);
  assertEquals(await server.requests(), [
    LOGIN,
    ...["POST /v1/cluster/", LOGIN, "POST /v1/cluster/"],
    ...["GET /v1/cluster/", LOGIN, "GET /v1/cluster/"],
  ]);
});

test("V1Auth logs in once for calls with the same refused token", async (settings) => {
  const { server, client } = await open(settings);
  await client.login();
  await server.do("revokeTokens");
  await Promise.all(Array.from({ length: 5 }, () => client.getUserSelf()));
  const requests = await server.requests();
  assertEquals(requests.filter((one) => one === LOGIN).length, 2);
});

test("V1Auth leaves a second 401 to the caller", async (settings) => {
  const { server, client } = await open(settings);
  await client.login();
  const refusal = { status: 401, method: "GET" };
  await server.respondWith(refusal, refusal);
  const error = await assertRejects(
    () => client.getUserSelf(),
    DecapodAPIError,
  );
  assertEquals(error.code, 401);
  assertEquals((await server.requests()).slice(1), [
    "GET /v1/user/self/",
    LOGIN,
    "GET /v1/user/self/",
  ]);
});
