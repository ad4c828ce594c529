/** Playbook configurations: a playbook configured for a cluster. */
import { authorizePlaybook } from "./accounts.ts";
import { type ClusterData, isDeployed } from "./clusters.ts";
import { badRequest, crash } from "./errors.ts";
import { type Route, route } from "./http.ts";
import { makeConfiguration } from "./inventory.ts";
import { isObject, type Json, type JsonObject, toJson } from "./json.ts";
import { type Playbook, playbook, readHints } from "./playbooks.ts";
import { contains, repr, subscript } from "./python.ts";
import { routesOf } from "./resources.ts";
import { BODIES, MODELS } from "./schemas.ts";
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

type Cluster = Version<ClusterData>;
type Server = Version<ServerData>;

/** Playbooks that do not require a deployed cluster. */
const FIRST_PLAYBOOKS = new Set(["cluster_deploy", "hello_world"]);

/** The servers of a cluster. */
function membersOf(world: World, { model_id }: Cluster): Server[] {
  return [...world.servers.undeleted]
    .filter(({ data }) => data.cluster_id === model_id)
    .sort((a, b) => a.seq - b.seq);
}

/** The servers that a playbook will run on. */
function serversFor(
  world: World,
  { id, required_server_list }: Playbook,
  cluster: Cluster,
  serverIds: readonly string[],
): Server[] {
  if (!required_server_list) return membersOf(world, cluster);
  if (serverIds.length === 0) {
    throw badRequest(
      "ServerListIsRequiredForPlaybookError",
      `Explicit server list is required for playbook ${id}`,
    );
  }
  const wanted = [...new Set(serverIds)];
  const servers = wanted.flatMap((serverId) =>
    world.servers.latest(serverId) ?? []
  ).sort((a, b) => a.seq - b.seq);
  if (servers.length === 0 && wanted.length === 1) {
    throw crash("'NoneType' object has no attribute 'time_deleted'");
  }
  if (servers.length !== wanted.length) {
    throw crash(
      "All suggested servers were not found. Suggested servers were " +
        repr([...serverIds]),
    );
  }
  const deleted = servers.filter(({ time_deleted }) => time_deleted !== 0);
  if (deleted.length > 0) {
    throw crash(
      `Some servers were deleted: ${
        deleted.map(({ model_id }) => model_id).join(", ")
      }`,
    );
  }
  return servers;
}

/** Which servers violate a policy, and the message for it. */
const POLICIES: Record<
  Playbook["server_list_policy"],
  {
    readonly wrong: (owner: string | null, clusterId: string) => boolean;
    readonly complaint: (servers: string, clusterId: string) => string;
  }
> = {
  any_server: { wrong: () => false, complaint: () => "" },
  in_this_cluster: {
    wrong: (owner, clusterId) => owner !== clusterId,
    complaint: (servers, clusterId) =>
      `Servers ${servers} do not belong to cluster ${clusterId}`,
  },
  not_in_other_cluster: {
    wrong: (owner, clusterId) => owner !== null && owner !== clusterId,
    complaint: (servers, clusterId) =>
      `Servers ${servers} in other cluster than ${clusterId}`,
  },
  not_in_any_cluster: {
    wrong: (owner) => owner !== null,
    complaint: (servers) => `Servers ${servers} are in clusters`,
  },
};

function checkPolicy(
  { id, server_list_policy }: Playbook,
  { model_id }: Cluster,
  servers: readonly Server[],
): void {
  const { wrong, complaint } = POLICIES[server_list_policy];
  const against = servers.filter(({ data }) => wrong(data.cluster_id, model_id))
    .map((server) => server.model_id).sort().join(", ");
  if (servers.length > 0 && against === "") return;
  const reason = servers.length === 0
    ? "Servers should not be empty."
    : complaint(against, model_id);
  throw badRequest(
    "ServerListPolicyViolation",
    `Violation of playbook server list policy ${server_list_policy} ` +
      `(${id}): ${reason}`,
  );
}

/** Configures a playbook, with all checks in the server's order. */
function prepare(world: World, body: JsonObject): ConfigurationData {
  const clusterId = String(body.cluster_id);
  const cluster = world.clusters.latest(clusterId);
  if (cluster === undefined || cluster.time_deleted !== 0) {
    throw badRequest(
      "UnknownClusterError",
      `There is not cluster with ID ${clusterId}`,
    );
  }
  const chosen = playbook(String(body.playbook_id));
  if (chosen === undefined) {
    throw badRequest(
      "UnknownPlaybookError",
      `Unknown playbook ${body.playbook_id}`,
    );
  }
  const serverIds = Array.isArray(body.server_ids)
    ? body.server_ids.map(String)
    : [];
  const servers = serversFor(world, chosen, cluster, serverIds);
  checkPolicy(chosen, cluster, servers);
  const hints = readHints(chosen, hintValues(body.hints ?? null));
  if (!FIRST_PLAYBOOKS.has(chosen.id) && !isDeployed(cluster)) {
    throw badRequest(
      "ClusterMustBeDeployedError",
      `Cluster ${clusterId} must be deployed before creating such configuration`,
    );
  }
  if (chosen.id === "cluster_deploy" && isDeployed(cluster)) {
    throw crash(`Cluster ${clusterId} already has servers`);
  }
  return {
    name: body.name ?? null,
    playbook_id: chosen.id,
    cluster_id: clusterId,
    configuration: makeConfiguration(chosen.id, {
      cluster,
      members: membersOf(world, cluster),
      servers,
      hints,
      known: world.hostVariables.get(clusterId) ?? new Map(),
    }),
  };
}

function hintValues(hints: Json): { id: string; value: Json }[] {
  if (!Array.isArray(hints)) return [];
  return hints.flatMap((hint) =>
    isObject(hint) ? [{ id: String(hint.id), value: hint.value ?? null }] : []
  );
}

/** The database rejects keys that look like its operators. */
function checkKeys(value: Json): void {
  if (Array.isArray(value)) return value.forEach(checkKeys);
  if (!isObject(value)) return;
  for (const [key, item] of Object.entries(value)) {
    if (key.startsWith("$")) {
      throw crash(`key ${repr(key)} must not start with '$'`);
    }
    checkKeys(item);
  }
}

/** The routes of playbook configurations. */
export const configurationRoutes: readonly Route[] = [
  ...routesOf<ConfigurationData>({
    model: "playbook_configuration",
    collection: ({ configurations }) => configurations,
    view: ["view_playbook_configuration"],
    viewVersions: "view_playbook_configuration_version",
    change: {
      schema: MODELS.playbook_configuration,
      permission: "edit_playbook_configuration",
      apply: (current, sent) => {
        const data = { ...current };
        if (contains(sent, "configuration")) {
          data.configuration = subscript(sent, "configuration");
        }
        if (contains(sent, "name")) data.name = subscript(sent, "name");
        checkKeys(data.configuration);
        return data;
      },
    },
    remove: {
      permission: "delete_playbook_configuration",
      check: ({ world }, { model_id }) => {
        if (world.executions.isLocked(model_id)) {
          throw badRequest(
            "CannotDeleteLockedPlaybookConfiguration",
            `Cannot delete locked playbook configuration ${model_id}`,
          );
        }
      },
    },
  }),
  route("POST /playbook_configuration", [
    "view_playbook_configuration",
    "create_playbook_configuration",
  ], async (context) => {
    const { world } = context;
    const body = await context.body(BODIES.playbookConfiguration);
    const made = world.configurations.create(
      prepare(world, body),
      context.userId,
    );
    let executionId: string | null = null;
    if (body.run === true) {
      try {
        authorizePlaybook(context, made.data.playbook_id);
      } catch (error) {
        world.configurations.remove(made);
        throw error;
      }
      executionId = world.executions.create(made).model_id;
    }
    const model = toModel(made);
    return toJson({
      ...model,
      data: {
        ...made.data,
        created_execution_id: executionId,
      },
    });
  }),
];
