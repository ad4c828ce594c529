/** The configurations of playbooks: Ansible's variables and inventory. */
import type { ClusterData } from "./clusters.ts";
import { crash } from "./errors.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import type { ServerData } from "./servers.ts";
import type { Version } from "./store.ts";
import {
  CEPH_VARIABLES,
  RESTAPI_TEMPLATE,
  TELEGRAF_VARIABLES,
} from "./variables.ts";

type Server = Version<ServerData>;
type Groups = Record<string, Server[]>;
type HostVariables = (server: Server) => JsonObject;

/** The input of a configuration. */
export interface Ingredients {
  readonly cluster: Version<ClusterData>;
  /** All servers of the cluster. */
  readonly members: readonly Server[];
  /** The servers to work on. */
  readonly servers: readonly Server[];
  readonly hints: JsonObject;
  /** Host variables from earlier runs on the cluster, by IP. */
  readonly known: ReadonlyMap<string, JsonObject>;
}

interface Parts {
  readonly variables: JsonObject;
  readonly groups: Groups;
  readonly hosts: HostVariables;
}

type Recipe = (ingredients: Ingredients) => Parts;

/** The role that `add_…` gives to servers and `remove_…` removes. */
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

const user: HostVariables = ({ data }) => ({ ansible_user: data.username });

const monitor: HostVariables = (server) => ({
  ...user(server),
  monitor_address: server.data.ip,
});

const disks: HostVariables = (server) => ({
  ...monitor(server),
  devices: ["/dev/vdb", "/dev/vdc"],
});

const disksWithJournals: HostVariables = (server) => ({
  ...disks(server),
  raw_journal_devices: ["/dev/vdd", "/dev/vde"],
});

function disksFor({ collocation }: JsonObject): HostVariables {
  return collocation === true ? disks : disksWithJournals;
}

/** The user, and the host variables from earlier runs. */
function known({ known }: Ingredients): HostVariables {
  return (server) => ({ ...user(server), ...known.get(server.data.ip ?? "") });
}

/** The host variables of servers that `add_…` adds, if more than the user. */
const ADDITIONS: Record<string, (hints: JsonObject) => HostVariables> = {
  mon: () => monitor,
  osd: disksFor,
  rbdmirror:
    ({ poolname, remote_clustername, remote_username }) => (server) => ({
      ...user(server),
      rbd_mirrors: [{
        cluster: remote_clustername ?? "",
        pool: poolname ?? "",
        user: remote_username ?? "",
      }],
    }),
};

function addition(part: string, role: string): Recipe {
  return (ingredients) => {
    const { members, servers, hints } = ingredients;
    const mons = inRoles(ingredients).mons ?? [];
    const groups: Groups = { already_deployed: [...members], mons };
    if (role === "mons") groups.oldmons = mons;
    groups[role] = role === "mons"
      ? [...new Set([...mons, ...servers])]
      : [...servers];
    if (part === "nfs" && hints.dont_deploy_rgw !== true) {
      groups.rgws = [...servers];
    }
    const fromBefore = known(ingredients);
    const added = ADDITIONS[part]?.(hints) ?? user;
    return {
      variables: {
        ...cephVariables(ingredients),
        ...(part === "rbdmirror" && { add_peers: hints.add_peers ?? true }),
        ...(part === "nfs" && {
          nfs_file_gw: hints.file_access ?? true,
          nfs_obj_gw: hints.object_access ?? true,
        }),
      },
      groups,
      hosts: (server) => ({
        ...fromBefore(server),
        ...(servers.includes(server) && added(server)),
      }),
    };
  };
}

/** `remove_…`, with the name of the cluster and further variables. */
function removal(
  role: string,
  variables: (ingredients: Ingredients) => JsonObject = () => ({}),
): Recipe {
  return (ingredients) => ({
    variables: { ...clusterName(ingredients), ...variables(ingredients) },
    groups: { [role]: [...ingredients.servers] },
    hosts: known(ingredients),
  });
}

/** A playbook that works through the first monitor. */
function onMonitor(
  variables: (hints: JsonObject) => JsonObject,
  hosts: HostVariables = user,
): Recipe {
  return (ingredients) => ({
    variables: { ...clusterName(ingredients), ...variables(ingredients.hints) },
    groups: { mons: firstMonitor(ingredients) },
    hosts,
  });
}

/** The hints that restart services, with the roles that run them. */
const RESTARTS: Record<string, string> = {
  restart_mon: "mons",
  restart_osd: "osds",
  restart_restapi: "restapis",
  restart_rgw: "rgws",
};

const RECIPES: Record<string, Recipe> = {
  ...Object.fromEntries(
    Object.entries(GROUPS).flatMap(([part, role]): [string, Recipe][] => [
      [`add_${part}`, addition(part, role)],
      [`remove_${part}`, removal(role)],
    ]),
  ),
  cluster_deploy: deployment,
  hello_world: ({ members }) => ({
    variables: {},
    groups: { servers: [...members] },
    hosts: () => ({ interface: "0.0.0.0", port_number: 8085 }),
  }),
  purge_cluster: (ingredients) => ({
    variables: clusterName(ingredients),
    groups: inRoles(ingredients),
    hosts: user,
  }),
  remove_client: removal("clients", ({ hints }) => hints),
  remove_mds: (ingredients) => ({
    variables: cephVariables(ingredients),
    groups: {
      mdss_to_remove: [...ingredients.servers],
      mons: inRoles(ingredients).mons ?? [],
    },
    hosts: known(ingredients),
  }),
  remove_mon: (ingredients) => {
    const { servers } = ingredients;
    const monitors = inRoles(ingredients).mons ?? [];
    if (!servers.every((server) => monitors.includes(server))) {
      throw crash("Some servers are not monitors");
    }
    if (servers.length === monitors.length) {
      throw crash("Cannot remove all monitors");
    }
    return removal("mons")(ingredients);
  },
  remove_nfs: removal("nfss", ({ hints: { remove_nfs_rgw_user = false } }) => ({
    ceph_nfs_rgw_user: CEPH_VARIABLES.ceph_nfs_rgw_user ?? "",
    remove_nfs_rgw_user,
  })),
  remove_osd: (ingredients) => ({
    variables: clusterName(ingredients),
    groups: {
      mons: firstMonitor(ingredients),
      osds: [...ingredients.servers],
    },
    hosts: known(ingredients),
  }),
  add_pool: onMonitor((hints) => hints),
  remove_pool: onMonitor(({ pool_name }) => ({
    pool_names: [pool_name ?? ""],
  })),
  cinder_integration: onMonitor(() => ({}), (server) => ({
    ...user(server),
    clients: {},
    pools: {},
  })),
  restart_services: (ingredients) => {
    const { servers, hints } = ingredients;
    const roles = inRoles(ingredients);
    const groups: Groups = {};
    for (const [id, role] of Object.entries(RESTARTS)) {
      const chosen = roles[role]?.filter((server) => servers.includes(server));
      if (hints[id] === true && chosen && chosen.length > 0) {
        groups[role] = chosen;
      }
    }
    const startTimeout = { start_retries: 3, start_delay: 10 };
    return {
      variables: {
        ...clusterName(ingredients),
        mon: startTimeout,
        osd: startTimeout,
        radosgw: startTimeout,
        restapi: startTimeout,
      },
      groups,
      hosts: user,
    };
  },
  telegraf_integration: ({ servers, hints }) => ({
    variables: { ...TELEGRAF_VARIABLES, ...hints },
    groups: { telegraf: [...servers] },
    hosts: user,
  }),
  purge_telegraf: ({ servers, hints }) => ({
    variables: { configpath: TELEGRAF_VARIABLES.configpath ?? "", ...hints },
    groups: { telegraf: [...servers] },
    hosts: user,
  }),
  update_ceph_configuration: (ingredients) => ({
    variables: { ceph_conf_overrides: {} },
    groups: inRoles(ingredients),
    hosts: known(ingredients),
  }),
  upgrade_ceph: (ingredients) => {
    const roles = inRoles(ingredients);
    const timeouts = { retries: 30, delay: 10 };
    return {
      variables: {
        ...clusterName(ingredients),
        do_timesync: ingredients.hints.sync_time ?? false,
        mon: timeouts,
        ntp_server: "pool.ntp.org",
        osd: timeouts,
      },
      groups: roles,
      hosts: (server) => ({
        ...user(server),
        has_radosgw: roles.rgws?.includes(server) ?? false,
      }),
    };
  },
};

/** The configuration of a playbook for these servers. */
export function makeConfiguration(
  playbookId: string,
  ingredients: Ingredients,
): JsonObject {
  const recipe = RECIPES[playbookId];
  if (recipe === undefined) {
    throw new RangeError(`Cannot configure ${playbookId}: it has no recipe`);
  }
  const { variables, groups, hosts } = recipe(ingredients);
  const hostvars: JsonObject = {};
  const inventory: JsonObject = { _meta: { hostvars } };
  for (const [group, servers] of Object.entries(groups)) {
    inventory[group] = servers.map(({ data }) => data.ip);
    for (const server of servers) {
      const { ip } = server.data;
      if (ip === null) throw crash("keys must be a string");
      hostvars[ip] = hosts(server);
    }
  }
  return { global_vars: variables, inventory };
}

function clusterName({ cluster }: Ingredients): { cluster: Json } {
  return { cluster: cluster.data.name };
}

/** The servers of the cluster by their roles. */
function inRoles({ cluster, members }: Ingredients): Groups {
  return Object.fromEntries(
    Object.entries(cluster.data.configuration).map(([role, items]) => [
      role,
      items.flatMap(({ server_id }) =>
        members.find(({ model_id }) => model_id === server_id) ?? []
      ),
    ]),
  );
}

function firstMonitor(ingredients: Ingredients): Server[] {
  return (inRoles(ingredients).mons ?? []).slice(0, 1);
}

/** The variables of a deployment and of all playbooks that extend it. */
function cephVariables(
  { cluster, members, servers, hints }: Ingredients,
): JsonObject {
  const network = commonNetwork(
    [...members, ...servers].flatMap(({ data }) => data.ip ?? []),
  );
  const collocation = hints.collocation === true;
  const dmcrypt = hints.dmcrypt === true;
  return {
    ...CEPH_VARIABLES,
    ceph_version_verify: hints.ceph_version_verify ?? false,
    cluster: cluster.data.name,
    cluster_network: network,
    dmcrypt_dedicated_journal: dmcrypt && !collocation,
    dmcrypt_journal_collocation: dmcrypt && collocation,
    fsid: cluster.model_id,
    journal_collocation: collocation && !dmcrypt,
    public_network: network,
    raw_multi_journal: !collocation && !dmcrypt,
  };
}

/** Monitors go to the servers with the least disk space, OSDs to the others. */
function deployment(ingredients: Ingredients): Parts {
  const { servers, hints } = ingredients;
  const bySpace = servers.toSorted((a, b) => diskSpace(a) - diskSpace(b));
  const monitors = bySpace.slice(0, Number(hints.mon_count));
  if (monitors.length === 0) throw crash("Cannot deploy without monitors");
  return {
    variables: {
      ...cephVariables(ingredients),
      restapi_template_local_path: RESTAPI_TEMPLATE,
    },
    groups: {
      clients: [],
      iscsi_gw: [],
      mdss: [],
      mons: monitors,
      nfss: [],
      osds: bySpace.slice(monitors.length),
      rbdmirrors: [],
      restapis: hints.rest_api === true ? monitors : [],
      rgws: [],
    },
    hosts: disksFor(hints),
  };
}

/** The size of all devices, in bytes. */
function diskSpace({ data }: Server): number {
  const { ansible_devices: devices = null } = data.facts;
  if (!isObject(devices)) return 0;
  return Object.values(devices).reduce(
    (total: number, device) =>
      isObject(device)
        ? total + Number(device.sectors) * Number(device.sectorsize)
        : total,
    0,
  );
}

/** The smallest network that contains all addresses. */
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

function inventoryOf(configuration: Json): JsonObject {
  const inventory = isObject(configuration) ? configuration.inventory : null;
  return isObject(inventory) ? inventory : {};
}

/** The hosts of a configuration, which users may have edited, by group. */
export function hostsByGroup(configuration: Json): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [name, group] of Object.entries(inventoryOf(configuration))) {
    if (name === "_meta") continue;
    const hosts = isObject(group) ? group.hosts : group;
    if (Array.isArray(hosts)) groups.set(name, hosts.map(String));
  }
  return groups;
}

/** The variables of the hosts of a configuration, by IP. */
export function hostVariablesOf(configuration: Json): [string, JsonObject][] {
  const { _meta: meta = null } = inventoryOf(configuration);
  const hosts = isObject(meta) ? meta.hostvars : null;
  return Object.entries(isObject(hosts) ? hosts : {})
    .flatMap(([ip, variables]) => isObject(variables) ? [[ip, variables]] : []);
}
