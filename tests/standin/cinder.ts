/** The Cinder integration: the files that OpenStack needs to use a cluster. */
import { standard } from "./errors.ts";
import { type Route, route } from "./http.ts";
import { type JsonObject, toJson } from "./json.ts";
import { find } from "./resources.ts";

/** The configuration and the keyrings of a cluster. */
export interface Cinder {
  readonly config: string;
  /** The text of each file by its name. */
  readonly keyrings: Readonly<Record<string, string>>;
}

/** The files that the playbook `cinder_integration` produces. */
export function cinderOf(clusterId: string): Cinder {
  const keyrings = ["compute", "volumes", "images"].map((name) => [
    `ceph.client.${name}.keyring`,
    `[client.${name}]\n\tkey = AQBqTi5ZAAAAABAAT8pGV0zT9p1u2o==\n`,
  ]);
  const config = `[global]\nfsid = ${clusterId}\n`;
  return { config, keyrings: Object.fromEntries(keyrings) };
}

/** The files by path under `root`; the configuration refers to all of them. */
function filesUnder(root: string, { config, keyrings }: Cinder): JsonObject {
  const folder = root.replace(/\/*$/, root && "/");
  const files: JsonObject = {};
  let text = config;
  for (const [name, content] of Object.entries(keyrings)) {
    const path = folder + name;
    files[path] = content;
    text += `\n${content.split("\n", 1)[0]}\nkeyring = ${path}\n`;
  }
  files[`${folder}ceph.conf`] = text;
  return files;
}

/** The route of the Cinder integration. */
export const cinderRoutes: readonly Route[] = [
  route(
    "GET /cinder_integration/{text}",
    ["view_cinder"],
    ({ world, id, params }) => {
      const { model_id } = find(world.clusters, id);
      const cinder = world.cinder.get(model_id);
      if (cinder === undefined) throw standard("NotFound");
      return toJson(filesUnder(params.get("root") ?? "/etc/ceph", cinder));
    },
  ),
];
