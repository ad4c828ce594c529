/** What logout() and disposal end, and logins that never settle. */

import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { DecapodError, type RequestOptions, type V1Client } from "../mod.ts";
import { gate, within } from "./support/gate.ts";
import { replace } from "./support/patch.ts";
import { apiError, INFO, makeClient, StandInServer } from "./support/server.ts";
import { typed } from "./support/stub.ts";

const CANCELED = "canceled by logout() or disposal (is an await missing?)";

Deno.test("logout() and asyncDispose end retries, waits for a login, edits and polling", async () => {
  for (const end of ["logout", Symbol.asyncDispose] as const) {
    for (const name of ["retry", "login", "edit", "wait"] as const) {
      const wall = gate();
      await using server: StandInServer = new StandInServer(
        {},
        async ({ path }) => {
          if (path === "/v1/auth/" && server.logins > 1) await wall.pass();
          if (path !== "/v1/role/self/") return undefined;
          return apiError(503, "Busy", "Later", { "retry-after": "20" });
        },
      );
      using _ = wall;
      const client = server.client({
        onAttempt: ({ status }) => status === 503 && wall.pass(),
      });
      await client.login();
      const { standIn } = server;
      const calls = {
        retry: () => client.getRoleSelf(),
        login() {
          standIn.revokeTokens();
          return client.getUserSelf();
        },
        async edit() {
          const { id } = await client.createRole("viewer", []);
          await client.editRole(id, (data) => wall.pass().then(() => data));
        },
        wait: () =>
          client.waitForExecution(String(standIn.seedExecution().id), {
            onUpdate: () => void wall.pass(),
          }),
      };
      const call: Promise<unknown> = calls[name]();
      const failed = assertRejects(() => call, DecapodError, CANCELED);
      await Promise.race([wall.reached, failed]);
      await delay(0); // the wait began
      const requests = server.exchanges.length;
      const ended = client[end]();
      await within(failed);
      wall.open();
      await ended;
      // Nothing but the logout follows, and nobody logs in again.
      const later = server.exchanges.slice(requests);
      assertEquals(later.map(({ method }) => method), ["DELETE"]);
    }
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
      `GET ${server.url}/v1/${path}/: ${CANCELED}`,
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
    // All join it and share another login, which a later call uses, too.
    await Promise.all([
      client.createCluster("ceph", { timeout }),
      client.login({ timeout }),
      client.getRoleSelf({ timeout }),
    ]);
    await client.getUserSelf({ timeout });
    assertEquals(server.logins, isRenewal ? 3 : 2);
    wall.open();
    await abandoned;
  }
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
  await within(client[Symbol.asyncDispose]());
  await within(call);
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
