/** Every method over a real socket: its request and its result. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertMatch,
  assertRejects,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodResponseError,
  type JsonValue,
  V1Client,
  VERSION,
} from "../mod.ts";
import { chance } from "./support/patch.ts";
import {
  apiError,
  PASSWORD,
  StandInServer,
  TestServer,
} from "./support/server.ts";
import { untyped } from "./support/untyped.ts";

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

/** Creates one model of each kind, and a client that is logged in. */
async function setStage(server: StandInServer) {
  const { standIn, clock } = server;
  const client = server.client();
  const user = await client.createUser({
    login: "ann",
    email: "ann@example.com",
    fullName: "Ann Example",
  });
  const role = await client.createRole("viewer", [
    { name: "api", permissions: ["view_user"] },
  ]);
  const cluster = await client.createCluster("ceph");
  const [node] = (await client.getServers()).items;
  assert(node);
  const configuration = await client.createPlaybookConfiguration({
    name: "deploy",
    clusterId: cluster.id,
    playbookId: "cluster_deploy",
    serverIds: [node.id],
  });
  standIn.seedExecution({ servers: 1, steps: 2, duration: 1000 });
  clock.advance(2000);
  const [execution] = (await client.getExecutions()).items;
  assert(execution);
  standIn.setLog(execution.id, "ok: [10.0.0.1]\nfür alle\n");
  standIn.setCinder(cluster.id, {
    config: "[global]\n",
    keyrings: { "ceph.client.volumes.keyring": "[client.volumes]\n" },
  });
  await client.requestPasswordReset("ann");
  const resetToken = standIn.mails.at(-1)?.resetToken ?? "";
  const { token } = server;
  server.exchanges.length = 0;
  const models = { user, role, cluster, node, configuration, execution };
  return { client, server, token, resetToken, ...models };
}

type Stage = Awaited<ReturnType<typeof setStage>>;

/** What a method sends. */
interface Sent {
  method: string;
  /** Without `/v1`. */
  path: string;
  query?: Record<string, string>;
  body?: JsonValue;
  /** Whether the session's token is sent. Defaults to true. */
  token?: false;
  accept?: string;
}

/** A method, its request and its result. */
interface Row {
  python: string;
  run(stage: Stage): Promise<unknown>;
  sends(stage: Stage): Sent;
}

/** One line of the table. */
function row<T>(
  python: string,
  call: (stage: Stage) => PromiseLike<T>,
  sends: (stage: Stage) => Sent,
  check: (result: T, stage: Stage) => void,
): Row {
  return {
    python,
    sends,
    async run(stage) {
      const result = await call(stage);
      check(result, stage);
      return result;
    },
  };
}

const get = (path: string): Sent => ({ method: "GET", path });

/** The plain JSON of a model. */
function plain(model: object): JsonValue {
  return JSON.parse(JSON.stringify(model));
}

const ROWS: Row[] = [
  row(
    "login",
    ({ client }) => client.login(),
    () => ({
      method: "POST",
      path: "/auth/",
      body: { username: "root", password: PASSWORD },
      token: false,
    }),
    (token, { server }) => {
      assertEquals(token.id, server.token);
      assertEquals(token.data.user.data.login, "root");
      assertGreater(token.data.expires_at, server.clock.now() / 1000);
    },
  ),
  row(
    "logout",
    ({ client }) => client.logout(),
    () => ({ method: "DELETE", path: "/auth/" }),
    (nothing) => assertEquals(nothing, undefined),
  ),

  row(
    "get_users",
    ({ client }) =>
      client.getUsers({
        page: 1,
        perPage: 2,
        filter: { login: { in: ["root", "ann"] } },
        sortBy: { login: 1, time_created: -1 },
      }),
    () => ({
      ...get("/user/"),
      query: {
        page: "1",
        per_page: "2",
        filter: '{"login":{"in":["root","ann"]}}',
        sort_by: '{"login":1,"time_created":-1}',
      },
    }),
    ({ items, page, per_page, total }) => {
      assertEquals(items.map(({ data }) => data.login), ["ann", "root"]);
      assertEquals([page, per_page, total], [1, 2, 2]);
    },
  ),
  row(
    "get_user",
    ({ client, user }) => client.getUser(user.id),
    ({ user }) => get(`/user/${user.id}/`),
    (result, { user }) => assertEquals(result, user),
  ),
  row(
    "get_user_versions",
    ({ client, user }) => client.getUserVersions(user.id, { page: 1 }),
    ({ user }) => ({
      ...get(`/user/${user.id}/version/`),
      query: { page: "1" },
    }),
    ({ items, total }, { user }) => {
      assertEquals(items, [user]);
      assertEquals(total, 1);
    },
  ),
  row(
    "get_user_version",
    ({ client, user }) => client.getUserVersion(user.id, 1),
    ({ user }) => get(`/user/${user.id}/version/1/`),
    (result, { user }) => assertEquals(result, user),
  ),
  row(
    "get_user_self",
    ({ client }) => client.getUserSelf(),
    () => get("/user/self/"),
    ({ data }) => assertEquals(data.login, "root"),
  ),
  row(
    "create_user",
    ({ client, role }) =>
      client.createUser({
        login: "bob",
        email: "bob@example.com",
        fullName: "Bób",
        roleId: role.id,
      }),
    ({ role }) => ({
      method: "POST",
      path: "/user/",
      body: {
        login: "bob",
        email: "bob@example.com",
        full_name: "Bób",
        role_id: role.id,
      },
    }),
    ({ data, version }, { role }) => {
      assertEquals([data.full_name, data.role_id], ["Bób", role.id]);
      assertEquals(version, 1);
    },
  ),
  row(
    "update_user",
    ({ client, user }) =>
      client.updateUser({
        ...user,
        data: { ...user.data, full_name: "Ann Other" },
      }),
    ({ user }) => ({
      method: "PUT",
      path: `/user/${user.id}/`,
      body: plain({ ...user, data: { ...user.data, full_name: "Ann Other" } }),
    }),
    ({ data, version }) => {
      assertEquals([data.full_name, version], ["Ann Other", 2]);
    },
  ),
  row(
    "delete_user",
    ({ client, user }) => client.deleteUser(user.id),
    ({ user }) => ({ method: "DELETE", path: `/user/${user.id}/` }),
    ({ time_deleted, id }, { user }) => {
      assertGreater(time_deleted, 0);
      assertEquals(id, user.id);
    },
  ),

  row(
    "get_roles",
    ({ client }) => client.getRoles({ filter: { name: { ne: "admin" } } }),
    () => ({
      ...get("/role/"),
      query: { filter: '{"name":{"ne":"admin"}}' },
    }),
    ({ items }, { role }) => assert(items.some(({ id }) => id === role.id)),
  ),
  row(
    "get_role",
    ({ client, role }) => client.getRole(role.id),
    ({ role }) => get(`/role/${role.id}/`),
    (result, { role }) => assertEquals(result, role),
  ),
  row(
    "get_role_versions",
    ({ client, role }) => client.getRoleVersions(role.id, { all: true }),
    ({ role }) => ({
      ...get(`/role/${role.id}/version/`),
      query: { all: "1" },
    }),
    ({ items }, { role }) => assertEquals(items, [role]),
  ),
  row(
    "get_role_version",
    ({ client, role }) => client.getRoleVersion(role.id, 1),
    ({ role }) => get(`/role/${role.id}/version/1/`),
    (result, { role }) => assertEquals(result, role),
  ),
  row(
    "get_role_self",
    ({ client }) => client.getRoleSelf(),
    () => get("/role/self/"),
    ({ data }) => {
      const classes = data.permissions.map(({ name }) => name);
      assertEquals(classes.toSorted(), ["api", "playbook"]);
    },
  ),
  row(
    "create_role",
    ({ client }) =>
      client.createRole("operator", [
        { name: "playbook", permissions: ["cluster_deploy"] },
      ]),
    () => ({
      method: "POST",
      path: "/role/",
      body: {
        name: "operator",
        permissions: [{ name: "playbook", permissions: ["cluster_deploy"] }],
      },
    }),
    ({ data, model }) => assertEquals([model, data.name], ["role", "operator"]),
  ),
  row(
    "update_role",
    ({ client, role }) =>
      client.updateRole({ ...role, data: { ...role.data, name: "reader" } }),
    ({ role }) => ({
      method: "PUT",
      path: `/role/${role.id}/`,
      body: plain({ ...role, data: { ...role.data, name: "reader" } }),
    }),
    ({ data, version }) => assertEquals([data.name, version], ["reader", 2]),
  ),
  row(
    "delete_role",
    ({ client, role }) => client.deleteRole(role.id),
    ({ role }) => ({ method: "DELETE", path: `/role/${role.id}/` }),
    ({ time_deleted }) => assertGreater(time_deleted, 0),
  ),

  row(
    "get_clusters",
    ({ client }) => client.getClusters({ sortBy: { _id: 1 }, perPage: 1 }),
    () => ({
      ...get("/cluster/"),
      query: { per_page: "1", sort_by: '{"_id":1}' },
    }),
    ({ items, per_page }, { cluster }) => {
      assertEquals(items, [cluster]);
      assertEquals(per_page, 1);
    },
  ),
  row(
    "get_cluster",
    ({ client, cluster }) => client.getCluster(cluster.id),
    ({ cluster }) => get(`/cluster/${cluster.id}/`),
    (result, { cluster }) => assertEquals(result, cluster),
  ),
  row(
    "get_cluster_versions",
    ({ client, cluster }) => client.getClusterVersions(cluster.id),
    ({ cluster }) => get(`/cluster/${cluster.id}/version/`),
    ({ items }, { cluster }) => assertEquals(items, [cluster]),
  ),
  row(
    "get_cluster_version",
    ({ client, cluster }) => client.getClusterVersion(cluster.id, 1),
    ({ cluster }) => get(`/cluster/${cluster.id}/version/1/`),
    (result, { cluster }) => assertEquals(result, cluster),
  ),
  row(
    "create_cluster",
    ({ client }) => client.createCluster("other"),
    () => ({ method: "POST", path: "/cluster/", body: { name: "other" } }),
    ({ data }) => assertEquals(data, { name: "other", configuration: {} }),
  ),
  row(
    "update_cluster",
    ({ client, cluster }) =>
      client.updateCluster({
        ...cluster,
        data: { ...cluster.data, name: "renamed" },
      }),
    ({ cluster }) => ({
      method: "PUT",
      path: `/cluster/${cluster.id}/`,
      body: plain({ ...cluster, data: { ...cluster.data, name: "renamed" } }),
    }),
    ({ data, version }) => assertEquals([data.name, version], ["renamed", 2]),
  ),
  row(
    "delete_cluster",
    ({ client, cluster }) => client.deleteCluster(cluster.id),
    ({ cluster }) => ({ method: "DELETE", path: `/cluster/${cluster.id}/` }),
    ({ time_deleted }) => assertGreater(time_deleted, 0),
  ),

  row(
    "get_servers",
    ({ client }) =>
      client.getServers({
        perPage: 2,
        page: 2,
        filter: {
          state: "operational",
          "facts.ansible_memtotal_mb": { gt: 1 },
        },
      }),
    () => ({
      ...get("/server/"),
      query: {
        page: "2",
        per_page: "2",
        filter: '{"state":"operational","facts.ansible_memtotal_mb":{"gt":1}}',
      },
    }),
    ({ items, page, total }) => {
      assertEquals([items.length, page, total], [2, 2, 6]);
      for (const { data } of items) assertEquals(data.state, "operational");
    },
  ),
  row(
    "get_server",
    ({ client, node }) => client.getServer(node.id),
    ({ node }) => get(`/server/${node.id}/`),
    (result, { node }) => assertEquals(result, node),
  ),
  row(
    "get_server_versions",
    ({ client, node }) => client.getServerVersions(node.id, { perPage: 7 }),
    ({ node }) => ({
      ...get(`/server/${node.id}/version/`),
      query: { per_page: "7" },
    }),
    ({ items, per_page }, { node }) => {
      assertEquals(items, [node]);
      assertEquals(per_page, 7);
    },
  ),
  row(
    "get_server_version",
    ({ client, node }) => client.getServerVersion(node.id, 1),
    ({ node }) => get(`/server/${node.id}/version/1/`),
    (result, { node }) => assertEquals(result, node),
  ),
  row(
    "create_server",
    ({ client }) =>
      client.createServer({
        serverId: "44454C4C-4200-1051-8048-B7C04F4C4D31",
        host: "10.0.0.99",
        username: "ansible",
      }),
    () => ({
      method: "POST",
      path: "/server/",
      body: {
        id: "44454C4C-4200-1051-8048-B7C04F4C4D31",
        host: "10.0.0.99",
        username: "ansible",
      },
    }),
    (result) => assertEquals(result, {}),
  ),
  row(
    "put_server",
    ({ client, node }) =>
      client.putServer({ ...node, data: { ...node.data, name: "node" } }),
    ({ node }) => ({
      method: "PUT",
      path: `/server/${node.id}/`,
      body: plain({ ...node, data: { ...node.data, name: "node" } }),
    }),
    ({ data, version }) => assertEquals([data.name, version], ["node", 2]),
  ),
  row(
    "delete_server",
    ({ client, node }) => client.deleteServer(node.id),
    ({ node }) => ({ method: "DELETE", path: `/server/${node.id}/` }),
    ({ time_deleted }) => assertGreater(time_deleted, 0),
  ),

  row(
    "get_playbook_configurations",
    ({ client, cluster }) =>
      client.getPlaybookConfigurations({ filter: { cluster_id: cluster.id } }),
    ({ cluster }) => ({
      ...get("/playbook_configuration/"),
      query: { filter: `{"cluster_id":"${cluster.id}"}` },
    }),
    ({ items }, { configuration }) => {
      assertEquals(items.map(({ id }) => id), [configuration.id]);
    },
  ),
  row(
    "get_playbook_configuration",
    ({ client, configuration }) =>
      client.getPlaybookConfiguration(configuration.id),
    ({ configuration }) => get(`/playbook_configuration/${configuration.id}/`),
    ({ data }, { configuration }) => {
      assertEquals(data.configuration, configuration.data.configuration);
    },
  ),
  row(
    "get_playbook_configuration_versions",
    ({ client, configuration }) =>
      client.getPlaybookConfigurationVersions(configuration.id),
    ({ configuration }) =>
      get(`/playbook_configuration/${configuration.id}/version/`),
    ({ items }) => assertEquals(items.map(({ version }) => version), [1]),
  ),
  row(
    "get_playbook_configuration_version",
    ({ client, configuration }) =>
      client.getPlaybookConfigurationVersion(configuration.id, 1),
    ({ configuration }) =>
      get(`/playbook_configuration/${configuration.id}/version/1/`),
    ({ version, data }) => assertEquals([version, data.name], [1, "deploy"]),
  ),
  row(
    "create_playbook_configuration",
    ({ client, cluster, node }) =>
      client.createPlaybookConfiguration({
        name: "again",
        clusterId: cluster.id,
        playbookId: "cluster_deploy",
        serverIds: [node.id, node.id],
        hints: [{ id: "mon_count", value: 1 }],
        runAfter: true,
      }),
    ({ cluster, node }) => ({
      method: "POST",
      path: "/playbook_configuration/",
      body: {
        name: "again",
        cluster_id: cluster.id,
        playbook_id: "cluster_deploy",
        server_ids: [node.id],
        hints: [{ id: "mon_count", value: 1 }],
        run: true,
      },
    }),
    ({ data }) =>
      assertMatch(data.created_execution_id ?? "", /^[\da-f-]{36}$/),
  ),
  row(
    "update_playbook_configuration",
    ({ client, configuration }) => {
      const { created_execution_id: _, ...data } = configuration.data;
      return client.updatePlaybookConfiguration({
        ...configuration,
        data: { ...data, name: "renamed" },
      });
    },
    ({ configuration }) => {
      const { created_execution_id: _, ...data } = configuration.data;
      return {
        method: "PUT",
        path: `/playbook_configuration/${configuration.id}/`,
        body: plain({ ...configuration, data: { ...data, name: "renamed" } }),
      };
    },
    ({ data, version }) => assertEquals([data.name, version], ["renamed", 2]),
  ),
  row(
    "delete_playbook_configuration",
    ({ client, configuration }) =>
      client.deletePlaybookConfiguration(configuration.id),
    ({ configuration }) => ({
      method: "DELETE",
      path: `/playbook_configuration/${configuration.id}/`,
    }),
    ({ time_deleted }) => assertGreater(time_deleted, 0),
  ),

  row(
    "get_executions",
    ({ client }) =>
      client.getExecutions({ filter: { pc_version: { lte: 1 } } }),
    () => ({
      ...get("/execution/"),
      query: { filter: '{"pc_version":{"lte":1}}' },
    }),
    ({ items }, { execution }) => assertEquals(items, [execution]),
  ),
  row(
    "get_execution",
    ({ client, execution }) => client.getExecution(execution.id),
    ({ execution }) => get(`/execution/${execution.id}/`),
    ({ data, initiator_id }) => {
      assertEquals(initiator_id, null);
      assertEquals(data.state, "completed");
      const { version, playbook_name } = data.playbook_configuration;
      assertEquals([version, playbook_name], [1, "hello_world"]);
    },
  ),
  row(
    "get_execution_versions",
    ({ client, execution }) => client.getExecutionVersions(execution.id),
    ({ execution }) => get(`/execution/${execution.id}/version/`),
    ({ items }) => {
      const states = items.map(({ data }) => data.state);
      assertEquals(states, ["completed", "started", "created"]);
    },
  ),
  row(
    "get_execution_version",
    ({ client, execution }) => client.getExecutionVersion(execution.id, 1),
    ({ execution }) => get(`/execution/${execution.id}/version/1/`),
    ({ data }) => assertEquals(data.state, "created"),
  ),
  row(
    "create_execution",
    ({ client, configuration }) => client.createExecution(configuration.id, 1),
    ({ configuration }) => ({
      method: "POST",
      path: "/execution/",
      body: { playbook_configuration: { id: configuration.id, version: 1 } },
    }),
    ({ data }) => assertEquals(data.state, "created"),
  ),
  row(
    "cancel_execution",
    ({ client, execution }) => client.cancelExecution(execution.id),
    ({ execution }) => ({
      method: "DELETE",
      path: `/execution/${execution.id}/`,
    }),
    (result, { execution }) => assertEquals(result, execution),
  ),
  row(
    "get_execution_steps",
    ({ client, execution }) =>
      client.getExecutionSteps(execution.id, {
        filter: { result: 1 },
        sortBy: { time_finished: 1 },
      }),
    ({ execution }) => ({
      ...get(`/execution/${execution.id}/steps/`),
      query: { filter: '{"result":1}', sort_by: '{"time_finished":1}' },
    }),
    ({ items }, { execution }) => {
      assertGreater(items.length, 0);
      for (const { data, id } of items) {
        assertMatch(id, /^[\da-f]{24}$/);
        assertEquals(data.result, "ok");
        assertEquals(data.execution_id, execution.id);
        assertEquals(typeof data.server_id, "string");
      }
    },
  ),
  row(
    "get_execution_log",
    ({ client, execution }) => client.getExecutionLog(execution.id),
    ({ execution }) => ({
      ...get(`/execution/${execution.id}/log/`),
      accept: "text/plain",
    }),
    (log) => assertEquals(log, "ok: [10.0.0.1]\nfür alle\n"),
  ),

  row(
    "get_permissions",
    ({ client }) => client.getPermissions(),
    () => get("/permission/"),
    ({ items }) => {
      const api = items.find(({ name }) => name === "api");
      assert(api?.permissions.includes("view_cinder"));
    },
  ),
  row(
    "get_playbooks",
    ({ client }) => client.getPlaybooks(),
    () => get("/playbook/"),
    ({ items }) => {
      const deploy = items.find(({ id }) => id === "cluster_deploy");
      assertEquals(deploy?.required_server_list, true);
    },
  ),
  row(
    "get_info",
    ({ client }) => client.getInfo(),
    () => ({ ...get("/info/"), token: false }),
    ({ time, version }, { server }) => {
      assertEquals(time.unix, Math.floor(server.clock.now() / 1000));
      assertEquals(typeof version, "string");
    },
  ),
  row(
    "request_password_reset",
    ({ client }) => client.requestPasswordReset("ann"),
    () => ({
      method: "POST",
      path: "/password_reset/",
      body: { login: "ann" },
      token: false,
    }),
    (result) =>
      assertEquals(result, { message: "Password reset was requested." }),
  ),
  row(
    "peek_password_reset",
    ({ client, resetToken }) => client.peekPasswordReset(resetToken),
    ({ resetToken }) => ({
      ...get(`/password_reset/${resetToken}/`),
      token: false,
    }),
    (result) =>
      assertEquals(result, { message: "Password reset was requested" }),
  ),
  row(
    "reset_password",
    ({ client, resetToken }) => client.resetPassword(resetToken, "new"),
    ({ resetToken }) => ({
      method: "POST",
      path: `/password_reset/${resetToken}/`,
      body: { password: "new" },
      token: false,
    }),
    (result) => assertEquals(result, { message: "Password has been reset" }),
  ),
  row(
    "get_cinder_integration",
    ({ client, cluster }) =>
      client.getCinderIntegration(cluster.id, { root: "/opt/c&ph" }),
    ({ cluster }) => ({
      ...get(`/cinder_integration/${cluster.id}/`),
      query: { root: "/opt/c&ph" },
    }),
    (files) => {
      assertEquals(
        files["/opt/c&ph/ceph.client.volumes.keyring"],
        "[client.volumes]\n",
      );
    },
  ),
];

for (const { python, run, sends } of ROWS) {
  const name = camelCase(python);
  Deno.test(`${name}() sends one request and returns its response`, async () => {
    await using server = new StandInServer();
    const stage = await setStage(server);
    const result = await run(stage);

    const { path, token = true, body, query = {}, accept, method } = sends(
      stage,
    );
    const [exchange, ...more] = server.exchanges;
    assert(exchange);
    assertEquals(more, []);
    assertEquals([exchange.method, exchange.path], [method, `/v1${path}`]);
    assertEquals(exchange.query, query);
    assertEquals(exchange.body, body);
    const { headers, answer } = exchange;
    assertEquals(headers.get("authorization"), token ? stage.token : null);
    assertEquals(headers.get("accept"), accept ?? "application/json");
    assertEquals(
      headers.get("content-type"),
      body === undefined ? null : "application/json",
    );
    assertEquals(answer?.status, 200);
    // The result is the response, neither more nor less.
    if (name === "getExecutionLog") assertEquals(result, answer?.text);
    else if (name !== "logout") {
      assertEquals(result, JSON.parse(answer?.text ?? ""));
    }
  });
}

Deno.test("V1Client has every method of the Python library", () => {
  assertEquals(PYTHON.length, 54);
  assertEquals(
    ROWS.map(({ python }) => python).toSorted(),
    PYTHON.toSorted(),
  );
  const methods: string[] = Object.getOwnPropertyNames(V1Client.prototype);
  const missing = PYTHON.map(camelCase).filter((name) =>
    !methods.includes(name)
  );
  assertEquals(missing, []);
});

Deno.test("createUser() and others leave out of the request what the call leaves out", async () => {
  await using server = new StandInServer();
  const { client, cluster, node } = await setStage(server);
  await client.getUsers();
  await client.getUsers({ all: false });
  await client.createUser({
    login: "c",
    email: "c@example.com",
    fullName: "C",
  });
  await client.getCinderIntegration(cluster.id);
  await client.getCinderIntegration(cluster.id, { root: "/\ud800&" });
  await client.createPlaybookConfiguration({
    name: "plain",
    clusterId: cluster.id,
    playbookId: "cluster_deploy",
    serverIds: [node.id],
  });
  const [users, notAll, user, cinder, odd, configuration] = server.exchanges;
  assertEquals(users?.query, {});
  assertEquals(notAll?.query, {});
  assertEquals(user?.body, {
    login: "c",
    email: "c@example.com",
    full_name: "C",
    role_id: null,
  });
  assertEquals(cinder?.query, { root: "/etc/ceph" });
  assertEquals(odd?.query, { root: "/\ufffd&" });
  assertEquals(configuration?.body, {
    name: "plain",
    cluster_id: cluster.id,
    playbook_id: "cluster_deploy",
    server_ids: [node.id],
    hints: [],
    run: false,
  });
});

Deno.test("getRoleSelf() keeps fields that a newer server adds", async () => {
  await using server = new StandInServer({}, async ({ path, method }) => {
    await Promise.resolve();
    return method === "GET" && path === "/v1/role/self/"
      ? Response.json({ id: "r", color: "red", data: { state: "melting" } })
      : undefined;
  });
  assertEquals(plain(await server.client().getRoleSelf()), {
    id: "r",
    color: "red",
    data: { state: "melting" },
  });
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
      query: { a: "ü&", b: 1, c: false },
      body: { x: [1] },
      headers: { "x-trace": "1" },
      timeout: 5000,
    });
    const exchange = server.exchanges.at(-1);
    assert(exchange);
    assertEquals([exchange.method, exchange.path], [method, "/v1/new/"]);
    assertEquals(exchange.query, { a: "ü&", b: "1", c: "false" });
    assertEquals(exchange.body, { x: [1] });
    assertEquals(exchange.headers.get("authorization"), "token");
    assertEquals(exchange.headers.get("x-trace"), "1");
  }
});

Deno.test("request() fails, retries and redacts as other methods do", async () => {
  using _ = chance(0);
  await using server = new TestServer((_, { path }) =>
    path === "/v1/auth/"
      ? Response.json({ id: "t0ken" })
      : path === "/v1/list/"
      ? Response.json([])
      : apiError(503, "Busy", `Not for t0ken`)
  );
  const client = server.client();
  for (const [method, attempts] of [["GET", 3], ["POST", 1]] as const) {
    const error = await assertRejects(
      () => client.request(method, "new/"),
      DecapodAPIError,
      "503 Busy: Not for [redacted]",
    );
    assertEquals(error.outcomeUnknown, method === "POST");
    assertEquals(server.sent(method, "/v1/new/").length, attempts);
  }
  await assertRejects(
    () => client.request("GET", "list/"),
    DecapodResponseError,
    "not the expected JSON object",
  );
});

Deno.test("request() rejects an endpoint that leads elsewhere, and invalid options", async () => {
  await using server = new TestServer(() => Response.json({}));
  const client = server.client();
  const endpoints = [
    "",
    "/",
    "/v1/",
    "../auth/",
    "user/../auth/",
    "user/./a",
    "user/%2e%2E/auth",
    "user//a",
    "//evil.example/",
    "https://evil.example/",
    "user/?a=b",
    "user/#a",
    "user\\a",
    "us er",
    "üser",
    "%zz",
  ];
  for (const endpoint of endpoints) {
    await assertRejects(
      () => client.request("GET", endpoint),
      TypeError,
      "Invalid endpoint: must be",
      endpoint,
    );
  }
  const calls: [call: () => Promise<unknown>, part: string][] = [
    [() => client.request("GET", untyped(5)), "Invalid endpoint: "],
    [() => client.request(untyped("PATCH"), "user/"), "Invalid method: "],
    [() => client.request(untyped("get"), "user/"), "Invalid method: "],
    [
      () => client.request("GET", "user/", untyped({ params: {} })),
      'Unknown option "params"',
    ],
    [
      () => client.request("GET", "user/", { query: untyped("a=b") }),
      "Invalid query: ",
    ],
    [
      () => client.request("POST", "user/", { body: untyped("{}") }),
      "Invalid body: ",
    ],
    [() => client.request("GET", "user/", untyped(null)), "Invalid options: "],
  ];
  for (const [call, part] of calls) await assertRejects(call, TypeError, part);
  assertEquals(server.exchanges, []);
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
