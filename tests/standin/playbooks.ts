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

function hint(
  id: string,
  description: string,
  defaultValue: boolean | number | string,
  values: string[] = [],
): Hint {
  const type = typeof defaultValue === "number"
    ? "integer"
    : typeof defaultValue === "boolean"
    ? "boolean"
    : "string";
  return { id, type, description, default_value: defaultValue, values };
}

const VERIFY = hint(
  "ceph_version_verify",
  "Verify Ceph version consistency on install",
  true,
);

/** Every playbook, in the order of the listing. */
export const PLAYBOOKS: readonly Playbook[] = [
  {
    id: "add_restapi",
    name: "Add Ceph REST API host",
    description: "Add Ceph REST API host",
    required_server_list: true,
    server_list_policy: "not_in_other_cluster",
    hints: [VERIFY],
  },
  {
    id: "add_pool",
    name: "Add Ceph pool",
    description: "Add Ceph pool",
    required_server_list: false,
    server_list_policy: "in_this_cluster",
    hints: [
      hint(
        "crush_ruleset_name",
        "The name of a CRUSH ruleset ot use for this pool (for replicated pools)",
        "replicated_ruleset",
      ),
      hint(
        "erasure_code_profile",
        "Profile of the erasure code (for erasure pools)",
        "default",
      ),
      hint(
        "expected_num_objects",
        "The expected number of objects for this pool",
        0,
      ),
      hint(
        "pg_num",
        "The total number of placement groups for the pool (0 means default)",
        0,
      ),
      hint(
        "pgp_num",
        "The total number of PGs for placement purposes (0 means default)",
        0,
      ),
      hint(
        "pool_name",
        "The name of the pool to add or modify. Must be unique",
        "test",
      ),
      hint(
        "pool_type",
        "Type of the pool. Should be 'replicated' or 'erasure'",
        "replicated",
        ["replicated", "erasure"],
      ),
      hint("quota_max_bytes", "Max bytes of a pool (0 is unlimited)", 0),
      hint("quota_max_objects", "Max objects of a pool (0 is unlimited)", 0),
      hint(
        "replica_min_size",
        "The minimal number of replicas for objects (for I/O)",
        1,
      ),
      hint("replica_size", "The number of replicas for objects", 1),
    ],
  },
  {
    id: "add_nfs",
    name: "Add NFS Gateway host",
    description: "Add NFS Gateway host",
    required_server_list: true,
    server_list_policy: "not_in_other_cluster",
    hints: [
      VERIFY,
      hint("dont_deploy_rgw", "Do not deploy Rados Gateway", false),
      hint("file_access", "Enable NFS file access", true),
      hint("object_access", "Enable NFS object access", true),
    ],
  },
  {
    id: "add_osd",
    name: "Add OSD to Ceph cluster",
    description:
      "Adding new OSD to the cluster.\n\nThis plugin adds OSD to the existing cluster.",
    required_server_list: true,
    server_list_policy: "not_in_other_cluster",
    hints: [
      VERIFY,
      hint("collocation", "Setup OSDs with collocated journals", false),
      hint("dmcrypt", "Setup OSDs with dmcrypt", false),
    ],
  },
  {
    id: "add_rbdmirror",
    name: "Add RBD Mirroring host",
    description: "Add RBD Mirroring host",
    required_server_list: true,
    server_list_policy: "not_in_other_cluster",
    hints: [
      hint("add_peers", "Add peers", true),
      VERIFY,
      hint("poolname", "Name of the pool to setup mirroring", ""),
      hint("remote_clustername", "Name of the remote cluster to use", ""),
      hint("remote_username", "Remote user keyring to use", "admin"),
    ],
  },
  {
    id: "add_client",
    name: "Add RBD and CLI clients to the hosts",
    description: "Add RBD and CLI clients to the hosts",
    required_server_list: true,
    server_list_policy: "not_in_other_cluster",
    hints: [VERIFY],
  },
  {
    id: "add_rgw",
    name: "Add Rados Gateway to the cluster",
    description: "Add Rados Gateway to the cluster",
    required_server_list: true,
    server_list_policy: "not_in_other_cluster",
    hints: [VERIFY],
  },
  {
    id: "add_mds",
    name: "Add metadata server host",
    description: "Add metadata server host",
    required_server_list: true,
    server_list_policy: "not_in_other_cluster",
    hints: [VERIFY],
  },
  {
    id: "add_mon",
    name: "Add monitor to the cluster",
    description: "Add monitor to the cluster",
    required_server_list: true,
    server_list_policy: "not_in_other_cluster",
    hints: [VERIFY],
  },
  {
    id: "cinder_integration",
    name: "Cinder Integration",
    description: "Cinder Integration plugin for Decapod",
    required_server_list: false,
    server_list_policy: "in_this_cluster",
    hints: [
      hint("cinder", "Use Cinder with Ceph backend", true),
      hint("glance", "Use Glance with Ceph backend", true),
      hint("nova", "Use Nova with Ceph backend", true),
    ],
  },
  {
    id: "cluster_deploy",
    name: "Deploy Ceph cluster",
    description:
      "Ceph cluster deployment playbook.\n\nThis plugin deploys Ceph cluster into a set of servers. After sucessful\ndeployment, cluster model will be updated.",
    required_server_list: true,
    server_list_policy: "not_in_any_cluster",
    hints: [
      hint("collocation", "Setup OSDs with collocated journals", false),
      hint("dmcrypt", "Setup OSDs with dmcrypt", false),
      hint("mon_count", "How many monitors to deploy", 3),
      hint("rest_api", "Setup Ceph RestAPI", false),
    ],
  },
  {
    id: "hello_world",
    name: "Hello World",
    description:
      "Example plugin for playbook.\n\nThis plugin deploys simple hello world service on remote machine If\nremote machine host is 'hostname', then http://hostname:8085 will\nrespond with '{\"result\": \"ok\"}' JSON.",
    required_server_list: false,
    server_list_policy: "any_server",
    hints: [],
  },
  {
    id: "purge_cluster",
    name: "Purge cluster",
    description:
      "Purge whole Ceph cluster.\n\nThis plugin purges whole Ceph cluster. It removes packages, all data,\nreformat Ceph devices.",
    required_server_list: false,
    server_list_policy: "in_this_cluster",
    hints: [],
  },
  {
    id: "remove_client",
    name: "Remove CLI/RBD client from the host",
    description: "Remove CLI/RBD client from the host",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [
      hint("apt_purge", "Purge packages, not only remove them", true),
      hint("uninstall_packages", "Remove Ceph packages, not only keys", true),
    ],
  },
  {
    id: "remove_restapi",
    name: "Remove Ceph REST API host",
    description: "Remove Ceph REST API host",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [],
  },
  {
    id: "remove_pool",
    name: "Remove Ceph pool",
    description: "Remove Ceph pool",
    required_server_list: false,
    server_list_policy: "not_in_other_cluster",
    hints: [hint("pool_name", "The name of the pool to remove.", "test")],
  },
  {
    id: "remove_nfs",
    name: "Remove NFS Gateway host",
    description: "Remove NFS Gateway host",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [
      hint("remove_nfs_rgw_user", "Remove NFS user from Rados Gateway", false),
      hint("remove_rgw", "Remove RGW on these nodes as well", false),
    ],
  },
  {
    id: "remove_osd",
    name: "Remove OSD host from Ceph cluster",
    description: "Remove OSD host from cluster.",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [],
  },
  {
    id: "remove_rbdmirror",
    name: "Remove RBD mirror host from cluster",
    description: "Remove RBD mirror host from cluster",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [],
  },
  {
    id: "remove_rgw",
    name: "Remove Rados Gateway host from cluster",
    description: "Remove Rados Gateway host from cluster",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [],
  },
  {
    id: "remove_mds",
    name: "Remove metadata server from host",
    description: "Remove metadata server from host",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [],
  },
  {
    id: "remove_mon",
    name: "Remove monitor host from Ceph cluster",
    description: "Remove monitor host from cluster",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [],
  },
  {
    id: "restart_services",
    name: "Restart services",
    description:
      "This plugins helps to restart services in correct order, mainaining\noverall availability.",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [
      hint("restart_mon", "Restart monitor services", true),
      hint("restart_osd", "Restart OSD services", true),
      hint("restart_restapi", "Restart Ceph REST API", true),
      hint("restart_rgw", "Restart Rados Gateway services", true),
    ],
  },
  {
    id: "telegraf_integration",
    name: "Telegraf Integration Plugin for Decapod",
    description:
      "Telegraf Integration Plugin for Decapod\n\nThis plugin activates Ceph input with correct settings for InfluxDB\nTelegraf.",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [hint("install", "Install Telegraf on the node", true)],
  },
  {
    id: "purge_telegraf",
    name: "Telegraf removal plugin for Decapod",
    description:
      "Telegraf removal plugin for Decapod\n\nThis plugin removed Telegraf (or Ansible managed section only).",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [
      hint(
        "remove_config_section_only",
        "Remove only Ansible managed section",
        false,
      ),
    ],
  },
  {
    id: "update_ceph_configuration",
    name: "Update configuration file for Ceph cluster",
    description: "Update configuration file for Ceph cluster.",
    required_server_list: true,
    server_list_policy: "in_this_cluster",
    hints: [],
  },
  {
    id: "upgrade_ceph",
    name: "Upgrade Ceph",
    description: "Upgrade Ceph version for the cluster.",
    required_server_list: false,
    server_list_policy: "in_this_cluster",
    hints: [hint("sync_time", "Force sync time on Ceph nodes", false)],
  },
];

/** The playbook with this id. */
export function playbook(id: string): Playbook | undefined {
  return PLAYBOOKS.find((item) => item.id === id);
}

const API_PERMISSIONS = [
  "create_cluster",
  "create_execution",
  "create_playbook_configuration",
  "create_role",
  "create_server",
  "create_user",
  "delete_cluster",
  "delete_execution",
  "delete_playbook_configuration",
  "delete_role",
  "delete_server",
  "delete_user",
  "edit_cluster",
  "edit_playbook_configuration",
  "edit_role",
  "edit_server",
  "edit_user",
  "view_cinder",
  "view_cluster",
  "view_cluster_versions",
  "view_execution",
  "view_execution_steps",
  "view_execution_version",
  "view_playbook_configuration",
  "view_playbook_configuration_version",
  "view_role",
  "view_role_versions",
  "view_server",
  "view_server_versions",
  "view_user",
  "view_user_versions",
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
