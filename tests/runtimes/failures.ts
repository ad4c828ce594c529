/** Failures: responses, networks, deadlines; and that errors show no secrets. */
import {
  type Attempt,
  type Cluster,
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  DecapodResponseError,
  DecapodTimeoutError,
} from "@decapod/decapodlib";
import { connectToFault, open, seedExecution } from "./clients.ts";
import {
  allClosed,
  assert,
  assertEquals,
  assertRejects,
  only,
  rejection,
  type Runtime,
  section,
  type Settings,
  test,
  within,
} from "./kit.ts";

section("errors");

test("DecapodResponseError names the target of a redirect", async (settings) => {
  const { server, client } = await open(settings);
  await client.login();
  const location = "http://elsewhere.example/v1/";
  for (const status of [301, 308]) {
    await server.respondWith({ status, headers: { location } });
    const call = () => client.getUserSelf();
    await assertRejects(call, DecapodResponseError, /redirect/);
  }
});

test("DecapodConnectionError tells that a connection was lost", async (settings) => {
  for (const fault of ["close", "short", "short-and-close"]) {
    const client = connectToFault(settings, fault, { retries: 0 });
    const error = await assertRejects(
      () => client.getInfo(),
      DecapodConnectionError,
      /connection (was|refused or )?lost/,
    );
    assert(!error.outcomeUnknown, "Expected a known outcome of a GET");
    assert(!/HTTP \(/.test(error.message), error.message);
    const change = await assertRejects(
      () => client.createCluster("one"),
      DecapodConnectionError,
      /; the change may have been applied, check before retrying$/,
    );
    assert(change.outcomeUnknown, "Expected an unknown outcome of a POST");
  }
});

test("Client applies no change twice where a kept connection breaks", async (settings) => {
  const fault = `kept/${crypto.randomUUID()}`;
  const client = connectToFault(settings, fault);
  const cluster: Cluster = {
    ...{ id: "id", model: "cluster", version: 1, initiator_id: null },
    ...{ time_updated: 0, time_deleted: 0 },
    data: { name: "one", configuration: {} },
  };
  const changes = [
    () => client.createCluster("one"),
    () => client.updateCluster(cluster),
    () => client.deleteCluster("id"),
    () => client.cancelExecution("id"),
  ];
  for (const [made, change] of changes.entries()) {
    await client.getInfo(); // the server closes the connection after the next request
    // Where the runtime uses it, the call fails.
    await change().catch((error) => {
      assert(error.outcomeUnknown, `Expected an unknown outcome: ${error}`);
    });
    assertEquals(await client.getExecutionLog("id"), String(made + 1));
  }
});

test("DecapodConnectionError tells that a server does not use HTTP", async (settings) => {
  const client = connectToFault(settings, "garbage", { retries: 0 });
  const call = () => client.getInfo();
  const message = /the server does not use HTTP/;
  await assertRejects(call, DecapodConnectionError, message);
});

section("signal");

test("signal rejects with its reason, during and before a call", async (settings) => {
  const reason = new Error("enough");
  for (const fault of ["hang", "hang-body"]) {
    const client = connectToFault(settings, fault);
    const controller = new AbortController();
    const { signal } = controller;
    setTimeout(() => controller.abort(reason), 50);
    for (const when of ["during", "before"]) {
      const error = await rejection(() => client.getInfo({ signal }));
      assert(error === reason, `Expected the reason ${when}, got ${error}`);
      await allClosed(settings);
    }
  }
});

test("logout() ends waitForExecution() between two polls", async (settings) => {
  const { server, client } = await open(settings);
  const id = await seedExecution(server);
  let logout: Promise<void> | undefined;
  const onUpdate = () => void (logout = client.logout());
  const wait = client.waitForExecution(id, { interval: 60_000, onUpdate });
  const canceled = /canceled by logout\(\) or disposal/;
  await within(1000, assertRejects(() => wait, DecapodError, canceled));
  await logout;
  assertEquals((await server.requests()).at(-1), "DELETE /v1/auth/");
});

section("timeout");

test("timeout ends a call without a response, or without its body", async (settings) => {
  for (const fault of ["hang", "hang-body"]) {
    const client = connectToFault(settings, fault, { timeout: 100 });
    await assertRejects(
      () => client.getInfo(),
      DecapodTimeoutError,
      /no response within 100 ms/,
    );
    await allClosed(settings);
  }
});

section("retries");

test("retries repeats a GET whose connection is lost", async (settings) => {
  const fault = `flaky/${crypto.randomUUID()}`;
  const client = connectToFault(settings, fault);
  assertEquals(await client.getInfo(), {});
});

section("redaction");

test("DecapodError shows no secret that a server echoes", async (settings) => {
  const password = 'pä"ss/wörd & co';
  const attempts: Attempt[] = [];
  const onAttempt = (attempt: Attempt) => attempts.push(attempt);
  const { server, client } = await open(settings, {
    rootPassword: password,
    client: { password, retries: 0, onAttempt },
  });
  const { id: token } = await client.login();
  const secrets = [password, encodeURIComponent(password), token];
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ error: "Echo", message: secrets.join(" ") });
  await server.respondWith({ status: 500, headers, body });
  const error = await assertRejects(
    () => client.getUserSelf(),
    DecapodAPIError,
    /redacted/,
  );
  const all = [error, client, attempts, ...attempts];
  const shown = all.flatMap(texts).join("\n");
  for (const secret of [...secrets, JSON.stringify(password).slice(1, -1)]) {
    assert(!shown.includes(secret), `Expected no secret in ${shown}`);
  }
});

/** All texts of a value, and what the runtime's console prints. */
function texts(value: unknown): string[] {
  const { Deno, Bun, process } = globalThis as {
    Deno?: { inspect(value: unknown): string };
    Bun?: { inspect(value: unknown): string };
    process?: {
      getBuiltinModule?(name: "node:util"): {
        inspect(value: unknown, options: object): string;
      } | undefined;
    };
  };
  const util = process?.getBuiltinModule?.("node:util");
  return [
    String(value),
    JSON.stringify(value) ?? "",
    Deno?.inspect(value) ?? "",
    Bun?.inspect(value) ?? "",
    util?.inspect(value, { depth: 10, showHidden: true }) ?? "",
    ...value instanceof Error
      ? [value.message, value.stack ?? "", ...texts(value.cause)]
      : [],
  ];
}

section("not connected");

/** What runtimes say that tell a program less. */
const VAGUE: Partial<Record<Runtime, RegExp>> = {
  // Before 1.4.3.
  bun: /no connection could be opened \(check the host name, the port/,
  workerd: /connection refused or lost|cannot be resolved, TLS failed or/,
};

/** Whether this runtime has one error for several reasons. */
function isVague({ runtime }: Settings): boolean {
  const { Bun } = globalThis as { Bun?: { version: string } };
  return runtime === "workerd" ||
    Bun !== undefined && /^1\.([0-3]\.|4\.[0-2]$)/.test(Bun.version);
}

/** URLs to which no connection is possible, and what the errors say. */
const UNREACHABLE: [name: string, url: string, message: RegExp][] = [
  // No packet leaves for it.
  ["a host", "http://255.255.255.255:81", /the host is unreachable/],
  ["a name", "http://nosuch.invalid", /the host name cannot be resolved/],
  // Nothing listens there.
  ["a closed port", "http://127.0.0.1:4", /connection refused/],
  ["a server without TLS", "", /does not use TLS|URL should start with http:/],
];

for (const [name, fixed, message] of UNREACHABLE) {
  test(`DecapodConnectionError says why ${name} cannot be reached`, async (settings) => {
    const { runtime } = settings;
    const url = fixed || settings.servers.replace("http:", "https:");
    const client = connectToFault({ faults: url }, "", { retries: 0 });
    const error = await assertRejects(
      () => client.getInfo(),
      DecapodConnectionError,
      isVague(settings) ? VAGUE[runtime] : message,
    );
    assert(error.message.includes(` ${url}/v1/info/: `), error.message);
    assert(error.cause instanceof Error, "Expected the runtime's own error");
    const change = await assertRejects(
      () => client.createCluster("one"),
      DecapodConnectionError,
    );
    assertEquals(change.outcomeUnknown, runtime === "workerd");
  });
}

only("deno", "node");
test("DecapodConnectionError names a port that fetch does not allow", async () => {
  const faults = "http://127.0.0.1:6000";
  await assertRejects(
    () => connectToFault({ faults }, "", { retries: 0 }).getInfo(),
    DecapodConnectionError,
    /6000\/v1\/info\/: (?:fetch does not allow this port|connection refused)/,
  );
});
