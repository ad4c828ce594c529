/** Sessions: logins, renewals and logouts. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  Client,
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  DecapodTimeoutError,
  noAuth,
  type Token,
  V1Auth,
} from "../mod.ts";
import { Client as AbstractClient } from "../client.ts";
import { gate } from "./support/gate.ts";
import {
  CountedSignal,
  fixedRandom,
  recordUnhandled,
  replace,
} from "./support/patch.ts";
import { RawServer } from "./support/raw.ts";
import {
  apiError,
  type Exchange,
  PASSWORD,
  StandInServer,
} from "./support/server.ts";

/** The requests other than logins and logouts. */
function calls({ exchanges }: StandInServer): Exchange[] {
  return exchanges.filter(({ path }) => path !== "/v1/auth/");
}

const isLogin = ({ method, path }: Exchange) =>
  method === "POST" && path === "/v1/auth/";

Deno.test("getUserSelf() logs in once for a thousand concurrent first calls", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const users = await Promise.all(
    Array.from({ length: 1000 }, () => client.getUserSelf()),
  );
  assertEquals(users.length, 1000);
  assert(users.every(({ data }) => data.login === "root"));
  assertEquals(server.logins, 1);
  assertEquals(calls(server).length, 1000);
  const tokens = calls(server).map(({ headers }) =>
    headers.get("authorization")
  );
  assertEquals([...new Set(tokens)], [server.token]);
});

Deno.test("getUserSelf() fails for all that wait for a failed login; the next one logs in again", async () => {
  await using server = new StandInServer();
  using unhandled = recordUnhandled();
  const client = server.client({ password: "wrong" });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 1000 }, () => client.getUserSelf()),
  );
  for (const outcome of outcomes) {
    assert(outcome.status === "rejected");
    assertInstanceOf(outcome.reason, DecapodAPIError);
    assertEquals(outcome.reason.code, 401);
  }
  assertEquals(server.logins, 1);
  server.standIn.setPassword("root", "wrong"); // now it is the right one
  assertEquals((await client.getUserSelf()).data.login, "root");
  assertEquals(server.logins, 2);
  await new Promise((resolve) => setTimeout(resolve)); // they are told late
  assertEquals(unhandled.reasons, []);
});

Deno.test("getCinderIntegration() logs in again once for 200 calls whose token was revoked", async () => {
  const wall = gate();
  let waiting = 0;
  await using server = new StandInServer({}, async ({ headers, query }) => {
    // All of them are on their way before the token dies.
    if (query.root === undefined || headers.get("authorization") !== old) {
      return;
    }
    if (++waiting === 200) {
      server.standIn.revokeTokens();
      wall.open();
    }
    await wall.pass();
  });
  const client = server.client();
  const cluster = await client.createCluster("ceph");
  server.standIn.setCinder(cluster.id, { config: "c", keyrings: {} });
  const old = server.token;
  server.exchanges.length = 0;

  const files = await Promise.all(
    Array.from(
      { length: 200 },
      (_, index) =>
        client.getCinderIntegration(cluster.id, { root: `/${index}` }),
    ),
  );
  assertEquals(
    files.map((file) => Object.keys(file)),
    files.map((_, index) => [`/${index}/ceph.conf`]),
  );
  assertEquals(server.logins, 1);
  assertNotEquals(server.token, old);
  const sent = Map.groupBy(calls(server), ({ query }) => query.root);
  assertEquals(sent.size, 200);
  for (const [, exchanges] of sent) {
    assertEquals(
      exchanges.map(({ headers }) => headers.get("authorization")),
      [old, server.token],
    );
  }
});

Deno.test("createCluster() and deleteCluster() are repeated once after a 401", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getUserSelf();
  server.standIn.revokeTokens();
  const cluster = await client.createCluster("ceph", { retries: 0 });
  server.standIn.revokeTokens();
  assertEquals((await client.deleteCluster(cluster.id)).version, 2);
  assertEquals(
    server.sent("POST", "/v1/cluster/").map(({ answer }) => answer?.status),
    [401, 200],
  );
  assertEquals(server.logins, 3);
});

Deno.test("getUserSelf() logs in again when the token has expired", async () => {
  await using server = new StandInServer({ tokenLifetime: 1800 });
  const client = server.client();
  await client.getUserSelf();
  server.clock.advance(1_900_000);
  assertEquals((await client.getUserSelf()).data.login, "root");
  assertEquals(server.logins, 2);
});

Deno.test("getUserSelf() rejects after a second 401", async () => {
  await using server: StandInServer = new StandInServer(
    {},
    ({ path }) =>
      path === "/v1/user/self/"
        ? apiError(401, "Unauthorized", "Invalid token")
        : undefined,
  );
  const client = server.client();
  const error = await assertRejects(
    () => client.getUserSelf(),
    DecapodAPIError,
    "check the login and the password",
  );
  assertEquals(error.code, 401);
  assertEquals(server.logins, 2);
  assertEquals(calls(server).length, 2);
});

Deno.test("getRoleSelf() keeps a new token if the 401 was for the old one", async () => {
  const wall = gate();
  await using server = new StandInServer({}, async ({ path }) => {
    if (path !== "/v1/role/self/" || calls(server).length > 1) return;
    await wall.pass();
    return apiError(401, "Unauthorized", "Too late");
  });
  const client = server.client();
  const slow = client.getRoleSelf();
  await wall.reached;
  server.standIn.revokeTokens();
  await client.getUserSelf(); // finds out, logs in again
  const { token } = server;
  wall.open();
  await slow;
  assertEquals(server.logins, 2);
  assertEquals(calls(server).at(-1)?.headers.get("authorization"), token);
});

Deno.test("getUserSelf() logs in with the client's retries, not its own", async () => {
  using _ = fixedRandom(0);
  await using server: StandInServer = new StandInServer(
    {},
    (exchange) =>
      isLogin(exchange) && server.logins < 3
        ? new Response("busy", { status: 503 })
        : undefined,
  );
  await server.client().createCluster("ceph", { retries: 0 });
  assertEquals(server.logins, 3);
  assertEquals(server.sent("POST", "/v1/cluster/").length, 1);

  server.exchanges.length = 0;
  const error = await assertRejects(
    () => server.client({ retries: 1 }).getUserSelf({ retries: 9 }),
    DecapodAPIError,
  );
  assertEquals(error.code, 503);
  assertEquals(server.logins, 2);
});

Deno.test("getUserSelf() stops waiting for a login when it is aborted; the login continues", async () => {
  const wall = gate();
  await using server = new StandInServer({}, async (exchange) => {
    if (isLogin(exchange)) await wall.pass();
    return undefined;
  });
  const client = server.client();
  const controller = new AbortController();
  const reason = new Error("no longer of interest");
  const first = client.getUserSelf({ signal: controller.signal });
  const second = client.getRoleSelf();
  await wall.reached;
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => first), reason);
  wall.open();
  assertEquals((await second).model, "role");
  assertEquals(server.logins, 1);
  assertEquals(server.sent("GET", "/v1/user/self/"), []);
});

Deno.test("getUserSelf() with a short timeout does not cancel the login of others", async () => {
  const wall = gate();
  await using server = new StandInServer({}, async (exchange) => {
    if (isLogin(exchange)) await wall.pass();
    return undefined;
  });
  const client = server.client();
  const hurried = client.getUserSelf({ timeout: 1 });
  const patient = client.getRoleSelf();
  await assertRejects(() => hurried, DecapodTimeoutError, "within 1 ms");
  wall.open();
  await patient;
  assertEquals(server.logins, 1);
});

Deno.test("V1Auth cancels a login that no call waits for", async () => {
  const started = Promise.withResolvers<AbortSignal>();
  const auth = new V1Auth((signal) => {
    started.resolve(signal);
    return new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason))
    );
  });
  const one = new AbortController();
  const two = new AbortController();
  const waiting = [auth.token(one.signal), auth.token(two.signal)];
  const signal = await started.promise;
  one.abort("one");
  assertEquals(await waiting[0]?.catch((reason) => reason), "one");
  assertEquals(signal.aborted, false);
  two.abort("two");
  assertEquals(await waiting[1]?.catch((reason) => reason), "two");
  assertEquals(signal.aborted, true);
});

Deno.test("getUserSelf() closes the connection of a login that no call waits for", async () => {
  const reached = Promise.withResolvers<void>();
  await using server = new RawServer(async (peer) => {
    await peer.request();
    reached.resolve();
    await peer.abandoned();
  });
  const controller = new AbortController();
  const { signal } = controller;
  const call = server.client().getUserSelf({ signal });
  await reached.promise;
  controller.abort();
  assertStrictEquals(await assertRejects(() => call), signal.reason);
  await server.settled();
});

Deno.test("login() logs in again, or joins a login under way", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const [token] = await Promise.all([client.login(), client.getUserSelf()]);
  assertEquals(server.logins, 1);
  const again = await client.login();
  assertNotEquals(again.id, token.id);
  await client.getUserSelf();
  assertEquals(calls(server).at(-1)?.headers.get("authorization"), again.id);
  assertEquals(server.logins, 2);
});

Deno.test("login() obeys signal, retries and headers", async () => {
  using _ = fixedRandom(0);
  await using server: StandInServer = new StandInServer(
    {},
    () => new Response("", { status: 503 }),
  );
  const client = server.client();
  const aborted = AbortSignal.abort("before");
  assertEquals(
    await client.login({ signal: aborted }).catch((reason) => reason),
    "before",
  );
  assertEquals(server.exchanges, []);
  await assertRejects(() => client.login({ retries: 1 }), DecapodAPIError);
  assertEquals(server.logins, 2);
  await assertRejects(
    () => client.login({ headers: { "x-trace": "1" }, retries: 0 }),
    DecapodAPIError,
  );
  assertEquals(server.exchanges.at(-1)?.headers.get("x-trace"), "1");
});

Deno.test("login() obeys timeout", async () => {
  const wall = gate();
  await using server = new StandInServer({}, async () => {
    await wall.pass();
    return undefined;
  });
  const error = await assertRejects(
    () => server.client().login({ timeout: 1 }),
    DecapodTimeoutError,
    "no response within 1 ms",
  );
  assertEquals(error.method, "POST");
  assertEquals(error.url, `${server.url}/v1/auth/`);
  assertEquals(error.outcomeUnknown, false);
  wall.open();
});

Deno.test("login() rejects a token that does not fit into a header", async () => {
  for (const id of ["", "a b", "a\r\nb: c", "ü", 5, null]) {
    await using server = new StandInServer({}, () => Response.json({ id }));
    await assertRejects(() => server.client().login(), DecapodError, "POST");
    await assertRejects(() => server.client().getUserSelf(), DecapodError);
    assertEquals(calls(server), []);
  }
});

Deno.test("logout() sends nothing if nobody is logged in", async () => {
  await using server = new StandInServer();
  await server.client().logout();
  const client = server.client();
  await client.getInfo(); // needs no login
  await client.logout();
  assertEquals(server.exchanges.map(({ path }) => path), ["/v1/info/"]);
});

Deno.test("logout() ends the session; the next call logs in again", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getUserSelf();
  const { token } = server;
  await client.logout();
  await client.logout();
  const logouts = server.sent("DELETE", "/v1/auth/");
  assertEquals(
    logouts.map(({ headers }) => headers.get("authorization")),
    [token],
  );
  const dead = server.client({ headers: { authorization: token } });
  await assertRejects(() => dead.getUserSelf(), DecapodAPIError, "401");

  await client.getUserSelf();
  assertNotEquals(server.token, token);
  assertEquals(server.logins, 2);
});

Deno.test("logout() resolves if the token has expired", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getUserSelf();
  server.standIn.revokeTokens();
  await client.logout();
  assertEquals(server.sent("DELETE", "/v1/auth/").length, 1);
  assertEquals(server.logins, 1);
});

Deno.test("logout() that fails rejects and forgets the token", async () => {
  const broken = { status: 500 };
  await using server: StandInServer = new StandInServer(
    {},
    ({ method }) => method === "DELETE" ? new Response("", broken) : undefined,
  );
  const client = server.client();
  await client.getUserSelf();
  const error = await assertRejects(() => client.logout(), DecapodAPIError);
  assertEquals([error.code, error.outcomeUnknown], [500, true]);
  await client.logout(); // nobody is logged in
  await client.getUserSelf();
  assertEquals(server.logins, 2);

  const controller = new AbortController();
  controller.abort("before");
  assertEquals(
    await client.logout({ signal: controller.signal }).catch((e) => e),
    "before",
  );
});

Deno.test("logout() during a login deletes the token that arrives", async () => {
  const wall = gate();
  await using server = new StandInServer({}, async (exchange) => {
    if (isLogin(exchange) && server.logins === 1) await wall.pass();
    return undefined;
  });
  const client = server.client();
  const waiting = [client.getUserSelf(), client.getRoleSelf(), client.login()];
  await wall.reached;
  const logout = client.logout();
  for (const call of waiting) {
    await assertRejects(() => call, DecapodError, "canceled by logout()");
  }
  wall.open();
  await logout;
  assertEquals(calls(server), []);
  const { token } = server;
  const dead = server.client({ headers: { authorization: token } });
  await assertRejects(() => dead.getUserSelf(), DecapodAPIError, "401");
  await client.getUserSelf();
  assertEquals(server.logins, 2);
});

Deno.test("logout() during a login that fails resolves", async () => {
  const wall = gate();
  await using server = new StandInServer({}, async (exchange) => {
    if (isLogin(exchange)) await wall.pass();
    return undefined;
  });
  const client = server.client({ password: "wrong" });
  const call = client.getUserSelf();
  await wall.reached;
  const logout = client.logout();
  await assertRejects(() => call, DecapodError, "canceled by logout()");
  wall.open();
  await logout;
  assertEquals(server.sent("DELETE", "/v1/auth/"), []);
});

Deno.test("logout() that is aborted cancels the login that it waits for", async () => {
  const wall = gate();
  const gone = Promise.withResolvers<void>();
  await using server = new StandInServer();
  const client = server.client({
    async fetch(url, init) {
      if (init.method !== "POST") return await fetch(url, init);
      init.signal?.addEventListener("abort", () => gone.resolve());
      await wall.pass();
      return await fetch(url, init);
    },
  });
  const call = client.getUserSelf();
  await wall.reached;
  const controller = new AbortController();
  const logout = client.logout({ signal: controller.signal });
  await assertRejects(() => call, DecapodError, "canceled by logout()");
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => logout), reason);
  await gone.promise;
  wall.open();
  assertEquals(server.exchanges, []);
});

Deno.test("asyncDispose logs out and never throws", async () => {
  await using server = new StandInServer();
  const { token } = await (async () => {
    await using client = server.client();
    await client.getUserSelf();
    return server;
  })();
  const [logout] = server.sent("DELETE", "/v1/auth/");
  assertEquals(logout?.headers.get("authorization"), token);

  const failures = [
    () => Promise.reject(new TypeError("network down")),
    () => Promise.resolve(new Response("", { status: 500 })),
  ];
  for (const failure of failures) {
    const client = server.client({
      fetch: (url, init) =>
        init.method === "DELETE" ? failure() : fetch(url, init),
    });
    await client.getUserSelf();
    await client[Symbol.asyncDispose]();
    await client[Symbol.asyncDispose]();
  }
});

Deno.test("getInfo() and password resets send no token and do not log in", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getInfo();
  await client.requestPasswordReset("root");
  const reset = server.standIn.mails.at(-1)?.resetToken ?? "";
  await client.peekPasswordReset(reset);
  await client.resetPassword(reset, PASSWORD);
  assertEquals(server.logins, 0);
  for (const { headers } of server.exchanges) {
    assertEquals(headers.get("authorization"), null);
  }
});

Deno.test("createServer() sends an Authorization header of its own instead of the token", async () => {
  await using server = new StandInServer();
  const { discoveryToken } = server.standIn;
  const node = {
    serverId: "44454C4C-4200-1051-8048-B7C04F4C4D31",
    host: "10.0.0.99",
    username: "ansible",
  };
  const client = server.client();
  await client.createServer(node, {
    headers: { Authorization: discoveryToken },
  });
  assertEquals(server.logins, 0);
  assertEquals(
    server.exchanges[0]?.headers.get("authorization"),
    discoveryToken,
  );
  // A 401 rejects at once: logging in would not help.
  await assertRejects(
    () => client.getUserSelf({ headers: new Headers({ authorization: "x" }) }),
    DecapodAPIError,
    "401",
  );
  assertEquals([server.logins, server.exchanges.length], [0, 2]);
});

Deno.test("V1Auth keeps a token until it is revoked", async () => {
  let logins = 0;
  const auth = new V1Auth(() => Promise.resolve(tokenOf(`token${++logins}`)));
  assertEquals(V1Auth.AUTH_URL, "/v1/auth/");
  assertEquals(await auth.token(), "token1");
  auth.revokeToken("another");
  assertEquals(await auth.token(), "token1");
  auth.revokeToken("token1");
  assertEquals(await auth.token(), "token2");
  auth.revokeToken();
  assertEquals(await auth.token(), "token3");
  assertEquals((await auth.login()).id, "token4");
  assertEquals((await auth.end())?.id, "token4");
  assertEquals(auth.end(), undefined);
});

Deno.test("V1Auth does not log in if the signal is already aborted", async () => {
  const auth = new V1Auth(() => Promise.reject(new Error("not reached")));
  const reason = await auth.token(AbortSignal.abort("dead")).catch((e) => e);
  assertEquals(reason, "dead");
});

Deno.test("V1Auth leaves no listener on a signal", async () => {
  const counted = new CountedSignal();
  const good = new V1Auth(() => Promise.resolve(tokenOf("token")));
  await good.token(counted.signal);
  const bad = new V1Auth(() => Promise.reject(new Error("wrong")));
  await assertRejects(() => bad.token(counted.signal), Error, "wrong");
  assertEquals([counted.listeners, counted.added], [0, 2]);
});

Deno.test("V1Auth stops waiting if the login itself aborts the signal", async () => {
  const controller = new AbortController();
  const canceled = Promise.withResolvers<void>();
  const auth = new V1Auth((signal) => {
    signal.addEventListener("abort", () => canceled.resolve());
    controller.abort("by the login");
    return new Promise(() => {});
  });
  const reason = await auth.token(controller.signal).catch((e) => e);
  assertEquals(reason, "by the login");
  await canceled.promise;
});

Deno.test("noAuth has no token", async () => {
  assertEquals(await noAuth.token(), undefined);
  assertEquals(noAuth.revokeToken(), undefined);
});

Deno.test("AUTH_CLASS of a subclass replaces the session", async () => {
  await using server = new StandInServer();
  let asked = 0;
  class CountingAuth extends V1Auth {
    override token(signal?: AbortSignal): Promise<string> {
      asked++;
      return super.token(signal);
    }
  }
  class CountingClient extends Client {
    static override readonly AUTH_CLASS = CountingAuth;
  }
  await using client = new CountingClient(server.url, {
    login: "root",
    password: PASSWORD,
  });
  await client.getUserSelf();
  assertEquals(asked, 1);
  assertStrictEquals(Client.AUTH_CLASS, V1Auth);
  assertEquals(AbstractClient.AUTH_CLASS, null);
});

Deno.test("getUserSelf() logs in again after a login that failed to connect", async () => {
  using _ = fixedRandom(0);
  await using server = new StandInServer();
  let broken = true;
  const client = server.client({
    retries: 0,
    fetch: (url, init) =>
      broken ? Promise.reject(new TypeError("down")) : fetch(url, init),
  });
  await assertRejects(() => client.getUserSelf(), DecapodConnectionError);
  broken = false;
  assertEquals((await client.getUserSelf()).data.login, "root");
});

/** A session whose logins the test ends. */
function controlledAuth() {
  const logins: PromiseWithResolvers<Token>[] = [];
  const auth = new V1Auth(() => {
    const login = Promise.withResolvers<Token>();
    logins.push(login);
    return login.promise;
  });
  return { auth, logins };
}

/** A token with this id. */
function tokenOf(id: string): Token {
  const model = {
    version: 1,
    initiator_id: null,
    time_updated: 0,
    time_deleted: 0,
  };
  const data = { login: "a", email: "a@b", full_name: "A", role_id: null };
  const user = { ...model, id: "u", model: "user" as const, data };
  return { ...model, id, model: "token", data: { expires_at: 1.5, user } };
}

Deno.test("logout() that is aborted before it starts forgets the token", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const { id } = await client.login();
  const signal = AbortSignal.abort("enough");
  assertEquals(
    await client.logout({ signal }).catch((reason) => reason),
    "enough",
  );
  await client.getUserSelf();
  const { headers } = server.exchanges.at(-1) ?? {};
  assert(headers && headers.get("authorization") !== id);
});

Deno.test("V1Auth starts another login if a joined one takes more than half of the wait", async () => {
  const { auth, logins } = controlledAuth();
  const first = auth.token();
  const joined = [auth.token(undefined, 20), auth.token(undefined, 20)];
  while (logins.length < 2) await new Promise((next) => setTimeout(next, 1));
  logins[1]?.resolve(tokenOf("second"));
  assertEquals(await Promise.all(joined), ["second", "second"]);
  assertEquals(await auth.token(), "second");
  logins[0]?.resolve(tokenOf("first"));
  assertEquals(await first, "first");
  assertEquals(await auth.token(), "second");
  assertEquals(logins.length, 2);
});

Deno.test("V1Auth shares the next login with all that waited for one that never ends", async () => {
  const { auth, logins } = controlledAuth();
  auth.token().catch(() => {});
  const waits = [10, 30, 50, 70];
  const joined = waits.map((wait) => auth.token(undefined, wait));
  while (logins.length < 2) await new Promise((next) => setTimeout(next, 1));
  logins[1]?.resolve(tokenOf("second"));
  assertEquals(await Promise.all(joined), waits.map(() => "second"));
  assertEquals(logins.length, 2);
});

Deno.test("V1Auth takes the joined login if it is faster than the other one", async () => {
  const { auth, logins } = controlledAuth();
  const first = auth.token();
  const joined = auth.token(undefined, 10);
  while (logins.length < 2) await new Promise((next) => setTimeout(next, 1));
  logins[0]?.resolve(tokenOf("first"));
  assertEquals([await first, await joined], ["first", "first"]);
});

Deno.test("V1Auth rejects with the error of its own login if both fail", async () => {
  const { auth, logins } = controlledAuth();
  const first = assertRejects(() => auth.token(), Error, "first");
  const joined = assertRejects(
    () => auth.token(undefined, 10),
    Error,
    "second",
  );
  while (logins.length < 2) await new Promise((next) => setTimeout(next, 1));
  logins[0]?.reject(new Error("first"));
  logins[1]?.reject(new Error("second"));
  await Promise.all([first, joined]);
});

Deno.test("V1Auth rejects each call that waits for a failed login with an error of its own", async () => {
  const { auth, logins } = controlledAuth();
  const calls = [auth.token(), auth.token()].map((call) =>
    assertRejects(() => call, DecapodAPIError)
  );
  const failure = new DecapodAPIError("POST: 403 Forbidden", {
    code: 403,
    error: "Forbidden",
    description: "No",
    cause: "a proxy",
  });
  logins[0]?.reject(failure);
  const errors = await Promise.all(calls);
  assertNotStrictEquals(errors[0], errors[1]);
  for (const error of errors) {
    assertEquals(error.toJSON(), failure.toJSON());
    assertEquals(error.cause, "a proxy");
  }
});

Deno.test("V1Auth.end() rejects calls that wait for a login, and returns its token", async () => {
  const { auth, logins } = controlledAuth();
  const call = assertRejects(
    () => auth.token(),
    DecapodError,
    "canceled by logout() or disposal",
  );
  const ended = auth.end();
  await call;
  logins[0]?.resolve(tokenOf("late"));
  assertEquals((await ended)?.id, "late");
});

Deno.test("V1Auth logs in again for a call that retries while others still wait for the failed login", async () => {
  const { auth, logins } = controlledAuth();
  const again = auth.login().catch(() => auth.login());
  const { signal } = new AbortController();
  const other = assertRejects(() => auth.token(signal, 1000), Error, "first");
  logins[0]?.reject(new Error("first"));
  await other;
  logins[1]?.resolve(tokenOf("second"));
  assertEquals((await again).id, "second");
});

Deno.test("V1Auth waits less for a login that has taken longer than the call may", async () => {
  let time = 0;
  let waits: number[] = [];
  using _clock = replace(performance, "now", () => time);
  using _timers = replace(AbortSignal, "timeout", (wait) => {
    waits.push(wait);
    return new AbortController().signal;
  });
  const cases = [[0, 60], [60, 60], [90, 30], [120, 0], [1000, 0]];
  for (const [age = 0, expected] of cases) {
    const { auth, logins } = controlledAuth();
    time = 0;
    waits = [];
    const first = auth.token();
    time = age;
    const joined = auth.token(undefined, 60);
    logins[0]?.resolve(tokenOf("first"));
    assertEquals([await first, await joined], ["first", "first"]);
    assertEquals(waits, [expected], `a login that began ${age} ms ago`);
  }
});
