/** Cheap servers in this process, clients for them, and plain requests. */

import { delay } from "@std/async/delay";
import { Client, type V1Client } from "../../mod.ts";
import { StandIn } from "../standin/mod.ts";

/** A server, a client that is logged in, and the headers of raw requests. */
export interface Site {
  url: string;
  client: V1Client;
  /** The headers of the client. */
  headers: Record<string, string>;
}

/**
 * Serves cached responses of the stand-in, so that clients take most of the
 * time.
 *
 * @param latency The delay of each response in milliseconds.
 */
export function serveCached(standIn: StandIn, latency = 0): Promise<Site> {
  const cache = new Map<string, [Uint8Array<ArrayBuffer>, Headers]>();
  return serve(async ({ url, headers }) => {
    let cached = cache.get(url);
    if (cached === undefined) {
      const response = await standIn.fetch(url, { headers });
      cached = [await response.bytes(), response.headers];
      cache.set(url, cached);
    }
    if (latency > 0) await delay(latency);
    const [bytes, cachedHeaders] = cached;
    return new Response(bytes, { headers: cachedHeaders });
  }, standIn);
}

/** Serves the responses of a function; the stand-in serves logins. */
export async function serve(
  handler: (request: Request) => Response | Promise<Response>,
  standIn = new StandIn({ servers: 0 }),
): Promise<Site> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      request.method === "POST" ? standIn.handler(request) : handler(request),
  );
  server.unref(); // ends with the process
  const url = `http://127.0.0.1:${server.addr.port}`;
  const client = new Client(url, { login: "root", password: "root" });
  const { id } = await client.login();
  const headers = { accept: "application/json", authorization: id };
  return { url, client, headers };
}

/** A log that is created while it is read, in chunks of this content. */
export function logResponse(chunk: Uint8Array, chunks: number): Response {
  let left = chunks;
  const body = new ReadableStream({
    pull(controller) {
      controller.enqueue(chunk);
      if (--left === 0) controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/plain" } });
}

/** A line of a log, of 100 bytes. */
export const LINE = `${"ok: [10.0.0.1] => ".padEnd(99, ".")}\n`;

/** The shortest request. */
export async function plainFetch<T>(
  url: string,
  headers: Record<string, string>,
): Promise<T> {
  const response = await fetch(url, { headers });
  return await response.json();
}

/** A request with a deadline, no redirects, and a check of the response. */
export async function carefulFetch<T>(
  url: string,
  headers: Record<string, string>,
): Promise<T> {
  const response = await fetch(url, {
    headers,
    redirect: "manual",
    signal: AbortSignal.timeout(60_000),
  });
  if (!response.ok) throw new Error(`${url}: status ${response.status}`);
  const type = response.headers.get("content-type") ?? "no content type";
  if (!type.startsWith("application/json")) throw new Error(`${url}: ${type}`);
  return await response.json();
}
