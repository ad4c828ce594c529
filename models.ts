/**
 * The types of what Decapod sends and receives. Field names are those of the
 * API, so a model that was read can be changed and sent back.
 *
 * Responses are not validated field by field: fields that a newer server adds
 * are kept, and states and results may have other values.
 *
 * @example
 * ```ts
 * import { Client, type Cluster } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * const cluster: Cluster = await client.createCluster("modelsexample");
 * assertEquals(cluster.data.name, "modelsexample");
 * assertEquals(cluster.version, 1);
 * ```
 *
 * @module
 */

/**
 * Any other string, because a newer server may have more values. Unlike
 * `string`, it keeps the completion of the known values.
 *
 * @category Models
 */
export type OtherString = string & Record<never, never>;

/**
 * A JSON value.
 *
 * @category Models
 */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | JsonObject;

/**
 * A JSON object.
 *
 * @category Models
 */
export interface JsonObject {
  /** The value under a key. */
  [key: string]: JsonValue;
}

/**
 * What all models have in common. Every change and every deletion creates a new
 * version.
 *
 * @category Models
 * @typeParam Name The model's name on the wire.
 * @typeParam Data The fields of this kind of model.
 */
export interface Model<Name extends string, Data> {
  /** The model's id, the same in all versions. */
  id: string;
  /** The kind of model. */
  model: Name;
  /** The number of this version, from 1. */
  version: number;
  /** The id of the user who made this version; null if the server did. */
  initiator_id: string | null;
  /** When this version was made, in UNIX seconds. */
  time_updated: number;
  /** When the model was deleted, in UNIX seconds; 0 if it was not. */
  time_deleted: number;
  /** The fields of this kind of model. */
  data: Data;
}

/**
 * The fields of a {@linkcode User}.
 *
 * @category Models
 */
export interface UserData {
  /** The name to log in with; unique. */
  login: string;
  /** The e-mail address; unique. Passwords and resets are sent there. */
  email: string;
  /** The name to show; never empty. */
  full_name: string;
  /** The id of the user's role; null for a user without permissions. */
  role_id: string | null;
}

/**
 * A user of Decapod.
 *
 * @category Models
 */
export type User = Model<"user", UserData>;

/**
 * Permissions of one class.
 *
 * @category Models
 */
export interface PermissionGroup {
  /** The class: `api` for endpoints, `playbook` for playbooks to run. */
  name: "api" | "playbook" | OtherString;
  /** The names of the permissions; for `playbook`, playbook ids. */
  permissions: string[];
}

/**
 * The fields of a {@linkcode Role}.
 *
 * @category Models
 */
export interface RoleData {
  /** The role's name; unique. */
  name: string;
  /** The permissions of users with this role. */
  permissions: PermissionGroup[];
}

/**
 * A named set of permissions.
 *
 * @category Models
 */
export type Role = Model<"role", RoleData>;

/**
 * One server in a cluster's layout.
 *
 * @category Models
 */
export interface ClusterServer {
  /** The server's id. */
  server_id: string;
  /** The version of the server model that was deployed. */
  version: number;
  /** The fully qualified name of the host. */
  fqdn: string;
  /**
   * The address of the host; null if it was registered with an IPv6 address or
   * with a name that has no IPv4 address.
   */
  ip: string | null;
  /** The name of the server model. */
  server_name: string;
}

/**
 * The fields of a {@linkcode Cluster}.
 *
 * @category Models
 */
export interface ClusterData {
  /** The cluster's name; letters and digits only. */
  name: string;
  /** The servers by role (`mons`, `osds`, …); empty until deployed. */
  configuration: Record<string, ClusterServer[]>;
}

/**
 * A Ceph cluster.
 *
 * @category Models
 */
export type Cluster = Model<"cluster", ClusterData>;

/**
 * Whether Decapod may change a server.
 *
 * @category Models
 */
export type ServerState =
  | "operational"
  | "off"
  | "maintenance_no_reconfig"
  | "maintenance_reconfig"
  | OtherString;

/**
 * The fields of a {@linkcode Server}.
 *
 * @category Models
 */
export interface ServerData {
  /** The name to show; the only field that a PUT changes. */
  name: string;
  /** The user that Ansible logs in as. */
  username: string;
  /** The fully qualified name of the host. */
  fqdn: string;
  /**
   * The address of the host; null if it was registered with an IPv6 address or
   * with a name that has no IPv4 address.
   */
  ip: string | null;
  /** Whether Decapod may change it. */
  state: ServerState;
  /** The id of its cluster; null if it has none. */
  cluster_id: string | null;
  /** The facts that Ansible collected about the host. */
  facts: JsonObject;
}

/**
 * A host that Decapod manages. Its id is the host's system UUID.
 *
 * @category Models
 */
export type Server = Model<"server", ServerData>;

/**
 * The variables and the inventory of a playbook.
 *
 * @category Models
 */
export interface PlaybookSettings {
  /** Ansible's extra variables. */
  global_vars: JsonObject;
  /** Ansible's inventory. */
  inventory: JsonObject;
}

/**
 * The fields of a {@linkcode PlaybookConfiguration}.
 *
 * @category Models
 */
export interface PlaybookConfigurationData {
  /** The name to show. */
  name: string;
  /** The id of the playbook. */
  playbook_id: string;
  /** The id of the cluster that it is for. */
  cluster_id: string;
  /** The variables and the inventory of the playbook. */
  configuration: PlaybookSettings;
  /**
   * Only in the response to a creation: the id of the execution that `runAfter`
   * started, or null.
   */
  created_execution_id?: string | null;
}

/**
 * A playbook that is configured for servers of a cluster.
 *
 * @category Models
 */
export type PlaybookConfiguration = Model<
  "playbook_configuration",
  PlaybookConfigurationData
>;

/**
 * The state of an execution. `completed` and `failed` are terminal, `canceled`
 * only if the execution had started.
 *
 * @category Models
 */
export type ExecutionState =
  | "created"
  | "started"
  | "completed"
  | "canceling"
  | "canceled"
  | "failed"
  | OtherString;

/**
 * The playbook configuration of an execution.
 *
 * @category Models
 */
export interface ExecutedConfiguration {
  /** The playbook configuration's id. */
  id: string;
  /** The playbook configuration's version. */
  version: number;
  /** The playbook's id. */
  playbook_name: string;
}

/**
 * The fields of an {@linkcode Execution}.
 *
 * @category Models
 */
export interface ExecutionData {
  /** The state. */
  state: ExecutionState;
  /** What is executed. */
  playbook_configuration: ExecutedConfiguration;
}

/**
 * An execution of a playbook configuration.
 *
 * @category Models
 */
export type Execution = Model<"execution", ExecutionData>;

/**
 * The result of a step.
 *
 * @category Models
 */
export type StepResult =
  | "ok"
  | "error"
  | "skipped"
  | "unreachable"
  | "unknown"
  | OtherString;

/**
 * The fields of an {@linkcode ExecutionStep}.
 *
 * @category Models
 */
export interface ExecutionStepData {
  /** The execution that the step belongs to. */
  execution_id: string;
  /** Ansible's role. */
  role: string;
  /** Ansible's task. */
  name: string;
  /** The result. */
  result: StepResult;
  /** Ansible's description of a failure; empty if there was no failure. */
  error: JsonObject;
  /** The server that it ran on; null if the server is not known. */
  server_id: string | null;
  /** When it started, in UNIX seconds. */
  time_started: number;
  /** When it finished, in UNIX seconds. */
  time_finished: number;
}

/**
 * One Ansible task on one server. Its id is 24 hexadecimal digits.
 *
 * @category Models
 */
export type ExecutionStep = Model<"execution_step", ExecutionStepData>;

/**
 * Something that happened to an execution.
 *
 * @category Models
 */
export type ExecutionEvent =
  | {
    /** The execution has a new state. */
    type: "state";
    /** The execution in that state. */
    execution: Execution;
  }
  | {
    /** A step has finished. */
    type: "step";
    /** The step. */
    step: ExecutionStep;
  };

/**
 * The fields of a {@linkcode Token}.
 *
 * @category Models
 */
export interface TokenData {
  /** When the token expires if it is not used, in UNIX seconds. */
  expires_at: number;
  /** The user who logged in. */
  user: User;
}

/**
 * A session. The token itself is the model's `id`, which is a secret.
 *
 * @category Models
 */
export type Token = Model<"token", TokenData>;

/**
 * A parameter of a playbook.
 *
 * @category Models
 */
export interface PlaybookHint {
  /** The hint's id. */
  id: string;
  /** The type of its value: `boolean`, `string`, `integer`, `select`, …. */
  type: string;
  /** What it does. */
  description: string;
  /** The default value. */
  default_value: JsonValue;
  /** The allowed values; empty if any value is allowed. */
  values: JsonValue[];
}

/**
 * A playbook of the server.
 *
 * @category Models
 */
export interface Playbook {
  /** The playbook's id. */
  id: string;
  /** The name to show. */
  name: string;
  /** What it does. */
  description: string;
  /** Whether a configuration needs a list of servers. */
  required_server_list: boolean;
  /** Which servers may be listed. */
  server_list_policy: string;
  /** Its parameters. */
  hints: PlaybookHint[];
}

/**
 * A value for a {@linkcode PlaybookHint}.
 *
 * @category Models
 */
export interface HintValue {
  /** The hint's id. */
  id: string;
  /** Its value. */
  value: string | number | boolean;
}

/**
 * The server's time and version.
 *
 * @category Models
 */
export interface Info {
  /** The server's clock. */
  time: {
    /** Local time, ISO 8601. */
    local: string;
    /** UTC, ISO 8601. */
    utc: string;
    /** UNIX seconds. */
    unix: number;
  };
  /** The server's version. */
  version: string;
}

/**
 * A message of the server.
 *
 * @category Models
 */
export interface Message {
  /** The message. */
  message: string;
}

/**
 * A list without pages.
 *
 * @category Models
 */
export interface Items<T> {
  /** The items. */
  items: T[];
}

/**
 * One page of a listing.
 *
 * @category Models
 */
export interface Page<T> extends Items<T> {
  /** The number of the page, from 1. */
  page: number;
  /** The maximum number of items on a page. */
  per_page: number;
  /** How many items all pages have together. */
  total: number;
}

/**
 * The values of a filter. Numbers must be integers.
 *
 * @category Models
 */
export type FilterValue = string | number | boolean;

/**
 * The operators of a filter. If a field has several, all must match.
 *
 * @category Models
 */
export interface FilterOperators<V extends FilterValue> {
  /** Equal. */
  eq?: V;
  /** Not equal. */
  ne?: V;
  /** Greater. */
  gt?: V;
  /** Greater or equal. */
  gte?: V;
  /** Less. */
  lt?: V;
  /** Less or equal. */
  lte?: V;
  /** One of these. */
  in?: V[];
  /**
   * A regular expression that matches anywhere in the value. Python compiles
   * it and PCRE matches it, so it must mean the same to both. It cannot be
   * combined with other operators.
   */
  regexp?: string;
}

/**
 * The database fields of all models.
 *
 * @category Models
 */
export interface ModelFields {
  /** The model's id. */
  model_id: string;
  /** The number of the version. */
  version: number;
  /** The user who made the version. */
  initiator_id: string;
  /** When the version was made, in UNIX seconds: the wire's `time_updated`. */
  time_created: number;
  /** When the model was deleted, in UNIX seconds; 0 if it was not. */
  time_deleted: number;
  /** Whether it is the latest version. */
  is_latest: boolean;
}

/**
 * What users can be filtered by and sorted by.
 *
 * @category Models
 */
export interface UserFields extends ModelFields {
  /** The login. */
  login: string;
  /** The e-mail address. */
  email: string;
  /** The name to show. */
  full_name: string;
  /** The role's id. */
  role_id: string;
}

/**
 * What roles and clusters can be filtered by and sorted by.
 *
 * @category Models
 */
export interface NamedFields extends ModelFields {
  /** The name. */
  name: string;
}

/**
 * What servers can be filtered by and sorted by.
 *
 * @category Models
 */
export interface ServerFields extends NamedFields {
  /** The user that Ansible logs in as. */
  username: string;
  /** The fully qualified name of the host. */
  fqdn: string;
  /** The address. */
  ip: string;
  /** The state. */
  state: ServerState;
  /** The cluster's id. */
  cluster_id: string;
  /** A fact of Ansible, such as `facts.ansible_hostname`. */
  [fact: `facts.${string}`]: FilterValue;
}

/**
 * What playbook configurations can be filtered by and sorted by.
 *
 * @category Models
 */
export interface PlaybookConfigurationFields extends NamedFields {
  /** The playbook's id. */
  playbook_id: string;
  /** The cluster's id. */
  cluster_id: string;
  /** A part of the configuration, such as `configuration.global_vars.cluster`. */
  [part: `configuration.${string}`]: FilterValue;
}

/**
 * What executions can be filtered by and sorted by.
 *
 * @category Models
 */
export interface ExecutionFields extends ModelFields {
  /** The state. */
  state: ExecutionState;
  /** The playbook configuration's id. */
  pc_model_id: string;
  /** The playbook configuration's version. */
  pc_version: number;
}

/**
 * What steps can be filtered by and sorted by.
 *
 * @category Models
 */
export interface StepFields {
  /** The execution's id. */
  execution_id: string;
  /** Ansible's role. */
  role: string;
  /** Ansible's task. */
  name: string;
  /** The result as a number: ok 1, error 2, skipped 3, unreachable 4. */
  result: number;
  /** The server's id. */
  server_id: string;
  /** When it started, in UNIX seconds. */
  time_started: number;
  /** When it finished, in UNIX seconds. */
  time_finished: number;
}

/**
 * Which items a listing returns: all conditions must match. The names are those
 * of the server's database: `model_id`, not `id`; `time_created`, not
 * `time_updated`. For a field of a newer server write `{…} as Filter<…>`.
 *
 * @category Models
 * @typeParam Fields The fields to filter by.
 *
 * @example
 * ```ts
 * import type { Filter, ServerFields } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * const filter: Filter<ServerFields> = {
 *   state: "operational",
 *   "facts.ansible_memtotal_mb": { gte: 64_000 },
 * };
 * assertEquals(Object.keys(filter).length, 2);
 * ```
 */
export type Filter<Fields> = {
  [Key in keyof Fields]?:
    | Fields[Key]
    | FilterOperators<Fields[Key] & FilterValue>;
};

/**
 * The order of a listing: 1 ascending, -1 descending, the first field first.
 * `_id` is the order of creation of the current versions.
 *
 * @category Models
 * @typeParam Fields The fields to sort by.
 *
 * @example
 * ```ts
 * import type { SortBy, UserFields } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * const newestFirst: SortBy<UserFields> = { time_created: -1, login: 1 };
 * assertEquals(JSON.stringify(newestFirst), '{"time_created":-1,"login":1}');
 * ```
 */
export type SortBy<Fields> = { [Key in keyof Fields | "_id"]?: 1 | -1 };

/**
 * Field names of models that filters and orders do not have.
 *
 * @category Models
 * @deprecated Not used any more; kept for compatibility.
 */
export interface WireOnlyFields {
  /** The database's name is `model_id`. */
  id?: never;
  /** The database's name is `time_created`. */
  time_updated?: never;
}
