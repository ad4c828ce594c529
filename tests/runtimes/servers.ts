/** The servers that the suite talks to, on loopback sockets. */
import { StandIn, type StandInOptions } from "../standin/mod.ts";
import { http, type Peer, RawServer } from "../support/raw.ts";
import { type CannedResponse, LOG_LINES, type Received } from "./kit.ts";

/** Opens stand-in servers, each below its own path, and servers with faults. */
export function openServers() {
  const stack = new AsyncDisposableStack();
  const opened = new Map<string, ReturnType<typeof standInServer>>();
  const faults = stack.use(new RawServer(fail));
  /** Opens a stand-in server and returns its path. */
  const open = (options: StandInOptions = {}) => {
    const path = `/s${opened.size + 1}`;
    opened.set(path, standInServer(options));
    return path;
  };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      const [, name = "", path = ""] = pathname.match(/^(\/s\d+)(\/.*)$/) ?? [];
      const standIn = opened.get(name);
      if (standIn) return await standIn.respond(request, path);
      const body = await request.json();
      if (pathname === "/open") return Response.json(open(body));
      if (pathname === "/cut") cuts.get(body)?.();
      if (pathname === "/closed") await Promise.all(hanging);
      return Response.json(null);
    },
  );
  stack.defer(() => server.shutdown());
  stack.defer(() => opened.forEach(({ release }) => release()));
  return {
    open,
    port: server.addr.port,
    servers: `http://127.0.0.1:${server.addr.port}`,
    faults: faults.url,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Connections that the client has to close. */
const hanging = new Set<Promise<void>>();

/** Sends the beginning of a response and waits until the client gives up. */
async function hang(peer: Peer, beginning = ""): Promise<void> {
  await peer.send(beginning);
  const abandoned = peer.abandoned().finally(() => hanging.delete(abandoned));
  hanging.add(abandoned);
  await abandoned;
}

/** The number of requests for each id of a test. */
const counts = new Map<string, number>();

function count(id: string): number {
  const number = (counts.get(id) ?? 0) + 1;
  counts.set(id, number);
  return number;
}

/** Sends what the first segments of the path name; the second may be an id. */
async function fail(peer: Peer): Promise<void> {
  const request = await peer.request();
  const [, fault = "", id = ""] =
    request.match(/^\w+ \/([\w-]+)\/([\w%.-]+)/) ?? [];
  await FAULTS[fault]?.(peer, decodeURIComponent(id), request);
}

const SHORT = { "content-length": "99" };

type Fault = (peer: Peer, id: string, request: string) => Promise<void>;

/** What happens to a request; its connection is closed at the end. */
const FAULTS: Record<string, Fault> = {
  hang: (peer) => hang(peer),
  "hang-body": (peer) => hang(peer, http("200 OK", "{", SHORT)),
  "hang-log": (peer) =>
    hang(peer, `${head("transfer-encoding: chunked")}6\r\nfirst\n\r\n`),
  async close() {},
  short: (peer) => peer.send(http("200 OK", "{", SHORT)),
  "short-and-close": (peer) =>
    peer.send(http("200 OK", "{", { ...SHORT, connection: "close" })),
  garbage: (peer) => peer.send("This is not HTTP\r\n\r\n"),
  async flaky(peer, id) {
    if (count(id) < 3) return;
    await peer.send(http("200 OK", "{}", { connection: "close" }));
  },
  kept,
  whole: (peer, framing) => sendLog(peer, framing, 1),
  cut: (peer, framing) => sendLog(peer, framing, 0.5),
  /** Closes the connection on request. */
  async "cut-late"(peer, framing, request) {
    const [id = ""] = request.match(/[\da-f]{8}(-[\da-f]+){4}/) ?? [];
    cuts.set(id, () => peer.close());
    await sendLog(peer, framing, 0.5);
    await peer.abandoned();
  },
};

/** Functions that cut logs, by the ids in their paths. */
const cuts = new Map<string, () => void>();

/**
 * Promises to keep the connection of a request for `info`, and closes it when
 * the next request arrives. The log is the number of changes so far.
 */
async function kept(peer: Peer, id: string, request: string): Promise<void> {
  const isChange = (text: string) => /^(POST|PUT|DELETE) /.test(text);
  if (isChange(request)) count(id);
  const [type = ""] = request.match(/(?<=^accept: ).*$/im) ?? [];
  const body = type === "text/plain" ? String(counts.get(id) ?? 0) : "{}";
  const connection = /\/info\/ /.test(request) ? "keep-alive" : "close";
  await peer.send(http("200 OK", body, { "content-type": type, connection }));
  if (connection === "close") return;
  if (isChange(await peer.request())) count(id);
}

type Bytes = Uint8Array<ArrayBuffer>;

const encode = (text: string): Bytes => new TextEncoder().encode(text);
const LOG = encode(LOG_LINES.join("\n") + "\n");
const LOG_GZIP = new Response(
  new Blob([LOG]).stream().pipeThrough(new CompressionStream("gzip")),
).bytes();

/** The headers that mark the end of a body, by their rows in docs/runtimes.md. */
const FRAMINGS: Record<string, (length: number) => string[]> = {
  "Content-Length": (length) => [`content-length: ${length}`],
  "chunks": () => ["transfer-encoding: chunked"],
  "chunks, with Connection: close": () => [
    ...["transfer-encoding: chunked", "connection: close"],
  ],
  "chunks, with HTTP/1.0": () => ["transfer-encoding: chunked"],
  "end of the connection": () => ["connection: close"],
};

/** Sends this part of a log; `gzip, chunks` compresses it. */
async function sendLog(
  peer: Peer,
  name: string,
  part: number,
): Promise<void> {
  const framing = name.replace("gzip, ", "");
  const isGzip = framing !== name; // marks an end of its own
  const full = isGzip ? await LOG_GZIP : LOG;
  const sent = full.subarray(0, full.length * part);
  const headers = FRAMINGS[framing]?.((isGzip ? sent : full).length);
  if (!headers) throw new Error(`Unknown framing: ${name}`);
  if (isGzip) headers.push("content-encoding: gzip");
  const version = framing.endsWith("1.0") ? "1.0" : "1.1";
  const body = [sent];
  if (framing.startsWith("chunks")) {
    const end = part === 1 || isGzip ? "0\r\n\r\n" : "";
    body.unshift(encode(`${sent.length.toString(16)}\r\n`));
    body.push(encode(`\r\n${end}`));
  }
  await peer.send(head(...headers).replace("1.1", version), ...body);
}

function head(...headers: string[]): string {
  const all = ["HTTP/1.1 200 OK", "content-type: text/plain", ...headers];
  return `${all.join("\r\n")}\r\n\r\n`;
}

/** A stand-in server, what it received and which responses to replace. */
function standInServer(options: StandInOptions) {
  const standIn = new StandIn({ discoveryDelay: 0, ...options });
  const received: Received[] = [];
  let responses: CannedResponse[] = [];
  let held = Promise.withResolvers<void>();
  let released = Promise.withResolvers<void>();
  /** Sends the responses that are held back. */
  const release = () => {
    released.resolve();
    held = Promise.withResolvers();
    released = Promise.withResolvers();
  };
  /** What tests ask for. */
  const control = async (name: string, request: Request): Promise<unknown> => {
    const body = await request.json();
    if (name === "received") return received;
    if (name === "responses") responses = body;
    if (name === "held") await held.promise;
    if (name === "release") release();
    if (name !== "do") return null;
    const found: unknown = Reflect.get(standIn, body.member);
    return typeof found === "function"
      ? Reflect.apply(found, standIn, body.args)
      : found;
  };
  const respond = async (request: Request, path: string) => {
    const [, name] = path.match(/^\/control\/(.*)/) ?? [];
    if (name) return Response.json(await control(name, request) ?? null);
    const { method } = request;
    const url = new URL(request.url);
    const query = Object.fromEntries(url.searchParams);
    const headers = Object.fromEntries(request.headers);
    const body = request.body && await request.text();
    const parsed: unknown = JSON.parse(body || "null");
    received.push({ method, path, query, headers, body: parsed });
    const canned = responses.find((response) =>
      (response.method ?? method) === method
    );
    responses = responses.filter((response) => response !== canned);
    if (canned?.isHeld) {
      held.resolve();
      await released.promise;
    }
    if (canned?.status) {
      const { status, headers = {} } = canned;
      return new Response(canned.body, { status, headers });
    }
    url.pathname = path;
    return standIn.handler(new Request(url, { method, headers, body }));
  };
  return { respond, release };
}
