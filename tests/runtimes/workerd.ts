/**
 * Runs the bundled suite in workerd: `node workerd.ts BUNDLE`, with the
 * settings in the environment. Also tests a client that all requests share.
 */
import process from "node:process";
import { openWorker } from "../support/miniflare.ts";
import {
  assert,
  assertEquals,
  openServer,
  runTests,
  section,
  type Server,
  test,
  within,
} from "./kit.ts";

const { SETTINGS = "" } = process.env;
const worker = await openWorker({ SETTINGS });
/** The timeout of each call in ms. */
const TIMEOUT = 2000;

/** Sends a request to the Worker. */
async function request({ url }: Server, action: string): Promise<string> {
  const query = new URLSearchParams({ action, url, timeout: `${TIMEOUT}` });
  const response = await worker.dispatchFetch(`http://suite.invalid/?${query}`);
  return await response.text();
}

/** Fails unless the client's call succeeds in time. */
async function succeed(server: Server, action: string): Promise<void> {
  assertEquals(await within(5 * TIMEOUT, request(server, action)), "done");
}

section("worker");

for (const begin of ["getUsers()", "login()", "getUsers() after a 401"]) {
  test(`login() that a request began with ${begin} and abandoned delays no later call`, async (settings) => {
    const server = await openServer(settings);
    if (begin.endsWith("401")) {
      await succeed(server, "getUserSelf()");
      await server.do("revokeTokens");
    }
    await server.respondWith({ method: "POST", isHeld: true });
    await request(server, begin);
    await Promise.all([
      succeed(server, "getUserSelf()"), // joins the login
      succeed(server, "getUserSelf()"),
    ]);
    await succeed(server, "createCluster()");
    await server.release();
    await succeed(server, "getUserSelf()");
  });
}

test("login() is shared by requests at the same time", async (settings) => {
  const server = await openServer(settings);
  await server.respondWith({ method: "POST", isHeld: true });
  const calls = Promise.all(
    Array.from({ length: 4 }, () => succeed(server, "getUserSelf()")),
  );
  await server.held();
  await server.release();
  await calls;
  const requests = await server.requests();
  const logins = requests.filter((one) => one === "POST /v1/auth/");
  assertEquals(logins.length, 1);
});

for (const begin of ["getUsers()", "waitForExecution()"]) {
  test(`logout() works after a request abandoned ${begin}`, async (settings) => {
    const server = await openServer(settings);
    await succeed(server, "getUserSelf()");
    await server.respondWith({ method: "GET", isHeld: true });
    await request(server, begin);
    await succeed(server, "logout()");
    await server.release();
    await succeed(server, "getUserSelf()");
    const requests = await server.requests();
    const hasLogout = requests.includes("DELETE /v1/auth/");
    assert(hasLogout, `Expected a logout in ${requests}`);
  });
}

for await (const result of runTests(JSON.parse(SETTINGS))) {
  console.log(JSON.stringify(result));
}
const suite = await worker.dispatchFetch("http://suite.invalid/");
console.log(await suite.text());
await worker.dispose();
