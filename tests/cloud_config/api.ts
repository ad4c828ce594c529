/** Decapod's API or a cloud's metadata service, on loopback. */
import { TestServer } from "../support/server.ts";

export interface ApiOptions {
  hostname?: string;
  port?: number;
  /** Responds to the nth request, from 0. Default: 200 with `{}`. */
  respond?: (n: number, signal: AbortSignal) => Response | Promise<Response>;
  /** Makes the server use HTTPS. */
  tls?: { cert: string; key: string };
}

export class Api extends TestServer {
  readonly #abort: AbortController;

  constructor(options: ApiOptions = {}) {
    const { respond = () => Response.json({}), tls, ...place } = options;
    const abort = new AbortController();
    let n = 0;
    super(() => respond(n++, abort.signal), {
      ...place,
      ...tls && { cert: tls.cert, key: tls.key },
    });
    this.#abort = abort;
  }

  /** The bodies of the POSTs. */
  get bodies(): Record<string, string>[] {
    return this.exchanges.map(({ body }) => Object(body));
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await super[Symbol.asyncDispose]();
  }
}

/** A response that never arrives. */
export function hang(_n: number, signal: AbortSignal): Promise<Response> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(new Response()));
  });
}

let places = 0;

/**
 * A place on loopback where nothing listens yet: all of 127/8 is loopback, and
 * no system assigns ports this low by itself.
 */
export function freePlace(): { hostname: string; port: number } {
  const { pid } = Deno;
  const own = [64 + ((pid >> 16) & 127), (pid >> 8) & 255, pid & 255];
  return { hostname: ["127", ...own].join("."), port: 9000 + places++ };
}
