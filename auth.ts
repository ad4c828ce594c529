/**
 * Sessions: when to log in, and which token a request sends.
 *
 * {@linkcode Client} does all of this by itself.
 *
 * @example
 * ```ts
 * import { V1Auth } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(V1Auth.AUTH_URL, "/v1/auth/");
 * ```
 *
 * @module
 */

import { copyForCaller } from "./internal/caller.ts";
import { abortable } from "./internal/deadline.ts";
import { DecapodError } from "./errors.ts";
import type { Token } from "./models.ts";

/**
 * Provides the token for a request.
 *
 * @category Client
 * @example
 * ```ts
 * import type { Authenticator } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * let current: string | undefined = "525fc6d0-c221-4e21-a3f4-cd99aa53cf21";
 * const fixed: Authenticator = {
 *   token: () => Promise.resolve(current),
 *   revokeToken: () => {
 *     current = undefined;
 *   },
 * };
 * fixed.revokeToken();
 * assertEquals(await fixed.token(), undefined);
 * ```
 */
export interface Authenticator {
  /**
   * Returns the token to send, or undefined for none.
   *
   * @param signal Aborts the wait for the token.
   * @param maxWait Milliseconds to wait for a login that another call started.
   * @returns The token.
   */
  token(signal?: AbortSignal, maxWait?: number): Promise<string | undefined>;
  /**
   * Forgets the token.
   *
   * @param refused The token that the server rejected; any other one is kept.
   */
  revokeToken(refused?: string): void;
}

/**
 * Gets a token from the server.
 *
 * @category Client
 * @param signal Aborted when no call is waiting for the token any more.
 */
export type Login = (signal: AbortSignal) => Promise<Token>;

/** A login under way, or the session that it created. */
class Session {
  /** When the login started, on the clock of `performance.now()`. */
  readonly start = performance.now();
  /** Cancels the login. */
  readonly controller = new AbortController();
  /** The result of the login itself. */
  readonly login: Promise<Token>;
  /** The result for waiting calls; rejects at logout. */
  readonly result: Promise<Token>;
  reject?: (error: Error) => void;
  waiters = 0;
  token?: string;

  constructor(login: Login) {
    this.login = login(this.controller.signal);
    this.result = new Promise((resolve, reject) => {
      this.reject = reject;
      this.login.then(resolve, reject);
    });
    this.result.catch(() => {}); // there may be no waiter left
  }
}

/**
 * Logs in when a token is first needed, once for all calls that need it, and
 * keeps the token. A failed login fails all calls that wait for it and is
 * forgotten: the next call logs in again.
 *
 * @category Client
 * @example
 * ```ts
 * import { type Token, V1Auth } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * const model = {
 *   version: 1,
 *   initiator_id: null,
 *   time_updated: 1478865388,
 *   time_deleted: 0,
 * };
 * const data = {
 *   login: "root",
 *   email: "root@example.com",
 *   full_name: "Root User",
 *   role_id: null,
 * };
 * const user = { ...model, id: "6567c2ab", model: "user" as const, data };
 * let logins = 0;
 * const auth = new V1Auth(() => {
 *   const token: Token = {
 *     ...model,
 *     id: `token-${++logins}`,
 *     model: "token",
 *     data: { expires_at: 1478867188, user },
 *   };
 *   return Promise.resolve(token);
 * });
 * await Promise.all([auth.token(), auth.token()]);
 * assertEquals(logins, 1);
 * auth.revokeToken();
 * assertEquals(await auth.token(), "token-2");
 * ```
 */
export class V1Auth implements Authenticator {
  /** The path of logins and logouts. */
  static readonly AUTH_URL = "/v1/auth/";

  readonly #login: Login;
  #session: Session | undefined;

  /**
   * Creates a session without logging in.
   *
   * @param login Gets a token from the server.
   */
  constructor(login: Login) {
    this.#login = login;
  }

  /**
   * Returns the current token; logs in if there is none.
   *
   * @param signal Aborts the wait. The login itself continues while another
   * call waits for it, and is canceled otherwise.
   * @param maxWait Milliseconds to wait for another call's login before logging
   * in itself. Defaults to no limit.
   * @returns The token, which is a secret.
   * @throws {DecapodError} If the login fails, or if logout comes first.
   */
  async token(signal?: AbortSignal, maxWait?: number): Promise<string> {
    return this.#session?.token ??
      (await this.login(signal, undefined, maxWait)).id;
  }

  /**
   * Logs in even if there is a token; joins a login that is under way.
   *
   * @param signal As for {@linkcode V1Auth.token}.
   * @param login Replaces the login function of the constructor.
   * @param maxWait As for {@linkcode V1Auth.token}.
   * @returns The token as the server sent it.
   * @throws {DecapodError} As {@linkcode V1Auth.token} does.
   */
  async login(
    signal?: AbortSignal,
    login: Login = this.#login,
    maxWait?: number,
  ): Promise<Token> {
    signal?.throwIfAborted();
    const current = this.#session;
    const isJoining = current !== undefined && current.token === undefined;
    const session = isJoining ? current : this.#open(login);
    session.waiters++;
    try {
      const forCaller = session.result.catch((error) => {
        throw copyForCaller(error);
      });
      const result = signal ? abortable(forCaller, signal) : forCaller;
      const isLimited = maxWait !== undefined && maxWait < Infinity;
      if (!isJoining || !isLimited) return await result;
      // Waits for maxWait, but not beyond 2 * maxWait after the login began.
      const age = performance.now() - session.start;
      const wait = Math.max(0, Math.min(maxWait, 2 * maxWait - age));
      const waitLimit = AbortSignal.timeout(Math.ceil(wait)); // Node: an integer
      try {
        return await abortable(result, waitLimit);
      } catch (error) {
        if (!waitLimit.aborted) throw error;
      }
      // On an edge runtime a login never ends if the incoming request that
      // started it has ended. Another call may have logged in since.
      this.#forget(session);
      const second = this.#session?.token === undefined
        ? this.login(signal, login, maxWait / 2)
        : this.#session.result;
      return await Promise.any([second, result]).catch(() => second);
    } finally {
      if (--session.waiters === 0 && session.token === undefined) {
        this.#forget(session);
        session.controller.abort();
      }
    }
  }

  /**
   * Forgets the token without telling the server, as after a 401.
   *
   * @param refused The token that the server rejected. A newer token, which
   * another call got in the meantime, is kept.
   */
  revokeToken(refused?: string): void {
    if (refused === undefined || this.#session?.token === refused) {
      this.#session = undefined;
    }
  }

  /**
   * Ends the session. Calls that wait for a login reject, and the token is
   * returned so that it can be deleted on the server.
   *
   * @param signal Cancels a login that is under way.
   * @returns The token, once a login under way has ended; undefined if there is
   * no session.
   */
  end(signal?: AbortSignal): Promise<Token> | undefined {
    const session = this.#session;
    if (session === undefined) return undefined;
    this.#session = undefined;
    session.waiters++; // the caller waits for its token
    session.reject?.(
      new DecapodError("Cannot log in: canceled by logout() or disposal"),
    );
    return signal
      ? abortable(session.login, signal).catch((error) => {
        if (signal.aborted) session.controller.abort();
        throw error;
      })
      : session.login;
  }

  #open(login: Login): Session {
    const session = new Session(login);
    session.login.then(
      (token) => session.token = token.id,
      () => this.#forget(session),
    );
    return this.#session = session;
  }

  #forget(session: Session): void {
    if (this.#session === session) this.#session = undefined;
  }
}

/**
 * Sends no token, for requests that need none.
 *
 * @category Client
 * @example
 * ```ts
 * import { noAuth } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await noAuth.token(), undefined);
 * ```
 */
export const noAuth: Authenticator = {
  token: () => Promise.resolve(undefined),
  revokeToken: () => {},
};
