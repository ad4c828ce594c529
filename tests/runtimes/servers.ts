/** The servers that the suite talks to, on loopback sockets. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { StandIn, type StandInOptions } from "../standin/mod.ts";
import { http, type Peer, RawServer } from "../support/raw.ts";
import { type CannedResponse, LOG_LINES, type Received } from "./kit.ts";

/** Stand-in servers, each below its own path, and a server with faults. */
export class Servers implements AsyncDisposable {
  /** The URL below which the stand-in servers are. */
  readonly url: string;
  /** The URL of the server that sends faulty responses. */
  readonly faults: string;
  /** The port of the stand-in servers. */
  readonly port: number;

  readonly #http: Deno.HttpServer<Deno.NetAddr>;
  readonly #faults: RawServer;
  /** Resets the connection in the middle of a log without a length. */
  readonly #resets = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(head("connection: close"));
      socket.write(half(LOG), () => socket.resetAndDestroy());
    });
  });
  readonly #open = new Map<string, OneServer>();
  /** The number of requests for each id of a test. */
  readonly #counts = new Map<string, number>();
  /** The connections to the faulty server that are open. */
  readonly #connections = new Set<Promise<void>>();

  constructor() {
    this.#http = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#respond(request),
    );
    this.#faults = new RawServer((peer) => {
      const connection = this.#fail(peer).finally(() => {
        peer.close();
        this.#connections.delete(connection);
      });
      this.#connections.add(connection);
      return connection;
    });
    this.port = this.#http.addr.port;
    this.url = `http://127.0.0.1:${this.port}`;
    this.faults = this.#faults.url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#open.values()) server.release();
    await this.#http.shutdown();
    await this.#faults[Symbol.asyncDispose]();
    this.#resets.close();
  }

  /** Opens a stand-in server and returns its path. */
  open(options: StandInOptions = {}, clusters = 0): string {
    const path = `/s${this.#open.size + 1}`;
    this.#open.set(path, new OneServer(options, clusters));
    return path;
  }

  /** The URL of the server that resets connections. */
  async #openResets(): Promise<string> {
    if (!this.#resets.listening) {
      this.#resets.listen(0, "127.0.0.1");
      await once(this.#resets, "listening");
    }
    const { port } = this.#resets.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  async #respond(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/open") {
      const { clusters, ...options } = await request.json();
      return new Response(this.open(options, clusters));
    }
    if (pathname === "/resets") return new Response(await this.#openResets());
    // Responds when no connection to the faulty server is open.
    if (pathname === "/closed") {
      await Promise.all(this.#connections);
      return new Response("closed");
    }
    const [, name = "", path = ""] = pathname.match(/^(\/s\d+)(\/.*)$/) ?? [];
    return await this.#open.get(name)?.respond(request, path) ??
      new Response("No such server", { status: 404 });
  }

  /** Sends what the first segments of the path name. */
  async #fail(peer: Peer): Promise<void> {
    const request = await peer.request();
    const [, fault = "", id = ""] =
      request.match(/^\w+ \/([\w-]+)\/([\w%.-]+)/) ??
        [];
    if (fault === "kept") return await this.#keep(peer, request, id);
    if (fault === "cut" || fault === "whole") {
      return await sendLog(peer, decodeURIComponent(id), fault === "whole");
    }
    await FAULTS[fault]?.(peer, this.#count(id));
  }

  /**
   * Promises to keep the connection of a request for `info`, and closes it when
   * the next request arrives. The log is the number of changes so far.
   */
  async #keep(peer: Peer, request: string, id: string): Promise<void> {
    const isChange = (text: string) => /^(POST|PUT|DELETE) /.test(text);
    if (isChange(request)) this.#count(id);
    const [type = ""] = request.match(/(?<=^accept: ).*$/im) ?? [];
    const changes = this.#counts.get(id) ?? 0;
    const body = type === "text/plain" ? String(changes) : "{}";
    const connection = /\/info\/ /.test(request) ? "keep-alive" : "close";
    await peer.send(
      http("200 OK", body, { "content-type": type, connection }),
    );
    if (connection === "close") return;
    if (isChange(await peer.request())) this.#count(id);
  }

  #count(id: string): number {
    const count = (this.#counts.get(id) ?? 0) + 1;
    this.#counts.set(id, count);
    return count;
  }
}

const SHORT = http("200 OK", "{", { "content-length": "99" });
const SHORT_AND_CLOSE = http("200 OK", "{", {
  "content-length": "99",
  "connection": "close",
});
const FIRST_LINE = `${head("transfer-encoding: chunked")}6\r\nfirst\n\r\n`;

/** What happens to a request; its connection is closed at the end. */
const FAULTS: Record<string, (peer: Peer, count: number) => Promise<void>> = {
  hang: (peer) => peer.abandoned(),
  async "hang-body"(peer) {
    await peer.send(SHORT);
    await peer.abandoned();
  },
  async "hang-log"(peer) {
    await peer.send(FIRST_LINE);
    await peer.abandoned();
  },
  async close() {},
  short: (peer) => peer.send(SHORT),
  "short-and-close": (peer) => peer.send(SHORT_AND_CLOSE),
  garbage: (peer) => peer.send("This is not HTTP\r\n\r\n"),
  async flaky(peer, count) {
    if (count < 3) return;
    await peer.send(http("200 OK", "{}", { connection: "close" }));
  },
};

type Bytes = Uint8Array<ArrayBuffer>;

/** The response for a log of which only a part is sent, or all of it. */
type Framing = (sent: Bytes, full: Bytes) => (string | Bytes)[];

/** Sends a log or its first half. */
async function sendLog(
  peer: Peer,
  framing: string,
  isWhole: boolean,
): Promise<void> {
  const full = framing.startsWith("gzip") ? await LOG_GZIP : LOG;
  const frame = new Map<string, Framing>(Object.entries(FRAMINGS)).get(framing);
  if (!frame) throw new Error(`Unknown framing: ${framing}`);
  await peer.send(...frame(isWhole ? full : half(full), full));
}

const LOG = new TextEncoder().encode(LOG_LINES.join("\n") + "\n");
const LOG_GZIP = new Response(
  new Blob([LOG]).stream().pipeThrough(new CompressionStream("gzip")),
).bytes();

function half(bytes: Bytes): Bytes {
  return bytes.subarray(0, bytes.length / 2);
}

function head(...headers: string[]): string {
  const all = ["HTTP/1.1 200 OK", "content-type: text/plain", ...headers];
  return `${all.join("\r\n")}\r\n\r\n`;
}

function chunk(bytes: Bytes, isLast: boolean): (string | Bytes)[] {
  return [
    `${bytes.length.toString(16)}\r\n`,
    bytes,
    isLast ? "\r\n0\r\n\r\n" : "\r\n",
  ];
}

/** The ways to mark the end of a log; gzip marks an end of its own. */
const FRAMINGS = {
  "content-length": (sent: Bytes, full: Bytes) => [
    head(`content-length: ${full.length}`),
    sent,
  ],
  "chunked": (sent: Bytes, full: Bytes) => [
    head("transfer-encoding: chunked"),
    ...chunk(sent, sent === full),
  ],
  "chunked, Connection: close": (sent: Bytes, full: Bytes) => [
    head("transfer-encoding: chunked", "connection: close"),
    ...chunk(sent, sent === full),
  ],
  "chunked, HTTP 1.0": (sent: Bytes, full: Bytes) => [
    head("transfer-encoding: chunked").replace("1.1", "1.0"),
    ...chunk(sent, sent === full),
  ],
  "no length": (sent: Bytes) => [head("connection: close"), sent],
  "gzip, content-length": (sent: Bytes) => [
    head(`content-length: ${sent.length}`, "content-encoding: gzip"),
    sent,
  ],
  "gzip, chunked": (sent: Bytes) => [
    head("transfer-encoding: chunked", "content-encoding: gzip"),
    ...chunk(sent, true),
  ],
  "gzip, no length": (sent: Bytes) => [
    head("connection: close", "content-encoding: gzip"),
    sent,
  ],
} satisfies Record<string, Framing>;

/** A stand-in server, what it received and which responses to replace. */
class OneServer {
  readonly #standIn: StandIn;
  readonly #received: Received[] = [];
  #responses: CannedResponse[] = [];
  #held = Promise.withResolvers<void>();
  #release = Promise.withResolvers<void>();

  constructor(options: StandInOptions, seedClusters: number) {
    this.#standIn = new StandIn({ discoveryDelay: 0, ...options });
    this.#standIn.seedClusters(seedClusters);
  }

  async respond(request: Request, path: string): Promise<Response> {
    if (path.startsWith("/control/")) {
      return await this.#control(path.slice("/control/".length), request);
    }
    const { method } = request;
    const body = request.body && await request.bytes();
    const headers = Object.fromEntries(request.headers);
    this.#received.push({ method, path, headers });
    const index = this.#responses.findIndex((response) =>
      response.method === undefined || response.method === method
    );
    const [canned] = index === -1 ? [] : this.#responses.splice(index, 1);
    if (canned?.isHeld) {
      this.#held.resolve();
      await this.#release.promise;
    }
    if (canned?.status) {
      const { status, headers = {} } = canned;
      return new Response(canned.body, { status, headers });
    }
    const url = new URL(request.url);
    url.pathname = path;
    return await this.#standIn.handler(
      new Request(url, { method, headers, body }),
    );
  }

  /** Sends the responses that are held back. */
  release(): void {
    this.#release.resolve();
    this.#held = Promise.withResolvers();
    this.#release = Promise.withResolvers();
  }

  async #control(control: string, request: Request): Promise<Response> {
    if (control === "received") return Response.json(this.#received);
    const body = await request.json();
    if (control === "responses") this.#responses = body;
    if (control === "held") await this.#held.promise;
    if (control === "release") this.release();
    return Response.json(control === "do" ? this.#do(body) ?? null : null);
  }

  /** Calls a method of the stand-in server or reads a property. */
  #do({ member, args }: { member: string; args: unknown[] }): unknown {
    const found: unknown = Reflect.get(this.#standIn, member);
    return typeof found === "function"
      ? Reflect.apply(found, this.#standIn, args)
      : found;
  }
}
