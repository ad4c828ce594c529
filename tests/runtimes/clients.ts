/** Clients for the servers of the suite. */
import { Client, type ClientOptions } from "@decapod/decapodlib";
import { openServer, type Server, type Settings } from "./kit.ts";

/** The first user of a stand-in server. */
export const ACCOUNT = { login: "root", password: "root" };

type Options = Partial<ClientOptions>;

/** Opens a stand-in server with these options, and a client with `client`. */
export async function open(
  settings: Settings,
  { client, ...options }: { client?: Options; [option: string]: unknown } = {},
): Promise<{ server: Server; client: Client }> {
  const server = await openServer(settings, options);
  return { server, client: new Client(server.url, { ...ACCOUNT, ...client }) };
}

/** A client of the server that sends faulty responses. */
export function connectToFault(
  { faults }: Pick<Settings, "faults">,
  fault: string,
  options: Options = {},
): Client {
  return new Client(`${faults}/${fault}`, {
    ...ACCOUNT,
    headers: { authorization: "own" }, // so that nothing logs in
    ...options,
  });
}

/** Starts an execution and returns its id. */
export async function seedExecution(
  server: Server,
  options: object = {},
): Promise<string> {
  return (await server.do<{ id: string }>("seedExecution", options)).id;
}
