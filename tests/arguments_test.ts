/** Invalid arguments and options: the error names them, nothing is sent. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { delay } from "@std/async/delay";
import {
  Client,
  type ClientOptions,
  DecapodTimeoutError,
  type Listing,
  type V1Client,
} from "../mod.ts";
import { OPERATIONS } from "./operations.ts";
import { issue } from "./runtimes/certificates.ts";
import { replace } from "./support/patch.ts";
import { pretend } from "./support/runtime.ts";
import { apiError, INFO, makeClient, TestServer } from "./support/server.ts";
import { LOGGED_IN, stubClient } from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";
import { openWorld } from "./support/world.ts";

/** A call with a value that no program with types would pass. */
type Call = (client: V1Client, value: never) => unknown;

/** A part of an error, a TypeError by default, and values that cause it. */
type Row = [part: string, ...values: unknown[]];

/** Fails unless a call rejects each value without a request. */
async function assertMisuses(call: Call, rows: Row[]): Promise<void> {
  const client = stubClient(() => {
    throw new Error("It was sent");
  });
  for (const [part, ...values] of rows) {
    for (const value of values) {
      const result = call(client, untyped(value)); // rejects, never throws
      const error = await assertRejects(async () => await result, Error);
      const isRange = part.startsWith("RangeError: ");
      assertEquals(error.constructor, isRange ? RangeError : TypeError);
      assertStringIncludes(String(error), part, Deno.inspect(value));
      assert(error.message.length <= 500, error.message);
    }
  }
}

/** Values of an option, as a row of options. */
const option = (name: string, ...values: unknown[]): Row => [
  `Invalid ${name}: `,
  ...values.map((value) => ({ [name]: value })),
];
const outOfRange = (name: string, ...values: unknown[]): Row => [
  `RangeError: Invalid ${name}: `,
  ...values.map((value) => ({ [name]: value })),
];

/** Values that are not objects of options. */
const NO_OPTIONS: Row = ["options", null, [], "timeout", 5];

/** Invalid options of client and calls. */
const COMMON: Row[] = [
  outOfRange("timeout", 0, -1, NaN, Infinity, 2 ** 31, "5", null),
  [
    "RangeError: Invalid timeout: must be a positive number of milliseconds up to 2147483647, got 2147483648",
    { timeout: 2 ** 31 },
  ],
  outOfRange("retries", -1, 1.5, NaN, Infinity, "2"),
  option("headers", 5, "a: b", null),
];

const PAGE: Row = ['Unknown option "page"', { page: 5 }];

/** Invalid options of calls. */
const OPTIONS: Row[] = [
  ...COMMON,
  option("signal", {}, new AbortController(), null),
  ['Unknown option "timeOut": did you mean "timeout"?', { timeOut: 5 }],
];

for (const { name, argument = "id", requests, run, waits } of OPERATIONS) {
  const [request] = requests;
  // `getUsers iterated` → `getUsers() iterated`.
  const symbol = name.replace(/^\w+/, "$&()");
  const [, place] = /\{(\w+)\}/.exec(request?.path ?? "") ?? [];

  if (place !== undefined && name !== "request") {
    Deno.test(`${symbol} rejects an invalid ${argument}`, async () => {
      const world = await openWorld();
      const model = new Map<string, unknown>(Object.entries(world)).get(place);
      const text = "must be a string, got ";
      await assertMisuses(
        (client, id) =>
          run(client, { ...world, [place]: Object.assign({}, model, { id }) }),
        [
          [`Invalid ${argument}: `, "", ".", "..", "\ud800"],
          [`Invalid ${argument}: ${text}`, undefined, null, 5, true],
          [`Invalid ${argument}: ${text}`, {}, [], ["a"]],
        ],
      );
    });
  }

  if (waits) continue; // they have other options
  const isMerged = Object.keys(request?.query ?? {}).length > 0;
  const isListing = request?.checked === true && name.startsWith("get");
  Deno.test(`${symbol} rejects invalid options`, async () => {
    const world = await openWorld();
    await assertMisuses((client, options) => run(client, world, options), [
      ...OPTIONS,
      ...isMerged ? [] : [NO_OPTIONS], // the row makes an object of it
      ...isListing ? [] : [PAGE], // it has this option
    ]);
  });
}

Deno.test("getUser() encodes an id so that it cannot lead to another endpoint", async () => {
  await using server = new TestServer(() => Response.json(INFO));
  const client = server.client(LOGGED_IN);
  for (const id of ["%2e%2e", "a?b=c", "a#b", "ü", "...", "a b", "a%2fb"]) {
    await client.getUser(id);
    const path = server.exchanges.at(-1)?.path;
    assertEquals(path, `/v1/user/${encodeURIComponent(id)}/`);
  }
});

Deno.test("deleteServer() rejects a path, which nginx would resolve to another endpoint", async () => {
  const got = "must be a value from the server, got a path";
  const paths = ["x/../../role/id", "/", "../role", "a/b", "a\0"];
  await assertMisuses((client, path) => client.deleteServer(path), [
    [`Invalid id: ${got}`, ...paths],
  ]);
  await assertMisuses((client, path) => client.request("DELETE", path), [
    ["Invalid endpoint: ", ...paths.map(encodeURIComponent)],
  ]);
  await assertMisuses((client, token) => client.peekPasswordReset(token), [
    [`Invalid resetToken: ${got}`, "x/../../role/id"],
  ]);
});

/** Filters by a field called name, whose value is one of these. */
const filters = (part: string, ...values: unknown[]): Row => [
  part,
  ...values.map((name) => ({ filter: { name } })),
];

/** A filter and an order by a field of this name. */
const field = (name: string, problem: string) =>
  ["filter", "sortBy"].map((option): Row => [
    `Invalid ${option}.${name}: ${problem}`,
    { [option]: { [name]: 1 } },
  ]);

const DATABASE = "must be the database's name, which is";

/** An object that JSON would replace by another one. */
const DISGUISED = { login: "root", toJSON: () => ({}) };

/** Invalid options of a listing. */
const LIST_OPTIONS: Row[] = [
  NO_OPTIONS,
  ...COMMON,
  outOfRange("page", 0, 1.5, "1"),
  outOfRange("perPage", 0, -5),
  option("all", 1, "no"),
  ['Unknown option "per_page": did you mean "perPage"?', { per_page: 5 }],
  option("filter", null, "name", []),
  ["Invalid filter: must be a plain object", { filter: DISGUISED }],
  filters("filter.name", null, undefined, ["a"], {}, () => "a"),
  filters("filter.name", new Date(0), { regexp: "a", ne: "b" }),
  filters("RangeError: Invalid filter.name", 1.5, NaN, Infinity, 2 ** 60),
  filters("filter.name.eq", { eq: null }, { eq: {} }),
  filters("RangeError: Invalid filter.name.eq", { eq: 1.5 }),
  filters("filter.name.in", { in: "a" }, { in: [["a"]] }),
  filters("filter.name.in", { in: [null] }),
  filters("RangeError: Invalid filter.name.in", { in: [1.5] }),
  filters("filter.name.regexp", { regexp: 5 }, { regexp: /a/ }),
  filters('"filter.name.$in": did you mean "in"?', { $in: ["a"] }),
  filters('"filter.name.$eq": did you mean "eq"?', { $eq: "a" }),
  filters('"filter.name.like": Known operators: eq, ne', { like: "a" }),
  ["the server can only sort by _id", { filter: { _id: "a" } }],
  option("sortBy", null, "name", ["name"], {}),
  [
    "RangeError: Invalid sortBy.name: ",
    ...[0, 2, "1", true].map((name) => ({ sortBy: { name } })),
    { sortBy: { login: 1, name: undefined } },
  ],
  ...field("id", `${DATABASE} model_id`),
  ...field("time_updated", `${DATABASE} time_created`),
  ...field("data.name", `${DATABASE} name`),
  [DATABASE, { filter: { [`data.${"x".repeat(3000)}`]: 1 } }],
  ...["", "$where", "$or", "initiator.$gt"].flatMap((name) =>
    field(name, "must be the name of a field")
  ),
];

Deno.test("getServers() rejects a filter or order that the server would ignore", async () => {
  const uses: ((servers: Listing<unknown>) => unknown)[] = [
    (servers) => servers,
    (servers) => servers.toArray(),
    (servers) => servers.pages().next(),
    (servers) => servers[Symbol.asyncIterator]().next(),
  ];
  for (const use of uses) {
    const call: Call = (client, options) => use(client.getServers(options));
    await assertMisuses(call, LIST_OPTIONS);
  }
});

class Timeout {
  get timeout() {
    return NaN;
  }
}

const PLAN = { name: "a", clusterId: "c", playbookId: "p" };

/** Calls and their invalid values. */
const MISUSES: Record<string, [Call, ...Row[]]> = {
  "getUserVersion() rejects an invalid version": [
    (client, version) => client.getUserVersion("id", version),
    ["RangeError: Invalid version: must be an integer ≥ 1, got ", 0, -1, 1.5],
    ["RangeError: Invalid version: ", NaN, Infinity, "1", "0x1", " 1", ""],
    ["RangeError: Invalid version: ", true, [1], null, undefined],
  ],
  "getInfo() also validates inherited options": [
    (client, options) => client.getInfo(options),
    ["RangeError: Invalid timeout: ", Object.create({ timeout: "5" })],
    ["RangeError: Invalid timeout: ", new Timeout()],
    ['Unknown option "timout"', Object.create({ timout: 5 })],
  ],
  "toArray() rejects an invalid limit": [
    (client, options) => client.getUsers().toArray(options),
    outOfRange("limit", -1, 1.5, NaN, Infinity),
    ['Unknown option "max"', { max: 5 }],
  ],
  "getExecutionSteps() rejects names of fields of other models": [
    (client, options) => client.getExecutionSteps("id", options),
    ["filter.id", { filter: { id: "a" } }],
    ["only in sortBy", { filter: { model_id: "a" } }],
    ["time_started", { filter: { time_created: 5 } }],
    ["time_finished", { sortBy: { time_updated: 1 } }],
    ["ok 1, error 2", { filter: { result: "ok" } }],
    ["ok 1, error 2", { filter: { result: { in: ["ok"] } } }],
  ],
  "getUserVersions() rejects filter and sortBy": [
    (client, options) => client.getUserVersions("id", options),
    ['Unknown option "filter"', { filter: { id: 1 } }],
    ['Unknown option "sortBy"', { sortBy: { id: 1 } }],
  ],
  "createUser() rejects unknown and invalid options": [
    (client, user) => client.createUser(user),
    ['"full_name": did you mean "fullName"?', { login: "a", full_name: "A" }],
    ["Invalid email: must be a string, got undefined", { login: "a" }],
    ["Invalid new user", null, "ann", undefined],
  ],
  "createServer() rejects unknown and invalid options": [
    (client, server) => client.createServer(server),
    ['"id": Known options: serverId, host, username', { id: "a" }],
    ["Invalid host: must be a string, got undefined", { serverId: "1" }],
  ],
  "createPlaybookConfiguration() rejects unknown and invalid options": [
    (client, options) => client.createPlaybookConfiguration(options),
    ['Unknown option "servers"', { servers: [] }],
    ["Invalid clusterId: must be a string, got undefined", { name: "a" }],
    ["Invalid serverIds: ", PLAN, { ...PLAN, serverIds: "not-a-list" }],
  ],
  "getCinderIntegration() rejects unknown and invalid options": [
    (client, options) => client.getCinderIntegration("id", options),
    ['"path": Known options: signal, timeout, retries, headers, root', {
      path: "/",
    }],
    option("root", 5),
  ],
  "editRole() rejects a change that is not a function": [
    (client, change) => client.editRole("id", change),
    ["Invalid change: ", {}, undefined],
  ],
  "updateUser() rejects a value that is not a user": [
    (client, user) => client.updateUser(user),
    ["Invalid user: ", null],
    ["Invalid id: ", {}],
  ],
  "putServer() rejects a value that is not a server": [
    (client, server) => client.putServer(server),
    ["Invalid server: ", "id"],
  ],
  "request() rejects an endpoint that leads elsewhere": [
    (client, endpoint) => client.request("GET", endpoint),
    ["Invalid endpoint: must be", "", "/", "/v1/", "../auth/"],
    ["Invalid endpoint: must be", "user/../auth/", "user/./a"],
    ["Invalid endpoint: must be", "user/%2e%2E/auth", "user//a"],
    ["Invalid endpoint: must be", "//evil.example/", "user/?a=b"],
    ["Invalid endpoint: must be", "https://evil.example/"],
    ["Invalid endpoint: must be", "user/#a", "user\\a", "us er"],
    ["Invalid endpoint: must be", "üser", "%zz"],
    ["Invalid endpoint: ", 5],
  ],
  "request() rejects an invalid method": [
    (client, method) => client.request(method, "user/"),
    ["Invalid method: ", "PATCH", "get"],
  ],
  "request() rejects invalid options": [
    (client, options) => client.request("POST", "user/", options),
    ['Unknown option "params"', { params: {} }],
    option("query", "a=b", new URLSearchParams({ a: "1" })),
    option("query", new Map([["a", 1]])),
    option("body", "{}", new Map([["a", 1]]), new Set([1])),
  ],
  "request() rejects a body for GET": [
    (client, body) => client.request("GET", "user/", { body }),
    ["Invalid body: must not be set for GET", {}],
  ],
  "Client rejects an invalid URL": [
    (_, url) => Promise.try(makeClient, url),
    ["Invalid url: ", "not a url", "", "decapod.example", "/v1"],
    ["Invalid url: ", "//decapod.example", "http://"],
    ["Invalid url: ", undefined, null, 5, {}],
    ["must start with http:// or https://, got ftp:", "ftp://decapod.example"],
    ["got file:", "file:///etc/passwd"],
    ["got localhost:", "localhost:9999"],
    ["credentials", "http://ann:geheim@a.example"],
    ["credentials", "http://ann@a.example"],
    ["query", "http://a.example/?a=b", "http://a.example/#a"],
  ],
  "Client rejects invalid options": [
    (_, options) => Promise.try(makeClient, "http://decapod", options),
    ...COMMON,
    option("login", "", undefined),
    option("password", "", 5),
    option("fetch", {}, null),
    option("onAttempt", "log"),
    option("tls", "ca"),
    ['Invalid header "a b"', { headers: { "a b": "c" } }],
    ['Unknown option "pasword": did you mean "password"?', { pasword: "a" }],
    ['Unknown option "signal"', { signal: null }],
  ],
  "Client rejects options that are not an object": [
    (_, options) => Promise.try(() => new Client("http://decapod", options)),
    ["Invalid options: ", undefined, null, [], "root"],
  ],
  "fromEnv() rejects variables that are missing or invalid": [
    (_, variables) => Promise.try(fromEnv, variables),
    ...["URL", "LOGIN", "PASSWORD"].map((name): Row => [
      `Cannot create a client from the environment: set DECAPOD_${name}`,
      { [name]: "" },
      { [name]: undefined },
    ]),
    [
      "RangeError: Invalid DECAPOD_TIMEOUT: must be a positive number of seconds up to 86400",
      ...["soon", "0", "-5", "1m", "NaN", "86401", "600000", "Infinity"]
        .map((TIMEOUT) => ({ TIMEOUT })),
    ],
    [
      "--unsafely-ignore-certificate-errors",
      ...["1", "true", "yes"].map((NO_VERIFY) => ({ NO_VERIFY })),
    ],
    ["pass the file's text as tls.cert", { SSL_CERTIFICATE: "/client.pem" }],
  ],
};

for (const [name, [call, ...rows]] of Object.entries(MISUSES)) {
  Deno.test(name, () => assertMisuses(call, rows));
}

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
  const all = { ...ENV, ...variables };
  const get = (name: string) => all[name.replace(/^DECAPOD_/, "")];
  using _ = replace(Deno.env, "get", get);
  return Client.fromEnv(options);
}

Deno.test("fromEnv() ignores a false DECAPOD_NO_VERIFY, and variables whose options are passed", async () => {
  const { cert, key } = await issue("client");
  const fetch = () => Promise.resolve(Response.json(INFO));
  const cases: [Variables, options?: Partial<ClientOptions>][] = [
    [{ NO_VERIFY: "1" }, { tls: { verify: true } }],
    [{ NO_VERIFY: "1", SSL_CERTIFICATE: "/etc/client.pem" }, { fetch }],
    [{ SSL_CERTIFICATE: "/etc/client.pem" }, { tls: { cert, key } }],
    [{ TIMEOUT: "86400" }],
    [{ TIMEOUT: "abc" }, { timeout: 500 }],
  ];
  for (const NO_VERIFY of ["", "0", "f", "false", "n", "No", "OFF"]) {
    cases.push([{ NO_VERIFY }]);
  }
  for (const [variables, options] of cases) {
    assertEquals(fromEnv(variables, options).url, "http://decapod.example");
  }
});

Deno.test("fromEnv() returns an instance of its subclass, and accepts DECAPOD_NO_VERIFY=1 on Bun", () => {
  class Own extends Client {}
  const variables = Object.entries({ ...ENV, NO_VERIFY: "1" });
  const env = Object.fromEntries(
    variables.map(([name, value]) => [`DECAPOD_${name}`, value]),
  );
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

Deno.test("timeout of a call replaces that of the client, which replaces DECAPOD_TIMEOUT in seconds", async () => {
  const fetch: ClientOptions["fetch"] = async (_, { signal }) => {
    await delay(500, { signal }); // a call with another timeout succeeds
    return Response.json(INFO);
  };
  const calls: [timeout: number, () => Promise<unknown>][] = [
    [20, () => fromEnv({ TIMEOUT: "0.02" }, { fetch }).getInfo()],
    [10, () => fromEnv({ TIMEOUT: "6" }, { fetch, timeout: 10 }).getInfo()],
    [15, () => fromEnv({}, { fetch, timeout: 600 }).getInfo({ timeout: 15 })],
  ];
  for (const [timeout, call] of calls) {
    const part = `no response within ${timeout} ms`;
    await assertRejects(call, DecapodTimeoutError, part);
  }
});

Deno.test("options of methods, listings and fromEnv() may be inherited", async () => {
  const sent: string[] = [];
  const fetch: ClientOptions["fetch"] = (url, { headers }) => {
    const { pathname, search } = new URL(url);
    sent.push(pathname + search + headers.get("x-mine"));
    const page = { items: [], page: 1, per_page: 25, total: 0 };
    return Promise.resolve(Response.json(page));
  };
  const client = makeClient("http://decapod", { ...LOGGED_IN, fetch });
  const headers = { "x-mine": "=mine" };
  await client.request("GET", "info", Object.create({ headers }));
  const root = Object.create({ headers, root: "r" });
  await client.getCinderIntegration("id", root);
  await client.getUsers(Object.create({ headers, perPage: 5 }));
  await client.getUsers(Object.create({ headers, perPage: 5 })).toArray();
  const missing = { LOGIN: undefined, PASSWORD: undefined };
  const account = { login: "ann", password: "geheim" };
  await fromEnv(missing, Object.create({ ...account, fetch, headers }))
    .getInfo();
  assertEquals(sent, [
    "/v1/info/=mine",
    "/v1/cinder_integration/id/?root=r=mine",
    "/v1/user/?per_page=5=mine",
    "/v1/user/?per_page=5&sort_by=%7B%22model_id%22%3A1%7D=mine",
    "/v1/info/=mine",
  ]);
});

Deno.test("fromEnv() logs each attempt in one line to stderr with DECAPOD_DEBUG only", async () => {
  const fetch: ClientOptions["fetch"] = async (url) => {
    if (url.endsWith("/info/")) throw new Error("down");
    return await url.endsWith("/auth/")
      ? Response.json({ id: "t0ken" })
      : apiError(500, "Oops", "t0ken secret");
  };
  /** What a client logs for three calls. */
  const log = async (DEBUG?: string, onAttempt?: () => void) => {
    const lines: string[] = [];
    const error = (...values: unknown[]) => void lines.push(values.join(" "));
    using _ = replace(console, "error", error);
    const client = fromEnv({ DEBUG }, { fetch, onAttempt, retries: 0 });
    await client.getInfo().catch(() => {});
    await client.peekPasswordReset("res3t").catch(() => {});
    await client.getUserSelf().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve)); // hooks are async
    return lines;
  };
  const hook = () => {
    throw new Error("of the hook");
  };
  for (const onAttempt of [undefined, hook]) {
    const lines = await log("1", onAttempt);
    for (const line of lines) assert(!/t0ken|secret|res3t|\n/.test(line), line);
    const failed = onAttempt ? ["onAttempt failed: .*of the hook"] : [];
    const expected = [
      "GET \\S+/v1/info/: no response .*DecapodConnectionError",
      "GET \\S+/password_reset/\\[redacted\\]/: 500 .*DecapodAPIError",
      "POST \\S+/auth/: 200 ",
      "GET \\S+/user/self/: 500 .*DecapodAPIError",
    ].flatMap((line) => [line, ...failed]).map((line) =>
      `decapodlib: ${line}.*`
    );
    assertMatch(lines.join("\n"), RegExp(`^${expected.join("\n")}$`));
  }
  for (const DEBUG of [undefined, "", "0", "false"]) {
    assertEquals(await log(DEBUG), []);
  }
});

Deno.test("getInfo() ignores enumerable names on Object.prototype", async () => {
  const sent: string[] = [];
  const client = stubClient((url, { body, headers }) => {
    const all = new Headers(headers);
    assertEquals([all.get("x-evil"), all.get("x-trace")], [null, "1"]);
    sent.push(decodeURIComponent(`${new URL(url).search} ${body}`));
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
    await assertMisuses((client, options) => client.getInfo(options), [
      ['Unknown option "timeot"', { timeot: 5 }],
    ]);
  } finally {
    for (const name of Object.keys(names)) {
      Reflect.deleteProperty(prototype, name);
    }
  }
  assertEquals(sent, [
    " undefined",
    '?per_page=2&filter={"version":1} undefined',
    ' {"name":"ceph"}',
  ]);
});
