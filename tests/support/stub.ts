/** Servers that a test describes in one expression, and clients without any. */

import type { ClientOptions, V1Client } from "../../mod.ts";
import { http, type Peer } from "./raw.ts";
import { makeClient } from "./server.ts";

/** Options of a client that never logs in. */
export const LOGGED_IN = { headers: { authorization: "token" } };

/** A URL at which nothing listens. */
export const CLOSED = "http://127.0.0.1:4";

/** A client that never logs in and calls this function as its fetch. */
export function stubClient(
  respond: (url: string, init: RequestInit) => Response | Promise<Response>,
  options: Partial<ClientOptions> = {},
): V1Client {
  return makeClient("http://decapod.example", {
    ...LOGGED_IN,
    fetch: async (url, init) => await respond(url, init),
    ...options,
  });
}

/** A response of this media type. */
export function typed(
  type: string,
  body: BodyInit | null,
  { headers, ...init }: { status?: number; headers?: HeadersInit } = {},
): Response {
  const all = new Headers(headers);
  all.set("content-type", type);
  return new Response(body, { ...init, headers: all });
}

/** The head of a response, with a body of this length to come. */
export const head = (length: number, status = "200 OK") =>
  http(status, "", { "content-length": String(length) });

/** What a TCP server does with each connection. */
type Talk = (peer: Peer) => Promise<void>;

/** Reads the request, sends this and closes the connection. */
export const responds =
  (...parts: (string | Uint8Array)[]): Talk => async (peer) => {
    await peer.request();
    await peer.send(...parts);
  };

/** Reads the request, sends this and waits until the client disconnects. */
export const stalls =
  (...parts: (string | Uint8Array)[]): Talk => async (peer) => {
    await responds(...parts)(peer);
    await peer.abandoned();
  };
