/**
 * Every method of the client: the requests that it sends, how to call it and
 * what it returns. All suites are driven by this table, on every runtime: it
 * imports only types.
 */

import type {
  PermissionGroup,
  RequestOptions,
  User,
  V1Client,
} from "@decapod/decapodlib";

/** The models on the server, and the secrets of its users. */
export type World = Awaited<ReturnType<typeof makeWorld>>;

/** A request as it is sent. */
export interface Request {
  readonly method: "DELETE" | "GET" | "POST" | "PUT";
  /** Without `/v1`; `{user}` is the id of the world's user. */
  readonly path: string;
  readonly query: Record<string, string>;
  readonly body?: ((world: World) => unknown) | undefined;
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

/** Without a session. */
const OPEN = { token: false, session: false };

/** A read of a path with a query. */
const get = (url: string, more: Partial<Request> = {}): Request => {
  const [path = "", search] = url.split("?");
  const query: Record<string, string> = {};
  // TypeScript without "dom.iterable" does not know its entries.
  new URLSearchParams(search).forEach((value, key) => query[key] = value);
  return { ...READ, path, query, ...more };
};
const checked = (url: string) => get(url, { checked: true });
const log = (more: Partial<Request> = {}) =>
  get("/execution/{execution}/log/", { response: "text", ...more });

const change =
  (method: Request["method"]) =>
  (path: string, body?: Body, more: Partial<Request> = {}): Request => (
    { ...READ, changes: true, retried: false, method, path, body, ...more }
  );
const post = change("POST");
const put = change("PUT");
const del = change("DELETE");
const edit = (path: string, body: Body) => [checked(path), put(path, body)];

/** A client also logs in by itself. */
export const LOGIN: Request = post(
  "/auth/",
  ({ password }) => ({ username: "root", password }),
  { ...OPEN, login: true, changes: false, retried: true, checked: true },
);

/** A new password, which must not appear in errors. */
export const NEW_PASSWORD = 'n€w p/ss"word&200%';
const NEW_SECRET = { password: NEW_PASSWORD };

/** A log that is short enough to arrive byte by byte. */
const LOG = "ok: [10.0.0.1]\nfür alle\n";

/** The names of the steps of the execution. */
const STEPS = ["task 000001", "task 000002", "task 000003"];

/** The options of methods that wait. */
const WAIT = { timeout: 2500, interval: { min: 10, max: 10 } };

/** The argument of the methods for password resets. */
const TOKEN = { argument: "resetToken" };

/** What is sent to create models. */
const USER = { login: "bob", email: "bob@example.com" };
const BOB = "Bób, 1 €";
const SERVER_ID = "44454C4C-4200-1051-8048-B7C04F4C4D31";
const SERVER = { host: "10.0.0.99", username: "ansible" };
const HINTS = [{ id: "mon_count", value: 1 }];
const PERMISSIONS: PermissionGroup[] = [
  { name: "playbook", permissions: ["cluster_deploy"] },
];

const CONFIGURATION = "/playbook_configuration/{configuration}/";
const STEPS_PATH = "/execution/{execution}/steps/";
const BY_ID = 'sort_by={"model_id":1}';

/** All items of an iterable. */
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const rename = <T extends { name: string }>(data: T): T => (
  { ...data, name: "renamed" }
);
const renameUser = <T extends { full_name: string }>(data: T): T => (
  { ...data, full_name: "renamed" }
);

/** The model with another name. */
const renamed = <T extends { data: { name: string } }>(model: T): T => (
  { ...model, data: rename(model.data) }
);
const renamedUser = ({ user }: World): User => (
  { ...user, data: renameUser(user.data) }
);

/** Without what the server does not accept. */
const renamedConfiguration = ({ configuration }: World) => {
  const { created_execution_id: _, ...data } = configuration.data;
  return renamed({ ...configuration, data });
};

/** A part of a result, and what it must be. */
type Compared = [actual: unknown, expected: unknown];

/** The text with ids of the world's models in place of their names. */
const fill = (text: string, world: World) =>
  text.replace(/\{(\w+)\}/g, (_, name) => valueOf(world, name));

/** An id or a secret of the world. */
function valueOf(world: World, name: string): string {
  const values: [string, string | { id: string }][] = Object.entries(world);
  const [, value = ""] = values.find(([key]) => key === name) ?? [];
  return typeof value === "string" ? value : value.id;
}

/** Where arguments come from; `id` is in the path of the first request. */
type From = [id: string, o: RequestOptions | undefined, world: World];

/** `entry(name, ...requests).calls(function).returns(compare)`. */
const entry = (name: string, ...requests: Request[]) => ({
  calls: <T>(call: (client: V1Client, ...from: From) => PromiseLike<T>) => ({
    returns(
      compare: (result: Awaited<T>, world: World) => Compared,
      more: Pick<Operation, "argument" | "waits"> = {},
    ): Operation {
      const [, id = ""] = /\{(\w+)\}/.exec(requests[0]?.path ?? "") ?? [];
      const run = (client: V1Client, world: World, o?: RequestOptions) =>
        Promise.resolve(call(client, valueOf(world, id), o, world));
      const verify = async (client: V1Client, world: World) => {
        const result = await run(client, world);
        const [actual, expected] = compare(result, world);
        return { result, actual, expected };
      };
      return { name, requests, run, verify, ...more };
    },
  }),
});

type Args<Method> = Method extends (...args: infer A) => unknown ? A : never;
type Result<Method> = Method extends (...args: never[]) => PromiseLike<infer T>
  ? T
  : never;

/** Calls a method by its name. */
const invoke = <T>(target: object, name: string, args: unknown[]): T =>
  Reflect.apply(Reflect.get(target, name), target, args);

/** `row(method, ...requests).args(default: id and options).returns(compare)`. */
const row = <Name extends keyof V1Client & string>(
  name: Name,
  ...requests: Request[]
) => {
  type Method = V1Client[Name];
  const calls = (argsOf: (...from: From) => unknown[]) =>
    entry(name, ...requests).calls((client, ...from) =>
      invoke<PromiseLike<Result<Method>>>(client, name, argsOf(...from))
    );
  return {
    ...calls((id, o) => id === "" ? [o] : [id, o]),
    args: (argsOf: (...from: From) => Args<Method>) => calls(argsOf),
  };
};

/** The path of a model, and the body that renames it. */
const renames = (kind: "role" | "cluster" | "server") => {
  const body = (world: World) => renamed(world[kind]);
  return [`/${kind}/{${kind}}/`, body] as const;
};

type Renamed = {
  data: { name?: string; full_name?: string };
  version: number;
};

const isRenamed = ({ data, version }: Renamed): Compared => [
  [data.name ?? data.full_name, version],
  ["renamed", 2],
];
const is = (name: keyof World) => (result: unknown, world: World): Compared => [
  result,
  world[name],
];
const isDeleted = (model: { time_deleted: number }): Compared => [
  model.time_deleted > 0,
  true,
];

/** The table. */
export const OPERATIONS: readonly Operation[] = [
  row("login", LOGIN).returns(({ data }) => [data.user.data.login, "root"]),
  row("logout", del("/auth/", undefined, { session: false }))
    .returns((nothing) => [nothing, undefined]),

  row(
    "getUsers",
    checked(
      '/user/?page=1&per_page=2&filter={"login":{"in":["root","ann"]}}' +
        '&sort_by={"login":1,"time_created":-1}',
    ),
  ).args((_, o) => [{
    page: 1,
    perPage: 2,
    filter: { login: { in: ["root", "ann"] } },
    sortBy: { login: 1, time_created: -1 },
    ...o,
  }]).returns(({ items, page, per_page, total }) => {
    const logins = items.map(({ data }) => data.login);
    return [[logins, page, per_page, total], [["ann", "root"], 1, 2, 2]];
  }),
  row("getUser", get("/user/{user}/")).returns(is("user")),
  row("getUserVersions", checked("/user/{user}/version/?page=1"))
    .args((id, o) => [id, { page: 1, ...o }])
    .returns(({ items, total }, { user }) => [[items, total], [[user], 1]]),
  row("getUserVersion", get("/user/{user}/version/1/"))
    .args((id, o) => [id, 1, o]).returns(is("user")),
  row("getUserSelf", get("/user/self/"))
    .returns(({ data }) => [data.login, "root"]),
  row(
    "createUser",
    post("/user/", ({ role: { id } }) => (
      { ...USER, full_name: BOB, role_id: id }
    )),
  ).args((_, o, { role }) => [{ ...USER, fullName: BOB, roleId: role.id }, o])
    .returns(({ data: { full_name, role_id }, version }, { role: { id } }) => [
      [full_name, role_id, version],
      [BOB, id, 1],
    ]),
  row("updateUser", put("/user/{user}/", renamedUser))
    .args((_, o, world) => [renamedUser(world), o]).returns(isRenamed),
  row("editUser", ...edit("/user/{user}/", renamedUser))
    .args((id, o) => [id, renameUser, o]).returns(isRenamed),
  row("deleteUser", del("/user/{user}/")).returns(isDeleted),

  row("getRoles", checked('/role/?filter={"name":{"ne":"admin"}}'))
    .args((_, o) => [{ filter: { name: { ne: "admin" } }, ...o }])
    .returns(({ items }, { role }) => [
      items.some(({ id }) => id === role.id),
      true,
    ]),
  row("getRole", get("/role/{role}/")).returns(is("role")),
  row("getRoleVersions", checked("/role/{role}/version/?all=1"))
    .args((id, o) => [id, { all: true, ...o }])
    .returns(({ items }, { role }) => [items, [role]]),
  row("getRoleVersion", get("/role/{role}/version/1/"))
    .args((id, o) => [id, 1, o]).returns(is("role")),
  row("getRoleSelf", get("/role/self/")).returns(({ data }) => {
    const classes = data.permissions.map(({ name }) => name).sort();
    return [classes, ["api", "playbook"]];
  }),
  row(
    "createRole",
    post("/role/", () => ({ name: "operator", permissions: PERMISSIONS })),
  ).args((_, o) => ["operator", PERMISSIONS, o])
    .returns(({ data, model }) => [[model, data.name], ["role", "operator"]]),
  row("updateRole", put(...renames("role")))
    .args((_, o, { role }) => [renamed(role), o]).returns(isRenamed),
  row("editRole", ...edit(...renames("role")))
    .args((id, o) => [id, rename, o]).returns(isRenamed),
  row("deleteRole", del("/role/{role}/")).returns(isDeleted),
  row("getPermissions", get("/permission/")).returns(({ items }) => {
    const api = items.find(({ name }) => name === "api");
    return [api?.permissions.includes("view_cinder"), true];
  }),

  row(
    "getClusters",
    checked('/cluster/?per_page=1&filter={"name":"ceph"}&sort_by={"_id":1}'),
  ).args((_, o) => {
    const filter = { name: "ceph" };
    return [{ perPage: 1, filter, sortBy: { _id: 1 }, ...o }];
  }).returns(({ items, per_page }, { cluster }) => [
    [items, per_page],
    [[cluster], 1],
  ]),
  row("getCluster", get("/cluster/{cluster}/")).returns(is("cluster")),
  row("getClusterVersions", checked("/cluster/{cluster}/version/"))
    .returns(({ items }, { cluster }) => [items, [cluster]]),
  row("getClusterVersion", get("/cluster/{cluster}/version/1/"))
    .args((id, o) => [id, 1, o]).returns(is("cluster")),
  row("createCluster", post("/cluster/", () => ({ name: "another" })))
    .args((_, o) => ["another", o])
    .returns(({ data }) => [[data.name, data.configuration], ["another", {}]]),
  row("updateCluster", put(...renames("cluster")))
    .args((_, o, { cluster }) => [renamed(cluster), o]).returns(isRenamed),
  row("editCluster", ...edit(...renames("cluster")))
    .args((id, o) => [id, rename, o]).returns(isRenamed),
  row("deleteCluster", del("/cluster/{cluster}/")).returns(isDeleted),
  row(
    "getCinderIntegration",
    get("/cinder_integration/{cluster}/?root=/opt/c%26ph"),
  ).args((id, o) => [id, { root: "/opt/c&ph", ...o }])
    .returns((files) => {
      const text = files["/opt/c&ph/ceph.client.volumes.keyring"];
      return [text, "[client.volumes]\n"];
    }, { argument: "clusterId" }),

  row(
    "getServers",
    checked(
      "/server/?page=2&per_page=2" +
        '&filter={"state":"operational","facts.ansible_memtotal_mb":{"gt":1}}',
    ),
  ).args((_, o) => {
    const memory = { "facts.ansible_memtotal_mb": { gt: 1 } };
    const filter = { state: "operational", ...memory } as const;
    return [{ page: 2, perPage: 2, filter, ...o }];
  }).returns(({ items, page, total }) => {
    const states = items.map(({ data }) => data.state);
    return [[states, page, total], [Array(2).fill("operational"), 2, 6]];
  }),
  row("getServer", get("/server/{server}/")).returns(is("server")),
  row("getServerVersions", checked("/server/{server}/version/?per_page=7"))
    .args((id, o) => [id, { perPage: 7, ...o }])
    .returns(({ items, per_page }, { server }) => [
      [items, per_page],
      [[server], 7],
    ]),
  row("getServerVersion", get("/server/{server}/version/1/"))
    .args((id, o) => [id, 1, o]).returns(is("server")),
  row("createServer", post("/server/", () => ({ id: SERVER_ID, ...SERVER })))
    .args((_, o) => [{ serverId: SERVER_ID, ...SERVER }, o])
    .returns((result) => [result, {}]),
  row("putServer", put(...renames("server")))
    .args((_, o, { server }) => [renamed(server), o]).returns(isRenamed),
  row("editServer", ...edit(...renames("server")))
    .args((id, o) => [id, rename, o]).returns(isRenamed),
  row("deleteServer", del("/server/{server}/")).returns(isDeleted),

  row("getPlaybooks", get("/playbook/")).returns(({ items }) => {
    const deploy = items.find(({ id }) => id === "cluster_deploy");
    return [deploy?.required_server_list, true];
  }),
  row(
    "getPlaybookConfigurations",
    checked('/playbook_configuration/?filter={"name":"deploy"}'),
  ).args((_, o) => [{ filter: { name: "deploy" }, ...o }])
    .returns(({ items }, { configuration }) => [
      items.map(({ id }) => id),
      [configuration.id],
    ]),
  row("getPlaybookConfiguration", get(CONFIGURATION))
    .returns(({ data }, { configuration }) => [
      data.configuration,
      configuration.data.configuration,
    ]),
  row(
    "getPlaybookConfigurationVersions",
    checked(`${CONFIGURATION}version/`),
  ).returns(({ items }) => [items.map(({ version }) => version), [1]]),
  row("getPlaybookConfigurationVersion", get(`${CONFIGURATION}version/1/`))
    .args((id, o) => [id, 1, o])
    .returns(({ data, version }) => [[data.name, version], ["deploy", 1]]),
  row(
    "createPlaybookConfiguration",
    post("/playbook_configuration/", ({ cluster, server }) => ({
      name: "another",
      cluster_id: cluster.id,
      playbook_id: "cluster_deploy",
      server_ids: [server.id],
      hints: HINTS,
      run: true,
    })),
  ).args((_, o, { cluster, server }) => [{
    name: "another",
    clusterId: cluster.id,
    playbookId: "cluster_deploy",
    serverIds: [server.id, server.id],
    hints: HINTS,
    runAfter: true,
  }, o]).returns(({ data }) => [data.created_execution_id?.length, 36]),
  row(
    "updatePlaybookConfiguration",
    put(CONFIGURATION, renamedConfiguration),
  ).args((_, o, world) => [renamedConfiguration(world), o]).returns(isRenamed),
  row(
    "editPlaybookConfiguration",
    ...edit(CONFIGURATION, renamedConfiguration),
  ).args((id, o) => [id, rename, o]).returns(isRenamed),
  row("deletePlaybookConfiguration", del(CONFIGURATION)).returns(isDeleted),

  row(
    "getExecutions",
    checked('/execution/?filter={"pc_version":{"lte":1}}'),
  ).args((_, o) => [{ filter: { pc_version: { lte: 1 } }, ...o }])
    .returns(({ items }, { execution }) => [items, [execution]]),
  row("getExecution", get("/execution/{execution}/"))
    .returns(({ initiator_id, data: { state, playbook_configuration } }) => {
      const { version, playbook_name } = playbook_configuration;
      return [
        [initiator_id, state, version, playbook_name],
        [null, "completed", 1, "hello_world"],
      ];
    }),
  row("getExecutionVersions", checked("/execution/{execution}/version/"))
    .returns(({ items }) => {
      const states = items.map(({ data }) => data.state);
      return [states, ["completed", "started", "created"]];
    }),
  row("getExecutionVersion", get("/execution/{execution}/version/1/"))
    .args((id, o) => [id, 1, o])
    .returns(({ data }) => [data.state, "created"]),
  row(
    "createExecution",
    post("/execution/", ({ configuration: { id } }) => ({
      playbook_configuration: { id, version: 1 },
    })),
  ).args((_, o, { configuration }) => [configuration.id, 1, o])
    .returns(({ data }) => [data.state, "created"]),
  row("cancelExecution", del("/execution/{execution}/"))
    .returns(is("execution")),
  row("waitForExecution", checked("/execution/{execution}/"))
    .args((id, o) => [id, { ...WAIT, ...o }])
    .returns(is("execution"), { waits: true }),
  entry(
    "followExecution",
    checked("/execution/{execution}/"),
    checked(`${STEPS_PATH}?per_page=100&sort_by={"time_finished":1,"_id":1}`),
    checked(`${STEPS_PATH}?per_page=1`),
  ).calls((client, id, o) => all(client.followExecution(id, { ...WAIT, ...o })))
    .returns((events) => {
      const seen = events.map((event) =>
        event.type === "step"
          ? event.step.data.name
          : event.execution.data.state
      );
      return [seen, [...STEPS, "completed"]];
    }, { waits: true }),
  row(
    "getExecutionSteps",
    checked(`${STEPS_PATH}?filter={"result":1}&sort_by={"time_finished":1}`),
  ).args((id, o) => {
    const filter = { result: 1 };
    return [id, { filter, sortBy: { time_finished: 1 }, ...o }];
  }).returns(({ items }, { execution }) => {
    const parts = items.map(({ id, data }) => [
      /^[\da-f]{24}$/.test(id),
      data.result,
      data.execution_id,
      typeof data.server_id,
    ]);
    return [parts, Array(3).fill([true, "ok", execution.id, "string"])];
  }),
  row("getExecutionLog", log()).returns((text) => [text, LOG]),
  entry("streamExecutionLog", log({ streamed: true }))
    .calls((client, id, o) => all(client.streamExecutionLog(id, o)))
    .returns((lines) => [lines, LOG.trimEnd().split("\n")]),

  entry(
    "getClusters iterated",
    checked(`/cluster/?per_page=2&${BY_ID}`),
    ...["secondId", "fourthId"].map((id) =>
      checked(
        `/cluster/?per_page=2&filter={"model_id":{"gt":"{${id}}"}}&${BY_ID}`,
      )
    ),
  ).calls((client, _, o) => all(client.getClusters({ perPage: 2, ...o })))
    .returns((clusters) => {
      const names = clusters.map(({ data }) => data.name).sort();
      return [[names.length, names[0], names[5]], [6, "ceph", "seeded1"]];
    }),
  entry(
    "getExecutionVersions iterated",
    checked("/execution/{execution}/version/?per_page=2"),
    checked("/execution/{execution}/version/?page=2&per_page=2"),
  ).calls((client, id, o) =>
    all(client.getExecutionVersions(id, { perPage: 2, ...o }))
  )
    .returns((versions) => [versions.map(({ version }) => version), [3, 2, 1]]),
  entry(
    "getExecutionSteps iterated",
    checked(`${STEPS_PATH}?per_page=2&sort_by={"_id":1}`),
    checked(`${STEPS_PATH}?page=2&per_page=2&sort_by={"_id":1}`),
  ).calls((client, id, o) =>
    all(client.getExecutionSteps(id, { perPage: 2, ...o }))
  )
    .returns((steps) => [steps.map(({ data }) => data.name), STEPS]),

  row("getInfo", get("/info/", OPEN)).returns(({ time: { unix }, version }) => [
    [typeof unix, typeof version],
    ["number", "string"],
  ]),
  row(
    "requestPasswordReset",
    post("/password_reset/", () => ({ login: "ann" }), OPEN),
  ).args((_, o) => ["ann", o])
    .returns(({ message }) => [message, "Password reset was requested."]),
  row("peekPasswordReset", get("/password_reset/{resetToken}/", OPEN))
    .returns(({ message }) => [message, "Password reset was requested"], TOKEN),
  row(
    "resetPassword",
    post("/password_reset/{resetToken}/", () => NEW_SECRET, OPEN),
  ).args((token, o) => [token, NEW_PASSWORD, o])
    .returns(({ message }) => [message, "Password has been reset"], TOKEN),
  entry("request", get("/cluster/{cluster}/"))
    .calls((client, id, o) => client.request("GET", `cluster/${id}`, o))
    .returns(is("cluster")),
];

/** Calls a method of the stand-in server or reads a property. */
export type Backstage = (member: string, ...args: unknown[]) => unknown;

/** Creates a model of each kind. */
export async function makeWorld(
  client: V1Client,
  password: string,
  backstage: Backstage,
) {
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
  // Where pages of two clusters end.
  const [, secondId = "", , fourthId = ""] = clusters.items
    .map(({ id }) => id).sort();
  await client.requestPasswordReset("ann");
  const mails = await backstage("mails") as { resetToken: string }[];
  const { resetToken = "" } = mails[mails.length - 1] ?? {};
  await client.logout();
  const models = { user, role, cluster, server, configuration, execution };
  return { ...models, resetToken, secondId, fourthId, password };
}

/** A request that a server has received, as far as it is compared. */
export function toWire({ method, path, query, body, headers }: {
  method: string;
  path: string;
  query: Record<string, string>;
  body?: unknown;
  headers: Headers | Record<string, string>;
}) {
  const all = new Headers(headers);
  return {
    method,
    path,
    query,
    body: body ?? null,
    authorization: all.get("authorization"),
    accept: all.get("accept"),
    contentType: all.get("content-type"),
  };
}

/** The requests of an operation, as the server must receive them. */
export function wireRequests(
  { requests }: Operation,
  world: World,
  token: string,
): ReturnType<typeof toWire>[] {
  return requests.map((request) => ({
    method: request.method,
    path: `/v1${fill(request.path, world)}`,
    query: Object.fromEntries(
      Object.entries(request.query)
        .map(([name, text]) => [name, fill(text, world)]),
    ),
    body: JSON.parse(JSON.stringify(request.body?.(world) ?? null)),
    authorization: request.token ? token : null,
    accept: request.response === "json" ? "application/json" : "text/plain",
    contentType: request.body ? "application/json" : null,
  }));
}
