/**
 * A client for Decapod, the API server that deploys and looks after Ceph
 * clusters with Ansible.
 *
 * @example A first script
 * ```ts
 * import { Client } from "@decapod/decapodlib";
 * import { assert } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * for await (const server of client.getServers()) {
 *   assert(server.data.fqdn.length > 0);
 * }
 * ```
 *
 * @module
 */

export { type Authenticator, type Login, noAuth, V1Auth } from "./auth.ts";
export {
  type CinderOptions,
  type ClientClass,
  type ClientOptions,
  type NewPlaybookConfiguration,
  type NewServer,
  type NewUser,
  V1Client,
  V1Client as Client,
} from "./client.ts";
export {
  type CloudConfigOptions,
  generateCloudConfig,
} from "./cloud_config.ts";
export * from "./errors.ts";
export type * from "./models.ts";
export type { Change } from "./_editing.ts";
export type {
  ExecutionEvent,
  FollowOptions,
  Interval,
  WaitOptions,
} from "./_executions.ts";
export { Listing, type ToArrayOptions } from "./_listing.ts";
export type { ListOptions, PageOptions } from "./_query.ts";
export type { TlsOptions } from "./_tls.ts";
export type {
  Attempt,
  RequestOptions,
  TransportOptions,
} from "./_transport.ts";
