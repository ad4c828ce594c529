/**
 * A server on loopback that notes every request, in the place of Decapod's
 * API or of a cloud's metadata service.
 *
 * @module
 */

/** A request as it came in. */
export interface Received {
  method: string;
  path: string;
  headers: Headers;
  body: string;
}

export interface ApiOptions {
  hostname?: string;
  port?: number;
  /** The answer to the given request, of which this is the nth, from 0. */
  answer?: (n: number, signal: AbortSignal) => Response | Promise<Response>;
  /** With these the server speaks HTTPS. */
  tls?: { cert: string; key: string };
}

export class Api implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly #abort = new AbortController();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(options: ApiOptions = {}) {
    const { hostname = "127.0.0.1", port = 0, tls } = options;
    const answer = options.answer ?? (() => Response.json({}));
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
      return await answer(n, this.#abort.signal);
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#server.finished;
  }
}

/** An answer that comes only when the server stops. */
export function hang(_n: number, signal: AbortSignal): Promise<Response> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(new Response()));
  });
}

let places = 0;

/**
 * A place on loopback where nobody listens, nor will until the caller does:
 * every address in 127/8 is loopback, and no system gives out ports this low.
 */
export function freePlace(): { hostname: string; port: number } {
  const { pid } = Deno;
  const own = [64 + ((pid >> 16) & 127), (pid >> 8) & 255, pid & 255];
  return { hostname: ["127", ...own].join("."), port: 9000 + places++ };
}
