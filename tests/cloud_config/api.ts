/**
 * A server on loopback that records requests: Decapod's API or a cloud's
 * metadata service.
 */

/** A request as it was received. */
export interface Received {
  method: string;
  path: string;
  headers: Headers;
  body: string;
}

export interface ApiOptions {
  hostname?: string;
  port?: number;
  /** Responds to the nth request, from 0. Default: 200 with `{}`. */
  respond?: (n: number, signal: AbortSignal) => Response | Promise<Response>;
  /** Makes the server use HTTPS. */
  tls?: { cert: string; key: string };
}

export class Api implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly #abort = new AbortController();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(options: ApiOptions = {}) {
    const { hostname = "127.0.0.1", port = 0, tls } = options;
    const respond = options.respond ?? (() => Response.json({}));
    this.#server = Deno.serve({
      hostname,
      port,
      ...tls,
      signal: this.#abort.signal,
      onListen() {},
    }, async (request) => {
      const { pathname, search } = new URL(request.url);
      const n = this.received.length;
      this.received.push({
        method: request.method,
        path: pathname + search,
        headers: request.headers,
        body: await request.text(),
      });
      return await respond(n, this.#abort.signal);
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The bodies of the POSTs. */
  get bodies(): Record<string, string>[] {
    return this.received.map(({ body }) => JSON.parse(body));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#server.finished;
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
