/** Programs that patch the language, and errors of other realms. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { runInNewContext, runInThisContext } from "node:vm";
import { DecapodAPIError, DecapodConnectionError } from "../mod.ts";
import { replace } from "./support/patch.ts";
import { apiError } from "./support/server.ts";
import { stubClient } from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";

/** The cause of a refused connection, as Node's fetch creates it. */
const CAUSE = `Object.assign(new Error("refused"), { code: "ECONNREFUSED" })`;

const refused: unknown = runInThisContext(CAUSE);

/** The error that a client reports if its fetch rejects with this. */
async function report(thrown: unknown): Promise<DecapodConnectionError> {
  return await assertRejects(
    () => stubClient(() => Promise.reject(thrown)).createCluster("ceph"),
    DecapodConnectionError,
    "connection refused",
  );
}

Deno.test("createCluster() understands an error of another realm, as in Jest", async () => {
  const thrown: unknown = runInNewContext(
    `Object.assign(new TypeError("fetch failed"), { cause: ${CAUSE} })`,
  );
  assert(!(thrown instanceof Error));
  const { outcomeUnknown, cause } = await report(thrown);
  assertEquals(outcomeUnknown, false);
  assert(cause instanceof Error);
  assertEquals(`${cause}`, "TypeError: fetch failed");
});

Deno.test("createCluster() reports a network failure if Error.prototype.name is read-only", async () => {
  const own = Object.getOwnPropertyDescriptors(Error.prototype);
  const name = { ...own.name, writable: false };
  Object.defineProperty(Error.prototype, "name", name);
  try {
    assertEquals((await report(refused)).outcomeUnknown, false);
  } finally {
    Object.defineProperties(Error.prototype, own);
  }
});

Deno.test("DecapodAPIError is reported if Error.prepareStackTrace returns no string", async () => {
  const client = stubClient(() => apiError(404, "NotFound", "None"));
  const errors: { prepareStackTrace?: unknown } = untyped(Error);
  const sitesOf = (_: unknown, sites: unknown) => sites;
  using _ = replace(errors, "prepareStackTrace", sitesOf);
  const caught = await client.getUsers().toArray()
    .catch((error: unknown) => error);
  await report(refused);
  errors.prepareStackTrace = undefined; // for the assertion
  assert(caught instanceof DecapodAPIError);
});

Deno.test("Listing rejects with the signal's reason if its stack is read-only", async () => {
  const reason = new TypeError("mine");
  Object.defineProperty(reason, "stack", { value: "mine", writable: false });
  const controller = new AbortController();
  const { signal } = controller;
  const client = stubClient(() => {
    controller.abort(reason);
    return new Promise(() => {});
  });
  const read = () => client.getUsers({ signal }).toArray();
  assert(await assertRejects(read) === reason);
});
