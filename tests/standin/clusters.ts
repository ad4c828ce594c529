/** Clusters: groups of servers, each server in its roles. */
import { standard } from "./errors.ts";
import type { Json } from "./json.ts";
import { contains, subscript } from "./python.ts";
import { find, routesOf } from "./resources.ts";
import { BODIES } from "./schemas.ts";
import type { ServerData } from "./servers.ts";
import { modelText, type Version } from "./store.ts";
import type { World } from "./world.ts";

/** The data of a cluster: its name and its servers by role. */
export type ClusterData = {
  name: Json;
  configuration: { [role: string]: ReturnType<typeof entry>[] };
};

/** A server in a role of a cluster. */
function entry({ model_id, version, data }: Version<ServerData>) {
  const { fqdn, ip, name: server_name } = data;
  return { server_id: model_id, version, fqdn, ip, server_name };
}

/** Whether servers have been deployed to a cluster. */
export function isDeployed({ data }: Version<ClusterData>): boolean {
  return Object.keys(data.configuration).length > 0;
}

/** Saves the servers of each role; roles without servers disappear. */
function save(
  world: World,
  cluster: Version<ClusterData>,
  roles: ClusterData["configuration"],
): void {
  const configuration: ClusterData["configuration"] = {};
  for (const [role, servers] of Object.entries(roles)) {
    if (servers.length === 0) continue;
    configuration[role] = servers.toSorted((a, b) =>
      a.server_id < b.server_id ? -1 : 1
    );
  }
  world.clusters.save(cluster, { ...cluster.data, configuration });
}

/** Moves a server into a cluster, or out of its cluster. */
function assign(
  world: World,
  serverId: string,
  clusterId: string | null,
): Version<ServerData> {
  const server = find(world.servers, serverId);
  if (server.data.cluster_id === clusterId) return server;
  return world.servers.save(server, { ...server.data, cluster_id: clusterId });
}

/**
 * Gives servers their roles in a cluster: server ids by role. Works role by
 * role and saves the cluster last, so a deleted server stops it halfway.
 */
export function addServers(
  world: World,
  clusterId: string,
  roles: Readonly<Record<string, readonly string[]>>,
): void {
  const cluster = find(world.clusters, clusterId);
  const configuration = { ...cluster.data.configuration };
  for (const [role, ids] of Object.entries(roles)) {
    for (const id of ids) world.servers.checkAlive(find(world.servers, id));
    const members = new Map(
      configuration[role]?.map((item) => [item.server_id, item]),
    );
    for (const id of ids) members.set(id, entry(assign(world, id, clusterId)));
    configuration[role] = [...members.values()];
  }
  save(world, cluster, configuration);
}

/** Removes servers from a role, and from the cluster if it was their last. */
export function removeServers(
  world: World,
  clusterId: string,
  serverIds: readonly string[],
  role: string,
): void {
  const cluster = find(world.clusters, clusterId);
  const configuration = { ...cluster.data.configuration };
  configuration[role] = (configuration[role] ?? [])
    .filter(({ server_id }) => !serverIds.includes(server_id));
  save(world, cluster, configuration);
  const left = Object.values(configuration).flat();
  for (const id of serverIds) {
    if (!left.some(({ server_id }) => server_id === id)) {
      assign(world, id, null);
    }
  }
}

/** Deletes a purged cluster and frees its servers. */
export function purge(world: World, clusterId: string): void {
  const cluster = find(world.clusters, clusterId);
  world.clusters.checkAlive(cluster);
  const { name, configuration } = cluster.data;
  for (const { server_id } of Object.values(configuration).flat()) {
    assign(world, server_id, null);
  }
  world.clusters.remove(cluster, { name, configuration: {} });
}

/** Updates the entries of a server in its cluster. */
export function updateServer(world: World, server: Version<ServerData>): void {
  const cluster = world.clusters.latest(server.data.cluster_id ?? "");
  if (cluster?.time_deleted !== 0) return;
  const roles: ClusterData["configuration"] = {};
  for (const [role, servers] of Object.entries(cluster.data.configuration)) {
    roles[role] = servers.map((item) =>
      item.server_id === server.model_id ? entry(server) : item
    );
  }
  save(world, cluster, roles);
}

/** The routes of clusters. */
export const clusterRoutes = routesOf<ClusterData>({
  model: "cluster",
  collection: ({ clusters }) => clusters,
  create: async (context) => {
    const { name = null } = await context.body(BODIES.cluster);
    const data = { name, configuration: {} };
    return modelText(context.world.clusters.create(data, context.userId));
  },
  naming: "name",
  change: (current, sent) =>
    contains(sent, "name")
      ? { ...current, name: subscript(sent, "name") }
      : current,
  checkRemoval: (_context, cluster) => {
    if (isDeployed(cluster)) throw standard("CannotDeleteClusterWithServers");
  },
});
