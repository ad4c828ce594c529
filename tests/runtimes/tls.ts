/** TLS: private CAs, client certificates, what can be wrong; and proxies. */
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
  assertRejects,
  only,
  rejection,
  type Runtime,
  section,
  serverAt,
  type Settings,
  test,
  WITH_TLS,
} from "./kit.ts";

type Fetch = NonNullable<ClientOptions["fetch"]>;

/** On Node: fetches of undici, since its own has neither TLS nor proxies. */
export const undiciFetch: { tls?: (tls: TlsOptions) => Fetch; proxy?: Fetch } =
  {};

function connect(url: string, tls: TlsOptions): Client {
  const options = undiciFetch.tls ? { fetch: undiciFetch.tls(tls) } : { tls };
  return new Client(url, { ...ACCOUNT, retries: 0, ...options });
}

async function assertConnects(client: Client): Promise<void> {
  assertEquals((await client.getUserSelf()).data.login, "root");
}

section("tls");

only(...WITH_TLS);
test("Client accepts a private CA and sends a client certificate", async ({ pem, tls }) => {
  const { ca, cert, key } = pem;
  await using plain = connect(tls.good, { ca });
  await assertConnects(plain);
  await using known = connect(tls.requiresCertificate, { ca, cert, key });
  await assertConnects(known);
  await known.logout();
  await assertConnects(known);
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
  const server = serverAt(tls.good.replace(/.*(?=\/)/, settings.servers));
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
  await assertConnects(client);
});

only("bun", "node");
test("Client accepts a CA certificate as the server's", async ({ pem, tls }) => {
  await using client = connect(tls.self, { ca: pem.self });
  await assertConnects(client);
});

interface Wrong {
  server: keyof Settings["tls"];
  message: RegExp;
  /** Instead of `message` on these runtimes. */
  own?: Partial<Record<Runtime, RegExp>>;
  /** The certificates to use. @default The right CA */
  use?: (pem: Settings["pem"]) => TlsOptions;
  runtimes?: Runtime[];
}

const CERTIFICATE_REQUIRED = /does it require a client certificate\?/;
const BUN = /requires? (?:a|another) client certificate/;
const BUN_12 = /requires a client certificate|whether the server uses TLS/;
const NODE = /connection lost \(the server may require a client certificate, /;
const OTHER: Omit<Wrong, "server"> = {
  use: ({ ca, otherCert: cert, otherKey: key }) => ({ ca, cert, key }),
  message: /client certificate|tls\.ca, tls\.cert and tls\.key/,
  runtimes: WITH_TLS,
};

/** Certificates that are not accepted. */
const WRONG: Record<string, Wrong> = {
  "another CA": {
    server: "good",
    use: ({ otherCa }) => ({ ca: otherCa }),
    message: /certificate is not trusted/,
    runtimes: WITH_TLS, // workerd trusts what its own configuration says
  },
  "an expired certificate": {
    server: "expired",
    message: /certificate has expired/,
  },
  "a certificate of the future": {
    server: "future",
    message: /certificate is not valid yet/,
  },
  "another host's certificate": {
    server: "elsewhere",
    message: /certificate is for another host name/,
  },
  "no client certificate": {
    server: "requiresCertificate",
    message: CERTIFICATE_REQUIRED,
    own: { bun: BUN, node: NODE },
  },
  "no client certificate, TLS 1.2": {
    server: "requiresCertificate12",
    message: CERTIFICATE_REQUIRED,
    own: { bun: BUN_12 },
  },
  "another CA's client certificate": {
    server: "requiresCertificate",
    ...OTHER,
  },
  "another CA's client certificate, TLS 1.2": {
    server: "requiresCertificate12",
    ...OTHER,
  },
  "a CA's own certificate": {
    server: "self",
    use: ({ self }) => ({ ca: self }),
    message: /certificate is a CA certificate/,
    runtimes: ["deno"],
  },
};

/** workerd tells a program only this. */
const WORKERD = /TLS failed .*see the log of workerd/;

for (const [name, wrong] of Object.entries(WRONG)) {
  const { server, message, own, use, runtimes = ALL } = wrong;
  only(...runtimes);
  test(`DecapodConnectionError names ${name}`, async ({ runtime, pem, tls }) => {
    const isWorkerd = runtime === "workerd"; // trusts the CA by its configuration
    const options = use?.(pem) ?? { ca: pem.ca };
    await using client = connect(tls[server], isWorkerd ? {} : options);
    const error = await assertRejects(
      () => client.getInfo(),
      DecapodConnectionError,
      isWorkerd ? WORKERD : own?.[runtime] ?? message,
    );
    assertEquals(error.url, `${tls[server]}/v1/info/`);
  });
}

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
    const pattern =
      /^Invalid tls: |tls\.ca, tls\.cert and tls\.key|client certificate/;
    assert(pattern.test(error.message), error.message);
  }
});

section("proxies");

only(...WITH_TLS);
test("Client connects through a proxy", async ({ pem: { ca }, behindProxy }) => {
  const { proxy: fetch } = undiciFetch;
  for (const [protocol, tls] of [["http", {}], ["https", { ca }]] as const) {
    await using client = new Client(`${protocol}://${behindProxy}`, {
      ...ACCOUNT,
      ...(fetch ? { fetch } : { tls }),
    });
    await assertConnects(client);
  }
});
