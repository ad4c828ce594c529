/** Bodies: nothing that JSON would silently change is sent. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import type { V1Client } from "../mod.ts";
import { StandInServer, TestServer } from "./support/server.ts";
import { untyped } from "./support/untyped.ts";

/** Values that JSON has no place for, and what the error calls them. */
const VALUES: [value: unknown, problem: string][] = [
  [NaN, "got NaN"],
  [Infinity, "got Infinity"],
  [-Infinity, "got -Infinity"],
  [2 ** 53, "9007199254740992"],
  [-(2 ** 53), "-9007199254740992"],
  [9223372036854775807, "9223372036854776000"],
  [1e300, "1e+300"],
  [10n, "a bigint"],
  [() => 1, "a function"],
  [Symbol("a"), "a symbol"],
  [new Map([["a", 1]]), "a Map"],
  [new Set([1]), "a Set"],
];

const MODEL = {
  id: "id",
  version: 1,
  initiator_id: null,
  time_updated: 0,
  time_deleted: 0,
};

/** Each way to send a value, and the member that the error names. */
const CALLS: Record<
  string,
  [(client: V1Client, value: unknown) => Promise<unknown>, member: string]
> = {
  "createPlaybookConfiguration()": [
    (client, value) =>
      client.createPlaybookConfiguration({
        name: "n",
        clusterId: "c",
        playbookId: "p",
        serverIds: ["s"],
        hints: [{ id: "a", value: 1 }, { id: "b", value: untyped(value) }],
      }),
    "hints[1].value",
  ],
  "updateCluster()": [
    (client, value) =>
      client.updateCluster({
        ...MODEL,
        model: "cluster",
        data: {
          name: "n",
          configuration: untyped({ mons: { y: [0, value] } }),
        },
      }),
    "data.configuration.mons.y[1]",
  ],
  "editCluster()": [
    (client, value) =>
      client.editCluster("id", (data) => ({
        ...data,
        configuration: untyped({ x: value }),
      })),
    "data.configuration.x",
  ],
  "request()": [
    (client, value) =>
      client.request("POST", "x/", { body: { list: [value] } }),
    "list[0]",
  ],
};

for (const [name, [call, member]] of Object.entries(CALLS)) {
  Deno.test(`${name} rejects values that JSON would change, and sends nothing`, async () => {
    await using server = new TestServer(() =>
      Response.json({ ...MODEL, data: { name: "n", configuration: {} } })
    );
    const client = server.client({ headers: { authorization: "token" } });
    for (const [value, problem] of VALUES) {
      const error = await assertRejects(() => call(client, value), TypeError);
      assertStringIncludes(error.message, `Invalid ${member}: must be`);
      assertStringIncludes(error.message, problem);
    }
    // An edit reads before it writes.
    const writes = server.exchanges.filter(({ method }) => method !== "GET");
    assertEquals(writes, []);
  });
}

Deno.test("request() rejects undefined in an array, and leaves out undefined members", async () => {
  await using server = new TestServer(() => Response.json({}));
  const client = server.client({ headers: { authorization: "token" } });
  await assertRejects(
    () => client.request("POST", "x/", { body: { a: [1, undefined] } }),
    TypeError,
    "Invalid a[1]: must be",
  );
  const sparse = new Array<number>(2);
  sparse[0] = 1;
  await assertRejects(
    () => client.request("POST", "x/", { body: { a: sparse } }),
    TypeError,
    "Invalid a[1]: must be",
  );
  await client.request("POST", "x/", { body: { a: 1, b: undefined } });
  assertEquals(server.exchanges.map(({ body }) => body), [{ a: 1 }]);
});

Deno.test("editCluster() writes a number only if it is the one that was read", async () => {
  const model = (max: string) =>
    `{"id":"id","version":1,"data":{"name":"c","configuration":{"max":${max}}}}`;
  for (const max of ["9223372036854775807", "-9007199254740993", "1e400"]) {
    await using server = new TestServer(() =>
      new Response(model(max), {
        headers: { "content-type": "application/json" },
      })
    );
    const client = server.client({ headers: { authorization: "token" } });
    await assertRejects(
      () => client.editCluster("id", (data) => ({ ...data, name: "n" })),
      TypeError,
      "Invalid data.configuration.max: must be",
    );
    assertEquals(server.exchanges.map(({ method }) => method), ["GET"]);
  }
});

Deno.test("request() sends what JSON represents exactly as it is", async () => {
  await using server = new TestServer(() => Response.json({}));
  const client = server.client({ headers: { authorization: "token" } });
  const shared = { a: 1 };
  const body = {
    numbers: [0, -1, 1.5, 1e-7, Number.MAX_SAFE_INTEGER, -(2 ** 53) + 1],
    texts: ["", "ü", "\u2028", "a\nb"],
    others: [null, true, false, {}, []],
    twice: [shared, shared],
    "": { "a.b": 1 },
  };
  await client.request("POST", "x/", { body });
  await client.request("POST", "x/", { body: { date: new Date(0) } });
  assertEquals(server.exchanges.map((exchange) => exchange.body), [
    body,
    { date: "1970-01-01T00:00:00.000Z" },
  ]);
});

Deno.test("request() rejects a body that is a Map or a Set", async () => {
  await using server = new TestServer(() => Response.json({}));
  const client = server.client({ headers: { authorization: "token" } });
  for (const body of [new Map([["a", 1]]), new Set([1])]) {
    await assertRejects(
      () => client.request("POST", "x/", { body }),
      TypeError,
      "Invalid body: must be",
    );
  }
  assertEquals(server.exchanges, []);
});

Deno.test("request() rejects a body that refers to itself", async () => {
  await using server = new TestServer(() => Response.json({}));
  const client = server.client({ headers: { authorization: "token" } });
  const body: Record<string, unknown> = {};
  body.self = body;
  await assertRejects(() => client.request("POST", "x/", { body }), TypeError);
  assertEquals(server.exchanges, []);
});

Deno.test("editUser() rejects objects that JSON would replace, and names the member", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const { id } = await client.getUserSelf();
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const values: [unknown, string][] = [
    [Promise.resolve(1), "a Promise"],
    [/x/, "a RegExp"],
    [new Uint8Array(1), "a Uint8Array"],
    [Object(NaN), "a Number"],
    [Object(1n), "a BigInt"],
    [new Date(NaN), "an object without a JSON value"],
    [{ toJSON: () => undefined }, "an object without a JSON value"],
    [cycle, "a circular structure"],
  ];
  for (const [value, problem] of values) {
    await assertRejects(
      () => client.editUser(id, (data) => ({ ...data, extra: untyped(value) })),
      TypeError,
      problem,
    );
  }
  assertEquals(server.sent("PUT", `/v1/user/${id}/`), []);
});

Deno.test("request() rejects a body for GET before anything is sent", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await assertRejects(
    () => client.request("GET", "user/", { body: {} }),
    TypeError,
    "Invalid body: must not be set for GET",
  );
  assertEquals(server.exchanges, []);
});

Deno.test("request() rejects with what toJSON() of the body throws", async () => {
  await using server = new StandInServer();
  const failure = new Error("not today");
  const body = {
    toJSON() {
      throw failure;
    },
  };
  const error = await assertRejects(() =>
    server.client().request("POST", "user/", { body })
  );
  assert(error === failure);
  assertEquals(server.exchanges, []);
});
