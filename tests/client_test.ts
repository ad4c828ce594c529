/** Every method over a real socket: its request and its result. */

import { assertEquals } from "@std/assert";
import { V1Client, VERSION } from "../mod.ts";
import {
  LOGIN,
  makeWorld,
  OPERATIONS,
  toWire,
  wireRequests,
} from "./operations.ts";
import { PASSWORD, StandInServer, TestServer } from "./support/server.ts";
import { stubClient } from "./support/stub.ts";
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

for (const operation of OPERATIONS) {
  const { name, requests, verify } = operation;
  const [{ session = false, response, streamed } = {}, second] = requests;
  const symbol = name.replace(/^\w+/, "$&()");
  const logsIn = session || name === "logout";
  Deno.test(`${symbol} ${session ? "logs in, " : ""}sends its requests and returns the response`, async () => {
    await using server = new StandInServer();
    const client = server.client();
    const world = await makeWorld(client, PASSWORD, backstage(server.standIn));
    server.exchanges.length = 0; // nobody is logged in
    if (name === "logout") await client.login();
    const { result, actual, expected } = await verify(client, world);
    assertEquals(
      server.exchanges.map((exchange) => toWire(exchange)),
      wireRequests(
        { ...operation, requests: [...logsIn ? [LOGIN] : [], ...requests] },
        world,
        server.token,
      ),
    );
    assertEquals(actual, expected);
    const answers = server.exchanges.map(({ answer }) => answer);
    for (const answer of answers) assertEquals(answer?.status, 200);
    // The result of one request is its response, neither more nor less.
    const text = answers.at(-1)?.text ?? "";
    if (second || streamed || name === "logout") return;
    assertEquals(result, response === "text" ? text : JSON.parse(text));
  });
}

Deno.test("V1Client has every method of the Python library, and every method is tested", () => {
  const methods = Object.getOwnPropertyNames(V1Client.prototype)
    .filter((name) => name !== "constructor");
  const names = OPERATIONS.map(({ name }) => name.split(" ")[0]);
  assertEquals(PYTHON.length, 54);
  const camelCase = (name: string) =>
    name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const missing = new Set(PYTHON.map(camelCase)).difference(new Set(methods));
  assertEquals([...missing], []);
  assertEquals(methods.filter((name) => !names.includes(name)), []);
});

Deno.test("createUser() and others send defaults for what the call leaves out", async () => {
  const sent: unknown[] = [];
  const client = stubClient((url, { body }) => {
    sent.push(body ? JSON.parse(String(body)) : new URL(url).search);
    return Response.json({ items: [], page: 1, per_page: 25, total: 0 });
  });
  await client.getUsers();
  await client.getUsers({ all: false });
  await client.getCinderIntegration("id");
  await client.getCinderIntegration("id", { root: "\ud800&" });
  await client.createUser({ login: "c", email: "e", fullName: "C" });
  const ids = { clusterId: "c", playbookId: "p", serverIds: ["s"] };
  await client.createPlaybookConfiguration({ name: "n", ...ids });
  assertEquals(sent, [
    ...["", "", "?root=%2Fetc%2Fceph", "?root=%EF%BF%BD%26"],
    { login: "c", email: "e", full_name: "C", role_id: null },
    {
      name: "n",
      cluster_id: "c",
      playbook_id: "p",
      server_ids: ["s"],
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

Deno.test("request() sends a request below /v1/ with session, query, body and headers", async () => {
  await using server = new TestServer(() => Response.json({ id: "token" }));
  const client = server.client();
  for (const endpoint of ["user/", "user", "/user", "/v1/user/"]) {
    await client.request("GET", endpoint);
  }
  assertEquals(server.logins, 1);
  assertEquals(server.sent("GET", "/v1/user/").length, 4);
  const encoded = "a/b-c_d.e~f/%C3%BC";
  for (const method of ["POST", "PUT", "DELETE"] as const) {
    await client.request(method, encoded, {
      query: { a: "ü&", b: 1, c: false, d: undefined },
      body: { x: [1] },
      headers: { "x-trace": "1" },
      timeout: 5000,
    });
    const [exchange] = server.sent(method, `/v1/${encoded}/`);
    assertEquals(exchange?.query, { a: "ü&", b: "1", c: "false" });
    assertEquals(exchange?.body, { x: [1] });
    assertEquals(exchange?.headers.get("authorization"), "token");
    assertEquals(exchange?.headers.get("x-trace"), "1");
  }
});

Deno.test("VERSION is the version in deno.json", async () => {
  const file = new URL("../deno.json", import.meta.url);
  assertEquals(JSON.parse(await Deno.readTextFile(file)).version, VERSION);
});
