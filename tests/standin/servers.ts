/** Servers: they announce themselves and are discovered. */
import { updateServer } from "./clusters.ts";
import { ApiError, crash } from "./errors.ts";
import { type Route, route } from "./http.ts";
import type { Json, JsonObject } from "./json.ts";
import { subscript } from "./python.ts";
import { routesOf } from "./resources.ts";
import { BODIES } from "./schemas.ts";
import type { Version } from "./store.ts";
import type { Process, World } from "./world.ts";

/** The data of a server. */
export type ServerData = {
  name: Json;
  username: string;
  fqdn: string;
  /** Null for a host that was announced by an IPv6 address. */
  ip: string | null;
  state: "operational" | "off";
  cluster_id: string | null;
  facts: JsonObject;
};

/** What a server needs to announce itself, besides what it sends. */
export const DISCOVERY_TOKEN = "server-discovery-token";

/** What a server sends to announce itself. */
export type Announcement = { id: string; host: string; username: string };

const ADDRESS = /^\d+\.\d+\.\d+\.\d+$|:/;

/** What Ansible finds on a host. */
export function survey(
  host: string,
  ip: string | null = resolve(host),
): Pick<ServerData, "fqdn" | "ip" | "facts"> {
  const fqdn = ADDRESS.test(host)
    ? `node-${host.replaceAll(/[.:]/g, "-")}`
    : host;
  return { fqdn, ip, facts: factsOf(fqdn, ip) };
}

/** The IPv4 address of a host; for a name, one that is derived from it. */
function resolve(host: string): string | null {
  if (host.includes(":")) return null;
  if (ADDRESS.test(host)) return host;
  // The domain that is reserved for names that do not resolve.
  if (/(?:^|\.)invalid$/.test(host)) throw crash(`Cannot resolve ${host}`);
  let hash = 0;
  for (const char of host) hash = (hash * 31 + char.charCodeAt(0)) % 65025;
  return `10.77.${Math.floor(hash / 255)}.${hash % 255 + 1}`;
}

/** Plausible facts, as Ansible names them. */
function factsOf(fqdn: string, ip: string | null): JsonObject {
  const last = Number(ip?.split(".").at(-1) ?? 0);
  const disk = (gigabytes: number): JsonObject => ({
    model: "Virtual disk",
    sectors: String(gigabytes * 2 ** 21),
    sectorsize: "512",
    size: `${gigabytes.toFixed(2)} GB`,
  });
  return {
    ansible_all_ipv4_addresses: ip === null ? [] : [ip],
    ansible_architecture: "x86_64",
    ansible_devices: {
      ...{ vda: disk(20), vdb: disk(50), vdc: disk(50) },
      ...{ vdd: disk(10), vde: disk(10) },
    },
    ansible_distribution: "Ubuntu",
    ansible_distribution_version: "16.04",
    ansible_fqdn: fqdn,
    ansible_hostname: fqdn.split(".")[0] ?? fqdn,
    ansible_kernel: "4.4.0-98-generic",
    ansible_local: { "decapod.version": { value: "1.2.0" } },
    ansible_memfree_mb: 512 + last,
    ansible_memtotal_mb: 992 + (last % 4) * 1000,
    ansible_nodename: fqdn,
    ansible_processor_vcpus: 2 + (last % 3) * 2,
    ansible_system: "Linux",
  };
}

/** Creates, updates or restores a server. */
export function register(
  world: World,
  id: string,
  found: Pick<ServerData, "username" | "fqdn" | "ip" | "facts">,
  more: Partial<ServerData> = {},
): Version<ServerData> {
  const { servers } = world;
  const current = servers.latest(id);
  const data: ServerData = {
    ...{ name: found.fqdn, state: "operational", cluster_id: null },
    ...current?.data,
    ...found,
    ...more,
  };
  if (current === undefined) return servers.create(data, null, id);
  if (current.time_deleted !== 0) return servers.restore(current, data);
  if (JSON.stringify(data) === JSON.stringify(current.data)) return current;
  const changed = servers.save(current, data);
  updateServer(world, changed);
  return changed;
}

/** Discovers an announced server after some time. */
function* discoverLater(world: World): Process {
  yield world.time + world.settings.discoveryDelay;
  discoverNext(world);
}

/** Discovers the server that has waited longest. */
export function discoverNext(world: World): void {
  const announcement = world.announced.shift();
  if (announcement === undefined) return;
  const { id, host, username } = announcement;
  try {
    register(world, id, { username, ...survey(host) });
  } catch (error) {
    // A failed discovery is not reported: the host cannot be reached, or
    // another server has or had its name or address.
    if (!(error instanceof ApiError)) throw error;
  }
}

/** The routes of servers. */
export const serverRoutes: readonly Route[] = [
  ...routesOf<ServerData>({
    model: "server",
    collection: ({ servers }) => servers,
    naming: "name",
    change: (current, sent) => ({ ...current, name: subscript(sent, "name") }),
    changed: ({ world }, server) => updateServer(world, server),
    checkRemoval: ({ world }, server) => {
      const { model_id, data } = server;
      if (data.cluster_id !== null) {
        throw crash(
          `Server ${model_id} still belongs to cluster ${data.cluster_id}`,
        );
      }
      if (world.executions.isBusy({ servers: [server] })) {
        throw crash(`Server ${model_id} is locked by an execution`);
      }
    },
  }),
  route("POST /server", "announcement", async (context) => {
    const body = await context.body(BODIES.server);
    context.world.announced.push({
      id: String(subscript(body, "id")),
      host: String(subscript(body, "host")),
      username: String(subscript(body, "username")),
    });
    context.world.run(discoverLater(context.world));
    return "{}";
  }),
];
