/** The discovery programs over HTTPS, against real servers on loopback. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Api } from "./cloud_config/api.ts";
import { makeCertificates } from "./cloud_config/certificates.ts";
import { hasIpv6, test, TOKEN } from "./cloud_config/discovery.ts";

const forLoopback = "DNS:localhost,IP:127.0.0.1";

test("HTTPS is not verified without a CA certificate", async (make) => {
  const { cert, key } = await makeCertificates("DNS:elsewhere.example");
  await using api = new Api({ tls: { cert, key } });
  for (const name of ["127.0.0.1", "localhost"]) {
    using host = make(`https://${name}:${api.port}`);
    const { code, log } = await host.boot();
    assertEquals(code, 0, log);
    assertEquals(api.received.at(-1)?.headers.get("authorization"), TOKEN);
  }
});

test("HTTPS is verified against the CA certificate", async (make) => {
  const { ca, cert, key } = await makeCertificates(forLoopback);
  const stranger = await makeCertificates(forLoopback);
  await using api = new Api({ tls: { cert, key } });
  const url = `https://localhost:${api.port}`;

  // A bundle, with remarks and Windows' line ends.
  const bundle = `The CA:\n${stranger.ca}And another:\n${ca}`;
  for (const caCertificate of [ca, bundle, ca.replaceAll("\n", "\r\n")]) {
    using host = make(url, { caCertificate });
    const { code, log } = await host.boot();
    assertEquals(code, 0, log);
  }
  assertEquals(api.received.length, 3);

  using host = make(url, {
    caCertificate: stranger.ca,
    settings: { retry_delays: [0] },
  });
  const { code, log } = await host.boot();
  assertEquals(code, 7, log);
  assertStringIncludes(log, `Cannot trust ${url}/v1/server/: `);
  assertStringIncludes(log, "Server discovery failed.");
  assert(!log.includes("Trying again"));
  assertEquals(api.received.length, 3, "the token was sent to a stranger");
});

test("HTTPS with a CA certificate verifies the name", async (make) => {
  const { ca, cert, key } = await makeCertificates(
    "DNS:elsewhere.example,IP:127.0.0.2,IP:::2",
  );
  await using api = new Api({ tls: { cert, key } });
  for (const name of ["127.0.0.1", "localhost"]) {
    using host = make(`https://${name}:${api.port}`, { caCertificate: ca });
    const { code, log } = await host.boot();
    assertEquals(code, 7, log);
    assertStringIncludes(log, "Cannot trust");
  }
  assertEquals(api.received.length, 0);
});

for (const hostname of ["127.0.0.1", "::1"]) {
  const name = `HTTPS with a CA certificate, the API given as ${hostname}`;
  test(name, async (make) => {
    const { ca, cert, key } = await makeCertificates(`IP:${hostname}`);
    await using api = new Api({ hostname, tls: { cert, key } });
    const name = hostname === "::1" ? "[::1]" : hostname;
    using host = make(`https://${name}:${api.port}`, { caCertificate: ca });
    const { code, log } = await host.boot();
    assertEquals(code, 0, log);
    assertEquals(api.received.length, 1);
  }, hostname !== "::1" || hasIpv6);
}

test("a CA certificate that is none", async (make) => {
  using host = make("https://127.0.0.1:1", {
    caCertificate:
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
  });
  const { code, log } = await host.boot();
  assertEquals(code, 7, log);
  assertStringIncludes(log, "Cannot use the CA certificate: ");
});
