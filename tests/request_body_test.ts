/** Bodies: nothing that JSON would silently change is sent. */

import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import type { V1Client } from "../mod.ts";
import { stubClient, typed } from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";

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

Deno.test("editCluster() writes a number only if it is the one that was read", async () => {
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

Deno.test("request() rejects a Map or Set as the body, and a body for GET", async () => {
  const { client, bodies } = record();
  for (const body of [new Map([["a", 1]]), new Set([1])]) {
    await assertRejects(
      () => client.request("POST", "x/", { body }),
      TypeError,
      "Invalid body: must be",
    );
  }
  await assertRejects(
    () => client.request("GET", "user/", { body: {} }),
    TypeError,
    "Invalid body: must not be set for GET",
  );
  assertEquals(bodies, []);
});

Deno.test("request() rejects with the error of the body's own toJSON()", async () => {
  const failure = new Error("not today");
  const toJSON = () => {
    throw failure;
  };
  const call = record().client.request("POST", "x/", { body: { toJSON } });
  assertStrictEquals(await assertRejects(() => call), failure);
});
