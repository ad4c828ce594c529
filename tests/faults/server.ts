/**
 * A TCP server in front of a stand-in that injects faults: `inject()` says
 * which fault, into which requests, and how often.
 */

import { Buffer } from "node:buffer";
import { delay } from "@std/async/delay";
import {
  type Answer,
  fromResponse,
  joined,
  type Request as WireRequest,
  serialize,
} from "./answers.ts";

/** A fault. */
export interface Fault {
  readonly name: string;
  /** The response; default: that of the stand-in. */
  readonly answer?: (
    request: WireRequest,
    real: () => Promise<Answer>,
  ) => Answer | Promise<Answer>;
  /** How the bytes are sent; default: at once. */
  readonly toxic?: Toxic;
  /** Whether its connection is reset: a byte stays unread. */
  readonly resets?: boolean;
  /** Whether it closes the connection on the first line of the request. */
  readonly unread?: boolean;
  /** Whether it needs connections that are used again. */
  readonly keepAlive?: boolean;
  /** Where the request goes instead; the client must use `fetch` of the server. */
  readonly unsent?: string;
}

/** Sends bytes; resolves to whether the connection can still be used. */
export type Toxic = (wire: Connection, bytes: Uint8Array) => Promise<boolean>;

/** A fault and the requests that it is injected into. */
export interface Injection {
  readonly fault: Fault;
  /** Selects requests by method and path. Defaults to all. */
  readonly operation?: (method: string, path: string) => boolean;
  /** How many of these are served normally first. Defaults to 0. */
  readonly skip?: number;
  /** How many get the fault then. Defaults to all. */
  readonly count?: number;
  /** Whether it starts after half of the body. */
  readonly inBody?: boolean;
}

/** A request as the server received it. */
export interface Received {
  readonly method: string;
  readonly path: string;
  /** When it arrived, in ms of `performance.now()`. */
  readonly at: number;
  /** The Authorization header. */
  authorization: string | null;
  /** The fault that was injected into it. */
  readonly fault?: string;
  /** The status of the stand-in, if it served the request. */
  status?: number;
}

/** The server. */
export class FaultServer implements AsyncDisposable {
  /** Every request whose first line arrived. */
  readonly received: Received[] = [];
  /** The number of all connections so far. */
  connections = 0;
  /** Whether connections are kept alive. */
  keepAlive = false;
  /** Whether they are closed as soon as they are idle. */
  closesIdle = false;
  /** Whether the last byte of requests stays unread, to reset connections. */
  careful = false;
  readonly #injections: (Injection & { seen: number })[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Map<Connection, Promise<void>>();
  readonly #accepting: Promise<void>;

  constructor(readonly handler: (request: Request) => Promise<Response>) {
    this.#accepting = this.#accept();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** The number of open connections. */
  get open(): number {
    return this.#connections.size;
  }

  /** Injects a fault. */
  inject(injection: Injection): void {
    this.#injections.push({ ...injection, seen: 0 });
    if (injection.fault.resets || injection.fault.unread) this.careful = true;
    if (injection.fault.keepAlive) this.keepAlive = true;
  }

  /** Removes all faults. */
  clear(): void {
    this.#injections.length = 0;
  }

  /** Waits until no request is pending; returns the number after a limit. */
  async settled(limitMs: number): Promise<number> {
    const end = performance.now() + limitMs;
    for (;;) {
      const busy = [...this.#connections.keys()].filter(({ busy }) => busy);
      if (busy.length === 0 || performance.now() > end) return busy.length;
      await delay(2);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    const ends = [...this.#connections.values()];
    for (const connection of this.#connections.keys()) connection.close();
    await Promise.all(ends);
  }

  async #accept(): Promise<void> {
    for await (const socket of this.#listener) {
      socket.setNoDelay();
      this.connections++;
      const connection = new Connection(socket);
      const served = this.#serve(connection).finally(() => {
        connection.close();
        this.#connections.delete(connection);
      });
      this.#connections.set(connection, served);
    }
  }

  async #serve(connection: Connection): Promise<void> {
    for (;;) {
      const line = await connection.line(this.careful);
      if (line === undefined) return;
      const [method = "", path = ""] = line.split(" ");
      const injected = this.#strike(method, path);
      const received: Received = {
        method,
        path,
        at: performance.now(),
        authorization: null,
        ...(injected && { fault: injected.fault.name }),
      };
      this.received.push(received);
      if (injected?.fault.unread) return;
      const rest = await connection.rest(injected?.fault.resets ?? false);
      if (rest === undefined) return;
      const request: WireRequest = { method, path, ...rest };
      received.authorization = rest.headers.get("authorization");
      const usable = await this.#answer(
        connection,
        request,
        received,
        injected,
      );
      if (!usable || !this.keepAlive || connection.gone) return;
      if (this.closesIdle) return;
      connection.busy = false;
    }
  }

  /** A fetch whose requests can fail before they are sent. Bound. */
  readonly fetch = (url: string, init: RequestInit): Promise<Response> => {
    const { pathname } = new URL(url);
    const injected = this.#strike(init.method ?? "GET", pathname, true);
    return fetch(injected?.fault.unsent ?? url, init);
  };

  /** The fault of a request. */
  #strike(
    method: string,
    path: string,
    isUnsent = false,
  ): Injection | undefined {
    let injected: Injection | undefined;
    for (const injection of this.#injections) {
      if ((injection.fault.unsent !== undefined) !== isUnsent) continue;
      const { operation, skip = 0, count = Infinity } = injection;
      if (operation?.(method, path) === false) continue;
      const number = injection.seen++;
      if (number >= skip && number < skip + count) injected ??= injection;
    }
    return injected;
  }

  async #answer(
    connection: Connection,
    request: WireRequest,
    received: Received,
    injected: Injection | undefined,
  ): Promise<boolean> {
    const real = async () => {
      const { method, path, headers, body } = request;
      const response = await this.handler(
        new Request(`${this.url}${path}`, {
          method,
          headers,
          ...(body !== "" && { body }),
        }),
      );
      received.status = response.status;
      return await fromResponse(response);
    };
    const fault = injected?.fault;
    const answer = await (fault?.answer?.(request, real) ?? real());
    const { head, body } = serialize(answer, this.keepAlive);
    const bytes = joined([head, body]);
    const start = injected?.inBody ? head.length + (body.length >> 1) : 0;
    await connection.send(bytes.subarray(0, start));
    const rest = bytes.subarray(start);
    if (fault?.toxic) return await fault.toxic(connection, rest);
    if (injected?.inBody) return false; // a wrong response that is cut off, too
    await connection.send(rest);
    return answer.framing !== "close";
  }
}

/** The server's end of a connection. */
class Connection {
  /** Whether a request is pending. */
  busy = false;
  readonly #left = new AbortController();
  /** Bytes that were read but not used, one character each. */
  #text = "";
  #careful = false;
  #watching: Promise<void> | undefined;

  constructor(readonly socket: Deno.TcpConn) {}

  /** Whether the client has closed it. */
  get gone(): boolean {
    return this.#left.signal.aborted;
  }

  /** The first line of the next request, or undefined at the end. */
  async line(careful: boolean): Promise<string | undefined> {
    this.#careful = careful;
    await this.#watching;
    this.#watching = undefined;
    const end = await this.#until("\r\n");
    if (end === undefined) return undefined;
    this.busy = true;
    return this.#take(end);
  }

  /** The rest of the request, perhaps without its last byte. */
  async rest(
    leave: boolean,
  ): Promise<{ headers: Headers; body: string } | undefined> {
    const end = await this.#until("\r\n\r");
    if (end === undefined) return undefined;
    const headers = new Headers();
    for (const line of this.#take(end).trim().split("\r\n")) {
      const [, name, value = ""] = /^([^:]+):(.*)$/.exec(line) ?? [];
      if (name) headers.append(name, value);
    }
    const length = Number(headers.get("content-length") ?? 0);
    const whole = 1 + length - (leave ? 1 : 0);
    while (this.#text.length < whole) {
      if (!await this.#read()) return undefined;
    }
    let body = this.#take(whole).slice(1);
    if (leave && length > 0) body += "}"; // all bodies are JSON objects
    // Reads while the response is sent, to notice that the client closes.
    if (!leave) {
      this.#watching ??= this.#read().then((some) => {
        if (!some) this.#left.abort();
      });
    }
    return { headers, body };
  }

  /** Sends bytes, unless the client has closed it. */
  async send(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length && !this.gone;) {
        at += await this.socket.write(bytes.subarray(at));
      }
    } catch {
      this.#left.abort(); // the client has closed it
    }
  }

  /** Waits, but not longer than the client. */
  async wait(ms: number): Promise<void> {
    const { signal } = this.#left;
    await delay(ms, { signal }).catch(() => {});
  }

  /** Waits until the client closes it. */
  hold(): Promise<void> {
    return this.wait(2 ** 31 - 1);
  }

  close(): void {
    this.#left.abort();
    this.busy = false;
    try {
      this.socket.close();
    } catch {
      // already closed
    }
  }

  /** The position after a mark; reads until it arrives. */
  async #until(mark: string): Promise<number | undefined> {
    for (;;) {
      const at = this.#text.indexOf(mark);
      if (at >= 0) return at + mark.length;
      if (!await this.#read()) return undefined;
    }
  }

  /** Removes bytes from what was read. */
  #take(length: number): string {
    const taken = this.#text.slice(0, length);
    this.#text = this.#text.slice(length);
    return Buffer.from(taken, "latin1").toString();
  }

  /** Reads available bytes, or one byte if the last one must stay unread. */
  async #read(): Promise<boolean> {
    const buffer = Buffer.alloc(this.#careful ? 1 : 16384);
    try {
      const count = await this.socket.read(buffer);
      this.#text += buffer.toString("latin1", 0, count ?? 0);
      return count !== null;
    } catch {
      return false;
    }
  }
}
