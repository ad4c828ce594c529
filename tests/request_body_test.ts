/** Bodies: nothing that JSON would silently change is sent. */

import {
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import type { V1Client } from "../mod.ts";
import { stubClient, typed } from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";

/** Values that JSON has no place for, and what the error calls them. */
const VALUES: [value: unknown, problem: string][] = [
  ...[NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53), 2 ** 63, 1e300]
    .map((number): [number, string] => [number, `${number}`]),
  [10n, "a bigint"],
  [() => 1, "a function"],
  [Symbol("a"), "a symbol"],
  [new Map([["a", 1]]), "a Map"],
  [new Set([1]), "a Set"],
];

type Call = (client: V1Client, value: unknown) => Promise<unknown>;

/** Each way to send a value, and the member that the error names. */
const CALLS: Record<string, [Call, member: string]> = {
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

/** A client, and the bodies of the changes that it sends. */
function record(model: string) {
  const bodies: unknown[] = [];
  const client = stubClient((_, { method, body }) => {
    // An edit reads before it writes.
    if (method !== "GET" || body) bodies.push(JSON.parse(String(body)));
    return typed("application/json", model);
  });
  return { client, bodies };
}

const CLUSTER = '{"id":"id","version":1,"data":{"name":"n"}}';

for (const [name, [call, member]] of Object.entries(CALLS)) {
  Deno.test(`${name} rejects values that JSON would change, and sends nothing`, async () => {
    const { client, bodies } = record(CLUSTER);
    for (const [value, problem] of VALUES) {
      const error = await assertRejects(() => call(client, value), TypeError);
      assertStringIncludes(error.message, `Invalid ${member}: must be`);
      assertStringIncludes(error.message, problem);
    }
    assertEquals(bodies, []);
  });
}

Deno.test("editCluster() writes a number only if it is the one that was read", async () => {
  for (const max of ["9223372036854775807", "-9007199254740993", "1e400"]) {
    const { client, bodies } = record(
      `{"id":"id","version":1,"data":{"name":"c","configuration":{"max":${max}}}}`,
    );
    await assertRejects(
      () => client.editCluster("id", (data) => ({ ...data, name: "n" })),
      TypeError,
      "Invalid data.configuration.max: must be",
    );
    assertEquals(bodies, []);
  }
});

Deno.test("request() sends what JSON represents exactly as it is, without undefined members", async () => {
  const { client, bodies } = record("{}");
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

const SPARSE = new Array<number>(1);
const CYCLE: Record<string, unknown> = {};
CYCLE.self = CYCLE;

/** Bodies that are refused as a whole, or because of a member. */
const BODIES: [body: unknown, problem: string][] = [
  [{ a: [1, undefined] }, "Invalid a[1]: must be"],
  [{ a: SPARSE }, "Invalid a[0]: must be"],
  [new Map([["a", 1]]), "Invalid body: must be"],
  [new Set([1]), "Invalid body: must be"],
  [CYCLE, "a circular structure"],
  [{ a: CYCLE }, "a circular structure"],
  [{ a: Promise.resolve(1) }, "a Promise"],
  [{ a: /x/ }, "a RegExp"],
  [{ a: new Uint8Array(1) }, "a Uint8Array"],
  [{ a: Object(NaN) }, "a Number"],
  [{ a: Object(1n) }, "a BigInt"],
  [{ a: new Date(NaN) }, "an object that JSON turns into null or nothing"],
  [
    { a: { toJSON: () => undefined } },
    "an object that JSON turns into null or nothing",
  ],
];

Deno.test("request() rejects what JSON would replace, and a body for GET, before anything is sent", async () => {
  const { client, bodies } = record("{}");
  for (const [body, problem] of BODIES) {
    await assertRejects(
      () => client.request("POST", "x/", { body: untyped(body) }),
      TypeError,
      problem,
    );
  }
  const failure = new Error("not today");
  const toJSON = () => {
    throw failure;
  };
  assertStrictEquals(
    await assertRejects(() =>
      client.request("POST", "x/", { body: { toJSON } })
    ),
    failure,
  );
  await assertRejects(
    () => client.request("GET", "user/", { body: {} }),
    TypeError,
    "Invalid body: must not be set for GET",
  );
  assertEquals(bodies, []);
});
