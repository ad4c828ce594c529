/** Sessions: logins, renewals, and what logout() and disposal end. */

import {
  assert,
  assertEquals,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  Client,
  DecapodAPIError,
  DecapodError,
  DecapodTimeoutError,
  noAuth,
  type RequestOptions,
  type Token,
  V1Auth,
  type V1Client,
} from "../mod.ts";
import { Client as AbstractClient } from "../client.ts";
import { fixedRandom, recordUnhandled, replace } from "./support/patch.ts";
import {
  apiError,
  type Exchange,
  INFO,
  json,
  makeClient,
  PASSWORD,
  StandInServer,
  TestServer,
} from "./support/server.ts";
import { typed } from "./support/stub.ts";
import { gate, inTime } from "./support/time.ts";
import { untyped } from "./support/untyped.ts";

const { AUTH_URL } = V1Auth;

/** The requests other than logins and logouts. */
const calls = ({ exchanges }: TestServer) =>
  exchanges.filter(({ path }) => path !== AUTH_URL);

const isLogin = ({ method, path }: Exchange) =>
  method === "POST" && path === AUTH_URL;

const tokens = (exchanges: Exchange[]) =>
  exchanges.map(({ headers }) => headers.get("authorization"));

const nextTurn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("getUserSelf() logs in once for 200 concurrent calls, and once more when their token is revoked", async () => {
  const wall = gate();
  let first = "";
  await using server: StandInServer = new StandInServer(
    {},
    async (exchange) => {
      if (isLogin(exchange) || wall.isOpen) return undefined;
      if (calls(server).length === 200) {
        // All of them are on their way before the token dies.
        first = server.token;
        server.standIn.revokeTokens();
        wall.open();
      }
      await wall.pass();
      return undefined;
    },
  );
  const client = server.client();
  const all = Array.from({ length: 200 }, () => client.getUserSelf());
  const users = await Promise.all(all);
  assert(users.every(({ data }) => data.login === "root"));
  assertEquals(server.logins, 2);
  const expected = [first, server.token].flatMap((one) => all.map(() => one));
  assertEquals(tokens(calls(server)), expected);
});

Deno.test("getUserSelf() fails for all that wait for a failed login, each with its own error; the next one logs in again", async () => {
  await using server = new StandInServer();
  using unhandled = recordUnhandled();
  const client = server.client({ password: "wrong" });
  const errors = await Promise.all(
    Array.from(
      { length: 200 },
      () => assertRejects(() => client.getUserSelf(), DecapodAPIError, "401"),
    ),
  );
  assertEquals(new Set(errors).size, 200);
  assertEquals(new Set(errors.map((error) => JSON.stringify(error))).size, 1);
  assertEquals(server.logins, 1);
  server.standIn.setPassword("root", "wrong"); // now it is the right one
  assertEquals((await client.getUserSelf()).data.login, "root");
  assertEquals(server.logins, 2);
  await nextTurn(); // unhandled rejections are reported late
  assertEquals(unhandled.reasons, []);
});

type Call = (client: V1Client) => Promise<unknown>;

const getUserSelf: Call = (client) => client.getUserSelf();
const createCluster: Call = (client) => client.createCluster("ceph");

/** The statuses of a call's first attempts, and the one that it rejects with. */
const RENEWALS: [Call, statuses: number[], rejects?: number][] = [
  [createCluster, [401]],
  [createCluster, [401, 401], 401],
  [createCluster, [401, 503], 503],
  [getUserSelf, [401]],
  [getUserSelf, [401, 401], 401],
  [getUserSelf, [401, 503, 401], 401],
];

Deno.test("getUserSelf() and createCluster() log in again and repeat once after a 401, and reject after a second one", async () => {
  using _ = fixedRandom(0);
  for (const [call, statuses, rejects] of RENEWALS) {
    await using server: TestServer = new TestServer((_, { path }) => {
      if (path === AUTH_URL) return json({ id: `t${server.logins}` });
      const { length } = calls(server);
      const code = statuses[length - 1];
      return code ? apiError(code, "Failure", `Number ${length}`) : json({});
    });
    const error = await call(server.client()).then(() => {}, (error) => error);
    assertEquals(error?.code, rejects);
    if (rejects) {
      assertStringIncludes(error.message, `Number ${statuses.length}`);
    }
    const attempts = statuses.length + (rejects ? 0 : 1);
    const later = Array(attempts - 1).fill("t2");
    assertEquals(tokens(calls(server)), ["t1", ...later]);
    assertEquals(server.logins, 2);
  }
});

Deno.test("getUserSelf() logs in with the client's retries, login() with its own, and with its headers", async () => {
  using _ = fixedRandom(0);
  let failures = 0;
  await using server = new TestServer((_, exchange) =>
    isLogin(exchange) && failures-- > 0
      ? new Response("busy", { status: 503 })
      : json({ id: "token" })
  );
  failures = 2;
  await server.client().createCluster("ceph", { retries: 0 });
  assertEquals([server.logins, calls(server).length], [3, 1]);

  failures = Infinity;
  const headers = { "x-trace": "1" };
  const rejects: (() => Promise<unknown>)[] = [
    () => server.client({ retries: 1 }).getUserSelf({ retries: 9 }),
    () => server.client().login({ retries: 1, headers }),
  ];
  for (const call of rejects) {
    server.exchanges.length = 0;
    await assertRejects(call, DecapodAPIError, "503");
    assertEquals(server.logins, 2);
  }
  for (const { headers } of server.exchanges) {
    assertEquals(headers.get("x-trace"), "1");
  }
});

Deno.test("getUserSelf() that is aborted or times out leaves the login to the other calls", async () => {
  const wall = gate();
  await using server = new StandInServer({}, async (exchange) => {
    if (isLogin(exchange)) await wall.pass();
    return undefined;
  });
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
  assertEquals(await inTime(aborted), "no longer of interest");
  await inTime(hurried);
  wall.open();
  assertEquals((await patient).model, "role");
  assertEquals(server.logins, 1);
  assertEquals(server.sent("GET", "/v1/user/self/"), []);
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

Deno.test("login() rejects a token that is empty, no string or no header value", async () => {
  for (const id of ["", "a b", "a\r\nb: c", "ü", 5, null]) {
    await using server = new TestServer(() => json({ id }));
    await assertRejects(() => server.client().login(), DecapodError, "POST");
    await assertRejects(() => server.client().getUserSelf(), DecapodError);
    assertEquals(calls(server), []);
  }
});

Deno.test("logout() ends the session, if there is one; the next call logs in again", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getInfo();
  await client.logout();
  assertEquals(server.exchanges.length, 1);
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
  await client.logout(); // has no session
  await client.getUserSelf();
  const signal = AbortSignal.abort("enough");
  const reason = await client.logout({ signal }).catch((reason) => reason);
  assertEquals(reason, "enough");
  await client.getUserSelf();
  assertEquals(server.logins, 3);
  assertEquals(server.sent("DELETE", AUTH_URL).length, 1);
});

Deno.test("logout() during a login cancels the calls and deletes the token that arrives, if any", async () => {
  for (const fails of [false, true]) {
    const wall = gate();
    await using server = new StandInServer({}, async (exchange) => {
      if (!isLogin(exchange) || wall.isOpen) return undefined;
      await wall.pass();
      return fails ? apiError(500, "Oops", "No") : undefined;
    });
    const client = server.client();
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
    assertEquals(tokens(deleted), fails ? [] : [server.token]);
    assert(deleted.every(({ answer }) => answer?.status === 200));
    await client.getUserSelf();
    assertEquals(server.logins, 2);
  }
});

Deno.test("logout() that is aborted cancels the login that it waits for", async () => {
  const started = Promise.withResolvers<AbortSignal>();
  const client = makeClient("http://decapod", {
    fetch(_, { signal }) {
      started.resolve(signal);
      return new Promise(() => {});
    },
  });
  client.getUserSelf().catch(() => {});
  const login = await started.promise;
  const controller = new AbortController();
  const { signal } = controller;
  const logout = client.logout({ signal }).catch((reason) => reason);
  await nextTurn(); // it waits
  controller.abort("enough");
  assertEquals(await inTime(logout), "enough");
  await nextTurn();
  assert(login.aborted);
});

Deno.test("asyncDispose logs out and never throws", async () => {
  await using server = new StandInServer();
  const outcomes: ((url: string, init: RequestInit) => Promise<Response>)[] = [
    fetch,
    () => Promise.reject(new TypeError("network down")),
    () => Promise.resolve(new Response("", { status: 500 })),
  ];
  for (const logout of outcomes) {
    await using client = server.client({
      fetch: (url, init) =>
        (init.method === "DELETE" ? logout : fetch)(url, init),
    });
    await client.getUserSelf();
    await client[Symbol.asyncDispose]();
    // The end of the block disposes it again.
  }
  const [{ answer } = {}, ...more] = server.sent("DELETE", AUTH_URL);
  assertEquals([answer?.status, more], [200, []]);
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

Deno.test("noAuth has no token", async () => {
  assertEquals(await noAuth.token(), undefined);
  assertEquals(noAuth.revokeToken(), undefined);
});

/** A session whose logins the test ends. */
function controlledAuth() {
  const logins: {
    resolve(id: string): void;
    reject(error: Error): void;
    signal: AbortSignal;
  }[] = [];
  const auth = new V1Auth((signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<Token>();
    logins.push({ resolve: (id) => resolve(untyped({ id })), reject, signal });
    return promise;
  });
  /** Waits until there are so many logins; another is due after some ms. */
  const started = async (count: number) => {
    for (let turn = 0; turn < 200 && logins.length < count; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals(logins.length, count);
  };
  return { auth, logins, started };
}

Deno.test("V1Auth keeps a token until it is revoked", async () => {
  let logins = 0;
  const auth = new V1Auth(() =>
    Promise.resolve(untyped({ id: `token${++logins}` }))
  );
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

Deno.test("V1Auth cancels a login that no call waits for", async () => {
  const { auth, logins } = controlledAuth();
  const controllers = [new AbortController(), new AbortController()];
  const waiting = controllers.map(({ signal }) =>
    auth.token(signal).catch((reason) => reason)
  );
  for (const [index, controller] of controllers.entries()) {
    assertEquals(logins[0]?.signal.aborted, false);
    controller.abort(index);
    assertEquals(await waiting[index], index);
  }
  assertEquals(logins[0]?.signal.aborted, true);
});

Deno.test("V1Auth.token() starts another login after maxWait, takes the faster one, and rejects with its own error if both fail", async () => {
  for (const fails of [false, true]) {
    const { auth, logins, started } = controlledAuth();
    const both = Promise.all(
      [auth.token(), auth.token(undefined, 10)]
        .map((token) => token.catch(({ message }) => message)),
    );
    await started(2);
    if (fails) {
      logins[0]?.reject(new Error("first"));
      logins[1]?.reject(new Error("second"));
    } else logins[0]?.resolve("first");
    assertEquals(await both, ["first", fails ? "second" : "first"]);
  }
});

Deno.test("V1Auth logs in again for a call that retries while others still wait for the failed login", async () => {
  const { auth, logins } = controlledAuth();
  const again = auth.login().catch(() => auth.login());
  const { signal } = new AbortController();
  const other = auth.token(signal, 1000);
  logins[0]?.reject(new DecapodError("first", { cause: "a proxy" }));
  const { cause } = await assertRejects(() => other, DecapodError, "first");
  assertEquals(cause, "a proxy");
  logins[1]?.resolve("second");
  assertEquals((await again).id, "second");
});

Deno.test("V1Auth.token() waits less for a login that has already taken long, and without a limit for Infinity", async () => {
  let time = 0;
  const waits: number[] = [];
  using _clock = replace(performance, "now", () => time);
  using _timers = replace(AbortSignal, "timeout", (wait) => {
    waits.push(wait);
    return new AbortController().signal;
  });
  const aged = [0, 60, 90, 120, 1000].map((age) => [age, 60]);
  for (const [age, wait] of [...aged, [0, Infinity]]) {
    const { auth, logins } = controlledAuth();
    time = 0;
    const first = auth.token();
    time = Number(age);
    const joined = auth.token(undefined, wait);
    logins[0]?.resolve("first");
    assertEquals([await first, await joined], ["first", "first"]);
  }
  assertEquals(waits, [60, 60, 30, 0, 0]);
});

Deno.test("V1Auth.token() starts a third login if two never settle", async () => {
  const { auth, logins, started } = controlledAuth();
  auth.token();
  auth.token(undefined, 10); // its own login never settles, either
  await started(2);
  const third = auth.token(undefined, 10);
  await started(3);
  logins[2]?.resolve("third");
  assertEquals(await inTime(third), "third");
});

const CANCELED = "canceled by logout() or disposal (is an await missing?)";

Deno.test("logout() and asyncDispose end the delays before retries and polls, and only the logout follows", async () => {
  for (const end of ["logout", Symbol.asyncDispose] as const) {
    await using server = new StandInServer(
      {},
      ({ path }) =>
        path === "/v1/role/self/"
          ? apiError(503, "Busy", "Later", { "retry-after": "20" })
          : undefined,
    );
    const answered = gate();
    let attempts = 0;
    const client = server.client({
      onAttempt: () => ++attempts === 3 && answered.pass(),
    });
    await client.login();
    const { id } = server.standIn.seedExecution();
    const failed = Promise.all(
      [client.getRoleSelf(), client.waitForExecution(String(id))]
        .map((call) => assertRejects(() => call, DecapodError, CANCELED)),
    );
    await Promise.race([answered.reached, failed]);
    await nextTurn(); // the delays began
    const ended = client[end]();
    await inTime(failed);
    await ended;
    const later = server.exchanges.slice(3);
    assertEquals(later.map(({ method }) => method), ["DELETE"]);
  }
});

Deno.test("logout() ends an iteration between two items of a page or of a chunk", async () => {
  await using server = new StandInServer(
    {},
    ({ path }) =>
      path.endsWith("/log/") ? typed("text/plain", "one\ntwo\n") : undefined,
  );
  for (const path of ["server", "execution/id/log"]) {
    const client = server.client();
    const iterator: AsyncIterator<unknown> = path === "server"
      ? client.getServers()[Symbol.asyncIterator]()
      : client.streamExecutionLog("id");
    assertEquals((await iterator.next()).done, false);
    await client.logout();
    const { logins } = server;
    await assertRejects(
      () => iterator.next(),
      DecapodError,
      `GET ${server.url}/v1/${path}/: canceled by logout() or disposal (is`,
    );
    assertEquals((await iterator.next()).done, true);
    assertEquals(server.logins, logins);
  }
});

Deno.test("logout() lets a request on the wire finish, once; its error tells whether the outcome is unknown", async () => {
  const read = (client: V1Client) => client.getRoleSelf();
  const create = (client: V1Client) =>
    client.createCluster("c", { retries: 5 });
  for (
    const [call, status, outcomeUnknown] of [
      [read, 200, undefined],
      [read, 401, false],
      [read, 503, false],
      [create, 503, true],
    ] as const
  ) {
    const wall = gate();
    await using server = new StandInServer({}, async ({ path }) => {
      if (path === "/v1/auth/") return undefined;
      await wall.pass();
      return status === 200
        ? Response.json(INFO)
        : apiError(status, "Failure", "Sorry");
    });
    const client = server.client();
    await client.login();
    const outcome: Promise<unknown> = call(client).catch((error) => error);
    await wall.reached;
    await client.logout();
    wall.open();
    const result = await outcome;
    if (result instanceof DecapodError) {
      assertEquals(result.outcomeUnknown, outcomeUnknown);
    } else assertEquals(result, INFO);
    assertEquals(server.exchanges.length, 3); // login, call and logout
  }
});

Deno.test("logout() allows calls that start after it", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getUserSelf();
  const logout = client.logout();
  const call = client.getUserSelf();
  await logout;
  assertEquals((await call).data.login, "root");
  assertEquals(server.logins, 2);
});

Deno.test("login() and createCluster() do not depend on a login of another call that never settles", async () => {
  const timeout = 1000;
  for (const isRenewal of [false, true]) {
    const wall = gate();
    let hangs = false;
    await using server = new StandInServer({}, async ({ path }) => {
      if (path !== "/v1/auth/" || !hangs) return undefined;
      hangs = false; // only this one hangs
      await wall.pass();
      return undefined;
    });
    using _ = wall;
    const client = server.client();
    if (isRenewal) await client.login();
    server.standIn.revokeTokens();
    hangs = true;
    const abandoned = client.getUserSelf().catch(() => {});
    await wall.reached;
    // All join it and share another login, which later calls use, too.
    await Promise.all([
      client.createCluster("ceph", { timeout }),
      client.login({ timeout }),
      client.getRoleSelf({ timeout: timeout * 1.5 }), // it waits for longer
    ]);
    await client.getUserSelf({ timeout });
    assertEquals(server.logins, isRenewal ? 3 : 2);
    wall.open();
    await abandoned;
  }
});

Deno.test("getUserSelf() logs in again after an hour without a request", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getUserSelf();
  server.clock.advance(3_600_000);
  assertEquals((await client.getUserSelf()).data.login, "root");
  assertEquals(server.logins, 2);
});

Deno.test("logout() several times at once deletes the token once, and resolves even if it has expired", async () => {
  for (const hasExpired of [false, true]) {
    await using server = new StandInServer();
    const client = server.client();
    await client.getUserSelf();
    if (hasExpired) server.standIn.revokeTokens();
    const { logout, [Symbol.asyncDispose]: dispose } = client;
    const ends = [logout, dispose, logout].map((end) => end.call(client));
    await Promise.all(ends);
    assertEquals(server.sent("DELETE", "/v1/auth/").length, 1);
    assertEquals(server.logins, 1);
  }
});

Deno.test("asyncDispose waits 5 s at most for a login that never ends", async () => {
  const timeouts: number[] = [];
  const client = makeClient("http://decapod", {
    fetch: () => new Promise(() => {}),
  });
  const call = client.getUserSelf().catch(() => {});
  const { logout } = client;
  client.logout = (options?: RequestOptions) => {
    timeouts.push(options?.timeout ?? Infinity);
    return logout.call(client, { timeout: 10 });
  };
  await inTime(client[Symbol.asyncDispose]());
  await inTime(call);
  assertEquals(timeouts.length, 1);
  assertLess(timeouts[0] ?? NaN, 5001);
});

Deno.test("logout() succeeds where an iteration cannot be aborted", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const iterator = client.getUsers()[Symbol.asyncIterator]();
  await iterator.next();
  {
    // As on workerd, for a controller that another request created.
    using _ = replace(AbortController.prototype, "abort", () => {
      throw new Error("Cannot perform I/O on behalf of a different request");
    });
    await client.logout();
  }
  assertEquals(server.exchanges.at(-1)?.method, "DELETE");
  await iterator.return();
});
