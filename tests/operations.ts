/**
 * Every method of the client: the requests that it sends, how to call it and
 * what it returns. All suites are driven by this table, on every runtime: it
 * imports only types.
 */

import type {
  Cluster,
  Execution,
  PlaybookConfiguration,
  RequestOptions,
  Role,
  Server,
  User,
  V1Client,
} from "@decapod/decapodlib";

/** The models on the server, and the secrets of its users. */
export interface World {
  readonly user: User;
  readonly role: Role;
  readonly cluster: Cluster;
  readonly server: Server;
  readonly configuration: PlaybookConfiguration;
  readonly execution: Execution;
  readonly resetToken: string;
  /** The second of all ids of clusters in their order, and the fourth. */
  readonly secondId: string;
  readonly fourthId: string;
  /** The password of the client's user. */
  readonly password: string;
}

/** A request as it is sent. */
export interface Request {
  readonly method: "DELETE" | "GET" | "POST" | "PUT";
  /** Without `/v1`; `{user}` is the id of the world's user. */
  readonly path: string;
  readonly query: Record<string, string>;
  readonly body?: (world: World) => unknown;
  /** Whether it is sent with a token. */
  readonly token: boolean;
  /** Whether the client logs in for it, and again after a 401. */
  readonly session: boolean;
  /** Whether it is a login. */
  readonly login: boolean;
  /** Whether it changes something. */
  readonly changes: boolean;
  /** Whether the client retries it. */
  readonly retried: boolean;
  /** The type of its response. */
  readonly response: "json" | "text";
  /** Whether the client checks the shape of the response. */
  readonly checked: boolean;
  /** Whether its response is yielded in chunks. */
  readonly streamed: boolean;
}

/** A row of the table. */
export interface Operation {
  /** The method, and perhaps a word that says how it is used. */
  readonly name: string;
  /** Its requests if nothing fails. */
  readonly requests: readonly Request[];
  /** The name of the argument in the path. Defaults to `id`. */
  readonly argument?: string;
  /** Whether it continues after transient errors. */
  readonly waits?: boolean;
  /** Calls it, until it ends or is aborted. */
  readonly run: (
    client: V1Client,
    world: World,
    options?: RequestOptions,
  ) => Promise<unknown>;
  /** Calls it; also returns a part of its result, and what it must be. */
  readonly verify: (
    client: V1Client,
    world: World,
  ) => Promise<{ result: unknown; actual: unknown; expected: unknown }>;
}

type Part = Partial<Request>;
type Query = Record<string, string>;
type Body = NonNullable<Request["body"]>;

const READ: Omit<Request, "path"> = {
  method: "GET",
  query: {},
  token: true,
  session: true,
  login: false,
  changes: false,
  retried: true,
  response: "json",
  checked: false,
  streamed: false,
};
const CHANGE = { ...READ, changes: true, retried: false };

const get = (path: string, part: Part = {}): Request => ({
  ...READ,
  path,
  ...part,
});
const list = (path: string, query: Query = {}): Request =>
  get(path, { query, checked: true });
const log = (part: Part = {}): Request =>
  get("/execution/{execution}/log/", { response: "text", ...part });
const post = (path: string, body: Body, part: Part = {}): Request => ({
  ...CHANGE,
  method: "POST",
  path,
  body,
  ...part,
});
const put = (path: string, body: Body): Request => ({
  ...CHANGE,
  method: "PUT",
  path,
  body,
});
const edit = (path: string, body: Body): Request[] => [
  get(path, { checked: true }),
  put(path, body),
];
const del = (path: string, part: Part = {}): Request => ({
  ...CHANGE,
  method: "DELETE",
  path,
  ...part,
});

/** A request without a session. */
const OPEN: Part = { token: false, session: false };

/** A client also logs in by itself. */
export const LOGIN: Request = post("/auth/", ({ password }) => ({
  username: "root",
  password,
}), { ...OPEN, login: true, changes: false, retried: true, checked: true });

/** A new password, which must not appear in errors. */
export const NEW_PASSWORD = 'n€w p/ss"word&200%';

/** A log that is short enough to arrive byte by byte. */
const LOG = "ok: [10.0.0.1]\nfür alle\n";

/** The names of the steps of the execution. */
const STEPS = ["task 000001", "task 000002", "task 000003"];

const SERVER_ID = "44454C4C-4200-1051-8048-B7C04F4C4D31";

/** The options of methods that wait. */
const WAIT = { timeout: 2500, interval: { min: 10, max: 10 } };

/** All items of an iterable. */
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The model with another name. */
const renamed = <T extends { data: { name: string } }>(model: T): T => ({
  ...model,
  data: rename(model.data),
});

const rename = <T extends { name: string }>(data: T): T => ({
  ...data,
  name: "renamed",
});

const renamedUser = (user: User): User => ({
  ...user,
  data: { ...user.data, full_name: "renamed" },
});

/** The configuration without what the server does not accept, renamed. */
const renamedConfiguration = (model: PlaybookConfiguration) => {
  const { created_execution_id: _, ...data } = model.data;
  return renamed({ ...model, data });
};

/** A part of a result, and what it must be. */
type Compared = [actual: unknown, expected: unknown];

/** One row: name, requests, how to call it, and what it must return. */
function row<T>(
  name: string,
  requests: Request | Request[],
  run: (client: V1Client, world: World, o?: RequestOptions) => PromiseLike<T>,
  compare: (result: T, world: World) => Compared,
  more: Pick<Operation, "argument" | "waits"> = {},
): Operation {
  return {
    name,
    requests: [requests].flat(),
    run: async (...args) => await run(...args),
    async verify(client, world) {
      const result = await run(client, world);
      const [actual, expected] = compare(result, world);
      return { result, actual, expected };
    },
    ...more,
  };
}

const isRenamed = (
  { data, version }: { data: { name: string }; version: number },
): Compared => [[data.name, version], ["renamed", 2]];

const isDeleted = ({ time_deleted }: { time_deleted: number }): Compared => [
  time_deleted > 0,
  true,
];

/** The table. */
export const OPERATIONS: readonly Operation[] = [
  row(
    "login",
    LOGIN,
    (client, _, o) => client.login(o),
    ({ data }) => [data.user.data.login, "root"],
  ),
  row(
    "logout",
    del("/auth/", { session: false }),
    (client, _, o) => client.logout(o),
    (nothing) => [nothing, undefined],
  ),

  row(
    "getUsers",
    list("/user/", {
      page: "1",
      per_page: "2",
      filter: '{"login":{"in":["root","ann"]}}',
      sort_by: '{"login":1,"time_created":-1}',
    }),
    (client, _, o) =>
      client.getUsers({
        page: 1,
        perPage: 2,
        filter: { login: { in: ["root", "ann"] } },
        sortBy: { login: 1, time_created: -1 },
        ...o,
      }),
    ({ items, page, per_page, total }) => {
      const logins = items.map(({ data }) => data.login);
      return [[logins, page, per_page, total], [["ann", "root"], 1, 2, 2]];
    },
  ),
  row(
    "getUser",
    get("/user/{user}/"),
    (client, { user }, o) => client.getUser(user.id, o),
    (result, { user }) => [result, user],
  ),
  row(
    "getUserVersions",
    list("/user/{user}/version/", { page: "1" }),
    (client, { user }, o) => client.getUserVersions(user.id, { page: 1, ...o }),
    ({ items, total }, { user }) => [[items, total], [[user], 1]],
  ),
  row(
    "getUserVersion",
    get("/user/{user}/version/1/"),
    (client, { user }, o) => client.getUserVersion(user.id, 1, o),
    (result, { user }) => [result, user],
  ),
  row(
    "getUserSelf",
    get("/user/self/"),
    (client, _, o) => client.getUserSelf(o),
    ({ data }) => [data.login, "root"],
  ),
  row(
    "createUser",
    post(
      "/user/",
      ({ role }) => ({
        login: "bob",
        email: "bob@example.com",
        full_name: "Bób, 1 €",
        role_id: role.id,
      }),
    ),
    (client, { role }, o) =>
      client.createUser({
        login: "bob",
        email: "bob@example.com",
        fullName: "Bób, 1 €",
        roleId: role.id,
      }, o),
    ({ data: { full_name, role_id }, version }, { role }) => [
      [full_name, role_id, version],
      ["Bób, 1 €", role.id, 1],
    ],
  ),
  row(
    "updateUser",
    put("/user/{user}/", ({ user }) => renamedUser(user)),
    (client, { user }, o) => client.updateUser(renamedUser(user), o),
    ({ data, version }) => [[data.full_name, version], ["renamed", 2]],
  ),
  row(
    "editUser",
    edit("/user/{user}/", ({ user }) => renamedUser(user)),
    (client, { user }, o) =>
      client.editUser(
        user.id,
        (data) => ({ ...data, full_name: "renamed" }),
        o,
      ),
    ({ data, version }) => [[data.full_name, version], ["renamed", 2]],
  ),
  row(
    "deleteUser",
    del("/user/{user}/"),
    (client, { user }, o) => client.deleteUser(user.id, o),
    isDeleted,
  ),

  row(
    "getRoles",
    list("/role/", { filter: '{"name":{"ne":"admin"}}' }),
    (client, _, o) =>
      client.getRoles({ filter: { name: { ne: "admin" } }, ...o }),
    ({ items }, { role }) => [items.some(({ id }) => id === role.id), true],
  ),
  row(
    "getRole",
    get("/role/{role}/"),
    (client, { role }, o) => client.getRole(role.id, o),
    (result, { role }) => [result, role],
  ),
  row(
    "getRoleVersions",
    list("/role/{role}/version/", { all: "1" }),
    (client, { role }, o) =>
      client.getRoleVersions(role.id, { all: true, ...o }),
    ({ items }, { role }) => [items, [role]],
  ),
  row(
    "getRoleVersion",
    get("/role/{role}/version/1/"),
    (client, { role }, o) => client.getRoleVersion(role.id, 1, o),
    (result, { role }) => [result, role],
  ),
  row(
    "getRoleSelf",
    get("/role/self/"),
    (client, _, o) => client.getRoleSelf(o),
    ({ data }) => {
      const classes = data.permissions.map(({ name }) => name).sort();
      return [classes, ["api", "playbook"]];
    },
  ),
  row(
    "createRole",
    post(
      "/role/",
      () => ({
        name: "operator",
        permissions: [{ name: "playbook", permissions: ["cluster_deploy"] }],
      }),
    ),
    (client, _, o) =>
      client.createRole("operator", [{
        name: "playbook",
        permissions: ["cluster_deploy"],
      }], o),
    ({ data, model }) => [[model, data.name], ["role", "operator"]],
  ),
  row(
    "updateRole",
    put("/role/{role}/", ({ role }) => renamed(role)),
    (client, { role }, o) => client.updateRole(renamed(role), o),
    isRenamed,
  ),
  row(
    "editRole",
    edit("/role/{role}/", ({ role }) => renamed(role)),
    (client, { role }, o) => client.editRole(role.id, rename, o),
    isRenamed,
  ),
  row(
    "deleteRole",
    del("/role/{role}/"),
    (client, { role }, o) => client.deleteRole(role.id, o),
    isDeleted,
  ),
  row(
    "getPermissions",
    get("/permission/"),
    (client, _, o) => client.getPermissions(o),
    ({ items }) => [
      items.find(({ name }) => name === "api")?.permissions.includes(
        "view_cinder",
      ),
      true,
    ],
  ),

  row(
    "getClusters",
    list("/cluster/", {
      per_page: "1",
      filter: '{"name":"ceph"}',
      sort_by: '{"_id":1}',
    }),
    (client, _, o) =>
      client.getClusters({
        perPage: 1,
        filter: { name: "ceph" },
        sortBy: { _id: 1 },
        ...o,
      }),
    ({ items, per_page }, { cluster }) => [[items, per_page], [[cluster], 1]],
  ),
  row(
    "getCluster",
    get("/cluster/{cluster}/"),
    (client, { cluster }, o) => client.getCluster(cluster.id, o),
    (result, { cluster }) => [result, cluster],
  ),
  row(
    "getClusterVersions",
    list("/cluster/{cluster}/version/"),
    (client, { cluster }, o) => client.getClusterVersions(cluster.id, o),
    ({ items }, { cluster }) => [items, [cluster]],
  ),
  row(
    "getClusterVersion",
    get("/cluster/{cluster}/version/1/"),
    (client, { cluster }, o) => client.getClusterVersion(cluster.id, 1, o),
    (result, { cluster }) => [result, cluster],
  ),
  row(
    "createCluster",
    post("/cluster/", () => ({ name: "another" })),
    (client, _, o) => client.createCluster("another", o),
    ({ data }) => [[data.name, data.configuration], ["another", {}]],
  ),
  row(
    "updateCluster",
    put("/cluster/{cluster}/", ({ cluster }) => renamed(cluster)),
    (client, { cluster }, o) => client.updateCluster(renamed(cluster), o),
    isRenamed,
  ),
  row(
    "editCluster",
    edit("/cluster/{cluster}/", ({ cluster }) => renamed(cluster)),
    (client, { cluster }, o) => client.editCluster(cluster.id, rename, o),
    isRenamed,
  ),
  row(
    "deleteCluster",
    del("/cluster/{cluster}/"),
    (client, { cluster }, o) => client.deleteCluster(cluster.id, o),
    isDeleted,
  ),
  row(
    "getCinderIntegration",
    get("/cinder_integration/{cluster}/", { query: { root: "/opt/c&ph" } }),
    (client, { cluster }, o) =>
      client.getCinderIntegration(cluster.id, { root: "/opt/c&ph", ...o }),
    (files) => {
      const text = files["/opt/c&ph/ceph.client.volumes.keyring"];
      return [text, "[client.volumes]\n"];
    },
    { argument: "clusterId" },
  ),

  row(
    "getServers",
    list("/server/", {
      page: "2",
      per_page: "2",
      filter: '{"state":"operational","facts.ansible_memtotal_mb":{"gt":1}}',
    }),
    (client, _, o) =>
      client.getServers({
        page: 2,
        perPage: 2,
        filter: {
          state: "operational",
          "facts.ansible_memtotal_mb": { gt: 1 },
        },
        ...o,
      }),
    ({ items, page, total }) => {
      const states = items.map(({ data }) => data.state);
      return [[states, page, total], [Array(2).fill("operational"), 2, 6]];
    },
  ),
  row(
    "getServer",
    get("/server/{server}/"),
    (client, { server }, o) => client.getServer(server.id, o),
    (result, { server }) => [result, server],
  ),
  row(
    "getServerVersions",
    list("/server/{server}/version/", { per_page: "7" }),
    (client, { server }, o) =>
      client.getServerVersions(server.id, { perPage: 7, ...o }),
    ({ items, per_page }, { server }) => [[items, per_page], [[server], 7]],
  ),
  row(
    "getServerVersion",
    get("/server/{server}/version/1/"),
    (client, { server }, o) => client.getServerVersion(server.id, 1, o),
    (result, { server }) => [result, server],
  ),
  row(
    "createServer",
    post(
      "/server/",
      () => ({ id: SERVER_ID, host: "10.0.0.99", username: "ansible" }),
    ),
    (client, _, o) =>
      client.createServer({
        serverId: SERVER_ID,
        host: "10.0.0.99",
        username: "ansible",
      }, o),
    (result) => [result, {}],
  ),
  row(
    "putServer",
    put("/server/{server}/", ({ server }) => renamed(server)),
    (client, { server }, o) => client.putServer(renamed(server), o),
    isRenamed,
  ),
  row(
    "editServer",
    edit("/server/{server}/", ({ server }) => renamed(server)),
    (client, { server }, o) => client.editServer(server.id, rename, o),
    isRenamed,
  ),
  row(
    "deleteServer",
    del("/server/{server}/"),
    (client, { server }, o) => client.deleteServer(server.id, o),
    isDeleted,
  ),

  row(
    "getPlaybooks",
    get("/playbook/"),
    (client, _, o) => client.getPlaybooks(o),
    ({ items }) => [
      items.find(({ id }) => id === "cluster_deploy")?.required_server_list,
      true,
    ],
  ),
  row(
    "getPlaybookConfigurations",
    list("/playbook_configuration/", { filter: '{"name":"deploy"}' }),
    (client, _, o) =>
      client.getPlaybookConfigurations({ filter: { name: "deploy" }, ...o }),
    ({ items }, { configuration }) => [
      items.map(({ id }) => id),
      [configuration.id],
    ],
  ),
  row(
    "getPlaybookConfiguration",
    get("/playbook_configuration/{configuration}/"),
    (client, { configuration }, o) =>
      client.getPlaybookConfiguration(configuration.id, o),
    ({ data: { configuration } }, world) => [
      configuration,
      world.configuration.data.configuration,
    ],
  ),
  row(
    "getPlaybookConfigurationVersions",
    list("/playbook_configuration/{configuration}/version/"),
    (client, { configuration }, o) =>
      client.getPlaybookConfigurationVersions(configuration.id, o),
    ({ items }) => [items.map(({ version }) => version), [1]],
  ),
  row(
    "getPlaybookConfigurationVersion",
    get("/playbook_configuration/{configuration}/version/1/"),
    (client, { configuration }, o) =>
      client.getPlaybookConfigurationVersion(configuration.id, 1, o),
    ({ data, version }) => [[data.name, version], ["deploy", 1]],
  ),
  row(
    "createPlaybookConfiguration",
    post(
      "/playbook_configuration/",
      ({ cluster, server }) => ({
        name: "another",
        cluster_id: cluster.id,
        playbook_id: "cluster_deploy",
        server_ids: [server.id],
        hints: [{ id: "mon_count", value: 1 }],
        run: true,
      }),
    ),
    (client, { cluster, server }, o) =>
      client.createPlaybookConfiguration({
        name: "another",
        clusterId: cluster.id,
        playbookId: "cluster_deploy",
        serverIds: [server.id, server.id],
        hints: [{ id: "mon_count", value: 1 }],
        runAfter: true,
      }, o),
    ({ data }) => [data.created_execution_id?.length, 36],
  ),
  row(
    "updatePlaybookConfiguration",
    put(
      "/playbook_configuration/{configuration}/",
      ({ configuration }) => renamedConfiguration(configuration),
    ),
    (client, { configuration }, o) =>
      client.updatePlaybookConfiguration(
        renamedConfiguration(configuration),
        o,
      ),
    isRenamed,
  ),
  row(
    "editPlaybookConfiguration",
    edit(
      "/playbook_configuration/{configuration}/",
      ({ configuration }) => renamedConfiguration(configuration),
    ),
    (client, { configuration }, o) =>
      client.editPlaybookConfiguration(configuration.id, rename, o),
    isRenamed,
  ),
  row(
    "deletePlaybookConfiguration",
    del("/playbook_configuration/{configuration}/"),
    (client, { configuration }, o) =>
      client.deletePlaybookConfiguration(configuration.id, o),
    isDeleted,
  ),

  row(
    "getExecutions",
    list("/execution/", { filter: '{"pc_version":{"lte":1}}' }),
    (client, _, o) =>
      client.getExecutions({ filter: { pc_version: { lte: 1 } }, ...o }),
    ({ items }, { execution }) => [items, [execution]],
  ),
  row(
    "getExecution",
    get("/execution/{execution}/"),
    (client, { execution }, o) => client.getExecution(execution.id, o),
    ({ initiator_id, data: { state, playbook_configuration } }) => [[
      initiator_id,
      state,
      playbook_configuration.version,
      playbook_configuration.playbook_name,
    ], [null, "completed", 1, "hello_world"]],
  ),
  row(
    "getExecutionVersions",
    list("/execution/{execution}/version/"),
    (client, { execution }, o) => client.getExecutionVersions(execution.id, o),
    ({ items }) => [items.map(({ data }) => data.state), [
      "completed",
      "started",
      "created",
    ]],
  ),
  row(
    "getExecutionVersion",
    get("/execution/{execution}/version/1/"),
    (client, { execution }, o) =>
      client.getExecutionVersion(execution.id, 1, o),
    ({ data }) => [data.state, "created"],
  ),
  row(
    "createExecution",
    post(
      "/execution/",
      ({ configuration }) => ({
        playbook_configuration: { id: configuration.id, version: 1 },
      }),
    ),
    (client, { configuration }, o) =>
      client.createExecution(configuration.id, 1, o),
    ({ data }) => [data.state, "created"],
  ),
  row(
    "cancelExecution",
    del("/execution/{execution}/"),
    (client, { execution }, o) => client.cancelExecution(execution.id, o),
    (result, { execution }) => [result, execution],
  ),
  row(
    "waitForExecution",
    get("/execution/{execution}/", { checked: true }),
    (client, { execution }, o) =>
      client.waitForExecution(execution.id, { ...WAIT, ...o }),
    (result, { execution }) => [result, execution],
    { waits: true },
  ),
  row(
    "followExecution",
    [
      get("/execution/{execution}/", { checked: true }),
      list("/execution/{execution}/steps/", {
        per_page: "100",
        sort_by: '{"time_finished":1,"_id":1}',
      }),
      list("/execution/{execution}/steps/", { per_page: "1" }),
    ],
    (client, { execution }, o) =>
      all(client.followExecution(execution.id, { ...WAIT, ...o })),
    (events) => {
      const seen = events.map((event) =>
        event.type === "step"
          ? event.step.data.name
          : event.execution.data.state
      );
      return [seen, [...STEPS, "completed"]];
    },
    { waits: true },
  ),
  row(
    "getExecutionSteps",
    list("/execution/{execution}/steps/", {
      filter: '{"result":1}',
      sort_by: '{"time_finished":1}',
    }),
    (client, { execution }, o) =>
      client.getExecutionSteps(execution.id, {
        filter: { result: 1 },
        sortBy: { time_finished: 1 },
        ...o,
      }),
    ({ items }, { execution: { id } }) => {
      const parts = items.map((step) => [
        /^[\da-f]{24}$/.test(step.id),
        step.data.result,
        step.data.execution_id,
        typeof step.data.server_id,
      ]);
      return [parts, Array(3).fill([true, "ok", id, "string"])];
    },
  ),
  row(
    "getExecutionLog",
    log(),
    (client, { execution }, o) => client.getExecutionLog(execution.id, o),
    (text) => [text, LOG],
  ),
  row(
    "streamExecutionLog",
    log({ streamed: true }),
    (client, { execution }, o) =>
      all(client.streamExecutionLog(execution.id, o)),
    (lines) => [lines, LOG.trimEnd().split("\n")],
  ),

  row(
    "getClusters iterated",
    ["", '{"model_id":{"gt":"{secondId}"}}', '{"model_id":{"gt":"{fourthId}"}}']
      .map((filter) =>
        list("/cluster/", {
          per_page: "2",
          ...filter && { filter },
          sort_by: '{"model_id":1}',
        })
      ),
    (client, _, o) => all(client.getClusters({ perPage: 2, ...o })),
    (clusters) => {
      const names = clusters.map(({ data }) => data.name).sort();
      return [[names.length, names[0], names[5]], [6, "ceph", "seeded1"]];
    },
  ),
  row(
    "getExecutionVersions iterated",
    [
      list("/execution/{execution}/version/", { per_page: "2" }),
      list("/execution/{execution}/version/", { page: "2", per_page: "2" }),
    ],
    (client, { execution }, o) =>
      all(client.getExecutionVersions(execution.id, { perPage: 2, ...o })),
    (versions) => [versions.map(({ version }) => version), [3, 2, 1]],
  ),
  row(
    "getExecutionSteps iterated",
    [
      list("/execution/{execution}/steps/", {
        per_page: "2",
        sort_by: '{"_id":1}',
      }),
      list("/execution/{execution}/steps/", {
        page: "2",
        per_page: "2",
        sort_by: '{"_id":1}',
      }),
    ],
    (client, { execution }, o) =>
      all(client.getExecutionSteps(execution.id, { perPage: 2, ...o })),
    (steps) => [steps.map(({ data }) => data.name), STEPS],
  ),

  row(
    "getInfo",
    get("/info/", OPEN),
    (client, _, o) => client.getInfo(o),
    ({ time: { unix }, version }) => [
      [typeof unix, typeof version],
      ["number", "string"],
    ],
  ),
  row(
    "requestPasswordReset",
    post("/password_reset/", () => ({ login: "ann" }), OPEN),
    (client, _, o) => client.requestPasswordReset("ann", o),
    (result) => [result, { message: "Password reset was requested." }],
  ),
  row(
    "peekPasswordReset",
    get("/password_reset/{resetToken}/", OPEN),
    (client, { resetToken }, o) => client.peekPasswordReset(resetToken, o),
    (result) => [result, { message: "Password reset was requested" }],
    { argument: "resetToken" },
  ),
  row(
    "resetPassword",
    post(
      "/password_reset/{resetToken}/",
      () => ({ password: NEW_PASSWORD }),
      OPEN,
    ),
    (client, { resetToken }, o) =>
      client.resetPassword(resetToken, NEW_PASSWORD, o),
    (result) => [result, { message: "Password has been reset" }],
    { argument: "resetToken" },
  ),
  row(
    "request",
    get("/cluster/{cluster}/"),
    (client, { cluster }, o) =>
      client.request("GET", `cluster/${cluster.id}`, o),
    (result, { cluster }) => [result, cluster],
    { argument: "endpoint" },
  ),
];

/** Calls a method of the stand-in server or reads a property. */
export type Backstage = (member: string, ...args: unknown[]) => unknown;

/** Creates a model of each kind. */
export async function makeWorld(
  client: V1Client,
  password: string,
  backstage: Backstage,
): Promise<World> {
  const role = await client.createRole("viewer", [
    { name: "api", permissions: ["view_user"] },
  ]);
  const user = await client.createUser({
    login: "ann",
    email: "ann@example.com",
    fullName: "Ann Example",
  });
  await backstage("seedClusters", 4);
  await backstage("seedExecution", { servers: 1, steps: 3, duration: 0 });
  const { items: [execution] } = await client.getExecutions();
  const { items: [server] } = await client.getServers({ perPage: 1 });
  if (!execution || !server) {
    throw new Error("Cannot set up: the server has no execution or no server");
  }
  await backstage("setLog", execution.id, LOG);
  const cluster = await client.createCluster("ceph");
  await backstage("setCinder", cluster.id, {
    config: "[global]\n",
    keyrings: { "ceph.client.volumes.keyring": "[client.volumes]\n" },
  });
  const configuration = await client.createPlaybookConfiguration({
    name: "deploy",
    clusterId: cluster.id,
    playbookId: "cluster_deploy",
    serverIds: [server.id],
  });
  const clusters = await client.getClusters({ all: true });
  const [, secondId = "", , fourthId = ""] = clusters.items
    .map(({ id }) => id).sort();
  await client.requestPasswordReset("ann");
  const mails = await backstage("mails") as { resetToken: string }[];
  const { resetToken = "" } = mails[mails.length - 1] ?? {};
  await client.logout();
  return {
    user,
    role,
    cluster,
    server,
    configuration,
    execution,
    resetToken,
    secondId,
    fourthId,
    password,
  };
}

/** A request as a server receives it. */
export interface Wire {
  method: string;
  path: string;
  query: Record<string, string>;
  body: unknown;
  authorization: string | null;
  accept: string | null;
  contentType: string | null;
}

/** A request that a server has received. */
export function toWire(
  { headers, ...request }:
    & Pick<Wire, "body" | "method" | "path" | "query">
    & { headers: Headers | Record<string, string> },
): Wire {
  const found = new Headers(headers);
  return {
    method: request.method,
    path: request.path,
    query: request.query,
    body: request.body ?? null,
    authorization: found.get("authorization"),
    accept: found.get("accept"),
    contentType: found.get("content-type"),
  };
}

/** The requests of an operation, as the server must receive them. */
export function wireRequests(
  { requests }: Operation,
  world: World,
  token: string,
): Wire[] {
  const values = new Map<string, string | { id: string }>(
    Object.entries(world),
  );
  const fill = (text: string) =>
    text.replace(/\{(\w+)\}/g, (_, name) => {
      const value = values.get(name) ?? "";
      return typeof value === "string" ? value : value.id;
    });
  return requests.map((request) => ({
    method: request.method,
    path: `/v1${fill(request.path)}`,
    query: Object.fromEntries(
      Object.entries(request.query).map(([name, text]) => [name, fill(text)]),
    ),
    body: JSON.parse(JSON.stringify(request.body?.(world) ?? null)),
    authorization: request.token ? token : null,
    accept: request.response === "json" ? "application/json" : "text/plain",
    contentType: request.body ? "application/json" : null,
  }));
}
