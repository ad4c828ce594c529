/** The playbooks of the server, with their hints, and all permissions. */
import { badRequest, crash } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";

/** Which servers a playbook can run on. */
export type ServerListPolicy =
  | "any_server"
  | "in_this_cluster"
  | "not_in_other_cluster"
  | "not_in_any_cluster";

/** An option of a playbook. */
export type Hint = {
  id: string;
  type: "boolean" | "integer" | "string";
  description: string;
  default_value: boolean | number | string;
  values: string[];
};

/** A playbook, as the API lists it. */
export type Playbook = {
  id: string;
  name: string;
  description: string;
  required_server_list: boolean;
  server_list_policy: ServerListPolicy;
  hints: Hint[];
};

/** Hints by id: description, default, and the values if they are few. */
const HINTS: Record<string, [string, boolean | number | string, string[]?]> = {
  ceph_version_verify: ["Verify Ceph version consistency on install", true],
  crush_ruleset_name: [
    "The name of a CRUSH ruleset ot use for this pool (for replicated pools)",
    "replicated_ruleset",
  ],
  erasure_code_profile: [
    "Profile of the erasure code (for erasure pools)",
    "default",
  ],
  expected_num_objects: ["The expected number of objects for this pool", 0],
  pg_num: [
    "The total number of placement groups for the pool (0 means default)",
    0,
  ],
  pgp_num: [
    "The total number of PGs for placement purposes (0 means default)",
    0,
  ],
  pool_name: ["The name of the pool to add or modify. Must be unique", "test"],
  pool_type: [
    "Type of the pool. Should be 'replicated' or 'erasure'",
    "replicated",
    ["replicated", "erasure"],
  ],
  quota_max_bytes: ["Max bytes of a pool (0 is unlimited)", 0],
  quota_max_objects: ["Max objects of a pool (0 is unlimited)", 0],
  replica_min_size: ["The minimal number of replicas for objects (for I/O)", 1],
  replica_size: ["The number of replicas for objects", 1],
  dont_deploy_rgw: ["Do not deploy Rados Gateway", false],
  file_access: ["Enable NFS file access", true],
  object_access: ["Enable NFS object access", true],
  collocation: ["Setup OSDs with collocated journals", false],
  dmcrypt: ["Setup OSDs with dmcrypt", false],
  add_peers: ["Add peers", true],
  poolname: ["Name of the pool to setup mirroring", ""],
  remote_clustername: ["Name of the remote cluster to use", ""],
  remote_username: ["Remote user keyring to use", "admin"],
  cinder: ["Use Cinder with Ceph backend", true],
  glance: ["Use Glance with Ceph backend", true],
  nova: ["Use Nova with Ceph backend", true],
  mon_count: ["How many monitors to deploy", 3],
  rest_api: ["Setup Ceph RestAPI", false],
  apt_purge: ["Purge packages, not only remove them", true],
  uninstall_packages: ["Remove Ceph packages, not only keys", true],
  "remove_pool.pool_name": ["The name of the pool to remove.", "test"],
  remove_nfs_rgw_user: ["Remove NFS user from Rados Gateway", false],
  remove_rgw: ["Remove RGW on these nodes as well", false],
  restart_mon: ["Restart monitor services", true],
  restart_osd: ["Restart OSD services", true],
  restart_restapi: ["Restart Ceph REST API", true],
  restart_rgw: ["Restart Rados Gateway services", true],
  install: ["Install Telegraf on the node", true],
  remove_config_section_only: ["Remove only Ansible managed section", false],
  sync_time: ["Force sync time on Ceph nodes", false],
};

/** Playbooks by id, as they are listed: name, hints, and the description if it is another. */
const DEFINITIONS: Record<string, [string, string[]?, string?]> = {
  add_restapi: ["Add Ceph REST API host", ["ceph_version_verify"]],
  add_pool: ["Add Ceph pool", [
    "crush_ruleset_name",
    "erasure_code_profile",
    "expected_num_objects",
    "pg_num",
    "pgp_num",
    "pool_name",
    "pool_type",
    "quota_max_bytes",
    "quota_max_objects",
    "replica_min_size",
    "replica_size",
  ]],
  add_nfs: ["Add NFS Gateway host", [
    "ceph_version_verify",
    "dont_deploy_rgw",
    "file_access",
    "object_access",
  ]],
  add_osd: [
    "Add OSD to Ceph cluster",
    ["ceph_version_verify", "collocation", "dmcrypt"],
    "Adding new OSD to the cluster.\n\nThis plugin adds OSD to the existing cluster.",
  ],
  add_rbdmirror: ["Add RBD Mirroring host", [
    "add_peers",
    "ceph_version_verify",
    "poolname",
    "remote_clustername",
    "remote_username",
  ]],
  add_client: ["Add RBD and CLI clients to the hosts", ["ceph_version_verify"]],
  add_rgw: ["Add Rados Gateway to the cluster", ["ceph_version_verify"]],
  add_mds: ["Add metadata server host", ["ceph_version_verify"]],
  add_mon: ["Add monitor to the cluster", ["ceph_version_verify"]],
  cinder_integration: [
    "Cinder Integration",
    ["cinder", "glance", "nova"],
    "Cinder Integration plugin for Decapod",
  ],
  cluster_deploy: [
    "Deploy Ceph cluster",
    ["collocation", "dmcrypt", "mon_count", "rest_api"],
    "Ceph cluster deployment playbook.\n\nThis plugin deploys Ceph cluster into a set of servers. After sucessful\ndeployment, cluster model will be updated.",
  ],
  hello_world: [
    "Hello World",
    [],
    "Example plugin for playbook.\n\nThis plugin deploys simple hello world service on remote machine If\nremote machine host is 'hostname', then http://hostname:8085 will\nrespond with '{\"result\": \"ok\"}' JSON.",
  ],
  purge_cluster: [
    "Purge cluster",
    [],
    "Purge whole Ceph cluster.\n\nThis plugin purges whole Ceph cluster. It removes packages, all data,\nreformat Ceph devices.",
  ],
  remove_client: ["Remove CLI/RBD client from the host", [
    "apt_purge",
    "uninstall_packages",
  ]],
  remove_restapi: ["Remove Ceph REST API host"],
  remove_pool: ["Remove Ceph pool", ["pool_name"]],
  remove_nfs: ["Remove NFS Gateway host", [
    "remove_nfs_rgw_user",
    "remove_rgw",
  ]],
  remove_osd: [
    "Remove OSD host from Ceph cluster",
    [],
    "Remove OSD host from cluster.",
  ],
  remove_rbdmirror: ["Remove RBD mirror host from cluster"],
  remove_rgw: ["Remove Rados Gateway host from cluster"],
  remove_mds: ["Remove metadata server from host"],
  remove_mon: [
    "Remove monitor host from Ceph cluster",
    [],
    "Remove monitor host from cluster",
  ],
  restart_services: [
    "Restart services",
    ["restart_mon", "restart_osd", "restart_restapi", "restart_rgw"],
    "This plugins helps to restart services in correct order, mainaining\noverall availability.",
  ],
  telegraf_integration: [
    "Telegraf Integration Plugin for Decapod",
    ["install"],
    "Telegraf Integration Plugin for Decapod\n\nThis plugin activates Ceph input with correct settings for InfluxDB\nTelegraf.",
  ],
  purge_telegraf: [
    "Telegraf removal plugin for Decapod",
    ["remove_config_section_only"],
    "Telegraf removal plugin for Decapod\n\nThis plugin removed Telegraf (or Ansible managed section only).",
  ],
  update_ceph_configuration: [
    "Update configuration file for Ceph cluster",
    [],
    "Update configuration file for Ceph cluster.",
  ],
  upgrade_ceph: [
    "Upgrade Ceph",
    ["sync_time"],
    "Upgrade Ceph version for the cluster.",
  ],
};

/** Playbooks that work on all servers of a cluster. */
const ON_ALL_SERVERS = new Set([
  "add_pool",
  "cinder_integration",
  "hello_world",
  "purge_cluster",
  "remove_pool",
  "upgrade_ceph",
]);

/** The policies that are not those of other playbooks to add or to remove. */
const OWN_POLICIES: Record<string, ServerListPolicy> = {
  "add_pool": "in_this_cluster",
  "cluster_deploy": "not_in_any_cluster",
  "hello_world": "any_server",
  "remove_pool": "not_in_other_cluster",
};

function hintOf(playbookId: string, id: string): Hint {
  const [description, default_value, values = []] =
    HINTS[`${playbookId}.${id}`] ?? HINTS[id] ?? ["", ""];
  const type = typeof default_value === "number"
    ? "integer"
    : typeof default_value === "boolean"
    ? "boolean"
    : "string";
  return { id, type, description, default_value, values };
}

/** Every playbook, in the order of the listing. */
export const PLAYBOOKS: readonly Playbook[] = Object.entries(DEFINITIONS)
  .map(([id, [name, hints = [], description = name]]) => ({
    id,
    name,
    description,
    required_server_list: !ON_ALL_SERVERS.has(id),
    server_list_policy: OWN_POLICIES[id] ??
      (id.startsWith("add_") ? "not_in_other_cluster" : "in_this_cluster"),
    hints: hints.map((hint) => hintOf(id, hint)),
  }));

/** The playbook with this id. */
export function playbook(id: string): Playbook | undefined {
  return PLAYBOOKS.find((item) => item.id === id);
}

const API_PERMISSIONS = [
  ...["create_cluster", "create_execution", "create_playbook_configuration"],
  ...["create_role", "create_server", "create_user"],
  ...["delete_cluster", "delete_execution", "delete_playbook_configuration"],
  ...["delete_role", "delete_server", "delete_user"],
  ...["edit_cluster", "edit_playbook_configuration", "edit_role"],
  ...["edit_server", "edit_user"],
  ...["view_cinder", "view_cluster", "view_cluster_versions", "view_execution"],
  ...["view_execution_steps", "view_execution_version"],
  ...["view_playbook_configuration", "view_playbook_configuration_version"],
  ...["view_role", "view_role_versions", "view_server", "view_server_versions"],
  ...["view_user", "view_user_versions"],
] as const;

/** A permission of class `api`. */
export type ApiPermission = typeof API_PERMISSIONS[number];

/** The permissions of one class. */
export type PermissionClass = { name: string; permissions: string[] };

/** All known permissions. */
export const PERMISSIONS: readonly PermissionClass[] = [
  { name: "playbook", permissions: PLAYBOOKS.map(({ id }) => id).sort() },
  { name: "api", permissions: [...API_PERMISSIONS] },
];

/**
 * Reads the permissions of a role as sent. An unknown class is an error, an
 * unknown permission is dropped.
 */
export function readPermissions(sent: readonly Json[]): PermissionClass[] {
  const permitted = new Map<string, string[]>();
  for (const item of sent) {
    if (typeof item === "string") {
      throw crash("string indices must be integers");
    }
    if (typeof item !== "object" || item === null || Array.isArray(item)) {
      throw crash("the permissions are not readable");
    }
    const known = PERMISSIONS.find(({ name }) => name === item.name);
    if (known === undefined) {
      throw badRequest("BadRequest", "There is no such class of permissions.");
    }
    const names = Array.isArray(item.permissions) ? item.permissions : [];
    permitted.set(
      known.name,
      known.permissions.filter((name) => names.includes(name)),
    );
  }
  return [...permitted].map(([name, permissions]) => ({ name, permissions }));
}

const HINT_TYPES: Record<Hint["type"], (value: Json) => boolean> = {
  boolean: (value) => typeof value === "boolean",
  integer: (value) => Number.isInteger(value),
  string: (value) => typeof value === "string",
};

/** Validates the values of hints and adds the defaults. */
export function readHints(
  { hints }: Playbook,
  values: readonly { id: string; value: Json }[],
): JsonObject {
  const read: JsonObject = Object.fromEntries(
    hints.map(({ id, default_value }) => [id, default_value]),
  );
  // Playbooks without hints ignore all values.
  if (hints.length === 0) return read;
  for (const { id, value } of values) {
    const known = hints.find((item) => item.id === id);
    const fits = known !== undefined && HINT_TYPES[known.type](value) &&
      (known.values.length === 0 ||
        known.values.some((item) => item === value));
    if (!fits) throw crash("Cannot validate hints");
    read[id] = value;
  }
  return read;
}
