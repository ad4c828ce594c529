/** Programs that patch the language, and errors of other realms. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createContext, runInContext } from "node:vm";
import { DecapodAPIError, DecapodConnectionError } from "../mod.ts";
import { replace } from "./support/patch.ts";
import { apiError, makeClient, TestServer } from "./support/server.ts";
import { untyped } from "./support/untyped.ts";

const HEADERS = { authorization: "token" };

/** The error of a refused connection, as Node's fetch creates it. */
const REFUSED = `Object.assign(new TypeError("fetch failed"), {
  cause: Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:80"), {
    code: "ECONNREFUSED",
  }),
})`;

/** The error that a client reports if its fetch rejects with this. */
async function report(thrown: unknown): Promise<DecapodConnectionError> {
  const client = makeClient("http://decapod.example", {
    headers: HEADERS,
    fetch: () => Promise.reject(thrown),
  });
  return await assertRejects(
    () => client.createCluster("ceph"),
    DecapodConnectionError,
    "connection refused",
  );
}

Deno.test("createCluster() understands an error of another realm, as in Jest", async () => {
  const thrown: unknown = runInContext(REFUSED, createContext({}));
  assert(!(thrown instanceof Error));
  const { outcomeUnknown, cause } = await report(thrown);
  assertEquals(outcomeUnknown, false);
  assert(cause instanceof Error);
  assertEquals(`${cause}`, "TypeError: fetch failed");
});

Deno.test("createCluster() reports a network failure if Error.prototype is frozen", async () => {
  const own = Object.getOwnPropertyDescriptors(Error.prototype);
  const name = { ...own.name, writable: false };
  Object.defineProperty(Error.prototype, "name", name);
  try {
    const refused = Object.assign(new Error("connect ECONNREFUSED"), {
      code: "ECONNREFUSED",
    });
    assertEquals((await report(refused)).outcomeUnknown, false);
  } finally {
    Object.defineProperties(Error.prototype, own);
  }
});

Deno.test("errors are reported if Error.prepareStackTrace returns no string", async () => {
  await using server = new TestServer(() => apiError(404, "NotFound", "None"));
  const client = server.client({ headers: HEADERS });
  const errors: { prepareStackTrace?: unknown } = untyped(Error);
  using _patch = replace(
    errors,
    "prepareStackTrace",
    (_error: unknown, sites: unknown) => sites,
  );
  const listing = await client.getUsers().toArray().catch((error) => error);
  const thrown = Object.assign(new Error("connect ECONNREFUSED"), {
    code: "ECONNREFUSED",
  });
  const network = await makeClient("http://decapod.example", {
    headers: HEADERS,
    retries: 0,
    fetch: () => Promise.reject(thrown),
  }).getInfo().catch((error) => error);
  _patch[Symbol.dispose]();
  assert(listing instanceof DecapodAPIError);
  assert(network instanceof DecapodConnectionError);
});

Deno.test("an iteration rejects with the signal's reason if its stack is read-only", async () => {
  const reason = new TypeError("mine");
  Object.defineProperty(reason, "stack", { value: "mine", writable: false });
  const controller = new AbortController();
  const users = makeClient("http://decapod.example", {
    headers: HEADERS,
    fetch: () => {
      controller.abort(reason);
      return new Promise(() => {});
    },
  }).getUsers({ signal: controller.signal });
  const error: unknown = await users.toArray().catch((error) => error);
  assert(error === reason, String(error));
});
