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

export const EVENTS = {
  "delayed": {},
  "no response": {
    error: "DecapodTimeoutError",
    survived: true,
    unknown: true,
  },
  "connection lost": {
    error: "DecapodConnectionError",
    passing: true,
    survived: true,
    unknown: true,
  },
  "not connected": {
    error: "DecapodConnectionError",
    passing: true,
    survived: true,
  },
  "unexpected response": {
    error: "DecapodResponseError",
    survived: true,
    unknown: true,
  },
  "HTTP 401": api(401),
  "HTTP 403": api(403),
  "HTTP 404": api(404),
  "HTTP 429": api(429, { passing: true, survived: true }),
  /** Retry-After is beyond the deadline. */
  "HTTP 429 with long Retry-After": api(429, { survived: true }),
  "HTTP 500": api(500, { survived: true, unknown: true }),
  "HTTP 502": api(502, { passing: true, survived: true, unknown: true }),
  "HTTP 503": api(503, { passing: true, survived: true, unknown: true }),
  /** Retry-After is beyond the deadline. */
  "HTTP 503 with long Retry-After": api(503, { survived: true, unknown: true }),
  "HTTP 504": api(504, { passing: true, survived: true, unknown: true }),
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

/** Which requests a fault hits: `count` of them, after `skip` others. */
export interface Strikes {
  readonly skip: number;
  readonly count: number;
}

/** What precedes the fault, so that it hits a later attempt. */
export type Prelude = "none" | "503" | "revoked";

/** The setup of a cell; undefined if there is no such cell. */
export function setUp(
  operation: Operation,
  fault: KnownFault,
  position: Position,
): { strikes: Strikes; prelude: Prelude } | undefined {
  const [first, second] = operation.requests;
  if (position === "in the body" && fault.headOnly) return undefined;
  if (position === "during login" && !first?.session) return undefined;
  if (position === "every attempt") {
    return { strikes: { skip: 0, count: ALWAYS }, prelude: "none" };
  }
  if (position !== "later attempt") {
    return { strikes: { skip: 0, count: 1 }, prelude: "none" };
  }
  const strikes = { skip: 1, count: 1 };
  if (second !== undefined) return { strikes, prelude: "none" };
  if (first === undefined) return undefined;
  if (first.retried) return { strikes, prelude: "503" };
  // A change is resent only after a 401.
  return first.login
    ? undefined
    : first.session
    ? { strikes, prelude: "revoked" }
    : undefined;
}

/** Predicts the outcome of a cell. */
export function predict(
  operation: Operation,
  fault: KnownFault,
  position: Position,
): Expected | undefined {
  const cell = setUp(operation, fault, position);
  if (cell === undefined) return undefined;
  const course = new Course(operation, fault, position, cell);
  const failure = course.run();
  const endless = course.endless;
  return {
    ...failure,
    unknown: failure?.unknown ?? false,
    attempts: endless ? undefined : course.attempts,
    logins: endless ? undefined : course.logins,
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
  readonly #operation: Operation;
  readonly #fault: KnownFault;
  readonly #position: Position;
  readonly #strikes: Strikes;
  readonly #prelude: Prelude;
  #session: boolean;

  constructor(
    operation: Operation,
    fault: KnownFault,
    position: Position,
    { strikes, prelude }: { strikes: Strikes; prelude: Prelude },
  ) {
    this.#operation = operation;
    this.#fault = fault;
    this.#position = position;
    this.#strikes = strikes;
    this.#prelude = prelude;
    this.#session = position !== "during login";
  }

  run(): Failure | undefined {
    const { requests, waits } = this.#operation;
    // A waiting method starts over while the fault is transient.
    for (let round = 1;; round++) {
      let failure: Failure | undefined;
      for (const request of requests) {
        failure = this.#call(request);
        if (failure) break;
      }
      if (!waits || !failure?.survived) return failure;
      if (round > 10) {
        this.endless = true;
        return { error: "DecapodWaitTimeoutError", unknown: false };
      }
    }
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
      if (meaning.error === undefined) return undefined;
      if (event === "HTTP 401") {
        if (operationEndsSession(this.#operation)) return undefined;
        if (session && !renewed) {
          renewed = true;
          this.#session = false;
          continue;
        }
      }
      const again = retried && !this.#begun(request, event);
      if (meaning.passing && again && ++failures <= RETRIES) continue;
      const unknown = meaning.unknown === true && changes && !login;
      return { ...meaning, error: meaning.error, unknown };
    }
  }

  /** Logs in as the client does by itself. */
  #login(): Failure | undefined {
    const struck = this.#position === "during login" ? 1 : 0;
    for (let attempt = 1; attempt <= 1 + RETRIES; attempt++) {
      // Only the first login is hit.
      const hit = ++this.logins <= struck;
      const event = hit ? this.#eventOf(LOGIN) : "delayed";
      const meaning: Meaning = EVENTS[event];
      if (meaning.error === undefined) return undefined;
      if (!meaning.passing) {
        return { ...meaning, error: meaning.error, unknown: false };
      }
    }
    throw new Error("Unreachable: a login survives one failure");
  }

  /** The event that one attempt meets. */
  #attempt(request: Request): Event {
    const number = ++this.attempts;
    if (number === 1 && this.#prelude === "503") return "HTTP 503";
    if (number === 1 && this.#prelude === "revoked") return "HTTP 401";
    if (this.#position === "during login") return "delayed";
    const { skip, count } = this.#strikes;
    if (number <= skip || number > skip + count) return "delayed";
    return this.#eventOf(request);
  }

  #eventOf({ response: kind, checked }: Request): Event {
    const { event, byHead } = this.#fault;
    const whole = typeof event === "string"
      ? event
      : checked && event.checked || event[kind];
    if (this.#position !== "in the body") return whole;
    const { toxic } = this.#fault;
    const stands = toxic !== undefined || byHead === "any" ||
      byHead === kind;
    return stands ? whole : "connection lost";
  }

  /** Whether a part of a stream was already yielded. */
  #begun({ streamed }: Request, event: Event): boolean {
    if (!streamed || event !== "connection lost") return false;
    const { byHead, byBody } = this.#fault;
    return byBody === true ||
      this.#position === "in the body" && byHead === undefined;
  }
}

/** Whether a 401 is a success: the token is already invalid. */
function operationEndsSession({ name }: Operation): boolean {
  return name === "logout";
}
