/** Playbook configurations: a playbook configured for a cluster. */
import { authorize } from "./accounts.ts";
import { isDeployed } from "./clusters.ts";
import { badRequest, crash } from "./errors.ts";
import { makeConfiguration } from "./inventory.ts";
import { type Json, type JsonObject, toJson } from "./json.ts";
import { type Playbook, PLAYBOOKS, readHints } from "./playbooks.ts";
import { contains, repr, subscript } from "./python.ts";
import { routesOf } from "./resources.ts";
import { BODIES } from "./schemas.ts";
import type { ServerData } from "./servers.ts";
import { toModel, type Version } from "./store.ts";
import type { World } from "./world.ts";

/** The data of a playbook configuration. */
export type ConfigurationData = {
  name: Json;
  playbook_id: string;
  cluster_id: string;
  configuration: Json;
};

type Server = Version<ServerData>;

/** Playbooks that do not require a deployed cluster. */
const FIRST_PLAYBOOKS = new Set(["cluster_deploy", "hello_world"]);

/** The servers with these ids, in the order of their versions. */
function serversById(world: World, { id }: Playbook, sent: Json): Server[] {
  const ids = Array.isArray(sent) ? sent.map(String) : [];
  if (ids.length === 0) {
    throw badRequest(
      "ServerListIsRequiredForPlaybookError",
      `Explicit server list is required for playbook ${id}`,
    );
  }
  const wanted = [...new Set(ids)];
  const servers = wanted.flatMap((id) => world.servers.latest(id) ?? [])
    .sort((a, b) => a.seq - b.seq);
  if (servers.length === 0 && wanted.length === 1) {
    throw crash("'NoneType' object has no attribute 'time_deleted'");
  }
  if (servers.length !== wanted.length) {
    const complaint = "All suggested servers were not found. Suggested servers";
    throw crash(`${complaint} were ${repr(ids)}`);
  }
  const deleted = servers.filter(({ time_deleted }) => time_deleted !== 0);
  if (deleted.length > 0) {
    const ids = deleted.map(({ model_id }) => model_id).join(", ");
    throw crash(`Some servers were deleted: ${ids}`);
  }
  return servers;
}

/** Which servers violate a policy, and the complaint; `$` is the cluster. */
const POLICIES: Record<
  Playbook["server_list_policy"],
  [wrong: (owner: string | null, cluster: string) => boolean, complaint: string]
> = {
  any_server: [() => false, ""],
  in_this_cluster: [
    (owner, cluster) => owner !== cluster,
    "do not belong to cluster $",
  ],
  not_in_other_cluster: [
    (owner, cluster) => owner !== null && owner !== cluster,
    "in other cluster than $",
  ],
  not_in_any_cluster: [(owner) => owner !== null, "are in clusters"],
};

function checkPolicy(
  { id, server_list_policy: policy }: Playbook,
  clusterId: string,
  servers: readonly Server[],
): void {
  const [wrong, complaint] = POLICIES[policy];
  const against = servers.flatMap(({ model_id, data }) =>
    wrong(data.cluster_id, clusterId) ? model_id : []
  ).sort().join(", ");
  if (servers.length > 0 && against === "") return;
  const reason = servers.length === 0
    ? "Servers should not be empty."
    : `Servers ${against} ${complaint.replace("$", clusterId)}`;
  throw badRequest(
    "ServerListPolicyViolation",
    `Violation of playbook server list policy ${policy} (${id}): ${reason}`,
  );
}

/** Configures a playbook, with all checks in the server's order. */
function prepare(world: World, body: JsonObject): ConfigurationData {
  const { name = null, server_ids = null, hints = null } = body;
  const clusterId = String(body.cluster_id);
  const cluster = world.clusters.latest(clusterId);
  if (cluster?.time_deleted !== 0) {
    throw badRequest(
      "UnknownClusterError",
      `There is not cluster with ID ${clusterId}`,
    );
  }
  const id = String(body.playbook_id);
  const playbook = PLAYBOOKS.find((item) => item.id === id);
  if (playbook === undefined) {
    throw badRequest("UnknownPlaybookError", `Unknown playbook ${id}`);
  }
  const members = [...world.servers.undeleted]
    .filter(({ data }) => data.cluster_id === clusterId)
    .sort((a, b) => a.seq - b.seq);
  const servers = playbook.required_server_list
    ? serversById(world, playbook, server_ids)
    : members;
  checkPolicy(playbook, clusterId, servers);
  const ingredients = {
    cluster,
    members,
    servers,
    hints: readHints(playbook, hints),
    known: world.hostVariables.get(clusterId) ?? new Map(),
  };
  if (!FIRST_PLAYBOOKS.has(id) && !isDeployed(cluster)) {
    throw badRequest(
      "ClusterMustBeDeployedError",
      `Cluster ${clusterId} must be deployed before creating such configuration`,
    );
  }
  if (id === "cluster_deploy" && isDeployed(cluster)) {
    throw crash(`Cluster ${clusterId} already has servers`);
  }
  const configuration = makeConfiguration(id, ingredients);
  return { name, playbook_id: id, cluster_id: clusterId, configuration };
}

/** The database rejects keys that look like its operators. */
function checkKeys(value: Json): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    if (key.startsWith("$")) {
      throw crash(`key ${repr(key)} must not start with '$'`);
    }
    checkKeys(item);
  }
}

/** The routes of playbook configurations. */
export const configurationRoutes = routesOf<ConfigurationData>({
  model: "playbook_configuration",
  collection: ({ configurations }) => configurations,
  create: async (context) => {
    const { world, userId } = context;
    const body = await context.body(BODIES.playbookConfiguration);
    const made = world.configurations.create(prepare(world, body), userId);
    let created_execution_id: string | null = null;
    if (body.run === true) {
      try {
        authorize(context, "playbook", made.data.playbook_id);
      } catch (error) {
        world.configurations.remove(made);
        throw error;
      }
      created_execution_id = world.executions.create(made).model_id;
    }
    const data = { ...made.data, created_execution_id };
    return toJson({ ...toModel(made), data });
  },
  change: (current, sent) => {
    const data = { ...current };
    if (contains(sent, "configuration")) {
      data.configuration = subscript(sent, "configuration");
    }
    if (contains(sent, "name")) data.name = subscript(sent, "name");
    checkKeys(data.configuration);
    return data;
  },
  checkRemoval: ({ world }, { model_id }) => {
    if (world.executions.locked.has(model_id)) {
      throw badRequest(
        "CannotDeleteLockedPlaybookConfiguration",
        `Cannot delete locked playbook configuration ${model_id}`,
      );
    }
  },
});
