/**
 * A client for [Decapod](https://decapod.readthedocs.io), the API server that
 * deploys and looks after Ceph clusters with Ansible: typed, for Deno, Bun,
 * Node and edge runtimes.
 *
 * This page is the short form of the story. The package's README tells it in
 * full, with a table of all calls for those who come from Python's decapodlib;
 * the folder `docs` of the repository has more on cloud-init, runtimes and
 * reliability, and on what to do when something goes wrong.
 *
 * ## Install
 *
 * | for  | command                                                            |
 * | ---- | ------------------------------------------------------------------ |
 * | Deno | `deno add jsr:@decapod/decapodlib`                                 |
 * | Bun  | `bunx jsr add @decapod/decapodlib`                                 |
 * | Node | `npx jsr add @decapod/decapodlib`                                  |
 * | none | `import` it from `jsr:@decapod/decapodlib@^1` in a script for Deno |
 *
 * ## A first script
 *
 * It reads `DECAPOD_URL`, `DECAPOD_LOGIN` and `DECAPOD_PASSWORD`; without an
 * environment use `new Client(url, { login, password })`. The first call logs
 * in, the end of the block logs out.
 *
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 * import { assert } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * for await (const server of client.getServers()) {
 *   console.log(server.data.fqdn, server.data.ip);
 *   assert(server.data.fqdn.length > 0);
 * }
 * ```
 *
 * ## Listing
 *
 * A {@linkcode Listing} gives every item of every page when it is iterated, and
 * one page when it is awaited. Filters use the names of the server's database:
 * `model_id`, not `id`; `time_created`, not `time_updated`.
 *
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * const { items, total } = await client.getUsers({
 *   filter: { login: "root" },
 *   perPage: 10,
 * });
 * assertEquals(total, items.length);
 * ```
 *
 * ## Changing
 *
 * Each change makes a new version. `edit…` reads, changes and writes, again if
 * somebody else wrote meanwhile. A change is sent once; if its answer is lost
 * the error's `outcomeUnknown` is true.
 *
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * const role = await client.createRole("viewers", []);
 * const edited = await client.editRole(role.id, (data) => ({
 *   ...data,
 *   permissions: [{ name: "api", permissions: ["view_cluster"] }],
 * }));
 * assertEquals(edited.version, 2);
 * ```
 *
 * ## Running a playbook and watching it
 *
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * const cluster = await client.createCluster("story");
 * const servers = await client.getServers().toArray();
 * const free = servers.filter(({ data }) => data.cluster_id === null);
 * const { id, version } = await client.createPlaybookConfiguration({
 *   name: "deploy",
 *   clusterId: cluster.id,
 *   playbookId: "cluster_deploy",
 *   serverIds: free.slice(0, 1).map(({ id }) => id),
 * });
 * const execution = await client.createExecution(id, version);
 *
 * let state = "";
 * for await (const event of client.followExecution(execution.id)) {
 *   if (event.type === "state") state = event.execution.data.state;
 *   else console.log(event.step.data.role, event.step.data.name);
 * }
 * assertEquals(state, "completed");
 * ```
 *
 * {@linkcode V1Client.waitForExecution} only tells how it ended, and
 * {@linkcode V1Client.streamExecutionLog} reads the log line by line.
 *
 * ## Errors
 *
 * Whatever goes wrong on the way there and back is a {@linkcode DecapodError};
 * misuse is a `TypeError` or a `RangeError`, and nothing is sent. Each message
 * says in one line which request it was, what happened and what to do, and none
 * has a password or a token in it.
 *
 * ```ts
 * import { Client, DecapodAPIError } from "@decapod/decapodlib";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * const error = await assertRejects(
 *   () => client.createCluster("not a name"),
 *   DecapodAPIError,
 * );
 * assertEquals([error.code, error.error], [400, "InvalidJSONError"]);
 * ```
 *
 * ## New hosts that register themselves
 *
 * {@linkcode generateCloudConfig} makes the user-data for cloud-init with which
 * a host appears in `client.getServers()` by itself.
 *
 * ```ts
 * import { generateCloudConfig } from "@decapod/decapodlib";
 * import { assert } from "@std/assert";
 *
 * const userData = generateCloudConfig({
 *   url: "http://decapod.example:9999",
 *   serverDiscoveryToken: "26758c32-3421-4f3d-9603-e4b5337e7ecc",
 *   publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqf ansible@decapod",
 *   username: "ansible",
 * });
 * assert(userData.startsWith("#cloud-config\n"));
 * ```
 *
 * ## TLS, timeouts and retries
 *
 * `tls` takes a private CA and a client certificate as PEM texts, on Deno and
 * Bun; elsewhere give a `fetch` that has them. `timeout` is in milliseconds and
 * covers a whole call, 60,000 unless said. `retries`, 2 unless said, are for
 * what only reads and for logins. Each method takes
 * `{ signal, timeout, retries, headers }` as its last argument.
 *
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * const statuses: unknown[] = [];
 * await using client = Client.fromEnv({
 *   timeout: 10_000,
 *   retries: 5,
 *   onAttempt: ({ status }) => statuses.push(status),
 * });
 * await client.getInfo({ signal: AbortSignal.timeout(5_000), retries: 0 });
 * assertEquals(statuses, [200]);
 * ```
 *
 * ## Testing your own scripts
 *
 * A `fetch` of your own stands in for the server. A checkout of the repository
 * has a whole one in memory: `deno task standin`.
 *
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * const answers: Record<string, object> = {
 *   "/v1/auth/": { id: "a-token" },
 *   "/v1/cluster/": { items: [], page: 1, per_page: 25, total: 0 },
 * };
 * const client = new Client("http://decapod.test", {
 *   login: "root",
 *   password: "secret",
 *   fetch: (url) =>
 *     Promise.resolve(Response.json(answers[new URL(url).pathname])),
 * });
 * assertEquals(await client.getClusters().toArray(), []);
 * ```
 *
 * @module
 */

export { type Authenticator, type Login, noAuth, V1Auth } from "./auth.ts";
export { type ClientClass, V1Client, V1Client as Client } from "./client.ts";
export {
  type CloudConfigOptions,
  generateCloudConfig,
} from "./cloud_config.ts";
export * from "./errors.ts";
export { Listing } from "./listing.ts";
export type * from "./models.ts";
export type {
  Attempt,
  Change,
  CinderOptions,
  ClientOptions,
  CustomRequestOptions,
  FollowOptions,
  HeadersOption,
  Interval,
  ListOptions,
  NewPlaybookConfiguration,
  NewServer,
  NewUser,
  PageOptions,
  RequestOptions,
  TlsOptions,
  ToArrayOptions,
  TransportOptions,
  WaitOptions,
} from "./options.ts";
export { VERSION } from "./version.ts";
