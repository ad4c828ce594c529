/** Clusters: groups of servers, each server in its roles. */
import { standard } from "./errors.ts";
import { type Route, route } from "./http.ts";
import type { Json } from "./json.ts";
import { contains, subscript } from "./python.ts";
import { find, routesOf } from "./resources.ts";
import { BODIES, MODELS } from "./schemas.ts";
import type { ServerData } from "./servers.ts";
import { modelText, type Version } from "./store.ts";
import type { World } from "./world.ts";

/** A server in a role of a cluster. */
export type ClusterServer = {
  server_id: string;
  version: number;
  fqdn: Json;
  ip: Json;
  server_name: Json;
};

/** The data of a cluster: its name and its servers by role. */
export type ClusterData = {
  name: Json;
  configuration: { [role: string]: ClusterServer[] };
};

/** Whether servers have been deployed to a cluster. */
export function isDeployed({ data }: Version<ClusterData>): boolean {
  return Object.keys(data.configuration).length > 0;
}

function entry(server: Version<ServerData>): ClusterServer {
  const { fqdn, ip, name } = server.data;
  return {
    server_id: server.model_id,
    version: server.version,
    fqdn,
    ip,
    server_name: name,
  };
}

/** Changes the servers of each role; roles without servers disappear. */
function edit(
  world: World,
  clusterId: string,
  change: (role: string, servers: ClusterServer[]) => ClusterServer[],
  roles: readonly string[] = [],
): void {
  const cluster = find(world.clusters, clusterId);
  const { name, configuration } = cluster.data;
  const changed: ClusterData["configuration"] = {};
  for (const role of new Set([...Object.keys(configuration), ...roles])) {
    const servers = change(role, configuration[role] ?? []);
    if (servers.length > 0) {
      changed[role] = servers.toSorted((a, b) =>
        a.server_id < b.server_id ? -1 : 1
      );
    }
  }
  world.clusters.save(cluster, { name, configuration: changed });
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
  const added: ClusterData["configuration"] = {};
  for (const [role, ids] of Object.entries(roles)) {
    for (const id of ids) world.servers.checkAlive(find(world.servers, id));
    added[role] = ids.map((id) => entry(assign(world, id, clusterId)));
  }
  edit(
    world,
    clusterId,
    (role, servers) => {
      const more = added[role] ?? [];
      const known = new Set(more.map(({ server_id }) => server_id));
      return [
        ...servers.filter(({ server_id }) => !known.has(server_id)),
        ...more,
      ];
    },
    Object.keys(added),
  );
}

/** Removes servers from a role, and from the cluster if it was their last. */
export function removeServers(
  world: World,
  clusterId: string,
  serverIds: readonly string[],
  from: string,
): void {
  edit(
    world,
    clusterId,
    (role, servers) =>
      role === from
        ? servers.filter(({ server_id }) => !serverIds.includes(server_id))
        : servers,
  );
  const roles = world.clusters.latest(clusterId)?.data.configuration ?? {};
  const left = new Set(
    Object.values(roles).flat().map(({ server_id }) => server_id),
  );
  for (const id of serverIds) if (!left.has(id)) assign(world, id, null);
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
  const { cluster_id } = server.data;
  if (cluster_id === null) return;
  const cluster = find(world.clusters, cluster_id);
  if (cluster.time_deleted !== 0) return;
  edit(
    world,
    cluster_id,
    (_role, servers) =>
      servers.map((item) =>
        item.server_id === server.model_id ? entry(server) : item
      ),
  );
}

/** The routes of clusters. */
export const clusterRoutes: readonly Route[] = [
  ...routesOf<ClusterData>({
    model: "cluster",
    collection: ({ clusters }) => clusters,
    view: ["view_cluster"],
    viewVersions: "view_cluster_versions",
    change: {
      schema: MODELS.cluster,
      permission: "edit_cluster",
      naming: "name",
      apply: (current, sent) =>
        contains(sent, "name")
          ? { ...current, name: subscript(sent, "name") }
          : current,
    },
    remove: {
      permission: "delete_cluster",
      check: (_context, cluster) => {
        if (isDeployed(cluster)) {
          throw standard("CannotDeleteClusterWithServers");
        }
      },
    },
  }),
  route(
    "POST /cluster",
    ["view_cluster", "create_cluster"],
    async (context) => {
      const { name = null } = await context.body(BODIES.cluster);
      const data = { name, configuration: {} };
      return modelText(context.world.clusters.create(data, context.userId));
    },
  ),
];
