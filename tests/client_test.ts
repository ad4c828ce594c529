/** Every method over a real socket: its request and its result. */

import { assertEquals, assertRejects } from "@std/assert";
import { V1Client, VERSION } from "../mod.ts";
import { makeWorld, OPERATIONS, toWire, wireRequests } from "./operations.ts";
import { PASSWORD, StandInServer, TestServer } from "./support/server.ts";
import { stubClient } from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";
import { backstage } from "./support/world.ts";

/** The methods of decapodlib for Python. */
const PYTHON = `
  login logout
  get_users get_user get_user_versions get_user_version get_user_self
  create_user update_user delete_user
  get_roles get_role get_role_versions get_role_version get_role_self
  create_role update_role delete_role
  get_clusters get_cluster get_cluster_versions get_cluster_version
  create_cluster update_cluster delete_cluster
  get_servers get_server get_server_versions get_server_version
  create_server put_server delete_server
  get_playbook_configurations get_playbook_configuration
  get_playbook_configuration_versions get_playbook_configuration_version
  create_playbook_configuration update_playbook_configuration
  delete_playbook_configuration
  get_executions get_execution get_execution_versions get_execution_version
  create_execution cancel_execution get_execution_steps get_execution_log
  get_permissions get_playbooks get_info
  request_password_reset peek_password_reset reset_password
  get_cinder_integration
`.trim().split(/\s+/);

/** Serves the world of the table; the client is logged in. */
async function openStage() {
  const server = new StandInServer();
  const client = server.client();
  const world = await makeWorld(client, PASSWORD, backstage(server.standIn));
  const { id: token } = await client.login();
  server.exchanges.length = 0;
  return {
    server,
    client,
    world,
    token,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

for (const operation of OPERATIONS) {
  const { name, requests: [request, second], verify } = operation;
  const symbol = name.replace(/^\w+/, "$&()");
  Deno.test(`${symbol} sends its requests and returns the response`, async () => {
    await using stage = await openStage();
    const { server, client, world, token } = stage;
    const { result, actual, expected } = await verify(client, world);
    assertEquals(
      server.exchanges.map((exchange) => toWire(exchange)),
      wireRequests(operation, world, token),
    );
    assertEquals(actual, expected);
    for (const { answer } of server.exchanges) {
      assertEquals(answer?.status, 200);
    }
    // The result of one request is its response, neither more nor less.
    const text = server.exchanges[0]?.answer?.text ?? "";
    if (second || request?.streamed || name === "logout") return;
    assertEquals(
      result,
      request?.response === "text" ? text : JSON.parse(text),
    );
  });
}

Deno.test("V1Client has every method of the Python library, and every method is tested", () => {
  const methods = Object.getOwnPropertyNames(V1Client.prototype)
    .filter((name) => name !== "constructor");
  const names = OPERATIONS.map(({ name }) => name.split(" ")[0]);
  assertEquals(PYTHON.length, 54);
  const missing = PYTHON.map(camelCase).filter((name) =>
    !methods.includes(name)
  );
  assertEquals(missing, []);
  assertEquals(methods.filter((name) => !names.includes(name)), []);
});

Deno.test("createUser() and others leave out of the request what the call leaves out", async () => {
  await using stage = await openStage();
  const { client, server: { exchanges }, world: { cluster, server } } = stage;
  await client.getUsers();
  await client.getUsers({ all: false });
  await client.getCinderIntegration(cluster.id);
  await client.getCinderIntegration(cluster.id, { root: "/\ud800&" });
  assertEquals(exchanges.map(({ query }) => query), [
    {},
    {},
    { root: "/etc/ceph" },
    { root: "/\ufffd&" },
  ]);
  exchanges.length = 0;
  const user = { login: "c", email: "c@example.com" };
  await client.createUser({ ...user, fullName: "C" });
  await client.createPlaybookConfiguration({
    name: "plain",
    clusterId: cluster.id,
    playbookId: "cluster_deploy",
    serverIds: [server.id],
  });
  assertEquals(exchanges.map(({ body }) => body), [
    { ...user, full_name: "C", role_id: null },
    {
      name: "plain",
      cluster_id: cluster.id,
      playbook_id: "cluster_deploy",
      server_ids: [server.id],
      hints: [],
      run: false,
    },
  ]);
});

Deno.test("getRoleSelf() keeps fields that a newer server adds", async () => {
  const role = { id: "r", color: "red", data: { state: "melting" } };
  const client = stubClient(() => Response.json(role));
  assertEquals<unknown>(await client.getRoleSelf(), role);
});

/** Endpoints, and the path that is requested. */
const ENDPOINTS: Record<string, string> = {
  "user/": "/v1/user/",
  user: "/v1/user/",
  "/user": "/v1/user/",
  "/v1/user/": "/v1/user/",
  "a/b-c_d.e~f/%C3%BC": "/v1/a/b-c_d.e~f/%C3%BC/",
};

Deno.test("request() sends a request below /v1/ with session, query, body and headers", async () => {
  await using server = new TestServer((_, { path }) =>
    Response.json(path === "/v1/auth/" ? { id: "token" } : { path })
  );
  const client = server.client();
  for (const [endpoint, path] of Object.entries(ENDPOINTS)) {
    assertEquals(await client.request("GET", endpoint), { path });
  }
  assertEquals(server.logins, 1);
  for (const method of ["POST", "PUT", "DELETE"] as const) {
    await client.request(method, "new/", {
      query: { a: "ü&", b: 1, c: false, d: undefined },
      body: { x: [1] },
      headers: { "x-trace": "1" },
      timeout: 5000,
    });
    const [exchange] = server.sent(method, "/v1/new/");
    assertEquals(exchange?.query, { a: "ü&", b: "1", c: "false" });
    assertEquals(exchange?.body, { x: [1] });
    assertEquals(exchange?.headers.get("authorization"), "token");
    assertEquals(exchange?.headers.get("x-trace"), "1");
  }
});

Deno.test("request() rejects an endpoint that leads elsewhere, and invalid options", async () => {
  const client = stubClient(() => {
    throw new Error("It was sent");
  });
  const endpoints = [
    ...["", "/", "/v1/", "../auth/", "user/../auth/", "user/./a"],
    ...["user/%2e%2E/auth", "user//a", "//evil.example/"],
    ...["https://evil.example/", "user/?a=b", "user/#a", "user\\a"],
    ...["us er", "üser", "%zz"],
  ];
  const get = (endpoint: unknown, options = {}) =>
    client.request("GET", untyped(endpoint), options);
  const calls: [part: string, call: () => Promise<unknown>][] = [
    ...endpoints.map((endpoint): [string, () => Promise<unknown>] => [
      "Invalid endpoint: must be",
      () => get(endpoint),
    ]),
    ["Invalid endpoint: ", () => get(5)],
    ["Invalid method: ", () => client.request(untyped("PATCH"), "user/")],
    ["Invalid method: ", () => client.request(untyped("get"), "user/")],
    ['Unknown option "params"', () => get("user/", { params: {} })],
    ...["a=b", new URLSearchParams({ a: "1" }), new Map([["a", 1]])].map(
      (query): [string, () => Promise<unknown>] => [
        "Invalid query: must be a plain object",
        () => get("user/", { query }),
      ],
    ),
    [
      "Invalid body: ",
      () => client.request("POST", "user/", { body: untyped("{}") }),
    ],
    ["Invalid options: ", () => get("user/", untyped(null))],
  ];
  for (const [part, call] of calls) await assertRejects(call, TypeError, part);
});

Deno.test("VERSION is the version in deno.json", async () => {
  const file = new URL("../deno.json", import.meta.url);
  const { version }: { version: string } = JSON.parse(
    await Deno.readTextFile(file),
  );
  assertEquals(VERSION, version);
});

/** `get_user_self` → `getUserSelf`. */
function camelCase(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
