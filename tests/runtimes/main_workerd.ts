/** The Worker: runs the suite, or an action with the client of the module. */
import { Client } from "@decapod/decapodlib";
import { ACCOUNT } from "./clients.ts";
import { serverAt } from "./kit.ts";
import { printResults } from "./suite.ts";

/** What a request of the Worker does with the client of the module. */
type Action = (client: Client) => unknown;

/** Begin something and end the request before it ends. */
const BEGIN: Record<string, Action> = {
  "getUsers()": async (client) => await client.getUsers(),
  "login()": (client) => client.login(),
  "waitForExecution()": (client) => client.waitForExecution("id"),
};

/** End within the request. */
const CALL: Record<string, Action> = {
  "getUserSelf()": (client) => client.getUserSelf(),
  "createCluster()": (client) => client.createCluster("ceph"),
  "logout()": (client) => client.logout(),
};

/** The clients that all requests share, by the URL of their server. */
const clients = new Map<string, Client>();

async function act(parameters: URLSearchParams): Promise<string> {
  const { action = "", url = "", timeout } = Object.fromEntries(parameters);
  const options = { ...ACCOUNT, timeout: Number(timeout) };
  const client = clients.get(url) ?? new Client(url, options);
  clients.set(url, client);
  const begin = BEGIN[action.replace(" after a 401", "")];
  if (begin) {
    Promise.resolve(begin(client)).catch(() => {});
    await serverAt(url).held();
    return "begun";
  }
  await CALL[action]?.(client);
  return "done";
}

export default {
  async fetch(request: Request, env: { SETTINGS: string }): Promise<Response> {
    const { searchParams } = new URL(request.url);
    try {
      if (searchParams.has("action")) {
        return new Response(await act(searchParams));
      }
      const lines: string[] = [];
      await printResults(env.SETTINGS, "bundled", (line) => lines.push(line));
      return new Response(lines.join("\n"));
    } catch (error) {
      return new Response(error instanceof Error ? error.stack : "failed");
    }
  },
};
