/** TLS on Deno, on real sockets; other runtimes are in `runtimes`. */

import {
  assertEquals,
  assertInstanceOf,
  assertNotInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  type ClientOptions,
  DecapodConnectionError,
  DecapodError,
} from "../mod.ts";
import { openTls } from "../internal/tls.ts";
import { issue } from "./runtimes/certificates.ts";
import { StandIn } from "./standin/mod.ts";
import { pretend } from "./support/runtime.ts";
import { makeClient, PASSWORD, TestServer } from "./support/server.ts";

const authority = await issue("CA", { ca: true });
const other = await issue("Other CA", { ca: true });
const names = ["localhost"];
const { cert, key } = await issue("Decapod", { names }, authority);
const ca = authority.cert;

/** A stand-in behind TLS; responses to `/self/` wait for the gate. */
function serve(gate: Promise<void> = Promise.resolve()) {
  const standIn = new StandIn({ rootPassword: PASSWORD });
  const server = new TestServer(async (request, { path }) => {
    if (path.endsWith("/self/")) await gate;
    return await standIn.handler(request);
  }, { cert, key });
  const url = `https://localhost:${server.port}`;
  return {
    connect: (tls?: ClientOptions["tls"]) =>
      makeClient(url, { retries: 0, tls }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

// The runner's sanitizer fails each of these if a resource stays open.

Deno.test("tls.ca is trusted before and after logout() and disposal", async () => {
  await using server = serve();
  const client = server.connect({ ca, cert, key });
  assertEquals((await client.getUserSelf()).data.login, "root");
  await client.logout();
  {
    await using again = client;
    assertEquals((await again.getUserSelf()).data.login, "root");
  }
});

Deno.test("logout() closes the connections, also if it fails or there are none", async () => {
  await using server = serve();
  server.connect({ ca });
  await server.connect({ ca }).logout();
  const client = server.connect({ ca: other.cert });
  await assertRejects(() => client.login());
  await assertRejects(() => client.logout({ signal: AbortSignal.abort() }));
});

Deno.test("logout() lets calls over TLS finish that are on the wire", async () => {
  const gate = Promise.withResolvers<void>();
  await using server = serve(gate.promise);
  const client = server.connect({ ca });
  await client.login();
  const calls = [client.getUserSelf(), client.getUserSelf()];
  const attempts = Promise.allSettled(calls);
  await client.getInfo(); // both are on their way
  await client.logout();
  gate.resolve();
  // The server may check their tokens before or after it revokes them.
  for (const outcome of await attempts) {
    if (outcome.status === "fulfilled") continue;
    assertInstanceOf(outcome.reason, DecapodError);
    assertNotInstanceOf(outcome.reason, DecapodConnectionError);
  }
  await client.logout();
});

Deno.test("Client rejects tls settings that cannot work, and tls.verify: false on Deno", () => {
  const end = "-----END CERTIFICATE-----\n";
  const garbled = `-----BEGIN CERTIFICATE-----\nAAAA\n${end}`;
  const wrong: [tls: object, part: string, options?: object][] = [
    [{ ca: "/etc/ca.pem" }, "Invalid tls.ca: must be PEM text"],
    [{ ca: "" }, "Invalid tls.ca"],
    [{ cert, key: cert }, "Invalid tls.key"],
    [{ cert }, "cert and key must be set together"],
    [{ key }, "cert and key must be set together"],
    [{ ca: garbled }, "Invalid tls: "],
    [{ cert, key: other.key }, "Invalid tls: "],
    [{ verify: false }, "--unsafely-ignore-certificate-errors=HOST"],
    [{ verify: "no" }, "Invalid tls.verify"],
    [{ verfiy: true }, "verfiy"],
    [{ ca }, "Cannot use tls with a custom fetch", { fetch }],
  ];
  const create = (tls: object, options = {}) =>
    makeClient("https://localhost", { tls, ...options });
  for (const [tls, part, options] of wrong) {
    assertThrows(() => create(tls, options), TypeError, part);
  }
  for (const tls of [{}, { verify: true, ca: undefined }]) {
    create(tls, { fetch }); // it has no effect
  }
});

Deno.test("tls is passed to fetch on Bun", () => {
  pretend({ Bun: {} }, () => {
    const session = openTls({ ca, cert, key }, false);
    const tls = { ca, cert, key, rejectUnauthorized: true };
    assertEquals(session?.init(), { tls });
    const unverified = openTls({ verify: false }, false);
    assertEquals(unverified?.init(), { tls: { rejectUnauthorized: false } });
  });
});

Deno.test("tls is rejected on Node, workerd and elsewhere, with an alternative", () => {
  const node = { versions: { node: "26.0.0" } };
  const runtimes: [Record<string, unknown>, alternative: string][] = [
    [{ navigator: {}, process: node }, "NODE_EXTRA_CA_CERTS"],
    [{ navigator: { userAgent: "Cloudflare-Workers" } }, "an mTLS binding"],
    [{ navigator: {}, process: undefined }, "pass a custom fetch instead"],
  ];
  for (const [names, alternative] of runtimes) {
    pretend(names, () => {
      for (const tls of [{ ca }, { verify: false }]) {
        assertThrows(
          () => makeClient("https://localhost", { tls }),
          TypeError,
          alternative,
        );
      }
    });
  }
});

Deno.test("Client rejects a certificate that no trusted CA signed", async () => {
  await using server = serve();
  for (const tls of [undefined, { ca: other.cert }]) {
    const client = server.connect(tls);
    await assertRejects(
      () => client.login(),
      DecapodConnectionError,
      "certificate is not trusted",
    );
    await client.logout();
  }
});
