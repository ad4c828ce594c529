/** Every fault, what it looks like on the wire, and what it amounts to. */

import { type Answer, answer, joined, type Request } from "./answers.ts";
import type { Event } from "./rules.ts";
import type { Fault } from "./server.ts";
import * as toxics from "./toxics.ts";

/** A fault and what a client is faced with by it. */
export interface KnownFault extends Fault {
  /** What it amounts to; for answers of JSON and of text, if that differs. */
  readonly event:
    | Event
    | {
      readonly json: Event;
      readonly text: Event;
      /** For JSON whose shape the client looks at. */
      readonly checked?: Event;
    };
  /** For what kind of answers a body that breaks off changes nothing. */
  readonly byHead?: "any" | "text";
  /** Whether it is the body that shows it, wherever the fault begins. */
  readonly byBody?: boolean;
  /** Whether it cannot begin in the body. */
  readonly headOnly?: boolean;
  /** Whether the answer, if it is taken for one, is not the right one. */
  readonly alters?: boolean;
  /** How long it asks to wait before another attempt, in ms. */
  readonly asks?: number;
}

/** What a hostile server knows of the client, to be said back to it. */
const echo = ({ path, headers, body }: Request): string =>
  `${headers.get("authorization")} ${path} ${body}`;

/** An error as Decapod puts it, with everything said back. */
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

/** A page of something else. */
const page = (status: number, reason: string) => (request: Request): Answer =>
  answer(
    status,
    reason,
    "text/html; charset=utf-8",
    `<html><h1>${status} ${reason}</h1><p>${echo(request)}</p></html>`,
  );

/** The right answer, changed. */
const changed = (change: (right: Answer, request: Request) => Answer) =>
async (
  request: Request,
  real: () => Promise<Answer>,
): Promise<Answer> => change(await real(), request);

/** The right answer with other headers. */
const withHeaders = (
  headers: (right: Answer, request: Request) => [string, string][],
) =>
  changed((right, request) => ({
    ...right,
    framing: "length",
    headers: headers(right, request),
  }));

/** A body of so many bytes that mean nothing. */
const blank = (bytes: number) => new Uint8Array(bytes).fill(0x20);

const HUGE = 2 * 1024 * 1024;

/** The bytes that TCP carries are late, few, or cut off. */
const TOXICS: KnownFault[] = [
  { name: "latency", event: "late", toxic: toxics.latency(15) },
  {
    name: "latency beyond the deadline",
    event: "silence",
    toxic: toxics.latency(60_000),
  },
  { name: "jitter", event: "late", toxic: toxics.jitter(10, 1) },
  { name: "bandwidth", event: "late", toxic: toxics.bandwidth(512, 4) },
  {
    name: "bandwidth of next to nothing",
    event: "silence",
    toxic: toxics.trickle(20),
  },
  {
    name: "slow_close",
    event: "late",
    answer: changed((right) => ({ ...right, framing: "close" })),
    toxic: toxics.slowClose(20),
  },
  { name: "timeout", event: "silence", toxic: toxics.timeout },
  {
    name: "reset_peer, request unread",
    event: "broken",
    unread: true,
    headOnly: true,
  },
  {
    name: "reset_peer, request served",
    event: "broken",
    toxic: toxics.resetPeer,
    resets: true,
  },
  { name: "slicer", event: "late", toxic: toxics.slicer(16) },
  { name: "limit_data 0", event: "broken", toxic: toxics.limitData(0) },
  { name: "limit_data 40", event: "broken", toxic: toxics.limitData(40) },
  {
    name: "kept connection closed on the next request",
    event: "broken",
    unread: true,
    headOnly: true,
    keepAlive: true,
  },
  {
    name: "kept connection reset, request served",
    event: "broken",
    toxic: toxics.resetPeer,
    resets: true,
    keepAlive: true,
  },
];

/** What Retry-After may say, and whether there is time to obey it. */
const RETRY_AFTER: [name: string, value: string, obeyed: boolean][] = [
  ["0", "0", true],
  ["1", "1", true],
  ["a date gone by", "Wed, 21 Oct 2015 07:28:00 GMT", true],
  ["a date far off", "Fri, 31 Dec 9999 23:59:59 GMT", false],
  ["a century", "3155760000", false],
  ["garbage", "-1e9 soon", true],
];

/** A status with each of these. */
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

/** The answer is an error. */
const STATUSES: KnownFault[] = [
  ...([
    ["401", "refused", refusal(401, "Unauthorized")],
    ["403", "forbidden", refusal(403, "Forbidden")],
    ["404", "missing", refusal(404, "Not Found")],
    ["500", "failing", refusal(500, "Internal Server Error")],
    [
      "500 of 2 MiB",
      "failing",
      (request) => ({
        ...refusal(500, "Internal Server Error")(request),
        body: blank(HUGE),
      }),
    ],
    ["502 in HTML", "badGateway", page(502, "Bad Gateway")],
    ["504 in HTML", "gatewayTimeout", page(504, "Gateway Time-out")],
    [
      "redirect",
      "unfit",
      (request) =>
        answer(302, "Found", "text/html", echo(request), [
          ["location", `/elsewhere/?${request.headers.get("authorization")}`],
        ]),
    ],
    [
      "redirect to another origin",
      "unfit",
      (request) =>
        answer(307, "Temporary Redirect", "text/html", echo(request), [
          ["location", "http://127.0.0.1:9/v1/"],
        ]),
    ],
  ] satisfies [string, Event, Fault["answer"]][]).map((
    [name, event, answer],
  ): KnownFault => ({ name, event, byHead: "any", answer })),
  ...withRetryAfter(429, "busy", "booked"),
  ...withRetryAfter(503, "away", "closed"),
];

/** The answer is a success, but not a right one. */
const SUCCESSES: KnownFault[] = [
  {
    name: "200 in HTML",
    event: "unfit",
    byHead: "any",
    answer: page(200, "OK"),
  },
  {
    name: "200, empty",
    event: { json: "unfit", text: "late" },
    byHead: "any",
    answer: changed((right) => ({
      ...right,
      framing: "length",
      body: new Uint8Array(),
    })),
    alters: true,
  },
  {
    name: "JSON cut off",
    event: { json: "unfit", text: "late" },
    answer: changed((right) => ({
      ...right,
      framing: "length",
      body: right.body.subarray(0, right.body.length >> 1),
    })),
    alters: true,
  },
  {
    name: "JSON of the wrong shape",
    event: "unfit",
    byHead: "text",
    answer: (request) =>
      answer(200, "OK", "application/json", JSON.stringify([echo(request)])),
  },
  {
    name: "JSON object of the wrong shape",
    event: { json: "late", text: "unfit", checked: "unfit" },
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
    event: "unfit",
    byHead: "any",
    answer: withHeaders((_, request) => [
      ["content-type", `image/x-${request.headers.get("authorization")}`],
    ]),
  },
  {
    name: "Content-Length too great",
    event: "broken",
    byBody: true,
    answer: withHeaders((right) => [
      ...right.headers,
      ["content-length", String(right.body.length + 100)],
    ]),
    toxic: toxics.slowClose(0),
  },
  {
    name: "Content-Length too small",
    event: { json: "unfit", text: "late" },
    byHead: "any",
    answer: withHeaders((right) => [
      ...right.headers,
      ["content-length", String(right.body.length >> 1)],
    ]),
    alters: true,
  },
  {
    name: "two lengths that differ",
    event: "broken",
    byHead: "any",
    answer: withHeaders((right) => [
      ...right.headers,
      ["content-length", String(right.body.length)],
      ["content-length", String(right.body.length + 1)],
    ]),
  },
  {
    name: "huge body",
    event: "late",
    answer: changed((right) => ({
      ...right,
      framing: "length",
      body: joined([right.body, blank(HUGE)]),
    })),
    alters: true,
  },
  {
    name: "bad gzip",
    event: "broken",
    byBody: true,
    answer: withHeaders((right) => [
      ...right.headers,
      ["content-encoding", "gzip"],
    ]),
  },
  {
    name: "duplicate headers",
    event: "late",
    answer: withHeaders((right) => [
      ...right.headers,
      ...right.headers,
      ["content-length", String(right.body.length)],
      ["content-length", String(right.body.length)],
    ]),
  },
  {
    name: "no HTTP",
    event: "broken",
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

/** All of them. */
export const FAULTS: readonly KnownFault[] = [
  ...TOXICS,
  ...STATUSES,
  ...SUCCESSES,
];
