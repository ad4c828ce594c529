/** A TCP server, for responses that no HTTP server would send. */
import type { ClientOptions, V1Client } from "../../mod.ts";
import { makeClient } from "./server.ts";

const encoder = new TextEncoder();

/** The server's end of a connection. */
export class Peer {
  readonly #connection: Deno.TcpConn;
  readonly #gone = Promise.withResolvers<void>();

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** The request, head and body. */
  async request(): Promise<string> {
    let text = ""; // one character per byte, as content-length counts
    const buffer = new Uint8Array(4096);
    for (;;) {
      const count = await this.#read(buffer);
      if (count === null) return text;
      text += String.fromCharCode(...buffer.subarray(0, count));
      const head = text.indexOf("\r\n\r\n");
      const length = /^content-length: (\d+)/im.exec(text)?.[1] ?? 0;
      if (head >= 0 && text.length >= head + 4 + Number(length)) return text;
    }
  }

  /** Reads only one byte: closing with unread bytes resets the connection. */
  async firstByte(): Promise<void> {
    await this.#connection.read(new Uint8Array(1));
  }

  async send(...parts: (string | Uint8Array)[]): Promise<void> {
    const bytes = parts.flatMap((part) => [
      ...(typeof part === "string" ? encoder.encode(part) : part),
    ]);
    const writer = this.#connection.writable.getWriter();
    await writer.write(new Uint8Array(bytes));
    writer.releaseLock();
  }

  /** Closes the connection; unread bytes make it a reset. */
  close(): void {
    try {
      this.#connection.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    this.#gone.resolve();
  }

  /** Waits until the client closes the connection. */
  async abandoned(): Promise<void> {
    const buffer = new Uint8Array(4096);
    while (await this.#read(buffer) !== null);
  }

  /** Reads some bytes; null once either side has closed. */
  async #read(buffer: Uint8Array): Promise<number | null> {
    try {
      return await this.#connection.read(buffer);
    } catch (error) {
      if (
        !(error instanceof Deno.errors.ConnectionReset ||
          error instanceof Deno.errors.BadResource ||
          error instanceof Deno.errors.Interrupted)
      ) throw error;
      return null;
    }
  }
}

/** A TCP server that calls a function for each connection. */
export class RawServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #peers: Peer[] = [];
  readonly #talks: Promise<void>[] = [];
  readonly #accepting: Promise<void>;

  constructor(talk: (peer: Peer, number: number) => Promise<void>) {
    this.#accepting = (async () => {
      for await (const connection of this.#listener) {
        const peer = new Peer(connection);
        const number = this.#peers.push(peer);
        this.#talks.push(talk(peer, number).finally(() => peer.close()));
      }
    })();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** The number of connections so far. */
  get connections(): number {
    return this.#peers.length;
  }

  /** Waits until the function has ended for each connection. */
  async settled(): Promise<void> {
    await Promise.all(this.#talks);
  }

  client(options: Partial<ClientOptions> = {}): V1Client {
    return makeClient(this.url, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const peer of this.#peers) peer.close();
    await Promise.all(this.#talks);
  }
}

/** The text of an HTTP response with a content-length. */
export function http(
  status: string,
  body: string,
  headers: Record<string, string> = {},
): string {
  const all = {
    "content-type": "application/json",
    "content-length": String(encoder.encode(body).length),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) =>
    `${name}: ${value}\r\n`
  );
  return `HTTP/1.1 ${status}\r\n${lines.join("")}\r\n${body}`;
}
