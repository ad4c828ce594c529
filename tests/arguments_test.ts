/** Invalid arguments and options: the error names them, nothing is sent. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  type Attempt,
  Client,
  type ClientOptions,
  Listing,
  type RequestOptions,
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
  const client = server.client({ headers: { authorization: "token" } });
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
  assertEquals((await client.getRole(id)).time_deleted, 0);
});

Deno.test("getUserVersion() rejects an invalid version", async () => {
  for (const version of [0, -1, 1.5, NaN, Infinity]) {
    await assertMisuse(
      (client) => client.getUserVersion("id", version),
      RangeError,
      `Invalid version: must be an integer ≥ 1, got ${version}`,
    );
  }
  for (const version of ["1", "0x1", " 1", "", true, [1], null, undefined]) {
    await assertMisuse(
      (client) => client.getUserVersion("id", untyped(version)),
      RangeError,
      "Invalid version: ",
    );
  }
});

/** Invalid options of a call, and parts of their errors. */
const OPTIONS: [RequestOptions, Misuse, string][] = [
  [untyped(null), TypeError, "options"],
  [untyped([]), TypeError, "options"],
  [untyped("timeout"), TypeError, "options"],
  [untyped(5), TypeError, "options"],
  [
    untyped({ timeOut: 5 }),
    TypeError,
    'Unknown option "timeOut": did you mean "timeout"? Known options: signal',
  ],
  [untyped({ page: 5 }), TypeError, 'Unknown option "page"'],
  [{ timeout: 0 }, RangeError, "Invalid timeout: "],
  [{ timeout: -1 }, RangeError, "Invalid timeout: "],
  [{ timeout: NaN }, RangeError, "Invalid timeout: "],
  [{ timeout: Infinity }, RangeError, "Invalid timeout: "],
  [{ timeout: 2 ** 31 }, RangeError, "got 2147483648"],
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
  [{ headers: untyped(null) }, TypeError, "Invalid headers: "],
];

for (const operation of OPERATIONS) {
  const { name, requests: [request], run, waits } = operation;
  if (waits) continue; // they have options of their own
  const isMerged = Object.keys(request?.query ?? {}).length > 0;
  const isListing = request?.checked === true && name.startsWith("get");
  Deno.test(`${symbol(operation)} rejects invalid options`, async () => {
    const world = await openWorld();
    for (const [options, Class, part] of OPTIONS) {
      if (part === "options" && isMerged) continue; // the row makes an object of it
      if (part.includes('"page"') && isListing) continue; // it has this option
      await assertMisuse((client) => run(client, world, options), Class, part);
    }
  });
}

Deno.test("getInfo() also validates inherited options", async () => {
  class Options {
    get timeout() {
      return NaN;
    }
  }
  for (const options of [new Options(), Object.create({ timeout: "5" })]) {
    await assertMisuse(
      (client) => client.getInfo(options),
      RangeError,
      "Invalid timeout: ",
    );
  }
});

Deno.test("getUser() and others reject instead of throwing", async () => {
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

Deno.test("Listing rejects invalid options when it is used", async () => {
  const client = makeClient("http://decapod.example");
  const listing = client.getUsers({ page: 0 });
  assertInstanceOf(listing, Listing);
  await assertRejects(async () => await listing, RangeError, "page");
  await assertRejects(() => listing.toArray(), RangeError, "page");
});

/** Invalid options of a listing. */
const LIST_OPTIONS: [unknown, Misuse, string][] = [
  [null, TypeError, "options"],
  [[], TypeError, "options"],
  ["timeout", TypeError, "options"],
  [5, TypeError, "options"],
  [{ page: 0 }, RangeError, "Invalid page: "],
  [{ page: 1.5 }, RangeError, "Invalid page: "],
  [{ page: "1" }, RangeError, "Invalid page: "],
  [{ perPage: 0 }, RangeError, "Invalid perPage: "],
  [{ perPage: -5 }, RangeError, "Invalid perPage: "],
  [
    { per_page: 5 },
    TypeError,
    'Unknown option "per_page": did you mean "perPage"?',
  ],
  [{ all: 1 }, TypeError, "Invalid all: "],
  [{ all: "no" }, TypeError, "Invalid all: "],
];

const FILTERS: [unknown, Misuse, string][] = [
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
  [
    { name: { $in: ["a"] } },
    TypeError,
    'Unknown operator "filter.name.$in": did you mean "in"?',
  ],
  [
    { name: { $eq: "a" } },
    TypeError,
    'Unknown operator "filter.name.$eq": did you mean "eq"?',
  ],
  [
    { name: { like: "a" } },
    TypeError,
    'Unknown operator "filter.name.like": Known operators: eq, ne',
  ],
  [{ name: { regexp: 5 } }, TypeError, "filter.name.regexp"],
  [{ name: { regexp: /a/ } }, TypeError, "filter.name.regexp"],
  [{ name: { regexp: "a", ne: "b" } }, TypeError, "filter.name"],
  [{ name: () => "a" }, TypeError, "filter.name"],
  [{ name: new Date(0) }, TypeError, "filter.name"],
  [
    { id: "a" },
    TypeError,
    "filter.id: must be the database's name, which is model_id",
  ],
  [
    { time_updated: 5 },
    TypeError,
    "must be the database's name, which is time_created",
  ],
  [
    { "data.name": "a" },
    TypeError,
    "must be the database's name, which is name",
  ],
  [{ _id: "a" }, TypeError, "the server can only sort by _id"],
  [{ $or: [] }, TypeError, "filter.$or"],
  [{ "": "a" }, TypeError, "must be the name of a field"],
];

const ORDERS: [unknown, Misuse, string][] = [
  [null, TypeError, "Invalid sortBy: "],
  ["name", TypeError, "Invalid sortBy: "],
  [["name"], TypeError, "Invalid sortBy: "],
  [{}, TypeError, "Invalid sortBy: "],
  [{ name: 0 }, RangeError, "sortBy.name"],
  [{ name: 2 }, RangeError, "sortBy.name"],
  [{ name: "1" }, RangeError, "sortBy.name"],
  [{ name: true }, RangeError, "sortBy.name"],
  [{ name: 1, login: undefined }, RangeError, "sortBy.login"],
  [
    { id: 1 },
    TypeError,
    "sortBy.id: must be the database's name, which is model_id",
  ],
  [
    { time_updated: 1 },
    TypeError,
    "must be the database's name, which is time_created",
  ],
  [{ "data.name": 1 }, TypeError, "must be the database's name, which is name"],
];

Deno.test("getServers() rejects a filter or order that the server would ignore", async () => {
  const cases = [
    ...LIST_OPTIONS,
    ...FILTERS.map(([filter, ...rest]) => [{ filter }, ...rest] as const),
    ...ORDERS.map(([sortBy, ...rest]) => [{ sortBy }, ...rest] as const),
  ];
  for (const [options, Class, part] of cases) {
    const label = Deno.inspect(options);
    await assertMisuse(
      (client) => client.getServers(untyped(options)),
      Class,
      part,
      label,
    );
    await assertMisuse(
      (client) => first(client.getServers(untyped(options))),
      Class,
      part,
      label,
    );
  }
});

Deno.test("getExecutionSteps() rejects names of fields of other models", async () => {
  const cases: [object, Misuse, string][] = [
    [{ filter: { id: "a" } }, TypeError, "filter.id"],
    [{ filter: { model_id: "a" } }, TypeError, "only in sortBy"],
    [{ filter: { time_created: 5 } }, TypeError, "time_started"],
    [{ sortBy: { time_updated: 1 } }, TypeError, "time_finished"],
    [{ filter: { result: "ok" } }, TypeError, "ok 1, error 2"],
    [{ filter: { result: { in: ["ok"] } } }, TypeError, "ok 1, error 2"],
  ];
  for (const [options, Class, part] of cases) {
    await assertMisuse(
      (client) => client.getExecutionSteps("id", untyped(options)),
      Class,
      part,
    );
  }
});

Deno.test("getUserVersions() rejects filter and sortBy", async () => {
  for (const name of ["filter", "sortBy"]) {
    const options: object = { [name]: { version: 1 } };
    const calls: ((client: V1Client) => unknown)[] = [
      (client) => client.getUserVersions("id", options),
      (client) => first(client.getRoleVersions("id", options)),
      (client) => client.getExecutionVersions("id", options),
    ];
    for (const call of calls) {
      await assertMisuse(call, TypeError, `Unknown option "${name}"`);
    }
  }
});

Deno.test("toArray() rejects an invalid limit", async () => {
  for (const limit of [-1, 1.5, NaN, Infinity]) {
    await assertMisuse(
      (client) => client.getUsers().toArray({ limit }),
      RangeError,
      "Invalid limit: ",
    );
  }
  await assertMisuse(
    (client) => client.getUsers().toArray(untyped({ max: 5 })),
    TypeError,
    'Unknown option "max"',
  );
});

Deno.test("createUser() and others reject unknown names and values of other types", async () => {
  const cases: [(client: V1Client) => unknown, string][] = [
    [
      (client) => client.createUser(untyped({ login: "a", full_name: "A" })),
      'Unknown option "full_name": did you mean "fullName"? Known options: login, email, fullName, roleId',
    ],
    [(client) => client.createUser(untyped(null)), "Invalid new user"],
    [(client) => client.createUser(untyped("ann")), "Invalid new user"],
    [(client) => client.createUser(untyped(undefined)), "user"],
    [
      (client) => client.createServer(untyped({ id: "a" })),
      'Unknown option "id": Known options: serverId, host, username',
    ],
    [
      (client) => client.createPlaybookConfiguration(untyped({ servers: [] })),
      'Unknown option "servers"',
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
      'Unknown option "path": Known options: signal, timeout, retries, headers, root',
    ],
    [
      (client) => client.getCinderIntegration("id", { root: untyped(5) }),
      "Invalid root: ",
    ],
  ];
  for (const [call, part] of cases) await assertMisuse(call, TypeError, part);
});

/** Invalid base URLs, and parts of their errors. */
const URLS: [string | URL, string][] = [
  ["not a url", "Invalid url: "],
  ["", "Invalid url: "],
  ["decapod.example", "Invalid url: "],
  ["//decapod.example", "Invalid url: "],
  ["/v1", "Invalid url: "],
  ["http://", "Invalid url: "],
  ["ftp://decapod.example", "must start with http:// or https://, got ftp:"],
  ["file:///etc/passwd", "got file:"],
  ["localhost:9999", "got localhost:"],
  ["http://ann:geheim@decapod.example", "credentials"],
  ["http://ann@decapod.example", "credentials"],
  ["http://decapod.example/?a=b", "query"],
  ["http://decapod.example/#a", "query"],
  [untyped(undefined), "Invalid url: "],
  [untyped(null), "Invalid url: "],
  [untyped(5), "Invalid url: "],
  [untyped({}), "Invalid url: "],
];

Deno.test("Client rejects an invalid URL", () => {
  for (const [url, part] of URLS) {
    assertThrows(() => makeClient(untyped(url)), TypeError, part);
  }
  const url = new URL("https://decapod.example:8443/a/v1/");
  const client = new Client(url, { login: "a", password: "b" });
  assertEquals(client.url, "https://decapod.example:8443/a");
  assertEquals(makeClient("http://[::1]:80/").url, "http://[::1]");
});

Deno.test("Client rejects invalid options", () => {
  const cases: [Partial<ClientOptions>, Misuse, string][] = [
    [{ login: "" }, TypeError, "login"],
    [{ password: "" }, TypeError, "password"],
    [{ login: untyped(undefined) }, TypeError, "Invalid login: "],
    [{ password: untyped(5) }, TypeError, "Invalid password: "],
    [
      untyped({ pasword: "a" }),
      TypeError,
      'Unknown option "pasword": did you mean "password"? Known options: login',
    ],
    [untyped({ signal: null }), TypeError, 'Unknown option "signal"'],
    [{ timeout: 0 }, RangeError, "Invalid timeout: "],
    [{ timeout: 2 ** 31 }, RangeError, "Invalid timeout: "],
    [{ timeout: untyped("60") }, RangeError, "Invalid timeout: "],
    [{ retries: -1 }, RangeError, "Invalid retries: "],
    [{ retries: 0.5 }, RangeError, "Invalid retries: "],
    [{ fetch: untyped({}) }, TypeError, "Invalid fetch: "],
    [{ fetch: untyped(null) }, TypeError, "Invalid fetch: "],
    [{ onAttempt: untyped("log") }, TypeError, "Invalid onAttempt: "],
    [{ headers: { "a b": "c" } }, TypeError, 'Invalid header "a b"'],
    [{ tls: untyped("ca") }, TypeError, "Invalid tls: "],
  ];
  for (const [options, Class, part] of cases) {
    const error = assertThrows(
      () => makeClient("http://decapod.example", options),
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

/** Runs with these DECAPOD_ variables and no others. */
function withEnv(variables: Record<string, string>, run: () => void): void {
  const names = [
    "URL",
    "LOGIN",
    "PASSWORD",
    "TIMEOUT",
    "DEBUG",
    "NO_VERIFY",
    "SSL_CERTIFICATE",
  ];
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

Deno.test("fromEnv() creates a client from the environment", () => {
  withEnv(ENV, () => {
    assertEquals(Client.fromEnv().url, "http://decapod.example");
    class Own extends Client {}
    assertInstanceOf(Own.fromEnv(), Own);
  });
});

Deno.test("fromEnv() names the variable that is missing", () => {
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

Deno.test("fromEnv() turns verification off with DECAPOD_NO_VERIFY where the runtime can", () => {
  for (const NO_VERIFY of ["1", "true", "yes"]) {
    const variables = {
      DECAPOD_URL: "https://decapod.example",
      DECAPOD_LOGIN: "root",
      DECAPOD_PASSWORD: "secret",
      DECAPOD_NO_VERIFY: NO_VERIFY,
    };
    withEnv({ ...ENV, NO_VERIFY }, () => {
      assertThrows(
        () => Client.fromEnv(),
        TypeError,
        "--unsafely-ignore-certificate-errors",
      );
      pretend({ Bun: {}, process: { env: variables } }, () => {
        assertInstanceOf(Client.fromEnv(), Client);
      });
    });
  }
  for (const NO_VERIFY of ["", "0", "false", "No", "OFF"]) {
    withEnv({ ...ENV, NO_VERIFY }, () => {
      assertInstanceOf(Client.fromEnv(), Client);
    });
  }
});

Deno.test("fromEnv() prefers the option tls.verify to DECAPOD_NO_VERIFY", () => {
  withEnv({ ...ENV, NO_VERIFY: "1" }, () => {
    const client = Client.fromEnv({ tls: { verify: true } });
    assertInstanceOf(client, Client);
  });
});

Deno.test("fromEnv() rejects DECAPOD_SSL_CERTIFICATE, which is a path", async () => {
  const { cert, key } = await issue("client");
  withEnv({ ...ENV, SSL_CERTIFICATE: "/etc/client.pem" }, () => {
    assertThrows(
      () => Client.fromEnv(),
      TypeError,
      "pass the file's text as tls.cert and tls.key",
    );
    assertInstanceOf(Client.fromEnv({ tls: { cert, key } }), Client);
  });
});

Deno.test("fromEnv() logs each attempt in one line to stderr with DECAPOD_DEBUG", async () => {
  await using server = new TestServer((_, { path }) =>
    path === "/v1/auth/"
      ? Response.json({ id: "t0ken" })
      : path === "/v1/info/"
      ? Response.json(INFO)
      : apiError(500, "Oops", "t0ken secret")
  );
  const lines: unknown[][] = [];
  using _ = replace(
    console,
    "error",
    (...values: unknown[]) => void lines.push(values),
  );
  const seen: Attempt[] = [];
  const hooks: ClientOptions["onAttempt"][] = [
    undefined,
    (attempt) => void seen.push(attempt),
    () => {
      throw new Error("of the hook");
    },
  ];
  for (const onAttempt of hooks) {
    let client: V1Client | undefined;
    const variables = { ...ENV, URL: server.url, DEBUG: "1" };
    withEnv(variables, () => client = Client.fromEnv({ onAttempt }));
    assert(client);
    await client.getInfo();
    await client.peekPasswordReset("res3t").catch(() => {});
    await client.getUserSelf().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve)); // hooks are async
  }
  const texts = lines.map((values) => values.join(" "));
  const attempts = texts.filter((text) => !text.includes("onAttempt"));
  assertEquals(attempts.length, 4 * hooks.length);
  const [info, peek, login, self] = attempts;
  const url = RegExp.escape(`${server.url}/v1`);
  const patterns: [string | undefined, string][] = [
    [info, `GET ${url}/info/: 200 `],
    [peek, `GET ${url}/password_reset/\\[redacted\\]/: 500 .*DecapodAPIError`],
    [login, `POST ${url}/auth/: 200 `],
    [self, `GET ${url}/user/self/: 500 .*DecapodAPIError`],
  ];
  for (const [line, pattern] of patterns) {
    assertMatch(line ?? "", new RegExp(`^decapodlib: ${pattern}`));
  }
  for (const text of texts) {
    assert(!/t0ken|secret|res3t|\n/.test(text), text);
  }
  assertEquals(seen.map(({ status }) => status), [200, 500, 200, 500]);
  assertEquals(texts.length - attempts.length, 4); // failures of the last hook
});

Deno.test("fromEnv() logs attempts without a response with DECAPOD_DEBUG", async () => {
  const lines: string[] = [];
  using _ = replace(console, "error", (line) => void lines.push(line));
  let client: V1Client | undefined;
  withEnv({ ...ENV, URL: "http://127.0.0.1:1", DEBUG: "yes" }, () => {
    client = Client.fromEnv({ retries: 0 });
  });
  await client?.getInfo().catch(() => {});
  assertEquals(lines.length, 1);
  assertMatch(
    lines[0] ?? "",
    /^decapodlib: GET http:\S+\/info\/: no response .*DecapodConnectionError/,
  );
});

Deno.test("fromEnv() logs nothing without DECAPOD_DEBUG", async () => {
  await using server = new TestServer(() => Response.json(INFO));
  const lines: unknown[] = [];
  using _ = replace(console, "error", (line) => void lines.push(line));
  for (const DEBUG of ["", "0", "false"]) {
    let client: V1Client | undefined;
    withEnv({ ...ENV, URL: server.url, DEBUG }, () => {
      client = Client.fromEnv();
    });
    await client?.getInfo();
  }
  assertEquals(lines, []);
  assertEquals(server.exchanges.length, 3);
});

Deno.test("getInfo() ignores enumerable names on Object.prototype", async () => {
  await using server = new TestServer((_, { path }) =>
    Response.json(
      path === "/v1/info/"
        ? INFO
        : { items: [], total: 0, page: 1, per_page: 2 },
    )
  );
  const prototype: object = Object.prototype;
  const names = { first: () => 1, timeot: 5, perpage: 5, "x-evil": "1" };
  Object.assign(prototype, names);
  try {
    const headers = { authorization: "token" };
    const client = server.client({ headers });
    const options = { timeout: 1000, headers: { "x-trace": "1" } };
    await client.getInfo(options);
    await client.getUsers({ ...options, filter: { login: "a" }, perPage: 2 });
    await client.createUser(
      { login: "a", email: "a@b.c", fullName: "A" },
      options,
    );
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
  const [, listing, create] = server.exchanges;
  assertEquals(server.exchanges.length, 3);
  assertEquals(listing?.query, { per_page: "2", filter: '{"login":"a"}' });
  assertEquals(create?.body, {
    login: "a",
    email: "a@b.c",
    full_name: "A",
    role_id: null,
  });
  for (const { headers } of server.exchanges) {
    assertEquals(headers.get("x-evil"), null);
    assertEquals(headers.get("x-trace"), "1");
  }
});

Deno.test("fromEnv() gives its options precedence over the environment", async () => {
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

Deno.test("fromEnv() reads DECAPOD_TIMEOUT in seconds, up to a day", async () => {
  let client: V1Client | undefined;
  const options = { fetch: () => new Promise<Response>(() => {}) };
  withEnv({ ...ENV, TIMEOUT: "0.02" }, () => {
    client = Client.fromEnv(options);
  });
  await assertRejects(
    () => Promise.resolve(client?.getInfo()),
    Error,
    "no response within 20 ms",
  );
  withEnv({ ...ENV, TIMEOUT: "600" }, () => {
    client = Client.fromEnv({ ...options, timeout: 10 });
  });
  await assertRejects(
    () => Promise.resolve(client?.getInfo()),
    Error,
    "no response within 10 ms",
  );
  for (
    const TIMEOUT of [
      "soon",
      "0",
      "-5",
      "1m",
      "NaN",
      "86401",
      "600000",
      "Infinity",
    ]
  ) {
    withEnv({ ...ENV, TIMEOUT }, () => {
      assertThrows(
        () => Client.fromEnv(),
        RangeError,
        "Invalid DECAPOD_TIMEOUT: must be a positive number of seconds up to 86400",
      );
    });
  }
  withEnv({ ...ENV, TIMEOUT: "86400" }, () => {
    assertInstanceOf(Client.fromEnv(), Client);
  });
});

Deno.test("getUsers() rejects a filter or an order by what is not the name of a field", async () => {
  const client = makeClient("http://decapod.example");
  for (const name of ["", "$where", "$or", "initiator.$gt"]) {
    const cases: [option: string, options: object][] = [
      ["filter", { filter: { [name]: 1 } }],
      ["sortBy", { sortBy: { [name]: 1 } }],
    ];
    for (const [option, options] of cases) {
      await assertRejects(
        async () => await client.getUsers(options),
        TypeError,
        `Invalid ${option}.${name}: must be the name of a field`,
      );
    }
  }
});

Deno.test("getUsers() rejects a filter that JSON would replace by something else", async () => {
  const filter = { login: "root" };
  Object.defineProperty(filter, "toJSON", { value: () => ({}) });
  await assertRejects(
    async () => await makeClient("http://decapod.example").getUsers({ filter }),
    TypeError,
    "Invalid filter: must be a plain object",
  );
});
