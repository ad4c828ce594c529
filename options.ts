/**
 * Everything that callers pass in: options and arguments that are objects.
 *
 * Every optional member also accepts `undefined`, which means its default.
 *
 * @example
 * ```ts
 * import { Client, type ClientOptions } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * const options: ClientOptions = {
 *   login: "root",
 *   password: "secret",
 *   timeout: 10_000,
 * };
 * const client = new Client("https://decapod.example", options);
 * assertEquals(client.url, "https://decapod.example");
 * ```
 *
 * @module
 */

import type {
  Execution,
  ExecutionState,
  Filter,
  HintValue,
  SortBy,
} from "./models.ts";

/**
 * Headers to send: an object, a `Headers`, a `Map` or other pairs.
 *
 * @category Options
 */
export type HeadersOption =
  | Record<string, string>
  | Headers
  | Iterable<readonly [string, string]>;

/**
 * The last argument of most methods.
 *
 * @category Options
 */
export interface RequestOptions {
  /** Aborts the call at once; it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * Milliseconds for the whole call: login, attempts, waits and the body; for
   * each page of an iteration, for each chunk of a streamed log.
   * Defaults to the client's `timeout`.
   */
  timeout?: number | undefined;
  /**
   * How often to retry after a network failure, 408, 429, 502, 503 or 504.
   * Defaults to the client's `retries` for GET requests and logins, and to 0
   * for changes: one may have been applied although no response arrived. The
   * write of an `edit…` is never retried. A request that hangs uses up
   * the timeout.
   */
  retries?: number | undefined;
  /**
   * Additional headers. An `Authorization` header replaces the session's
   * token, and the call does not log in.
   */
  headers?: HeadersOption | undefined;
}

/** Whether each member of {@linkcode RequestOptions} is required. */
export const REQUEST_OPTIONS: Record<keyof RequestOptions, boolean> = {
  signal: false,
  timeout: false,
  retries: false,
  headers: false,
};

/**
 * TLS settings: trusted CAs and the client certificate. All text is PEM.
 *
 * @category Options
 */
export interface TlsOptions {
  /**
   * Certificates of trusted CAs: in addition to the runtime's own on Deno,
   * instead of them on Bun.
   */
  ca?: string | undefined;
  /** The client's certificate; requires `key`. */
  cert?: string | undefined;
  /** The private key of the client's certificate; requires `cert`. */
  key?: string | undefined;
  /**
   * Whether to verify the server's certificate.
   *
   * @default {true}
   */
  verify?: boolean | undefined;
}

/** Whether each member of {@linkcode TlsOptions} is required. */
export const TLS_OPTIONS: Record<keyof TlsOptions, boolean> = {
  ca: false,
  cert: false,
  key: false,
  verify: false,
};

/**
 * One attempt to send a request, as `onAttempt` receives it.
 *
 * @category Options
 */
export interface Attempt {
  /** The HTTP method. */
  method: string;
  /** The URL without secrets. */
  url: string;
  /** The number of the attempt of this request, from 1. */
  attempt: number;
  /**
   * Milliseconds until the body was read or the attempt failed; for a streamed
   * log, until the stream began.
   */
  duration: number;
  /** The HTTP status, if there was a response. */
  status?: number;
  /** The error, if the attempt failed. */
  error?: unknown;
}

/**
 * What a custom `fetch` receives besides the URL.
 *
 * @category Options
 */
export interface FetchInit {
  /** The HTTP method. */
  method: string;
  /** The headers. */
  headers: Headers;
  /** The body, which is JSON. */
  body?: string;
  /** Redirects must not be followed. */
  redirect: "manual";
  /** Aborted by the timeout, the caller or `logout()`. */
  signal: AbortSignal;
}

/**
 * The part of a `Response` that a client needs.
 *
 * @category Options
 */
export interface FetchResponse {
  /** Whether the status is a success. */
  readonly ok?: boolean | undefined;
  /** The HTTP status. */
  readonly status: number;
  /** The reason phrase. */
  readonly statusText: string;
  /** The headers. */
  readonly headers: {
    /** The value of a header, or null. */
    get(name: string): string | null;
  };
  /** `opaqueredirect` for a redirect, `error` for a network error. */
  readonly type?: string | undefined;
  /** The body; a `ReadableStream` can be streamed and canceled. */
  readonly body?: unknown;
  /** Reads the body as text. */
  text(): Promise<string>;
  /** Reads the body as bytes. */
  arrayBuffer(): Promise<ArrayBuffer>;
}

/**
 * How a client sends requests.
 *
 * @category Options
 */
export interface TransportOptions {
  /**
   * Milliseconds for a call.
   *
   * @default {60_000}
   */
  timeout?: number | undefined;
  /**
   * How often a GET request or a login is retried.
   *
   * @default {2}
   */
  retries?: number | undefined;
  /** Headers for every request. */
  headers?: HeadersOption | undefined;
  /** TLS settings: trusted CAs and the client certificate. */
  tls?: TlsOptions | undefined;
  /**
   * Replaces the runtime's `fetch` and is called the same way. It must not
   * retry POST, PUT or DELETE requests itself.
   */
  fetch?:
    | ((url: string, init: FetchInit) => Promise<FetchResponse>)
    | undefined;
  /**
   * Called after each attempt, for logs and metrics. What it throws or
   * rejects with is ignored.
   */
  onAttempt?: ((attempt: Attempt) => void) | undefined;
}

/**
 * How a client reaches a server and logs in.
 *
 * @category Options
 */
export interface ClientOptions extends TransportOptions {
  /** The login of a Decapod user. */
  login: string;
  /** The user's password. */
  password: string;
}

/** Whether each member of {@linkcode ClientOptions} is required. */
export const CLIENT_OPTIONS: Record<keyof ClientOptions, boolean> = {
  login: true,
  password: true,
  timeout: false,
  retries: false,
  headers: false,
  tls: false,
  fetch: false,
  onAttempt: false,
};

/**
 * Which pages a listing returns.
 *
 * @category Options
 */
export interface PageOptions extends RequestOptions {
  /** The page to get, or to start the iteration at; from 1. */
  page?: number | undefined;
  /**
   * Items per page, without an upper bound.
   *
   * @default {25}
   */
  perPage?: number | undefined;
  /** Whether to get all items as one page. */
  all?: boolean | undefined;
}

/** Whether each member of {@linkcode PageOptions} is required. */
export const PAGE_OPTIONS: Record<keyof PageOptions, boolean> = {
  ...REQUEST_OPTIONS,
  page: false,
  perPage: false,
  all: false,
};

/**
 * Which items a listing returns and in which order.
 *
 * @category Options
 * @typeParam Fields The fields to filter and sort by.
 */
export interface ListOptions<Fields> extends PageOptions {
  /** Conditions that all must hold for an item. */
  filter?: Filter<Fields> | undefined;
  /**
   * The order of the items. Defaults to the method's order when awaited, and to
   * the order of {@linkcode Listing} when iterated.
   */
  sortBy?: SortBy<Fields> | undefined;
}

/** Whether each member of {@linkcode ListOptions} is required. */
export const LIST_OPTIONS: Record<keyof ListOptions<unknown>, boolean> = {
  ...PAGE_OPTIONS,
  filter: false,
  sortBy: false,
};

/**
 * Options of {@linkcode Listing.toArray}.
 *
 * @category Options
 */
export interface ToArrayOptions {
  /** The maximum number of items. Defaults to all. */
  limit?: number | undefined;
}

/** Whether each member of {@linkcode ToArrayOptions} is required. */
export const TO_ARRAY_OPTIONS: Record<keyof ToArrayOptions, boolean> = {
  limit: false,
};

/**
 * The shortest and the longest time between two polls, in ms.
 *
 * @category Options
 */
export interface Interval {
  /** The shortest time, used first and after each change. */
  min: number;
  /** The longest time, reached while nothing changes. */
  max: number;
}

/** Whether each member of {@linkcode Interval} is required. */
export const INTERVAL: Record<keyof Interval, boolean> = {
  min: true,
  max: true,
};

/**
 * Options of {@linkcode Client.followExecution}.
 *
 * @category Options
 */
export interface FollowOptions {
  /**
   * Milliseconds to follow. Defaults to no limit. Each poll also has the
   * client's `timeout`.
   */
  timeout?: number | undefined;
  /**
   * Milliseconds between two polls: the shortest time, which grows up to
   * tenfold while nothing changes, or both bounds.
   *
   * @default {1_000}
   */
  interval?: number | Interval | undefined;
  /**
   * Stops at once with the signal's reason. The execution is not canceled.
   */
  signal?: AbortSignal | undefined;
  /** Additional headers for each request. */
  headers?: HeadersOption | undefined;
}

/** Whether each member of {@linkcode FollowOptions} is required. */
export const FOLLOW_OPTIONS: Record<keyof FollowOptions, boolean> = {
  timeout: false,
  interval: false,
  signal: false,
  headers: false,
};

/**
 * Options of {@linkcode Client.waitForExecution}.
 *
 * @category Options
 */
export interface WaitOptions extends FollowOptions {
  /**
   * Called with the execution on the first poll and after each change. It is
   * awaited; what it throws or rejects with ends the wait.
   */
  onUpdate?: ((execution: Execution) => void | Promise<void>) | undefined;
  /**
   * The states to wait for. Decapod still runs an execution that is `canceled`
   * before its start; `followExecution` yields its later states.
   *
   * @default {["completed"]}
   */
  expect?: ExecutionState[] | undefined;
}

/** Whether each member of {@linkcode WaitOptions} is required. */
export const WAIT_OPTIONS: Record<keyof WaitOptions, boolean> = {
  ...FOLLOW_OPTIONS,
  onUpdate: false,
  expect: false,
};

/**
 * Options of {@linkcode Client.getCinderIntegration}.
 *
 * @category Options
 */
export interface CinderOptions extends RequestOptions {
  /**
   * The folder that the files are for.
   *
   * @default {"/etc/ceph"}
   */
  root?: string | undefined;
}

/** Whether each member of {@linkcode CinderOptions} is required. */
export const CINDER_OPTIONS: Record<keyof CinderOptions, boolean> = {
  ...REQUEST_OPTIONS,
  root: false,
};

/**
 * A user to create.
 *
 * @category Options
 */
export interface NewUser {
  /** The login name; unique. */
  login: string;
  /** The e-mail address, to which the password is sent; unique. */
  email: string;
  /** The name to show; must not be empty. */
  fullName: string;
  /** The id of the user's role. Defaults to no role. */
  roleId?: string | null | undefined;
}

/** Whether each member of {@linkcode NewUser} is required. */
export const NEW_USER: Record<keyof NewUser, boolean> = {
  login: true,
  email: true,
  fullName: true,
  roleId: false,
};

/**
 * A server to discover.
 *
 * @category Options
 */
export interface NewServer {
  /** The host's system UUID, as `dmidecode` prints it. */
  serverId: string;
  /** An address or fully qualified name at which Decapod reaches the host. */
  host: string;
  /** The user that Ansible logs in as. */
  username: string;
}

/** Whether each member of {@linkcode NewServer} is required. */
export const NEW_SERVER: Record<keyof NewServer, boolean> = {
  serverId: true,
  host: true,
  username: true,
};

/**
 * A playbook configuration to create.
 *
 * @category Options
 */
export interface NewPlaybookConfiguration {
  /** The name to show. */
  name: string;
  /** The cluster's id. */
  clusterId: string;
  /** The playbook's id. */
  playbookId: string;
  /** The ids of the servers to run on; duplicates are removed. */
  serverIds: string[];
  /** Values for the playbook's hints. Others have the playbook's defaults. */
  hints?: HintValue[] | undefined;
  /**
   * Whether to execute the configuration at once.
   *
   * @default {false}
   */
  runAfter?: boolean | undefined;
}

/** Whether each member of {@linkcode NewPlaybookConfiguration} is required. */
export const NEW_PLAYBOOK_CONFIGURATION: Record<
  keyof NewPlaybookConfiguration,
  boolean
> = {
  name: true,
  clusterId: true,
  playbookId: true,
  serverIds: true,
  hints: false,
  runAfter: false,
};

/**
 * Returns new data for the current data of a model; see the `edit…` methods.
 *
 * @category Options
 * @typeParam Data The fields of the model.
 */
export type Change<Data> = (data: Data) => Data | Promise<Data>;

/**
 * Options of {@linkcode Client.request}.
 *
 * @category Options
 */
export interface CustomRequestOptions extends RequestOptions {
  /** The query parameters. */
  query?: Record<string, string | number | boolean | undefined> | undefined;
  /** The body, sent as JSON. */
  body?: object | undefined;
}

/** Whether each member of {@linkcode CustomRequestOptions} is required. */
export const CUSTOM_REQUEST_OPTIONS: Record<
  keyof CustomRequestOptions,
  boolean
> = {
  ...REQUEST_OPTIONS,
  query: false,
  body: false,
};
