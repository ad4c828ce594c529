/** What logout() and disposal end, and logins that never settle. */

import {
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodError,
  type RequestOptions,
  type V1Client,
} from "../mod.ts";
import { type Gate, gate } from "./support/gate.ts";
import { apiError, INFO, makeClient, StandInServer } from "./support/server.ts";

/** How a session ends. */
const ENDINGS: Record<string, (client: V1Client) => Promise<void>> = {
  logout: (client) => client.logout(),
  asyncDispose: (client) => client[Symbol.asyncDispose](),
};

interface Stage {
  client: V1Client;
  server: StandInServer;
  /** Where requests whose path or query contains `held` wait. */
  wall: Gate;
}

/** What is under way when the session ends. */
interface Operation {
  /** Starts it; `reached` resolves when it is where it has to end. */
  start(stage: Stage): { done: Promise<unknown>; reached: Promise<unknown> };
  /** Part of the URLs of requests that wait at the wall. */
  held?: string;
  /** Responds with 503 and a long Retry-After instead of the stand-in. */
  busy?: string;
}

function seedExecution({ standIn }: StandInServer): string {
  return String(standIn.seedExecution({ duration: 1e9 }).id);
}

const OPERATIONS: Record<string, Operation> = {
  "waitForExecution() between two polls": {
    start({ client, server }) {
      const polled = Promise.withResolvers<void>();
      const done = client.waitForExecution(seedExecution(server), {
        interval: 60_000,
        onUpdate: () => polled.resolve(),
      });
      return { done, reached: polled.promise };
    },
  },
  "waitForExecution() during a poll": {
    held: "/execution/",
    start: ({ client, server, wall }) => ({
      done: client.waitForExecution(seedExecution(server)),
      reached: wall.reached,
    }),
  },
  "followExecution() between two polls": {
    start({ client, server }) {
      const events = client.followExecution(seedExecution(server), {
        interval: 60_000,
      });
      const first = events.next();
      const done = first.then(() => events.next());
      return { done, reached: first };
    },
  },
  "toArray() during a page": {
    held: "sort_by",
    start: ({ client, wall }) => ({
      done: client.getServers({ perPage: 2 }).toArray(),
      reached: wall.reached,
    }),
  },
  "streamExecutionLog() before the log": {
    held: "/log/",
    start: ({ client, server, wall }) => ({
      done: client.streamExecutionLog(seedExecution(server)).next(),
      reached: wall.reached,
    }),
  },
  "editRole() between its read and its write": {
    start({ client }) {
      const changing = Promise.withResolvers<void>();
      const done = client.createRole("viewer", []).then(({ id }) =>
        client.editRole(id, () => {
          changing.resolve();
          return new Promise(() => {});
        })
      );
      return { done, reached: changing.promise };
    },
  },
  "getRoleSelf() between two attempts": {
    busy: "/role/self/",
    start({ client, wall }) {
      const done = client.getRoleSelf();
      return { done, reached: wall.reached };
    },
  },
  "getUserSelf() waiting for a login": {
    held: "/auth/",
    start({ client, wall }) {
      const done = client.getUserSelf();
      return { done, reached: wall.reached };
    },
  },
};

for (const [ending, end] of Object.entries(ENDINGS)) {
  for (const [name, { start, held, busy }] of Object.entries(OPERATIONS)) {
    Deno.test(`${ending} ends ${name}`, async () => {
      const wall = gate();
      const includes = (url: string, part?: string) =>
        part !== undefined && url.includes(part);
      await using server = new StandInServer({}, async (exchange) => {
        const { path, query, method } = exchange;
        const url = `${path}?${new URLSearchParams(query)}`;
        if (includes(url, held) && method !== "DELETE") await wall.pass();
        if (!includes(url, busy)) return undefined;
        return apiError(503, "Busy", "Later", { "retry-after": "20" });
      });
      const client = server.client({
        onAttempt: ({ status }) => status === 503 && wall.pass(),
      });
      if (held !== "/auth/") await client.login();
      const { done, reached } = start({ client, server, wall });
      const failed = assertRejects(() => done, DecapodError);
      await Promise.race([reached, failed]);
      await new Promise((resolve) => setTimeout(resolve)); // the wait began
      const requests = server.exchanges.length;
      const time = performance.now();
      const ended = end(client);
      const error = await failed;
      assertLess(performance.now() - time, 1000);
      assertStringIncludes(
        error.message,
        "canceled by logout() or disposal",
      );
      wall.open();
      await ended;
      // Nothing but the logout follows, and nobody logs in again.
      const later = server.exchanges.slice(requests);
      assertEquals(
        later.map(({ method, path }) => `${method} ${path}`),
        ["DELETE /v1/auth/"],
      );
    });
  }
}

Deno.test("logout() ends an iteration between two items of a page or of a chunk", async () => {
  await using server = new StandInServer(
    {},
    ({ path }) =>
      path.endsWith("/log/") ? new Response("one\ntwo\nthree\n") : undefined,
  );
  for (
    const iterate of [
      (client: V1Client) => client.getServers()[Symbol.asyncIterator](),
      (client: V1Client) => client.streamExecutionLog("id"),
    ]
  ) {
    const client = server.client();
    const iterator = iterate(client)[Symbol.asyncIterator]();
    assertEquals((await iterator.next()).done, false);
    await client.logout();
    const { logins } = server;
    await assertRejects(
      () => iterator.next(),
      DecapodError,
      "canceled by logout() or disposal",
    );
    assertEquals((await iterator.next()).done, true);
    assertEquals(server.logins, logins);
  }
});

Deno.test("logout() lets a request on the wire finish, once", async () => {
  for (const status of [200, 401, 503]) {
    const wall = gate();
    await using server = new StandInServer({}, async ({ path }) => {
      if (path !== "/v1/info/" && path !== "/v1/role/self/") return undefined;
      await wall.pass();
      return status === 200
        ? Response.json(INFO)
        : apiError(status, "Failure", "Sorry");
    });
    const client = server.client();
    await client.login();
    const call = client.getRoleSelf();
    const outcome = call.catch((error: unknown) => error);
    await wall.reached;
    await client.logout();
    wall.open();
    if (status === 200) assertEquals<unknown>(await outcome, INFO);
    else assertInstanceOf(await outcome, DecapodError);
    assertEquals(server.sent("GET", "/v1/role/self/").length, 1);
    assertEquals(server.logins, 1);
  }
});

Deno.test("logout() leaves the outcome of a change unknown that it ends", async () => {
  const wall = gate();
  await using server = new StandInServer({}, async ({ method, path }) => {
    if (method !== "POST" || path !== "/v1/cluster/") return undefined;
    await wall.pass();
    return apiError(503, "Busy", "Later");
  });
  const client = server.client();
  const call = client.createCluster("ceph", { retries: 5 });
  const failed = assertRejects(() => call, DecapodError);
  await wall.reached;
  await client.logout();
  wall.open();
  const { outcomeUnknown, message } = await failed;
  assertEquals(outcomeUnknown, true, message);
  assertEquals(server.sent("POST", "/v1/cluster/").length, 1);
});

Deno.test("asyncDispose names the call whose await is missing", async () => {
  const wall = gate();
  await using server = new StandInServer({}, async ({ method, path }) => {
    if (method === "POST" && path === "/v1/auth/") await wall.pass();
    return undefined;
  });
  const failed = await (async () => {
    await using client = server.client();
    const call = client.getUserSelf();
    const failed = assertRejects(() => call, DecapodError);
    await wall.reached;
    setTimeout(wall.open);
    return { failed };
  })();
  const { message } = await failed.failed;
  assertStringIncludes(message, "/v1/user/self/: canceled by logout()");
  assertStringIncludes(message, "is an await missing?");
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

type Joining = (
  client: V1Client,
  options: { timeout: number },
) => PromiseLike<unknown>;

/** Calls that join a login which hangs. */
const JOINING: Record<string, Joining> = {
  "getUserSelf()": (client, options) => client.getUserSelf(options),
  "getUsers()": (client, options) => client.getUsers(options),
  "toArray()": (client, options) => client.getUsers(options).toArray(),
  "createCluster()": (client, options) => client.createCluster("c", options),
  "editRole()": async (client, options) => {
    const { id } = await client.getRoleSelf(options);
    await client.editRole(id, (data) => ({ ...data, name: "other" }), options);
  },
  "login()": (client, options) => client.login(options),
};

/** Makes a call while a login that another call started hangs. */
async function joinHangingLogin(
  call: Joining,
  isRenewal: boolean,
): Promise<void> {
  const wall = gate();
  let hangs = !isRenewal;
  await using server = new StandInServer({}, async ({ method, path }) => {
    if (method !== "POST" || path !== "/v1/auth/" || !hangs) return undefined;
    hangs = false; // only this one hangs
    await wall.pass();
    return undefined;
  });
  const client = server.client();
  if (isRenewal) {
    await client.login();
    server.standIn.revokeTokens();
    hangs = true;
  }
  const abandoned = client.getUserSelf();
  abandoned.catch(() => {});
  await wall.reached;
  const timeout = 3000;
  try {
    // Both join it and share another login, which a later call uses, too.
    await Promise.all([
      call(client, { timeout }),
      client.getRoleSelf({ timeout }),
    ]);
    await client.getUserSelf({ timeout });
    assertEquals(server.logins, isRenewal ? 3 : 2);
  } finally {
    wall.open(); // or the server would never close
  }
  await abandoned;
}

for (
  const [kind, isRenewal] of [["login", false], ["renewal", true]] as const
) {
  Deno.test(`getUserSelf() and others do not depend on a ${kind} of another call that never settles`, async () => {
    await Promise.all(
      Object.values(JOINING).map((call) => joinHangingLogin(call, isRenewal)),
    );
  });
}

Deno.test("login() that fails quickly is shared by all who join", async () => {
  await using server = new StandInServer();
  const client = server.client({ password: "wrong" });
  const calls = Array.from({ length: 20 }, () => client.getUserSelf());
  for (const outcome of await Promise.allSettled(calls)) {
    assertEquals(outcome.status, "rejected");
  }
  await assertRejects(() => client.login(), DecapodAPIError, "401");
  assertEquals(server.logins, 2);
});

Deno.test("logout() twice at once deletes the token once, and both resolve", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.getUserSelf();
  await Promise.all([
    client.logout(),
    client[Symbol.asyncDispose](),
    client.logout(),
  ]);
  assertEquals(server.sent("DELETE", "/v1/auth/").length, 1);
});

Deno.test("asyncDispose does not wait for a login that never ends", async () => {
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
  await client[Symbol.asyncDispose]();
  await call;
  assertEquals(timeouts.map((timeout) => timeout <= 5000), [true]);
});

Deno.test("logout() succeeds where an iteration cannot be aborted", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const users = client.getUsers();
  const iterator = users[Symbol.asyncIterator]();
  await iterator.next();
  const { abort } = AbortController.prototype;
  // As on workerd, for a controller that another request created.
  AbortController.prototype.abort = () => {
    throw new Error("Cannot perform I/O on behalf of a different request");
  };
  try {
    await client.logout();
  } finally {
    AbortController.prototype.abort = abort;
  }
  assertEquals(server.exchanges.at(-1)?.method, "DELETE");
  await iterator.return();
});
