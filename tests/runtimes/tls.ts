/** TLS with certificates of one's own, and all that can be wrong with them. */
import {
  Client,
  type ClientOptions,
  DecapodConnectionError,
  type TlsOptions,
} from "@decapod/decapodlib";
import {
  assertEquals,
  assertRejects,
  type Runtime,
  section,
  type Settings,
  test,
  WITH_TLS,
} from "./kit.ts";

/** How Node's users set TLS up: a fetch with a dispatcher of undici. */
let fetchWith:
  | ((tls: TlsOptions) => NonNullable<ClientOptions["fetch"]>)
  | undefined;

/** Tells the suite that the runtime's own fetch takes no TLS settings. */
export function useFetchWith(make: NonNullable<typeof fetchWith>): void {
  fetchWith = make;
}

function connect(url: string, tls: TlsOptions): Client {
  const account = { login: "root", password: "root", retries: 0 };
  return new Client(url, {
    ...account,
    ...(fetchWith ? { fetch: fetchWith(tls) } : { tls }),
  });
}

section("tls");

test("with a private CA, and with a client certificate", async (settings) => {
  const { pem: { ca, cert, key }, tls } = settings;
  await using plain = connect(tls.good, { ca });
  assertEquals((await plain.getUserSelf()).data.login, "root");
  await using known = connect(tls.wantsCertificate, { ca, cert, key });
  assertEquals((await known.getUserSelf()).data.login, "root");
  await known.logout();
  assertEquals((await known.getUserSelf()).data.login, "root");
}, WITH_TLS);

test("refused where fetch takes no such settings", async ({ runtime, pem }) => {
  const { ca, cert, key } = pem;
  const account = { login: "root", password: "root" };
  for (const tls of [{ ca }, { ca, cert, key }, { verify: false }]) {
    await assertRejects(
      () => new Client("https://decapod.example", { ...account, tls }),
      TypeError,
      runtime === "node" ? /Cannot use tls: .*undici/ : /mTLS binding/,
    );
  }
}, ["node", "workerd"]);

test("closed while a call is under way", async (settings) => {
  const { pem: { ca }, tls } = settings;
  const client = connect(tls.good, { ca });
  await client.login();
  const call = client.getUserSelf();
  await client[Symbol.asyncDispose]();
  assertEquals((await call).data.login, "root");
}, WITH_TLS);

test("without verification", async ({ tls }) => {
  await using client = connect(tls.good, { verify: false });
  assertEquals((await client.getUserSelf()).data.login, "root");
}, ["bun", "node"]);

test("without verification, refused", async ({ tls }) => {
  await assertRejects(
    () => connect(tls.good, { verify: false }),
    TypeError,
    /--unsafely-ignore-certificate-errors=HOST.*tls\.ca/,
  );
}, ["deno"]);

interface Wrong {
  name: string;
  server: keyof Settings["tls"];
  /** What has to be said of it, on some runtimes in their own way. */
  message: RegExp;
  own?: Partial<Record<Runtime, RegExp>>;
  /** The CA to trust; the right one unless said. */
  ca?: keyof Settings["pem"];
  runtimes?: Runtime[];
}

/** What can be wrong with certificates. */
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
    server: "wantsCertificate",
    message: /it wants a client certificate/,
    own: {
      bun: /no TLS is spoken there, or the server wants a client certificate/,
      node: /the server may want another client certificate, or one at all/,
    },
  },
  {
    name: "no client certificate, TLS 1.2",
    server: "wantsCertificate12",
    message: /it wants a client certificate/,
    own: {
      bun: /no TLS is spoken there, or the server wants a client certificate/,
    },
  },
  {
    name: "a CA's own certificate",
    server: "self",
    ca: "self",
    message: /certificate is that of a CA/,
    runtimes: ["deno"],
  },
];

/** workerd tells a program no more than this. */
const WORKERD = /TLS failed .*workerd's own log says which/;

for (const { name, server, ca = "ca", message, own, runtimes } of WRONG) {
  test(name, async ({ runtime, pem, tls }) => {
    const url = tls[server];
    // workerd has been told to trust the CA.
    await using client = connect(
      url,
      runtime === "workerd" ? {} : {
        ca: pem[ca],
      },
    );
    const error = await assertRejects(
      () => client.getInfo(),
      DecapodConnectionError,
      runtime === "workerd" ? WORKERD : own?.[runtime] ?? message,
    );
    assertEquals(error.url, `${url}/v1/info/`);
  }, runtimes);
}

test("a CA's own certificate, taken", async ({ pem, tls }) => {
  await using client = connect(tls.self, { ca: pem.self });
  assertEquals((await client.getUserSelf()).data.login, "root");
}, ["bun", "node"]);

test("another client certificate", async ({ pem, tls }) => {
  for (const url of [tls.wantsCertificate, tls.wantsCertificate12]) {
    await using client = connect(url, {
      ca: pem.ca,
      cert: pem.otherCert,
      key: pem.otherKey,
    });
    await assertRejects(
      () => client.getInfo(),
      DecapodConnectionError,
      /client certificate/,
    );
  }
}, WITH_TLS);

test("texts that are no certificates", async ({ pem, tls }) => {
  const broken: [TlsOptions, RegExp][] = [
    [{ ca: "/etc/ca.pem" }, /Invalid tls\.ca: PEM text is needed/],
    [{ ca: "" }, /Invalid tls\.ca: PEM text is needed/],
    [{ cert: pem.cert }, /cert and key go together/],
  ];
  for (const [options, pattern] of broken) {
    await assertRejects(() => connect(tls.good, options), TypeError, pattern);
  }
}, ["bun", "deno"]);

test("texts that look like certificates", async ({ runtime, pem, tls }) => {
  const ca = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const mixed = { ca: pem.ca, cert: pem.cert, key: pem.otherKey };
  for (const options of [{ ca }, mixed]) {
    if (runtime === "deno") {
      await assertRejects(
        () => connect(tls.good, options),
        TypeError,
        /^Invalid tls: /,
      );
    } else {
      await using client = connect(tls.good, options);
      await assertRejects(
        () => client.getInfo(),
        DecapodConnectionError,
        /tls\.ca, tls\.cert and tls\.key/,
      );
    }
  }
}, ["bun", "deno"]);
