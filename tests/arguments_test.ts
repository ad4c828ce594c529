/** Invalid arguments and options: the error names them, nothing is sent. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { delay } from "@std/async/delay";
import {
  type Attempt,
  Client,
  type ClientOptions,
  DecapodTimeoutError,
  type V1Client,
} from "../mod.ts";
import { type Operation, OPERATIONS } from "./operations.ts";
import { issue } from "./runtimes/certificates.ts";
import { replace } from "./support/patch.ts";
import { pretend } from "./support/runtime.ts";
import {
  apiError,
  INFO,
  makeClient,
  StandInServer,
  TestServer,
} from "./support/server.ts";
import { CLOSED, LOGGED_IN, stubClient } from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";
import { openWorld } from "./support/world.ts";

type Misuse = typeof TypeError | typeof RangeError;

/** Fails unless a call throws this error, without a request. */
async function assertMisuse(
  call: (client: V1Client) => unknown,
  Class: Misuse,
  part: string,
  label = part,
): Promise<void> {
  const sent: string[] = [];
  const client = makeClient("http://decapod", {
    fetch: (url) => {
      sent.push(url);
      return Promise.resolve(Response.json(INFO));
    },
  });
  const error = await assertRejects(
    async () => await call(client),
    Class,
    part,
    label,
  );
  assertEquals(error.constructor, Class, label);
  assert(error.message.length <= 500, label);
  assertEquals(sent, [], label);
}

/** The first value of an iteration. */
function first(items: AsyncIterable<unknown>): Promise<unknown> {
  return items[Symbol.asyncIterator]().next();
}

/** `getUsers iterated` → `getUsers() iterated`. */
const symbol = ({ name }: Operation) => name.replace(/^\w+/, "$&()");

for (const operation of OPERATIONS) {
  const { argument = "id", requests: [request], run } = operation;
  const [, named] = /\{(\w+)\}/.exec(request?.path ?? "") ?? [];
  if (named === undefined || operation.name === "request") continue;
  Deno.test(`${symbol(operation)} rejects an invalid ${argument}`, async () => {
    const world = await openWorld();
    const models = new Map<string, object | string>(Object.entries(world));
    const model = models.get(named);
    const call = (id: unknown) => (client: V1Client) =>
      run(client, {
        ...world,
        [named]: typeof model === "string" ? id : { ...model, id },
      });
    for (const id of ["", ".", "..", "\ud800"]) {
      const label = JSON.stringify(id);
      await assertMisuse(call(id), TypeError, `Invalid ${argument}: `, label);
    }
    for (const id of [undefined, null, 5, {}, [], ["a"], true]) {
      await assertMisuse(
        call(id),
        TypeError,
        `Invalid ${argument}: must be a string, got `,
      );
    }
  });
}

Deno.test("getUser() encodes an id so that it cannot lead to another endpoint", async () => {
  await using server = new TestServer(() => Response.json(INFO));
  const client = server.client(LOGGED_IN);
  const ids = ["%2e%2e", "a?b=c", "a#b", "ü", "...", "a b", "a%2fb"];
  for (const id of ids) {
    await client.getUser(id);
    const path = server.exchanges.at(-1)?.path ?? "";
    assertEquals(path, `/v1/user/${encodeURIComponent(id)}/`);
    assertEquals(decodeURIComponent(path), `/v1/user/${id}/`);
  }
});

Deno.test("deleteServer() rejects a path, which nginx would resolve to another endpoint", async () => {
  await using server = new StandInServer({ behindNginx: true });
  await using client = server.client();
  const { id } = await client.createRole("target", []);
  for (const path of [`x/../../role/${id}`, "/", "../role", "a/b", "a\0"]) {
    await assertRejects(
      () => client.deleteServer(path),
      TypeError,
      "Invalid id: must be a value from the server, got a path",
    );
    await assertRejects(
      () => client.request("DELETE", `server/${encodeURIComponent(path)}/`),
      TypeError,
      "Invalid endpoint: ",
    );
  }
  await assertRejects(
    () => client.peekPasswordReset(`x/../../role/${id}`),
    TypeError,
    "Invalid resetToken: must be a value from the server, got a path",
  );
  assertEquals((await client.getRole(id)).time_deleted, 0);
});

/** Invalid options, the class of the error and a part of its message. */
type Row = [options: unknown, Class: Misuse, part: string];

/** A row for each value of an option. */
const rows = (name: string, Class: Misuse, ...values: unknown[]): Row[] =>
  values.map((value) => [{ [name]: value }, Class, `Invalid ${name}: `]);

/** What is no object of options. */
const NO_OPTIONS = [null, [], "timeout", 5]
  .map((options): Row => [options, TypeError, "options"]);

/** Invalid options of client and calls. */
const COMMON: Row[] = [
  ...rows("timeout", RangeError, 0, -1, NaN, Infinity, 2 ** 31, "5", null),
  [{ timeout: 2 ** 31 }, RangeError, "got 2147483648"],
  ...rows("retries", RangeError, -1, 1.5, NaN, Infinity, "2"),
  ...rows("headers", TypeError, 5, "a: b", null),
];

/** Invalid options of calls. */
const OPTIONS: Row[] = [
  ...NO_OPTIONS,
  ...COMMON,
  ...rows("signal", TypeError, {}, new AbortController(), null),
  [
    { timeOut: 5 },
    TypeError,
    'Unknown option "timeOut": did you mean "timeout"? Known options: signal',
  ],
  [{ page: 5 }, TypeError, 'Unknown option "page"'],
];

for (const operation of OPERATIONS) {
  const { name, requests: [request], run, waits } = operation;
  if (waits) continue; // they have other options
  const isMerged = Object.keys(request?.query ?? {}).length > 0;
  const isListing = request?.checked === true && name.startsWith("get");
  Deno.test(`${symbol(operation)} rejects invalid options`, async () => {
    const world = await openWorld();
    for (const [options, Class, part] of OPTIONS) {
      if (part === "options" && isMerged) continue; // the row makes an object of it
      if (part.includes('"page"') && isListing) continue; // it has this option
      const call = (client: V1Client) => run(client, world, untyped(options));
      await assertMisuse(call, Class, part);
    }
  });
}

Deno.test("V1Client methods reject instead of throwing", async () => {
  const client = makeClient("http://decapod.example");
  const calls: PromiseLike<unknown>[] = [
    client.getUser(""),
    client.getUser("id", { timeout: 0 }),
    client.createUser(untyped(null)),
    client.updateUser(untyped(null)),
    client.editUser("", (data) => data),
    client.login({ retries: -1 }),
    client.logout({ retries: -1 }),
    client.getCinderIntegration(""),
    client.getUsers({ page: 0 }),
    client.getUsers({ page: 0 }).toArray(),
  ];
  await Promise.all(calls.map((call) => assertRejects(async () => await call)));
});

/** Rows for filters by a field called name, whose value is one of these. */
const named = (Class: Misuse, part: string, ...filters: unknown[]) =>
  filters.map((name): Row => [{ filter: { name } }, Class, part]);

/** Rows for a filter and an order by a field of this name. */
const byName = (name: string, problem: string): Row[] =>
  ["filter", "sortBy"].map((option) => [
    { [option]: { [name]: 1 } },
    TypeError,
    `Invalid ${option}.${name}: ${problem}`,
  ]);

const DATABASE = "must be the database's name, which is";

/** An object that JSON would replace by another one. */
const DISGUISED = Object.defineProperty({ login: "root" }, "toJSON", {
  value: () => ({}),
});

/** Invalid options of a listing. */
const LIST_OPTIONS: Row[] = [
  ...NO_OPTIONS,
  ...rows("page", RangeError, 0, 1.5, "1"),
  ...rows("perPage", RangeError, 0, -5),
  ...rows("all", TypeError, 1, "no"),
  [
    { per_page: 5 },
    TypeError,
    'Unknown option "per_page": did you mean "perPage"?',
  ],
  ...rows("filter", TypeError, null, "name", []),
  [{ filter: DISGUISED }, TypeError, "Invalid filter: must be a plain object"],
  ...named(TypeError, "filter.name", null, undefined, ["a"], {}, () => "a"),
  ...named(TypeError, "filter.name", new Date(0), { regexp: "a", ne: "b" }),
  ...named(RangeError, "filter.name", 1.5, NaN, Infinity, 2 ** 60),
  ...named(TypeError, "filter.name.eq", { eq: null }, { eq: {} }),
  ...named(RangeError, "filter.name.eq", { eq: 1.5 }),
  ...[{ in: "a" }, { in: [["a"]] }, { in: [null] }].flatMap((filter) =>
    named(TypeError, "filter.name.in", filter)
  ),
  ...named(RangeError, "filter.name.in", { in: [1.5] }),
  ...named(TypeError, "filter.name.regexp", { regexp: 5 }, { regexp: /a/ }),
  ...["in", "eq"].flatMap((operator) =>
    named(
      TypeError,
      `Unknown operator "filter.name.$${operator}": did you mean "${operator}"?`,
      { [`$${operator}`]: "a" },
    )
  ),
  ...named(
    TypeError,
    'Unknown operator "filter.name.like": Known operators: eq, ne',
    { like: "a" },
  ),
  [{ filter: { _id: "a" } }, TypeError, "the server can only sort by _id"],
  ...rows("sortBy", TypeError, null, "name", ["name"], {}),
  ...[0, 2, "1", true].map((order): Row => [
    { sortBy: { name: order } },
    RangeError,
    "sortBy.name",
  ]),
  [{ sortBy: { name: 1, login: undefined } }, RangeError, "sortBy.login"],
  ...byName("id", `${DATABASE} model_id`),
  ...byName("time_updated", `${DATABASE} time_created`),
  ...byName("data.name", `${DATABASE} name`),
  [{ filter: { [`data.${"x".repeat(3000)}`]: 1 } }, TypeError, DATABASE],
  ...["", "$where", "$or", "initiator.$gt"].flatMap((name) =>
    byName(name, "must be the name of a field")
  ),
];

Deno.test("getServers() rejects a filter or order that the server would ignore", async () => {
  for (const [options, Class, part] of LIST_OPTIONS) {
    const calls: ((client: V1Client) => unknown)[] = [
      (client) => client.getServers(untyped(options)),
      (client) => first(client.getServers(untyped(options))),
    ];
    for (const call of calls) {
      await assertMisuse(call, Class, part, Deno.inspect(options));
    }
  }
});

/** A part of the error, the call, and the error's class if no TypeError. */
type Case = [part: string, call: (client: V1Client) => unknown, Misuse?];

const steps = (part: string, options: object): Case => [
  part,
  (client) => client.getExecutionSteps("id", options),
];

/** Calls with invalid arguments. */
const MISUSES: Record<string, Case[]> = {
  "getUserVersion() rejects an invalid version": [
    ...[0, -1, 1.5, NaN, Infinity, "1", "0x1", " 1", ""],
    ...[true, [1], null, undefined],
  ].map((version) => [
    "Invalid version: must be an integer ≥ 1, got ",
    (client) => client.getUserVersion("id", untyped(version)),
    RangeError,
  ]),
  "getInfo() also validates inherited options": [
    ...[
      Object.create({ timeout: "5" }),
      new (class {
        get timeout() {
          return NaN;
        }
      })(),
    ].map((options): Case => [
      "Invalid timeout: ",
      (client) => client.getInfo(options),
      RangeError,
    ]),
    [
      'Unknown option "timout"',
      (client) => client.getInfo(Object.create({ timout: 5 })),
    ],
  ],
  "toArray() rejects an invalid limit": [
    ...[-1, 1.5, NaN, Infinity].map((limit): Case => [
      "Invalid limit: ",
      (client) => client.getUsers().toArray({ limit }),
      RangeError,
    ]),
    [
      'Unknown option "max"',
      (client) => client.getUsers().toArray(untyped({ max: 5 })),
    ],
  ],
  "getExecutionSteps() rejects names of fields of other models": [
    steps("filter.id", { filter: { id: "a" } }),
    steps("only in sortBy", { filter: { model_id: "a" } }),
    steps("time_started", { filter: { time_created: 5 } }),
    steps("time_finished", { sortBy: { time_updated: 1 } }),
    steps("ok 1, error 2", { filter: { result: "ok" } }),
    steps("ok 1, error 2", { filter: { result: { in: ["ok"] } } }),
  ],
  "getUserVersions() rejects filter and sortBy": ["filter", "sortBy"].map(
    (name) => [
      `Unknown option "${name}"`,
      (client) => client.getUserVersions("id", untyped({ [name]: { id: 1 } })),
    ],
  ),
  "createUser() and others reject unknown names and values of other types": [
    [
      'Unknown option "full_name": did you mean "fullName"? Known options: login, email, fullName, roleId',
      (client) => client.createUser(untyped({ login: "a", full_name: "A" })),
    ],
    [
      'Unknown option "id": Known options: serverId, host, username',
      (client) => client.createServer(untyped({ id: "a" })),
    ],
    [
      'Unknown option "servers"',
      (client) => client.createPlaybookConfiguration(untyped({ servers: [] })),
    ],
    [
      'Unknown option "path": Known options: signal, timeout, retries, headers, root',
      (client) => client.getCinderIntegration("id", untyped({ path: "/" })),
    ],
    [
      "Invalid email: must be a string, got undefined",
      (client) => client.createUser(untyped({ login: "a", fullName: "A" })),
    ],
    [
      "Invalid host: must be a string, got undefined",
      (client) =>
        client.createServer(untyped({ serverId: "1", username: "a" })),
    ],
    [
      "Invalid clusterId: must be a string, got undefined",
      (client) =>
        client.createPlaybookConfiguration(
          untyped({ name: "a", playbookId: "p", serverIds: [] }),
        ),
    ],
    ...[null, "ann", undefined].map((user): Case => [
      "Invalid new user",
      (client) => client.createUser(untyped(user)),
    ]),
    ...["not-a-list", undefined].map((serverIds): Case => [
      "Invalid serverIds: ",
      (client) =>
        client.createPlaybookConfiguration(
          untyped({ name: "a", clusterId: "c", playbookId: "p", serverIds }),
        ),
    ]),
    ...[{}, undefined].map((change): Case => [
      "Invalid change: ",
      (client) => client.editRole("id", untyped(change)),
    ]),
    ["user", (client) => client.updateUser(untyped(null))],
    ["server", (client) => client.putServer(untyped("id"))],
    ["Invalid id: ", (client) => client.updateRole(untyped({}))],
    [
      "Invalid root: ",
      (client) => client.getCinderIntegration("id", { root: untyped(5) }),
    ],
  ],
};

for (const [name, cases] of Object.entries(MISUSES)) {
  Deno.test(name, async () => {
    for (const [part, call, Class = TypeError] of cases) {
      await assertMisuse(call, Class, part);
    }
  });
}

/** Parts of errors, and base URLs that cause them. */
const URLS: Record<string, unknown[]> = {
  "Invalid url: ": [
    ...["not a url", "", "decapod.example", "//decapod.example", "/v1"],
    ...["http://", undefined, null, 5, {}],
  ],
  "must start with http:// or https://, got ftp:": ["ftp://decapod.example"],
  "got file:": ["file:///etc/passwd"],
  "got localhost:": ["localhost:9999"],
  "credentials": ["http://ann:geheim@a.example", "http://ann@a.example"],
  "query": ["http://decapod.example/?a=b", "http://decapod.example/#a"],
};

Deno.test("Client rejects an invalid URL", () => {
  for (const [part, urls] of Object.entries(URLS)) {
    for (const url of urls) {
      assertThrows(() => makeClient(untyped(url)), TypeError, part);
    }
  }
  const url = new URL("https://decapod.example:8443/a/v1/");
  const client = new Client(url, { login: "a", password: "b" });
  assertEquals(client.url, "https://decapod.example:8443/a");
  assertEquals(makeClient("http://[::1]:80/").url, "http://[::1]");
});

Deno.test("Client rejects invalid options", () => {
  const cases: Row[] = [
    ...COMMON,
    ...rows("login", TypeError, "", undefined),
    ...rows("password", TypeError, "", 5),
    ...rows("fetch", TypeError, {}, null),
    ...rows("onAttempt", TypeError, "log"),
    ...rows("tls", TypeError, "ca"),
    [{ headers: { "a b": "c" } }, TypeError, 'Invalid header "a b"'],
    [
      { pasword: "a" },
      TypeError,
      'Unknown option "pasword": did you mean "password"? Known options: login',
    ],
    [{ signal: null }, TypeError, 'Unknown option "signal"'],
  ];
  for (const [options, Class, part] of cases) {
    const error = assertThrows(
      () => makeClient("http://decapod.example", untyped(options)),
      Class,
      part,
    );
    assertEquals(error.constructor, Class);
  }
  for (const options of [undefined, null, [], "root"]) {
    assertThrows(
      () => new Client("http://decapod.example", untyped(options)),
      TypeError,
    );
  }
});

/** Variables of the environment, without the prefix `DECAPOD_`. */
type Variables = Record<string, string | undefined>;

const ENV: Variables = {
  URL: "http://decapod.example/v1/",
  LOGIN: "root",
  PASSWORD: "secret",
};

/** Creates a client from `ENV` and these variables, and from no others. */
function fromEnv(
  variables: Variables = {},
  options?: Partial<ClientOptions>,
): V1Client {
  const before = Deno.env.toObject();
  for (const name of Object.keys(before)) {
    if (name.startsWith("DECAPOD_")) Deno.env.delete(name);
  }
  const all = { ...ENV, ...variables };
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined) Deno.env.set(`DECAPOD_${name}`, value);
  }
  try {
    return Client.fromEnv(options);
  } finally {
    for (const name of Object.keys(all)) Deno.env.delete(`DECAPOD_${name}`);
    for (const [name, value] of Object.entries(before)) {
      Deno.env.set(name, value);
    }
  }
}

Deno.test("fromEnv() rejects variables that are missing or invalid", () => {
  type Case = [Variables, Misuse, part: string];
  const cases: Case[] = [
    ...["URL", "LOGIN", "PASSWORD"].flatMap((name) =>
      ["", undefined].map((value): Case => [
        { [name]: value },
        TypeError,
        `Cannot create a client from the environment: set DECAPOD_${name}`,
      ])
    ),
    ...["soon", "0", "-5", "1m", "NaN", "86401", "600000", "Infinity"].map(
      (TIMEOUT): Case => [
        { TIMEOUT },
        RangeError,
        "Invalid DECAPOD_TIMEOUT: must be a positive number of seconds up to 86400",
      ],
    ),
    ...["1", "true", "yes"].map((NO_VERIFY): Case => [
      { NO_VERIFY },
      TypeError,
      "--unsafely-ignore-certificate-errors",
    ]),
    [
      { SSL_CERTIFICATE: "/etc/client.pem" },
      TypeError,
      "pass the file's text as tls.cert and tls.key",
    ],
  ];
  for (const [variables, Class, part] of cases) {
    assertThrows(() => fromEnv(variables), Class, part);
  }
});

Deno.test("fromEnv() accepts false values of DECAPOD_NO_VERIFY, and ignores TLS variables if tls is passed", async () => {
  const { cert, key } = await issue("client");
  const fetch = () => Promise.resolve(Response.json(INFO));
  const cases: [Variables, options?: Partial<ClientOptions>][] = [
    ...["", "0", "f", "false", "n", "No", "OFF"].map((
      NO_VERIFY,
    ): [Variables] => [
      { NO_VERIFY },
    ]),
    [{ NO_VERIFY: "1" }, { tls: { verify: true } }],
    [{ NO_VERIFY: "1", SSL_CERTIFICATE: "/etc/client.pem" }, { fetch }],
    [{ SSL_CERTIFICATE: "/etc/client.pem" }, { tls: { cert, key } }],
    [{ TIMEOUT: "86400" }],
    [{ TIMEOUT: "abc" }, { timeout: 500 }],
  ];
  for (const [variables, options] of cases) {
    assertEquals(fromEnv(variables, options).url, "http://decapod.example");
  }
  class Own extends Client {}
  const env = { DECAPOD_NO_VERIFY: "1" };
  for (const name of ["URL", "LOGIN", "PASSWORD"]) {
    Object.assign(env, { [`DECAPOD_${name}`]: ENV[name] });
  }
  // Here the runtime can turn verification off.
  pretend({ Bun: {}, process: { env } }, () => {
    assertInstanceOf(Own.fromEnv(), Own);
  });
});

Deno.test("fromEnv() says what to do on a runtime without an environment", () => {
  const workers = { userAgent: "Cloudflare-Workers" };
  const runtimes: [Record<string, unknown>, hint: string][] = [
    [{ process: undefined }, "set DECAPOD_URL"],
    [{ process: {} }, "set DECAPOD_URL"],
    [{ process: undefined, navigator: workers }, "new Client(env.DECAPOD_URL"],
  ];
  for (const [names, hint] of runtimes) {
    pretend(names, () => {
      assertThrows(() => Client.fromEnv(), TypeError, hint);
    });
  }
});

Deno.test("fromEnv() gives its options precedence over the environment", async () => {
  await using server = new TestServer(() => Response.json({ id: "token" }));
  const password = "geheim";
  const missing = { LOGIN: undefined, PASSWORD: undefined, URL: server.url };
  await fromEnv(missing, { login: "ann", password }).login();
  await fromEnv({ URL: server.url }, { password }).login();
  assertEquals(server.exchanges.map(({ body }) => body), [
    { username: "ann", password },
    { username: "root", password },
  ]);
});

Deno.test("fromEnv() reads DECAPOD_TIMEOUT in seconds, the option timeout in ms", async () => {
  const options: Partial<ClientOptions> = {
    fetch: async (_, init) => {
      // A call whose timeout is another one succeeds.
      await delay(500, { signal: init.signal ?? undefined });
      return Response.json(INFO);
    },
  };
  const clients = {
    20: fromEnv({ TIMEOUT: "0.02" }, options),
    10: fromEnv({ TIMEOUT: "600" }, { ...options, timeout: 10 }),
  };
  for (const [timeout, client] of Object.entries(clients)) {
    await assertRejects(
      () => client.getInfo(),
      DecapodTimeoutError,
      `no response within ${timeout} ms`,
    );
  }
});

Deno.test("request(), getCinderIntegration() and fromEnv() obey inherited options", async () => {
  const seen: (string | null)[] = [];
  const fetch: ClientOptions["fetch"] = (_, { headers }) => {
    seen.push(headers.get("x-mine"));
    return Promise.resolve(Response.json({}));
  };
  const client = makeClient("http://decapod", { ...LOGGED_IN, fetch });
  const inherited = { headers: { "x-mine": "1" } };
  await client.request("GET", "info", Object.create(inherited));
  await client.getCinderIntegration("id", Object.create(inherited));
  const account = { login: "ann", password: "geheim" };
  await fromEnv(
    { LOGIN: undefined, PASSWORD: undefined },
    Object.create({ ...account, fetch, ...inherited }),
  ).getInfo();
  assertEquals(seen, ["1", "1", "1"]);
});

/** What a client logs for three calls, of which the last two fail. */
async function logged(
  variables: Variables,
  onAttempt?: ClientOptions["onAttempt"],
): Promise<string[]> {
  const lines: string[] = [];
  const log = (...values: unknown[]) => void lines.push(values.join(" "));
  using _ = replace(console, "error", log);
  const client = fromEnv(variables, { onAttempt, retries: 0 });
  await client.getInfo().catch(() => {});
  await client.peekPasswordReset("res3t").catch(() => {});
  await client.getUserSelf().catch(() => {});
  await new Promise((resolve) => setTimeout(resolve)); // hooks are async
  return lines;
}

Deno.test("fromEnv() logs each attempt in one line to stderr with DECAPOD_DEBUG only", async () => {
  await using server = new TestServer((_, { path }) =>
    path === "/v1/auth/"
      ? Response.json({ id: "t0ken" })
      : path === "/v1/info/"
      ? Response.json(INFO)
      : apiError(500, "Oops", "t0ken secret")
  );
  const url = RegExp.escape(`${server.url}/v1`);
  const expected = [
    `GET ${url}/info/: 200 `,
    `GET ${url}/password_reset/\\[redacted\\]/: 500 .*DecapodAPIError`,
    `POST ${url}/auth/: 200 `,
    `GET ${url}/user/self/: 500 .*DecapodAPIError`,
  ];
  const seen: Attempt[] = [];
  const hooks: ClientOptions["onAttempt"][] = [
    undefined,
    (attempt) => {
      seen.push(attempt);
      throw new Error("of the hook");
    },
  ];
  for (const hook of hooks) {
    const lines = await logged({ URL: server.url, DEBUG: "1" }, hook);
    for (const line of lines) assert(!/t0ken|secret|res3t|\n/.test(line), line);
    const attempts = lines.filter((line) => !line.includes("onAttempt failed"));
    assertEquals(attempts.length, 4);
    assertEquals(lines.length, hook ? 8 : 4);
    for (const [number, pattern] of expected.entries()) {
      assertMatch(attempts[number] ?? "", RegExp(`^decapodlib: ${pattern}`));
    }
  }
  assertEquals(seen.map(({ status }) => status), [200, 500, 200, 500]);

  const [refused = ""] = await logged({ URL: CLOSED, DEBUG: "yes" });
  assertMatch(
    refused,
    /^decapodlib: GET http:\S+\/info\/: no response .*DecapodConnectionError/,
  );
  for (const DEBUG of [undefined, "", "0", "false"]) {
    assertEquals(await logged({ URL: server.url, DEBUG }), []);
  }
});

Deno.test("getInfo() ignores enumerable names on Object.prototype", async () => {
  const sent: string[] = [];
  const client = stubClient((url, { body, headers }) => {
    sent.push(`${new URL(url).search} ${body}`);
    const all = new Headers(headers);
    assertEquals([all.get("x-evil"), all.get("x-trace")], [null, "1"]);
    return Response.json({ items: [], total: 0, page: 1, per_page: 2 });
  });
  const prototype: object = Object.prototype;
  const names = { first: () => 1, timeot: 5, perpage: 5, "x-evil": "1" };
  Object.assign(prototype, names);
  try {
    const options = { timeout: 1000, headers: { "x-trace": "1" } };
    await client.getInfo(options);
    await client.getUsers({ ...options, perPage: 2, filter: { version: 1 } });
    await client.createCluster("ceph", options);
    await assertRejects(
      () => client.getInfo(untyped({ timeot: 5 })),
      TypeError,
      'Unknown option "timeot"',
    );
  } finally {
    for (const name of Object.keys(names)) {
      Reflect.deleteProperty(prototype, name);
    }
  }
  assertEquals(sent.map(decodeURIComponent), [
    " undefined",
    '?per_page=2&filter={"version":1} undefined',
    ' {"name":"ceph"}',
  ]);
});
