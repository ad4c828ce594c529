/**
 * A Cloudflare Worker that shows the clusters and the running executions: as
 * JSON at `/status.json`, as an HTML page elsewhere.
 *
 *     npx jsr add @decapod/decapodlib
 *     npx wrangler dev worker.ts --compatibility-date 2026-07-01
 *
 * DECAPOD_URL, DECAPOD_LOGIN and DECAPOD_PASSWORD are its bindings. Everybody
 * who can open the page sees the status: put an access policy in front of it.
 */
import { Client, DecapodError } from "@decapod/decapodlib";

/** The Worker's bindings; the password is a secret. */
export interface Env {
  DECAPOD_URL: string;
  DECAPOD_LOGIN: string;
  DECAPOD_PASSWORD: string;
}

/** What the Worker shows. */
export interface Status {
  clusters: { name: string; servers: number }[];
  executions: { id: string; playbook: string; state: string; since: string }[];
}

/** One client for all requests, so that they share its session. */
let client: Client | undefined;

function connect(env: Env): Client {
  return client ??= new Client(env.DECAPOD_URL, {
    login: env.DECAPOD_LOGIN,
    password: env.DECAPOD_PASSWORD,
    timeout: 10_000,
  });
}

async function readStatus(client: Client, signal: AbortSignal) {
  const [clusters, executions] = await Promise.all([
    client.getClusters({ sortBy: { name: 1 }, perPage: 100, signal })
      .toArray({ limit: 1000 }),
    client.getExecutions({
      filter: { state: { in: ["created", "started", "canceling"] } },
      perPage: 100,
      signal,
    }).toArray({ limit: 1000 }),
  ]);
  const status: Status = {
    clusters: clusters.map(({ data: { name, configuration } }) => {
      const members = Object.values(configuration).flat();
      const ids = new Set(members.map(({ server_id }) => server_id));
      return { name, servers: ids.size };
    }),
    executions: executions.map(({ id, data, time_updated }) => ({
      id,
      playbook: data.playbook_configuration.playbook_name,
      state: data.state,
      since: new Date(time_updated * 1000).toISOString(),
    })),
  };
  return status;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function list(title: string, items: string[]): string {
  const rows = items.map((item) => `<li>${escapeHtml(item)}</li>`).join("");
  return `<h2>${title}</h2><ul>${rows || "<li>none</li>"}</ul>`;
}

function page({ clusters, executions }: Status): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8">
<title>Decapod</title><h1>Decapod</h1>
${
    list(
      "Clusters",
      clusters.map(({ name, servers }) => `${name}: ${servers} servers`),
    )
  }
${
    list(
      "Running executions",
      executions.map(({ playbook, state, since }) =>
        `${playbook}: ${state} since ${since}`
      ),
    )
  }
</html>`;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      const status = await readStatus(connect(env), request.signal);
      return new URL(request.url).pathname === "/status.json"
        ? Response.json(status)
        : new Response(page(status), {
          headers: { "content-type": "text/html; charset=utf-8" },
        });
    } catch (error) {
      if (!(error instanceof DecapodError)) throw error;
      console.error(error.message);
      return new Response("Decapod is not available\n", { status: 502 });
    }
  },
};
