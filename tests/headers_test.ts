/** The headers option: what may be given, and where it is sent. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DecapodAPIError, type HeadersOption } from "../mod.ts";
import { fixedRandom } from "./support/patch.ts";
import { assertNoSecrets } from "./support/secrets.ts";
import { apiError, makeClient, StandInServer } from "./support/server.ts";
import { stubClient } from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";

/** Headers of another library. */
class ForeignHeaders {
  readonly #pairs: [string, string][];

  constructor(pairs: [string, string][]) {
    this.#pairs = pairs;
  }

  *[Symbol.iterator]() {
    yield* this.#pairs;
  }
}

const PAIRS: [string, string][] = [["X-One", "1"], ["x-two", " 2\t"]];

/** What the headers option accepts. A generator can be read only once. */
const KINDS: Record<string, () => HeadersOption> = {
  "a plain object": () => Object.fromEntries(PAIRS),
  "an object without prototype": () =>
    Object.assign(Object.create(null), Object.fromEntries(PAIRS)),
  "an object of a class with fields": () =>
    untyped(
      new class {
        "X-One" = "1";
        "x-two" = "2";
      }(),
    ),
  "a Headers": () => new Headers(PAIRS),
  "the Headers of another library": () => new ForeignHeaders(PAIRS),
  "a Map": () => new Map(PAIRS),
  "an array of pairs": () => PAIRS,
  "a generator": () => PAIRS.values(),
  "an URLSearchParams": () =>
    untyped(new URLSearchParams({ "X-One": "1", "x-two": "2" })),
};

Deno.test("headers may be pairs of any kind", async () => {
  const sent: (string | null)[][] = [];
  const client = stubClient((_, init) => {
    const headers = new Headers(init.headers);
    sent.push([headers.get("x-one"), headers.get("x-two")]);
    return Response.json({});
  });
  for (const make of Object.values(KINDS)) {
    await client.getInfo({ headers: make() });
  }
  assertEquals(sent, Object.keys(KINDS).map(() => ["1", "2"]));
});

Deno.test("headers that can be read only once are sent with each request and attempt", async () => {
  using _ = fixedRandom(0);
  let failures = 0;
  await using server = new StandInServer(
    {},
    ({ path }) =>
      path.startsWith("/v1/role/") && failures++ < 2
        ? apiError(503, "Busy", "Later")
        : undefined,
  );
  const sent = () =>
    server.exchanges.map(({ headers }) => [
      headers.get("x-one"),
      headers.get("x-two"),
    ]);
  const [user] = server.standIn.seedUsers(1); // any id does
  const ofClient = server.client({ headers: PAIRS.values() });
  await ofClient.getRoleSelf();
  await ofClient.getServers({ perPage: 2 }).toArray();
  assert(server.exchanges.length > 5);
  assertEquals(sent(), server.exchanges.map(() => ["1", "2"]));

  failures = 0;
  const client = server.client();
  await client.login();
  server.exchanges.length = 0;
  const options = () => ({ headers: PAIRS.values() });
  await client.getRoleSelf(options());
  await client.getServers({ perPage: 2, ...options() }).toArray();
  await client.editUser(
    String(user?.id),
    (data) => ({ ...data, full_name: "Other" }),
    options(),
  );
  const { id } = server.standIn.seedExecution({ duration: 1 });
  server.clock.advance(5000);
  await client.waitForExecution(String(id), options());
  await client.logout(options());
  assert(server.exchanges.length > 8);
  assertEquals(sent(), server.exchanges.map(() => ["1", "2"]));
});

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
  const client = server.client({
    headers: new Headers({ "x-one": "client", "x-two": "client" }),
  });
  await client.createCluster("ceph", {
    headers: { "X-Two": "call", "content-type": "text/plain", accept: "a/b" },
  });
  const [login, create] = server.exchanges;
  assertEquals(login?.headers.get("x-two"), "client");
  const names = ["x-one", "x-two", "content-type", "accept"];
  assertEquals(names.map((name) => create?.headers.get(name)), [
    "client",
    "call",
    "application/json",
    "a/b",
  ]);
});

const SECRET = "s3cret";

/** What is refused; no message shows a value. */
const INVALID: [name: string, headers: unknown][] = [
  ["null", null],
  ["a number", 5],
  ["a string", `a: ${SECRET}`],
  ["a function", () => SECRET],
  ["an object with neither pairs nor names", new Date(0)],
  [
    "an object of a class whose names are private",
    new (class {
      get(): string {
        return SECRET;
      }
    })(),
  ],
  ["an array of strings", [SECRET, SECRET]],
  ["pairs of three", [["a", SECRET, SECRET]]],
  ["pairs of one", [[SECRET]]],
  ["pairs without a name", [[undefined, SECRET]]],
  ["a Set of strings", new Set([SECRET])],
  ["a value that is undefined", { "x-a": undefined }],
  ["a value that is a number", { "x-a": 5 }],
  ["a value that is an array", { "x-a": [SECRET] }],
  ["a value with a line break", { "x-a": `${SECRET}\r\nx-b: 1` }],
  ["a value that ends in a line break", { "x-a": `${SECRET}\n` }],
  ["a value that begins with a line break", { "x-a": `\r${SECRET}` }],
  ["a value with a null character", { "x-a": `${SECRET}\0` }],
  ["a value beyond Latin-1", { "x-a": `${SECRET}€` }],
  ["a name with a space", { "x a": SECRET }],
  ["a name with a line break", { "x-a\r\nx-b": SECRET }],
  ["an empty name", { "": SECRET }],
  ["the length of the body", { "Content-Length": SECRET }],
  ["the encoding of the body", { "transfer-encoding": SECRET }],
  ["an expectation", { expect: SECRET }],
];

Deno.test("headers that are invalid are rejected by name, without their values", async () => {
  const client = stubClient(() => {
    throw new Error("Cannot happen: it was sent");
  });
  for (const [name, invalid] of INVALID) {
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

Deno.test("headers with the same name are sent as one", async () => {
  await using server = new StandInServer();
  const client = server.client({
    headers: [["x-a", "1"], ["cookie", "a=1"], ["X-A", "2"], ["cookie", "b=2"]],
  });
  await client.getInfo();
  const [sent] = server.exchanges;
  assertEquals(sent?.headers.get("x-a"), "1, 2");
  assertEquals(sent?.headers.get("cookie"), "a=1; b=2");
});
