/** TLS on Deno, on real sockets; the suite in `runtimes` has the rest. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Client,
  type ClientOptions,
  DecapodConnectionError,
  type TlsOptions,
} from "../mod.ts";
import { openTls } from "../internal/tls.ts";
import { issue } from "./runtimes/certificates.ts";
import { StandIn } from "./standin/mod.ts";

const authority = await issue("CA", { ca: true });
const other = await issue("Other CA", { ca: true });
const identity = await issue("Decapod", { names: ["localhost"] }, authority);
const ca = authority.cert;
const { cert, key } = identity;

/** A stand-in that speaks TLS; answers wait for the gate. */
function serve(gate: Promise<void> = Promise.resolve()) {
  const standIn = new StandIn();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert,
    key,
    onListen() {},
  }, async (request) => {
    if (new URL(request.url).pathname.endsWith("/self/")) await gate;
    return await standIn.handler(request);
  });
  return {
    connect: (options: Partial<ClientOptions>) =>
      new Client(`https://localhost:${server.addr.port}`, {
        login: "root",
        password: "root",
        retries: 0,
        ...options,
      }),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

// The runner's sanitizer fails each of these if a resource stays open.

Deno.test("TLS: a private CA is trusted, until logout or the block's end", async () => {
  await using server = serve();
  const client = server.connect({ tls: { ca, cert, key } });
  assertEquals((await client.getUserSelf()).data.login, "root");
  await client.logout();
  {
    await using again = client;
    assertEquals((await again.getUserSelf()).data.login, "root");
  }
});

Deno.test("TLS: a client that was never used has nothing to close", async () => {
  await using server = serve();
  server.connect({ tls: { ca } });
  await server.connect({ tls: { ca } }).logout();
});

Deno.test("TLS: a logout that fails closes all the same", async () => {
  await using server = serve();
  const client = server.connect({ tls: { ca: other.cert } });
  await assertRejects(
    () => client.login(),
    DecapodConnectionError,
    "certificate is not trusted",
  );
  await assertRejects(() => client.logout({ signal: AbortSignal.abort() }));
});

Deno.test("TLS: a call under way outlives the logout", async () => {
  const gate = Promise.withResolvers<void>();
  await using server = serve(gate.promise);
  const client = server.connect({ tls: { ca } });
  await client.login();
  const attempts = Promise.all([client.getUserSelf(), client.getUserSelf()]);
  await client.getInfo(); // both are on their way
  await client.logout();
  gate.resolve();
  const outcomes = await attempts.catch((error) => error.name);
  // Their token is dead or not, as the server came to look at it.
  if (Array.isArray(outcomes)) assertEquals(outcomes.length, 2);
  else assertEquals(outcomes, "DecapodAPIError");
  await client.logout();
});

Deno.test("TLS: settings that cannot work are refused at once", () => {
  const end = "-----END CERTIFICATE-----\n";
  const garbled = `-----BEGIN CERTIFICATE-----\nAAAA\n${end}`;
  const wrong: [TlsOptions, string][] = [
    [{ ca: "/etc/ca.pem" }, "Invalid tls.ca: PEM text is needed"],
    [{ ca: "" }, "Invalid tls.ca"],
    [{ cert, key: cert }, "Invalid tls.key"],
    [{ cert }, "cert and key go together"],
    [{ key }, "cert and key go together"],
    [{ ca: garbled }, "Invalid tls: "],
    [{ cert, key: other.key }, "Invalid tls: "],
    [{ verify: false }, "--unsafely-ignore-certificate-errors=HOST"],
  ];
  for (const [tls, message] of wrong) {
    assertThrows(() => openTls(tls, false), TypeError, message);
  }
  const misspelt: object = { verfiy: true };
  assertThrows(() => openTls(misspelt, false), TypeError, "verfiy");
  const text: object = { verify: "no" };
  assertThrows(() => openTls(text, false), TypeError, "Invalid tls.verify");
  assertThrows(() => openTls({ ca }, true), TypeError, "a fetch of your own");
});

Deno.test("TLS: without settings there is nothing to set", () => {
  for (const tls of [undefined, {}, { verify: true, ca: undefined }]) {
    assertEquals(openTls(tls, true), undefined);
  }
});

/** Does something as if on another runtime. */
function pretend(names: Record<string, object | undefined>, work: () => void) {
  const own = Object.getOwnPropertyDescriptor(globalThis, "Deno") ?? {};
  Reflect.deleteProperty(globalThis, "Deno");
  Object.assign(globalThis, names);
  try {
    work();
  } finally {
    for (const name of Object.keys(names)) {
      Reflect.deleteProperty(globalThis, name);
    }
    Object.defineProperty(globalThis, "Deno", own);
  }
}

Deno.test("TLS: on Bun the settings go into fetch as they are", () => {
  pretend({ Bun: {} }, () => {
    const session = openTls({ ca, cert, key }, false);
    const tls = { ca, cert, key, rejectUnauthorized: true };
    assertEquals(session?.init(), { tls });
    const unverified = openTls({ verify: false }, false);
    assertEquals(unverified?.init(), { tls: { rejectUnauthorized: false } });
  });
});

Deno.test("TLS: elsewhere a message says what to use instead", () => {
  pretend({}, () => {
    for (const tls of [{ ca }, { verify: false }]) {
      assertThrows(() => openTls(tls, false), TypeError, "an Agent of undici");
    }
  });
});
