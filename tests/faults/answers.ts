/** Responses in bytes. */

import { Buffer } from "node:buffer";

const encoder = new TextEncoder();

/** A request as it arrived. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A response that can be wrong in every way. */
export interface Answer {
  status: number;
  reason: string;
  headers: [name: string, value: string][];
  body: Uint8Array<ArrayBuffer>;
  /** What delimits the body: its length, chunks, or the connection. */
  framing: "length" | "chunked" | "close";
}

/** Creates a response. */
export function answer(
  status: number,
  reason: string,
  type: string,
  body: string,
  headers: [name: string, value: string][] = [],
): Answer {
  return {
    status,
    reason,
    headers: [["content-type", type], ...headers],
    body: encoder.encode(body),
    framing: "length",
  };
}

/** A response of the stand-in. */
export async function fromResponse(response: Response): Promise<Answer> {
  const { status, headers } = response;
  return {
    status,
    reason: status === 200 ? "OK" : "Refused",
    headers: [...headers].filter(([name]) => name !== "content-length"),
    body: await response.bytes(),
    framing: headers.has("content-length") ? "length" : "chunked",
  };
}

/** The bytes of a response. */
export function serialize(
  { status, reason, headers, body, framing }: Answer,
  keepAlive: boolean,
): { head: Uint8Array; body: Uint8Array } {
  const all = [...headers];
  const names = new Set(headers.map(([name]) => name.toLowerCase()));
  if (framing === "length" && !names.has("content-length")) {
    all.push(["content-length", String(body.length)]);
  }
  if (framing === "chunked") all.push(["transfer-encoding", "chunked"]);
  if (!keepAlive || framing === "close") all.push(["connection", "close"]);
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} ${reason}\r\n${lines.join("")}\r\n`;
  return {
    head: encoder.encode(head),
    body: framing === "chunked" ? inChunks(body) : body,
  };
}

/** The body as one chunk, and the last chunk. */
function inChunks(body: Uint8Array): Uint8Array {
  const start = encoder.encode(`${body.length.toString(16)}\r\n`);
  const chunk = [start, body, encoder.encode("\r\n")];
  return joined([...body.length > 0 ? chunk : [], encoder.encode("0\r\n\r\n")]);
}

/** Joins chunks. */
export function joined(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(chunks));
}
