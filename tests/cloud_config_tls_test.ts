/** The discovery program over HTTPS, against real servers on loopback. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Api, freePlace } from "./cloud_config/api.ts";
import { type Boot, hasIpv6, test, testAll } from "./cloud_config/discovery.ts";
import { TOKEN } from "./cloud_config/host.ts";
import { issue } from "./runtimes/certificates.ts";

const NAMES = { names: ["localhost", "127.0.0.1"] };
const DAY = 24 * 60 * 60 * 1000;

/** A root CA, a CA that it signed, and the latter's server certificate. */
async function chain() {
  const root = await issue("Root CA", { ca: true });
  const issuing = await issue("Issuing CA", { ca: true }, root);
  return { root, issuing, server: await issue("Server", NAMES, issuing) };
}

/** Boots a host that must not trust the API. */
async function assertUntrusted(
  boot: Boot,
  url: string,
  caCertificate: string,
): Promise<string> {
  const settings = { retry_delays: [0] };
  const { output } = await boot(url, { caCertificate, settings }, 7);
  assertStringIncludes(output, "Server discovery failed.");
  return output;
}

test("does not verify HTTPS without a CA certificate", async (boot) => {
  const tls = await issue("Server", { names: ["elsewhere.example"] });
  await using api = new Api({ tls });
  for (const name of ["127.0.0.1", "localhost"]) {
    await boot(`https://${name}:${api.port}`);
    assertEquals(api.exchanges.at(-1)?.headers.get("authorization"), TOKEN);
  }
});

testAll("trusts any certificate of the chain", async (boot) => {
  const { root, issuing, server } = await chain();
  const alone = await issue("Server", NAMES);
  const whole = { cert: server.cert + issuing.cert, key: server.key };
  for (
    const [tls, caCertificate] of [
      [whole, root.cert],
      [whole, issuing.cert],
      [server, issuing.cert],
      [server, server.cert],
      [server, alone.cert + issuing.cert],
      [alone, alone.cert],
    ] as const
  ) {
    await using api = new Api({ tls });
    await boot(`https://localhost:${api.port}`, { caCertificate });
    assertEquals(api.exchanges.length, 1);
  }
});

test("reads every form of PEM text that is accepted", async (boot) => {
  const { issuing, server } = await chain();
  const { root: stranger } = await chain();
  await using api = new Api({ tls: server });
  const pem = issuing.cert;
  const forms = [
    pem.replaceAll("\n", "\r\n"),
    `\ufeff${pem}`,
    pem.replace(/^/gm, "    "),
    pem.replace(/(.{20})\n/, "$1\n\n"),
    pem.trimEnd(),
    stranger.cert.trimEnd() + pem,
    `Müller's CA:\n${stranger.cert}and another:\n${pem}`,
    `Certificate:\n${"        Data: 0:1f:8b:\n".repeat(900)}${pem}`,
  ];
  for (const caCertificate of forms) {
    await boot(`https://localhost:${api.port}`, { caCertificate });
  }
  assertEquals(api.exchanges.length, forms.length);
});

test("sends nothing to an API that it cannot verify", async (boot) => {
  const { issuing, server } = await chain();
  const { issuing: stranger } = await chain();
  await using api = new Api({ tls: server });
  const url = `https://localhost:${api.port}`;
  const output = await assertUntrusted(boot, url, stranger.cert);
  assertStringIncludes(output, `Cannot verify ${url}/v1/server/: `);
  assert(!output.includes("Trying again"), output);

  const other = { names: ["elsewhere.example", "127.0.0.2"] };
  await using renamed = new Api({ tls: await issue("Server", other, issuing) });
  for (const name of ["127.0.0.1", "localhost"]) {
    const url = `https://${name}:${renamed.port}`;
    await assertUntrusted(boot, url, issuing.cert);
  }

  const old = { ...NAMES, until: new Date(Date.now() - DAY / 2) };
  await using expired = new Api({ tls: await issue("Server", old, issuing) });
  await assertUntrusted(
    boot,
    `https://localhost:${expired.port}`,
    issuing.cert,
  );
  assertEquals(
    [...api.exchanges, ...renamed.exchanges, ...expired.exchanges],
    [],
  );
});

testAll("waits for NTP if a certificate is not yet valid", async (boot) => {
  const issuing = await issue("Issuing CA", { ca: true });
  const names = ["decapod.example"];
  const [from, until] = [1, 2].map((days) => new Date(Date.now() + days * DAY));
  const early = await issue("Server", { names, from, until }, issuing);
  const valid = await issue("Server", { names }, issuing);
  const place = freePlace();
  const first = new Api({ ...place, tls: early });
  let second: Promise<Api> | undefined;
  // Stands for a clock that NTP corrects between two attempts.
  const replace = async () => {
    await first[Symbol.asyncDispose]();
    return new Api({ ...place, tls: valid });
  };
  await boot(`https://decapod.example:${place.port}`, {
    caCertificate: issuing.cert,
    commands: { getent: place.hostname },
    settings: { retry_delays: [0, 1, 2, 4, 8] },
    onOutput(output) {
      if (output.includes("Trying again in 0.0 s.\n")) second ??= replace();
    },
  });
  await using api = await (second ?? replace());
  assertEquals([first.exchanges.length, api.exchanges.length], [0, 1]);
});

test("ignores a trailing dot when it verifies the API's name", async (boot) => {
  const issuing = await issue("CA", { ca: true });
  const tls = await issue("Server", { names: ["decapod.example"] }, issuing);
  await using api = new Api({ tls });
  const { host } = await boot(`https://decapod.example.:${api.port}`, {
    caCertificate: issuing.cert,
  });
  assertEquals(host.calls("getent"), ["ahosts decapod.example."]);
});

for (const hostname of ["127.0.0.1", "::1"]) {
  test(`verifies an API at ${hostname}`, async (boot) => {
    const ca = await issue("CA", { ca: true });
    const tls = await issue("Server", { names: [hostname] }, ca);
    await using api = new Api({ hostname, tls });
    const name = hostname === "::1" ? "[::1]" : hostname;
    await boot(`https://${name}:${api.port}`, { caCertificate: ca.cert });
    assertEquals(api.exchanges.length, 1);
  }, hostname !== "::1" || hasIpv6);
}

test("fails if the CA certificate is not one", async (boot) => {
  const der = btoa("\x30\x81\x80" + "\0".repeat(128));
  const pem =
    `-----BEGIN CERTIFICATE-----\n${der}\n-----END CERTIFICATE-----\n`;
  const output = await assertUntrusted(boot, "https://127.0.0.1:1", pem);
  assertStringIncludes(output, "Cannot use the CA certificate: ");
});
