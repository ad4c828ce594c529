/** A client that all requests of a Worker share. Runs outside the Worker. */
import {
  assert,
  assertEquals,
  openServer,
  section,
  type Server,
  test,
  within,
} from "./kit.ts";

/** Sends a request to the Worker. */
export type Dispatch = (path: string) => Promise<Response>;

const TIMEOUT = 2000;

/** Adds the tests of a Worker. */
export function testWorker(dispatch: Dispatch): void {
  section("worker");

  const request = async (server: Server, action: string) => {
    const query = new URLSearchParams({
      action,
      url: server.url,
      timeout: `${TIMEOUT}`,
    });
    const response = await dispatch(`/client?${query}`);
    return { status: response.status, text: await response.text() };
  };
  const succeed = async (server: Server, action: string) => {
    const { status, text } = await within(
      TIMEOUT,
      request(server, action),
    );
    assertEquals([status, text], [200, "done"]);
  };

  for (const begin of ["getUsers()", "login()"]) {
    test(`login() that a request began with ${begin} and abandoned delays no later call`, async (settings) => {
      const server = await openServer(settings);
      await server.respondWith({ method: "POST", isHeld: true });
      await request(server, begin);
      await Promise.all([
        succeed(server, "getUserSelf()"), // joins the login
        succeed(server, "createCluster()"),
      ]);
      await succeed(server, "getUserSelf()");
      await server.release();
      await succeed(server, "getUserSelf()");
    });
  }

  test("login() after a 401 that a request abandoned delays no later call", async (settings) => {
    const server = await openServer(settings);
    await succeed(server, "getUserSelf()");
    await server.do("revokeTokens");
    await server.respondWith({ method: "POST", isHeld: true });
    await request(server, "getUsers()");
    await Promise.all([
      succeed(server, "getUserSelf()"),
      succeed(server, "getUserSelf()"),
    ]);
    await succeed(server, "getUserSelf()");
    await server.release();
  });

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
      assert(
        requests.includes("DELETE /v1/auth/"),
        `Expected a logout in ${requests}`,
      );
    });
  }
}
