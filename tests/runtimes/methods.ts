/** Each method of the client once, with the request that it sends. */
import { Client, type Cluster } from "@decapod/decapodlib";
import {
  assert,
  assertEquals,
  openServer,
  section,
  type Server,
  test,
} from "./kit.ts";
import { connect } from "./sessions.ts";

section("methods");

/** Makes a call and checks which request the server received for it. */
type Check = <T>(
  method: keyof Client,
  request: string,
  call: () => PromiseLike<T>,
) => Promise<T>;

const called = new Set<PropertyKey>();

function checker(server: Server): Check {
  const received = async () =>
    (await server.requests()).filter((one) => !one.endsWith("/v1/auth/"));
  return async (method, request, call) => {
    called.add(method);
    const { length } = await received();
    const result = await call();
    const requests = await received();
    assertEquals(requests.slice(length), [request]);
    return result;
  };
}

const ONCE = { headers: { "x-once": "1" } };
const NONE = "11111111-1111-4111-8111-111111111111";

test("Client requests users and roles", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  const check = checker(server);
  const groups = await check(
    "getPermissions",
    "GET /v1/permission/",
    () => client.getPermissions(ONCE),
  );
  const made = await check(
    "createRole",
    "POST /v1/role/",
    () => client.createRole("guests", groups.items),
  );
  const role = `/v1/role/${made.id}/`;
  made.data.name = "visitors";
  await check("updateRole", `PUT ${role}`, () => client.updateRole(made));
  await check("getRole", `GET ${role}`, () => client.getRole(made.id));
  await check("getRoles", "GET /v1/role/", () => client.getRoles());
  await check(
    "getRoleVersions",
    `GET ${role}version/`,
    () => client.getRoleVersions(made.id),
  );
  await check(
    "getRoleVersion",
    `GET ${role}version/1/`,
    () => client.getRoleVersion(made.id, 1),
  );
  await check(
    "getRoleSelf",
    "GET /v1/role/self/",
    () => client.getRoleSelf(),
  );
  const user = await check(
    "createUser",
    "POST /v1/user/",
    () =>
      client.createUser({
        login: "guest",
        email: "guest@example.com",
        fullName: "A guest, größer als 1 €",
        roleId: made.id,
      }),
  );
  assertEquals(user.data.full_name, "A guest, größer als 1 €");
  const path = `/v1/user/${user.id}/`;
  await check("getUser", `GET ${path}`, () => client.getUser(user.id));
  await check("getUsers", "GET /v1/user/", () => client.getUsers());
  await check("getUserSelf", "GET /v1/user/self/", () => client.getUserSelf());
  await check("updateUser", `PUT ${path}`, () => client.updateUser(user));
  await check(
    "getUserVersions",
    `GET ${path}version/`,
    () => client.getUserVersions(user.id),
  );
  await check(
    "getUserVersion",
    `GET ${path}version/2/`,
    () => client.getUserVersion(user.id, 2),
  );
  await check("deleteUser", `DELETE ${path}`, () => client.deleteUser(user.id));
  await check("deleteRole", `DELETE ${role}`, () => client.deleteRole(made.id));
});

test("Client requests clusters and servers", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  const check = checker(server);
  const cluster = await check(
    "createCluster",
    "POST /v1/cluster/",
    () => client.createCluster("ceph"),
  );
  const path = `/v1/cluster/${cluster.id}/`;
  cluster.data.name = "renamed";
  await check(
    "updateCluster",
    `PUT ${path}`,
    () => client.updateCluster(cluster),
  );
  await check("getCluster", `GET ${path}`, () => client.getCluster(cluster.id));
  await check("getClusters", "GET /v1/cluster/", () => client.getClusters());
  await check(
    "getClusterVersions",
    `GET ${path}version/`,
    () => client.getClusterVersions(cluster.id),
  );
  await check(
    "getClusterVersion",
    `GET ${path}version/1/`,
    () => client.getClusterVersion(cluster.id, 1),
  );
  await server.do("setCinder", cluster.id, {
    config: "[global]",
    keyrings: {},
  });
  await check(
    "getCinderIntegration",
    `GET /v1/cinder_integration/${cluster.id}/`,
    () => client.getCinderIntegration(cluster.id, { root: "/etc" }),
  );
  await check(
    "deleteCluster",
    `DELETE ${path}`,
    () => client.deleteCluster(cluster.id),
  );
  await check(
    "createServer",
    "POST /v1/server/",
    () =>
      client.createServer({
        serverId: NONE,
        host: "10.9.9.9",
        username: "ansible",
      }),
  );
  const { items: [found] } = await check(
    "getServers",
    "GET /v1/server/",
    () => client.getServers({ filter: { model_id: NONE } }),
  );
  assert(found?.id === NONE, "Expected the new server");
  const one = `/v1/server/${NONE}/`;
  await check("getServer", `GET ${one}`, () => client.getServer(NONE));
  await check("putServer", `PUT ${one}`, () => client.putServer(found));
  await check(
    "getServerVersions",
    `GET ${one}version/`,
    () => client.getServerVersions(NONE),
  );
  await check(
    "getServerVersion",
    `GET ${one}version/1/`,
    () => client.getServerVersion(NONE, 1),
  );
  await check("deleteServer", `DELETE ${one}`, () => client.deleteServer(NONE));
});

test("Client requests playbooks and executions", async (settings) => {
  const server = await openServer(settings, { pace: 20 });
  const client = connect(server);
  const cluster = await client.createCluster("ceph");
  const { items: servers } = await client.getServers({ perPage: 2 });
  // A configuration that was executed may stay locked.
  const unused = await client.createPlaybookConfiguration({
    name: "unused",
    clusterId: cluster.id,
    playbookId: "cluster_deploy",
    serverIds: servers.map(({ id }) => id),
  });
  const check = checker(server);
  await check("getInfo", "GET /v1/info/", () => client.getInfo());
  const { items } = await check(
    "getPlaybooks",
    "GET /v1/playbook/",
    () => client.getPlaybooks(),
  );
  assert(items.some(({ id }) => id === "cluster_deploy"), "Expected playbooks");
  const configuration = await check(
    "createPlaybookConfiguration",
    "POST /v1/playbook_configuration/",
    () =>
      client.createPlaybookConfiguration({
        name: "hello",
        clusterId: cluster.id,
        playbookId: "cluster_deploy",
        serverIds: servers.map(({ id }) => id),
      }),
  );
  const { id } = configuration;
  const path = `/v1/playbook_configuration/${id}/`;
  configuration.data.name = "hello again";
  await check(
    "updatePlaybookConfiguration",
    `PUT ${path}`,
    () => client.updatePlaybookConfiguration(configuration),
  );
  await check(
    "getPlaybookConfiguration",
    `GET ${path}`,
    () => client.getPlaybookConfiguration(id),
  );
  await check(
    "getPlaybookConfigurations",
    "GET /v1/playbook_configuration/",
    () => client.getPlaybookConfigurations(),
  );
  await check(
    "getPlaybookConfigurationVersions",
    `GET ${path}version/`,
    () => client.getPlaybookConfigurationVersions(id),
  );
  await check(
    "getPlaybookConfigurationVersion",
    `GET ${path}version/1/`,
    () => client.getPlaybookConfigurationVersion(id, 1),
  );
  const execution = await check(
    "createExecution",
    "POST /v1/execution/",
    () => client.createExecution(id, 2),
  );
  const one = `/v1/execution/${execution.id}/`;
  await check(
    "getExecution",
    `GET ${one}`,
    () => client.getExecution(execution.id),
  );
  await check(
    "getExecutions",
    "GET /v1/execution/",
    () => client.getExecutions(),
  );
  await check(
    "getExecutionVersions",
    `GET ${one}version/`,
    () => client.getExecutionVersions(execution.id),
  );
  await check(
    "getExecutionVersion",
    `GET ${one}version/1/`,
    () => client.getExecutionVersion(execution.id, 1),
  );
  await check(
    "getExecutionSteps",
    `GET ${one}steps/`,
    () => client.getExecutionSteps(execution.id),
  );
  await server.do("setLog", execution.id, "PLAY [all]\n");
  await check(
    "getExecutionLog",
    `GET ${one}log/`,
    () => client.getExecutionLog(execution.id),
  );
  await check(
    "cancelExecution",
    `DELETE ${one}`,
    () => client.cancelExecution(execution.id),
  );
  await client.waitForExecution(execution.id, {
    expect: ["canceled", "completed", "failed"],
    interval: 20,
  });
  await check(
    "deletePlaybookConfiguration",
    `DELETE /v1/playbook_configuration/${unused.id}/`,
    () => client.deletePlaybookConfiguration(unused.id),
  );
});

test("Client resets a password", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  const check = checker(server);
  await check(
    "requestPasswordReset",
    "POST /v1/password_reset/",
    () => client.requestPasswordReset("root"),
  );
  const [{ resetToken: token } = { resetToken: "" }] = await server.do<
    { resetToken: string }[]
  >("mails");
  const path = `/v1/password_reset/${token}/`;
  await check(
    "peekPasswordReset",
    `GET ${path}`,
    () => client.peekPasswordReset(token),
  );
  await check(
    "resetPassword",
    `POST ${path}`,
    () => client.resetPassword(token, "another"),
  );
  const again = connect(server, { password: "another" });
  assertEquals((await again.getUserSelf()).data.login, "root");
});

test("Client edits with a read and a write", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  const role = await client.createRole("guests", []);
  const user = await client.createUser({
    login: "guest",
    email: "guest@example.com",
    fullName: "Guest",
  });
  const cluster = await client.createCluster("ceph");
  const { items: [host] } = await client.getServers({ perPage: 1 });
  assert(host, "Expected a server");
  const configuration = await client.createPlaybookConfiguration({
    name: "hello",
    clusterId: cluster.id,
    playbookId: "cluster_deploy",
    serverIds: [host.id],
  });
  const edits: [keyof Client, string, () => Promise<{ version: number }>][] = [
    [
      "editUser",
      `user/${user.id}`,
      () =>
        client.editUser(user.id, (data) => ({ ...data, full_name: "Visitor" })),
    ],
    [
      "editRole",
      `role/${role.id}`,
      () => client.editRole(role.id, (data) => ({ ...data, name: "visitors" })),
    ],
    [
      "editCluster",
      `cluster/${cluster.id}`,
      () =>
        client.editCluster(cluster.id, (data) => ({ ...data, name: "two" })),
    ],
    [
      "editServer",
      `server/${host.id}`,
      () => client.editServer(host.id, (data) => ({ ...data, name: "osd-1" })),
    ],
    [
      "editPlaybookConfiguration",
      `playbook_configuration/${configuration.id}`,
      () =>
        client.editPlaybookConfiguration(
          configuration.id,
          (data) => ({ ...data, name: "hello again" }),
        ),
    ],
  ];
  for (const [method, path, edit] of edits) {
    called.add(method);
    const before = (await server.requests()).length;
    assertEquals((await edit()).version, 2);
    assertEquals((await server.requests()).slice(before), [
      `GET /v1/${path}/`,
      `PUT /v1/${path}/`,
    ]);
  }
});

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

test("Client requests other endpoints", async (settings) => {
  const server = await openServer(settings);
  const client = connect(server);
  const check = checker(server);
  const cluster = await check(
    "request",
    "POST /v1/cluster/",
    () =>
      client.request<Cluster>("POST", "cluster/", {
        body: { name: "ceph" },
      }),
  );
  assertEquals(cluster.data.name, "ceph");
});

test("Client has no method that the suite leaves out", () => {
  /** Methods with other tests. */
  const elsewhere = [
    "constructor",
    "login",
    "logout",
    "streamExecutionLog",
    "followExecution",
    "waitForExecution",
  ];
  const missing = Object.getOwnPropertyNames(Client.prototype)
    .filter((name) => !called.has(name) && !elsewhere.includes(name));
  assertEquals(missing, []);
});
