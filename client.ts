/**
 * The client: one method for each endpoint of the Decapod API.
 *
 * @example
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * const user = await client.getUserSelf();
 * assertEquals(user.data.login, "root");
 * ```
 *
 * @module
 */

import { type Login, noAuth, V1Auth } from "./auth.ts";
import { readEnvironment } from "./internal/environment.ts";
import { followExecution, waitForExecution } from "./internal/executions.ts";
import { createListing } from "./internal/pagination.ts";
import { path, relativePath } from "./internal/path.ts";
import type { RequestSpec } from "./internal/request.ts";
import { singleLine } from "./internal/redact.ts";
import { Resource } from "./internal/resource.ts";
import {
  isUnauthorized,
  pickOptions,
  Transport,
} from "./internal/transport.ts";
import {
  NON_EMPTY_STRING,
  validate,
  validateOptions,
  type Validator,
} from "./internal/validate.ts";
import type { Listing } from "./listing.ts";
import type {
  Cluster,
  ClusterData,
  Execution,
  ExecutionEvent,
  ExecutionFields,
  ExecutionStep,
  Info,
  Items,
  Message,
  NamedFields,
  PermissionGroup,
  Playbook,
  PlaybookConfiguration,
  PlaybookConfigurationData,
  PlaybookConfigurationFields,
  Role,
  RoleData,
  Server,
  ServerData,
  ServerFields,
  StepFields,
  Token,
  User,
  UserData,
  UserFields,
} from "./models.ts";
import {
  type Change,
  CINDER_OPTIONS,
  type CinderOptions,
  CLIENT_OPTIONS,
  type ClientOptions,
  CUSTOM_REQUEST_OPTIONS,
  type CustomRequestOptions,
  type FollowOptions,
  type ListOptions,
  NEW_PLAYBOOK_CONFIGURATION,
  NEW_SERVER,
  NEW_USER,
  type NewPlaybookConfiguration,
  type NewServer,
  type NewUser,
  type PageOptions,
  REQUEST_OPTIONS,
  type RequestOptions,
  type WaitOptions,
} from "./options.ts";

/**
 * A constructor of clients.
 *
 * @category Client
 */
export type ClientClass<T> = new (
  url: string | URL,
  options: ClientOptions,
) => T;

/**
 * The base class of all API versions, which is not exported. What users import
 * as `Client` is {@linkcode V1Client}.
 *
 * @internal
 */
export abstract class Client implements AsyncDisposable {
  /** The class of the session. */
  static readonly AUTH_CLASS: (new (login: Login) => V1Auth) | null = null;

  /** The server's base URL, without the version of the API. */
  readonly url: string;

  /**
   * Creates a client. Nothing is sent until a method is called.
   *
   * @param url The server's base URL; a trailing `/v1` is removed.
   * @param options Login, password and settings.
   */
  constructor(url: string | URL, options: ClientOptions) {
    validateOptions(options, CLIENT_OPTIONS);
    for (const name of ["login", "password"] as const) {
      validate(name, options[name], NON_EMPTY_STRING);
    }
    this.url = baseUrl(url);
  }

  /**
   * Creates a client from the environment: `DECAPOD_URL`, `DECAPOD_LOGIN`,
   * `DECAPOD_PASSWORD` and optionally `DECAPOD_TIMEOUT` (in seconds),
   * `DECAPOD_DEBUG` (logs each attempt to stderr) and `DECAPOD_NO_VERIFY`
   * (turns verification of certificates off).
   *
   * @typeParam T The class of the client.
   * @param options Settings, which take precedence over the environment.
   * @returns The client.
   * @throws {TypeError} If a variable is missing or invalid.
   * @throws {RangeError} If `DECAPOD_TIMEOUT` is not a valid number of seconds.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv({ retries: 5 });
   * assertEquals((await client.getUserSelf()).data.login, "root");
   * ```
   */
  static fromEnv<T extends Client>(
    this: ClientClass<T>,
    options: Partial<ClientOptions> = {},
  ): T {
    const environment = readEnvironment(options);
    return new this(environment.url, environment.options);
  }

  /** Logs in. */
  abstract login(options?: RequestOptions): Promise<Token>;

  /** Logs out. */
  abstract logout(options?: RequestOptions): Promise<void>;

  /** Logs out at the end of the block, and never throws. */
  abstract [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A client of version 1 of the API; `Client` is its usual name.
 *
 * It logs in when a call first needs it, once for all concurrent calls, and
 * again when the session has expired. `await using` logs out at the end of the
 * block; without it call {@linkcode Client.logout}.
 *
 * What holds for every method:
 *
 * - The last argument has the signal, timeout, retries and headers of this call,
 *   as in {@linkcode RequestOptions}. `waitForExecution` and `followExecution`
 *   have no `retries`: they poll again anyway.
 * - An error status throws a {@linkcode DecapodAPIError}: 401 if the login or
 *   the password is wrong, 403 without the permission that the method names,
 *   404 for an unknown id or version. If no response arrives, the error is a
 *   `DecapodConnectionError`, or a `DecapodTimeoutError` after the timeout; if
 *   the response is not Decapod's, it is a `DecapodResponseError`.
 * - An invalid argument, such as an empty id or an unknown option, throws a
 *   `TypeError` or `RangeError`, and nothing is changed. Methods never throw
 *   synchronously.
 * - Listings are requested when they are awaited or iterated, and report their
 *   errors then. The default order in a method's documentation applies to the
 *   awaited page; iterations use the order described in {@linkcode Listing}.
 * - Every change creates a new version of a model. A deleted model can still be
 *   read by its id, with `time_deleted` set.
 *
 * Methods use `this`: call `client.getInfo()`, not a detached `getInfo()`. A
 * client has private fields, so it cannot be wrapped in a `Proxy`; mark it as
 * raw in reactive frameworks.
 *
 * @category Client
 * @example
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 * import { assert } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * for await (const server of client.getServers()) {
 *   assert(server.data.name);
 * }
 * ```
 */
export class V1Client extends Client {
  /** The class of the session. */
  static override readonly AUTH_CLASS: typeof V1Auth = V1Auth;

  readonly #auth: V1Auth;
  readonly #transport: Transport;
  readonly #credentials: { username: string; password: string };
  readonly #users: Resource<User>;
  readonly #roles: Resource<Role>;
  readonly #clusters: Resource<Cluster>;
  readonly #servers: Resource<Server>;
  readonly #configurations: Resource<PlaybookConfiguration>;
  readonly #executions: Resource<Execution>;

  /**
   * Creates a client. Nothing is sent until a method is called.
   *
   * @param url The server's base URL, such as `https://decapod.example`; a
   * path before `/v1` is kept.
   * @param options Login, password and settings.
   * @throws {TypeError} If the URL is invalid or contains credentials, if an
   * option is unknown or of the wrong type, or if the runtime does not support
   * `tls`.
   * @throws {RangeError} If `timeout` or `retries` is not a valid number.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * const client = new Client("https://decapod.example/", {
   *   login: "root",
   *   password: "secret",
   *   timeout: 10_000,
   * });
   * assertEquals(client.url, "https://decapod.example");
   * ```
   */
  constructor(url: string | URL, options: ClientOptions) {
    super(url, options);
    const { login, password } = options;
    const { timeout, retries, headers, tls, fetch, onAttempt } = options;
    const settings = { timeout, retries, headers, tls, fetch, onAttempt };
    this.#credentials = { username: login, password };
    const Auth = new.target.AUTH_CLASS; // a subclass may have its own
    this.#auth = new Auth((signal) => this.#postLogin({ signal }));
    const transport = new Transport(this.url, password, this.#auth, settings);
    this.#transport = transport;
    this.#users = new Resource(transport, "user");
    this.#roles = new Resource(transport, "role");
    this.#clusters = new Resource(transport, "cluster");
    this.#servers = new Resource(transport, "server");
    this.#configurations = new Resource(transport, "playbook_configuration");
    this.#executions = new Resource(transport, "execution");
  }

  /**
   * Logs out at the end of an `await using` block and closes this client's own
   * connections. It never throws.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    // A server that does not respond must not hold the program up.
    await this.logout({ timeout: DISPOSAL_TIMEOUT }).catch(() => {});
  }

  // Session

  /**
   * Logs in even if there is a session, or joins a login that is under way.
   * Usually not needed: the first call that needs a session logs in.
   * `POST /v1/auth/`
   *
   * @returns The token, whose `id` is a secret, with the user.
   */
  async login(options: RequestOptions = {}): Promise<Token> {
    return await this.#transport.withDeadline(
      LOGIN,
      options,
      // The caller's timeout limits its wait; other calls may wait longer.
      ({ signal, remaining }, { retries, headers }) =>
        this.#auth.login(
          signal,
          (signal) => this.#postLogin({ signal, retries, headers }),
          remaining / 2,
        ),
    );
  }

  /**
   * Logs out and ends everything under way: waits, iterations, streams and
   * retries reject; a single request that was sent already may finish. The next
   * call logs in again. Nothing is sent if nobody is logged in, and an expired
   * token is not an error. `DELETE /v1/auth/`
   *
   * @throws {DecapodError} If the logout request fails; the token is forgotten
   * nevertheless.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * const client = Client.fromEnv();
   * try {
   *   assertEquals((await client.getUserSelf()).data.login, "root");
   * } finally {
   *   await client.logout();
   * }
   * ```
   */
  async logout(options?: RequestOptions): Promise<void> {
    if (options !== undefined) validateOptions(options, REQUEST_OPTIONS);
    const transport = this.#transport;
    transport.cancelAll();
    // withDeadline() would throw at once, without forgetting the token.
    if (options?.signal?.aborted) this.#auth.revokeToken();
    try {
      await transport.withDeadline(LOGOUT, options, async (deadline, own) => {
        deadline.detach(); // another logout must not cancel this one
        const { signal } = deadline;
        // A login that fails leaves no token.
        const token = await this.#auth.end(signal)
          ?.catch(() => signal.throwIfAborted());
        if (!token) return;
        const headers = { ...own.headers, authorization: token.id };
        await transport.json(LOGOUT, { ...own, headers }, deadline);
      });
    } catch (error) {
      if (!isUnauthorized(error)) throw error;
    } finally {
      transport.close();
    }
  }

  // Users

  /**
   * Lists users: current versions that are not deleted, by full name by default.
   * Requires `view_user`. `GET /v1/user/`
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const users = client.getUsers({ filter: { login: "root" } });
   * for await (const user of users) assertEquals(user.data.login, "root");
   * ```
   */
  getUsers(options?: ListOptions<UserFields>): Listing<User> {
    return this.#users.list(options);
  }

  /**
   * Gets the current version of a user. Requires `view_user`. `GET
   * /v1/user/{id}/`
   */
  getUser(id: string, options?: RequestOptions): Promise<User> {
    return this.#users.get(id, options);
  }

  /**
   * Lists all versions of a user, newest first; none for an unknown id. Requires
   * `view_user` and `view_user_versions`. `GET /v1/user/{id}/version/`
   */
  getUserVersions(id: string, options?: PageOptions): Listing<User> {
    return this.#users.listVersions(id, options);
  }

  /**
   * Gets one version of a user. Requires `view_user` and `view_user_versions`.
   * `GET /v1/user/{id}/version/{version}/`
   */
  getUserVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<User> {
    return this.#users.getVersion(id, version, options);
  }

  /**
   * Gets the user who is logged in. Requires no permission. `GET /v1/user/self/`
   */
  getUserSelf(options?: RequestOptions): Promise<User> {
    return this.#users.get("self", options);
  }

  /**
   * Creates a user. The server generates a password and sends it by e-mail.
   * Requires `view_user` and `create_user`. `POST /v1/user/`
   *
   * @throws {DecapodAPIError} 400 `ImpossibleToCreateSuchModel` if login or
   * e-mail are taken, 400 `InvalidJSONError` if a value is invalid.
   */
  async createUser(user: NewUser, options?: RequestOptions): Promise<User> {
    validateOptions(user, NEW_USER, "new user");
    const { login, email, fullName, roleId = null } = user;
    const body = { login, email, full_name: fullName, role_id: roleId };
    return await this.#users.create(body, options);
  }

  /**
   * Writes a changed copy of the whole user as a new version; all fields of
   * `data` can change. {@linkcode Client.editUser} also handles concurrent
   * edits. Requires `view_user` and `edit_user`. `PUT /v1/user/{id}/`
   *
   * @throws {DecapodAPIError} 400 `CannotUpdateManagedFieldsError` if someone
   * else changed it since it was read.
   */
  updateUser(user: User, options?: RequestOptions): Promise<User> {
    return this.#users.update(user, options);
  }

  /**
   * Reads a user, changes its data and writes it, and repeats this if someone
   * else changed it in between; all fields of `data` can change. `change` may be
   * called several times. Requires `view_user` and `edit_user`.
   *
   * @throws {DecapodAPIError} 400 if the new data is invalid or a duplicate.
   */
  editUser(
    id: string,
    change: Change<UserData>,
    options?: RequestOptions,
  ): Promise<User> {
    return this.#users.edit(id, change, options);
  }

  /**
   * Deletes a user: marks it as deleted and ends its sessions. Requires
   * `view_user` and `delete_user`. `DELETE /v1/user/{id}/`
   *
   * @throws {DecapodAPIError} 400 `CannotUpdateDeletedModel` if it is deleted
   * already.
   */
  deleteUser(id: string, options?: RequestOptions): Promise<User> {
    return this.#users.delete(id, options);
  }

  // Roles

  /**
   * Lists roles: current versions that are not deleted, by name by default.
   * Requires `view_role`. `GET /v1/role/`
   */
  getRoles(options?: ListOptions<NamedFields>): Listing<Role> {
    return this.#roles.list(options);
  }

  /**
   * Gets the current version of a role. Requires `view_role`. `GET
   * /v1/role/{id}/`
   */
  getRole(id: string, options?: RequestOptions): Promise<Role> {
    return this.#roles.get(id, options);
  }

  /**
   * Lists all versions of a role, newest first; none for an unknown id. Requires
   * `view_role` and `view_role_versions`. `GET /v1/role/{id}/version/`
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { id } = await client.createRole("operators", []);
   * await client.editRole(id, (data) => ({ ...data, name: "ops" }));
   * const versions = await client.getRoleVersions(id).toArray();
   * assertEquals(versions.map(({ version }) => version), [2, 1]);
   * ```
   */
  getRoleVersions(id: string, options?: PageOptions): Listing<Role> {
    return this.#roles.listVersions(id, options);
  }

  /**
   * Gets one version of a role. Requires `view_role` and `view_role_versions`.
   * `GET /v1/role/{id}/version/{version}/`
   */
  getRoleVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<Role> {
    return this.#roles.getVersion(id, version, options);
  }

  /**
   * Gets the role of the user who is logged in; 404 if there is none. Requires
   * no permission. `GET /v1/role/self/`
   */
  getRoleSelf(options?: RequestOptions): Promise<Role> {
    return this.#roles.get("self", options);
  }

  /**
   * Creates a role. {@linkcode Client.getPermissions} lists the permissions;
   * the server drops unknown names. Requires `view_role` and `create_role`.
   * `POST /v1/role/`
   *
   * @throws {DecapodAPIError} 400 `ImpossibleToCreateSuchModel` if the name is
   * taken, 400 `BadRequest` if a class is unknown.
   */
  async createRole(
    name: string,
    permissions: PermissionGroup[],
    options?: RequestOptions,
  ): Promise<Role> {
    validate("name", name);
    validate("permissions", permissions);
    return await this.#roles.create({ name, permissions }, options);
  }

  /**
   * Writes a changed copy of the whole role as a new version; all fields of
   * `data` can change. {@linkcode Client.editRole} also handles concurrent
   * edits. Requires `view_role` and `edit_role`. `PUT /v1/role/{id}/`
   *
   * @throws {DecapodAPIError} 400 `CannotUpdateManagedFieldsError` if someone
   * else changed it since it was read.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const role = await client.createRole("guests", []);
   * const data = { ...role.data, name: "visitors" };
   * const updated = await client.updateRole({ ...role, data });
   * assertEquals(updated.data.name, "visitors");
   * ```
   */
  updateRole(role: Role, options?: RequestOptions): Promise<Role> {
    return this.#roles.update(role, options);
  }

  /**
   * Reads a role, changes its data and writes it, and repeats this if someone
   * else changed it in between; all fields of `data` can change. `change` may be
   * called several times. Requires `view_role` and `edit_role`.
   *
   * @throws {DecapodAPIError} 400 if the new data is invalid or a duplicate.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { id } = await client.createRole("auditors", []);
   * const edited = await client.editRole(id, (data) => ({
   *   ...data,
   *   permissions: [{ name: "api", permissions: ["view_cluster"] }],
   * }));
   * assertEquals(edited.version, 2);
   * ```
   */
  editRole(
    id: string,
    change: Change<RoleData>,
    options?: RequestOptions,
  ): Promise<Role> {
    return this.#roles.edit(id, change, options);
  }

  /**
   * Deletes a role. Requires `view_role` and `delete_role`. `DELETE
   * /v1/role/{id}/`
   *
   * @throws {DecapodAPIError} 400 `CannotDeleteRoleWithActiveUsers` if a user
   * has it, 400 `CannotUpdateDeletedModel` if it is deleted already.
   */
  deleteRole(id: string, options?: RequestOptions): Promise<Role> {
    return this.#roles.delete(id, options);
  }

  // Clusters

  /**
   * Lists clusters: current versions that are not deleted, by name by default.
   * Requires `view_cluster`. `GET /v1/cluster/`
   */
  getClusters(options?: ListOptions<NamedFields>): Listing<Cluster> {
    return this.#clusters.list(options);
  }

  /**
   * Gets the current version of a cluster. Requires `view_cluster`. `GET
   * /v1/cluster/{id}/`
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { id } = await client.createCluster("archive");
   * const cluster = await client.getCluster(id);
   * assertEquals(cluster.data.configuration, {});
   * ```
   */
  getCluster(id: string, options?: RequestOptions): Promise<Cluster> {
    return this.#clusters.get(id, options);
  }

  /**
   * Lists all versions of a cluster, newest first; none for an unknown id.
   * Requires `view_cluster` and `view_cluster_versions`. `GET
   * /v1/cluster/{id}/version/`
   */
  getClusterVersions(id: string, options?: PageOptions): Listing<Cluster> {
    return this.#clusters.listVersions(id, options);
  }

  /**
   * Gets one version of a cluster. Requires `view_cluster` and
   * `view_cluster_versions`. `GET /v1/cluster/{id}/version/{version}/`
   */
  getClusterVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<Cluster> {
    return this.#clusters.getVersion(id, version, options);
  }

  /**
   * Creates a cluster, which has no servers until a playbook deploys it. The
   * name consists of letters and digits. Requires `view_cluster` and
   * `create_cluster`. `POST /v1/cluster/`
   *
   * @throws {DecapodAPIError} 400 `InvalidJSONError` if the name is invalid, 400
   * `ImpossibleToCreateSuchModel` if it is taken.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("backup");
   * assertEquals([cluster.version, cluster.data.name], [1, "backup"]);
   * ```
   */
  async createCluster(
    name: string,
    options?: RequestOptions,
  ): Promise<Cluster> {
    validate("name", name);
    return await this.#clusters.create({ name }, options);
  }

  /**
   * Writes a changed copy of the whole cluster as a new version; only the name
   * can change. {@linkcode Client.editCluster} also handles concurrent edits.
   * Requires `view_cluster` and `edit_cluster`. `PUT /v1/cluster/{id}/`
   *
   * @throws {DecapodAPIError} 400 `CannotUpdateManagedFieldsError` if someone
   * else changed it since it was read.
   */
  updateCluster(cluster: Cluster, options?: RequestOptions): Promise<Cluster> {
    return this.#clusters.update(cluster, options);
  }

  /**
   * Reads a cluster, changes its data and writes it, and repeats this if someone
   * else changed it in between; only the name can change. `change` may be called
   * several times. Requires `view_cluster` and `edit_cluster`.
   *
   * @throws {DecapodAPIError} 400 if the new data is invalid or a duplicate.
   */
  editCluster(
    id: string,
    change: Change<ClusterData>,
    options?: RequestOptions,
  ): Promise<Cluster> {
    return this.#clusters.edit(id, change, options);
  }

  /**
   * Deletes a cluster that has no servers. Requires `view_cluster` and
   * `delete_cluster`. `DELETE /v1/cluster/{id}/`
   *
   * @throws {DecapodAPIError} 400 `CannotDeleteClusterWithServers` if it has
   * servers, also after a failed or canceled deployment: run the playbook
   * `purge_cluster`, which deletes the cluster itself; 400
   * `CannotUpdateDeletedModel` if it is deleted already.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { id } = await client.createCluster("temporary");
   * const deleted = await client.deleteCluster(id);
   * assertEquals(deleted.time_deleted > 0, true);
   * ```
   */
  deleteCluster(id: string, options?: RequestOptions): Promise<Cluster> {
    return this.#clusters.delete(id, options);
  }

  // Servers

  /**
   * Lists servers: current versions that are not deleted, by name by default.
   * Requires `view_server`. `GET /v1/server/`
   */
  getServers(options?: ListOptions<ServerFields>): Listing<Server> {
    return this.#servers.list(options);
  }

  /**
   * Gets the current version of a server. Requires `view_server`. `GET
   * /v1/server/{id}/`
   */
  getServer(id: string, options?: RequestOptions): Promise<Server> {
    return this.#servers.get(id, options);
  }

  /**
   * Lists all versions of a server, newest first; none for an unknown id.
   * Requires `view_server` and `view_server_versions`. `GET
   * /v1/server/{id}/version/`
   */
  getServerVersions(id: string, options?: PageOptions): Listing<Server> {
    return this.#servers.listVersions(id, options);
  }

  /**
   * Gets one version of a server. Requires `view_server` and
   * `view_server_versions`. `GET /v1/server/{id}/version/{version}/`
   */
  getServerVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<Server> {
    return this.#servers.getVersion(id, version, options);
  }

  /**
   * Announces a host, as hosts with user-data of {@linkcode generateCloudConfig}
   * do themselves. Decapod queues its discovery: the server appears in listings
   * some seconds later, or never if the host cannot be reached. Requires
   * `create_server`. `POST /v1/server/`
   *
   * @returns An empty object.
   */
  async createServer(
    server: NewServer,
    options?: RequestOptions,
  ): Promise<Record<string, never>> {
    validateOptions(server, NEW_SERVER, "new server");
    const { serverId, host, username } = server;
    const body = { id: serverId, host, username };
    return await this.#servers.create(body, options);
  }

  /**
   * Writes a changed copy of the whole server as a new version; only the name
   * can change. {@linkcode Client.editServer} also handles concurrent edits.
   * Requires `view_server` and `edit_server`. `PUT /v1/server/{id}/`
   *
   * @throws {DecapodAPIError} 400 `CannotUpdateManagedFieldsError` if someone
   * else changed it since it was read.
   */
  putServer(server: Server, options?: RequestOptions): Promise<Server> {
    return this.#servers.update(server, options);
  }

  /**
   * Reads a server, changes its data and writes it, and repeats this if someone
   * else changed it in between; only the name can change. `change` may be called
   * several times. Requires `view_server` and `edit_server`.
   *
   * @throws {DecapodAPIError} 400 if the new data is invalid or a duplicate.
   */
  editServer(
    id: string,
    change: Change<ServerData>,
    options?: RequestOptions,
  ): Promise<Server> {
    return this.#servers.edit(id, change, options);
  }

  /**
   * Deletes a server that belongs to no cluster. The host itself is not touched;
   * if it announces itself again, the server comes back. Requires `view_server`
   * and `delete_server`. `DELETE /v1/server/{id}/`
   *
   * @throws {DecapodAPIError} 400 if it belongs to a cluster, 400
   * `CannotUpdateDeletedModel` if it is deleted already.
   */
  deleteServer(id: string, options?: RequestOptions): Promise<Server> {
    return this.#servers.delete(id, options);
  }

  // Playbooks and their configurations

  /**
   * Gets the playbooks of the server and their hints. Requires no permission.
   * `GET /v1/playbook/`
   */
  getPlaybooks(options?: RequestOptions): Promise<Items<Playbook>> {
    return this.#transport.get(path`playbook`, options);
  }

  /**
   * Lists playbook configurations: current versions that are not deleted, newest
   * first by default. Requires `view_playbook_configuration`. `GET
   * /v1/playbook_configuration/`
   */
  getPlaybookConfigurations(
    options?: ListOptions<PlaybookConfigurationFields>,
  ): Listing<PlaybookConfiguration> {
    return this.#configurations.list(options);
  }

  /**
   * Gets the current version of a playbook configuration. Requires
   * `view_playbook_configuration`. `GET /v1/playbook_configuration/{id}/`
   */
  getPlaybookConfiguration(
    id: string,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    return this.#configurations.get(id, options);
  }

  /**
   * Lists all versions of a playbook configuration, newest first; none for an
   * unknown id. Requires `view_playbook_configuration` and
   * `view_playbook_configuration_version`. `GET
   * /v1/playbook_configuration/{id}/version/`
   */
  getPlaybookConfigurationVersions(
    id: string,
    options?: PageOptions,
  ): Listing<PlaybookConfiguration> {
    return this.#configurations.listVersions(id, options);
  }

  /**
   * Gets one version of a playbook configuration. Requires
   * `view_playbook_configuration` and `view_playbook_configuration_version`.
   * `GET /v1/playbook_configuration/{id}/version/{version}/`
   */
  getPlaybookConfigurationVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    return this.#configurations.getVersion(id, version, options);
  }

  /**
   * Creates a playbook configuration: a playbook for a cluster and its servers.
   * Requires `view_playbook_configuration` and `create_playbook_configuration`,
   * with `runAfter` also the permission for the playbook. `POST
   * /v1/playbook_configuration/`
   *
   * @throws {DecapodAPIError} 400 `UnknownPlaybookError`, `UnknownClusterError`,
   * `ServerListIsRequiredForPlaybookError`, `ServerListPolicyViolation` or
   * `ClusterMustBeDeployedError`.
   */
  async createPlaybookConfiguration(
    configuration: NewPlaybookConfiguration,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    validateOptions(
      configuration,
      NEW_PLAYBOOK_CONFIGURATION,
      "new playbook configuration",
    );
    const { name, clusterId, playbookId, serverIds } = configuration;
    const { hints = [], runAfter = false } = configuration;
    const body = {
      name,
      cluster_id: clusterId,
      playbook_id: playbookId,
      server_ids: [...new Set(serverIds)],
      hints,
      run: runAfter,
    };
    return await this.#configurations.create(body, options);
  }

  /**
   * Writes a changed copy of the whole playbook configuration as a new version;
   * name and configuration can change. {@linkcode
   * Client.editPlaybookConfiguration} also handles concurrent edits. Requires
   * `view_playbook_configuration` and `edit_playbook_configuration`. `PUT
   * /v1/playbook_configuration/{id}/`
   *
   * @throws {DecapodAPIError} 400 `CannotUpdateManagedFieldsError` if someone
   * else changed it since it was read.
   */
  updatePlaybookConfiguration(
    configuration: PlaybookConfiguration,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    return this.#configurations.update(configuration, options);
  }

  /**
   * Reads a playbook configuration, changes its data and writes it, and repeats
   * this if someone else changed it in between; name and configuration can
   * change. `change` may be called several times. Requires
   * `view_playbook_configuration` and `edit_playbook_configuration`.
   *
   * @throws {DecapodAPIError} 400 if the new data is invalid or a duplicate.
   */
  editPlaybookConfiguration(
    id: string,
    change: Change<PlaybookConfigurationData>,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    return this.#configurations.edit(id, change, options);
  }

  /**
   * Deletes a playbook configuration. Requires `view_playbook_configuration` and
   * `delete_playbook_configuration`. `DELETE /v1/playbook_configuration/{id}/`
   *
   * @throws {DecapodAPIError} 400 `CannotDeleteLockedPlaybookConfiguration` if it
   * is locked: an execution locks it when it starts, and only one that completes
   * unlocks it; 400 `CannotUpdateDeletedModel` if it is deleted already.
   */
  deletePlaybookConfiguration(
    id: string,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    return this.#configurations.delete(id, options);
  }

  // Executions

  /**
   * Lists executions: current versions that are not deleted, newest first by
   * default. Requires `view_execution`. `GET /v1/execution/`
   */
  getExecutions(options?: ListOptions<ExecutionFields>): Listing<Execution> {
    return this.#executions.list(options);
  }

  /**
   * Gets the current version of an execution. Requires `view_execution`. `GET
   * /v1/execution/{id}/`
   */
  getExecution(id: string, options?: RequestOptions): Promise<Execution> {
    return this.#executions.get(id, options);
  }

  /**
   * Lists all versions of an execution, newest first; none for an unknown id.
   * Requires `view_execution` and `view_execution_version`. `GET
   * /v1/execution/{id}/version/`
   */
  getExecutionVersions(id: string, options?: PageOptions): Listing<Execution> {
    return this.#executions.listVersions(id, options);
  }

  /**
   * Gets one version of an execution. Requires `view_execution` and
   * `view_execution_version`. `GET /v1/execution/{id}/version/{version}/`
   */
  getExecutionVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<Execution> {
    return this.#executions.getVersion(id, version, options);
  }

  /**
   * Executes a version of a playbook configuration. Executions that share a
   * server run one after the other. Requires `create_execution` and the
   * permission for the playbook. `POST /v1/execution/`
   *
   * @returns The execution in the state `created`.
   * @throws {DecapodAPIError} 400 `UnknownPlaybookConfiguration` or
   * `CannotExecuteOnDeletedCluster`.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const [configuration] = await client.getPlaybookConfigurations()
   *   .toArray({ limit: 1 });
   * if (configuration) {
   *   const { id, version } = configuration;
   *   const execution = await client.createExecution(id, version);
   *   assertEquals(execution.data.state, "created");
   * }
   * ```
   */
  async createExecution(
    playbookConfigurationId: string,
    playbookConfigurationVersion: number,
    options?: RequestOptions,
  ): Promise<Execution> {
    validate("playbookConfigurationId", playbookConfigurationId);
    validate("playbookConfigurationVersion", playbookConfigurationVersion);
    const playbook_configuration = {
      id: playbookConfigurationId,
      version: playbookConfigurationVersion,
    };
    return await this.#executions.create({ playbook_configuration }, options);
  }

  /**
   * Cancels an execution: one that is `started` becomes `canceling` and then
   * `canceled`. One that is still `created` becomes `canceled`, but **Decapod
   * executes it nevertheless**. An execution that has ended is returned
   * unchanged. Requires `delete_execution`. `DELETE /v1/execution/{id}/`
   */
  cancelExecution(id: string, options?: RequestOptions): Promise<Execution> {
    return this.#executions.delete(id, options);
  }

  /**
   * Lists the finished steps of an execution, latest first by default. A filter
   * by `result` takes its number: ok 1, error 2, skipped 3, unreachable 4.
   * Requires `view_execution` and `view_execution_steps`. `GET
   * /v1/execution/{id}/steps/`
   */
  getExecutionSteps(
    id: string,
    options?: ListOptions<StepFields>,
  ): Listing<ExecutionStep> {
    const steps = path`execution/${id}/steps`;
    return createListing(this.#transport, steps, "step", options);
  }

  /**
   * Gets the log of an execution that has ended: the output of
   * `ansible-playbook`. While it runs there is no log; see {@linkcode
   * Client.waitForExecution} and, for progress, {@linkcode
   * Client.followExecution}. Requires `view_execution` and
   * `view_execution_steps`. `GET /v1/execution/{id}/log/`
   *
   * @returns The whole log.
   * @throws {DecapodAPIError} 404 until the execution has ended.
   */
  getExecutionLog(id: string, options?: RequestOptions): Promise<string> {
    return this.#transport.text(logRequest(id), options);
  }

  /**
   * Reads the log of an execution that has ended line by line, in constant
   * memory. Lines have no `\n` or `\r\n`. `timeout` applies to each chunk. A log
   * that is truncated is an error, and its last line is not yielded. Permissions
   * and endpoint as for {@linkcode Client.getExecutionLog}.
   *
   * @throws {DecapodAPIError} 404 until the execution has ended.
   * @throws {DecapodConnectionError} If the connection is lost.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const [execution] = await client.getExecutions({
   *   filter: { state: "completed" },
   * }).toArray({ limit: 1 });
   * if (execution) {
   *   for await (const line of client.streamExecutionLog(execution.id)) {
   *     assert(!line.endsWith("\n"));
   *   }
   * }
   * ```
   */
  streamExecutionLog(
    id: string,
    options?: RequestOptions,
  ): AsyncGenerator<string, void, undefined> {
    return this.#transport.lines(logRequest(id), options);
  }

  /**
   * Waits until an execution has completed. It polls at growing intervals,
   * ignores transient errors (before the first response only for a minute), and
   * polls once more just before the deadline. `canceled` ends the wait if it is
   * expected or if the execution had started: an execution that is canceled
   * before it starts still runs.
   *
   * @throws {DecapodExecutionError} If it ended in another state; has the
   * execution and its failed steps.
   * @throws {DecapodWaitTimeoutError} If it did not end in time; has the
   * execution as last seen.
   *
   * @example
   * ```ts
   * import { Client, DecapodExecutionError } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { items } = await client.getExecutions({ perPage: 1 });
   * const [execution] = items; // the newest
   * if (execution) {
   *   try {
   *     await client.waitForExecution(execution.id, { timeout: 3_600_000 });
   *   } catch (error) {
   *     if (!(error instanceof DecapodExecutionError)) throw error;
   *     assert(error.execution.data.state !== "completed");
   *   }
   * }
   * ```
   */
  waitForExecution(id: string, options?: WaitOptions): Promise<Execution> {
    return waitForExecution(this, this.#transport, id, options);
  }

  /**
   * Follows an execution: yields each change of its state and each step once,
   * steps in the order in which they finished, the terminal state last. It may
   * start at any time, and ignores transient errors as {@linkcode
   * Client.waitForExecution} does. An execution that is canceled before it
   * starts is followed until it ends. Of more than 17 changes between two polls,
   * the last 17 are yielded. Leaving the loop does not cancel the execution.
   *
   * @throws {DecapodWaitTimeoutError} If it did not end in time.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { items } = await client.getExecutions({ perPage: 1 });
   * const [execution] = items; // the newest
   * if (execution) {
   *   for await (const event of client.followExecution(execution.id)) {
   *     if (event.type === "state") assert(event.execution.data.state);
   *     else assert(event.step.data.name);
   *   }
   * }
   * ```
   */
  followExecution(
    id: string,
    options?: FollowOptions,
  ): AsyncGenerator<ExecutionEvent, void, undefined> {
    return followExecution(this, this.#transport, id, options);
  }

  // Permissions, info, passwords, Cinder, custom requests

  /**
   * Gets all permissions, to create roles: class `api` for endpoints, class
   * `playbook` for playbooks. Requires `view_role`. `GET /v1/permission/`
   */
  getPermissions(options?: RequestOptions): Promise<Items<PermissionGroup>> {
    return this.#transport.get(path`permission`, options);
  }

  /**
   * Gets the server's time and version without logging in. `GET /v1/info/`
   */
  getInfo(options?: RequestOptions): Promise<Info> {
    return this.#transport.get(path`info`, options, { auth: noAuth });
  }

  /**
   * Requests a password reset: the user gets a reset token by e-mail. The old
   * password stays valid. Requires no login. `POST /v1/password_reset/`
   *
   * @throws {DecapodAPIError} 400 `UnknownUserError` if the login is unknown.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * await client.requestPasswordReset("root");
   * // The user passes on the token from the e-mail.
   * ```
   */
  async requestPasswordReset(
    login: string,
    options?: RequestOptions,
  ): Promise<Message> {
    validate("login", login);
    return await this.#transport.json({
      method: "POST",
      path: path`password_reset`,
      body: { login },
      auth: noAuth,
    }, options);
  }

  /**
   * Checks whether a reset token is valid, without using it. Requires no login.
   * `GET /v1/password_reset/{token}/`
   *
   * @throws {DecapodAPIError} 404 if the token is unknown or used.
   */
  peekPasswordReset(
    resetToken: string,
    options?: RequestOptions,
  ): Promise<Message> {
    const tokenPath = path`password_reset/${resetToken}`;
    return this.#transport.get(tokenPath, options, {
      auth: noAuth,
      secrets: [resetToken],
    });
  }

  /**
   * Sets a new password with a reset token. It ends all sessions of the user.
   * Requires no login. `POST /v1/password_reset/{token}/`
   *
   * @throws {DecapodAPIError} 404 if the token is unknown or used.
   */
  async resetPassword(
    resetToken: string,
    newPassword: string,
    options?: RequestOptions,
  ): Promise<Message> {
    validate("newPassword", newPassword);
    return await this.#transport.json({
      method: "POST",
      path: path`password_reset/${resetToken}`,
      body: { password: newPassword },
      auth: noAuth,
      secrets: [resetToken, newPassword],
    }, options);
  }

  /**
   * Gets the files with which Cinder, Glance and Nova use a cluster, by path:
   * keyrings and `ceph.conf`. They exist once the playbook `cinder_integration`
   * has completed, and contain keys. Requires `view_cinder`. `GET
   * /v1/cinder_integration/{clusterId}/`
   *
   * @throws {DecapodAPIError} 404 if there are none.
   */
  async getCinderIntegration(
    clusterId: string,
    options: CinderOptions = {},
  ): Promise<Record<string, string>> {
    validateOptions(options, CINDER_OPTIONS);
    const { root = "/etc/ceph" } = options;
    const query = `root=${encodeURIComponent(root.toWellFormed())}`;
    const files = path`cinder_integration/${clusterId}`;
    return await this.#transport.get(files, pickOptions(options), { query });
  }

  /**
   * Sends a request to an endpoint that has no method here, with the session,
   * retries and errors of this client. Its path, query and body may appear in
   * errors: use the client's own methods to reset passwords.
   *
   * @typeParam T The type of the response.
   * @param method The HTTP method.
   * @param endpoint The path below `/v1/`, such as `cluster/`.
   * @returns The JSON object of the response.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { items } = await client.request<{ items: unknown[] }>(
   *   "GET",
   *   "user/",
   *   { query: { per_page: 1 } },
   * );
   * assertEquals(items.length, 1);
   * ```
   */
  async request<T extends object = Record<string, unknown>>(
    method: "GET" | "POST" | "PUT" | "DELETE",
    endpoint: string,
    options: CustomRequestOptions = {},
  ): Promise<T> {
    validateOptions(options, CUSTOM_REQUEST_OPTIONS);
    validate("method", method, METHOD);
    const { query = {}, body } = options;
    if (method === "GET" && body !== undefined) {
      throw new TypeError("Invalid body: must not be set for GET");
    }
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined) continue;
      validate(`query.${singleLine(name, 80)}`, value, QUERY_VALUE);
      search.append(name, String(value));
    }
    const path = relativePath(endpoint);
    const spec = { method, path, query: search.toString(), body };
    return await this.#transport.json<T>(spec, pickOptions(options));
  }

  async #postLogin(options: RequestOptions): Promise<Token> {
    const body = this.#credentials;
    const spec = { ...LOGIN, body, auth: noAuth, isValid: isToken };
    const token = await this.#transport.json<Token>(spec, options);
    this.#transport.redactToken(token.id);
    return token;
  }
}

const LOGIN: RequestSpec = {
  method: "POST",
  path: path`auth`,
  idempotent: true,
};

const LOGOUT: RequestSpec = { method: "DELETE", path: path`auth` };

function logRequest(id: string): RequestSpec {
  return { method: "GET", path: path`execution/${id}/log` };
}

/** The timeout of the logout at disposal, in ms. If it fails, the token expires. */
const DISPOSAL_TIMEOUT = 5000;

const QUERY_VALUE: Validator = [
  "a string, a finite number or a boolean",
  (value) =>
    ["string", "boolean"].includes(typeof value) || Number.isFinite(value),
];

const METHOD: Validator = [
  "GET, POST, PUT or DELETE",
  (value) => ["GET", "POST", "PUT", "DELETE"].includes(String(value)),
];

/** Whether a response has a token that can be sent as a header. */
function isToken(body: { id?: unknown }): boolean {
  return typeof body.id === "string" && /^[\x21-\x7e]{1,255}$/.test(body.id);
}

/** Returns the base URL of the server; throws if the URL is invalid. */
function baseUrl(url: string | URL): string {
  if (!URL.canParse(url)) {
    throw new TypeError(
      "Invalid url: must be a complete URL such as https://decapod.example",
    );
  }
  const { protocol, username, password, search, hash, origin, pathname } =
    new URL(url);
  const problem = !/^https?:$/.test(protocol)
    ? `start with http:// or https://, got ${singleLine(protocol, 80)}`
    : username || password
    ? "have no credentials (pass them as login and password)"
    : search || hash
    ? "have no query and no fragment"
    : undefined;
  if (problem) throw new TypeError(`Invalid url: must ${problem}`);
  return origin + pathname.replace(/\/+$/, "").replace(/\/+v1$/, "");
}
