/** TLS: private CAs, client certificates, and everything that can be wrong. */
import {
  Client,
  type ClientOptions,
  DecapodConnectionError,
  type TlsOptions,
} from "@decapod/decapodlib";
import { ACCOUNT } from "./clients.ts";
import {
  ALL,
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  only,
  rejection,
  type Runtime,
  section,
  Server,
  type Settings,
  test,
  WITH_TLS,
} from "./kit.ts";

/** On Node: creates a fetch with these settings, which needs undici. */
let fetchWith:
  | ((tls: TlsOptions) => NonNullable<ClientOptions["fetch"]>)
  | undefined;

/** Sets how to create a fetch where the runtime's own has no TLS settings. */
export function useFetchWith(make: NonNullable<typeof fetchWith>): void {
  fetchWith = make;
}

function connect(url: string, tls: TlsOptions): Client {
  const options = fetchWith ? { fetch: fetchWith(tls) } : { tls };
  return new Client(url, { ...ACCOUNT, retries: 0, ...options });
}

section("tls");

only(...WITH_TLS);
test("Client accepts a private CA and sends a client certificate", async (settings) => {
  const { pem: { ca, cert, key }, tls } = settings;
  await using plain = connect(tls.good, { ca });
  assertEquals((await plain.getUserSelf()).data.login, "root");
  await using known = connect(tls.requiresCertificate, { ca, cert, key });
  assertEquals((await known.getUserSelf()).data.login, "root");
  await known.logout();
  assertEquals((await known.getUserSelf()).data.login, "root");
});

only("node", "workerd");
test("Client rejects tls where fetch has no TLS settings", async ({ runtime, pem }) => {
  const { ca, cert, key } = pem;
  for (const tls of [{ ca }, { ca, cert, key }, { verify: false }]) {
    await assertRejects(
      () => new Client("https://decapod.example", { ...ACCOUNT, tls }),
      TypeError,
      runtime === "node"
        ? /NODE_EXTRA_CA_CERTS .*fetch of undici/
        : /mTLS binding/,
    );
  }
});

only(...WITH_TLS);
test("asyncDispose() lets a TLS request that was sent finish", async (settings) => {
  const { pem: { ca }, tls } = settings;
  const server = new Server(tls.good.replace(/.*(?=\/)/, settings.servers));
  const client = connect(tls.good, { ca });
  await server.respondWith({ isHeld: true });
  const call = client.getInfo();
  await server.held();
  await client[Symbol.asyncDispose]();
  await server.release();
  await call;
});

only("bun", "node");
test("tls.verify: false turns verification off", async ({ tls }) => {
  await using client = connect(tls.good, { verify: false });
  assertEquals((await client.getUserSelf()).data.login, "root");
});

only("deno");
test("tls.verify: false is rejected with what to do instead", async ({ tls }) => {
  await assertRejects(
    () => connect(tls.good, { verify: false }),
    TypeError,
    /--unsafely-ignore-certificate-errors=HOST.*tls\.ca/,
  );
});

interface Wrong {
  name: string;
  server: keyof Settings["tls"];
  message: RegExp;
  /** Instead of `message` on these runtimes. */
  own?: Partial<Record<Runtime, RegExp>>;
  /** The CA to trust. @default The right one */
  ca?: keyof Settings["pem"];
  runtimes?: Runtime[];
}

/** Certificates that are not accepted. */
const WRONG: Wrong[] = [
  {
    name: "another CA",
    server: "good",
    ca: "otherCa",
    message: /certificate is not trusted/,
    runtimes: WITH_TLS, // workerd trusts what its own configuration says
  },
  {
    name: "an expired certificate",
    server: "expired",
    message: /certificate has expired/,
  },
  {
    name: "a certificate of the future",
    server: "future",
    message: /certificate is not valid yet/,
  },
  {
    name: "another host's certificate",
    server: "elsewhere",
    message: /certificate is for another host name/,
  },
  {
    name: "no client certificate",
    server: "requiresCertificate",
    message: /does it require a client certificate\?/,
    own: {
      bun: /requires? (?:a|another) client certificate/,
      node:
        /connection lost \(the server may require a client certificate, or another one/,
    },
  },
  {
    name: "no client certificate, TLS 1.2",
    server: "requiresCertificate12",
    message: /does it require a client certificate\?/,
    own: {
      bun: /requires a client certificate|whether the server uses TLS/,
    },
  },
  {
    name: "a CA's own certificate",
    server: "self",
    ca: "self",
    message: /certificate is a CA certificate/,
    runtimes: ["deno"],
  },
];

/** workerd tells a program only this. */
const WORKERD = /TLS failed .*see the log of workerd/;

for (const { name, server, ca = "ca", message, own, runtimes = ALL } of WRONG) {
  only(...runtimes);
  test(`DecapodConnectionError names ${name}`, async (settings) => {
    const { runtime, pem } = settings;
    const isWorkerd = runtime === "workerd"; // trusts the CA by its configuration
    const url = settings.tls[server];
    await using client = connect(url, isWorkerd ? {} : { ca: pem[ca] });
    const error = await assertRejects(
      () => client.getInfo(),
      DecapodConnectionError,
      isWorkerd ? WORKERD : own?.[runtime] ?? message,
    );
    assertEquals(error.url, `${url}/v1/info/`);
  });
}

only("bun", "node");
test("Client accepts a CA certificate as the server's", async ({ pem, tls }) => {
  await using client = connect(tls.self, { ca: pem.self });
  assertEquals((await client.getUserSelf()).data.login, "root");
});

only(...WITH_TLS);
test("DecapodConnectionError names a client certificate of another CA", async ({ pem, tls }) => {
  for (const url of [tls.requiresCertificate, tls.requiresCertificate12]) {
    await using client = connect(url, {
      ca: pem.ca,
      cert: pem.otherCert,
      key: pem.otherKey,
    });
    await assertRejects(
      () => client.getInfo(),
      DecapodConnectionError,
      /client certificate|tls\.ca, tls\.cert and tls\.key/,
    );
  }
});

only("bun", "deno");
test("TypeError names tls settings that are not PEM text", async ({ pem, tls }) => {
  const broken: [TlsOptions, RegExp][] = [
    [{ ca: "/etc/ca.pem" }, /Invalid tls\.ca: must be PEM text/],
    [{ ca: "" }, /Invalid tls\.ca: must be PEM text/],
    [{ cert: pem.cert }, /cert and key must be set together/],
  ];
  for (const [options, pattern] of broken) {
    await assertRejects(() => connect(tls.good, options), TypeError, pattern);
  }
});

only("bun", "deno");
test("tls settings that are not certificates are an error", async ({ pem, tls }) => {
  const ca = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const mixed = { ca: pem.ca, cert: pem.cert, key: pem.otherKey };
  for (const options of [{ ca }, mixed]) {
    const error = await rejection(async () => {
      await using client = connect(tls.requiresCertificate, options);
      await client.getInfo();
    });
    assert(
      error instanceof TypeError || error instanceof DecapodConnectionError,
      `Got ${error}`,
    );
    assertMatch(
      error.message,
      /^Invalid tls: |tls\.ca, tls\.cert and tls\.key|client certificate/,
    );
  }
});
