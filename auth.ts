/**
 * Sessions: who logs in when, and which token goes with a request.
 *
 * As a rule {@linkcode Client} does all of this by itself.
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

import { DecapodError } from "./errors.ts";
import type { Token } from "./models.ts";
import { abortable } from "./internal/deadline.ts";

/**
 * Where a client gets the token for a request.
 *
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
   * The token to send, or undefined for none.
   *
   * @param signal Ends the waiting for it.
   * @returns The token.
   *
   * @example
   * ```ts
   * import { noAuth } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(await noAuth.token(), undefined);
   * ```
   */
  token(signal?: AbortSignal): Promise<string | undefined>;
  /**
   * Forgets the token.
   *
   * @param refused Only if it is still this one.
   *
   * @example
   * ```ts
   * import { noAuth } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * noAuth.revokeToken("525fc6d0-c221-4e21-a3f4-cd99aa53cf21");
   * assertEquals(await noAuth.token(), undefined);
   * ```
   */
  revokeToken(refused?: string): void;
}

/**
 * Gets a token.
 *
 * @param signal Aborted when nobody waits for the token any more.
 */
export type Login = (signal: AbortSignal) => Promise<Token>;

/** A login on its way, or the session that came of it. */
interface Session {
  /** What the login came to. */
  readonly login: Promise<Token>;
  /** The same for those who wait, unless a logout comes first. */
  readonly shared: Promise<Token>;
  readonly reject: (error: Error) => void;
  readonly controller: AbortController;
  waiting: number;
  token?: string;
}

/**
 * Logs in when a token is first needed, once for all who need it, and keeps
 * the token. A login that fails fails for all who waited and is forgotten: the
 * next who needs a token logs in again.
 *
 * @example
 * ```ts
 * import { type Token, V1Auth } from "@decapod/decapodlib";
 * import { assertEquals } from "@std/assert";
 *
 * const user: Token["data"]["user"] = {
 *   id: "6567c2ab-54cc-40b7-a811-6147a3f3ea83",
 *   model: "user",
 *   version: 1,
 *   initiator_id: null,
 *   time_updated: 1478865388,
 *   time_deleted: 0,
 *   data: {
 *     login: "root",
 *     email: "noreply@example.com",
 *     full_name: "Root User",
 *     role_id: null,
 *   },
 * };
 * let logins = 0;
 * const auth = new V1Auth(() => {
 *   logins++;
 *   return Promise.resolve({
 *     id: "525fc6d0-c221-4e21-a3f4-cd99aa53cf21",
 *     model: "token",
 *     version: 1,
 *     initiator_id: user.id,
 *     time_updated: 1478865388,
 *     time_deleted: 0,
 *     data: { expires_at: 1478867188, user },
 *   });
 * });
 * await Promise.all([auth.token(), auth.token()]);
 * assertEquals(logins, 1);
 * auth.revokeToken();
 * await auth.token();
 * assertEquals(logins, 2);
 * ```
 */
export class V1Auth implements Authenticator {
  /** The path of logins and logouts. */
  static readonly AUTH_URL = "/v1/auth/";

  readonly #login: Login;
  #session: Session | undefined;

  /**
   * Makes a session that is not open yet.
   *
   * @param login Gets a token from the server.
   */
  constructor(login: Login) {
    this.#login = login;
  }

  /**
   * The current token; logs in if there is none.
   *
   * @param signal Ends the waiting. The login itself goes on while anybody
   * else waits for it, and is canceled otherwise.
   * @returns The token, a secret.
   * @throws {DecapodError} If the login fails, or `logout` comes before it ends.
   *
   * @example
   * ```ts
   * import { V1Auth } from "@decapod/decapodlib";
   * import { assertRejects } from "@std/assert";
   *
   * const auth = new V1Auth(() => Promise.reject(new Error("wrong password")));
   * await assertRejects(() => auth.token(), Error, "wrong password");
   * ```
   */
  token(signal?: AbortSignal): Promise<string> {
    const token = this.#session?.token;
    return token === undefined
      ? this.login(signal).then(({ id }) => id)
      : Promise.resolve(token);
  }

  /**
   * Logs in, even if there is a token; joins a login that is on its way.
   *
   * @param signal As for {@linkcode V1Auth.token}.
   * @param login What to log in with instead of the usual.
   * @returns The token as the server sent it.
   * @throws {DecapodError} As {@linkcode V1Auth.token} does.
   *
   * @example
   * ```ts
   * import { V1Auth } from "@decapod/decapodlib";
   * import { assertRejects } from "@std/assert";
   *
   * const auth = new V1Auth(() => Promise.reject(new Error("wrong password")));
   * await assertRejects(() => auth.login(), Error, "wrong password");
   * ```
   */
  async login(signal?: AbortSignal, login?: Login): Promise<Token> {
    signal?.throwIfAborted();
    const underWay = this.#session?.token === undefined && this.#session;
    const session = underWay || this.#open(login ?? this.#login);
    session.waiting++;
    try {
      return await (signal
        ? abortable(session.shared, signal)
        : session.shared);
    } finally {
      if (--session.waiting === 0 && session.token === undefined) {
        this.#forget(session);
        session.controller.abort();
      }
    }
  }

  /**
   * Forgets the token, without a word to the server.
   *
   * @param refused Only if it is still this one: of many calls that were
   * refused with one token the first drops it, and none drops the next.
   *
   * @example
   * ```ts
   * import { V1Auth } from "@decapod/decapodlib";
   * import { assertRejects } from "@std/assert";
   *
   * const auth = new V1Auth(() => Promise.reject(new Error("asked again")));
   * auth.revokeToken();
   * await assertRejects(() => auth.token(), Error, "asked again");
   * ```
   */
  revokeToken(refused?: string): void {
    if (refused === undefined || this.#session?.token === refused) {
      this.#session = undefined;
    }
  }

  /**
   * Ends the session: those who wait for a login are told so, and the token
   * is handed over to be deleted on the server.
   *
   * @param signal Cancels a login that is still on its way.
   * @returns The token, also that of a login which is still on its way;
   * undefined if nobody is logged in.
   *
   * @example
   * ```ts
   * import { V1Auth } from "@decapod/decapodlib";
   * import { assertEquals } from "@std/assert";
   *
   * const auth = new V1Auth(() => Promise.reject(new Error("not reached")));
   * assertEquals(auth.end(), undefined);
   * ```
   */
  end(signal?: AbortSignal): Promise<Token> | undefined {
    const session = this.#session;
    if (session === undefined) return undefined;
    this.#session = undefined;
    session.waiting++; // whoever ends it waits for its token
    session.reject(
      new DecapodError(
        "Cannot go on: logout was called before the login ended",
      ),
    );
    return signal
      ? abortable(session.login, signal).catch((error) => {
        if (signal.aborted) session.controller.abort();
        throw error;
      })
      : session.login;
  }

  #open(login: Login): Session {
    const controller = new AbortController();
    let reject: Session["reject"] = () => {};
    const promise = login(controller.signal);
    const shared = new Promise<Token>((resolve, refuse) => {
      reject = refuse;
      promise.then(resolve, refuse);
    });
    shared.catch(() => {}); // when nobody waits any more, nobody need know
    const session: Session = {
      login: promise,
      shared,
      reject,
      controller,
      waiting: 0,
    };
    promise.then(
      (token) => session.token = token.id,
      () => this.#forget(session),
    );
    this.#session = session;
    return session;
  }

  #forget(session: Session): void {
    if (this.#session === session) this.#session = undefined;
  }
}

/**
 * Sends no token: for requests that need none.
 *
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
