/** Sessions: logins, renewals and logouts. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Client,
  DecapodAPIError,
  DecapodError,
  DecapodTimeoutError,
  noAuth,
  type Token,
  V1Auth,
} from "../mod.ts";
import { Client as AbstractClient } from "../client.ts";
import { type Gate, gate, within } from "./support/gate.ts";
import {
  CountedSignal,
  fixedRandom,
  recordUnhandled,
  replace,
} from "./support/patch.ts";
import {
  apiError,
  type Exchange,
  json,
  PASSWORD,
  StandInServer,
  TestServer,
} from "./support/server.ts";
import { untyped } from "./support/untyped.ts";

const { AUTH_URL } = V1Auth;

/** The requests other than logins and logouts. */
const calls = ({ exchanges }: TestServer) =>
  exchanges.filter(({ path }) => path !== AUTH_URL);

const isLogin = ({ method, path }: Exchange) =>
  method === "POST" && path === AUTH_URL;

/** A token with this id. */
const tokenOf = (id: string) => untyped<Token>({ id });

const tokens = (exchanges: Exchange[]) =>
  exchanges.map(({ headers }) => headers.get("authorization"));

/** A server whose logins wait at the wall. */
function walledServer(wall: Gate): StandInServer {
  return new StandInServer({}, async (exchange) => {
    if (isLogin(exchange)) await wall.pass();
    return undefined;
  });
}

Deno.test("getUserSelf() logs in once for a thousand concurrent first calls", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const users = await Promise.all(
    Array.from({ length: 1000 }, () => client.getUserSelf()),
  );
  assert(users.every(({ data }) => data.login === "root"));
  assertEquals(server.logins, 1);
  assertEquals(tokens(calls(server)), users.map(() => server.token));
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
    assert(outcome.reason instanceof DecapodAPIError);
    assertEquals(outcome.reason.code, 401);
  }
  assertEquals(server.logins, 1);
  server.standIn.setPassword("root", "wrong"); // now it is the right one
  assertEquals((await client.getUserSelf()).data.login, "root");
  assertEquals(server.logins, 2);
  await new Promise((resolve) => setTimeout(resolve)); // they are told late
  assertEquals(unhandled.reasons, []);
});

Deno.test("getUserSelf() logs in again once for 200 calls whose token was revoked", async () => {
  const wall = gate();
  let waiting = 0;
  await using server: StandInServer = new StandInServer(
    {},
    async (exchange) => {
      // All of them are on their way before the token dies.
      if (isLogin(exchange) || server.logins > 1) return undefined;
      if (++waiting === 200) {
        server.standIn.revokeTokens();
        wall.open();
      }
      await wall.pass();
      return undefined;
    },
  );
  const client = server.client();
  await client.login();
  const old = server.token;
  const all = Array.from({ length: 200 }, () => client.getUserSelf());
  const users = await Promise.all(all);
  assert(users.every(({ data }) => data.login === "root"));
  assertEquals(server.logins, 2);
  assert(server.token !== old);
  assertEquals(
    tokens(calls(server)),
    [...all.map(() => old), ...all.map(() => server.token)],
  );
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

Deno.test("getUserSelf() rejects after a second 401, also if it is retried in between", async () => {
  using _ = fixedRandom(0);
  for (const statuses of [[401, 401], [401, 503, 401]]) {
    let logins = 0;
    await using server: TestServer = new TestServer((_, { path }) => {
      if (path === AUTH_URL) return json({ id: `t${++logins}` });
      const { length } = calls(server);
      const code = statuses[length - 1];
      return code ? apiError(code, "Failure", `Number ${length}`) : json({});
    });
    const { code, message } = await assertRejects(
      () => server.client().getUserSelf(),
      DecapodAPIError,
      "check the login and the password",
    );
    assertEquals(code, 401);
    assert(message.includes(`Number ${statuses.length}`), message);
    const [, ...later] = statuses;
    assertEquals(tokens(calls(server)), ["t1", ...later.map(() => "t2")]);
    assertEquals(logins, 2);
  }
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
  assertEquals(tokens(calls(server)).at(-1), token);
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
  assertEquals([error.code, server.logins], [503, 2]);
});

Deno.test("getUserSelf() that is aborted or times out leaves the login to the other calls", async () => {
  const wall = gate();
  await using server = walledServer(wall);
  using _ = wall;
  const client = server.client();
  const controller = new AbortController();
  const aborted = client.getUserSelf({ signal: controller.signal })
    .catch((reason) => reason);
  const hurried = assertRejects(
    () => client.getUserSelf({ timeout: 1 }),
    DecapodTimeoutError,
    "within 1 ms",
  );
  const patient = client.getRoleSelf();
  await wall.reached;
  controller.abort("no longer of interest");
  assertEquals(await within(aborted), "no longer of interest");
  await within(hurried);
  wall.open();
  assertEquals((await patient).model, "role");
  assertEquals(server.logins, 1);
  assertEquals(server.sent("GET", "/v1/user/self/"), []);
});

Deno.test("V1Auth cancels a login that no call waits for", async () => {
  const started = Promise.withResolvers<AbortSignal>();
  const auth = new V1Auth((signal) => {
    started.resolve(signal);
    return new Promise(() => {});
  });
  const controllers = [new AbortController(), new AbortController()];
  const waiting = controllers.map(({ signal }) =>
    auth.token(signal).catch((reason) => reason)
  );
  const login = await started.promise;
  for (const [index, controller] of controllers.entries()) {
    assertEquals(login.aborted, false);
    controller.abort(index);
    assertEquals(await waiting[index], index);
  }
  assertEquals(login.aborted, true);
});

Deno.test("login() logs in again, or joins a login under way", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const [token] = await Promise.all([client.login(), client.getUserSelf()]);
  assertEquals(server.logins, 1);
  const again = await client.login();
  assert(again.id !== token.id);
  await client.getUserSelf();
  assertEquals(tokens(calls(server)), [token.id, again.id]);
  assertEquals(server.logins, 2);
});

Deno.test("login() obeys retries and headers", async () => {
  using _ = fixedRandom(0);
  await using server: TestServer = new TestServer(() =>
    server.logins > 2 ? json({ id: "t" }) : new Response("", { status: 503 })
  );
  const options = { retries: 1, headers: { "x-trace": "1" } };
  await assertRejects(() => server.client().login(options), DecapodAPIError);
  assertEquals(
    server.exchanges.map(({ headers }) => headers.get("x-trace")),
    ["1", "1"],
  );
});

Deno.test("login() rejects a token that does not fit into a header", async () => {
  for (const id of ["", "a b", "a\r\nb: c", "ü", 5, null]) {
    await using server = new TestServer(() => json({ id }));
    await assertRejects(() => server.client().login(), DecapodError, "POST");
    await assertRejects(() => server.client().getUserSelf(), DecapodError);
    assertEquals(calls(server), []);
  }
});

Deno.test("getInfo() and password resets need no login, and logout() then sends nothing", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getInfo();
  await client.requestPasswordReset("root");
  const reset = server.standIn.mails.at(-1)?.resetToken ?? "";
  await client.peekPasswordReset(reset);
  await client.resetPassword(reset, PASSWORD);
  await client.logout();
  assertEquals(tokens(server.exchanges), [null, null, null, null]);
  assertEquals(calls(server).length, 4);
});

Deno.test("logout() ends the session; the next call logs in again", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getUserSelf();
  const { token } = server;
  await client.logout();
  await client.logout();
  assertEquals(tokens(server.sent("DELETE", AUTH_URL)), [token]);
  const dead = server.client({ headers: { authorization: token } });
  await assertRejects(() => dead.getUserSelf(), DecapodAPIError, "401");

  await client.getUserSelf();
  assert(server.token !== token);
  assertEquals(server.logins, 2);
});

Deno.test("logout() resolves if the token has expired", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getUserSelf();
  server.standIn.revokeTokens();
  await client.logout();
  assertEquals(server.sent("DELETE", AUTH_URL).length, 1);
  assertEquals(server.logins, 1);
});

Deno.test("logout() that fails or is aborted rejects and forgets the token", async () => {
  await using server = new StandInServer(
    {},
    ({ method }) =>
      method === "DELETE" ? new Response("", { status: 500 }) : undefined,
  );
  const client = server.client();
  await client.login();
  const error = await assertRejects(() => client.logout(), DecapodAPIError);
  assertEquals([error.code, error.outcomeUnknown], [500, true]);
  await client.logout(); // nobody is logged in
  await client.getUserSelf();
  const signal = AbortSignal.abort("enough");
  const reason = await client.logout({ signal }).catch((reason) => reason);
  assertEquals(reason, "enough");
  await client.getUserSelf();
  assertEquals(server.logins, 3);
  assertEquals(server.sent("DELETE", AUTH_URL).length, 1);
});

Deno.test("logout() during a login cancels the calls and deletes the token that arrives, if any", async () => {
  for (const password of [PASSWORD, "wrong"]) {
    const wall = gate();
    await using server = walledServer(wall);
    const client = server.client({ password });
    const waiting = [
      client.getUserSelf(),
      client.getRoleSelf(),
      client.login(),
    ].map((call) =>
      assertRejects(() => call, DecapodError, "canceled by logout()")
    );
    await wall.reached;
    const logout = client.logout();
    setTimeout(wall.open);
    await Promise.all(waiting);
    assertEquals(wall.isOpen, false);
    await logout;
    assertEquals(calls(server), []);
    const deleted = server.sent("DELETE", AUTH_URL);
    assertEquals(tokens(deleted), password === PASSWORD ? [server.token] : []);
    assert(deleted.every(({ answer }) => answer?.status === 200));
    server.standIn.setPassword("root", password);
    await client.getUserSelf();
    assertEquals(server.logins, 2);
  }
});

Deno.test("logout() that is aborted cancels the login that it waits for", async () => {
  const wall = gate();
  const logins: (AbortSignal | null | undefined)[] = [];
  await using server = new StandInServer();
  const client = server.client({
    async fetch(url, init) {
      logins.push(init.signal);
      await wall.pass();
      return await fetch(url, init);
    },
  });
  client.getUserSelf().catch(() => {});
  await wall.reached;
  const controller = new AbortController();
  const { signal } = controller;
  const logout = client.logout({ signal }).catch((reason) => reason);
  await new Promise((resolve) => setTimeout(resolve)); // it waits
  controller.abort("enough");
  setTimeout(wall.open); // a logout that still waits for the login resolves
  assertEquals(await logout, "enough");
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(logins.map((login) => login?.aborted), [true]);
  assertEquals(server.exchanges, []);
});

Deno.test("asyncDispose logs out and never throws", async () => {
  await using server = new StandInServer();
  {
    await using client = server.client();
    await client.getUserSelf();
  }
  assertEquals(tokens(server.sent("DELETE", AUTH_URL)), [server.token]);

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

Deno.test("V1Auth keeps a token until it is revoked", async () => {
  let logins = 0;
  const auth = new V1Auth(() => Promise.resolve(tokenOf(`token${++logins}`)));
  assertEquals(AUTH_URL, "/v1/auth/");
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

Deno.test("V1Auth does not log in if the signal is aborted, and leaves no listener on others", async () => {
  const counted = new CountedSignal();
  const good = new V1Auth(() => Promise.resolve(tokenOf("token")));
  await good.token(counted.signal);
  const bad = new V1Auth(() => Promise.reject(new Error("wrong")));
  await assertRejects(() => bad.token(counted.signal), Error, "wrong");
  assertEquals([counted.listeners, counted.added], [0, 2]);
  const dead = AbortSignal.abort("dead");
  assertEquals(await bad.token(dead).catch((reason) => reason), "dead");
});

Deno.test("V1Auth stops waiting if the login itself aborts the signal", async () => {
  const controller = new AbortController();
  let login: AbortSignal | undefined;
  const auth = new V1Auth((signal) => {
    login = signal;
    controller.abort("by the login");
    return new Promise(() => {});
  });
  const reason = await auth.token(controller.signal).catch((e) => e);
  assertEquals(reason, "by the login");
  assertEquals(login?.aborted, true);
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
  const account = { login: "root", password: PASSWORD };
  await new CountingClient(server.url, account).getUserSelf();
  assertEquals(asked, 1);
  assert(Client.AUTH_CLASS === V1Auth);
  assertEquals(AbstractClient.AUTH_CLASS, null);
});

/** A session whose logins the test ends. */
function controlledAuth() {
  const logins: PromiseWithResolvers<Token>[] = [];
  const auth = new V1Auth(() => {
    const login = Promise.withResolvers<Token>();
    logins.push(login);
    return login.promise;
  });
  /** Waits until there is a second login, which is due after some ms. */
  const second = async () => {
    for (let turn = 0; turn < 200 && logins.length < 2; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals(logins.length, 2);
  };
  return { auth, logins, second };
}

Deno.test("V1Auth starts one other login for all that wait for half their time", async () => {
  const { auth, logins, second } = controlledAuth();
  const first = auth.token();
  const waits = [10, 10, 30, 50, 70];
  const joined = waits.map((wait) => auth.token(undefined, wait));
  await second();
  logins[1]?.resolve(tokenOf("second"));
  assertEquals(await Promise.all(joined), waits.map(() => "second"));
  logins[0]?.resolve(tokenOf("first"));
  assertEquals(await first, "first");
  assertEquals(await auth.token(), "second");
  assertEquals(logins.length, 2);
});

Deno.test("V1Auth takes the joined login if it is faster, and rejects with its own error if both fail", async () => {
  {
    const { auth, logins, second } = controlledAuth();
    const both = [auth.token(), auth.token(undefined, 10)];
    await second();
    logins[0]?.resolve(tokenOf("first"));
    assertEquals(await Promise.all(both), ["first", "first"]);
  }
  const { auth, logins, second } = controlledAuth();
  const both = [
    assertRejects(() => auth.token(), Error, "first"),
    assertRejects(() => auth.token(undefined, 10), Error, "second"),
  ];
  await second();
  logins[0]?.reject(new Error("first"));
  logins[1]?.reject(new Error("second"));
  await Promise.all(both);
});

Deno.test("V1Auth rejects each call that waits for a failed login with its own error", async () => {
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
  assert(errors[0] !== errors[1]);
  for (const error of errors) {
    assertEquals(error.toJSON(), failure.toJSON());
    assertEquals(error.cause, "a proxy");
  }
});

Deno.test("V1Auth.end() rejects calls that wait for a login, and returns its token", async () => {
  const { auth, logins } = controlledAuth();
  const call = assertRejects(() => auth.token(), DecapodError, "canceled by");
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
  const waits: number[] = [];
  using _clock = replace(performance, "now", () => time);
  using _timers = replace(AbortSignal, "timeout", (wait) => {
    waits.push(wait);
    return new AbortController().signal;
  });
  for (const age of [0, 60, 90, 120, 1000]) {
    const { auth, logins } = controlledAuth();
    time = 0;
    const first = auth.token();
    time = age;
    const joined = auth.token(undefined, 60);
    logins[0]?.resolve(tokenOf("first"));
    assertEquals([await first, await joined], ["first", "first"]);
  }
  assertEquals(waits, [60, 60, 30, 0, 0]);
});

Deno.test("V1Auth.token() accepts Infinity as no limit when it joins a login", async () => {
  const { auth, logins } = controlledAuth();
  const both = [auth.token(), auth.token(undefined, Infinity)];
  logins[0]?.resolve(tokenOf("token"));
  assertEquals(await Promise.all(both), ["token", "token"]);
});

Deno.test("V1Auth logs in itself if two logins in a row never settle", async () => {
  let logins = 0;
  const auth = new V1Auth(() =>
    ++logins < 3 ? new Promise(() => {}) : Promise.resolve(tokenOf("third"))
  );
  auth.token();
  auth.token(undefined, 10); // its own login never settles, either
  assertEquals(await within(auth.token(undefined, 20)), "third");
});
