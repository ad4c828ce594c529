/** What OpenStack needs to use a deployed cluster. */

import { standard } from "./errors.ts";
import type { Route } from "./http.ts";
import { type JsonObject, toJson } from "./json.ts";
import { find } from "./resources.ts";

/** The configuration and the keyrings of a cluster. */
export interface Cinder {
  readonly config: string;
  /** Texts by file name. */
  readonly keyrings: Readonly<Record<string, string>>;
}

/** The data that a deployed cluster has to offer. */
export function cinderOf(clusterId: string): Cinder {
  const keyring = (name: string) =>
    `[client.${name}]\n\tkey = AQBqTi5ZAAAAABAAT8pGV0zT9p1u2o==\n`;
  return {
    config: `[global]\nfsid = ${clusterId}\n`,
    keyrings: {
      "ceph.client.compute.keyring": keyring("compute"),
      "ceph.client.volumes.keyring": keyring("volumes"),
      "ceph.client.images.keyring": keyring("images"),
    },
  };
}

/** The files by their paths under `root`; the configuration names them all. */
function filesUnder(root: string, { config, keyrings }: Cinder): JsonObject {
  const base = root.replace(/\/+$/, "");
  const path = (name: string) =>
    base === "" && !root.startsWith("/") ? name : `${base}/${name}`;
  const files: JsonObject = {};
  let text = config;
  for (const [name, content] of Object.entries(keyrings)) {
    files[path(name)] = content;
    text += `\n${content.split("\n", 1)[0]}\nkeyring = ${path(name)}\n`;
  }
  files[path("ceph.conf")] = text;
  return files;
}

/** The route of the cinder integration. */
export const cinderRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/cinder_integration/{text}",
    access: ["view_cinder"],
    handle: ({ world, id, params }) => {
      const { model_id } = find(world.clusters, id);
      const cinder = world.cinder.get(model_id);
      if (cinder === undefined) throw standard("NotFound");
      return toJson(filesUnder(params.get("root") ?? "/etc/ceph", cinder));
    },
  },
];
