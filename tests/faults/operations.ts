/** Every method that sends requests, and the kinds of its requests. */

import type {
  Cluster,
  Execution,
  PlaybookConfiguration,
  Role,
  Server,
  User,
  V1Client,
} from "../../mod.ts";
import { StandIn, TestClock } from "../standin/mod.ts";
import { makeClient, PASSWORD } from "../support/server.ts";

/** A request of a method. */
export interface Request {
  /** The type of its response. */
  readonly answer: "json" | "text";
  /** Whether the client checks the shape of the response. */
  readonly checked?: boolean;
  /** Whether it changes something. */
  readonly changes: boolean;
  /** Whether the client retries it. */
  readonly repeatable: boolean;
  /** Whether it is sent with a token. */
  readonly session: boolean;
  /** Whether it is a login. */
  readonly login?: boolean;
  /** Whether its response is yielded in chunks. */
  readonly streamed?: boolean;
}

/** A method of the client and how it is called. */
export interface Operation {
  readonly name: string;
  /** Its requests if nothing fails. */
  readonly requests: readonly Request[];
  /** Whether it continues after transient errors. */
  readonly waits?: boolean;
  /** Runs it until it ends or is aborted. */
  readonly run: (
    client: V1Client,
    world: World,
    options?: { signal: AbortSignal },
  ) => Promise<unknown>;
}

const GET: Request = {
  answer: "json",
  changes: false,
  repeatable: true,
  session: true,
};
/** A client also logs in by itself. */
export const LOGIN: Request = {
  ...GET,
  session: false,
  login: true,
  checked: true,
};
const CHANGE: Request = { ...GET, changes: true, repeatable: false };
const CHECKED: Request = { ...GET, checked: true };
const LOG: Request = { ...GET, answer: "text" };
const LOGOUT: Request = { ...CHANGE, session: false };

const open = (request: Request): Request => ({ ...request, session: false });

/** The models on the server of a cell. */
export interface World {
  readonly standIn: StandIn;
  readonly role: Role;
  readonly user: User;
  readonly cluster: Cluster;
  readonly server: Server;
  readonly configuration: PlaybookConfiguration;
  readonly execution: Execution;
  readonly resetToken: string;
}

/** A log short enough to arrive byte by byte. */
const LOG_TEXT = "PLAY [all]\nok: [10.0.0.1]\n";

/** A new password, which must not appear in errors. */
export const NEW_PASSWORD = 'n€w p/ss"word&200%';

/** The options of methods that wait. */
const WAIT_OPTIONS = { timeout: 2500, interval: { min: 10, max: 10 } };

/** Creates a model of each kind. */
export async function makeWorld(): Promise<World> {
  const clock = new TestClock();
  const standIn = new StandIn({
    now: clock.now,
    seed: 7,
    rootPassword: PASSWORD,
  });
  const client = makeClient("http://decapod", { fetch: standIn.fetch });
  const role = await client.createRole("observer", []);
  const user = await client.createUser({
    login: "ann",
    email: "ann@example.com",
    fullName: "Ann",
  });
  standIn.seedClusters(4);
  const seeded = standIn.seedExecution({ servers: 1, steps: 3, duration: 30 });
  const id = String(seeded.id);
  clock.advance(1000);
  const execution = await client.getExecution(id);
  standIn.setLog(id, LOG_TEXT);
  const cluster = await client.createCluster("ceph");
  standIn.setCinder(cluster.id, {
    config: "[global]\n",
    keyrings: { "ceph.client.keyring": "[client]\n" },
  });
  const server = await client.getServers({ perPage: 1 });
  const [first] = server.items;
  if (first === undefined) {
    throw new Error("Cannot set up: the stand-in has no server");
  }
  await client.requestPasswordReset("ann");
  const resetToken = standIn.mails.at(-1)?.resetToken ?? "";
  const configuration = await client.createPlaybookConfiguration({
    name: "deploy",
    clusterId: cluster.id,
    playbookId: "cluster_deploy",
    serverIds: [first.id],
  });
  await client.logout();
  return {
    standIn,
    role,
    user,
    cluster,
    server: first,
    configuration,
    execution,
    resetToken,
  };
}

const renamed = <T extends { data: { name: string } }>(model: T): T => ({
  ...model,
  data: { ...model.data, name: "renamed" },
});

const rename = <T extends { name: string }>(data: T): T => ({
  ...data,
  name: "renamed",
});

/** All items of an iterable. */
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

type Run = Operation["run"];

/** Methods of one request, by its kind. */
const SINGLE: readonly (readonly [Request, Record<string, Run>])[] = [
  [CHECKED, {
    getUsers: async (client, _, o) => await client.getUsers(o),
    getUserVersions: async (client, { user }, o) =>
      await client.getUserVersions(user.id, o),
    getRoles: async (client, _, o) => await client.getRoles(o),
    getRoleVersions: async (client, { role }, o) =>
      await client.getRoleVersions(role.id, o),
    getClusters: async (client, _, o) => await client.getClusters(o),
    getClusterVersions: async (client, { cluster }, o) =>
      await client.getClusterVersions(cluster.id, o),
    getServers: async (client, _, o) => await client.getServers(o),
    getServerVersions: async (client, { server }, o) =>
      await client.getServerVersions(server.id, o),
    getPlaybookConfigurations: async (client, _, o) =>
      await client.getPlaybookConfigurations(o),
    getPlaybookConfigurationVersions: async (client, { configuration }, o) =>
      await client.getPlaybookConfigurationVersions(configuration.id, o),
    getExecutions: async (client, _, o) => await client.getExecutions(o),
    getExecutionVersions: async (client, { execution }, o) =>
      await client.getExecutionVersions(execution.id, o),
    getExecutionSteps: async (client, { execution }, o) =>
      await client.getExecutionSteps(execution.id, o),
  }],
  [GET, {
    getUser: (client, { user }, o) => client.getUser(user.id, o),
    getUserVersion: (client, { user }, o) =>
      client.getUserVersion(user.id, 1, o),
    getUserSelf: (client, _, o) => client.getUserSelf(o),
    getRole: (client, { role }, o) => client.getRole(role.id, o),
    getRoleVersion: (client, { role }, o) =>
      client.getRoleVersion(role.id, 1, o),
    getRoleSelf: (client, _, o) => client.getRoleSelf(o),
    getPermissions: (client, _, o) => client.getPermissions(o),
    getCluster: (client, { cluster }, o) => client.getCluster(cluster.id, o),
    getClusterVersion: (client, { cluster }, o) =>
      client.getClusterVersion(cluster.id, 1, o),
    getServer: (client, { server }, o) => client.getServer(server.id, o),
    getServerVersion: (client, { server }, o) =>
      client.getServerVersion(server.id, 1, o),
    getPlaybooks: (client, _, o) => client.getPlaybooks(o),
    getPlaybookConfiguration: (client, { configuration }, o) =>
      client.getPlaybookConfiguration(configuration.id, o),
    getPlaybookConfigurationVersion: (client, { configuration }, o) =>
      client.getPlaybookConfigurationVersion(configuration.id, 1, o),
    getExecution: (client, { execution }, o) =>
      client.getExecution(execution.id, o),
    getExecutionVersion: (client, { execution }, o) =>
      client.getExecutionVersion(execution.id, 1, o),
    getCinderIntegration: (client, { cluster }, o) =>
      client.getCinderIntegration(cluster.id, o),
    request: (client, { cluster }, o) =>
      client.request("GET", `cluster/${cluster.id}`, o),
  }],
  [open(GET), {
    getInfo: (client, _, o) => client.getInfo(o),
    peekPasswordReset: (client, { resetToken }, o) =>
      client.peekPasswordReset(resetToken, o),
  }],
  [LOG, {
    getExecutionLog: (client, { execution }, o) =>
      client.getExecutionLog(execution.id, o),
  }],
  [{ ...LOG, streamed: true }, {
    streamExecutionLog: (client, { execution }, o) =>
      all(client.streamExecutionLog(execution.id, o)),
  }],
  [CHANGE, {
    createUser: (client, _, o) =>
      client.createUser({
        login: "bob",
        email: "bob@example.com",
        fullName: "Bob",
      }, o),
    updateUser: (client, { user }, o) =>
      client.updateUser({
        ...user,
        data: { ...user.data, full_name: "renamed" },
      }, o),
    deleteUser: (client, { user }, o) => client.deleteUser(user.id, o),
    createRole: (client, _, o) => client.createRole("operator", [], o),
    updateRole: (client, { role }, o) => client.updateRole(renamed(role), o),
    deleteRole: (client, { role }, o) => client.deleteRole(role.id, o),
    createCluster: (client, _, o) => client.createCluster("another", o),
    updateCluster: (client, { cluster }, o) =>
      client.updateCluster(renamed(cluster), o),
    deleteCluster: (client, { cluster }, o) =>
      client.deleteCluster(cluster.id, o),
    createServer: (client, _, o) =>
      client.createServer({
        serverId: "8a5bd8f0-0000-4000-8000-000000000001",
        host: "10.9.9.9",
        username: "ansible",
      }, o),
    putServer: (client, { server }, o) => client.putServer(renamed(server), o),
    deleteServer: (client, { server }, o) => client.deleteServer(server.id, o),
    createPlaybookConfiguration: (client, { cluster, server }, o) =>
      client.createPlaybookConfiguration({
        name: "another",
        clusterId: cluster.id,
        playbookId: "cluster_deploy",
        serverIds: [server.id],
      }, o),
    updatePlaybookConfiguration: (client, { configuration }, o) => {
      const { created_execution_id: _, ...data } = configuration.data;
      return client.updatePlaybookConfiguration(
        renamed({ ...configuration, data }),
        o,
      );
    },
    deletePlaybookConfiguration: (client, { configuration }, o) =>
      client.deletePlaybookConfiguration(configuration.id, o),
    createExecution: (client, { configuration }, o) =>
      client.createExecution(configuration.id, configuration.version, o),
    cancelExecution: (client, { execution }, o) =>
      client.cancelExecution(execution.id, o),
  }],
  [open(CHANGE), {
    requestPasswordReset: (client, _, o) =>
      client.requestPasswordReset("ann", o),
    resetPassword: (client, { resetToken }, o) =>
      client.resetPassword(resetToken, NEW_PASSWORD, o),
  }],
  [LOGIN, { login: (client, _, o) => client.login(o) }],
  [LOGOUT, { logout: (client, _, o) => client.logout(o) }],
];

/** Methods of more than one request. */
const COMPOUND: readonly Operation[] = [
  {
    name: "iterate getClusters",
    requests: [CHECKED, CHECKED, CHECKED],
    run: (client, _, o) => all(client.getClusters({ perPage: 2, ...o })),
  },
  {
    name: "iterate getExecutionVersions",
    requests: [CHECKED, CHECKED],
    run: (client, { execution }, o) =>
      all(client.getExecutionVersions(execution.id, { perPage: 2, ...o })),
  },
  {
    name: "iterate getExecutionSteps",
    requests: [CHECKED, CHECKED],
    run: (client, { execution }, o) =>
      all(client.getExecutionSteps(execution.id, { perPage: 2, ...o })),
  },
  {
    name: "waitForExecution",
    requests: [CHECKED],
    waits: true,
    run: (client, { execution }, o) =>
      client.waitForExecution(execution.id, { ...WAIT_OPTIONS, ...o }),
  },
  {
    name: "followExecution",
    requests: [CHECKED, CHECKED, CHECKED],
    waits: true,
    run: (client, { execution }, o) =>
      all(client.followExecution(execution.id, { ...WAIT_OPTIONS, ...o })),
  },
  {
    name: "editUser",
    requests: [CHECKED, CHANGE],
    run: (client, { user }, o) =>
      client.editUser(
        user.id,
        (data) => ({ ...data, full_name: "renamed" }),
        o,
      ),
  },
  {
    name: "editRole",
    requests: [CHECKED, CHANGE],
    run: (client, { role }, o) => client.editRole(role.id, rename, o),
  },
  {
    name: "editCluster",
    requests: [CHECKED, CHANGE],
    run: (client, { cluster }, o) => client.editCluster(cluster.id, rename, o),
  },
  {
    name: "editServer",
    requests: [CHECKED, CHANGE],
    run: (client, { server }, o) => client.editServer(server.id, rename, o),
  },
  {
    name: "editPlaybookConfiguration",
    requests: [CHECKED, CHANGE],
    run: (client, { configuration }, o) =>
      client.editPlaybookConfiguration(configuration.id, rename, o),
  },
];

/** All methods. */
export const OPERATIONS: readonly Operation[] = [
  ...SINGLE.flatMap(([request, runs]) =>
    Object.entries(runs).map(([name, run]) => ({
      name,
      requests: [request],
      run,
    }))
  ),
  ...COMPOUND,
];
