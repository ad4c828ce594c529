/** The servers that the suite talks to, on real loopback sockets. */
import { StandIn, type StandInOptions } from "../standin/mod.ts";
import { http, type Peer, RawServer } from "../support/raw.ts";
import type { Answer, Seen } from "./kit.ts";

/** Stand-ins, each below a path of its own, and a server that does wrong. */
export class Servers implements AsyncDisposable {
  /** The URL below which everything is. */
  readonly url: string;
  /** The URL of the server whose answers are faulty. */
  readonly faults: string;
  /** Where the stand-ins listen. */
  readonly port: number;

  readonly #http: Deno.HttpServer<Deno.NetAddr>;
  readonly #raw: RawServer;
  readonly #open = new Map<string, OneServer>();
  readonly #attempts = new Map<string, number>();
  /** The talks of the faulty server that are not over. */
  readonly #talks = new Set<Promise<void>>();

  constructor() {
    this.#http = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#answer(request),
    );
    this.#raw = new RawServer((peer) => {
      const talk = this.#talk(peer).finally(() => {
        peer.close();
        this.#talks.delete(talk);
      });
      this.#talks.add(talk);
      return talk;
    });
    this.port = this.#http.addr.port;
    this.url = `http://127.0.0.1:${this.port}`;
    this.faults = this.#raw.url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
    await this.#raw[Symbol.asyncDispose]();
  }

  /** Makes a stand-in and gives the path that it is below. */
  open(options: StandInOptions = {}, clusters = 0): string {
    const name = `/s${this.#open.size + 1}`;
    this.#open.set(name, new OneServer(options, clusters));
    return name;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/open") {
      const { clusters, ...options } = await request.json();
      return new Response(this.open(options, clusters));
    }
    // Answers once nobody holds a connection to the faulty server any more.
    if (pathname === "/closed") {
      await Promise.all(this.#talks);
      return new Response("closed");
    }
    const [, name = "", path = ""] = pathname.match(/^(\/s\d+)(\/.*)$/) ?? [];
    return await this.#open.get(name)?.answer(request, path) ??
      new Response("No such server", { status: 404 });
  }

  /** Does to a request what the first word of its path says. */
  async #talk(peer: Peer): Promise<void> {
    const request = await peer.request();
    const [, fault = "", id = ""] = request.match(/^\w+ \/([\w-]+)\/(\w+)/) ??
      [];
    if (fault === "kept") return await this.#keep(peer, request, id);
    const attempt = (this.#attempts.get(id) ?? 0) + 1;
    this.#attempts.set(id, attempt);
    await FAULTS[fault]?.(peer, attempt);
  }

  /**
   * Answers the first request on a connection: one for `info` with the promise
   * to keep it, one for a log with how many changes there were. The next
   * request is read, and the connection closed.
   */
  async #keep(peer: Peer, request: string, id: string): Promise<void> {
    const count = (text: string) => {
      const one = /^(POST|PUT|DELETE) /.test(text) ? 1 : 0;
      const changes = (this.#attempts.get(id) ?? 0) + one;
      this.#attempts.set(id, changes);
      return changes;
    };
    const changes = count(request);
    const [type = ""] = request.match(/(?<=^accept: ).*$/im) ?? [];
    const body = type === "text/plain" ? String(changes) : "{}";
    const connection = /\/info\/ /.test(request) ? "keep-alive" : "close";
    await peer.send(
      http("200 OK", body, { "content-type": type, connection }),
    );
    if (connection === "keep-alive") count(await peer.request());
  }
}

const SHORT = http("200 OK", "{", { "content-length": "99" });
const LOG =
  "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n9\r\nfirst\nsec\r\n";

/** What can be done to a request; its connection is closed at the end. */
const FAULTS: Record<string, (peer: Peer, attempt: number) => Promise<void>> = {
  hang: (peer) => peer.abandoned(),
  async "hang-body"(peer) {
    await peer.send(SHORT);
    await peer.abandoned();
  },
  async "hang-log"(peer) {
    await peer.send(LOG);
    await peer.abandoned();
  },
  async close() {},
  short: (peer) => peer.send(SHORT),
  torn: (peer) => peer.send(LOG),
  garbage: (peer) => peer.send("This is no HTTP\r\n\r\n"),
  async flaky(peer, attempt) {
    if (attempt < 3) return;
    await peer.send(http("200 OK", "{}", { connection: "close" }));
  },
};

/** One stand-in, with what it saw and what it is to say instead. */
class OneServer {
  readonly #standIn: StandIn;
  readonly #seen: Seen[] = [];
  #answers: Answer[] = [];

  constructor(options: StandInOptions, seedClusters: number) {
    this.#standIn = new StandIn({ discoveryDelay: 0, ...options });
    this.#standIn.seedClusters(seedClusters);
  }

  async answer(request: Request, path: string): Promise<Response> {
    if (path.startsWith("/control/")) {
      return await this.#control(path.slice("/control/".length), request);
    }
    this.#seen.push({
      method: request.method,
      path,
      authorization: request.headers.get("authorization"),
    });
    const at = this.#answers.findIndex(({ method }) =>
      method === undefined || method === request.method
    );
    const [answer] = at === -1 ? [] : this.#answers.splice(at, 1);
    if (answer) {
      await request.body?.cancel();
      return new Response(answer.body, answer);
    }
    const { method, headers, body } = request;
    const url = new URL(request.url);
    url.pathname = path;
    return await this.#standIn.handler(
      new Request(url, { method, headers, body }),
    );
  }

  async #control(what: string, request: Request): Promise<Response> {
    if (what === "seen") return Response.json(this.#seen);
    if (what === "answers") {
      this.#answers = await request.json();
      return new Response();
    }
    const { member, args } = await request.json();
    const found: unknown = Reflect.get(this.#standIn, member);
    const result: unknown = typeof found === "function"
      ? Reflect.apply(found, this.#standIn, args)
      : found;
    return Response.json(result ?? null);
  }
}
