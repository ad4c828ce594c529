/** Real servers on loopback sockets that note what they are sent. */

import {
  Client,
  type ClientOptions,
  type JsonValue,
  type V1Client,
} from "../../mod.ts";
import {
  DISCOVERY_TOKEN,
  StandIn,
  type StandInOptions,
  TestClock,
} from "../standin/mod.ts";

/** The password of the first user; long enough to be looked for in texts. */
export const PASSWORD = 'r00t p/ß"wörd&100%';

/** One request as it came in, and what was answered. */
export interface Exchange {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: Headers;
  /** The body, read as JSON; undefined if there was none. */
  body: JsonValue | undefined;
  /** The answer; not there yet while the server is at work on it. */
  answer?: { status: number; text: string };
}

/** Answers a request; `exchange` is what is noted of it. */
export type Handler = (
  request: Request,
  exchange: Exchange,
) => Response | Promise<Response>;

/** A server on a loopback socket. */
export class TestServer implements AsyncDisposable {
  /** Every request, in the order in which they came. */
  readonly exchanges: Exchange[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(handler: Handler) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
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

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** The requests for this method and path. */
  sent(method: string, path: string): Exchange[] {
    return this.exchanges.filter((exchange) =>
      exchange.method === method && exchange.path === path
    );
  }

  /** How many logins were asked for. */
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
   * @param options How the stand-in is set up.
   * @param before Answers in its place, if it answers.
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

export { DISCOVERY_TOKEN };

/** An answer with JSON, as Decapod gives it. */
export function json(body: JsonValue, init: ResponseInit = {}): Response {
  return Response.json(body, init);
}

/** An answer with an error, as Decapod gives it. */
export function apiError(
  code: number,
  error: string,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return json({ code, error, message }, { status: code, headers });
}

/** What `getInfo` is answered with. */
export const INFO = {
  time: {
    local: "2026-01-01T00:00:00",
    utc: "2026-01-01T00:00:00",
    unix: 1767225600,
  },
  version: "1.2.0",
};
