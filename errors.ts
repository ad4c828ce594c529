/**
 * Errors. A failed request throws a {@linkcode DecapodError}; an invalid
 * argument throws a `TypeError` or `RangeError`, and nothing is changed.
 *
 * A message is one line of at most 500 characters that says what happened to
 * which request and what to do. It contains no passwords and no tokens.
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
 *   assertEquals([error.code, error.error], [404, "NotFound"]);
 * }
 * ```
 *
 * @module
 */

import type { Execution, ExecutionStep } from "./models.ts";

/**
 * The properties of a {@linkcode DecapodError} besides its message.
 *
 * @category Errors
 */
export interface DecapodErrorOptions {
  /** The error that caused this one. */
  cause?: unknown;
  /** The HTTP method of the request. */
  method?: string | undefined;
  /** The URL of the request without secrets. */
  url?: string | undefined;
  /**
   * Whether the change may have been applied.
   *
   * @default {false}
   */
  outcomeUnknown?: boolean | undefined;
}

/**
 * The base class of all errors except those for invalid arguments.
 *
 * Errors that were sent through `postMessage` or cloned lose their class and
 * fields: send {@linkcode DecapodError.toJSON}. If two copies of this package
 * may be loaded, compare `name` instead of using `instanceof`.
 *
 * @category Errors
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
  /** The URL of the request without secrets, if there was one. */
  declare readonly url?: string;
  /**
   * Whether a POST, PUT or DELETE may have been applied although no response
   * confirmed it. Check before retrying.
   */
  declare readonly outcomeUnknown: boolean;

  /**
   * Creates an error.
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

  /** The error that caused this one, like `cause`. */
  get exception(): unknown {
    return this.cause;
  }

  /**
   * The error as a plain object, for logs in JSON.
   *
   * @returns The name, the message and the fields of the class, not the cause.
   */
  toJSON(): Record<string, unknown> {
    return {
      message: this.message,
      ...Object.fromEntries(Object.entries(this)),
    };
  }
}

/**
 * The properties of a {@linkcode DecapodAPIError} besides its message.
 *
 * @category Errors
 */
export interface DecapodAPIErrorOptions extends DecapodErrorOptions {
  /** The HTTP status. */
  code: number;
  /** The server's name for the error. */
  error: string;
  /** The server's explanation. */
  description: string;
  /** Milliseconds that the server asks to wait, at most 30,000. */
  retryAfter?: number | undefined;
}

/**
 * An error as the server describes it.
 *
 * @category Errors
 */
export interface APIErrorBody {
  /** The HTTP status. */
  code: number;
  /** The server's name for the error. */
  error: string;
  /** The server's explanation. */
  message: string;
  /** The same explanation under the name of Python's decapodlib. */
  description: string;
}

/**
 * The server, or a proxy in front of it, responded with an error status.
 *
 * @category Errors
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
   * The server's name for the error, such as `NotFound`; for any other response
   * the status text, or the status if there is none.
   */
  declare readonly error: string;
  /** The server's explanation; empty if there is none. */
  declare readonly description: string;
  /** Milliseconds that the server asks to wait, at most 30,000. */
  declare readonly retryAfter?: number;

  /**
   * Creates an error.
   *
   * @param message What happened, to what, and what to do.
   * @param options What the server responded.
   */
  constructor(message: string, options: DecapodAPIErrorOptions) {
    super(message, options);
  }

  /** The error as the server describes it. */
  get json(): APIErrorBody {
    const { code, error, description } = this;
    return { code, error, message: description, description };
  }
}

/**
 * No response arrived, or not all of it: the server is down or unreachable,
 * the connection was lost, or TLS failed. `cause` is a copy of the runtime's
 * own error.
 *
 * @category Errors
 * @example
 * ```ts
 * import { Client, DecapodConnectionError } from "@decapod/decapodlib";
 * import { assertRejects } from "@std/assert";
 *
 * const credentials = { login: "root", password: "secret" };
 * const client = new Client("http://127.0.0.1:1", { ...credentials, retries: 0 });
 * await assertRejects(() => client.getInfo(), DecapodConnectionError);
 * ```
 */
export class DecapodConnectionError extends DecapodError {
  /** The name of the class. */
  override readonly name: string = "DecapodConnectionError";
}

/**
 * The response did not arrive, or not all of it, within the timeout.
 *
 * @category Errors
 * @example
 * ```ts
 * import { Client, DecapodTimeoutError } from "@decapod/decapodlib";
 * import { assertRejects } from "@std/assert";
 *
 * const client = new Client("http://decapod.example", {
 *   login: "root",
 *   password: "secret",
 *   timeout: 20,
 *   fetch: () => new Promise(() => {}), // a server that never responds
 * });
 * await assertRejects(() => client.getInfo(), DecapodTimeoutError);
 * ```
 */
export class DecapodTimeoutError extends DecapodError {
  /** The name of the class. */
  override readonly name: string = "DecapodTimeoutError";
}

/**
 * The response is not one of Decapod's: HTML, invalid JSON or a redirect. Often
 * the URL points to another server.
 *
 * @category Errors
 * @example
 * ```ts
 * import { Client, DecapodResponseError } from "@decapod/decapodlib";
 * import { assertRejects } from "@std/assert";
 *
 * const headers = { "content-type": "text/html" };
 * const client = new Client("http://www.example.com", {
 *   login: "root",
 *   password: "secret",
 *   fetch: () => Promise.resolve(new Response("<h1>Hello</h1>", { headers })),
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

/**
 * The properties of a {@linkcode DecapodExecutionError}.
 *
 * @category Errors
 */
export interface DecapodExecutionErrorOptions extends DecapodErrorOptions {
  /** The execution as it ended. */
  execution: Execution;
  /** Its failed steps. */
  failedSteps: ExecutionStep[];
}

/**
 * An execution ended in another state than expected.
 *
 * @category Errors
 * @example
 * ```ts
 * import { DecapodExecutionError } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * function report(error: DecapodExecutionError): string {
 *   const { execution, failedSteps } = error;
 *   return `${execution.data.state}, ${failedSteps.length} steps failed`;
 * }
 *
 * const error = new DecapodExecutionError("Execution failed", {
 *   execution: {
 *     id: "231c54ee-384b-4fce-8ad4-7e029c7d13cb",
 *     model: "execution",
 *     version: 3,
 *     initiator_id: null,
 *     time_updated: 1479300415,
 *     time_deleted: 0,
 *     data: {
 *       state: "failed",
 *       playbook_configuration: {
 *         id: "9a962393-a1bd-4a96-a9dc-fc151327eea7",
 *         version: 1,
 *         playbook_name: "cluster_deploy",
 *       },
 *     },
 *   },
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
  /** Its steps with the result `error` or `unreachable`. */
  declare readonly failedSteps: ExecutionStep[];

  /**
   * Creates an error.
   *
   * @param message What happened, to what, and what to do.
   * @param options The execution and its failed steps.
   */
  constructor(message: string, options: DecapodExecutionErrorOptions) {
    super(message, options);
  }
}

/**
 * The properties of a {@linkcode DecapodWaitTimeoutError}.
 *
 * @category Errors
 */
export interface DecapodWaitTimeoutErrorOptions extends DecapodErrorOptions {
  /** The execution as last seen. */
  execution?: Execution | undefined;
  /** How many polls saw each state. */
  states: Record<string, number>;
}

/**
 * An execution did not end within the timeout of the wait. It continues.
 *
 * @category Errors
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
 * assertEquals([error.execution, error.states], [undefined, {}]);
 * ```
 */
export class DecapodWaitTimeoutError extends DecapodTimeoutError {
  /** The name of the class. */
  override readonly name: string = "DecapodWaitTimeoutError";
  /** The execution as last seen; undefined if no poll succeeded. */
  declare readonly execution?: Execution;
  /** How many polls saw each state. */
  declare readonly states: Record<string, number>;

  /**
   * Creates an error.
   *
   * @param message What happened, to what, and what to do.
   * @param options The execution as last seen, and the states of the polls.
   */
  constructor(message: string, options: DecapodWaitTimeoutErrorOptions) {
    super(message, options);
  }
}
