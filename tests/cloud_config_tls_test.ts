/** The discovery program over HTTPS, against real servers on loopback. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  Api,
  each,
  freePlace,
  hasIpv6,
  test,
  testAll,
} from "./cloud_config/discovery.ts";
import { TOKEN } from "./cloud_config/host.ts";
import { type Identity, issue } from "./runtimes/certificates.ts";

const NAMES = { names: ["localhost", "127.0.0.1"] };
const DAY = 24 * 60 * 60 * 1000;

const serve = (tls: Identity, place = {}) =>
  new Api(undefined, { ...place, cert: tls.cert, key: tls.key });

/** A root CA, a CA that it signed, and the latter's server certificate. */
async function chain() {
  const root = await issue("Root CA", { ca: true });
  const issuing = await issue("Issuing CA", { ca: true }, root);
  return { root, issuing, server: await issue("Server", NAMES, issuing) };
}

test("does not verify HTTPS without a CA certificate", async (boot) => {
  const tls = await issue("Server", { names: ["elsewhere.example"] });
  await using api = serve(tls);
  for (const name of ["127.0.0.1", "localhost"]) {
    await boot(`https://${name}:${api.port}`);
    assertEquals(api.exchanges.at(-1)?.headers.get("authorization"), TOKEN);
  }
});

testAll("trusts any certificate of the chain", async (boot) => {
  const { root, issuing, server } = await chain();
  const alone = await issue("Server", NAMES);
  const whole = { cert: server.cert + issuing.cert, key: server.key };
  const cases = [
    [whole, root.cert],
    [whole, issuing.cert],
    [server, issuing.cert],
    [server, server.cert],
    [server, alone.cert + issuing.cert],
    [alone, alone.cert],
  ] as const;
  await each(cases, async ([tls, caCertificate]) => {
    await using api = serve(tls);
    await boot(`https://localhost:${api.port}`, { caCertificate });
    assertEquals(api.exchanges.length, 1);
  });
});

test("sends nothing to an API that it cannot verify", async (boot) => {
  const { issuing, server } = await chain();
  const { issuing: stranger } = await chain();
  const other = ["elsewhere.example", "127.0.0.2"];
  const renamed = await issue("Server", { names: other }, issuing);
  const until = new Date(Date.now() - DAY / 2);
  const expired = await issue("Server", { ...NAMES, until }, issuing);
  const der = btoa("\x30\x81\x80" + "\0".repeat(128));
  const invalid = issuing.cert.replace(/\n[^-]*\n/, `\n${der}\n`);
  const cases: [tls: Identity, ca: string, name: string, error?: string][] = [
    [server, stranger.cert, "localhost"],
    [renamed, issuing.cert, "localhost"],
    [renamed, issuing.cert, "127.0.0.1"],
    [expired, issuing.cert, "localhost"],
    [server, invalid, "localhost", "Cannot use the CA certificate: "],
  ];
  await each(cases, async ([tls, caCertificate, name, error]) => {
    await using api = serve(tls);
    const url = `https://${name}:${api.port}`;
    const settings = { retry_delays: [0] };
    const { output } = await boot(url, { caCertificate, settings }, 7);
    assertStringIncludes(output, error ?? `Cannot verify ${url}/v1/server/: `);
    assertStringIncludes(output, "Server discovery failed.");
    if (tls === server) assert(!output.includes("Trying again"), output);
    assertEquals(api.exchanges, []);
  });
});

testAll("waits for NTP if a certificate is not yet valid", async (boot) => {
  const issuing = await issue("Issuing CA", { ca: true });
  const names = ["decapod.example"];
  const [from, until] = [1, 2].map((days) => new Date(Date.now() + days * DAY));
  const early = await issue("Server", { names, from, until }, issuing);
  const valid = await issue("Server", { names }, issuing);
  const place = freePlace();
  const first = serve(early, place);
  let second: Promise<Api> | undefined;
  // Stands for a clock that NTP corrects between two attempts.
  const replace = async () => {
    await first[Symbol.asyncDispose]();
    return serve(valid, place);
  };
  await boot(`https://decapod.example:${place.port}`, {
    caCertificate: issuing.cert,
    commands: { getent: place.hostname },
    settings: { retry_delays: [0, ...Array(50).fill(0.2)] },
    onOutput(output) {
      if (output.includes("Trying again in 0.0 s.\n")) second ??= replace();
    },
  });
  await using api = await (second ?? replace());
  assertEquals([first.exchanges.length, api.exchanges.length], [0, 1]);
});

for (const name of ["127.0.0.1", "[::1]", "decapod.example."]) {
  test(`verifies an API at ${name}`, async (boot) => {
    const ca = await issue("CA", { ca: true });
    const names = [name.replace(/[\[\]]|\.$/g, "")];
    const hostname = name === "[::1]" ? "::1" : "127.0.0.1";
    await using api = serve(await issue("Server", { names }, ca), { hostname });
    await boot(`https://${name}:${api.port}`, { caCertificate: ca.cert });
    assertEquals(api.exchanges.length, 1);
  }, name !== "[::1]" || hasIpv6);
}
