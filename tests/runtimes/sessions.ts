/** Login, logout, and tokens that die. */
import {
  Client,
  type ClientOptions,
  DecapodAPIError,
  DecapodError,
} from "@decapod/decapodlib";
import {
  assert,
  assertEquals,
  assertRejects,
  openServer,
  section,
  type Server,
  test,
} from "./kit.ts";

const ACCOUNT = { login: "root", password: "root" };
const LOGIN = "POST /v1/auth/";

/** A client for a server of this suite. */
export function connect(
  server: Server,
  options: Partial<ClientOptions> = {},
): Client {
  return new Client(server.url, { ...ACCOUNT, ...options });
}

section("login");

test("many calls at once log in once", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  assertEquals((await server.requests()).length, 0);
  await Promise.all(
    Array.from({ length: 10 }, () => client.getUserSelf()),
  );
  const requests = await server.requests();
  assertEquals(requests.filter((one) => one === LOGIN).length, 1);
  assertEquals(requests.length, 11);
});

test("a failed login fails who waited and is forgotten", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server, { password: "changed" });
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

test("who aborts stops waiting, the login goes on", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  const controller = new AbortController();
  const reason = new Error("enough");
  const first = client.getUserSelf({ signal: controller.signal });
  const second = client.getUserSelf();
  controller.abort(reason);
  assert(
    await first.catch((error) => error) === reason,
    "Expected the signal's reason",
  );
  assertEquals((await second).data.login, "root");
});

test("logout ends the session, and the next call opens another", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  await client.logout();
  assertEquals(await server.requests(), []);
  await client.login();
  await client.logout();
  await client.getUserSelf();
  assertEquals(await server.requests(), [
    LOGIN,
    "DELETE /v1/auth/",
    LOGIN,
    "GET /v1/user/self/",
  ]);
});

test("logout rejects who waits for the login", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  const waiting = client.getUserSelf();
  waiting.catch(() => {});
  await client.logout();
  await assertRejects(() => waiting, DecapodError, /logout/);
});

test("disposing logs out and never throws", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  await client.login();
  await client[Symbol.asyncDispose]();
  assertEquals(await server.requests(), [LOGIN, "DELETE /v1/auth/"]);
  const lost = new Client(`${settings.faults}/close`, {
    ...ACCOUNT,
    retries: 0,
  });
  await lost.login().catch(() => {});
  await lost[Symbol.asyncDispose]();
});

test("fromEnv reads the environment", (settings) => {
  assertEquals(Client.fromEnv().url, settings.servers);
}, ["bun", "deno", "node"]);

test("fromEnv without an environment says what is missing", async () => {
  await assertRejects(() => Client.fromEnv(), TypeError, /set DECAPOD_URL/);
}, ["workerd"]);

section("401");

test("a dead token is replaced, whatever the method", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
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

test("calls with the same dead token log in once", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  await client.login();
  await server.do("revokeTokens");
  await Promise.all(Array.from({ length: 5 }, () => client.getUserSelf()));
  const requests = await server.requests();
  assertEquals(requests.filter((one) => one === LOGIN).length, 2);
});

test("a second 401 is the caller's", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  await client.login();
  const refusal = { status: 401, method: "GET" };
  await server.answerWith(refusal, refusal);
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
