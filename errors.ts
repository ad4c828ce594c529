/**
 * What can go wrong on the way to Decapod and back. Everything that happens
 * there is a {@linkcode DecapodError}; misuse of the library is a `TypeError`
 * or a `RangeError`, thrown before anything is sent.
 *
 * Each message says which request it was, what happened and what to do, on one
 * line. No password and no token is in any of them.
 *
 * @example
 * ```ts
 * import { Client, DecapodAPIError } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * try {
 *   await client.getUser("11111111-1111-4111-8111-111111111111");
 * } catch (error) {
 *   if (!(error instanceof DecapodAPIError)) throw error;
 *   assertEquals(error.code, 404);
 *   assertEquals(error.error, "NotFound");
 * }
 * ```
 *
 * @module
 */

import type { Execution, ExecutionStep } from "./models.ts";

/** What a {@linkcode DecapodError} is made of, besides its message. */
export interface DecapodErrorOptions {
  /** What brought it about. */
  cause?: unknown;
  /** The HTTP method of the request. */
  method?: string;
  /** The URL of the request, without secrets. */
  url?: string;
  /** Whether the request may have taken effect; false unless said. */
  outcomeUnknown?: boolean;
}

/**
 * Something went wrong on the way to Decapod or back. The base of all errors
 * of this library.
 *
 * @example
 * ```ts
 * import { DecapodError } from "@decapod/decapodlib";
 * import { assertEquals, assertStrictEquals } from "@std/assert";
 *
 * const cause = new Error("Connection refused");
 * const error = new DecapodError("Cannot reach Decapod", { cause });
 * assertEquals(String(error), "DecapodError: Cannot reach Decapod");
 * assertStrictEquals(error.exception, cause);
 * ```
 */
export class DecapodError extends Error {
  /** The name of the class. */
  override readonly name: string = "DecapodError";
  /** The HTTP method of the request, if there was one. */
  declare readonly method?: string;
  /** The URL of the request, without secrets, if there was one. */
  declare readonly url?: string;
  /**
   * Whether a POST, PUT or DELETE may have taken effect although this error
   * came instead of an answer. Look before you send it again.
   */
  declare readonly outcomeUnknown: boolean;

  /**
   * Makes an error.
   *
   * @param message What happened, to what, and what to do.
   * @param options The cause and the request.
   */
  constructor(
    message: string,
    { cause, ...fields }: DecapodErrorOptions = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    Object.assign(this, { outcomeUnknown: false, ...fields });
  }

  /** What brought it about: the same as `cause`. */
  get exception(): unknown {
    return this.cause;
  }

  /**
   * The error as a plain object, for a log that writes JSON.
   *
   * @returns Name, message and the fields of the class; not the cause.
   *
   * @example
   * ```ts
   * import { DecapodError } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * const error = new DecapodError("Cannot reach Decapod", { method: "GET" });
   * assertEquals(error.toJSON(), {
   *   name: "DecapodError",
   *   message: "Cannot reach Decapod",
   *   method: "GET",
   *   outcomeUnknown: false,
   * });
   * ```
   */
  toJSON(): Record<string, unknown> {
    return {
      message: this.message,
      ...Object.fromEntries(Object.entries(this)),
    };
  }
}

/** What a {@linkcode DecapodAPIError} is made of, besides its message. */
export interface DecapodAPIErrorOptions extends DecapodErrorOptions {
  /** The HTTP status. */
  code: number;
  /** The server's name for the error. */
  error: string;
  /** The server's explanation. */
  description: string;
  /** How long the server asks to wait before another attempt, in ms. */
  retryAfter?: number;
}

/** An error as the server puts it. */
export interface APIErrorBody {
  /** The HTTP status. */
  code: number;
  /** The server's name for the error. */
  error: string;
  /** The server's explanation. */
  description: string;
}

/**
 * The server, or a proxy in front of it, answered with an error status.
 *
 * @example
 * ```ts
 * import { Client, DecapodAPIError } from "@decapod/decapodlib";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * await using client = Client.fromEnv();
 * const error = await assertRejects(
 *   () => client.createCluster("not a name"),
 *   DecapodAPIError,
 * );
 * assertEquals(error.code, 400);
 * assertEquals(error.json.error, "InvalidJSONError");
 * ```
 */
export class DecapodAPIError extends DecapodError {
  /** The name of the class. */
  override readonly name: string = "DecapodAPIError";
  /** The HTTP status. */
  declare readonly code: number;
  /**
   * The server's name for the error, such as `NotFound`; for an answer that
   * is not Decapod's own, the status as text.
   */
  declare readonly error: string;
  /** The server's explanation; empty if there is none. */
  declare readonly description: string;
  /** How long the server asks to wait before another attempt, in ms. */
  declare readonly retryAfter?: number;

  /**
   * Makes an error.
   *
   * @param message What happened, to what, and what to do.
   * @param options What the server said.
   */
  constructor(message: string, options: DecapodAPIErrorOptions) {
    super(message, options);
  }

  /** The error as the server put it: code, error and description. */
  get json(): APIErrorBody {
    const { code, error, description } = this;
    return { code, error, description };
  }
}

/**
 * No answer came, or it broke off: the server is down, unknown or
 * unreachable, the connection was reset, TLS failed. `cause` says more.
 *
 * @example
 * ```ts
 * import { Client, DecapodConnectionError } from "@decapod/decapodlib";
 * import { assertRejects } from "@std/assert";
 *
 * const client = new Client("http://127.0.0.1:1", {
 *   login: "root",
 *   password: "secret",
 *   retries: 0,
 * });
 * await assertRejects(() => client.getInfo(), DecapodConnectionError);
 * ```
 */
export class DecapodConnectionError extends DecapodError {
  /** The name of the class. */
  override readonly name: string = "DecapodConnectionError";
}

/**
 * The answer did not come, or did not end, within the timeout.
 *
 * @example
 * ```ts
 * import { Client, DecapodTimeoutError } from "@decapod/decapodlib";
 * import { assertRejects } from "@std/assert";
 *
 * const client = new Client("http://127.0.0.1:1", {
 *   login: "root",
 *   password: "secret",
 *   timeout: 20,
 *   fetch: () => new Promise(() => {}), // a server that never answers
 * });
 * await assertRejects(() => client.getInfo(), DecapodTimeoutError);
 * ```
 */
export class DecapodTimeoutError extends DecapodError {
  /** The name of the class. */
  override readonly name: string = "DecapodTimeoutError";
}

/**
 * An answer came, but not one that Decapod gives: HTML, no JSON, a redirect.
 * As a rule the URL is that of something else.
 *
 * @example
 * ```ts
 * import { Client, DecapodResponseError } from "@decapod/decapodlib";
 * import { assertRejects } from "@std/assert";
 *
 * const client = new Client("http://www.example.com", {
 *   login: "root",
 *   password: "secret",
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("<h1>Hello</h1>", {
 *         headers: { "content-type": "text/html" },
 *       }),
 *     ),
 * });
 * await assertRejects(
 *   () => client.getInfo(),
 *   DecapodResponseError,
 *   "text/html",
 * );
 * ```
 */
export class DecapodResponseError extends DecapodError {
  /** The name of the class. */
  override readonly name: string = "DecapodResponseError";
}

/** What a {@linkcode DecapodExecutionError} is made of. */
export interface DecapodExecutionErrorOptions extends DecapodErrorOptions {
  /** The execution as it ended. */
  execution: Execution;
  /** Its steps that failed. */
  failedSteps: ExecutionStep[];
}

/**
 * An execution ended otherwise than it was waited for.
 *
 * @example
 * ```ts
 * import { DecapodExecutionError } from "@decapod/decapodlib";
 * import type { Execution } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * function report(error: DecapodExecutionError): string {
 *   const { execution, failedSteps } = error;
 *   return `${execution.data.state}, ${failedSteps.length} steps failed`;
 * }
 *
 * const execution: Execution = {
 *   id: "231c54ee-384b-4fce-8ad4-7e029c7d13cb",
 *   model: "execution",
 *   version: 3,
 *   initiator_id: null,
 *   time_updated: 1479300415,
 *   time_deleted: 0,
 *   data: {
 *     state: "failed",
 *     playbook_configuration: {
 *       id: "9a962393-a1bd-4a96-a9dc-fc151327eea7",
 *       version: 1,
 *       playbook_name: "cluster_deploy",
 *     },
 *   },
 * };
 * const error = new DecapodExecutionError("Execution failed", {
 *   execution,
 *   failedSteps: [],
 * });
 * assertEquals(report(error), "failed, 0 steps failed");
 * ```
 */
export class DecapodExecutionError extends DecapodError {
  /** The name of the class. */
  override readonly name: string = "DecapodExecutionError";
  /** The execution as it ended. */
  declare readonly execution: Execution;
  /** Its steps that ended in an error or did not reach their server. */
  declare readonly failedSteps: ExecutionStep[];

  /**
   * Makes an error.
   *
   * @param message What happened, to what, and what to do.
   * @param options The execution and its failed steps.
   */
  constructor(message: string, options: DecapodExecutionErrorOptions) {
    super(message, options);
  }
}

/** What a {@linkcode DecapodWaitTimeoutError} is made of. */
export interface DecapodWaitTimeoutErrorOptions extends DecapodErrorOptions {
  /** The execution when it was last seen. */
  execution?: Execution;
  /** How often it was seen in which state. */
  states: Record<string, number>;
}

/**
 * An execution did not end within the time that was given to wait for it. It
 * goes on running.
 *
 * @example
 * ```ts
 * import { Client, DecapodWaitTimeoutError } from "@decapod/decapodlib";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const client = new Client("http://decapod.example.com", {
 *   login: "root",
 *   password: "secret",
 *   fetch: () => Promise.reject(new Error("Network is unreachable")),
 * });
 * const error = await assertRejects(
 *   () => client.waitForExecution("231c54ee", { timeout: 50 }),
 *   DecapodWaitTimeoutError,
 * );
 * assertEquals(error.execution, undefined); // it was never seen
 * assertEquals(error.states, {});
 * ```
 */
export class DecapodWaitTimeoutError extends DecapodTimeoutError {
  /** The name of the class. */
  override readonly name: string = "DecapodWaitTimeoutError";
  /** The execution when it was last seen; undefined if it never was. */
  declare readonly execution?: Execution;
  /** How often it was seen in which state. */
  declare readonly states: Record<string, number>;

  /**
   * Makes an error.
   *
   * @param message What happened, to what, and what to do.
   * @param options What was seen.
   */
  constructor(message: string, options: DecapodWaitTimeoutErrorOptions) {
    super(message, options);
  }
}
