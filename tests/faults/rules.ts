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

const api = (code: number, more: Omit<Meaning, "code" | "error"> = {}) => ({
  error: "DecapodAPIError",
  code,
  ...more,
});

/** Waiting continues, and a change may have been applied. */
const LOST = { survived: true, unknown: true };

export const EVENTS = {
  "delayed": {},
  "no response": { error: "DecapodTimeoutError", ...LOST },
  "connection lost": {
    error: "DecapodConnectionError",
    passing: true,
    ...LOST,
  },
  "not connected": {
    error: "DecapodConnectionError",
    passing: true,
    survived: true,
  },
  "unexpected response": { error: "DecapodResponseError", ...LOST },
  "HTTP 401": api(401),
  "HTTP 403": api(403),
  "HTTP 404": api(404),
  "HTTP 429": api(429, { passing: true, survived: true }),
  /** Retry-After is beyond the deadline. */
  "HTTP 429 with long Retry-After": api(429, { survived: true }),
  "HTTP 500": api(500, LOST),
  "HTTP 502": api(502, { passing: true, ...LOST }),
  "HTTP 503": api(503, { passing: true, ...LOST }),
  /** Retry-After is beyond the deadline. */
  "HTTP 503 with long Retry-After": api(503, LOST),
  "HTTP 504": api(504, { passing: true, ...LOST }),
} satisfies Record<string, Meaning>;

/** When a fault is injected. */
export const POSITIONS = [
  "first attempt",
  "later attempt",
  "every attempt",
  "during login",
  "in the body",
] as const;

/** One of these. */
export type Position = typeof POSITIONS[number];

/** The expected end of a call. */
export interface Expected {
  /** The class of its error; undefined: it returns a result. */
  error?: string;
  /** The status of its error. */
  code?: number;
  /** Its error's `outcomeUnknown`. */
  unknown: boolean;
  /** Number of attempts other than logins; undefined: any number. */
  attempts: number | undefined;
  /** Number of login attempts. */
  logins: number | undefined;
}

/** Default retries of reads and logins. */
const RETRIES = 2;

/** The count of a fault that hits every request. */
export const ALWAYS = Number.MAX_SAFE_INTEGER;

/** Which requests a fault hits, and what precedes it. */
export interface Setup {
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
  if (position === "every attempt") return { skip: 0, count: ALWAYS };
  if (position !== "later attempt") return { skip: 0, count: 1 };
  const later = { skip: 1, count: 1 };
  if (second !== undefined) return later;
  if (first?.retried) return { ...later, prelude: "503" };
  // A change is resent only after a 401.
  return first?.session && !first.login
    ? { ...later, prelude: "revoked" }
    : undefined;
}

/** Predicts the outcome of a cell. */
export function predict(
  operation: Operation,
  fault: KnownFault,
  position: Position,
): Expected | undefined {
  const setup = setUp(operation, fault, position);
  if (setup === undefined) return undefined;
  const course = new Course(operation, fault, position, setup);
  const failure = course.run();
  const { endless, attempts, logins } = course;
  return {
    ...failure,
    unknown: failure?.unknown ?? false,
    attempts: endless ? undefined : attempts,
    logins: endless ? undefined : logins,
  };
}

/** How a call failed. */
interface Failure extends Meaning {
  readonly error: string;
  readonly unknown: boolean;
}

/** Simulates one run of a method by the rules. */
class Course {
  attempts = 0;
  logins = 0;
  /** Whether only its own timeout ends it. */
  endless = false;
  #session: boolean;

  constructor(
    readonly operation: Operation,
    readonly fault: KnownFault,
    readonly position: Position,
    readonly setup: Setup,
  ) {
    this.#session = position !== "during login";
  }

  run(): Failure | undefined {
    const { requests, waits } = this.operation;
    // A waiting method starts over while the fault is transient.
    for (let round = 1; round <= 10; round++) {
      let failure: Failure | undefined;
      for (const request of requests) failure ??= this.#call(request);
      if (!waits || !failure?.survived) return failure;
    }
    this.endless = true;
    return { error: "DecapodWaitTimeoutError", unknown: false };
  }

  /** Makes one request of the method, with its retries. */
  #call(request: Request): Failure | undefined {
    const { retried, changes, session, login } = request;
    let failures = 0;
    for (let renewed = false;;) {
      if (session && !this.#session) {
        const failure = this.#login();
        if (failure) return failure;
        this.#session = true;
      }
      const event = this.#attempt(request);
      const meaning: Meaning = EVENTS[event];
      if (event === "HTTP 401") {
        // The token is already invalid.
        if (this.operation.name === "logout") return undefined;
        if (session && !renewed) {
          renewed = true;
          this.#session = false;
          continue;
        }
      }
      const again = meaning.passing && retried && !this.#begun(request, event);
      if (again && ++failures <= RETRIES) continue;
      return failed(meaning, changes && !login);
    }
  }

  /** Logs in as the client does by itself; only the first attempt is hit. */
  #login(): Failure | undefined {
    const isHit = ++this.logins === 1 && this.position === "during login";
    const meaning: Meaning = EVENTS[isHit ? this.#eventOf(LOGIN) : "delayed"];
    return meaning.passing ? this.#login() : failed(meaning, false);
  }

  /** The event that one attempt meets. */
  #attempt(request: Request): Event {
    const number = ++this.attempts;
    const { skip, count, prelude } = this.setup;
    if (number === 1 && prelude === "503") return "HTTP 503";
    if (number === 1 && prelude === "revoked") return "HTTP 401";
    const isHit = this.position !== "during login" && number > skip &&
      number <= skip + count;
    return isHit ? this.#eventOf(request) : "delayed";
  }

  #eventOf({ response: kind, checked }: Request): Event {
    const { event, byHead, toxic } = this.fault;
    const whole = typeof event === "string"
      ? event
      : checked && event.checked || event[kind];
    const stands = this.position !== "in the body" || toxic !== undefined ||
      byHead === "any" || byHead === kind;
    return stands ? whole : "connection lost";
  }

  /** Whether a part of a stream was already yielded. */
  #begun({ streamed }: Request, event: Event): boolean {
    if (!streamed || event !== "connection lost") return false;
    const { byHead, byBody } = this.fault;
    return byBody === true ||
      this.position === "in the body" && byHead === undefined;
  }
}

/** The failure that an event means, if any. */
function failed(
  { error, unknown = false, ...meaning }: Meaning,
  isChange: boolean,
): Failure | undefined {
  return error === undefined
    ? undefined
    : { ...meaning, error, unknown: unknown && isChange };
}
