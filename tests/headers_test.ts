/** The headers option: what may be given, and where it is sent. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DecapodAPIError, type HeadersOption } from "../mod.ts";
import { fixedRandom } from "./support/patch.ts";
import { assertNoSecrets } from "./support/secrets.ts";
import {
  apiError,
  makeClient,
  StandInServer,
  TestServer,
} from "./support/server.ts";
import { stubClient } from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";

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
