/**
 * A TCP server in front of a stand-in that injects faults: `inject()` says
 * which fault, into which requests, and how often.
 */

import { Buffer } from "node:buffer";
import { STATUS_CODES } from "node:http";
import { delay } from "@std/async/delay";
import { type Peer, RawServer } from "../support/raw.ts";

/** A request as it arrived. */
export interface WireRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A response that can be wrong in every way. */
export interface Answer {
  status: number;
  headers: [name: string, value: string][];
  body: Uint8Array;
  /** What delimits the body; "none": there is no head, either. */
  framing: "length" | "chunked" | "close" | "none";
}

const LENGTH = "content-length";

/** How the bytes of a response are sent. */
export interface Toxic {
  /** The size of the chunks. Defaults to one chunk. */
  readonly size?: number;
  /** The delay before each chunk, in ms. */
  readonly pause?: number | (() => number);
  /** Where the bytes end, as for `slice()`; at least one byte is missing. */
  readonly end?: number;
  /** How long after the bytes the connection is closed. Defaults to not. */
  readonly closes?: number;
}

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
  /** Whether it closes the connection instead of serving the request. */
  readonly unread?: boolean;
  /** Whether it needs connections that are used again. */
  readonly keepAlive?: boolean;
  /** Where the request goes instead; the client must use `fetch` of the server. */
  readonly unsent?: string;
}

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
  readonly authorization: string | null;
  /** The fault that was injected into it. */
  readonly fault?: string;
  /** The status of the stand-in, if it served the request. */
  status?: number;
}

/** The server. */
export class FaultServer extends RawServer {
  /** Every request that arrived. */
  readonly received: Received[] = [];
  /** Whether connections are kept alive. */
  keepAlive = false;
  /** Whether they are closed as soon as they are idle. */
  closesIdle = false;
  /** Whether the last byte of requests stays unread, to reset connections. */
  careful = false;
  #pending = 0;
  readonly #injections: (Injection & { seen: number })[] = [];

  constructor(readonly handler: (request: Request) => Promise<Response>) {
    super((peer) => this.#serve(peer));
  }

  /** Injects a fault. */
  inject(injection: Injection): void {
    this.#injections.push({ ...injection, seen: 0 });
    const { resets = false, unread = false, keepAlive } = injection.fault;
    this.careful ||= resets || unread;
    this.keepAlive ||= keepAlive === true;
  }

  /** Removes all faults. */
  clear(): void {
    this.#injections.length = 0;
  }

  /** Waits until no request is pending; returns the number after a limit. */
  async pending(limitMs: number): Promise<number> {
    const end = performance.now() + limitMs;
    while (this.#pending > 0 && performance.now() < end) await delay(2);
    return this.#pending;
  }

  /** A fetch whose requests can fail before they are sent. Bound. */
  readonly fetch = (url: string, init: RequestInit): Promise<Response> => {
    const { pathname } = new URL(url);
    const injected = this.#strike(init.method ?? "GET", pathname, true);
    return fetch(injected?.fault.unsent ?? url, init);
  };

  async #serve(peer: Peer): Promise<void> {
    for (let isUsable = true; isUsable;) {
      const isCareful = this.careful;
      const text = await peer.request(isCareful);
      if (peer.gone) return;
      this.#pending++;
      isUsable = await this.#respond(peer, text, isCareful)
        .finally(() => this.#pending--);
      isUsable &&= this.keepAlive && !this.closesIdle;
    }
  }

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

  /** Responds; whether the connection can still be used. */
  async #respond(
    peer: Peer,
    text: string,
    isCareful: boolean,
  ): Promise<boolean> {
    const [start = "", rest = ""] = text.split("\r\n\r", 2);
    const [line = "", ...lines] = start.split("\r\n");
    const [method = "", path = ""] = line.split(" ");
    const headers = new Headers();
    for (const line of lines) {
      const [name = "", value = ""] = line.split(/:(.*)/, 2);
      headers.append(name, value);
    }
    const { fault, inBody } = this.#strike(method, path) ?? {};
    const received: Received = {
      method,
      path,
      at: performance.now(),
      authorization: headers.get("authorization"),
      ...(fault && { fault: fault.name }),
    };
    this.received.push(received);
    if (fault?.unread) return false;
    let last = "";
    if (isCareful) last = fault?.resets ? "}" : await peer.lastByte();
    const bytes = `${rest}${last}`.slice(1); // all bodies are JSON objects
    const body = Buffer.from(bytes, "latin1").toString();
    const real = async (): Promise<Answer> => {
      const init = { method, headers, ...(body !== "" && { body }) };
      const request = new Request(`${this.url}${path}`, init);
      const response = await this.handler(request);
      const hasLength = response.headers.has(LENGTH);
      received.status = response.status;
      return {
        status: response.status,
        headers: [...response.headers]
          .filter(([name]) => name !== LENGTH),
        body: await response.bytes(),
        framing: hasLength ? "length" : "chunked",
      };
    };
    const request = { method, path, headers, body };
    const answer = await (fault?.answer?.(request, real) ?? real());
    const isUsable = await send(peer, answer, this.keepAlive, fault, inBody);
    return isUsable && answer.framing !== "close";
  }
}

/** Sends a response; whether the connection can still be used. */
async function send(
  peer: Peer,
  answer: Answer,
  keepAlive: boolean,
  { toxic }: Partial<Fault> = {},
  inBody = false,
): Promise<boolean> {
  const { head, body } = serialize(answer, keepAlive);
  const bytes = Buffer.concat([head, body]);
  const start = inBody ? head.length + (body.length >> 1) : 0;
  const { size = Infinity, pause = 0, closes, end } = toxic ?? {};
  await peer.send(bytes.subarray(0, start));
  if (inBody && !toxic) return false; // a wrong response that is cut off, too
  const rest = bytes.subarray(start);
  const part = end === undefined
    ? rest
    : rest.subarray(0, Math.min(end, rest.length - 1));
  for (let at = 0; at < part.length && !peer.gone; at += size) {
    const ms = typeof pause === "number" ? pause : pause();
    if (ms > 0) await peer.wait(ms);
    await peer.send(part.subarray(at, at + size));
  }
  if (closes) await peer.wait(closes);
  return closes === undefined;
}

/** The bytes of a response. */
function serialize(
  { status, headers, body, framing }: Answer,
  keepAlive: boolean,
): { head: Buffer; body: Uint8Array } {
  if (framing === "none") return { head: Buffer.alloc(0), body };
  const all = [...headers];
  if (framing === "chunked") all.push(["transfer-encoding", "chunked"]);
  else if (framing === "length" && !all.some(([name]) => name === LENGTH)) {
    all.push([LENGTH, String(body.length)]);
  }
  if (!keepAlive || framing === "close") all.push(["connection", "close"]);
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status]}`;
  const head = Buffer.from(`${line}\r\n${lines}\r\n`);
  if (framing !== "chunked") return { head, body };
  const chunk = [`${body.length.toString(16)}\r\n`, body, "\r\n"];
  const parts = [...body.length > 0 ? chunk : [], "0\r\n\r\n"];
  return {
    head,
    body: Buffer.concat(parts.map((part) => Buffer.from(part))),
  };
}
