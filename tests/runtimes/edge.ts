/**
 * TLS servers with all kinds of certificates in front of the stand-in servers,
 * an HTTP/2 server and a proxy. Runs on Node, whose TLS servers can require a
 * client certificate.
 *
 * Reads what to open from the environment, prints the ports as JSON, and ends
 * with its standard input.
 */
import http from "node:http";
import http2, { type ServerHttp2Stream } from "node:http2";
import net, { type AddressInfo } from "node:net";
import process from "node:process";
import { addAbortSignal, type Duplex } from "node:stream";
import tls, { type TlsOptions } from "node:tls";
import { LOG_LINES } from "./kit.ts";

/** What to open; the hidden host and HTTP/2 use the TLS server `good`. */
export interface Edge {
  /** The port of the stand-in servers. */
  upstream: number;
  /** Settings of each TLS server, by its name. */
  tls: Record<string, TlsOptions>;
}

const HOST = "127.0.0.1";
/** The host that only the proxy knows. */
const HIDDEN = "decapod.invalid";
const LOG = LOG_LINES.join("\n") + "\n";
const edge: Edge = JSON.parse(process.env.EDGE ?? "{}");

async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as AddressInfo;
  return port;
}

/** Connects a socket with a port. */
function forward(socket: Duplex, port: number): Duplex {
  const upstream = net.connect(port, HOST);
  socket.on("error", () => upstream.destroy());
  upstream.on("error", () => socket.destroy());
  socket.pipe(upstream).pipe(socket);
  return upstream;
}

/** Ways to make Node reset a stream with a code. */
const RESETS: Record<string, (stream: ServerHttp2Stream) => void> = {
  NO_ERROR: (stream) => stream.destroy(),
  INTERNAL_ERROR: (stream) => stream.destroy(new Error("Cut off")),
  CANCEL: (stream) => addAbortSignal(AbortSignal.abort(), stream),
};

const ports: Record<string, number> = {};
for (const [name, options] of Object.entries(edge.tls)) {
  const server = tls.createServer(
    { ...options, ALPNProtocols: ["http/1.1"] },
    (socket) => forward(socket, edge.upstream),
  );
  server.on("tlsClientError", () => {}); // what the tests are about
  ports[name] = await listen(server);
}

/** Ends the stream of a log in the middle, with the code that is in the path. */
const http2Server = http2.createSecureServer({ ...edge.tls.good });
http2Server.on("stream", (stream, { ":path": path }) => {
  const reset = RESETS[path?.split("/")[1] ?? ""];
  stream.on("error", () => {});
  stream.respond({ ":status": 200, "content-type": "text/plain" });
  if (reset) {
    stream.write(LOG.slice(0, LOG.length / 2), () => reset(stream));
  } else stream.end(LOG);
});
http2Server.on("sessionError", () => {});
ports.http2 = await listen(http2Server);

/** Resets the connection within a log without a length. */
const resets = net.createServer((socket) => {
  socket.on("error", () => {});
  const head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
  socket.once("data", () => {
    socket.write(head + LOG.slice(0, 999), () => socket.resetAndDestroy());
  });
});
ports.resets = await listen(resets);

const proxy = http.createServer((incoming, outgoing) => {
  const { hostname, pathname, search } = new URL(incoming.url ?? "");
  if (hostname !== HIDDEN) {
    outgoing.writeHead(502).end("The proxy knows one host only");
    return;
  }
  const { method, headers } = incoming;
  const target = { host: HOST, port: edge.upstream, path: pathname + search };
  incoming.pipe(http.request({ ...target, method, headers }, (response) => {
    outgoing.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(outgoing);
  }));
});
proxy.on("connect", ({ url }, socket, head) => {
  socket.on("error", () => {});
  const [host, port] = url?.split(":") ?? [];
  if (host !== HIDDEN) {
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    return;
  }
  socket.write("HTTP/1.1 200 Connected\r\n\r\n");
  forward(socket, port === "443" ? ports.good ?? 0 : edge.upstream).write(head);
});
ports.proxy = await listen(proxy);

console.log(JSON.stringify(ports));
process.stdin.resume().on("end", () => process.exit());
