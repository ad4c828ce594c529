/** Failures: responses, networks, deadlines; and that errors show no secrets. */
import {
  type Attempt,
  Client,
  type Cluster,
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  DecapodResponseError,
  DecapodTimeoutError,
} from "@decapod/decapodlib";
import { ACCOUNT, connectToFault, open } from "./clients.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  only,
  type Runtime,
  section,
  type Settings,
  test,
} from "./kit.ts";

section("errors");

test("DecapodAPIError shows what the server sent", async (settings) => {
  const { client } = await open(settings);
  const error = await assertRejects(
    () => client.getUser("11111111-1111-4111-8111-111111111111"),
    DecapodAPIError,
    /^GET http:\/\/127\.0\.0\.1:\d+\/s\d+\/v1\/user\/1{8}-\S+\/: 404 NotFound/,
  );
  assertEquals([error.name, error.code, error.error], [
    "DecapodAPIError",
    404,
    "NotFound",
  ]);
  assert(error instanceof DecapodError, "Expected the base class");
  assertEquals(Object.keys(error.json), [
    "code",
    "error",
    "message",
    "description",
  ]);
});

test("DecapodAPIError shows the text of a proxy's HTML", async (settings) => {
  const { server, client } = await open(settings, { client: { retries: 0 } });
  await client.login();
  const headers = { "content-type": "text/html" };
  await server.respondWith(
    { status: 502, headers, body: "<h1>502 Bad Gateway</h1>" },
    { status: 200, headers, body: "<h1>Hello</h1>" },
  );
  const error = await assertRejects(
    () => client.getUserSelf(),
    DecapodAPIError,
    /502 Bad Gateway/,
  );
  assertEquals(error.code, 502);
  await assertRejects(
    () => client.getUserSelf(),
    DecapodResponseError,
    /text\/html/,
  );
});

test("DecapodResponseError tells empty, invalid and redirected responses", async (settings) => {
  const { server, client } = await open(settings, { client: { retries: 0 } });
  await client.login();
  const headers = { "content-type": "application/json" };
  const location = "http://elsewhere.example/v1/";
  await server.respondWith(
    { status: 200, headers },
    { status: 200, headers, body: '{"id": ' },
    { status: 301, headers: { location } },
    { status: 308, headers: { location } },
  );
  await assertRejects(() => client.getUserSelf(), DecapodResponseError);
  await assertRejects(() => client.getUserSelf(), DecapodResponseError);
  for (const call of [() => client.getUserSelf(), () => client.getInfo()]) {
    await assertRejects(call, DecapodResponseError, /redirect/);
  }
});

test("DecapodConnectionError tells that a connection was lost", async (settings) => {
  for (const fault of ["close", "short", "short-and-close"]) {
    const client = connectToFault(settings, fault, { retries: 0 });
    const error = await assertRejects(
      () => client.getInfo(),
      DecapodConnectionError,
      /connection was lost|connection lost|connection refused or lost/,
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
  const id = crypto.randomUUID().slice(0, 8);
  const client = connectToFault(settings, `kept/${id}`);
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
  await assertRejects(
    () => client.getInfo(),
    DecapodConnectionError,
    /the server does not use HTTP/,
  );
});

section("signal");

test("signal rejects with its reason, during and before a call", async (settings) => {
  const reason = new Error("enough");
  for (const fault of ["hang", "hang-body"]) {
    const client = connectToFault(settings, fault);
    const controller = new AbortController();
    const { signal } = controller;
    const call = client.getInfo({ signal });
    setTimeout(() => controller.abort(reason), 50);
    const error = await call.catch((error) => error);
    assert(error === reason, `Expected the reason, got ${error}`);
    await fetch(`${settings.servers}/closed`);
    const late = await client.getInfo({ signal }).catch((error) => error);
    assert(late === reason, `Expected the reason, got ${late}`);
  }
});

test("signal ends the wait for another attempt", async (settings) => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const onAttempt = ({ status }: Attempt) =>
    status === 503 && controller.abort(reason);
  const { server, client } = await open(settings, { client: { onAttempt } });
  await client.login();
  const headers = { "retry-after": "20" };
  await server.respondWith({ status: 503, headers });
  const error = await client.getUserSelf({ signal: controller.signal })
    .catch((error) => error);
  assert(error === reason, `Expected the reason, got ${error}`);
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
    await fetch(`${settings.servers}/closed`);
  }
});

test("timeout applies to each chunk of a log", async (settings) => {
  const client = connectToFault(settings, "hang-log", { timeout: 200 });
  const lines: string[] = [];
  await assertRejects(async () => {
    for await (const line of client.streamExecutionLog("id")) lines.push(line);
  }, DecapodTimeoutError);
  assertEquals(lines, ["first"]);
});

section("retries");

test("retries repeats a GET, and a POST only on request", async (settings) => {
  const attempts: Attempt[] = [];
  const { server, client } = await open(settings, {
    client: { onAttempt: (attempt) => attempts.push(attempt) },
  });
  await client.login();
  await server.respondWith({ status: 503 }, { status: 429 });
  await client.getUserSelf();
  assertEquals(
    attempts.map(({ method, attempt, status }) => [method, attempt, status]),
    [["POST", 1, 200], ["GET", 1, 503], ["GET", 2, 429], ["GET", 3, 200]],
  );
  await server.respondWith({ status: 503 });
  await assertRejects(() => client.createCluster("one"), DecapodAPIError);
  await server.respondWith({ status: 503 });
  await client.createCluster("one", { retries: 1 });
  await server.respondWith({ status: 503 });
  await assertRejects(
    () => client.getUserSelf({ retries: 0 }),
    DecapodAPIError,
  );
});

test("retries repeats a GET whose connection is lost", async (settings) => {
  const id = Math.random().toString(36).slice(2);
  assertEquals(await connectToFault(settings, `flaky/${id}`).getInfo(), {});
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
  const echo = JSON.stringify({
    code: 500,
    error: "Internal Server Error",
    message: `${password} ${encodeURIComponent(password)} ${token}`,
  });
  const headers = { "content-type": "application/json" };
  await server.respondWith({ status: 500, headers, body: echo });
  const error = await assertRejects(
    () => client.getUserSelf(),
    DecapodAPIError,
    /redacted/,
  );
  const shown = [
    ...texts(error),
    ...texts(client),
    ...attempts.flatMap(texts),
    JSON.stringify(attempts),
  ].join("\n");
  const secrets = [password, encodeURIComponent(password), token];
  for (const secret of [...secrets, JSON.stringify(password).slice(1, -1)]) {
    assert(!shown.includes(secret), `Expected no secret in ${shown}`);
  }
});

/** All texts of a value. */
function texts(value: unknown): string[] {
  const more = value instanceof Error
    ? [value.message, value.stack ?? "", ...texts(value.cause)]
    : [];
  return [String(value), JSON.stringify(value) ?? "", inspect(value), ...more];
}

/** As the runtime prints it on its console, if it can tell. */
function inspect(value: unknown): string {
  const { Deno, Bun, process } = globalThis as {
    Deno?: { inspect(value: unknown): string };
    Bun?: { inspect(value: unknown): string };
    process?: { getBuiltinModule?(name: string): object };
  };
  const util = process?.getBuiltinModule?.("node:util");
  const node = util && "inspect" in util && typeof util.inspect === "function"
    ? util.inspect(value, { depth: 10, showHidden: true })
    : "";
  return [Deno?.inspect(value), Bun?.inspect(value), node].join("\n");
}

section("not connected");

/** URLs to which no connection is possible, and what the errors say. */
const UNREACHABLE: [string, (settings: Settings) => string, RegExp][] = [
  [
    "a host that cannot be reached",
    () => "http://255.255.255.255:81", // no packet leaves for it
    /http:\/\/255\.255\.255\.255:81\/v1\/info\/: the host is unreachable/,
  ],
  [
    "a name that cannot be resolved",
    () => "http://nosuch.invalid",
    /http:\/\/nosuch\.invalid\/v1\/info\/: the host name cannot be resolved/,
  ],
  [
    "a port that is closed",
    () => "http://127.0.0.1:4", // nothing listens there
    /http:\/\/127\.0\.0\.1:4\/v1\/info\/: connection refused/,
  ],
  [
    "https on a port that speaks http",
    ({ servers }) => servers.replace("http:", "https:"),
    /https:\/\/127\.0\.0\.1:\d+\/v1\/info\/: .*(?:the server does not use TLS|URL should start with http:)/,
  ],
];

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

for (const [name, url, pattern] of UNREACHABLE) {
  test(`DecapodConnectionError names ${name}`, async (settings) => {
    const headers = { authorization: "own" }; // so that nothing logs in
    const options = { ...ACCOUNT, retries: 0, headers };
    const client = new Client(url(settings), options);
    const vague = isVague(settings) ? VAGUE[settings.runtime] : undefined;
    const error = await assertRejects(
      () => client.getInfo(),
      DecapodConnectionError,
      vague ?? pattern,
    );
    assert(error.cause instanceof Error, "Expected the runtime's own error");
    const change = await assertRejects(
      () => client.createCluster("one"),
      DecapodConnectionError,
    );
    assertEquals(change.outcomeUnknown, settings.runtime === "workerd");
  });
}

only("deno", "node");
test("DecapodConnectionError names a port that fetch does not allow", async () => {
  const options = { ...ACCOUNT, retries: 0 };
  const client = new Client("http://127.0.0.1:6000", options);
  await assertRejects(
    () => client.getInfo(),
    DecapodConnectionError,
    /6000\/v1\/info\/: (?:fetch does not allow this port|connection refused)/,
  );
});
