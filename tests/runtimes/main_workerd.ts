/** The Worker: `/` runs the suite, other paths use a client of the module. */
import {
  Client,
  type ClientOptions,
  type Cluster,
  DecapodError,
} from "@decapod/decapodlib";
import { Server } from "./kit.ts";
import { lines } from "./suite.ts";

/** What a request of the Worker does with the client of the module. */
type Action = (client: Client) => Promise<unknown>;

/** Begin something and end the request before it ends. */
const BEGIN: Record<string, Action> = {
  "getUsers()": async (client) => await client.getUsers(),
  "login()": (client) => client.login(),
  "waitForExecution()": (client) => client.waitForExecution("id"),
};

/** End within the request. */
const CALL: Record<string, Action> = {
  "getUserSelf()": (client) => client.getUserSelf(),
  "createCluster()": (client): Promise<Cluster> => client.createCluster("ceph"),
  "logout()": (client) => client.logout(),
};

/** The clients that all requests share, by the URL of their server. */
const clients = new Map<string, Client>();

function clientOf(url: string, timeout: number): Client {
  const options: ClientOptions = { login: "root", password: "root", timeout };
  const client = clients.get(url) ?? new Client(url, options);
  clients.set(url, client);
  return client;
}

export default {
  async fetch(request: Request, env: { SETTINGS: string }): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/") return runSuite(env.SETTINGS);
    const action = searchParams.get("action") ?? "";
    const timeout = Number(searchParams.get("timeout"));
    const client = clientOf(searchParams.get("url") ?? "", timeout);
    const begin = BEGIN[action];
    if (begin) {
      begin(client).catch(() => {});
      await new Server(client.url).held();
      return new Response("begun");
    }
    try {
      await CALL[action]?.(client);
      return new Response("done");
    } catch (error) {
      const status = error instanceof DecapodError ? 502 : 500;
      return new Response(
        error instanceof Error ? error.stack : String(error),
        {
          status,
        },
      );
    }
  },
};

function runSuite(settings: string): Response {
  const encoder = new TextEncoder();
  const { readable, writable } = new TransformStream<Uint8Array>();
  (async () => {
    const writer = writable.getWriter();
    for await (const line of lines(settings, "bundled")) {
      await writer.write(encoder.encode(`${line}\n`));
    }
    await writer.close();
  })();
  return new Response(readable);
}
