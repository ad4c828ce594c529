/**
 * The types of everything that Decapod sends: models, listings, playbooks,
 * permissions. Field names are the wire's own, so that a model that was read
 * can be changed and sent back as it is.
 *
 * Fields that a newer server adds stay in the objects; states and results are
 * open unions, because a newer server may know more of them.
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

/** Any string besides the ones that are known today. */
export type OtherString = string & Record<never, never>;

/** Anything that JSON can say. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | JsonObject;

/** A JSON object of free form. */
export interface JsonObject {
  /** The value under a key. */
  [key: string]: JsonValue;
}

/**
 * What all models have in common. Nothing is changed in place on the server:
 * each change and each deletion makes a new version.
 *
 * @typeParam Name The model's name on the wire.
 * @typeParam Data The fields that are the model's own.
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
  /** The model's own fields. */
  data: Data;
}

/** The fields of a {@linkcode User}. */
export interface UserData {
  /** The name to log in with; unique. */
  login: string;
  /** The e-mail address; unique. Passwords and resets are sent there. */
  email: string;
  /** The name to show; never empty. */
  full_name: string;
  /** The id of the user's role; null for a user who may do nothing. */
  role_id: string | null;
}

/** Somebody who can log in. */
export type User = Model<"user", UserData>;

/** Permissions of one class. */
export interface PermissionGroup {
  /** The class: `api` for endpoints, `playbook` for playbooks to run. */
  name: "api" | "playbook" | OtherString;
  /** The names of the permissions; for `playbook`, playbook ids. */
  permissions: string[];
}

/** The fields of a {@linkcode Role}. */
export interface RoleData {
  /** The role's name; unique. */
  name: string;
  /** What users with this role may do. */
  permissions: PermissionGroup[];
}

/** A named set of permissions. */
export type Role = Model<"role", RoleData>;

/** One server in a cluster's layout. */
export interface ClusterServer {
  /** The server's id. */
  server_id: string;
  /** The version of the server model that was deployed. */
  version: number;
  /** The fully qualified name of the host. */
  fqdn: string;
  /** The address of the host. */
  ip: string;
  /** The name of the server model. */
  server_name: string;
}

/** The fields of a {@linkcode Cluster}. */
export interface ClusterData {
  /** The cluster's name; letters and digits only. */
  name: string;
  /** The servers by role (`mons`, `osds`, …); empty until deployed. */
  configuration: Record<string, ClusterServer[]>;
}

/** A Ceph cluster. */
export type Cluster = Model<"cluster", ClusterData>;

/** Whether Decapod may work on a server. */
export type ServerState =
  | "operational"
  | "off"
  | "maintenance_no_reconfig"
  | "maintenance_reconfig"
  | OtherString;

/** The fields of a {@linkcode Server}. */
export interface ServerData {
  /** The name to show; the only field that a PUT changes. */
  name: string;
  /** The user that Ansible logs in as. */
  username: string;
  /** The fully qualified name of the host. */
  fqdn: string;
  /** The address of the host. */
  ip: string;
  /** Whether Decapod may work on it. */
  state: ServerState;
  /** The id of the cluster that it belongs to; null if to none. */
  cluster_id: string | null;
  /** What Ansible found out about the host. */
  facts: JsonObject;
}

/** A host that Decapod manages. Its id is the host's system UUID. */
export type Server = Model<"server", ServerData>;

/** What a playbook is run with. */
export interface PlaybookSettings {
  /** Ansible's extra variables. */
  global_vars: JsonObject;
  /** Ansible's inventory. */
  inventory: JsonObject;
}

/** The fields of a {@linkcode PlaybookConfiguration}. */
export interface PlaybookConfigurationData {
  /** The name to show. */
  name: string;
  /** The id of the playbook. */
  playbook_id: string;
  /** The id of the cluster that it is for. */
  cluster_id: string;
  /** What the playbook is run with. */
  configuration: PlaybookSettings;
  /**
   * Only in the answer to a creation: the id of the execution that `runAfter`
   * started, null if none was asked for.
   */
  created_execution_id?: string | null;
}

/** A playbook made ready to be run on servers of a cluster. */
export type PlaybookConfiguration = Model<
  "playbook_configuration",
  PlaybookConfigurationData
>;

/**
 * Where an execution stands. `completed`, `failed` and `canceled` are ends.
 */
export type ExecutionState =
  | "created"
  | "started"
  | "completed"
  | "canceling"
  | "canceled"
  | "failed"
  | OtherString;

/** Which playbook configuration an execution runs. */
export interface ExecutedConfiguration {
  /** The playbook configuration's id. */
  id: string;
  /** The playbook configuration's version. */
  version: number;
  /** The playbook's id. */
  playbook_name: string;
}

/** The fields of an {@linkcode Execution}. */
export interface ExecutionData {
  /** Where the execution stands. */
  state: ExecutionState;
  /** What is run. */
  playbook_configuration: ExecutedConfiguration;
}

/** One run of a playbook configuration. */
export type Execution = Model<"execution", ExecutionData>;

/** How a step ended. */
export type StepResult =
  | "ok"
  | "error"
  | "skipped"
  | "unreachable"
  | "unknown"
  | OtherString;

/** The fields of an {@linkcode ExecutionStep}. */
export interface ExecutionStepData {
  /** The execution that the step belongs to. */
  execution_id: string;
  /** Ansible's role. */
  role: string;
  /** Ansible's task. */
  name: string;
  /** How it ended. */
  result: StepResult;
  /** What Ansible said of a failure; empty if there was none. */
  error: JsonObject;
  /** The server that it ran on; null if the server is not known. */
  server_id: string | null;
  /** When it started, in UNIX seconds. */
  time_started: number;
  /** When it finished, in UNIX seconds. */
  time_finished: number;
}

/** One Ansible task on one server. Its id is 24 hexadecimal digits. */
export type ExecutionStep = Model<"execution_step", ExecutionStepData>;

/** Something that happened to an execution. */
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

/** The fields of a {@linkcode Token}. */
export interface TokenData {
  /** When the token dies if it is not used, in UNIX seconds, with fraction. */
  expires_at: number;
  /** Who logged in. */
  user: User;
}

/** A session. The token string itself is the model's `id`: keep it secret. */
export type Token = Model<"token", TokenData>;

/** A parameter that a playbook takes. */
export interface PlaybookHint {
  /** The hint's id. */
  id: string;
  /** The type of its value: `boolean`, `string`, `integer`, `select`, …. */
  type: string;
  /** What it does. */
  description: string;
  /** The value that is used when the hint is left out. */
  default_value: JsonValue;
  /** The values to choose from; empty if there is nothing to choose. */
  values: JsonValue[];
}

/** A playbook that the server can run. */
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
  /** The parameters that it takes. */
  hints: PlaybookHint[];
}

/** A value for a {@linkcode PlaybookHint}. */
export interface HintValue {
  /** The hint's id. */
  id: string;
  /** Its value. */
  value: string | number | boolean;
}

/** What the server says of itself. */
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

/** What the server has to say when there is no model to send. */
export interface Message {
  /** The message. */
  message: string;
}

/** A list that is not cut into pages. */
export interface Items<T> {
  /** The items. */
  items: T[];
}

/** One page of a listing. */
export interface Page<T> extends Items<T> {
  /** The number of the page, from 1. */
  page: number;
  /** How many items a page holds at the most. */
  per_page: number;
  /** How many items there are on all pages together. */
  total: number;
}

/** What a filter can compare with; numbers have to be whole. */
export type FilterValue = string | number | boolean;

/** The ways to compare. Several on one field all have to hold. */
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
   * A regular expression in Python's dialect, searched for anywhere. It stands
   * alone: the server ignores all other operators beside it.
   */
  regexp?: string;
}

/** The fields of the database that all models have. */
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

/** What users can be filtered by and sorted by. */
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

/** What roles and clusters can be filtered by and sorted by. */
export interface NamedFields extends ModelFields {
  /** The name. */
  name: string;
}

/** What servers can be filtered by and sorted by. */
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
}

/** What playbook configurations can be filtered by and sorted by. */
export interface PlaybookConfigurationFields extends NamedFields {
  /** The playbook's id. */
  playbook_id: string;
  /** The cluster's id. */
  cluster_id: string;
}

/** What executions can be filtered by and sorted by. */
export interface ExecutionFields extends ModelFields {
  /** The state. */
  state: ExecutionState;
  /** The playbook configuration's id. */
  pc_model_id: string;
  /** The playbook configuration's version. */
  pc_version: number;
}

/** What steps can be filtered by and sorted by. */
export interface StepFields {
  /** Ansible's role. */
  role: string;
  /** Ansible's task. */
  name: string;
  /** How it ended, as a number: ok 1, error 2, skipped 3, unreachable 4. */
  result: number;
  /** The server's id. */
  server_id: string;
  /** When it started, in UNIX seconds. */
  time_started: number;
  /** When it finished, in UNIX seconds. */
  time_finished: number;
}

/** Names that the wire has and the database has not. */
export interface WireOnlyFields {
  /** The database says `model_id`. */
  id?: never;
  /** The database says `time_created`. */
  time_updated?: never;
}

/**
 * Which items a listing gives: all conditions have to hold. The names are
 * those of the server's database, `facts.ansible_hostname` reaches inside.
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
export type Filter<Fields> =
  & {
    [Key in keyof Fields]?:
      | Fields[Key]
      | FilterOperators<Fields[Key] & FilterValue>;
  }
  & WireOnlyFields
  & {
    /** Any other field, such as one of the facts: `facts.ansible_hostname`. */
    [key: string]:
      | FilterValue
      | FilterOperators<FilterValue>
      | FilterOperators<string>
      | FilterOperators<number>
      | FilterOperators<boolean>
      | undefined;
  };

/**
 * In which order a listing gives its items: 1 ascending, -1 descending; the
 * first name counts most. `_id` is the order of creation.
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
export type SortBy<Fields> =
  & { [Key in keyof Fields | "_id"]?: 1 | -1 }
  & WireOnlyFields
  & {
    /** Any other field. */
    [key: string]: 1 | -1 | undefined;
  };
