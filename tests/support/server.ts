/** Real servers on loopback sockets that record their requests. */
import {
  Client,
  type ClientOptions,
  type JsonValue,
  type V1Client,
} from "../../mod.ts";
import { StandIn, type StandInOptions, TestClock } from "../standin/mod.ts";

/** The password of the first user, with characters that need encoding. */
export const PASSWORD = 'r00t p/ß"wörd&100%';

/** One request and its response. */
export interface Exchange {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: Headers;
  /** The body, parsed as JSON; undefined if there was none. */
  body: JsonValue | undefined;
  /** The response; undefined until it is complete. */
  answer?: { status: number; text: string };
}

/** Responds to a request; `exchange` is its record. */
export type Handler = (
  request: Request,
  exchange: Exchange,
) => Response | Promise<Response>;

/** A server on a loopback socket. */
export class TestServer implements AsyncDisposable {
  /** All requests in the order of their arrival. */
  readonly exchanges: Exchange[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(
    handler: Handler,
    place: { hostname?: string; port?: number; cert?: string; key?: string } =
      {},
  ) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {}, ...place },
      async (request) => {
        const { pathname, searchParams } = new URL(request.url);
        const text = await request.text();
        const { method, headers } = request;
        const exchange: Exchange = {
          method,
          path: pathname,
          query: Object.fromEntries(searchParams),
          headers,
          body: text === "" ? undefined : JSON.parse(text),
        };
        this.exchanges.push(exchange);
        const again = new Request(request.url, {
          method,
          headers,
          ...(text === "" ? {} : { body: text }),
        });
        const response = await handler(again, exchange);
        exchange.answer = {
          status: response.status,
          text: await response.clone().text(),
        };
        return response;
      },
    );
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The requests for this method and path. */
  sent(method: string, path: string): Exchange[] {
    return this.exchanges.filter((exchange) =>
      exchange.method === method && exchange.path === path
    );
  }

  /** The number of login requests. */
  get logins(): number {
    return this.sent("POST", "/v1/auth/").length;
  }

  client(options: Partial<ClientOptions> = {}): V1Client {
    return makeClient(this.url, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** A client of the first user. */
export function makeClient(
  url: string,
  options: Partial<ClientOptions> = {},
): V1Client {
  return new Client(url, { login: "root", password: PASSWORD, ...options });
}

/** A stand-in Decapod behind a real server. */
export class StandInServer extends TestServer {
  readonly standIn: StandIn;
  readonly clock: TestClock;

  /**
   * @param options Options of the stand-in.
   * @param before Responds instead of the stand-in, if it returns a response.
   */
  constructor(
    options: StandInOptions = {},
    before: (
      exchange: Exchange,
    ) => Response | undefined | Promise<Response | undefined> = () => undefined,
  ) {
    const clock = new TestClock();
    const standIn = new StandIn({
      now: clock.now,
      seed: 7,
      rootPassword: PASSWORD,
      ...options,
    });
    super(async (request, exchange) =>
      await before(exchange) ?? await standIn.handler(request)
    );
    this.standIn = standIn;
    this.clock = clock;
  }

  /** The token of the latest login. */
  get token(): string {
    const text = this.sent("POST", "/v1/auth/").at(-1)?.answer?.text ?? "{}";
    const { id }: { id?: string } = JSON.parse(text);
    return id ?? "";
  }
}

/** Serves a stand-in on a loopback socket; scripts find it by their environment. */
export function serve(standIn: StandIn) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    standIn.handler,
  );
  return {
    account: {
      DECAPOD_URL: `http://127.0.0.1:${server.addr.port}`,
      DECAPOD_LOGIN: "root",
      DECAPOD_PASSWORD: "root",
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** A response with JSON, as Decapod sends it. */
export function json(body: JsonValue, init: ResponseInit = {}): Response {
  return Response.json(body, init);
}

/** An error response, as Decapod sends it. */
export function apiError(
  code: number,
  error: string,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return json({ code, error, message }, { status: code, headers });
}

/** The response for `getInfo()`. */
export const INFO = {
  time: {
    local: "2026-01-01T00:00:00",
    utc: "2026-01-01T00:00:00",
    unix: 1767225600,
  },
  version: "1.2.0",
};
