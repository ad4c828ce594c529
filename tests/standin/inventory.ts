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
type Groups = Record<string, readonly Server[]>;
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

/** The input, and what several playbooks make of it. */
interface Prepared extends Ingredients {
  /** The name of the cluster, as a variable. */
  readonly name: { cluster: Json };
  /** The servers of the cluster by their roles. */
  readonly roles: Groups;
  readonly mons: readonly Server[];
  /** The first monitor alone. */
  readonly monitor: readonly Server[];
  /** The user, and the host variables from earlier runs. */
  readonly earlier: HostVariables;
}

/** What a playbook gets; host variables: the user by default. */
type Recipe = (
  input: Prepared,
) => [variables: JsonObject, groups: Groups, hosts?: HostVariables];

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

function disks({ collocation }: JsonObject): HostVariables {
  return (server) => ({
    ...monitor(server),
    devices: ["/dev/vdb", "/dev/vdc"],
    ...(collocation !== true &&
      { raw_journal_devices: ["/dev/vdd", "/dev/vde"] }),
  });
}

/** `add_…`: the new hosts have their own variables, besides the earlier ones. */
function addition(part: string, role: string): Recipe {
  return (input) => {
    const { members, mons, servers, hints, earlier } = input;
    const groups: Groups = { already_deployed: members, mons, [role]: servers };
    const variables = cephVariables(input);
    let added = user;
    switch (part) {
      case "mon":
        groups.oldmons = mons;
        groups.mons = [...new Set([...mons, ...servers])];
        added = monitor;
        break;
      case "osd":
        added = disks(hints);
        break;
      case "nfs":
        if (hints.dont_deploy_rgw !== true) groups.rgws = servers;
        variables.nfs_file_gw = hints.file_access ?? true;
        variables.nfs_obj_gw = hints.object_access ?? true;
        break;
      case "rbdmirror": {
        variables.add_peers = hints.add_peers ?? true;
        const mirror = {
          cluster: hints.remote_clustername ?? "",
          pool: hints.poolname ?? "",
          user: hints.remote_username ?? "",
        };
        added = (server) => ({ ...user(server), rbd_mirrors: [mirror] });
      }
    }
    return [variables, groups, (server) => ({
      ...earlier(server),
      ...(servers.includes(server) && added(server)),
    })];
  };
}

const RECIPES: Record<string, Recipe> = {
  ...Object.fromEntries(
    Object.entries(GROUPS).flatMap(([part, role]): [string, Recipe][] => [
      [`add_${part}`, addition(part, role)],
      [
        `remove_${part}`,
        ({ name, servers, earlier }) => [name, { [role]: servers }, earlier],
      ],
    ]),
  ),
  cluster_deploy: deployment,
  hello_world: ({ members }) => [
    {},
    { servers: members },
    () => ({ interface: "0.0.0.0", port_number: 8085 }),
  ],
  purge_cluster: ({ name, roles }) => [name, roles],
  remove_client: ({ name, hints, servers, earlier }) => [
    { ...name, ...hints },
    { clients: servers },
    earlier,
  ],
  remove_mds: (input) => [
    cephVariables(input),
    { mdss_to_remove: input.servers, mons: input.mons },
    input.earlier,
  ],
  remove_mon: ({ name, servers, mons, earlier }) => {
    if (!servers.every((server) => mons.includes(server))) {
      throw crash("Some servers are not monitors");
    }
    if (servers.length === mons.length) {
      throw crash("Cannot remove all monitors");
    }
    return [name, { mons: servers }, earlier];
  },
  remove_nfs: ({ name, servers, hints, earlier }) => {
    const { remove_nfs_rgw_user = false } = hints;
    const { ceph_nfs_rgw_user = "" } = CEPH_VARIABLES;
    const variables = { ...name, ceph_nfs_rgw_user, remove_nfs_rgw_user };
    return [variables, { nfss: servers }, earlier];
  },
  remove_osd: ({ name, monitor, servers, earlier }) => [
    name,
    { mons: monitor, osds: servers },
    earlier,
  ],
  add_pool: ({ name, hints, monitor }) => [
    { ...name, ...hints },
    { mons: monitor },
  ],
  remove_pool: ({ name, hints, monitor }) => [
    { ...name, pool_names: [hints.pool_name ?? ""] },
    { mons: monitor },
  ],
  cinder_integration: ({ name, monitor }) => [
    name,
    { mons: monitor },
    (server) => ({ ...user(server), clients: {}, pools: {} }),
  ],
  restart_services: ({ name, servers, roles, hints }) => {
    const groups: Groups = {};
    for (const [part, role] of Object.entries(GROUPS)) {
      const chosen = roles[role]?.filter((server) => servers.includes(server));
      const isWanted = hints[`restart_${part}`] === true;
      if (isWanted && chosen?.length) groups[role] = chosen;
    }
    const timeout = { start_retries: 3, start_delay: 10 };
    const timeouts = { mon: timeout, osd: timeout, restapi: timeout };
    return [{ ...name, ...timeouts, radosgw: timeout }, groups];
  },
  telegraf_integration: ({ servers, hints }) => [
    { ...TELEGRAF_VARIABLES, ...hints },
    { telegraf: servers },
  ],
  purge_telegraf: ({ servers, hints }) => [
    { configpath: TELEGRAF_VARIABLES.configpath ?? "", ...hints },
    { telegraf: servers },
  ],
  update_ceph_configuration: ({ roles, earlier }) => [
    { ceph_conf_overrides: {} },
    roles,
    earlier,
  ],
  upgrade_ceph: ({ name, roles, hints: { sync_time = false } }) => {
    const timeouts = { retries: 30, delay: 10 };
    const variables = { mon: timeouts, osd: timeouts, do_timesync: sync_time };
    return [
      { ...name, ...variables, ntp_server: "pool.ntp.org" },
      roles,
      (server) => ({
        ...user(server),
        has_radosgw: roles.rgws?.includes(server) ?? false,
      }),
    ];
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
  const { cluster, members, known } = ingredients;
  const roles: Groups = {};
  for (const [role, items] of Object.entries(cluster.data.configuration)) {
    roles[role] = items.flatMap(({ server_id }) =>
      members.find(({ model_id }) => model_id === server_id) ?? []
    );
  }
  const { mons = [] } = roles;
  const [variables, groups, hosts = user] = recipe({
    ...ingredients,
    name: { cluster: cluster.data.name },
    roles,
    mons,
    monitor: mons.slice(0, 1),
    earlier: (server) => ({
      ...user(server),
      ...known.get(server.data.ip ?? ""),
    }),
  });
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
function deployment(input: Prepared): ReturnType<Recipe> {
  const { servers, hints } = input;
  const bySpace = servers.toSorted((a, b) => diskSpace(a) - diskSpace(b));
  const mons = bySpace.slice(0, Number(hints.mon_count));
  if (mons.length === 0) throw crash("Cannot deploy without monitors");
  const restapis = hints.rest_api === true ? mons : [];
  const empty = { clients: [], iscsi_gw: [], mdss: [], nfss: [], rgws: [] };
  return [
    {
      ...cephVariables(input),
      restapi_template_local_path: RESTAPI_TEMPLATE,
    },
    {
      ...{ ...empty, mons, rbdmirrors: [], restapis },
      osds: bySpace.slice(mons.length),
    },
    disks(hints),
  ];
}

/** The size of all devices, in bytes. */
function diskSpace({ data }: Server): number {
  const { ansible_devices: devices = null } = data.facts;
  let size = 0;
  for (const device of Object.values(isObject(devices) ? devices : {})) {
    const { sectors, sectorsize } = isObject(device) ? device : {};
    size += Number(sectors ?? 0) * Number(sectorsize ?? 0);
  }
  return size;
}

/** The smallest network that contains all addresses. */
function commonNetwork(addresses: readonly string[]): string {
  const numbers = addresses.map((address) =>
    address.split(".").reduce((number, part) => number * 256 + Number(part), 0)
  );
  let size = 1;
  const start = (number: number) => number - number % size;
  while (new Set(numbers.map(start)).size > 1) size *= 2;
  const first = start(numbers[0] ?? 0);
  const parts = [24, 16, 8, 0].map((bits) =>
    Math.floor(first / 2 ** bits) % 256
  );
  return `${parts.join(".")}/${32 - Math.log2(size)}`;
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
