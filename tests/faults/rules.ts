/**
 * What is expected of the client, as rules: what each event is to it, and what
 * a method does about it. The outcome of every cell of the matrix follows.
 */

import type { KnownFault } from "./faults.ts";
import { LOGIN, type Operation, type Request } from "./operations.ts";

/** What a fault amounts to. */
export type Event = keyof typeof EVENTS;

/** What an event is to the client. */
export interface Meaning {
  /** The class of the error; the answer is good unless there is one. */
  readonly error?: string;
  /** The HTTP status that the error tells. */
  readonly code?: number;
  /** Whether another attempt may get past it. */
  readonly passing?: boolean;
  /** Whether waiting for an execution goes on after it. */
  readonly survived?: boolean;
  /** Whether a change may have been made all the same. */
  readonly unknown?: boolean;
}

const api = (code: number, more: Omit<Meaning, "code" | "error"> = {}) => ({
  error: "DecapodAPIError",
  code,
  ...more,
});

export const EVENTS = {
  late: {},
  silence: { error: "DecapodTimeoutError", survived: true, unknown: true },
  broken: {
    error: "DecapodConnectionError",
    passing: true,
    survived: true,
    unknown: true,
  },
  unfit: { error: "DecapodResponseError", survived: true, unknown: true },
  refused: api(401),
  forbidden: api(403),
  missing: api(404),
  busy: api(429, { passing: true, survived: true }),
  /** To be tried again later than the deadline. */
  booked: api(429, { survived: true }),
  failing: api(500, { survived: true, unknown: true }),
  badGateway: api(502, { passing: true, survived: true, unknown: true }),
  away: api(503, { passing: true, survived: true, unknown: true }),
  /** The same, for longer than the deadline. */
  closed: api(503, { survived: true, unknown: true }),
  gatewayTimeout: api(504, { passing: true, survived: true, unknown: true }),
} satisfies Record<string, Meaning>;

/** When a fault strikes. */
export const POSITIONS = [
  "first attempt",
  "later attempt",
  "every attempt",
  "during login",
  "in the body",
] as const;

/** One of these. */
export type Position = typeof POSITIONS[number];

/** How a call should end. */
export interface Expected {
  /** The class of its error; a result unless there is one. */
  error?: string;
  /** The status that its error tells. */
  code?: number;
  /** What its error says of the outcome. */
  unknown: boolean;
  /** How many attempts at requests other than logins; undefined: any number. */
  attempts: number | undefined;
  /** How many attempts to log in. */
  logins: number | undefined;
}

/** How often the client tries again what only reads, and logins. */
const RETRIES = 2;

/** How often the matrix lets a fault strike that never ends. */
export const ALWAYS = Number.MAX_SAFE_INTEGER;

/** Which requests are struck: this many, after so many that are not. */
export interface Strikes {
  readonly skip: number;
  readonly count: number;
}

/** What is done before the fault, so that it meets a later attempt. */
export type Prelude = "none" | "503" | "revoked";

/** How a cell is set up; undefined if there is no such cell. */
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
  if (first.repeatable) return { strikes, prelude: "503" };
  // What changes something is sent again only after a refusal.
  return first.login
    ? undefined
    : first.session
    ? { strikes, prelude: "revoked" }
    : undefined;
}

/** Derives how a cell should end. */
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

/** What a call failed with. */
interface Failure extends Meaning {
  readonly error: string;
  readonly unknown: boolean;
}

/** One run of a method, as the rules have it. */
class Course {
  attempts = 0;
  logins = 0;
  /** Whether it would never end by itself. */
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
    // A waiting method begins anew as long as the fault may pass.
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

  /** One request of the method, with its attempts. */
  #call(request: Request): Failure | undefined {
    const { repeatable, changes, session, login } = request;
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
      if (event === "refused") {
        if (operationEndsSession(this.#operation)) return undefined;
        if (session && !renewed) {
          renewed = true;
          this.#session = false;
          continue;
        }
      }
      const again = repeatable && !this.#begun(request, event);
      if (meaning.passing && again && ++failures <= RETRIES) continue;
      const unknown = meaning.unknown === true && changes && !login;
      return { ...meaning, error: meaning.error, unknown };
    }
  }

  /** The client logs in by itself. */
  #login(): Failure | undefined {
    const struck = this.#position === "during login" ? 1 : 0;
    for (let attempt = 1; attempt <= 1 + RETRIES; attempt++) {
      // Only the first login ever is struck.
      const hit = ++this.logins <= struck;
      const event = hit ? this.#eventOf(LOGIN) : "late";
      const meaning: Meaning = EVENTS[event];
      if (meaning.error === undefined) return undefined;
      if (!meaning.passing) {
        return { ...meaning, error: meaning.error, unknown: false };
      }
    }
    throw new Error("Cannot happen: one strike ends no login by itself");
  }

  /** What one attempt meets. */
  #attempt(request: Request): Event {
    const number = ++this.attempts;
    if (number === 1 && this.#prelude === "503") return "away";
    if (number === 1 && this.#prelude === "revoked") return "refused";
    if (this.#position === "during login") return "late";
    const { skip, count } = this.#strikes;
    if (number <= skip || number > skip + count) return "late";
    return this.#eventOf(request);
  }

  #eventOf({ answer: kind, checked }: Request): Event {
    const { event, byHead } = this.#fault;
    const whole = typeof event === "string"
      ? event
      : checked && event.checked || event[kind];
    if (this.#position !== "in the body") return whole;
    const { toxic } = this.#fault;
    const stands = toxic !== undefined || byHead === "any" ||
      byHead === kind;
    return stands ? whole : "broken";
  }

  /** Whether some of a stream has been given already. */
  #begun({ streamed }: Request, event: Event): boolean {
    if (!streamed || event !== "broken") return false;
    const { byHead, byBody } = this.#fault;
    return byBody === true ||
      this.#position === "in the body" && byHead === undefined;
  }
}

/** Whether a refusal is what it wanted: the token is dead. */
function operationEndsSession({ name }: Operation): boolean {
  return name === "logout";
}
