/**
 * A typed client for [Decapod](https://decapod.readthedocs.io), the API server
 * that deploys and manages Ceph clusters with Ansible. It runs on Deno, Bun,
 * Node and edge runtimes.
 *
 * After `deno add jsr:@decapod/decapodlib`, save this as `first.ts` and run it
 * with `deno run -E -N first.ts`; it reads `DECAPOD_URL`, `DECAPOD_LOGIN` and
 * `DECAPOD_PASSWORD`:
 *
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 *
 * await using client = Client.fromEnv(); // logs in when needed, logs out here
 * for await (const server of client.getServers()) {
 *   console.log(server.data.fqdn, server.data.ip ?? "no IPv4 address");
 * }
 * ```
 *
 * A {@linkcode Listing} yields every item when it is iterated, and is one page
 * when it is awaited. Every change creates a new version; `edit…` methods also
 * handle concurrent edits. A playbook is configured, executed and followed:
 *
 * ```ts
 * import { Client, DecapodAPIError } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * await using client = Client.fromEnv({ timeout: 10_000, retries: 5 });
 * const cluster = await client.createCluster("ceph");
 * const servers = await client.getServers({ filter: { state: "operational" } })
 *   .toArray();
 * const free = servers.filter(({ data }) => data.cluster_id === null && data.ip);
 * const { id, version } = await client.createPlaybookConfiguration({
 *   name: "deploy ceph",
 *   clusterId: cluster.id,
 *   playbookId: "cluster_deploy",
 *   serverIds: free.slice(0, 2).map((server) => server.id),
 *   hints: [{ id: "mon_count", value: 1 }],
 * });
 * const execution = await client.createExecution(id, version);
 * let state = "";
 * for await (const event of client.followExecution(execution.id)) {
 *   if (event.type === "state") state = event.execution.data.state;
 *   else console.log(event.step.data.role, event.step.data.name);
 * }
 * assertEquals(state, "completed");
 *
 * try {
 *   await client.deleteCluster(cluster.id);
 * } catch (error) {
 *   if (!(error instanceof DecapodAPIError)) throw error;
 *   assertEquals(error.error, "CannotDeleteClusterWithServers");
 * }
 * ```
 *
 * A failed request throws a {@linkcode DecapodError}, an invalid argument a
 * `TypeError` or `RangeError`. Messages say what happened to which request and
 * what to do, and contain no secrets.
 * {@linkcode generateCloudConfig} creates user-data with which new hosts
 * register themselves.
 *
 * The README has a first script for each runtime and more examples; `docs/` has
 * pages on runtimes and TLS, user-data, testing, troubleshooting, reliability,
 * performance, and migration from Python's decapodlib.
 *
 * @module
 */

export { type Authenticator, type Login, noAuth, V1Auth } from "./auth.ts";
// Exported before V1Client, so that the documentation lists the class as Client.
export { V1Client as Client } from "./client.ts";
export { type ClientClass, V1Client } from "./client.ts";
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
  FetchInit,
  FetchResponse,
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
