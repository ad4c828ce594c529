/** Every fault: what it does on the wire, and which event it is. */

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

/** What a hostile server has received, to be echoed. */
const echo = ({ path, headers, body }: Request): string =>
  `${headers.get("authorization")} ${path} ${body}`;

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
      error: `${reason} ${headers.length} ${
        request.headers.get("authorization")
      }`,
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

/** The right response, changed. */
const changed = (change: (right: Answer, request: Request) => Answer) =>
async (
  request: Request,
  real: () => Promise<Answer>,
): Promise<Answer> => change(await real(), request);

/** The right response with other headers. */
const withHeaders = (
  headers: (right: Answer, request: Request) => [string, string][],
) =>
  changed((right, request) => ({
    ...right,
    framing: "length",
    headers: headers(right, request),
  }));

/** Bytes as gzip. */
async function compressed(
  body: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([body]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return await new Response(stream).bytes();
}

/** A body of this many spaces. */
const blank = (bytes: number) => new Uint8Array(bytes).fill(0x20);

const HUGE = 2 * 1024 * 1024;

/** Bytes arrive late, slowly or not at all. */
const TOXICS: KnownFault[] = [
  { name: "latency", event: "delayed", toxic: toxics.latency(15) },
  {
    name: "latency beyond the deadline",
    event: "no response",
    toxic: toxics.latency(60_000),
  },
  { name: "jitter", event: "delayed", toxic: toxics.jitter(10, 1) },
  { name: "bandwidth", event: "delayed", toxic: toxics.bandwidth(512, 4) },
  {
    name: "bandwidth of a byte at a time",
    event: "no response",
    toxic: toxics.trickle(20),
  },
  {
    name: "slow_close",
    event: "delayed",
    answer: changed((right) => ({ ...right, framing: "close" })),
    toxic: toxics.slowClose(20),
  },
  { name: "timeout", event: "no response", toxic: toxics.timeout },
  {
    name: "reset_peer, request unread",
    event: "connection lost",
    unread: true,
    headOnly: true,
  },
  {
    name: "reset_peer, request served",
    event: "connection lost",
    toxic: toxics.resetPeer,
    resets: true,
  },
  { name: "slicer", event: "delayed", toxic: toxics.slicer(16) },
  {
    name: "limit_data 0",
    event: "connection lost",
    toxic: toxics.limitData(0),
  },
  {
    name: "limit_data 40",
    event: "connection lost",
    toxic: toxics.limitData(40),
  },
  {
    name: "kept connection closed on the next request",
    event: "connection lost",
    unread: true,
    headOnly: true,
    keepAlive: true,
  },
  {
    name: "kept connection reset, request served",
    event: "connection lost",
    toxic: toxics.resetPeer,
    resets: true,
    keepAlive: true,
  },
];

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
const STATUSES: KnownFault[] = [
  ...([
    ["401", "HTTP 401", refusal(401, "Unauthorized")],
    ["403", "HTTP 403", refusal(403, "Forbidden")],
    ["404", "HTTP 404", refusal(404, "Not Found")],
    ["500", "HTTP 500", refusal(500, "Internal Server Error")],
    [
      "500 of 2 MiB",
      "HTTP 500",
      (request) => ({
        ...refusal(500, "Internal Server Error")(request),
        body: blank(HUGE),
      }),
    ],
    ["502 in HTML", "HTTP 502", page(502, "Bad Gateway")],
    ["504 in HTML", "HTTP 504", page(504, "Gateway Time-out")],
    [
      "redirect",
      "unexpected response",
      (request) =>
        answer(302, "Found", "text/html", echo(request), [
          ["location", `/elsewhere/?${request.headers.get("authorization")}`],
        ]),
    ],
    [
      "redirect to another origin",
      "unexpected response",
      (request) =>
        answer(307, "Temporary Redirect", "text/html", echo(request), [
          ["location", "http://127.0.0.1:9/v1/"],
        ]),
    ],
  ] satisfies [string, Event, Fault["answer"]][]).map((
    [name, event, answer],
  ): KnownFault => ({ name, event, byHead: "any", answer })),
  ...withRetryAfter(429, "HTTP 429", "HTTP 429 with long Retry-After"),
  ...withRetryAfter(503, "HTTP 503", "HTTP 503 with long Retry-After"),
];

/** The response has status 200, but is wrong. */
const SUCCESSES: KnownFault[] = [
  {
    name: "200 in HTML",
    event: "unexpected response",
    byHead: "any",
    answer: page(200, "OK"),
  },
  {
    name: "200, empty",
    event: { json: "unexpected response", text: "delayed" },
    byHead: "any",
    answer: changed((right) => ({
      ...right,
      framing: "length",
      body: new Uint8Array(),
    })),
    alters: true,
  },
  {
    name: "truncated JSON",
    event: { json: "unexpected response", text: "delayed" },
    answer: changed((right) => ({
      ...right,
      framing: "length",
      body: right.body.subarray(0, right.body.length >> 1),
    })),
    alters: true,
  },
  {
    name: "JSON of the wrong shape",
    event: "unexpected response",
    byHead: "text",
    answer: (request) =>
      answer(200, "OK", "application/json", JSON.stringify([echo(request)])),
  },
  {
    name: "JSON object of the wrong shape",
    event: {
      json: "delayed",
      text: "unexpected response",
      checked: "unexpected response",
    },
    byHead: "text",
    answer: changed(({ status, reason }, request) =>
      answer(
        status,
        reason,
        "application/json",
        JSON.stringify({ echo: echo(request) }),
      )
    ),
    alters: true,
  },
  {
    name: "wrong content type",
    event: "unexpected response",
    byHead: "any",
    answer: withHeaders((_, request) => [
      ["content-type", `image/x-${request.headers.get("authorization")}`],
    ]),
  },
  {
    name: "Content-Length too large",
    event: "connection lost",
    byBody: true,
    answer: withHeaders((right) => [
      ...right.headers,
      ["content-length", String(right.body.length + 100)],
    ]),
    toxic: toxics.slowClose(0),
  },
  {
    name: "Content-Length too small",
    event: { json: "unexpected response", text: "delayed" },
    byHead: "any",
    answer: withHeaders((right) => [
      ...right.headers,
      ["content-length", String(right.body.length >> 1)],
    ]),
    alters: true,
  },
  {
    name: "two different Content-Length headers",
    event: "connection lost",
    byHead: "any",
    answer: withHeaders((right) => [
      ...right.headers,
      ["content-length", String(right.body.length)],
      ["content-length", String(right.body.length + 1)],
    ]),
  },
  {
    name: "huge body",
    event: "delayed",
    answer: changed((right) => ({
      ...right,
      framing: "length",
      body: joined([right.body, blank(HUGE)]),
    })),
    alters: true,
  },
  {
    name: "bad gzip",
    // Logs are requested without compression.
    event: { json: "connection lost", text: "unexpected response" },
    byHead: "text",
    byBody: true,
    answer: withHeaders((right) => [
      ...right.headers,
      ["content-encoding", "gzip"],
    ]),
  },
  {
    name: "truncated gzip",
    event: { json: "connection lost", text: "unexpected response" },
    byHead: "text",
    byBody: true,
    answer: async (_, real) => {
      const right = await real();
      const whole = await compressed(right.body);
      return {
        ...right,
        framing: "length",
        headers: [...right.headers, ["content-encoding", "gzip"]],
        body: whole.subarray(0, whole.length >> 1),
      };
    },
  },
  ...Object.entries({
    "truncated in a chunk": 8,
    "truncated before the last chunk": 5,
    "truncated in the last chunk": 2,
  }).map(([name, missing]): KnownFault => ({
    name,
    event: "connection lost",
    byBody: true,
    answer: changed((right) => ({ ...right, framing: "chunked" })),
    toxic: toxics.truncate(missing),
  })),
  {
    name: "duplicate headers",
    event: "delayed",
    answer: withHeaders((right) => [
      ...right.headers,
      ...right.headers,
      ["content-length", String(right.body.length)],
      ["content-length", String(right.body.length)],
    ]),
  },
  {
    name: "no HTTP",
    event: "connection lost",
    headOnly: true,
    answer: (request) => ({
      ...answer(200, "OK", "text/plain", echo(request)),
      framing: "close",
    }),
    toxic: async (wire) => {
      await wire.send(new TextEncoder().encode("220 mail.example ESMTP\r\n"));
      return false;
    },
  },
];

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
  ...SUCCESSES,
];
