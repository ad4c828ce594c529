/** What a run of each playbook does to clusters and servers, and when. */
import { cinderOf } from "./cinder.ts";
import { addServers, purge, removeServers } from "./clusters.ts";
import { crash } from "./errors.ts";
import { GROUPS, hostsByGroup, hostVariablesOf } from "./inventory.ts";
import type { ConfigurationData } from "./playbook_configurations.ts";
import type { World } from "./world.ts";

/** A change of clusters, servers or files. */
export type Effect = (
  world: World,
  configuration: ConfigurationData,
) => unknown;

/** What a run changes, apart from the state of its execution. */
export interface Effects {
  /** Applied when the run starts; an error makes the run fail. */
  readonly start?: Effect;
  /** Applied when the run completes. Failed and canceled runs change nothing. */
  readonly complete?: Effect;
  /** The stage at which every run fails because the plugin has a defect. */
  readonly defect?: "preparation" | "clean-up";
}

/** Groups of an inventory that are not roles. */
const NO_ROLES = new Set(["already_deployed", "oldmons"]);

/** Adds the hosts of the inventory to the cluster, in their roles. */
function join(
  world: World,
  { cluster_id: clusterId, configuration }: ConfigurationData,
): void {
  const known = world.hostVariables.get(clusterId) ?? new Map();
  world.hostVariables.set(clusterId, known);
  for (const [ip, variables] of hostVariablesOf(configuration)) {
    known.set(ip, { ...known.get(ip), ...variables });
  }
  const roles: Record<string, string[]> = {};
  for (const [group, hosts] of hostsByGroup(configuration)) {
    if (NO_ROLES.has(group) || hosts.length === 0) continue;
    roles[group] = hosts.map((ip) => serverAt(world, ip));
  }
  addServers(world, clusterId, roles);
}

/** Removes the hosts of a group from a role. */
function leave(role: string, group = role): Effect {
  return (world, { cluster_id: clusterId, configuration }) => {
    const hosts = hostsByGroup(configuration).get(group) ?? [];
    const ids = hosts.map((ip) => serverAt(world, ip));
    removeServers(world, clusterId, ids, role);
  };
}

function serverAt(world: World, ip: string): string {
  const server = world.servers.holder("ip", ip);
  if (server === undefined) throw crash(`Cannot find server with IP ${ip}`);
  return server.model_id;
}

/** By playbook id. All other playbooks change no cluster and no server. */
const EFFECTS: Readonly<Record<string, Effects>> = {
  ...Object.fromEntries(
    Object.entries(GROUPS).flatMap(([part, role]): [string, Effects][] => [
      [`add_${part}`, { start: join }],
      [`remove_${part}`, { complete: leave(role) }],
    ]),
  ),
  cluster_deploy: { start: join },
  add_client: { start: join, defect: "preparation" },
  remove_mds: { complete: leave("mdss", "mdss_to_remove") },
  remove_nfs: { defect: "clean-up" },
  purge_cluster: { complete: (world, { cluster_id: id }) => purge(world, id) },
  cinder_integration: {
    complete: ({ cinder }, { cluster_id: id }) => cinder.set(id, cinderOf(id)),
  },
};

/** The effects of a playbook. */
export function effectsOf(playbookId: string): Effects {
  return EFFECTS[playbookId] ?? {};
}
