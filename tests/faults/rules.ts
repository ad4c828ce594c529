/**
 * The expected behaviour as rules: how the client handles each event. They
 * predict the outcome of every cell of the matrix.
 */

import type { KnownFault } from "./faults.ts";
import { LOGIN, type Operation, type Request } from "../operations.ts";

/** What a fault is to the client. */
export type Event = keyof typeof EVENTS;

/** How the client handles an event. */
export interface Meaning {
  /** The class of the error; undefined: the call succeeds. */
  readonly error?: string;
  /** The error's HTTP status. */
  readonly code?: number;
  /** Whether the client retries after it. */
  readonly passing?: boolean;
  /** Whether waiting for an execution continues after it. */
  readonly survived?: boolean;
  /** Whether a change may have been applied. */
  readonly unknown?: boolean;
}

const API = { error: "DecapodAPIError" };
const CONNECTION = { error: "DecapodConnectionError", passing: true };

/** Waiting continues, and a change may have been applied. */
const LOST = { survived: true, unknown: true };

export const EVENTS = {
  "delayed": {},
  "no response": { error: "DecapodTimeoutError", ...LOST },
  "connection lost": { ...CONNECTION, ...LOST },
  "not connected": { ...CONNECTION, survived: true },
  "unexpected response": { error: "DecapodResponseError", ...LOST },
  "HTTP 401": { ...API, code: 401 },
  "HTTP 403": { ...API, code: 403 },
  "HTTP 404": { ...API, code: 404 },
  "HTTP 429": { ...API, code: 429, passing: true, survived: true },
  // Long: beyond the deadline.
  "HTTP 429 with long Retry-After": { ...API, code: 429, survived: true },
  "HTTP 500": { ...API, code: 500, ...LOST },
  "HTTP 502": { ...API, code: 502, passing: true, ...LOST },
  "HTTP 503": { ...API, code: 503, passing: true, ...LOST },
  "HTTP 503 with long Retry-After": { ...API, code: 503, ...LOST },
  "HTTP 504": { ...API, code: 504, passing: true, ...LOST },
} satisfies Record<string, Meaning>;

/** When a fault is injected. */
export const POSITIONS = [
  "first attempt",
  "later attempt",
  "every attempt",
  "during login",
  "in the body",
] as const;

export type Position = typeof POSITIONS[number];

/** The expected end of a call. */
interface Expected extends Meaning {
  /** How many attempts there are besides logins. Not checked by default. */
  readonly attempts?: number;
  /** How many logins there are. Not checked by default. */
  readonly logins?: number;
}

/** Default retries of reads and logins. */
const RETRIES = 2;

/** Which requests a fault hits, and what precedes it. */
interface Setup {
  /** How many requests it does not hit first. */
  readonly skip: number;
  /** How many it hits then. */
  readonly count: number;
  /** What happens to the first attempt, so that a later one is hit. */
  readonly prelude?: "503" | "revoked";
}

/** The setup of a cell; undefined if there is no such cell. */
export function setUp(
  { requests: [first, second] }: Operation,
  fault: KnownFault,
  position: Position,
): Setup | undefined {
  if (position === "in the body" && fault.headOnly) return undefined;
  if (position === "during login" && !first?.session) return undefined;
  if (position === "every attempt") return { skip: 0, count: Infinity };
  if (position !== "later attempt") return { skip: 0, count: 1 };
  const later = { skip: 1, count: 1 };
  if (second !== undefined) return later;
  if (first?.retried) return { ...later, prelude: "503" };
  // A change is resent only after a 401.
  return first?.session && !first.login
    ? { ...later, prelude: "revoked" }
    : undefined;
}

/** Predicts the outcome of a cell: simulates the call by the rules. */
export function predict(
  operation: Operation,
  fault: KnownFault,
  position: Position,
  setup: Setup,
): Expected {
  let attempts = 0;
  let logins = 0;
  let hasSession = position !== "during login";

  const eventOf = ({ response: kind, checked }: Request): Event => {
    const { event, byHead, toxic } = fault;
    const whole = typeof event === "string"
      ? event
      : checked && event.checked || event[kind];
    const stands = position !== "in the body" || toxic !== undefined ||
      byHead === "any" || byHead === kind;
    return stands ? whole : "connection lost";
  };

  /** The event that the next attempt meets. */
  const attempt = (request: Request): Event => {
    const { skip, count, prelude } = setup;
    if (++attempts === 1 && prelude === "503") return "HTTP 503";
    if (attempts === 1 && prelude === "revoked") return "HTTP 401";
    const isHit = position !== "during login" && attempts > skip &&
      attempts <= skip + count;
    return isHit ? eventOf(request) : "delayed";
  };

  /** Whether a part of a stream was already yielded. */
  const hasBegun = ({ streamed }: Request, event: Event): boolean =>
    streamed && event === "connection lost" &&
    (fault.byBody === true ||
      position === "in the body" && fault.byHead === undefined);

  /** Logs in as the client does by itself; only the first attempt is hit. */
  const logIn = (): Meaning => {
    const isHit = ++logins === 1 && position === "during login";
    const meaning: Meaning = EVENTS[isHit ? eventOf(LOGIN) : "delayed"];
    return meaning.passing ? logIn() : { ...meaning, unknown: false };
  };

  /** Makes one request of the method, with its retries. */
  const call = (request: Request): Meaning => {
    const { retried, changes, session, login } = request;
    let failures = 0;
    for (let isRenewed = false;;) {
      if (session && !hasSession) {
        const meaning = logIn();
        if (meaning.error) return meaning;
        hasSession = true;
      }
      const event = attempt(request);
      const meaning: Meaning = EVENTS[event];
      if (event === "HTTP 401") {
        // The token is already invalid.
        if (operation.name === "logout") return {};
        if (session && !isRenewed) {
          isRenewed = true;
          hasSession = false;
          continue;
        }
      }
      const again = meaning.passing && retried && !hasBegun(request, event);
      if (again && ++failures <= RETRIES) continue;
      return { ...meaning, unknown: meaning.unknown && changes && !login };
    }
  };

  // A waiting method starts over while the fault is transient.
  for (let round = 1; round <= 10; round++) {
    let end: Meaning = {};
    for (const request of operation.requests) {
      if (!end.error) end = call(request);
    }
    if (!operation.waits || !end.survived) return { ...end, attempts, logins };
  }
  return { error: "DecapodWaitTimeoutError" }; // only its own timeout ends it
}
