/**
 * The client: one method for each thing that Decapod can do.
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
import {
  isObject,
  NON_EMPTY_STRING,
  validate,
  validateOptions,
  type Validator,
} from "./internal/validate.ts";
import { type Change, edit } from "./internal/editing.ts";
import { DecapodAPIError } from "./errors.ts";
import {
  type ExecutionEvent,
  followExecution,
  type FollowOptions,
  waitForExecution,
  type WaitOptions,
} from "./internal/executions.ts";
import { readHeaders } from "./internal/headers.ts";
import { each, lines } from "./internal/items.ts";
import { type Listing, makeListing } from "./internal/listing.ts";
import type {
  Cluster,
  ClusterData,
  Execution,
  ExecutionFields,
  ExecutionStep,
  HintValue,
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
import { type Path, path } from "./internal/path.ts";
import type {
  AnyListOptions,
  Listed,
  ListOptions,
  PageOptions,
} from "./internal/list_query.ts";
import {
  type Call,
  REQUEST_OPTIONS,
  type RequestOptions,
  Transport,
  type TransportOptions,
} from "./internal/transport.ts";

/** How to reach a server and behave towards it. */
export interface ClientOptions extends TransportOptions {
  /** The login of a user of Decapod. */
  login: string;
  /** The user's password. */
  password: string;
}

/** A user to create. */
export interface NewUser {
  /** The name to log in with. */
  login: string;
  /** The e-mail address, which the password is sent to. */
  email: string;
  /** The name to show; the server refuses an empty one. */
  fullName: string;
  /** The id of the user's role; none unless said. */
  roleId?: string | null;
}

/** A server to discover. */
export interface NewServer {
  /** The host's system UUID, as `dmidecode` tells it. */
  serverId: string;
  /** The host's address or fully qualified name, as Decapod can reach it. */
  host: string;
  /** The user that Ansible logs in as. */
  username: string;
}

/** A playbook configuration to create. */
export interface NewPlaybookConfiguration {
  /** The name to show. */
  name: string;
  /** The cluster's id. */
  clusterId: string;
  /** The playbook's id. */
  playbookId: string;
  /** The ids of the servers to run it on; each is sent once. */
  serverIds: string[];
  /** Values for the playbook's hints; its defaults for those left out. */
  hints?: HintValue[];
  /** Whether to run it at once; not unless said. */
  runAfter?: boolean;
}

/** What {@linkcode V1Client.getCinderIntegration} takes. */
export interface CinderOptions extends RequestOptions {
  /** The folder that the files are for; `/etc/ceph` unless said. */
  root?: string;
}

const CLIENT_OPTIONS = [
  "login",
  "password",
  "timeout",
  "retries",
  "headers",
  "tls",
  "fetch",
  "onAttempt",
];
const NEW_USER = ["login", "email", "fullName", "roleId"];
const NEW_SERVER = ["serverId", "host", "username"];
const NEW_CONFIGURATION = [
  "name",
  "clusterId",
  "playbookId",
  "serverIds",
  "hints",
  "runAfter",
];
const CINDER_OPTIONS = [...REQUEST_OPTIONS, "root"];

/** A constructor of clients. */
export type ClientClass<T> = new (
  url: string | URL,
  options: ClientOptions,
) => T;

/**
 * What clients of all versions of the API have in common. Use
 * {@linkcode V1Client}.
 *
 * @internal
 */
export abstract class Client implements AsyncDisposable {
  /** The class that keeps the session. */
  static readonly AUTH_CLASS: (new (login: Login) => V1Auth) | null = null;

  /** The server's base URL, without the version of the API. */
  readonly url: string;

  /**
   * Makes a client. Nothing is sent until a method is called.
   *
   * @param url The base URL of the server; `/v1` at its end is left out.
   * @param options Login, password and settings.
   * @throws {TypeError} If the URL is none, is not http or https or has
   * credentials in it, or if an option is misspelt or of the wrong type.
   * @throws {RangeError} If `timeout` or `retries` is out of range.
   */
  constructor(url: string | URL, options: ClientOptions) {
    validateOptions(options, CLIENT_OPTIONS);
    for (const name of ["login", "password"] as const) {
      validate(name, options[name], NON_EMPTY_STRING);
    }
    this.url = baseUrl(url);
  }

  /**
   * Makes a client from the environment: `DECAPOD_URL`, `DECAPOD_LOGIN`,
   * `DECAPOD_PASSWORD` and, in seconds, `DECAPOD_TIMEOUT`.
   *
   * @typeParam T The class of the client.
   * @param options Settings that the environment does not have, or that
   * count more than what it has.
   * @returns The client.
   * @throws {TypeError} If a variable is missing; the message says which.
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
    const variables = environment();
    const read = (name: string) => {
      const value = variables[`DECAPOD_${name}`];
      if (value) return value;
      throw new TypeError(
        `Cannot create a client from the environment: set DECAPOD_${name}`,
      );
    };
    const url = read("URL");
    const login = options.login ?? read("LOGIN");
    const password = options.password ?? read("PASSWORD");
    const seconds = variables["DECAPOD_TIMEOUT"];
    if (seconds) validate("DECAPOD_TIMEOUT", Number(seconds), SECONDS);
    return new this(url, {
      ...seconds && { timeout: Number(seconds) * 1000 },
      ...options,
      login,
      password,
    });
  }

  /**
   * Logs in.
   *
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The token.
   */
  abstract login(options?: RequestOptions): Promise<Token>;

  /**
   * Logs out.
   *
   * @param options Signal, timeout, retries and headers of this call.
   * @returns Nothing.
   */
  abstract logout(options?: RequestOptions): Promise<void>;

  /** Logs out at the end of the block, and never throws. */
  abstract [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A client of the API's version 1.
 *
 * It logs in when it has to, once for all calls that wait for it, and again
 * when the session has died. `await using` logs out at the end of the block.
 * Each method takes as its last argument a {@linkcode RequestOptions}.
 *
 * Whatever goes wrong between here and there is a `DecapodError`: an answer
 * with an error status a {@linkcode DecapodAPIError}, no answer a
 * `DecapodConnectionError`, none in time a `DecapodTimeoutError`, and one that
 * is not Decapod's a `DecapodResponseError`. Misuse, such as an empty id or a
 * misspelt option, is a `TypeError` or a `RangeError`, and nothing is sent. All
 * of them come as rejections, never as exceptions of the call itself.
 *
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
  /** The class that keeps the session. */
  static override readonly AUTH_CLASS: typeof V1Auth = V1Auth;

  readonly #auth: V1Auth;
  readonly #transport: Transport;
  readonly #credentials: { username: string; password: string };

  /**
   * Makes a client. Nothing is sent until a method is called.
   *
   * @param url The base URL of the server, such as `https://decapod.example`;
   * a path in front of `/v1` is kept.
   * @param options Login, password and settings.
   * @throws {TypeError} If the URL is none, is not http or https or has
   * credentials in it, if an option is misspelt or of the wrong type, or if
   * the runtime cannot do what `tls` asks for.
   * @throws {RangeError} If `timeout` or `retries` is out of range.
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
    const { login, password, ...transport } = options;
    this.#credentials = { username: login, password };
    this.#auth = new new.target.AUTH_CLASS((signal) =>
      this.#postLogin({ signal })
    );
    this.#transport = new Transport(
      this.url,
      password,
      this.#auth,
      transport,
    );
  }

  /**
   * Logs out at the end of an `await using` block and closes the connections
   * that are this client's own. It never throws.
   *
   * @returns Nothing.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * {
   *   await using client = Client.fromEnv();
   *   assertEquals((await client.getUserSelf()).data.login, "root");
   * } // logged out
   * ```
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.logout().catch(() => {}); // the token dies by itself
  }

  // Session

  /**
   * Logs in, even if somebody is logged in already. There is no need to: the
   * first call that needs it does it by itself, once for all calls that wait,
   * and again when the session has died (after 30 minutes without a call).
   *
   * A login that is on its way is joined. `POST /v1/auth/`
   *
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The token, whose `id` is a secret, with the user.
   * @throws {DecapodAPIError} 401 if login or password are wrong.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const token = await client.login();
   * assertEquals(token.data.user.data.login, "root");
   * ```
   */
  async login(options: RequestOptions = {}): Promise<Token> {
    validateOptions(options, REQUEST_OPTIONS);
    const { timeout, retries, headers, signal } = options;
    const call = { ...LOGIN, repeatable: true };
    // The caller's time limits its waiting; others may wait for the login too.
    return await this.#transport.within(
      call,
      { timeout, signal },
      (scope) =>
        this.#auth.login(
          scope.signal,
          (signal) => this.#postLogin({ signal, retries, headers }),
        ),
    );
  }

  /**
   * Logs out: the token dies, here and on the server. Calls that wait for a
   * login are rejected. The client can be used afterwards, the next call logs
   * in again.
   *
   * Nothing is sent if nobody is logged in; a token that is dead already is no
   * error. `DELETE /v1/auth/`
   *
   * @param options Signal, timeout, retries and headers of this call.
   * @returns Nothing.
   * @throws {DecapodError} If the server could not be told; the token is
   * forgotten all the same.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * await client.getUserSelf();
   * await client.logout();
   * assertEquals((await client.getUserSelf()).data.login, "root");
   * ```
   */
  async logout(options?: RequestOptions): Promise<void> {
    const call = { method: "DELETE", path: path`auth` } as const;
    // Aborted before it begins, it forgets the token all the same.
    if (options?.signal?.aborted) this.#auth.revokeToken();
    try {
      await this.#transport.within(call, options, async (scope) => {
        const login = this.#auth.end(scope.signal);
        // A login that fails leaves nothing behind.
        const token = await login?.catch(() => scope.signal.throwIfAborted());
        if (!token) return;
        const headers = {
          ...readHeaders(options?.headers),
          authorization: token.id,
        };
        await this.#transport.json(call, { ...options, headers }, scope)
          .catch((error) => {
            const dead = error instanceof DecapodAPIError && error.code === 401;
            if (!dead) throw error;
          });
      });
    } finally {
      this.#transport.close();
    }
  }

  // Users

  /**
   * Lists users: the latest versions of those that are not deleted, by full
   * name unless `sortBy` says otherwise.
   *
   * Needs the permission `view_user`. `GET /v1/user/`
   *
   * @param options Page, filter, order, and what each call takes.
   * @returns One page when awaited, every item when iterated.
   * @throws {TypeError} If the server would ignore or misread the filter or
   * the order; when it is used, as all errors of a listing.
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
    return this.#list("model", path`user`, options);
  }

  /**
   * Gets the latest version of a user, deleted or not.
   *
   * Needs the permission `view_user`. `GET /v1/user/{id}/`
   *
   * @param id The user's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The user.
   * @throws {DecapodAPIError} 404 if there is no such user.
   * @throws {TypeError} If the id is empty, `.` or `..`.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const user = await client.createUser({
   *   login: "getuser",
   *   email: "getuser@example.com",
   *   fullName: "Ann Example",
   * });
   * assertEquals((await client.getUser(user.id)).id, user.id);
   * ```
   */
  getUser(id: string, options?: RequestOptions): Promise<User> {
    return this.#call("GET", path`user/${id}`, options);
  }

  /**
   * Lists all versions of a user, the newest first.
   *
   * Needs the permissions `view_user` and `view_user_versions`. `GET
   * /v1/user/{id}/version/`
   *
   * @param id The user's id; an unknown one has no versions.
   * @param options Page, and what each call takes. There is no filter and no
   * order: the server would ignore them.
   * @returns One page when awaited, every version when iterated.
   * @throws {TypeError} If the id is empty, `.` or `..`; when it is used.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const user = await client.createUser({
   *   login: "versionsofuser",
   *   email: "versionsofuser@example.com",
   *   fullName: "Ann Example",
   * });
   * const versions = await client.getUserVersions(user.id).toArray();
   * assertEquals(versions.at(-1)?.version, 1);
   * ```
   */
  getUserVersions(id: string, options?: PageOptions): Listing<User> {
    return this.#list("version", path`user/${id}/version`, options);
  }

  /**
   * Gets one version of a user.
   *
   * Needs the permissions `view_user` and `view_user_versions`. `GET
   * /v1/user/{id}/version/{version}/`
   *
   * @param id The user's id.
   * @param version The number of the version, from 1.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The user as it was then.
   * @throws {DecapodAPIError} 404 if there is no such version.
   * @throws {RangeError} If the version is no whole number from 1.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const user = await client.createUser({
   *   login: "versionofuser",
   *   email: "versionofuser@example.com",
   *   fullName: "Ann Example",
   * });
   * const first = await client.getUserVersion(user.id, 1);
   * assertEquals(first.version, 1);
   * ```
   */
  getUserVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<User> {
    return this.#call("GET", path`user/${id}/version/${version}`, options);
  }

  /**
   * Gets the user who is logged in.
   *
   * Needs no permission. `GET /v1/user/self/`
   *
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The user.
   * @throws {DecapodError} If there is no answer, or an error.
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
   */
  getUserSelf(options?: RequestOptions): Promise<User> {
    return this.#call("GET", path`user/self`, options);
  }

  /**
   * Creates a user. The server makes a password and sends it by e-mail.
   *
   * Needs the permissions `view_user` and `create_user`. `POST /v1/user/`
   *
   * @param user Login, e-mail, full name and role.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The user, version 1.
   * @throws {DecapodAPIError} 400 `ImpossibleToCreateSuchModel` if login or
   * e-mail are taken, 400 `InvalidJSONError` if the server does not like a
   * value.
   * @throws {TypeError} If a name in `user` is misspelt.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const role = await client.createRole("newcomer", []);
   * const user = await client.createUser({
   *   login: "ann",
   *   email: "ann@example.com",
   *   fullName: "Ann Example",
   *   roleId: role.id,
   * });
   * assertEquals(user.data.role_id, role.id);
   * ```
   */
  async createUser(user: NewUser, options?: RequestOptions): Promise<User> {
    validateOptions(user, NEW_USER, "new user");
    const { login, email, fullName, roleId = null } = user;
    return await this.#call("POST", path`user`, options, {
      body: { login, email, full_name: fullName, role_id: roleId },
    });
  }

  /**
   * Replaces a user by a changed copy, which becomes a new version. Every
   * field of `data` can be changed. {@linkcode V1Client.editUser} does it in
   * one call and gets along with others who edit.
   *
   * Needs the permissions `view_user` and `edit_user`. `PUT /v1/user/{id}/`
   *
   * @param user The whole user as it was read, with other `data`.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The new version.
   * @throws {DecapodAPIError} 400 `CannotUpdateManagedFieldsError` if somebody
   * else changed it since, 400 `CannotUpdateDeletedModel` if it is deleted.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const user = await client.createUser({
   *   login: "updateuser",
   *   email: "updateuser@example.com",
   *   fullName: "Ann Example",
   * });
   * const changed = await client.updateUser({
   *   ...user,
   *   data: { ...user.data, full_name: "Ann Other" },
   * });
   * assertEquals(changed.data.full_name, "Ann Other");
   * ```
   */
  updateUser(user: User, options?: RequestOptions): Promise<User> {
    return this.#put("user", user, options);
  }

  /**
   * Reads a user, changes its data and writes it; if somebody else wrote
   * meanwhile, all of it again, up to 50 times. Every field of `data` can be
   * changed.
   *
   * A write is never repeated after a failure of the network: it may have
   * taken effect. Needs the permissions `view_user` and `edit_user`.
   *
   * @param id The user's id.
   * @param change Makes the new data of the current; called with fresh data
   * each time.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The version that was written.
   * @throws {DecapodAPIError} 404 if there is none, 400 if the server refuses
   * the new data, or if others kept writing first.
   * @throws {TypeError} If the function returns no object.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const user = await client.createUser({
   *   login: "edituser",
   *   email: "edituser@example.com",
   *   fullName: "Ann Example",
   * });
   * const changed = await client.editUser(user.id, (data) => ({
   *   ...data,
   *   full_name: "Ann Other",
   * }));
   * assertEquals(changed.data.full_name, "Ann Other");
   * ```
   */
  editUser(
    id: string,
    change: Change<UserData>,
    options?: RequestOptions,
  ): Promise<User> {
    return this.#edit(path`user/${id}`, change, options);
  }

  /**
   * Deletes a user: it is marked as deleted, is no longer listed and cannot be
   * changed any more. The sessions of the user end at once.
   *
   * Needs the permissions `view_user` and `delete_user`. `DELETE
   * /v1/user/{id}/`
   *
   * @param id The user's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The user with `time_deleted` set.
   * @throws {DecapodAPIError} 400 `CannotUpdateDeletedModel` if it is deleted
   * already, 404 if there is none.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const user = await client.createUser({
   *   login: "deleteuser",
   *   email: "deleteuser@example.com",
   *   fullName: "Ann Example",
   * });
   * const deleted = await client.deleteUser(user.id);
   * assert(deleted.time_deleted > 0);
   * ```
   */
  deleteUser(id: string, options?: RequestOptions): Promise<User> {
    return this.#call("DELETE", path`user/${id}`, options);
  }

  // Roles

  /**
   * Lists roles: the latest versions of those that are not deleted, by name
   * unless `sortBy` says otherwise.
   *
   * Needs the permission `view_role`. `GET /v1/role/`
   *
   * @param options Page, filter, order, and what each call takes.
   * @returns One page when awaited, every item when iterated.
   * @throws {TypeError} If the server would ignore or misread the filter or
   * the order; when it is used, as all errors of a listing.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const roles = await client.getRoles({ sortBy: { name: -1 } });
   * assertEquals(roles.page, 1);
   * ```
   */
  getRoles(options?: ListOptions<NamedFields>): Listing<Role> {
    return this.#list("model", path`role`, options);
  }

  /**
   * Gets the latest version of a role, deleted or not.
   *
   * Needs the permission `view_role`. `GET /v1/role/{id}/`
   *
   * @param id The role's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The role.
   * @throws {DecapodAPIError} 404 if there is no such role.
   * @throws {TypeError} If the id is empty, `.` or `..`.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const role = await client.createRole("getrole", []);
   * assertEquals((await client.getRole(role.id)).id, role.id);
   * ```
   */
  getRole(id: string, options?: RequestOptions): Promise<Role> {
    return this.#call("GET", path`role/${id}`, options);
  }

  /**
   * Lists all versions of a role, the newest first.
   *
   * Needs the permissions `view_role` and `view_role_versions`. `GET
   * /v1/role/{id}/version/`
   *
   * @param id The role's id; an unknown one has no versions.
   * @param options Page, and what each call takes. There is no filter and no
   * order: the server would ignore them.
   * @returns One page when awaited, every version when iterated.
   * @throws {TypeError} If the id is empty, `.` or `..`; when it is used.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const role = await client.createRole("versionsofrole", []);
   * const versions = await client.getRoleVersions(role.id).toArray();
   * assertEquals(versions.at(-1)?.version, 1);
   * ```
   */
  getRoleVersions(id: string, options?: PageOptions): Listing<Role> {
    return this.#list("version", path`role/${id}/version`, options);
  }

  /**
   * Gets one version of a role.
   *
   * Needs the permissions `view_role` and `view_role_versions`. `GET
   * /v1/role/{id}/version/{version}/`
   *
   * @param id The role's id.
   * @param version The number of the version, from 1.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The role as it was then.
   * @throws {DecapodAPIError} 404 if there is no such version.
   * @throws {RangeError} If the version is no whole number from 1.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const role = await client.createRole("versionofrole", []);
   * const first = await client.getRoleVersion(role.id, 1);
   * assertEquals(first.version, 1);
   * ```
   */
  getRoleVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<Role> {
    return this.#call("GET", path`role/${id}/version/${version}`, options);
  }

  /**
   * Gets the role of the user who is logged in.
   *
   * Needs no permission. `GET /v1/role/self/`
   *
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The role.
   * @throws {DecapodAPIError} 404 if the user has no role.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const role = await client.getRoleSelf();
   * assertEquals(role.model, "role");
   * ```
   */
  getRoleSelf(options?: RequestOptions): Promise<Role> {
    return this.#call("GET", path`role/self`, options);
  }

  /**
   * Creates a role. {@linkcode V1Client.getPermissions} says what can be
   * permitted; the server drops names that it does not know.
   *
   * Needs the permissions `view_role` and `create_role`. `POST /v1/role/`
   *
   * @param name The role's name.
   * @param permissions What users with this role may do.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The role, version 1.
   * @throws {DecapodAPIError} 400 `ImpossibleToCreateSuchModel` if the name is
   * taken, 400 `BadRequest` if a class of permissions is unknown.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const role = await client.createRole("viewer", [
   *   { name: "api", permissions: ["view_cluster", "view_server"] },
   * ]);
   * assertEquals(role.data.name, "viewer");
   * ```
   */
  async createRole(
    name: string,
    permissions: PermissionGroup[],
    options?: RequestOptions,
  ): Promise<Role> {
    validate("name", name);
    return await this.#call("POST", path`role`, options, {
      body: { name, permissions },
    });
  }

  /**
   * Replaces a role by a changed copy, which becomes a new version. Every
   * field of `data` can be changed. {@linkcode V1Client.editRole} does it in
   * one call and gets along with others who edit.
   *
   * Needs the permissions `view_role` and `edit_role`. `PUT /v1/role/{id}/`
   *
   * @param role The whole role as it was read, with other `data`.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The new version.
   * @throws {DecapodAPIError} 400 `CannotUpdateManagedFieldsError` if somebody
   * else changed it since, 400 `CannotUpdateDeletedModel` if it is deleted.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const role = await client.createRole("updaterole", []);
   * const changed = await client.updateRole({
   *   ...role,
   *   data: { ...role.data, name: "updaterole2" },
   * });
   * assertEquals(changed.data.name, "updaterole2");
   * ```
   */
  updateRole(role: Role, options?: RequestOptions): Promise<Role> {
    return this.#put("role", role, options);
  }

  /**
   * Reads a role, changes its data and writes it; if somebody else wrote
   * meanwhile, all of it again, up to 50 times. Every field of `data` can be
   * changed.
   *
   * A write is never repeated after a failure of the network: it may have
   * taken effect. Needs the permissions `view_role` and `edit_role`.
   *
   * @param id The role's id.
   * @param change Makes the new data of the current; called with fresh data
   * each time.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The version that was written.
   * @throws {DecapodAPIError} 404 if there is none, 400 if the server refuses
   * the new data, or if others kept writing first.
   * @throws {TypeError} If the function returns no object.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const role = await client.createRole("editrole", []);
   * const changed = await client.editRole(role.id, (data) => ({
   *   ...data,
   *   name: "editrole2",
   * }));
   * assertEquals(changed.data.name, "editrole2");
   * ```
   */
  editRole(
    id: string,
    change: Change<RoleData>,
    options?: RequestOptions,
  ): Promise<Role> {
    return this.#edit(path`role/${id}`, change, options);
  }

  /**
   * Deletes a role: it is marked as deleted, is no longer listed and cannot be
   * changed any more.
   *
   * Needs the permissions `view_role` and `delete_role`. `DELETE
   * /v1/role/{id}/`
   *
   * @param id The role's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The role with `time_deleted` set.
   * @throws {DecapodAPIError} 400 `CannotDeleteRoleWithActiveUsers` if users
   * have it, 400 `CannotUpdateDeletedModel` if it is deleted already, 404 if
   * there is none.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const role = await client.createRole("deleterole", []);
   * const deleted = await client.deleteRole(role.id);
   * assert(deleted.time_deleted > 0);
   * ```
   */
  deleteRole(id: string, options?: RequestOptions): Promise<Role> {
    return this.#call("DELETE", path`role/${id}`, options);
  }

  // Clusters

  /**
   * Lists clusters: the latest versions of those that are not deleted, by name
   * unless `sortBy` says otherwise.
   *
   * Needs the permission `view_cluster`. `GET /v1/cluster/`
   *
   * @param options Page, filter, order, and what each call takes.
   * @returns One page when awaited, every item when iterated.
   * @throws {TypeError} If the server would ignore or misread the filter or
   * the order; when it is used, as all errors of a listing.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("listed");
   * const { items } = await client.getClusters({
   *   filter: { name: { in: ["listed", "other"] } },
   * });
   * assertEquals(items, [cluster]);
   * ```
   */
  getClusters(options?: ListOptions<NamedFields>): Listing<Cluster> {
    return this.#list("model", path`cluster`, options);
  }

  /**
   * Gets the latest version of a cluster, deleted or not.
   *
   * Needs the permission `view_cluster`. `GET /v1/cluster/{id}/`
   *
   * @param id The cluster's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The cluster.
   * @throws {DecapodAPIError} 404 if there is no such cluster.
   * @throws {TypeError} If the id is empty, `.` or `..`.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("getcluster");
   * assertEquals((await client.getCluster(cluster.id)).id, cluster.id);
   * ```
   */
  getCluster(id: string, options?: RequestOptions): Promise<Cluster> {
    return this.#call("GET", path`cluster/${id}`, options);
  }

  /**
   * Lists all versions of a cluster, the newest first.
   *
   * Needs the permissions `view_cluster` and `view_cluster_versions`. `GET
   * /v1/cluster/{id}/version/`
   *
   * @param id The cluster's id; an unknown one has no versions.
   * @param options Page, and what each call takes. There is no filter and no
   * order: the server would ignore them.
   * @returns One page when awaited, every version when iterated.
   * @throws {TypeError} If the id is empty, `.` or `..`; when it is used.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("versionsofcluster");
   * const versions = await client.getClusterVersions(cluster.id).toArray();
   * assertEquals(versions.at(-1)?.version, 1);
   * ```
   */
  getClusterVersions(id: string, options?: PageOptions): Listing<Cluster> {
    return this.#list("version", path`cluster/${id}/version`, options);
  }

  /**
   * Gets one version of a cluster.
   *
   * Needs the permissions `view_cluster` and `view_cluster_versions`. `GET
   * /v1/cluster/{id}/version/{version}/`
   *
   * @param id The cluster's id.
   * @param version The number of the version, from 1.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The cluster as it was then.
   * @throws {DecapodAPIError} 404 if there is no such version.
   * @throws {RangeError} If the version is no whole number from 1.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("versionofcluster");
   * const first = await client.getClusterVersion(cluster.id, 1);
   * assertEquals(first.version, 1);
   * ```
   */
  getClusterVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<Cluster> {
    return this.#call("GET", path`cluster/${id}/version/${version}`, options);
  }

  /**
   * Creates a cluster. It has no servers until a playbook deploys it.
   *
   * Needs the permissions `view_cluster` and `create_cluster`. `POST
   * /v1/cluster/`
   *
   * @param name The cluster's name; letters and digits only.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The cluster, version 1.
   * @throws {DecapodAPIError} 400 `InvalidJSONError` if the name has other
   * characters, 400 `ImpossibleToCreateSuchModel` if it is taken.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("ceph");
   * assertEquals(cluster.data.configuration, {});
   * ```
   */
  async createCluster(
    name: string,
    options?: RequestOptions,
  ): Promise<Cluster> {
    validate("name", name);
    return await this.#call("POST", path`cluster`, options, { body: { name } });
  }

  /**
   * Replaces a cluster by a changed copy, which becomes a new version. Only
   * the name of `data` can be changed. {@linkcode V1Client.editCluster} does
   * it in one call and gets along with others who edit.
   *
   * Needs the permissions `view_cluster` and `edit_cluster`. `PUT
   * /v1/cluster/{id}/`
   *
   * @param cluster The whole cluster as it was read, with other `data`.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The new version.
   * @throws {DecapodAPIError} 400 `CannotUpdateManagedFieldsError` if somebody
   * else changed it since, 400 `CannotUpdateDeletedModel` if it is deleted.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("updatecluster");
   * const changed = await client.updateCluster({
   *   ...cluster,
   *   data: { ...cluster.data, name: "updatecluster2" },
   * });
   * assertEquals(changed.data.name, "updatecluster2");
   * ```
   */
  updateCluster(cluster: Cluster, options?: RequestOptions): Promise<Cluster> {
    return this.#put("cluster", cluster, options);
  }

  /**
   * Reads a cluster, changes its data and writes it; if somebody else wrote
   * meanwhile, all of it again, up to 50 times. Only the name of `data` can be
   * changed.
   *
   * A write is never repeated after a failure of the network: it may have
   * taken effect. Needs the permissions `view_cluster` and `edit_cluster`.
   *
   * @param id The cluster's id.
   * @param change Makes the new data of the current; called with fresh data
   * each time.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The version that was written.
   * @throws {DecapodAPIError} 404 if there is none, 400 if the server refuses
   * the new data, or if others kept writing first.
   * @throws {TypeError} If the function returns no object.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("editcluster");
   * const changed = await client.editCluster(cluster.id, (data) => ({
   *   ...data,
   *   name: "editcluster2",
   * }));
   * assertEquals(changed.data.name, "editcluster2");
   * ```
   */
  editCluster(
    id: string,
    change: Change<ClusterData>,
    options?: RequestOptions,
  ): Promise<Cluster> {
    return this.#edit(path`cluster/${id}`, change, options);
  }

  /**
   * Deletes a cluster: it is marked as deleted, is no longer listed and cannot
   * be changed any more.
   *
   * Needs the permissions `view_cluster` and `delete_cluster`. `DELETE
   * /v1/cluster/{id}/`
   *
   * @param id The cluster's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The cluster with `time_deleted` set.
   * @throws {DecapodAPIError} 400 `CannotDeleteClusterWithServers` if it is
   * deployed: purge it first, 400 `CannotUpdateDeletedModel` if it is deleted
   * already, 404 if there is none.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("deletecluster");
   * const deleted = await client.deleteCluster(cluster.id);
   * assert(deleted.time_deleted > 0);
   * ```
   */
  deleteCluster(id: string, options?: RequestOptions): Promise<Cluster> {
    return this.#call("DELETE", path`cluster/${id}`, options);
  }

  // Servers

  /**
   * Lists servers: the latest versions of those that are not deleted, by name
   * unless `sortBy` says otherwise.
   *
   * Needs the permission `view_server`. `GET /v1/server/`
   *
   * @param options Page, filter, order, and what each call takes.
   * @returns One page when awaited, every item when iterated.
   * @throws {TypeError} If the server would ignore or misread the filter or
   * the order; when it is used, as all errors of a listing.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const free = client.getServers({
   *   filter: { state: "operational", "facts.ansible_memtotal_mb": { gt: 0 } },
   * });
   * for await (const server of free) assertEquals(server.model, "server");
   * ```
   */
  getServers(options?: ListOptions<ServerFields>): Listing<Server> {
    return this.#list("model", path`server`, options);
  }

  /**
   * Gets the latest version of a server, deleted or not.
   *
   * Needs the permission `view_server`. `GET /v1/server/{id}/`
   *
   * @param id The server's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The server.
   * @throws {DecapodAPIError} 404 if there is no such server.
   * @throws {TypeError} If the id is empty, `.` or `..`.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { items: [server] } = await client.getServers({ perPage: 1 });
   * assert(server);
   * assertEquals((await client.getServer(server.id)).id, server.id);
   * ```
   */
  getServer(id: string, options?: RequestOptions): Promise<Server> {
    return this.#call("GET", path`server/${id}`, options);
  }

  /**
   * Lists all versions of a server, the newest first.
   *
   * Needs the permissions `view_server` and `view_server_versions`. `GET
   * /v1/server/{id}/version/`
   *
   * @param id The server's id; an unknown one has no versions.
   * @param options Page, and what each call takes. There is no filter and no
   * order: the server would ignore them.
   * @returns One page when awaited, every version when iterated.
   * @throws {TypeError} If the id is empty, `.` or `..`; when it is used.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { items: [server] } = await client.getServers({ perPage: 1 });
   * assert(server);
   * const versions = await client.getServerVersions(server.id).toArray();
   * assertEquals(versions.at(-1)?.version, 1);
   * ```
   */
  getServerVersions(id: string, options?: PageOptions): Listing<Server> {
    return this.#list("version", path`server/${id}/version`, options);
  }

  /**
   * Gets one version of a server.
   *
   * Needs the permissions `view_server` and `view_server_versions`. `GET
   * /v1/server/{id}/version/{version}/`
   *
   * @param id The server's id.
   * @param version The number of the version, from 1.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The server as it was then.
   * @throws {DecapodAPIError} 404 if there is no such version.
   * @throws {RangeError} If the version is no whole number from 1.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { items: [server] } = await client.getServers({ perPage: 1 });
   * assert(server);
   * const first = await client.getServerVersion(server.id, 1);
   * assertEquals(first.version, 1);
   * ```
   */
  getServerVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<Server> {
    return this.#call("GET", path`server/${id}/version/${version}`, options);
  }

  /**
   * Asks Decapod to discover a server. This only queues the discovery: the
   * server is listed when Decapod has logged in to it. As a rule hosts do this
   * themselves, with the user-data of `generateCloudConfig`.
   *
   * Needs the permission `create_server`, or the server discovery token as the
   * header `Authorization`. `POST /v1/server/`
   *
   * @param server Id, address and user.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns An empty object.
   * @throws {DecapodAPIError} 400 if the server does not like a value.
   * @throws {TypeError} If a name in `server` is misspelt.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const answer = await client.createServer({
   *   serverId: "40b96868-205e-48a2-b8f6-3e3fcfbc41ef",
   *   host: "10.0.0.10",
   *   username: "ansible",
   * });
   * assertEquals(answer, {});
   * ```
   */
  async createServer(
    server: NewServer,
    options?: RequestOptions,
  ): Promise<Record<string, never>> {
    validateOptions(server, NEW_SERVER, "new server");
    const { serverId, host, username } = server;
    return await this.#call("POST", path`server`, options, {
      body: { id: serverId, host, username },
    });
  }

  /**
   * Replaces a server by a changed copy, which becomes a new version. Only the
   * name of `data` can be changed, and it must be there. {@linkcode
   * V1Client.editServer} does it in one call and gets along with others who
   * edit.
   *
   * Needs the permissions `view_server` and `edit_server`. `PUT
   * /v1/server/{id}/`
   *
   * @param server The whole server as it was read, with other `data`.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The new version.
   * @throws {DecapodAPIError} 400 `CannotUpdateManagedFieldsError` if somebody
   * else changed it since, 400 `CannotUpdateDeletedModel` if it is deleted.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { items: [server] } = await client.getServers({ perPage: 1 });
   * assert(server);
   * const changed = await client.putServer({
   *   ...server,
   *   data: { ...server.data, name: "updateserver2" },
   * });
   * assertEquals(changed.data.name, "updateserver2");
   * ```
   */
  putServer(server: Server, options?: RequestOptions): Promise<Server> {
    return this.#put("server", server, options);
  }

  /**
   * Reads a server, changes its data and writes it; if somebody else wrote
   * meanwhile, all of it again, up to 50 times. Only the name of `data` can be
   * changed, and it must be there.
   *
   * A write is never repeated after a failure of the network: it may have
   * taken effect. Needs the permissions `view_server` and `edit_server`.
   *
   * @param id The server's id.
   * @param change Makes the new data of the current; called with fresh data
   * each time.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The version that was written.
   * @throws {DecapodAPIError} 404 if there is none, 400 if the server refuses
   * the new data, or if others kept writing first.
   * @throws {TypeError} If the function returns no object.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { items: [server] } = await client.getServers({ perPage: 1 });
   * assert(server);
   * const changed = await client.editServer(server.id, (data) => ({
   *   ...data,
   *   name: "editserver2",
   * }));
   * assertEquals(changed.data.name, "editserver2");
   * ```
   */
  editServer(
    id: string,
    change: Change<ServerData>,
    options?: RequestOptions,
  ): Promise<Server> {
    return this.#edit(path`server/${id}`, change, options);
  }

  /**
   * Deletes a server: it is marked as deleted, is no longer listed and cannot
   * be changed any more. The host itself is left alone.
   *
   * Needs the permissions `view_server` and `delete_server`. `DELETE
   * /v1/server/{id}/`
   *
   * @param id The server's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The server with `time_deleted` set.
   * @throws {DecapodAPIError} 400 if it belongs to a cluster, 400
   * `CannotUpdateDeletedModel` if it is deleted already, 404 if there is none.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * await client.createServer({
   *   serverId: "c9fe8583-3f39-37b8-f651-b93268fa7fb3",
   *   host: "10.0.0.99",
   *   username: "ansible",
   * });
   * const server = await client.getServer("c9fe8583-3f39-37b8-f651-b93268fa7fb3");
   * const deleted = await client.deleteServer(server.id);
   * assert(deleted.time_deleted > 0);
   * ```
   */
  deleteServer(id: string, options?: RequestOptions): Promise<Server> {
    return this.#call("DELETE", path`server/${id}`, options);
  }

  // Playbooks and their configurations

  /**
   * Gets the playbooks that the server can run, with the hints that they take.
   *
   * Needs no permission. `GET /v1/playbook/`
   *
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The playbooks as `items`.
   * @throws {DecapodError} If there is no answer, or an error.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { items } = await client.getPlaybooks();
   * assert(items.some(({ id }) => id === "cluster_deploy"));
   * ```
   */
  getPlaybooks(options?: RequestOptions): Promise<Items<Playbook>> {
    return this.#call("GET", path`playbook`, options);
  }

  /**
   * Lists playbook configurations: the latest versions of those that are not
   * deleted, newest first unless `sortBy` says otherwise.
   *
   * Needs the permission `view_playbook_configuration`. `GET
   * /v1/playbook_configuration/`
   *
   * @param options Page, filter, order, and what each call takes.
   * @returns One page when awaited, every item when iterated.
   * @throws {TypeError} If the server would ignore or misread the filter or
   * the order; when it is used, as all errors of a listing.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { page } = await client.getPlaybookConfigurations({
   *   filter: { playbook_id: "cluster_deploy" },
   * });
   * assertEquals(page, 1);
   * ```
   */
  getPlaybookConfigurations(
    options?: ListOptions<PlaybookConfigurationFields>,
  ): Listing<PlaybookConfiguration> {
    return this.#list("model", path`playbook_configuration`, options);
  }

  /**
   * Gets the latest version of a playbook configuration, deleted or not.
   *
   * Needs the permission `view_playbook_configuration`. `GET
   * /v1/playbook_configuration/{id}/`
   *
   * @param id The playbook configuration's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The playbook configuration.
   * @throws {DecapodAPIError} 404 if there is no such playbook configuration.
   * @throws {TypeError} If the id is empty, `.` or `..`.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("getplaybookconfiguration");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * assertEquals((await client.getPlaybookConfiguration(configuration.id)).id, configuration.id);
   * ```
   */
  getPlaybookConfiguration(
    id: string,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    return this.#call("GET", path`playbook_configuration/${id}`, options);
  }

  /**
   * Lists all versions of a playbook configuration, the newest first.
   *
   * Needs the permissions `view_playbook_configuration` and
   * `view_playbook_configuration_version`. `GET
   * /v1/playbook_configuration/{id}/version/`
   *
   * @param id The playbook configuration's id; an unknown one has no versions.
   * @param options Page, and what each call takes. There is no filter and no
   * order: the server would ignore them.
   * @returns One page when awaited, every version when iterated.
   * @throws {TypeError} If the id is empty, `.` or `..`; when it is used.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("versionsofplaybookconfiguration");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const versions = await client.getPlaybookConfigurationVersions(configuration.id).toArray();
   * assertEquals(versions.at(-1)?.version, 1);
   * ```
   */
  getPlaybookConfigurationVersions(
    id: string,
    options?: PageOptions,
  ): Listing<PlaybookConfiguration> {
    return this.#list(
      "version",
      path`playbook_configuration/${id}/version`,
      options,
    );
  }

  /**
   * Gets one version of a playbook configuration.
   *
   * Needs the permissions `view_playbook_configuration` and
   * `view_playbook_configuration_version`. `GET
   * /v1/playbook_configuration/{id}/version/{version}/`
   *
   * @param id The playbook configuration's id.
   * @param version The number of the version, from 1.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The playbook configuration as it was then.
   * @throws {DecapodAPIError} 404 if there is no such version.
   * @throws {RangeError} If the version is no whole number from 1.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("versionofplaybookconfiguration");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const first = await client.getPlaybookConfigurationVersion(configuration.id, 1);
   * assertEquals(first.version, 1);
   * ```
   */
  getPlaybookConfigurationVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    return this.#call(
      "GET",
      path`playbook_configuration/${id}/version/${version}`,
      options,
    );
  }

  /**
   * Makes a playbook ready to be run on servers of a cluster.
   *
   * Needs the permissions `view_playbook_configuration` and
   * `create_playbook_configuration`, with `runAfter` also the playbook's own.
   * `POST /v1/playbook_configuration/`
   *
   * @param configuration What to run, where and how.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The playbook configuration, version 1.
   * @throws {DecapodAPIError} 400 `UnknownPlaybookError`,
   * `UnknownClusterError`, `ServerListIsRequiredForPlaybookError`,
   * `ServerListPolicyViolation`, `ClusterMustBeDeployedError`; each says what
   * is amiss.
   * @throws {TypeError} If a name in `configuration` is misspelt.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("prepared");
   * const servers = await client.getServers().toArray();
   * const free = servers.filter(({ data }) => data.cluster_id === null);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: free.slice(0, 3).map(({ id }) => id),
   *   hints: [{ id: "mon_count", value: 1 }],
   * });
   * assertEquals(configuration.data.playbook_id, "cluster_deploy");
   * ```
   */
  async createPlaybookConfiguration(
    configuration: NewPlaybookConfiguration,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    validateOptions(
      configuration,
      NEW_CONFIGURATION,
      "new playbook configuration",
    );
    const {
      name,
      clusterId,
      playbookId,
      serverIds,
      hints = [],
      runAfter = false,
    } = configuration;
    validate("serverIds", serverIds);
    return await this.#call("POST", path`playbook_configuration`, options, {
      body: {
        name,
        cluster_id: clusterId,
        playbook_id: playbookId,
        server_ids: [...new Set(serverIds)],
        hints,
        run: runAfter,
      },
    });
  }

  /**
   * Replaces a playbook configuration by a changed copy, which becomes a new
   * version. Only name and configuration of `data` can be changed. {@linkcode
   * V1Client.editPlaybookConfiguration} does it in one call and gets along
   * with others who edit.
   *
   * Needs the permissions `view_playbook_configuration` and
   * `edit_playbook_configuration`. `PUT /v1/playbook_configuration/{id}/`
   *
   * @param configuration The whole playbook configuration as it was read, with
   * other `data`.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The new version.
   * @throws {DecapodAPIError} 400 `CannotUpdateManagedFieldsError` if somebody
   * else changed it since, 400 `CannotUpdateDeletedModel` if it is deleted.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("updateplaybookconfiguration");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const changed = await client.updatePlaybookConfiguration({
   *   ...configuration,
   *   data: { ...configuration.data, name: "updateplaybookconfiguration2" },
   * });
   * assertEquals(changed.data.name, "updateplaybookconfiguration2");
   * ```
   */
  updatePlaybookConfiguration(
    configuration: PlaybookConfiguration,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    return this.#put("playbook_configuration", configuration, options);
  }

  /**
   * Reads a playbook configuration, changes its data and writes it; if
   * somebody else wrote meanwhile, all of it again, up to 50 times. Only name
   * and configuration of `data` can be changed.
   *
   * A write is never repeated after a failure of the network: it may have
   * taken effect. Needs the permissions `view_playbook_configuration` and
   * `edit_playbook_configuration`.
   *
   * @param id The playbook configuration's id.
   * @param change Makes the new data of the current; called with fresh data
   * each time.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The version that was written.
   * @throws {DecapodAPIError} 404 if there is none, 400 if the server refuses
   * the new data, or if others kept writing first.
   * @throws {TypeError} If the function returns no object.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("editplaybookconfiguration");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const changed = await client.editPlaybookConfiguration(configuration.id, (data) => ({
   *   ...data,
   *   name: "editplaybookconfiguration2",
   * }));
   * assertEquals(changed.data.name, "editplaybookconfiguration2");
   * ```
   */
  editPlaybookConfiguration(
    id: string,
    change: Change<PlaybookConfigurationData>,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    return this.#edit(path`playbook_configuration/${id}`, change, options);
  }

  /**
   * Deletes a playbook configuration: it is marked as deleted, is no longer
   * listed and cannot be changed any more.
   *
   * Needs the permissions `view_playbook_configuration` and
   * `delete_playbook_configuration`. `DELETE /v1/playbook_configuration/{id}/`
   *
   * @param id The playbook configuration's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The playbook configuration with `time_deleted` set.
   * @throws {DecapodAPIError} 400 `CannotDeleteLockedPlaybookConfiguration`
   * while it is executed, 400 `CannotUpdateDeletedModel` if it is deleted
   * already, 404 if there is none.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("deleteplaybookconfiguration");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const deleted = await client.deletePlaybookConfiguration(configuration.id);
   * assert(deleted.time_deleted > 0);
   * ```
   */
  deletePlaybookConfiguration(
    id: string,
    options?: RequestOptions,
  ): Promise<PlaybookConfiguration> {
    return this.#call("DELETE", path`playbook_configuration/${id}`, options);
  }

  // Executions

  /**
   * Lists executions: the latest versions of those that are not deleted,
   * newest first unless `sortBy` says otherwise.
   *
   * Needs the permission `view_execution`. `GET /v1/execution/`
   *
   * @param options Page, filter, order, and what each call takes.
   * @returns One page when awaited, every item when iterated.
   * @throws {TypeError} If the server would ignore or misread the filter or
   * the order; when it is used, as all errors of a listing.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const running = client.getExecutions({
   *   filter: { state: { in: ["created", "started", "canceling"] } },
   * });
   * for await (const { model } of running) assertEquals(model, "execution");
   * ```
   */
  getExecutions(options?: ListOptions<ExecutionFields>): Listing<Execution> {
    return this.#list("model", path`execution`, options);
  }

  /**
   * Gets the latest version of an execution, deleted or not.
   *
   * Needs the permission `view_execution`. `GET /v1/execution/{id}/`
   *
   * @param id The execution's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The execution.
   * @throws {DecapodAPIError} 404 if there is no such execution.
   * @throws {TypeError} If the id is empty, `.` or `..`.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("getexecution");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const execution = await client.createExecution(
   *   configuration.id,
   *   configuration.version,
   * );
   * assertEquals((await client.getExecution(execution.id)).id, execution.id);
   * ```
   */
  getExecution(id: string, options?: RequestOptions): Promise<Execution> {
    return this.#call("GET", path`execution/${id}`, options);
  }

  /**
   * Lists all versions of an execution, the newest first: each change of its
   * state made one.
   *
   * Needs the permission `view_execution_version`. `GET
   * /v1/execution/{id}/version/`
   *
   * @param id The execution's id; an unknown one has no versions.
   * @param options Page, and what each call takes. There is no filter and no
   * order: the server would ignore them.
   * @returns One page when awaited, every version when iterated.
   * @throws {TypeError} If the id is empty, `.` or `..`; when it is used.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("versionsofexecution");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const execution = await client.createExecution(
   *   configuration.id,
   *   configuration.version,
   * );
   * const versions = await client.getExecutionVersions(execution.id).toArray();
   * assertEquals(versions.at(-1)?.version, 1);
   * ```
   */
  getExecutionVersions(id: string, options?: PageOptions): Listing<Execution> {
    return this.#list("version", path`execution/${id}/version`, options);
  }

  /**
   * Gets one version of an execution.
   *
   * Needs the permission `view_execution`. `GET
   * /v1/execution/{id}/version/{version}/`
   *
   * @param id The execution's id.
   * @param version The number of the version, from 1.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The execution as it was then.
   * @throws {DecapodAPIError} 404 if there is no such version.
   * @throws {RangeError} If the version is no whole number from 1.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("versionofexecution");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const execution = await client.createExecution(
   *   configuration.id,
   *   configuration.version,
   * );
   * const first = await client.getExecutionVersion(execution.id, 1);
   * assertEquals(first.version, 1);
   * ```
   */
  getExecutionVersion(
    id: string,
    version: number,
    options?: RequestOptions,
  ): Promise<Execution> {
    return this.#call("GET", path`execution/${id}/version/${version}`, options);
  }

  /**
   * Runs a playbook configuration.
   *
   * Needs the permission `create_execution` and that of the playbook. `POST
   * /v1/execution/`
   *
   * @param playbookConfigurationId The playbook configuration's id.
   * @param playbookConfigurationVersion Which version of it to run.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The execution, in the state `created`.
   * @throws {DecapodAPIError} 400 `UnknownPlaybookConfiguration` if there is
   * no such version, 400 `CannotExecuteOnDeletedCluster`.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("run");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const execution = await client.createExecution(
   *   configuration.id,
   *   configuration.version,
   * );
   * assertEquals(execution.data.state, "created");
   * ```
   */
  async createExecution(
    playbookConfigurationId: string,
    playbookConfigurationVersion: number,
    options?: RequestOptions,
  ): Promise<Execution> {
    validate("playbookConfigurationId", playbookConfigurationId);
    validate("playbookConfigurationVersion", playbookConfigurationVersion);
    return await this.#call("POST", path`execution`, options, {
      body: {
        playbook_configuration: {
          id: playbookConfigurationId,
          version: playbookConfigurationVersion,
        },
      },
    });
  }

  /**
   * Cancels an execution. What is `created` becomes `canceled`, what is
   * `started` becomes `canceling` and is `canceled` when its processes have
   * ended; an execution that has ended comes back unchanged.
   *
   * One that was canceled while it was `created` keeps its place in the
   * server's queue and may run all the same. Needs the permission
   * `delete_execution`. `DELETE /v1/execution/{id}/`
   *
   * @param id The execution's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The execution; wait for its end with `waitForExecution(id, {
   * expect: ["canceled"] })`.
   * @throws {DecapodAPIError} 404 if there is no such execution.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("cancel");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const execution = await client.createExecution(
   *   configuration.id,
   *   configuration.version,
   * );
   * const canceled = await client.cancelExecution(execution.id);
   * assertEquals(canceled.data.state, "canceled");
   * ```
   */
  cancelExecution(id: string, options?: RequestOptions): Promise<Execution> {
    return this.#call("DELETE", path`execution/${id}`, options);
  }

  /**
   * Lists the steps of an execution that have finished, the latest first
   * unless `sortBy` says otherwise.
   *
   * Needs the permissions `view_execution` and `view_execution_steps`. `GET
   * /v1/execution/{id}/steps/`
   *
   * @param id The execution's id.
   * @param options Page, filter, order, and what each call takes. The server
   * filters `result` by number: ok 1, error 2, skipped 3, unreachable 4.
   * @returns One page when awaited, every step when iterated.
   * @throws {DecapodAPIError} 404 if there is no such execution.
   * @throws {TypeError} If the server would ignore or misread the filter or
   * the order; when it is used.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("steps");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const execution = await client.createExecution(
   *   configuration.id,
   *   configuration.version,
   * );
   * const failed = await client.getExecutionSteps(execution.id, {
   *   filter: { result: { in: [2, 4] } },
   * });
   * assertEquals(failed.total, 0);
   * ```
   */
  getExecutionSteps(
    id: string,
    options?: ListOptions<StepFields>,
  ): Listing<ExecutionStep> {
    return this.#list("step", path`execution/${id}/steps`, options);
  }

  /**
   * Gets the log of an execution: what `ansible-playbook` has printed so far.
   *
   * Needs the permissions `view_execution` and `view_execution_steps`. `GET
   * /v1/execution/{id}/log/`
   *
   * @param id The execution's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The whole text; `streamExecutionLog` gives it line by line.
   * @throws {DecapodAPIError} 404 until there is a log.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertStringIncludes } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("log");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const execution = await client.createExecution(
   *   configuration.id,
   *   configuration.version,
   * );
   * await client.waitForExecution(execution.id, { interval: 100 });
   * const log = await client.getExecutionLog(execution.id);
   * assertStringIncludes(log, "TASK");
   * ```
   */
  getExecutionLog(id: string, options?: RequestOptions): Promise<string> {
    return this.#text(path`execution/${id}/log`, options);
  }

  /**
   * Reads the log of an execution line by line, in constant memory however
   * long it is. Lines end at `\n` or `\r\n`, which are left out; a last line
   * without an end is given too.
   *
   * `timeout` holds between two pieces of the body, not for the whole. A
   * stream that breaks off is an error: it is not repeated, and no torn line
   * is given. Leaving the loop closes the connection.
   *
   * @param id The execution's id.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The lines of what has been printed so far.
   * @throws {DecapodAPIError} 404 until there is a log.
   * @throws {DecapodConnectionError} If the stream breaks off.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("stream");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const execution = await client.createExecution(
   *   configuration.id,
   *   configuration.version,
   * );
   * await client.waitForExecution(execution.id, { interval: 100 });
   * let tasks = 0;
   * for await (const line of client.streamExecutionLog(execution.id)) {
   *   if (line.startsWith("TASK")) tasks++;
   * }
   * assert(tasks > 0);
   * ```
   */
  streamExecutionLog(
    id: string,
    options?: RequestOptions,
  ): AsyncGenerator<string, void, undefined> {
    return this.#lines(path`execution/${id}/log`, options);
  }

  /**
   * Waits until an execution has completed. It looks again and again, more and
   * more seldom, and once more just before the deadline. It outlasts a server
   * that is away for a while; one that was never seen is given a minute.
   *
   * Without a `timeout` there is no limit. A single look has the client's own.
   * An execution that was canceled while it was `created` may still run: what
   * is seen first is taken for the end.
   *
   * @param id The execution's id.
   * @param options How long and how often to look, what to wait for, whom to
   * tell of progress.
   * @returns The execution in the expected state.
   * @throws {DecapodExecutionError} If it ended otherwise; with the execution
   * and its failed steps.
   * @throws {DecapodWaitTimeoutError} If it did not end in time; with the
   * execution as last seen.
   * @throws {DecapodAPIError} 403 or 404 at once.
   * @throws {TypeError} If `expect` is empty.
   * @throws {RangeError} If a time is no time.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("wait");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const execution = await client.createExecution(
   *   configuration.id,
   *   configuration.version,
   * );
   * const states: string[] = [];
   * const done = await client.waitForExecution(execution.id, {
   *   interval: 100,
   *   timeout: 60_000,
   *   onUpdate: ({ data }) => {
   *     states.push(data.state);
   *   },
   * });
   * assertEquals(done.data.state, "completed");
   * assertEquals(states.at(-1), "completed");
   * ```
   */
  waitForExecution(id: string, options?: WaitOptions): Promise<Execution> {
    return waitForExecution(this, id, options);
  }

  /**
   * Follows an execution: gives each change of its state once and each step
   * once, steps in the order in which they finished, the end last. It can
   * begin in the middle of a run, with all steps so far, or after its end. It
   * outlasts what waiting outlasts.
   *
   * Only steps that were not seen yet are asked for. When the execution has
   * ended its steps are counted, and those that were written late are given
   * then. `completed`, `failed` and `canceled` are taken for the end: one that
   * was canceled while it was `created` may still run, follow it anew to see
   * that. Leaving the loop does not cancel the execution.
   *
   * @param id The execution's id.
   * @param options How long and how often to look.
   * @returns The events as they are seen.
   * @throws {DecapodWaitTimeoutError} If it did not end in time.
   * @throws {DecapodAPIError} 403 or 404 at once.
   * @throws {RangeError} If a time is no time.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("follow");
   * const servers = await client.getServers().toArray();
   * const free = servers.find(({ data }) => data.cluster_id === null);
   * assert(free);
   * const configuration = await client.createPlaybookConfiguration({
   *   name: "deploy",
   *   clusterId: cluster.id,
   *   playbookId: "cluster_deploy",
   *   serverIds: [free.id],
   * });
   * const execution = await client.createExecution(
   *   configuration.id,
   *   configuration.version,
   * );
   * let last = "";
   * for await (
   *   const event of client.followExecution(execution.id, { interval: 100 })
   * ) {
   *   last = event.type === "state" ? event.execution.data.state : event.step.data.name;
   * }
   * assertEquals(last, "completed");
   * ```
   */
  followExecution(
    id: string,
    options?: FollowOptions,
  ): AsyncGenerator<ExecutionEvent, void, undefined> {
    return followExecution(this, id, options);
  }

  // Everything else

  /**
   * Gets all permissions that there are, to make a role of: class `api` is for
   * endpoints, class `playbook` for playbooks to run.
   *
   * Needs the permission `view_role`. `GET /v1/permission/`
   *
   * @param options Signal, timeout, retries and headers of this call.
   * @returns The classes as `items`.
   * @throws {DecapodAPIError} 403 without the permission.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { items } = await client.getPermissions();
   * assertEquals(items.map(({ name }) => name).sort(), ["api", "playbook"]);
   * ```
   */
  getPermissions(options?: RequestOptions): Promise<Items<PermissionGroup>> {
    return this.#call("GET", path`permission`, options);
  }

  /**
   * Gets the server's time and version, to see whether it is there. Nobody is
   * logged in for it.
   *
   * Needs no permission and no token. `GET /v1/info/`
   *
   * @param options Signal, timeout, retries and headers of this call.
   * @returns Time and version.
   * @throws {DecapodError} If there is no answer, or an error.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assert } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const { version } = await client.getInfo();
   * assert(version.length > 0);
   * ```
   */
  getInfo(options?: RequestOptions): Promise<Info> {
    return this.#call("GET", path`info`, options, { auth: noAuth });
  }

  /**
   * Asks for a new password: the user gets an e-mail with a reset token. The
   * old password goes on working.
   *
   * Needs no permission and no token. `POST /v1/password_reset/`
   *
   * @param login The user's login.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns What the server says.
   * @throws {DecapodAPIError} 400 `UnknownUserError` if there is no such
   * login.
   *
   * @example
   * ```ts
   * import { Client } from "@decapod/decapodlib";
   * import { assertStringIncludes } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * await client.createUser({
   *   login: "forgetful",
   *   email: "forgetful@example.com",
   *   fullName: "Forgetful",
   * });
   * const { message } = await client.requestPasswordReset("forgetful");
   * assertStringIncludes(message, "requested");
   * ```
   */
  requestPasswordReset(
    login: string,
    options?: RequestOptions,
  ): Promise<Message> {
    return this.#call("POST", path`password_reset`, options, {
      body: { login },
      auth: noAuth,
    });
  }

  /**
   * Looks whether a reset token is still good, without using it up.
   *
   * Needs no permission and no token. `GET /v1/password_reset/{token}/`
   *
   * @param resetToken The token from the e-mail.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns What the server says.
   * @throws {DecapodAPIError} 404 if the token is unknown or used up.
   *
   * @example
   * ```ts
   * import { Client, DecapodAPIError } from "@decapod/decapodlib";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const error = await assertRejects(
   *   () => client.peekPasswordReset("used-up"),
   *   DecapodAPIError,
   * );
   * assertEquals(error.code, 404);
   * ```
   */
  peekPasswordReset(
    resetToken: string,
    options?: RequestOptions,
  ): Promise<Message> {
    return this.#call("GET", path`password_reset/${resetToken}`, options, {
      auth: noAuth,
      secrets: [resetToken],
    });
  }

  /**
   * Sets a new password. The reset token is used up, and all sessions of the
   * user end at once.
   *
   * Needs no permission and no token. `POST /v1/password_reset/{token}/`
   *
   * @param resetToken The token from the e-mail.
   * @param newPassword The new password; not empty.
   * @param options Signal, timeout, retries and headers of this call.
   * @returns What the server says.
   * @throws {DecapodAPIError} 404 if the token is unknown or used up.
   *
   * @example
   * ```ts
   * import { Client, DecapodAPIError } from "@decapod/decapodlib";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const error = await assertRejects(
   *   () => client.resetPassword("used-up", "a new password"),
   *   DecapodAPIError,
   * );
   * assertEquals(error.code, 404);
   * ```
   */
  resetPassword(
    resetToken: string,
    newPassword: string,
    options?: RequestOptions,
  ): Promise<Message> {
    return this.#call("POST", path`password_reset/${resetToken}`, options, {
      body: { password: newPassword },
      auth: noAuth,
      secrets: [resetToken, newPassword],
    });
  }

  /**
   * Gets the files that Cinder, Glance and Nova need to use a cluster:
   * keyrings and `ceph.conf`.
   *
   * Needs the permission `view_cinder`. `GET /v1/cinder_integration/{cluster
   * id}/`
   *
   * @param clusterId The cluster's id.
   * @param options The folder that the files are for, `/etc/ceph` unless
   * `root` says otherwise, and what each call takes.
   * @returns The text of each file under its path; there are keys in it.
   * @throws {DecapodAPIError} 404 if there is nothing for this cluster.
   *
   * @example
   * ```ts
   * import { Client, DecapodAPIError } from "@decapod/decapodlib";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * await using client = Client.fromEnv();
   * const cluster = await client.createCluster("withoutcinder");
   * const error = await assertRejects(
   *   () => client.getCinderIntegration(cluster.id, { root: "/etc/ceph" }),
   *   DecapodAPIError,
   * );
   * assertEquals(error.code, 404);
   * ```
   */
  async getCinderIntegration(
    clusterId: string,
    options: CinderOptions = {},
  ): Promise<Record<string, string>> {
    validateOptions(options, CINDER_OPTIONS);
    const { root = "/etc/ceph", ...rest } = options;
    return await this.#call(
      "GET",
      path`cinder_integration/${clusterId}`,
      rest,
      {
        query: `root=${encodeURIComponent(root.toWellFormed())}`,
      },
    );
  }

  // What the methods are made of

  #call<T extends object>(
    method: Call["method"],
    path: Path,
    options: RequestOptions | undefined,
    more?: Partial<Call>,
  ): Promise<T> {
    return this.#transport.json({ method, path, ...more }, options);
  }

  async #put<T extends { id: string }>(
    word: string,
    model: T,
    options: RequestOptions | undefined,
  ): Promise<T> {
    if (!isObject(model) || "then" in model) {
      throw new TypeError(
        `Cannot update: a whole ${word} as it was read is needed; is an await missing?`,
      );
    }
    const { id } = model;
    return await this.#call("PUT", path`${word}/${id}`, options, {
      body: model,
    });
  }

  #list<T extends { id: string; version: number }>(
    listed: Listed,
    path: Path,
    options: AnyListOptions | undefined,
  ): Listing<T> {
    const call = { method: "GET", path, fits: isPage } as const;
    return makeListing<T>(
      (query, options) => this.#transport.json({ ...call, query }, options),
      options,
      listed,
    );
  }

  #text(path: Path, options: RequestOptions | undefined): Promise<string> {
    return this.#transport.text({ method: "GET", path }, options);
  }

  #lines(
    path: Path,
    options: RequestOptions | undefined,
  ): AsyncGenerator<string, void, undefined> {
    const chunks = this.#transport.chunks({ method: "GET", path }, options);
    return each(lines(chunks), (some) => some, options?.signal);
  }

  #edit<M extends { data: object }>(
    path: Path,
    change: Change<M["data"]>,
    options: RequestOptions | undefined,
  ): Promise<M> {
    return edit<M>(this.#transport, path, change, options);
  }

  #postLogin(options: RequestOptions): Promise<Token> {
    return this.#transport.json({
      ...LOGIN,
      body: this.#credentials,
      auth: noAuth,
      repeatable: true,
      fits: isToken,
    }, options);
  }
}

const SECONDS: Validator = [
  "a positive number of seconds",
  (value) => Number(value) > 0,
];

const LOGIN = { method: "POST", path: path`auth` } as const;

function isPage(answer: object): boolean {
  const { items, page, per_page, total }: {
    items?: ({ id?: unknown } | null)[];
    page?: unknown;
    per_page?: unknown;
    total?: unknown;
  } = answer;
  return Array.isArray(items) &&
    items.every((item) => typeof item?.id === "string") &&
    [page, per_page, total].every((count) =>
      Number.isSafeInteger(count) && Number(count) >= 0
    ) && page !== 0;
}

/** Whether it has a token that can be sent as a header. */
function isToken(answer: object): boolean {
  return "id" in answer && typeof answer.id === "string" &&
    /^[\x21-\x7e]{1,255}$/.test(answer.id);
}

function baseUrl(url: string | URL): string {
  if (!URL.canParse(url)) {
    throw new TypeError(
      "Invalid url: a whole URL is needed, such as https://decapod.example",
    );
  }
  const { protocol, username, password, search, hash, origin, pathname } =
    new URL(url);
  if (!/^https?:$/.test(protocol)) {
    throw new TypeError(
      `Invalid url: http:// or https:// is needed in front, not ${protocol}`,
    );
  }
  if (username || password) {
    throw new TypeError(
      "Invalid url: it has credentials in it; give them as login and password",
    );
  }
  if (search || hash) {
    throw new TypeError(
      "Invalid url: it must have no query and no fragment, paths follow it",
    );
  }
  return origin + pathname.replace(/\/+$/, "").replace(/\/v1$/, "");
}

function environment(): Record<string, string | undefined> {
  const { process } = globalThis as {
    process?: { env?: Record<string, string | undefined> };
  };
  return process?.env ?? {};
}
