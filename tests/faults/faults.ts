/** All faults: what each does on the wire, and which event it is. */

import { Buffer } from "node:buffer";
import { STATUS_CODES } from "node:http";
import { gzipSync } from "node:zlib";
import { seededRandom } from "../standin/ids.ts";
import { CLOSED } from "../support/stub.ts";
import type { Event } from "./rules.ts";
import type { Answer, Fault, WireRequest } from "./server.ts";

/** A fault and the event that it causes. */
export interface KnownFault extends Fault {
  /** The event; by kind of response where that differs. */
  readonly event:
    | Event
    // "checked": JSON whose shape the client checks.
    | { readonly json: Event; readonly text: Event; readonly checked?: Event };
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

const tokenOf = ({ headers }: WireRequest) => headers.get("authorization");

/** What a hostile server has received, to be echoed. */
const echo = (request: WireRequest): string =>
  `${tokenOf(request)} ${request.path} ${request.body}`;

const answer = (
  status: number,
  type: string,
  body: string,
  headers: [string, string][] = [],
): Answer => ({
  status,
  headers: [["content-type", type], ...headers],
  body: Buffer.from(body),
  framing: "length",
});

/** A response with JSON. */
export const json = (
  value: unknown,
  status = 200,
  headers: [string, string][] = [],
) => answer(status, "application/json", JSON.stringify(value), headers);

/** An error in Decapod's format that echoes the request. */
const refusal =
  (status: number, headers: [string, string][] = []) =>
  (request: WireRequest): Answer => {
    const error = `${STATUS_CODES[status]} ${tokenOf(request)}`;
    const message = echo(request);
    return json({ code: status, error, message }, status, headers);
  };

/** An HTML page of another server. */
const page = (status: number) => (request: WireRequest): Answer =>
  answer(
    status,
    "text/html; charset=utf-8",
    `<html><h1>${STATUS_CODES[status]}</h1><p>${echo(request)}</p></html>`,
  );

/** A redirect that shows the token. */
const redirect =
  (status: number, location: string) => (request: WireRequest): Answer =>
    answer(status, "text/html", echo(request), [
      ["location", `${location}?${tokenOf(request)}`],
    ]);

/** The right response, changed. */
const changed = (
  change: (right: Answer, request: WireRequest) => Partial<Answer>,
): Fault["answer"] =>
async (request, real) => {
  const right = await real();
  return { ...right, framing: "length", ...change(right, request) };
};

/** The right response with additional headers. */
const withHeaders = (headers: (right: Answer) => [string, string][]) =>
  changed((right) => ({ headers: [...right.headers, ...headers(right)] }));

const withLength = (lengthOf: (bytes: number) => number) =>
  withHeaders(({ body }) => [["content-length", `${lengthOf(body.length)}`]]);

const GZIP: [string, string] = ["content-encoding", "gzip"];

/** The first half of the bytes. */
const half = (bytes: Uint8Array) => bytes.subarray(0, bytes.length >> 1);

const HUGE = Buffer.alloc(2 ** 21, " ");

const random = seededRandom(1);

/** The connection stays open until the client closes it. */
const HOLD = 2 ** 31 - 1;

type Row = [name: string, event: KnownFault["event"], how: Partial<KnownFault>];

/** A text can be cut off unnoticed. */
const JSON_ONLY = { json: "unexpected response", text: "delayed" } as const;

/** The response is another one, with its own status or media type. */
const error = (
  name: string,
  event: Event,
  answer: (request: WireRequest) => Answer,
): Row => [name, event, { byHead: "any", answer }];

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
const withRetryAfter = (status: number, obeyed: Event, beyond: Event): Row[] =>
  RETRY_AFTER.map(([name, value, inTime]) => [
    `${status}, Retry-After: ${name}`,
    inTime ? obeyed : beyond,
    {
      byHead: "any",
      answer: refusal(status, [["retry-after", value]]),
      ...(name === "1" && { asks: 1000 }),
    },
  ]);

const ROWS: Row[] = [
  ["connection refused", "not connected", {
    headOnly: true,
    unsent: CLOSED,
  }],

  // Bytes arrive late, slowly or not at all; the names are Toxiproxy's.
  ["latency", "delayed", { toxic: { pause: 15 } }],
  ["latency beyond the deadline", "no response", { toxic: { pause: 60_000 } }],
  ["jitter", "delayed", { toxic: { size: 256, pause: () => random() * 10 } }],
  ["bandwidth", "delayed", { toxic: { size: 512, pause: 4 } }],
  ["bandwidth of a byte at a time", "no response", {
    toxic: { size: 1, pause: 20, end: -1, closes: HOLD },
  }],
  ["slow_close", "delayed", {
    answer: changed(() => ({ framing: "close" })),
    toxic: { closes: 20 },
  }],
  ["timeout", "no response", { toxic: { end: 0, closes: HOLD } }],
  ["reset_peer, request unread", "connection lost", {
    unread: true,
    headOnly: true,
  }],
  ["reset_peer, request served", "connection lost", {
    toxic: { end: 0, closes: 0 },
    resets: true,
  }],
  ["slicer", "delayed", { toxic: { size: 16 } }],
  ["limit_data 0", "connection lost", { toxic: { end: 0, closes: 0 } }],
  ["limit_data 40", "connection lost", { toxic: { end: 40, closes: 0 } }],
  ["kept connection closed on the next request", "connection lost", {
    unread: true,
    headOnly: true,
    keepAlive: true,
  }],
  ["kept connection reset, request served", "connection lost", {
    toxic: { end: 0, closes: 0 },
    resets: true,
    keepAlive: true,
  }],

  // The response is an error.
  ...([401, 403, 404, 500] as const).map((status) =>
    error(`${status}`, `HTTP ${status}`, refusal(status))
  ),
  error(
    "500 of 2 MiB",
    "HTTP 500",
    (request) => ({ ...refusal(500)(request), body: HUGE }),
  ),
  error("502 in HTML", "HTTP 502", page(502)),
  error("504 in HTML", "HTTP 504", page(504)),
  error("redirect", "unexpected response", redirect(302, "/elsewhere/")),
  error(
    "redirect to another origin",
    "unexpected response",
    redirect(307, "http://127.0.0.1:9/v1/"),
  ),
  ...withRetryAfter(429, "HTTP 429", "HTTP 429 with long Retry-After"),
  ...withRetryAfter(503, "HTTP 503", "HTTP 503 with long Retry-After"),

  // The response has status 200, but is wrong.
  error("200 in HTML", "unexpected response", page(200)),
  ["200, empty", JSON_ONLY, {
    byHead: "any",
    answer: changed(() => ({ body: new Uint8Array() })),
    alters: true,
  }],
  ["truncated JSON", JSON_ONLY, {
    answer: changed(({ body }) => ({ body: half(body) })),
    alters: true,
  }],
  ["JSON of the wrong shape", "unexpected response", {
    byHead: "text",
    answer: (request) => json([echo(request)]),
  }],
  ["JSON object of the wrong shape", {
    json: "delayed",
    text: "unexpected response",
    checked: "unexpected response",
  }, {
    byHead: "text",
    answer: changed((_, request) => {
      const { headers, body } = json({ echo: echo(request) });
      return { headers, body }; // with its status: a refusal stays one
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
    answer: withLength((bytes) => bytes + 100),
    toxic: { closes: 0 },
  }],
  ["Content-Length too small", JSON_ONLY, {
    byHead: "any",
    answer: withLength((bytes) => bytes >> 1),
    alters: true,
  }],
  ["two different Content-Length headers", "connection lost", {
    byHead: "any",
    answer: withHeaders(({ body: { length } }) => [
      ["content-length", `${length}`],
      ["content-length", `${length + 1}`],
    ]),
  }],
  ["huge body", "delayed", {
    answer: changed(({ body }) => ({ body: Buffer.concat([body, HUGE]) })),
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
      body: half(gzipSync(body)),
    })),
  }],
  ...Object.entries({
    "truncated in a chunk": 8,
    "truncated before the last chunk": 5,
    "truncated in the last chunk": 2,
  }).map(([name, missing]): Row => [name, "connection lost", {
    byBody: true,
    answer: changed(() => ({ framing: "chunked" })),
    toxic: { end: -missing, closes: 0 },
  }]),
  ["duplicate headers", "delayed", {
    answer: withHeaders(({ headers, body: { length } }) => [
      ...headers,
      ["content-length", `${length}`],
      ["content-length", `${length}`],
    ]),
  }],
  ["no HTTP", "connection lost", {
    headOnly: true,
    answer: () => ({
      ...answer(200, "", "220 mail.example ESMTP\r\n"),
      framing: "none",
    }),
    toxic: { closes: 0 },
  }],
];

export const FAULTS = ROWS.map(
  ([name, event, how]): KnownFault => ({ name, event, ...how }),
);

export function faultNamed(name: string): KnownFault {
  const fault = FAULTS.find((fault) => fault.name === name);
  if (fault === undefined) throw new Error(`Cannot find the fault ${name}`);
  return fault;
}
