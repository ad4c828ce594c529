/** What Ansible is told: variables, and which host plays which part. */

import type { ClusterData } from "./clusters.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import type { Playbook } from "./playbooks.ts";
import type { ServerData } from "./servers.ts";
import type { Version } from "./store.ts";

type Server = Version<ServerData>;
type Groups = Record<string, Server[]>;

/** The group that a playbook adds servers to or removes them from. */
export const GROUPS: Readonly<Record<string, string>> = {
  client: "clients",
  mds: "mdss",
  mon: "mons",
  nfs: "nfss",
  osd: "osds",
  rbdmirror: "rbdmirrors",
  restapi: "restapis",
  rgw: "rgws",
};

/** The configuration of a playbook for these servers of a cluster's. */
export function makeConfiguration(
  playbook: Playbook,
  cluster: Version<ClusterData>,
  members: readonly Server[],
  servers: readonly Server[],
  hints: JsonObject,
): JsonObject {
  switch (playbook.id) {
    case "cluster_deploy":
      return deployment(cluster, servers, hints);
    case "hello_world":
      return configuration({}, { servers: [...servers] }, () => ({
        interface: "0.0.0.0",
        port_number: 8085,
      }));
    case "purge_cluster":
      return configuration(
        { cluster: cluster.data.name },
        inRoles(cluster, members),
        ({ data }) => ({ ansible_user: data.username }),
      );
    default:
      return configuration(
        { cluster: cluster.data.name, ...hints },
        chosenGroups(playbook.id, inRoles(cluster, members), servers),
        hostVariables,
      );
  }
}

function configuration(
  global_vars: JsonObject,
  groups: Groups,
  variables: (server: Server) => JsonObject,
): JsonObject {
  const hosts: JsonObject = {};
  const inventory: JsonObject = { _meta: { hostvars: hosts } };
  for (const [group, servers] of Object.entries(groups)) {
    inventory[group] = servers.map(({ data }) => data.ip);
    for (const server of servers) hosts[server.data.ip] = variables(server);
  }
  return { global_vars, inventory };
}

function hostVariables({ data }: Server): JsonObject {
  return {
    ansible_user: data.username,
    devices: ["/dev/vdb", "/dev/vdc"],
    monitor_address: data.ip,
    raw_journal_devices: ["/dev/vdd", "/dev/vde"],
  };
}

/** The servers of a cluster by their roles. */
function inRoles(
  { data }: Version<ClusterData>,
  members: readonly Server[],
): Groups {
  return Object.fromEntries(
    Object.entries(data.configuration).map(([role, items]) => [
      role,
      items.flatMap(({ server_id }) =>
        members.find(({ model_id }) => model_id === server_id) ?? []
      ),
    ]),
  );
}

/**
 * The group that `add_…` and `remove_…` are about, with a monitor to tell the
 * cluster of it; or simply all servers.
 */
function chosenGroups(
  playbookId: string,
  roles: Groups,
  servers: readonly Server[],
): Groups {
  const part = /^(?:add|remove)_(.+)$/.exec(playbookId)?.[1] ?? "";
  const group = GROUPS[part];
  if (group === undefined) return { servers: [...servers] };
  return { mons: (roles.mons ?? []).slice(0, 1), [group]: [...servers] };
}

function deployment(
  cluster: Version<ClusterData>,
  servers: readonly Server[],
  hints: JsonObject,
): JsonObject {
  const monitors = servers.slice(0, Math.max(1, Number(hints.mon_count)));
  const others = servers.slice(monitors.length);
  const network = commonNetwork(servers.map(({ data }) => data.ip));
  const collocation = hints.collocation === true;
  const dmcrypt = hints.dmcrypt === true;
  return configuration(
    {
      ...CEPH_VARIABLES,
      cluster: cluster.data.name,
      cluster_network: network,
      dmcrypt_dedicated_journal: dmcrypt && !collocation,
      dmcrypt_journal_collocation: dmcrypt && collocation,
      fsid: cluster.model_id,
      journal_collocation: collocation && !dmcrypt,
      public_network: network,
      raw_multi_journal: !collocation && !dmcrypt,
    },
    {
      clients: [],
      iscsi_gw: [],
      mdss: [],
      mons: monitors,
      nfss: [],
      // A cluster of monitors alone would store nothing.
      osds: others.length > 0 ? others : [...servers],
      rbdmirrors: [],
      restapis: hints.rest_api === true ? monitors : [],
      rgws: [],
    },
    hostVariables,
  );
}

/** The smallest network that holds all the addresses. */
function commonNetwork(addresses: readonly string[]): string {
  const bits = addresses.map((address) =>
    address.split(".").map((part) => Number(part).toString(2).padStart(8, "0"))
      .join("")
  );
  const [first = ""] = bits;
  let length = 0;
  while (
    length < 32 && bits.every((other) => other[length] === first[length])
  ) length++;
  const network = first.slice(0, length).padEnd(32, "0");
  const parts = network.match(/.{8}/g)?.map((part) => parseInt(part, 2)) ?? [];
  return `${parts.join(".")}/${length}`;
}

const CEPH_VARIABLES: JsonObject = {
  ceph_nfs_access_type: "RW",
  ceph_nfs_ceph_access_type: "RW",
  ceph_nfs_ceph_export_id: 20134,
  ceph_nfs_ceph_protocols: "3,4",
  ceph_nfs_ceph_pseudo_path: "/cephobject",
  ceph_nfs_export_id: 20134,
  ceph_nfs_log_file: "/var/log/ganesha.log",
  ceph_nfs_protocols: "3,4",
  ceph_nfs_pseudo_path: "/cephfile",
  ceph_nfs_rgw_access_type: "RW",
  ceph_nfs_rgw_export_id: 20134,
  ceph_nfs_rgw_protocols: "3,4",
  ceph_nfs_rgw_pseudo_path: "/ceph",
  ceph_nfs_rgw_user: "cephnfs",
  ceph_restapi_port: 5000,
  ceph_stable: true,
  ceph_stable_distro_source: "jewel-xenial",
  ceph_stable_release: "jewel",
  ceph_stable_release_uca: "jewel-xenial",
  ceph_stable_repo: "http://mirror.fuel-infra.org/decapod/ceph/jewel-xenial",
  ceph_stable_repo_key: "AF94F6A6A254F5F0",
  ceph_stable_repo_keyserver: "hkp://keyserver.ubuntu.com:80",
  ceph_version_verify: false,
  ceph_version_verify_packagename: "ceph-common",
  common_single_host_mode: true,
  copy_admin_key: true,
  journal_size: 512,
  max_open_files: 131072,
  mds_allow_multimds: true,
  mds_max_mds: 3,
  nfs_file_gw: false,
  nfs_obj_gw: false,
  os_tuning_params: [
    { name: "kernel.pid_max", value: 4194303 },
    { name: "fs.file-max", value: 26234859 },
  ],
  radosgw_civetweb_num_threads: 50,
  radosgw_civetweb_port: 8080,
  radosgw_dns_s3website_name: "your.subdomain.tld",
  radosgw_static_website: false,
  radosgw_usage_log: false,
  radosgw_usage_log_flush_threshold: 1024,
  radosgw_usage_log_tick_interval: 30,
  radosgw_usage_max_shards: 32,
  radosgw_usage_max_user_shards: 1,
  restapi_template_local_path:
    "/usr/share/decapod/plugins/deploy_cluster/decapod_plugin_playbook_deploy_cluster/ceph-rest-api.service",
};

/** The hosts of a configuration, which users may have edited, by group. */
export function hostsByGroup(configuration: Json): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  const inventory = isObject(configuration) ? configuration.inventory : null;
  if (!isObject(inventory)) return groups;
  for (const [name, group] of Object.entries(inventory)) {
    if (name === "_meta") continue;
    const hosts = isObject(group) ? group.hosts : group;
    if (Array.isArray(hosts)) groups.set(name, hosts.map(String));
  }
  return groups;
}
