/** Logout and disposal: they end everything that was begun before. */
import { Client, DecapodError } from "@decapod/decapodlib";
import { ACCOUNT, connectToFault, open, seedExecution } from "./clients.ts";
import {
  assertEquals,
  assertMatch,
  assertRejects,
  deferred,
  section,
  type Server,
  type Settings,
  test,
  within,
} from "./kit.ts";

section("logout");

const LOGIN = "POST /v1/auth/";
const LOGOUT = "DELETE /v1/auth/";

/** Work that does not end by itself. */
interface Work {
  name: string;
  /** @param reached Called when the logout is due. */
  begin: (
    client: Client,
    server: Server,
    reached: () => void,
  ) => Promise<unknown>;
}

/** An interval that no test waits for. */
const LONG = 60_000;

const WORK: Work[] = [
  {
    name: "waitForExecution() between two polls",
    async begin(client, server, reached) {
      const id = await seedExecution(server);
      const onUpdate = reached;
      await client.waitForExecution(id, { interval: LONG, onUpdate });
    },
  },
  {
    name: "waitForExecution() during a poll",
    async begin(client, server, reached) {
      const id = await seedExecution(server);
      await client.login();
      await server.respondWith({ isHeld: true });
      const waiting = client.waitForExecution(id, { interval: 20 });
      server.held().then(reached);
      await waiting;
    },
  },
  {
    name: "followExecution() between two polls",
    async begin(client, server, reached) {
      const id = await seedExecution(server);
      const events = client.followExecution(id, { interval: LONG });
      for await (const _ of events) reached();
    },
  },
  {
    name: "a listing between two items",
    async begin(client, _server, reached) {
      for await (const _ of client.getClusters({ perPage: 1 })) {
        reached();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  },
  {
    name: "an edit between its read and its write",
    async begin(client, _server, reached) {
      const { id } = await client.createCluster("ceph");
      await client.editCluster(id, () => {
        reached();
        return new Promise(() => {});
      });
    },
  },
  {
    name: "a retry that waits for Retry-After",
    async begin(client, server) {
      await client.login();
      const headers = { "retry-after": "30" };
      await server.respondWith({ status: 503, headers });
      await client.getUserSelf();
    },
  },
  {
    name: "a call whose token is refused",
    async begin(client, server, reached) {
      await client.login();
      await server.respondWith({ status: 401, isHeld: true });
      const call = client.getUserSelf();
      await server.held();
      reached();
      await server.release();
      await call;
    },
  },
  {
    name: "a call that waits for the login",
    async begin(client, server, reached) {
      await server.respondWith({ isHeld: true });
      const call = client.getUserSelf();
      await server.held();
      reached();
      await call;
    },
  },
];

for (const end of ["logout()", "asyncDispose()"]) {
  for (const { name, begin } of WORK) {
    test(`${end} ends ${name}`, async (settings) => {
      const reached = deferred();
      const { server, client } = await open(settings, {
        ...{ clusters: 5, pace: LONG },
        client: {
          onAttempt: ({ status }) => status === 503 && reached.resolve(),
        },
      });
      const work = begin(client, server, reached.resolve);
      const failure = assertRejects(() => work, DecapodError);
      await Promise.race([reached.promise, failure]);
      const ended = end === "logout()"
        ? client.logout()
        : client[Symbol.asyncDispose]();
      ended.catch(() => {});
      const error = await within(1000, failure);
      assertMatch(error.message, /canceled by logout\(\) or disposal/);
      await server.release();
      await ended;
      await assertQuiet(server);
    });
  }
}

/** Fails if requests arrive after the logout. */
async function assertQuiet(server: Server): Promise<void> {
  const before = await server.requests();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals(await server.requests(), before);
  const last = before.lastIndexOf(LOGOUT);
  const logins = before.slice(last === -1 ? before.length : last)
    .filter((request) => request === LOGIN);
  assertEquals(logins, []);
}

test("logout() ends a log that is streamed", async (settings) => {
  const client = connectToFault(settings, "hang-log");
  const lines: string[] = [];
  await assertRejects(
    async () => {
      for await (const line of client.streamExecutionLog("id")) {
        lines.push(line);
        await client.logout();
      }
    },
    DecapodError,
    /canceled by logout\(\) or disposal/,
  );
  assertEquals(lines, ["first"]);
  await fetch(`${settings.servers}/closed`);
});

test("logout() lets a request that was sent finish", async (settings) => {
  const { server, client } = await open(settings);
  await client.login();
  await server.respondWith({ method: "GET", isHeld: true });
  const call = client.getInfo();
  await server.held();
  await client.logout();
  await server.release();
  await call;
});

test("logout() ends the session, and the next call opens another", async (settings) => {
  const { server, client } = await open(settings);
  await client.logout();
  assertEquals(await server.requests(), []);
  await client.login();
  await client.logout();
  await client.getUserSelf();
  assertEquals(await server.requests(), [
    LOGIN,
    LOGOUT,
    LOGIN,
    "GET /v1/user/self/",
  ]);
});

test("asyncDispose() logs out and never throws", async (settings: Settings) => {
  const { server, client } = await open(settings);
  await client.login();
  await client[Symbol.asyncDispose]();
  assertEquals(await server.requests(), [LOGIN, LOGOUT]);
  const options = { ...ACCOUNT, retries: 0 };
  const lost = new Client(`${settings.faults}/close`, options);
  await assertRejects(() => lost.login(), DecapodError);
  await lost[Symbol.asyncDispose]();
});
