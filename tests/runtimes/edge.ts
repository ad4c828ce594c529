/**
 * TLS servers with all kinds of certificates in front of the stand-in servers,
 * an HTTP/2 server and a proxy. Runs on Node, whose TLS servers can require a
 * client certificate.
 *
 * Reads what to open from the environment, prints the ports as JSON, and ends
 * with its standard input.
 */
import { createServer as createHttpServer, request } from "node:http";
import { createSecureServer, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect, type Server } from "node:net";
import process from "node:process";
import { addAbortSignal } from "node:stream";
import { createServer, type TlsOptions } from "node:tls";
import { LOG_LINES } from "./kit.ts";

/** What to open. */
export interface Edge {
  /** The port of the stand-in servers. */
  upstream: number;
  /** Settings of each TLS server, by its name. */
  tls: Record<string, TlsOptions>;
  /** The host that only the proxy knows. */
  hidden: string;
  /** The TLS server that is the hidden host's. */
  hiddenTls: string;
  /** The TLS server whose certificate the HTTP/2 server has, if there is one. */
  http2Tls?: string;
}

const HOST = "127.0.0.1";
const LOG = LOG_LINES.join("\n") + "\n";
const edge: Edge = JSON.parse(process.env.EDGE ?? "{}");

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as AddressInfo;
  return port;
}

/** Ways to make Node reset a stream with a code. */
const RESETS: Record<string, (stream: ServerHttp2Stream) => void> = {
  NO_ERROR: (stream) => stream.destroy(),
  INTERNAL_ERROR: (stream) => stream.destroy(new Error("Cut off")),
  CANCEL: (stream) => addAbortSignal(AbortSignal.abort(), stream),
};

const ports: Record<string, number> = {};
for (const [name, options] of Object.entries(edge.tls)) {
  const server = createServer(
    { ...options, ALPNProtocols: ["http/1.1"] },
    (socket) => {
      const upstream = connect(edge.upstream, HOST);
      socket.on("error", () => upstream.destroy());
      upstream.on("error", () => socket.destroy());
      socket.pipe(upstream).pipe(socket);
    },
  );
  server.on("tlsClientError", () => {}); // what the tests are about
  ports[name] = await listen(server);
}

/** Ends the stream of a log in the middle, with the code that is in the path. */
const http2 = createSecureServer({ ...edge.tls[edge.http2Tls ?? ""] });
http2.on("stream", (stream, { ":path": path }) => {
  const reset = RESETS[path?.split("/")[1] ?? ""];
  stream.on("error", () => {});
  stream.respond({ ":status": 200, "content-type": "text/plain" });
  if (reset) {
    stream.write(LOG.slice(0, LOG.length / 2), () => reset(stream));
  } else stream.end(LOG);
});
http2.on("sessionError", () => {});
if (edge.http2Tls) ports.http2 = await listen(http2);

const proxy = createHttpServer((incoming, outgoing) => {
  const { hostname, pathname, search } = new URL(incoming.url ?? "");
  if (hostname !== edge.hidden) {
    outgoing.writeHead(502).end("The proxy knows one host only");
    return;
  }
  const { method, headers } = incoming;
  const target = { host: HOST, port: edge.upstream, path: pathname + search };
  incoming.pipe(request({ ...target, method, headers }, (response) => {
    outgoing.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(outgoing);
  }));
});
proxy.on("connect", ({ url }, socket, head) => {
  socket.on("error", () => {});
  const [host, port] = url?.split(":") ?? [];
  if (host !== edge.hidden) {
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    return;
  }
  const to = port === "443" ? ports[edge.hiddenTls] ?? 0 : edge.upstream;
  const upstream = connect(to, HOST, () => {
    socket.write("HTTP/1.1 200 Connected\r\n\r\n");
    upstream.write(head);
    socket.pipe(upstream).pipe(socket);
  });
  socket.on("error", () => upstream.destroy());
  upstream.on("error", () => socket.destroy());
});
ports.proxy = await listen(proxy);

console.log(JSON.stringify(ports));
process.stdin.resume().on("end", () => process.exit());
