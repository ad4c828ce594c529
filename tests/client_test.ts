/** Every method: its request, with headers and body, and its result. */

import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  DecapodAPIError,
  type HeadersOption,
  V1Client,
  VERSION,
} from "../mod.ts";
import {
  LOGIN,
  makeWorld,
  OPERATIONS,
  toWire,
  wireRequests,
} from "./operations.ts";
import { fixedRandom } from "./support/patch.ts";
import { assertNoSecrets } from "./support/secrets.ts";
import {
  apiError,
  makeClient,
  PASSWORD,
  StandInServer,
  TestServer,
} from "./support/server.ts";
import { stubClient, typed } from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";
import { backstage } from "./support/world.ts";

/** The methods of decapodlib for Python. */
const PYTHON = `
  login logout
  get_users get_user get_user_versions get_user_version get_user_self
  create_user update_user delete_user
  get_roles get_role get_role_versions get_role_version get_role_self
  create_role update_role delete_role
  get_clusters get_cluster get_cluster_versions get_cluster_version
  create_cluster update_cluster delete_cluster
  get_servers get_server get_server_versions get_server_version
  create_server put_server delete_server
  get_playbook_configurations get_playbook_configuration
  get_playbook_configuration_versions get_playbook_configuration_version
  create_playbook_configuration update_playbook_configuration
  delete_playbook_configuration
  get_executions get_execution get_execution_versions get_execution_version
  create_execution cancel_execution get_execution_steps get_execution_log
  get_permissions get_playbooks get_info
  request_password_reset peek_password_reset reset_password
  get_cinder_integration
`.trim().split(/\s+/);

for (const operation of OPERATIONS) {
  const { name, requests, verify } = operation;
  const [{ session = false, response, streamed } = {}, second] = requests;
  const symbol = name.replace(/^\w+/, "$&()");
  const logsIn = session || name === "logout";
  Deno.test(`${symbol} ${session ? "logs in, " : ""}sends its requests and returns the response`, async () => {
    await using server = new StandInServer();
    const client = server.client();
    const world = await makeWorld(client, PASSWORD, backstage(server.standIn));
    server.exchanges.length = 0; // the client has no session
    if (name === "logout") await client.login();
    const { result, actual, expected } = await verify(client, world);
    assertEquals(
      server.exchanges.map((exchange) => toWire(exchange)),
      wireRequests(
        { ...operation, requests: [...logsIn ? [LOGIN] : [], ...requests] },
        world,
        server.token,
      ),
    );
    assertEquals(actual, expected);
    const answers = server.exchanges.map(({ answer }) => answer);
    for (const answer of answers) assertEquals(answer?.status, 200);
    // The result of one request is its response, neither more nor less.
    const text = answers.at(-1)?.text ?? "";
    if (second || streamed || name === "logout") return;
    assertEquals(result, response === "text" ? text : JSON.parse(text));
  });
}

Deno.test("V1Client has every method of the Python library, and every method is tested", () => {
  const methods = Object.getOwnPropertyNames(V1Client.prototype)
    .filter((name) => name !== "constructor");
  const names = OPERATIONS.map(({ name }) => name.split(" ")[0]);
  assertEquals(PYTHON.length, 54);
  const camelCase = (name: string) =>
    name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const missing = new Set(PYTHON.map(camelCase)).difference(new Set(methods));
  assertEquals([...missing], []);
  assertEquals(methods.filter((name) => !names.includes(name)), []);
});

Deno.test("createUser() and others send defaults for what the call leaves out", async () => {
  const sent: unknown[] = [];
  const client = stubClient((url, { body }) => {
    sent.push(body ? JSON.parse(String(body)) : new URL(url).search);
    return Response.json({ items: [], page: 1, per_page: 25, total: 0 });
  });
  await client.getUsers();
  await client.getUsers({ all: false });
  await client.getCinderIntegration("id");
  await client.getCinderIntegration("id", { root: "\ud800&" });
  await client.createUser({ login: "c", email: "e", fullName: "C" });
  const ids = { clusterId: "c", playbookId: "p", serverIds: ["s"] };
  await client.createPlaybookConfiguration({ name: "n", ...ids });
  assertEquals(sent, [
    ...["", "", "?root=%2Fetc%2Fceph", "?root=%EF%BF%BD%26"],
    { login: "c", email: "e", full_name: "C", role_id: null },
    {
      name: "n",
      cluster_id: "c",
      playbook_id: "p",
      server_ids: ["s"],
      hints: [],
      run: false,
    },
  ]);
});

Deno.test("getRoleSelf() keeps fields that a newer server adds", async () => {
  const role = { id: "r", color: "red", data: { state: "melting" } };
  const client = stubClient(() => Response.json(role));
  assertEquals<unknown>(await client.getRoleSelf(), role);
});

Deno.test("request() sends a request below /v1/ with session, query, body and headers", async () => {
  await using server = new TestServer(() => Response.json({ id: "token" }));
  const client = server.client();
  for (const endpoint of ["user/", "user", "/user", "/v1/user/"]) {
    await client.request("GET", endpoint);
  }
  assertEquals(server.logins, 1);
  assertEquals(server.sent("GET", "/v1/user/").length, 4);
  const encoded = "a/b-c_d.e~f/%C3%BC";
  for (const method of ["POST", "PUT", "DELETE"] as const) {
    await client.request(method, encoded, {
      query: { a: "ü&", b: 1, c: false, d: undefined },
      body: { x: [1] },
      headers: { "x-trace": "1" },
      timeout: 5000,
    });
    const [exchange] = server.sent(method, `/v1/${encoded}/`);
    assertEquals(exchange?.query, { a: "ü&", b: "1", c: "false" });
    assertEquals(exchange?.body, { x: [1] });
    assertEquals(exchange?.headers.get("authorization"), "token");
    assertEquals(exchange?.headers.get("x-trace"), "1");
  }
});

Deno.test("VERSION is the version in deno.json", async () => {
  const file = new URL("../deno.json", import.meta.url);
  assertEquals(JSON.parse(await Deno.readTextFile(file)).version, VERSION);
});

/** A client of a server with one cluster, and the bodies that it sends. */
function record(configuration = "{}") {
  const bodies: unknown[] = [];
  const client = stubClient((_, { body }) => {
    if (body) bodies.push(JSON.parse(String(body)));
    const data = `{"name":"n","configuration":${configuration}}`;
    const model = `{"id":"id","version":1,"data":${data}}`;
    return typed("application/json", model);
  });
  return { client, bodies };
}

const CYCLE: Record<string, unknown> = {};
CYCLE.self = CYCLE;

/** What the error calls a value that JSON would change, and the value. */
const VALUES: [problem: string, value: unknown][] = [
  ["NaN", NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
  ["the integer 9007199254740992", 2 ** 53],
  ["the integer -9007199254740992", -(2 ** 53)],
  ["the integer 9223372036854776000", 2 ** 63],
  ["the integer 1e+300", 1e300],
  ["a bigint", 10n],
  ["a function", () => 1],
  ["a symbol", Symbol("a")],
  ["a Map", new Map([["a", 1]])],
  ["a Set", new Set([1])],
  ["a Promise", Promise.resolve(1)],
  ["a RegExp", /x/],
  ["a Uint8Array", new Uint8Array(1)],
  ["a Number", Object(NaN)],
  ["a BigInt", Object(1n)],
  ["an object that JSON turns into null or nothing", new Date(NaN)],
  ["an object that JSON turns into null", { toJSON: () => undefined }],
  ["a circular structure", CYCLE],
  ["undefined", [undefined]],
  ["undefined", new Array(1)],
];

type Call = (client: V1Client, value: unknown) => Promise<unknown>;

/** Ways to send a value, and the member that the error names. */
const CALLS: Record<string, [member: string, Call]> = {
  createPlaybookConfiguration: ["hints[1].value", (client, value) => {
    const hints = untyped<[]>([{ id: "a", value: 1 }, { id: "b", value }]);
    const ids = { clusterId: "c", playbookId: "p", serverIds: ["s"] };
    return client.createPlaybookConfiguration({ name: "n", ...ids, hints });
  }],
  editCluster: ["data.configuration.x", (client, value) => {
    const configuration = untyped<Record<string, never>>({ x: value });
    return client.editCluster("id", (data) => ({ ...data, configuration }));
  }],
  request: [
    "list[0]",
    (client, value) =>
      client.request("POST", "x/", { body: { list: [value] } }),
  ],
};

for (const [name, [member, call]] of Object.entries(CALLS)) {
  Deno.test(`${name}() rejects values that JSON would change, and sends nothing`, async () => {
    const { client, bodies } = record();
    for (const [problem, value] of VALUES) {
      const { message } = await assertRejects(
        () => call(client, value),
        TypeError,
        `Invalid ${member}`,
      );
      assertMatch(
        message,
        RegExp(`: must be .*, got ${RegExp.escape(problem)}`),
      );
    }
    assertEquals(bodies, []);
  });
}

Deno.test("editCluster() rejects a model with a number that JavaScript cannot hold, and writes nothing", async () => {
  for (const max of ["9223372036854775807", "-9007199254740993", "1e400"]) {
    const { client, bodies } = record(`{"max":${max}}`);
    await assertRejects(
      () => client.editCluster("id", (data) => ({ ...data, name: "n" })),
      TypeError,
      "Invalid data.configuration.max: must be",
    );
    assertEquals(bodies, []);
  }
});

Deno.test("request() sends what JSON represents exactly as it is, without undefined members", async () => {
  const { client, bodies } = record();
  const shared = { a: 1 };
  const body = {
    numbers: [0, -1, 1.5, 1e-7, Number.MAX_SAFE_INTEGER, -(2 ** 53) + 1],
    texts: ["", "ü", "\u2028", "a\nb"],
    others: [null, true, false, {}, []],
    twice: [shared, shared],
    "": { "a.b": 1 },
  };
  await client.request("POST", "x/", { body: { ...body, none: undefined } });
  await client.request("POST", "x/", { body: { date: new Date(0) } });
  assertEquals(bodies, [body, { date: "1970-01-01T00:00:00.000Z" }]);
});

Deno.test("request() rejects with the error of the body's own toJSON()", async () => {
  const failure = new Error("not today");
  const toJSON = () => {
    throw failure;
  };
  const call = record().client.request("POST", "x/", { body: { toJSON } });
  assertStrictEquals(await assertRejects(() => call), failure);
});

const PAIRS: [string, string][] = [["X-One", "1"], ["x-two", " 2\t"]];
const OBJECT = Object.fromEntries(PAIRS);

/** Headers of another library. */
class ForeignHeaders {
  *[Symbol.iterator]() {
    yield* PAIRS;
  }
}

class Fields {
  "X-One" = "1";
  "x-two" = "2";
}

/** What the headers option accepts. A generator can be read only once. */
const KINDS: Record<string, unknown> = {
  "a plain object": OBJECT,
  "an object without prototype": Object.assign(Object.create(null), OBJECT),
  "an object of a class with fields": new Fields(),
  "a Headers": new Headers(PAIRS),
  "the Headers of another library": new ForeignHeaders(),
  "a Map": new Map(PAIRS),
  "an array of pairs": PAIRS,
  "a generator": PAIRS.values(),
  "an URLSearchParams": new URLSearchParams({ "X-One": "1", "x-two": "2" }),
};

/** The values of these headers in a request. */
const valuesOf = (headers: Headers, ...names: string[]) =>
  names.map((name) => headers.get(name));

for (const [kind, given] of Object.entries(KINDS)) {
  Deno.test(`headers may be ${kind}`, async () => {
    const client = stubClient((_, { headers }) => {
      const [one, two] = valuesOf(new Headers(headers), "x-one", "x-two");
      return Response.json({ one, two });
    });
    const sent: unknown = await client.getInfo({ headers: untyped(given) });
    assertEquals(sent, { one: "1", two: "2" });
  });
}

for (const place of ["client", "call"]) {
  Deno.test(`headers of a ${place} that can be read only once are sent with each request and attempt`, async () => {
    using _ = fixedRandom(0);
    let failures = 2;
    await using server = new StandInServer(
      {},
      ({ path }) =>
        path.startsWith("/v1/role/") && failures-- > 0
          ? apiError(503, "Busy", "Later")
          : undefined,
    );
    const once = () => ({ headers: PAIRS.values() });
    const client = server.client(place === "client" ? once() : {});
    const options = place === "call" ? once : () => ({});
    await client.login(options());
    await client.getRoleSelf(options());
    await client.getServers({ perPage: 2, ...options() }).toArray();
    const [user] = server.standIn.seedUsers(1);
    const rename = <T>(data: T) => ({ ...data, full_name: "Other" });
    await client.editUser(String(user?.id), rename, options());
    const { id } = server.standIn.seedExecution({ duration: 1 });
    server.clock.advance(5000);
    await client.waitForExecution(String(id), options());
    await client.logout(options());
    assertEquals(server.exchanges.length, 11);
    for (const { headers } of server.exchanges) {
      assertEquals(valuesOf(headers, "x-one", "x-two"), ["1", "2"]);
    }
  });
}

Deno.test("headers with an Authorization replace the session, and a 401 is not retried", async () => {
  await using server = new StandInServer();
  const token = (await server.client().login()).id;
  server.exchanges.length = 0;
  const client = server.client();
  const pairs: [string, string][] = [["Authorization", token]];
  await client.getUserSelf({ headers: new Headers(pairs) });
  await client.getUserSelf({ headers: pairs.values() });
  await assertRejects(
    () => client.getUserSelf({ headers: { authorization: "x" } }),
    DecapodAPIError,
    "401",
  );
  assertEquals(
    server.exchanges.map(({ headers }) => headers.get("authorization")),
    [token, token, "x"],
  );
});

Deno.test("headers of the call replace those of the client, except content-type", async () => {
  await using server = new StandInServer();
  const client = server.client({ headers: { "x-one": "1", "x-two": "1" } });
  const headers = { "X-Two": "2", "content-type": "text/plain", accept: "a/b" };
  await client.createCluster("ceph", { headers });
  const names = ["x-one", "x-two", "content-type", "accept"];
  assertEquals(
    server.exchanges.map(({ headers }) => valuesOf(headers, ...names)),
    [
      ["1", "1", "application/json", "application/json"],
      ["1", "2", "application/json", "a/b"],
    ],
  );
});

Deno.test("headers with the same name are sent as one", async () => {
  await using server = new TestServer(() => Response.json({}));
  await server.client().getInfo({
    headers: [["x-a", "1"], ["cookie", "a=1"], ["X-A", "2"], ["cookie", "b=2"]],
  });
  const [{ headers } = { headers: new Headers() }] = server.exchanges;
  assertEquals(valuesOf(headers, "x-a", "cookie"), ["1, 2", "a=1; b=2"]);
});

const SECRET = "s3cret";

class Private {
  get(): string {
    return SECRET;
  }
}

/** What is rejected; no message shows a value. */
const INVALID: Record<string, unknown> = {
  "null": null,
  "a number": 5,
  "a string": `a: ${SECRET}`,
  "a function": () => SECRET,
  "an object with neither pairs nor names": new Date(0),
  "an object of a class whose names are private": new Private(),
  "an array of strings": [SECRET, SECRET],
  "pairs of three": [["a", SECRET, SECRET]],
  "pairs of one": [[SECRET]],
  "pairs without a name": [[undefined, SECRET]],
  "a Set of strings": new Set([SECRET]),
  "a value that is undefined": { "x-a": undefined },
  "a value that is a number": { "x-a": 5 },
  "a value that is an array": { "x-a": [SECRET] },
  "a value with a line break": { "x-a": `${SECRET}\r\nx-b: 1` },
  "a value that ends in a line break": { "x-a": `${SECRET}\n` },
  "a value that begins with a line break": { "x-a": `\r${SECRET}` },
  "a value with a null character": { "x-a": `${SECRET}\0` },
  "a value beyond Latin-1": { "x-a": `${SECRET}€` },
  "a name with a space": { "x a": SECRET },
  "a name with a line break": { "x-a\r\nx-b": SECRET },
  "an empty name": { "": SECRET },
  "the length of the body": { "Content-Length": SECRET },
  "the encoding of the body": { "transfer-encoding": SECRET },
  "an expectation": { expect: SECRET },
};

Deno.test("headers that are invalid are rejected by name, without their values", async () => {
  const client = stubClient(() => {
    throw new Error("It was sent");
  });
  for (const [name, invalid] of Object.entries(INVALID)) {
    const headers = untyped<HeadersOption>(invalid);
    const calls = [
      () => client.getInfo({ headers }),
      () => client.getUsers({ headers }).toArray(),
      () => Promise.try(makeClient, "http://decapod.example", { headers }),
    ];
    for (const call of calls) {
      const error = await assertRejects<Error>(call, TypeError, "", name);
      assertMatch(error.message, /^Invalid header.*$/, name);
      assertNoSecrets(error, [SECRET]);
    }
  }
});
