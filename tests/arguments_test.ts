/** Bad input is refused by name, and nothing is sent. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  Client,
  type ClientOptions,
  Listing,
  type RequestOptions,
  type V1Client,
} from "../mod.ts";
import { INFO, makeClient, TestServer } from "./support/server.ts";

/** A value as a program without types would hand it over. */
const untyped = (value: unknown) => new Map().set("", value).get("");

type Refusal = typeof TypeError | typeof RangeError;

/** Fails unless a call is refused so, without a request. */
async function assertRefused(
  call: (client: V1Client) => unknown,
  Class: Refusal,
  says: string,
  label = says,
): Promise<void> {
  await using server = new TestServer(() => Response.json(INFO));
  let error;
  try {
    await call(server.client());
  } catch (thrown) {
    error = thrown;
  }
  assertInstanceOf(error, Class, label);
  assertEquals(error.constructor, Class, label);
  assertStringIncludes(error.message, says, label);
  assertEquals(server.exchanges, [], label);
}

/** The first thing that an iteration gives. */
function first(items: AsyncIterable<unknown>): Promise<unknown> {
  return items[Symbol.asyncIterator]().next();
}

/** Methods that put an id into the path, and what they call it. */
const ID_METHODS: [
  string,
  string,
  (client: V1Client, id: string) => unknown,
][] = [
  ["getUser", "id", (client, id) => client.getUser(id)],
  ["getUserVersions", "id", (client, id) => client.getUserVersions(id)],
  [
    "getUserVersions, iterated",
    "id",
    (client, id) => first(client.getUserVersions(id)),
  ],
  ["getUserVersion", "id", (client, id) => client.getUserVersion(id, 1)],
  ["editUser", "id", (client, id) => client.editUser(id, (data) => data)],
  ["deleteUser", "id", (client, id) => client.deleteUser(id)],
  ["getRole", "id", (client, id) => client.getRole(id)],
  ["deleteRole", "id", (client, id) => client.deleteRole(id)],
  ["getCluster", "id", (client, id) => client.getCluster(id)],
  ["deleteCluster", "id", (client, id) => client.deleteCluster(id)],
  ["getServer", "id", (client, id) => client.getServer(id)],
  ["deleteServer", "id", (client, id) => client.deleteServer(id)],
  [
    "getPlaybookConfiguration",
    "id",
    (client, id) => client.getPlaybookConfiguration(id),
  ],
  ["getExecution", "id", (client, id) => client.getExecution(id)],
  ["cancelExecution", "id", (client, id) => client.cancelExecution(id)],
  ["getExecutionSteps", "id", (client, id) => client.getExecutionSteps(id)],
  ["getExecutionLog", "id", (client, id) => client.getExecutionLog(id)],
  [
    "streamExecutionLog",
    "id",
    (client, id) => first(client.streamExecutionLog(id)),
  ],
  [
    "getCinderIntegration",
    "clusterId",
    (client, id) => client.getCinderIntegration(id),
  ],
  [
    "peekPasswordReset",
    "resetToken",
    (client, id) => client.peekPasswordReset(id),
  ],
  [
    "resetPassword",
    "resetToken",
    (client, id) => client.resetPassword(id, "new"),
  ],
  [
    "updateUser",
    "id",
    (client, id) =>
      client.updateUser({
        id,
        model: "user",
        version: 1,
        initiator_id: null,
        time_updated: 0,
        time_deleted: 0,
        data: { login: "a", email: "a@b.c", full_name: "A", role_id: null },
      }),
  ],
];

for (const [method, name, call] of ID_METHODS) {
  Deno.test(`${method}() refuses what is no ${name}`, async () => {
    for (const id of ["", ".", "..", "\ud800"]) {
      const label = `${method}(${JSON.stringify(id)})`;
      await assertRefused(
        (client) => call(client, id),
        TypeError,
        `Invalid ${name}: `,
        label,
      );
    }
    for (const id of [undefined, null, 5, {}, [], ["a"], true]) {
      await assertRefused(
        (client) => call(client, untyped(id)),
        TypeError,
        `Invalid ${name}: a string is needed`,
      );
    }
  });
}

Deno.test("an id leads nowhere else, whatever is in it", async () => {
  await using server = new TestServer(() => Response.json(INFO));
  const client = server.client({ headers: { authorization: "token" } });
  const ids = ["a/b", "../role", "%2e%2e", "a?b=c", "a#b", "ü", "...", "a b"];
  for (const id of ids) {
    await client.getUser(id);
    const path = server.exchanges.at(-1)?.path ?? "";
    assertEquals(path, `/v1/user/${encodeURIComponent(id)}/`);
    assertEquals(decodeURIComponent(path), `/v1/user/${id}/`);
  }
});

Deno.test("a version is a whole number from 1", async () => {
  for (const version of [0, -1, 1.5, NaN, Infinity]) {
    await assertRefused(
      (client) => client.getUserVersion("id", version),
      RangeError,
      `Invalid version: a whole number from 1 is needed, it is ${version}`,
    );
  }
  for (const version of ["1", "0x1", " 1", "", true, [1], null, undefined]) {
    await assertRefused(
      (client) => client.getUserVersion("id", untyped(version)),
      RangeError,
      "Invalid version: ",
    );
  }
});

/** Bad options of a call, and what is said of them. */
const OPTIONS: [RequestOptions, Refusal, string][] = [
  [untyped(null), TypeError, "options"],
  [untyped([]), TypeError, "options"],
  [untyped("timeout"), TypeError, "options"],
  [untyped(5), TypeError, "options"],
  [untyped({ timeOut: 5 }), TypeError, 'there is no "timeOut", but signal'],
  [untyped({ page: 5 }), TypeError, 'there is no "page"'],
  [{ timeout: 0 }, RangeError, "Invalid timeout: "],
  [{ timeout: -1 }, RangeError, "Invalid timeout: "],
  [{ timeout: NaN }, RangeError, "Invalid timeout: "],
  [{ timeout: Infinity }, RangeError, "Invalid timeout: "],
  [{ timeout: 2 ** 31 }, RangeError, "it is 2147483648"],
  [{ timeout: untyped("5") }, RangeError, "Invalid timeout: "],
  [{ timeout: untyped(null) }, RangeError, "Invalid timeout: "],
  [{ retries: -1 }, RangeError, "Invalid retries: "],
  [{ retries: 1.5 }, RangeError, "Invalid retries: "],
  [{ retries: NaN }, RangeError, "Invalid retries: "],
  [{ retries: Infinity }, RangeError, "Invalid retries: "],
  [{ retries: untyped("2") }, RangeError, "Invalid retries: "],
  [{ signal: untyped({}) }, TypeError, "Invalid signal: "],
  [{ signal: untyped(new AbortController()) }, TypeError, "Invalid signal: "],
  [{ signal: untyped(null) }, TypeError, "Invalid signal: "],
  [{ headers: untyped(5) }, TypeError, "Invalid headers: "],
  [{ headers: untyped("a: b") }, TypeError, "Invalid headers: "],
  [{ headers: untyped([["a", "b"]]) }, TypeError, "Invalid headers: "],
  [{ headers: untyped(null) }, TypeError, "Invalid headers: "],
  [{ headers: { "x-a": untyped(undefined) } }, TypeError, '"x-a"'],
  [{ headers: { "x-a": untyped(5) } }, TypeError, '"x-a"'],
  [{ headers: { "x-a": "b\r\nx-c: d" } }, TypeError, 'Invalid header "x-a"'],
  [{ headers: { "x-a": "b\n" } }, TypeError, 'Invalid header "x-a"'],
  [{ headers: { "x-a": "\0" } }, TypeError, 'Invalid header "x-a"'],
  [{ headers: { "x-a": "ž" } }, TypeError, 'Invalid header "x-a"'],
  [{ headers: { "x a": "b" } }, TypeError, 'Invalid header "x a"'],
  [{ headers: { "x\r\na": "b" } }, TypeError, 'Invalid header "x??a"'],
  [{ headers: { "": "b" } }, TypeError, 'Invalid header ""'],
];

/** Methods of all kinds, by the way in which they take options. */
const OPTION_METHODS: Record<
  string,
  (client: V1Client, options: RequestOptions) => unknown
> = {
  login: (client, options) => client.login(options),
  logout: (client, options) => client.logout(options),
  getInfo: (client, options) => client.getInfo(options),
  getUser: (client, options) => client.getUser("id", options),
  createRole: (client, options) => client.createRole("role", [], options),
  deleteRole: (client, options) => client.deleteRole("id", options),
  editRole: (client, options) => client.editRole("id", (data) => data, options),
  getCinderIntegration: (client, options) =>
    client.getCinderIntegration("id", options),
  getExecutionLog: (client, options) => client.getExecutionLog("id", options),
  streamExecutionLog: (client, options) =>
    first(client.streamExecutionLog("id", options)),
  getUsers: (client, options) => client.getUsers(options),
  "getUsers, iterated": (client, options) => first(client.getUsers(options)),
  getUserVersions: (client, options) => client.getUserVersions("id", options),
};

for (const [method, call] of Object.entries(OPTION_METHODS)) {
  Deno.test(`${method}() refuses bad options`, async () => {
    for (const [options, Class, says] of OPTIONS) {
      if (says.includes('"page"') && /s\b/.test(method)) continue; // it has one
      await assertRefused((client) => call(client, options), Class, says);
    }
  });
}

Deno.test("options that are not an object's own are looked at too", async () => {
  class Options {
    get timeout() {
      return NaN;
    }
  }
  for (const options of [new Options(), Object.create({ timeout: "5" })]) {
    await assertRefused(
      (client) => client.getInfo(options),
      RangeError,
      "Invalid timeout: ",
    );
  }
});

Deno.test("misuse is a rejection, never an exception of the call", async () => {
  const client = makeClient("http://decapod.example");
  const calls = [
    client.getUser(""),
    client.getUser("id", { timeout: 0 }),
    client.createUser(untyped(null)),
    client.updateUser(untyped(null)),
    client.editUser("", (data) => data),
    client.login({ retries: -1 }),
    client.logout({ retries: -1 }),
    client.getCinderIntegration(""),
  ];
  await Promise.all(calls.map((call) => assertRejects(() => call)));
});

Deno.test("a listing is refused when it is used", async () => {
  const client = makeClient("http://decapod.example");
  const listing = client.getUsers({ page: 0 });
  assertInstanceOf(listing, Listing);
  await assertRejects(async () => await listing, RangeError, "page");
  await assertRejects(() => listing.toArray(), RangeError, "page");
});

/** Bad options of a listing. */
const LIST_OPTIONS: [object, Refusal, string][] = [
  [{ page: 0 }, RangeError, "Invalid page: "],
  [{ page: 1.5 }, RangeError, "Invalid page: "],
  [{ page: "1" }, RangeError, "Invalid page: "],
  [{ perPage: 0 }, RangeError, "Invalid perPage: "],
  [{ perPage: -5 }, RangeError, "Invalid perPage: "],
  [{ per_page: 5 }, TypeError, 'there is no "per_page"'],
  [{ all: 1 }, TypeError, "Invalid all: "],
  [{ all: "no" }, TypeError, "Invalid all: "],
];

const FILTERS: [unknown, Refusal, string][] = [
  [null, TypeError, "Invalid filter: "],
  ["name", TypeError, "Invalid filter: "],
  [[], TypeError, "Invalid filter: "],
  [{ name: null }, TypeError, "filter.name"],
  [{ name: undefined }, TypeError, "filter.name"],
  [{ name: 1.5 }, RangeError, "filter.name"],
  [{ name: NaN }, RangeError, "filter.name"],
  [{ name: Infinity }, RangeError, "filter.name"],
  [{ name: 2 ** 60 }, RangeError, "filter.name"],
  [{ name: ["a"] }, TypeError, "filter.name"],
  [{ name: {} }, TypeError, "filter.name"],
  [{ name: { eq: null } }, TypeError, "filter.name.eq"],
  [{ name: { eq: 1.5 } }, RangeError, "filter.name.eq"],
  [{ name: { eq: {} } }, TypeError, "filter.name.eq"],
  [{ name: { in: "a" } }, TypeError, "filter.name.in"],
  [{ name: { in: [["a"]] } }, TypeError, "filter.name.in"],
  [{ name: { in: [null] } }, TypeError, "filter.name.in"],
  [{ name: { in: [1.5] } }, RangeError, "filter.name.in"],
  [{ name: { $in: ["a"] } }, TypeError, 'filter.name: there is no "$in"'],
  [{ name: { $eq: "a" } }, TypeError, 'there is no "$eq"'],
  [{ name: { like: "a" } }, TypeError, 'there is no "like"'],
  [{ name: { regexp: 5 } }, TypeError, "filter.name.regexp"],
  [{ name: { regexp: /a/ } }, TypeError, "filter.name.regexp"],
  [{ name: { regexp: "a", ne: "b" } }, TypeError, "filter.name"],
  [{ name: () => "a" }, TypeError, "filter.name"],
  [{ name: new Date(0) }, TypeError, "filter.name"],
  [{ id: "a" }, TypeError, "filter.id: the server's name for it is model_id"],
  [{ time_updated: 5 }, TypeError, "the server's name for it is time_created"],
  [{ "data.name": "a" }, TypeError, "the server's name for it is name"],
  [{ _id: "a" }, TypeError, "the server can only sort by _id"],
  [{ $or: [] }, TypeError, "filter.$or"],
  [{ "": "a" }, TypeError, "it is not the name of a field"],
];

const ORDERS: [unknown, Refusal, string][] = [
  [null, TypeError, "Invalid sortBy: "],
  ["name", TypeError, "Invalid sortBy: "],
  [["name"], TypeError, "Invalid sortBy: "],
  [{}, TypeError, "Invalid sortBy: "],
  [{ name: 0 }, RangeError, "sortBy.name"],
  [{ name: 2 }, RangeError, "sortBy.name"],
  [{ name: "1" }, RangeError, "sortBy.name"],
  [{ name: true }, RangeError, "sortBy.name"],
  [{ name: 1, login: undefined }, RangeError, "sortBy.login"],
  [{ id: 1 }, TypeError, "sortBy.id: the server's name for it is model_id"],
  [{ time_updated: 1 }, TypeError, "the server's name for it is time_created"],
  [{ "data.name": 1 }, TypeError, "the server's name for it is name"],
];

Deno.test("a listing refuses what the server would pass over", async () => {
  const cases = [
    ...LIST_OPTIONS,
    ...FILTERS.map(([filter, ...rest]) => [{ filter }, ...rest] as const),
    ...ORDERS.map(([sortBy, ...rest]) => [{ sortBy }, ...rest] as const),
  ];
  for (const [options, Class, says] of cases) {
    const label = Deno.inspect(options);
    await assertRefused(
      (client) => client.getServers(untyped(options)),
      Class,
      says,
      label,
    );
    await assertRefused(
      (client) => first(client.getServers(untyped(options))),
      Class,
      says,
      label,
    );
  }
});

Deno.test("steps have names of their own", async () => {
  const cases: [object, Refusal, string][] = [
    [{ filter: { id: "a" } }, TypeError, "filter.id"],
    [{ filter: { model_id: "a" } }, TypeError, "can only be sorted by"],
    [{ filter: { time_created: 5 } }, TypeError, "time_started"],
    [{ sortBy: { time_updated: 1 } }, TypeError, "time_finished"],
    [{ filter: { result: "ok" } }, TypeError, "ok 1, error 2"],
    [{ filter: { result: { in: ["ok"] } } }, TypeError, "ok 1, error 2"],
  ];
  for (const [options, Class, says] of cases) {
    await assertRefused(
      (client) => client.getExecutionSteps("id", untyped(options)),
      Class,
      says,
    );
  }
});

Deno.test("a versions listing takes no filter and no order", async () => {
  for (const name of ["filter", "sortBy"]) {
    const options = untyped({ [name]: { version: 1 } });
    const calls: ((client: V1Client) => unknown)[] = [
      (client) => client.getUserVersions("id", options),
      (client) => first(client.getRoleVersions("id", options)),
      (client) => client.getExecutionVersions("id", options),
    ];
    for (const call of calls) {
      await assertRefused(call, TypeError, `there is no "${name}"`);
    }
  }
});

Deno.test("toArray() refuses a limit that is none", async () => {
  for (const limit of [-1, 1.5, NaN, Infinity]) {
    await assertRefused(
      (client) => client.getUsers().toArray({ limit }),
      RangeError,
      "Invalid limit: ",
    );
  }
  await assertRefused(
    (client) => client.getUsers().toArray(untyped({ max: 5 })),
    TypeError,
    'there is no "max"',
  );
});

Deno.test("new models are checked for names that there are not", async () => {
  const cases: [(client: V1Client) => unknown, string][] = [
    [
      (client) => client.createUser(untyped({ login: "a", full_name: "A" })),
      'there is no "full_name", but login, email, fullName, roleId',
    ],
    [(client) => client.createUser(untyped(null)), "Invalid new user"],
    [(client) => client.createUser(untyped("ann")), "Invalid new user"],
    [(client) => client.createUser(untyped(undefined)), "user"],
    [
      (client) => client.createServer(untyped({ id: "a" })),
      'there is no "id", but serverId, host, username',
    ],
    [
      (client) => client.createPlaybookConfiguration(untyped({ servers: [] })),
      'there is no "servers"',
    ],
    [
      (client) =>
        client.createPlaybookConfiguration({
          name: "a",
          clusterId: "c",
          playbookId: "p",
          serverIds: untyped("not-a-list"),
        }),
      "Invalid serverIds: ",
    ],
    [
      (client) =>
        client.createPlaybookConfiguration(
          untyped({ name: "a", clusterId: "c", playbookId: "p" }),
        ),
      "Invalid serverIds: ",
    ],
    [(client) => client.updateUser(untyped(null)), "user"],
    [(client) => client.putServer(untyped("id")), "server"],
    [(client) => client.updateRole(untyped({})), "Invalid id: "],
    [(client) => client.editRole("id", untyped({})), "Invalid change: "],
    [(client) => client.editRole("id", untyped(undefined)), "change"],
    [
      (client) => client.getCinderIntegration("id", untyped({ path: "/" })),
      'there is no "path", but signal, timeout, retries, headers, root',
    ],
    [
      (client) => client.getCinderIntegration("id", { root: untyped(5) }),
      "Invalid root: ",
    ],
  ];
  for (const [call, says] of cases) await assertRefused(call, TypeError, says);
});

/** Bad URLs, and what is said of them. */
const URLS: [string | URL, string][] = [
  ["not a url", "Invalid url: "],
  ["", "Invalid url: "],
  ["decapod.example", "Invalid url: "],
  ["//decapod.example", "Invalid url: "],
  ["/v1", "Invalid url: "],
  ["http://", "Invalid url: "],
  ["ftp://decapod.example", "not ftp:"],
  ["file:///etc/passwd", "not file:"],
  ["localhost:9999", "not localhost:"],
  ["http://ann:geheim@decapod.example", "it has credentials in it"],
  ["http://ann@decapod.example", "it has credentials in it"],
  ["http://decapod.example/?a=b", "no query and no fragment"],
  ["http://decapod.example/#a", "no query and no fragment"],
  [untyped(undefined), "Invalid url: "],
  [untyped(null), "Invalid url: "],
  [untyped(5), "Invalid url: "],
  [untyped({}), "Invalid url: "],
];

Deno.test("a client refuses what is no base URL", () => {
  for (const [url, says] of URLS) {
    assertThrows(() => makeClient(untyped(url)), TypeError, says);
  }
  const url = new URL("https://decapod.example:8443/a/v1/");
  const client = new Client(url, { login: "a", password: "b" });
  assertEquals(client.url, "https://decapod.example:8443/a");
  assertEquals(makeClient("http://[::1]:80/").url, "http://[::1]");
});

Deno.test("a client refuses bad options", () => {
  const cases: [Partial<ClientOptions>, Refusal, string][] = [
    [{ login: "" }, TypeError, "login"],
    [{ password: "" }, TypeError, "password"],
    [{ login: untyped(undefined) }, TypeError, "Invalid login: "],
    [{ password: untyped(5) }, TypeError, "Invalid password: "],
    [untyped({ pasword: "a" }), TypeError, 'there is no "pasword", but login'],
    [untyped({ signal: null }), TypeError, 'there is no "signal"'],
    [{ timeout: 0 }, RangeError, "Invalid timeout: "],
    [{ timeout: 2 ** 31 }, RangeError, "Invalid timeout: "],
    [{ timeout: untyped("60") }, RangeError, "Invalid timeout: "],
    [{ retries: -1 }, RangeError, "Invalid retries: "],
    [{ retries: 0.5 }, RangeError, "Invalid retries: "],
    [{ fetch: untyped({}) }, TypeError, "Invalid fetch: "],
    [{ fetch: untyped(null) }, TypeError, "Invalid fetch: "],
    [{ onAttempt: untyped("log") }, TypeError, "Invalid onAttempt: "],
    [{ headers: { "a b": "c" } }, TypeError, 'Invalid header "a b"'],
    [{ headers: { a: "c\r\nd: e" } }, TypeError, 'Invalid header "a"'],
    [{ headers: untyped([["a", "b"]]) }, TypeError, "Invalid headers: "],
    [{ tls: untyped("ca") }, TypeError, "Invalid tls: "],
  ];
  for (const [options, Class, says] of cases) {
    const error = assertThrows(
      () => makeClient("http://decapod.example", options),
      Class,
      says,
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

/** Runs with these variables of the environment, and no others of ours. */
function withEnv(variables: Record<string, string>, run: () => void): void {
  const names = ["URL", "LOGIN", "PASSWORD", "TIMEOUT"];
  const before = names.map((name) => Deno.env.get(`DECAPOD_${name}`));
  try {
    for (const name of names) {
      const value = variables[name];
      if (value === undefined) Deno.env.delete(`DECAPOD_${name}`);
      else Deno.env.set(`DECAPOD_${name}`, value);
    }
    run();
  } finally {
    for (const [index, name] of names.entries()) {
      const value = before[index];
      if (value === undefined) Deno.env.delete(`DECAPOD_${name}`);
      else Deno.env.set(`DECAPOD_${name}`, value);
    }
  }
}

const ENV = {
  URL: "http://decapod.example/v1/",
  LOGIN: "root",
  PASSWORD: "secret",
};

Deno.test("fromEnv() takes what the environment has", () => {
  withEnv(ENV, () => {
    assertEquals(Client.fromEnv().url, "http://decapod.example");
    class Own extends Client {}
    assertInstanceOf(Own.fromEnv(), Own);
  });
});

Deno.test("fromEnv() says which variable is missing", () => {
  for (const name of ["URL", "LOGIN", "PASSWORD"] as const) {
    const { [name]: _, ...rest } = ENV;
    for (const variables of [rest, { ...ENV, [name]: "" }]) {
      withEnv(variables, () => {
        assertThrows(
          () => Client.fromEnv(),
          TypeError,
          `Cannot create a client from the environment: set DECAPOD_${name}`,
        );
      });
    }
  }
});

Deno.test("fromEnv() can do without an environment", () => {
  const original = Object.getOwnPropertyDescriptor(globalThis, "process");
  assert(original);
  try {
    for (const value of [undefined, {}]) {
      const configurable = true;
      Object.defineProperty(globalThis, "process", { configurable, value });
      assertThrows(() => Client.fromEnv(), TypeError, "set DECAPOD_URL");
    }
  } finally {
    Object.defineProperty(globalThis, "process", original);
  }
});

Deno.test("fromEnv()'s options count more than the environment", async () => {
  await using server = new TestServer(() => Response.json({ id: "token" }));
  const { URL, ...rest } = { ...ENV, URL: server.url };
  let client: V1Client | undefined;
  withEnv({ URL }, () => {
    client = Client.fromEnv({ login: "ann", password: "geheim" });
  });
  await client?.login();
  withEnv({ URL, ...rest }, () => {
    client = Client.fromEnv({ password: "geheim" });
  });
  await client?.login();
  assertEquals(server.exchanges.map(({ body }) => body), [
    { username: "ann", password: "geheim" },
    { username: "root", password: "geheim" },
  ]);
});

Deno.test("DECAPOD_TIMEOUT is in seconds", async () => {
  let client: V1Client | undefined;
  const options = { fetch: () => new Promise<Response>(() => {}) };
  withEnv({ ...ENV, TIMEOUT: "0.02" }, () => {
    client = Client.fromEnv(options);
  });
  await assertRejects(
    () => Promise.resolve(client?.getInfo()),
    Error,
    "no answer within 20 ms",
  );
  withEnv({ ...ENV, TIMEOUT: "600" }, () => {
    client = Client.fromEnv({ ...options, timeout: 10 });
  });
  await assertRejects(
    () => Promise.resolve(client?.getInfo()),
    Error,
    "no answer within 10 ms",
  );
  for (const TIMEOUT of ["soon", "0", "-5", "1m", "NaN"]) {
    withEnv({ ...ENV, TIMEOUT }, () => {
      assertThrows(() => Client.fromEnv(), Error, "Invalid DECAPOD_TIMEOUT: ");
    });
  }
  withEnv({ ...ENV, TIMEOUT: "Infinity" }, () => {
    assertThrows(() => Client.fromEnv(), RangeError, "timeout");
  });
});
