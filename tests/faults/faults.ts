/** Every fault: what it does on the wire, and which event it is. */

import { gzipSync } from "node:zlib";
import { type Answer, answer, joined, type Request } from "./answers.ts";
import type { Event } from "./rules.ts";
import type { Fault } from "./server.ts";
import * as toxics from "./toxics.ts";

/** A fault and the event that it causes. */
export interface KnownFault extends Fault {
  /** The event; by kind of response where that differs. */
  readonly event:
    | Event
    | {
      readonly json: Event;
      readonly text: Event;
      /** For JSON whose shape the client checks. */
      readonly checked?: Event;
    };
  /** For which responses the head decides, even if the body is cut off. */
  readonly byHead?: "any" | "text";
  /** Whether it shows only in the body, wherever the fault begins. */
  readonly byBody?: boolean;
  /** Whether it cannot begin in the body. */
  readonly headOnly?: boolean;
  /** Whether an accepted response differs from the right one. */
  readonly alters?: boolean;
  /** The delay that it asks for before a retry, in ms. */
  readonly asks?: number;
}

const tokenOf = ({ headers }: Request) => headers.get("authorization");

/** What a hostile server has received, to be echoed. */
const echo = (request: Request): string =>
  `${tokenOf(request)} ${request.path} ${request.body}`;

/** An error in Decapod's format that echoes the request. */
const refusal = (
  status: number,
  reason: string,
  headers: [string, string][] = [],
) =>
(request: Request): Answer =>
  answer(
    status,
    reason,
    "application/json",
    JSON.stringify({
      code: status,
      error: `${reason} ${headers.length} ${tokenOf(request)}`,
      message: echo(request),
    }),
    headers,
  );

/** An HTML page of another server. */
const page = (status: number, reason: string) => (request: Request): Answer =>
  answer(
    status,
    reason,
    "text/html; charset=utf-8",
    `<html><h1>${status} ${reason}</h1><p>${echo(request)}</p></html>`,
  );

/** A redirect that shows the token. */
const redirect =
  (status: number, location: string) => (request: Request): Answer =>
    answer(status, "Found", "text/html", echo(request), [
      ["location", `${location}?${tokenOf(request)}`],
    ]);

type Change = (
  right: Answer,
  request: Request,
) => Partial<Answer> | Promise<Partial<Answer>>;

/** The right response, changed. */
const changed = (change: Change): Fault["answer"] => async (request, real) => {
  const right = await real();
  return { ...right, framing: "length", ...await change(right, request) };
};

/** The right response with additional headers. */
const withHeaders = (
  headers: (right: Answer) => [string, string | number][],
) =>
  changed((right) => ({
    headers: [
      ...right.headers,
      ...headers(right).map(([name, value]): [string, string] => [
        name,
        String(value),
      ]),
    ],
  }));

const GZIP: [string, string] = ["content-encoding", "gzip"];

/** The first half of the bytes. */
const half = (bytes: Uint8Array<ArrayBuffer>) =>
  bytes.subarray(0, bytes.length >> 1);

/** A body of this many spaces. */
const blank = (bytes: number) => new Uint8Array(bytes).fill(0x20);

const HUGE = 2 * 1024 * 1024;

type Row = [
  name: string,
  event: KnownFault["event"],
  more: Partial<KnownFault>,
];

const toFault = ([name, event, more]: Row): KnownFault => (
  { name, event, ...more }
);

/** Bytes arrive late, slowly or not at all. */
const TOXICS = ([
  ["latency", "delayed", { toxic: toxics.latency(15) }],
  [
    "latency beyond the deadline",
    "no response",
    { toxic: toxics.latency(60_000) },
  ],
  ["jitter", "delayed", { toxic: toxics.jitter(10, 1) }],
  ["bandwidth", "delayed", { toxic: toxics.bandwidth(512, 4) }],
  [
    "bandwidth of a byte at a time",
    "no response",
    { toxic: toxics.trickle(20) },
  ],
  ["slow_close", "delayed", {
    answer: changed(() => ({ framing: "close" })),
    toxic: toxics.slowClose(20),
  }],
  ["timeout", "no response", { toxic: toxics.timeout }],
  ["reset_peer, request unread", "connection lost", {
    unread: true,
    headOnly: true,
  }],
  ["reset_peer, request served", "connection lost", {
    toxic: toxics.resetPeer,
    resets: true,
  }],
  ["slicer", "delayed", { toxic: toxics.slicer(16) }],
  ["limit_data 0", "connection lost", { toxic: toxics.limitData(0) }],
  ["limit_data 40", "connection lost", { toxic: toxics.limitData(40) }],
  ["kept connection closed on the next request", "connection lost", {
    unread: true,
    headOnly: true,
    keepAlive: true,
  }],
  ["kept connection reset, request served", "connection lost", {
    toxic: toxics.resetPeer,
    resets: true,
    keepAlive: true,
  }],
] satisfies Row[]).map(toFault);

/** Values of Retry-After, and whether the deadline leaves time for them. */
const RETRY_AFTER: [name: string, value: string, obeyed: boolean][] = [
  ["0", "0", true],
  ["1", "1", true],
  ["a past date", "Wed, 21 Oct 2015 07:28:00 GMT", true],
  ["a date far ahead", "Fri, 31 Dec 9999 23:59:59 GMT", false],
  ["a century", "3155760000", false],
  ["garbage", "-1e9 soon", true],
];

/** A status with each of these values. */
const withRetryAfter = (
  status: number,
  obeyed: Event,
  beyond: Event,
): KnownFault[] =>
  RETRY_AFTER.map(([name, value, inTime]) => ({
    name: `${status}, Retry-After: ${name}`,
    event: inTime ? obeyed : beyond,
    byHead: "any",
    answer: refusal(status, "Too Much", [["retry-after", value]]),
    ...(name === "1" && { asks: 1000 }),
  }));

/** The response is an error. */
const STATUSES = ([
  ["401", "HTTP 401", refusal(401, "Unauthorized")],
  ["403", "HTTP 403", refusal(403, "Forbidden")],
  ["404", "HTTP 404", refusal(404, "Not Found")],
  ["500", "HTTP 500", refusal(500, "Internal Server Error")],
  ["500 of 2 MiB", "HTTP 500", (request) => ({
    ...refusal(500, "Internal Server Error")(request),
    body: blank(HUGE),
  })],
  ["502 in HTML", "HTTP 502", page(502, "Bad Gateway")],
  ["504 in HTML", "HTTP 504", page(504, "Gateway Time-out")],
  ["redirect", "unexpected response", redirect(302, "/elsewhere/")],
  [
    "redirect to another origin",
    "unexpected response",
    redirect(307, "http://127.0.0.1:9/v1/"),
  ],
] satisfies [string, Event, Fault["answer"]][]).map((
  [name, event, answer],
): KnownFault => ({ name, event, byHead: "any", answer }));

/** The response has status 200, but is wrong. */
const SUCCESSES = ([
  ["200 in HTML", "unexpected response", {
    byHead: "any",
    answer: page(200, "OK"),
  }],
  ["200, empty", { json: "unexpected response", text: "delayed" }, {
    byHead: "any",
    answer: changed(() => ({ body: new Uint8Array() })),
    alters: true,
  }],
  ["truncated JSON", { json: "unexpected response", text: "delayed" }, {
    answer: changed(({ body }) => ({ body: half(body) })),
    alters: true,
  }],
  ["JSON of the wrong shape", "unexpected response", {
    byHead: "text",
    answer: (request) =>
      answer(200, "OK", "application/json", JSON.stringify([echo(request)])),
  }],
  ["JSON object of the wrong shape", {
    json: "delayed",
    text: "unexpected response",
    checked: "unexpected response",
  }, {
    byHead: "text",
    answer: changed(({ status, reason }, request) => {
      const body = JSON.stringify({ echo: echo(request) });
      return answer(status, reason, "application/json", body);
    }),
    alters: true,
  }],
  ["wrong content type", "unexpected response", {
    byHead: "any",
    answer: changed((_, request) => ({
      headers: [["content-type", `image/x-${tokenOf(request)}`]],
    })),
  }],
  ["Content-Length too large", "connection lost", {
    byBody: true,
    answer: withHeaders(({ body }) => [["content-length", body.length + 100]]),
    toxic: toxics.slowClose(0),
  }],
  [
    "Content-Length too small",
    { json: "unexpected response", text: "delayed" },
    {
      byHead: "any",
      answer: withHeaders(({ body }) => [["content-length", body.length >> 1]]),
      alters: true,
    },
  ],
  ["two different Content-Length headers", "connection lost", {
    byHead: "any",
    answer: withHeaders(({ body: { length } }) => [
      ["content-length", length],
      ["content-length", length + 1],
    ]),
  }],
  ["huge body", "delayed", {
    answer: changed(({ body }) => ({ body: joined([body, blank(HUGE)]) })),
    alters: true,
  }],
  // Logs are requested without compression.
  ["bad gzip", { json: "connection lost", text: "unexpected response" }, {
    byHead: "text",
    byBody: true,
    answer: withHeaders(() => [GZIP]),
  }],
  ["truncated gzip", { json: "connection lost", text: "unexpected response" }, {
    byHead: "text",
    byBody: true,
    answer: changed(({ headers, body }) => ({
      headers: [...headers, GZIP],
      body: half(new Uint8Array(gzipSync(body))),
    })),
  }],
  ...Object.entries({
    "truncated in a chunk": 8,
    "truncated before the last chunk": 5,
    "truncated in the last chunk": 2,
  }).map(([name, missing]): Row => [name, "connection lost", {
    byBody: true,
    answer: changed(() => ({ framing: "chunked" })),
    toxic: toxics.truncate(missing),
  }]),
  ["duplicate headers", "delayed", {
    answer: withHeaders(({ headers, body: { length } }) => [
      ...headers,
      ["content-length", length],
      ["content-length", length],
    ]),
  }],
  ["no HTTP", "connection lost", {
    headOnly: true,
    answer: page(200, "OK"),
    toxic: async (wire) => {
      await wire.send(new TextEncoder().encode("220 mail.example ESMTP\r\n"));
      return false;
    },
  }],
] satisfies Row[]).map(toFault);

/** A port that nothing listens on. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** The request is not sent. */
const UNSENT: KnownFault[] = [{
  name: "connection refused",
  event: "not connected",
  headOnly: true,
  unsent: `http://127.0.0.1:${closedPort()}/`,
}];

/** All faults. */
export const FAULTS: readonly KnownFault[] = [
  ...UNSENT,
  ...TOXICS,
  ...STATUSES,
  ...withRetryAfter(429, "HTTP 429", "HTTP 429 with long Retry-After"),
  ...withRetryAfter(503, "HTTP 503", "HTTP 503 with long Retry-After"),
  ...SUCCESSES,
];

/** The fault with this name. */
export function faultNamed(name: string): KnownFault {
  const fault = FAULTS.find((fault) => fault.name === name);
  if (fault === undefined) throw new Error(`Cannot find the fault ${name}`);
  return fault;
}
