/** Cheap servers in this process, and clients for them. */

import { Client, type V1Client } from "../../mod.ts";
import { StandIn } from "../standin/mod.ts";

/** A server, a client that is logged in, and the headers of raw requests. */
export interface Site {
  url: string;
  client: V1Client;
  /** The headers of the client. */
  headers: Record<string, string>;
}

/** The handler of a server. */
type Handler = (request: Request) => Response | Promise<Response>;

/** An account of the stand-in. */
const ACCOUNT = { login: "root", password: "root" };

/**
 * Serves cached responses of the stand-in, so that clients take most of the
 * time.
 *
 * @param latency The delay of each response in milliseconds.
 */
export function serveAnswers(standIn: StandIn, latency = 0): Promise<Site> {
  const answers = new Map<
    string,
    { bytes: Uint8Array<ArrayBuffer>; headers: Record<string, string> }
  >();
  return serve(async (request) => {
    let answer = answers.get(request.url);
    if (answer === undefined) {
      const { headers } = request;
      const response = await standIn.fetch(request.url, { headers });
      answer = {
        bytes: await response.bytes(),
        headers: Object.fromEntries(response.headers),
      };
      answers.set(request.url, answer);
    }
    if (latency > 0) {
      await new Promise((resolve) => setTimeout(resolve, latency));
    }
    return new Response(answer.bytes, { headers: answer.headers });
  }, standIn);
}

/** Serves the responses of a function; the stand-in serves logins. */
export async function serve(
  handler: Handler,
  standIn = new StandIn({ servers: 0 }),
): Promise<Site> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      request.method === "POST" ? standIn.handler(request) : handler(request),
  );
  server.unref(); // ends with the process
  const url = `http://127.0.0.1:${server.addr.port}`;
  const client = new Client(url, ACCOUNT);
  const { id } = await client.login();
  return {
    url,
    client,
    headers: { accept: "application/json", authorization: id },
  };
}
