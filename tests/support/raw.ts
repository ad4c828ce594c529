/** A TCP server, for responses that no HTTP server would send. */
import { Buffer } from "node:buffer";
import { delay } from "@std/async/delay";
import type { ClientOptions, V1Client } from "../../mod.ts";
import { makeClient } from "./server.ts";

/** How a read or write fails if either side has closed the connection. */
const { BadResource, BrokenPipe, ConnectionReset, Interrupted } = Deno.errors;
const DISCONNECTS = [BadResource, BrokenPipe, ConnectionReset, Interrupted];

function ignoreDisconnect(error: unknown): null {
  if (DISCONNECTS.some((Class) => error instanceof Class)) return null;
  throw error;
}

/** The server's end of a connection. */
export class Peer {
  readonly #connection: Deno.TcpConn;
  readonly #gone = new AbortController();
  /** Bytes that were read but not used, one character each. */
  #text = "";
  #isClosed = false;
  #reading: Promise<boolean> | undefined;

  constructor(connection: Deno.TcpConn) {
    connection.setNoDelay();
    this.#connection = connection;
  }

  /** Whether either side has closed the connection. */
  get gone(): boolean {
    return this.#gone.signal.aborted;
  }

  /**
   * The next request, head and body, one character per byte; less if the
   * client disconnects. The last byte can be left unread.
   */
  async request(isLastUnread = false): Promise<string> {
    const unread = isLastUnread ? 1 : 0;
    for (;;) {
      const head = this.#text.indexOf("\r\n\r") + 4;
      const body = /^content-length: (\d+)/im.exec(this.#text)?.[1] ?? 0;
      const end = head + Number(body) - unread;
      if (head >= 4 && this.#text.length >= end) return this.#take(end);
      if (!await this.#read(unread || 4096)) return this.#take(end);
    }
  }

  /** Reads only one byte: closing with unread bytes resets the connection. */
  async firstByte(): Promise<void> {
    await this.#read(1);
  }

  /** The last byte of a request, if it was left unread. */
  async lastByte(): Promise<string> {
    await this.#read(1);
    return this.#take(1);
  }

  /** Sends what a client still receives. */
  async send(...parts: (string | Uint8Array)[]): Promise<void> {
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part)));
    for (let at = 0; at < bytes.length;) {
      const count = await this.#connection.write(bytes.subarray(at))
        .catch(ignoreDisconnect);
      if (count === null) return this.#gone.abort();
      at += count;
    }
  }

  /** Closes the connection; unread bytes make it a reset. */
  close(): void {
    if (!this.#isClosed) this.#connection.close();
    this.#isClosed = true;
    this.#gone.abort();
  }

  /** Waits until the client closes the connection. */
  async abandoned(): Promise<void> {
    while (await this.#read());
  }

  /** Waits, but not longer than the client. */
  async wait(ms: number): Promise<void> {
    this.#read();
    await delay(ms, { signal: this.#gone.signal }).catch(() => {});
  }

  /** Removes bytes from what was read. */
  #take(length: number): string {
    const taken = this.#text.slice(0, length);
    this.#text = this.#text.slice(length);
    return taken;
  }

  /** Reads some bytes, once at a time; false once either side has closed. */
  #read(size = 4096): Promise<boolean> {
    const read = async () => {
      const buffer = Buffer.allocUnsafe(size);
      const count = await this.#connection.read(buffer)
        .catch(ignoreDisconnect);
      this.#reading = undefined;
      if (count === null) this.#gone.abort();
      this.#text += buffer.toString("latin1", 0, count ?? 0);
      return count !== null;
    };
    return this.#reading ??= read();
  }
}

/** A TCP server that calls a function for each connection. */
export class RawServer implements AsyncDisposable {
  /** The number of connections so far. */
  connections = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #talks = new Map<Peer, Promise<void>>();
  readonly #accepting: Promise<void>;

  constructor(talk: (peer: Peer, number: number) => Promise<void>) {
    this.#accepting = (async () => {
      for await (const connection of this.#listener) {
        const peer = new Peer(connection);
        const talking = talk(peer, ++this.connections).finally(() => {
          peer.close();
          this.#talks.delete(peer);
        });
        this.#talks.set(peer, talking);
      }
    })();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** The number of open connections. */
  get open(): number {
    return this.#talks.size;
  }

  /** Waits until the function has ended for each connection. */
  async settled(): Promise<void> {
    await Promise.all(this.#talks.values());
  }

  client(options: Partial<ClientOptions> = {}): V1Client {
    return makeClient(this.url, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const peer of this.#talks.keys()) peer.close();
    await this.settled();
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
    "content-length": String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) =>
    `${name}: ${value}\r\n`
  );
  return `HTTP/1.1 ${status}\r\n${lines.join("")}\r\n${body}`;
}
