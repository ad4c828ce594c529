/** The discovery program, run against real servers on loopback. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { delay } from "@std/async/delay";
import { generateCloudConfig } from "../cloud_config.ts";
import { Api, type ApiOptions, freePlace, hang } from "./cloud_config/api.ts";
import { hasIpv6, isLinux, test, testAll } from "./cloud_config/discovery.ts";
import {
  ADDRESS,
  Host,
  LOG,
  OPTIONS,
  PROGRAM,
  SETTINGS,
  TOKEN,
  UUID,
} from "./cloud_config/host.ts";
import { type Peer, RawServer } from "./support/raw.ts";
import { DISCOVERY_TOKEN, StandInServer } from "./support/server.ts";
import { head, responds } from "./support/stub.ts";

testAll("registers the host at every boot", async (boot) => {
  await using api = new Api();
  const { host, ...first } = await boot(api.url);
  const [request, ...more] = api.exchanges;
  assert(request);
  assertEquals(more, []);
  assertEquals([request.method, request.path], ["POST", "/v1/server/"]);
  assertEquals(api.bodies, [{ username: "ansible", host: ADDRESS, id: UUID }]);
  const names = ["host", "content-type", "authorization", "user-agent"];
  assertEquals(names.map((name) => request.headers.get(name)), [
    ...[`127.0.0.1:${api.port}`, "application/json", TOKEN],
    "cloud-init server discovery",
  ]);

  const lines = first.log.trimEnd().split("\n");
  assertMatch(lines[1] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assertEquals(lines.toSpliced(1, 1), [
    "=== START DECAPOD SERVER DISCOVERY ===",
    `Registered as ${ADDRESS}, id ${UUID}.`,
    "Server discovery completed.",
    "=== FINISH DECAPOD SERVER DISCOVERY ===",
  ]);
  assertEquals(first.output, first.log);
  assertEquals(host.calls("dmidecode"), ["-s system-uuid"]);
  assertEquals(host.calls("ip"), ["route get 127.0.0.1"]);
  assertEquals(host.calls("getent"), []);

  const second = await host.boot();
  assertEquals(second.code, 0, second.output);
  assertEquals(api.bodies[1], api.bodies[0]);
  assert(second.log.startsWith(first.log), "the first boot's log is kept");
});

test("adds the host to getServers(), unless the token is wrong", async (boot) => {
  await using server = new StandInServer();
  await using client = server.client();
  const before = await client.getServers({ all: true });
  await boot(server.url, {}, 6);
  server.standIn.controller.discover();
  assertEquals(await client.getServers({ all: true }), before);

  const options = {
    serverDiscoveryToken: DISCOVERY_TOKEN,
    username: "deploy",
  };
  for (let count = 1; count <= 2; count++) {
    await boot(server.url, options);
    server.standIn.controller.discover();
    const { items } = await client.getServers({ all: true });
    assertEquals(items.length, before.items.length + 1);
    const { ip, username, state } = items.find(({ id }) => id === UUID)?.data ??
      {};
    assertEquals([ip, username, state], [ADDRESS, "deploy", "operational"]);
  }
});

test("shows the token to root only", async (boot) => {
  await using api = new Api();
  const { host, output } = await boot(api.url);
  const holders = [SETTINGS, PROGRAM, LOG].filter((path) =>
    Deno.readTextFileSync(host.path(path)).includes(TOKEN)
  );
  assertEquals(holders, [SETTINGS]);
  for (const path of [SETTINGS, LOG]) {
    assertEquals((Deno.statSync(host.path(path)).mode ?? 0) & 0o777, 0o600);
  }
  assert(!output.includes(TOKEN));
  for (const command of ["ip", "dmidecode"]) {
    const seen = host.seen(command);
    assertStringIncludes(seen, "server_discovery.py");
    assert(!seen.includes(TOKEN), `${command}'s parent shows the token`);
  }
});

Deno.test({
  name: "discovery program needs python3",
  ignore: !isLinux,
  async fn() {
    using host = new Host(generateCloudConfig(OPTIONS));
    const { code, output } = await host.boot();
    assertEquals(code, 127);
    assertMatch(output, /env: .python3.: No such file or directory/);
  },
});

test("registers the source address of the route", async (boot) => {
  const routes = {
    "10.0.0.1 via 10.20.30.1 dev eth0  src 10.20.30.40 \n    cache \n": ADDRESS,
    "local 10.0.0.1 dev lo table local src 10.0.0.1 uid 0 \n    cache <local>":
      "10.0.0.1",
    "10.0.0.1 dev eth0 src 10.20.30.40 uid 0 \n    cache expires 3sec mtu 1400":
      ADDRESS,
    "fd00::1 from :: via fe80::1 dev eth0  src fd00::40  metric 0 \n    cache":
      "fd00::40",
    "fd00::1 from :: via fe80::1 dev eth0 proto ra src FD00::40 metric 100":
      "fd00::40",
    "10.0.0.1 via 10.20.30.1 dev src src 10.20.30.40 uid 0 \n    cache":
      ADDRESS,
  };
  await using api = new Api();
  for (const [ip, address] of Object.entries(routes)) {
    await boot(api.url, { commands: { ip } });
    assertEquals(api.bodies.at(-1)?.host, address, ip);
  }
});

test("never registers a loopback address or an unreachable route", async (boot) => {
  await using api = new Api();
  const routes = [
    undefined,
    "",
    "10.0.0.1 dev lo src nonsense uid 0",
    "local 127.0.1.1 dev lo table local src 127.0.0.1 uid 0 \n    cache <local>",
    "local ::1 dev lo table local proto kernel src ::1 metric 0 pref medium",
    "unreachable 2001:db8::1 from :: dev lo  src ::1  metric -1  error -101",
    "unreachable 10.0.0.1 dev lo src 10.20.30.40",
    "prohibit 10.0.0.1 src 10.20.30.40 uid 0 error -13",
    "blackhole 10.0.0.1 src 10.20.30.40 uid 0",
    "10.0.0.1 from :: dev lo src 10.20.30.40 metric 1 error -113",
    "10.0.0.1 dev eth0 src 0.0.0.0 uid 0",
  ];
  for (const ip of routes) {
    const url = `http://localhost:${api.port}`;
    const { output } = await boot(url, { commands: { ip } }, 4);
    assertMatch(output, /Other hosts cannot reach this one at \S+\.\n/);
  }
  assertEquals(api.exchanges, []);
});

test("registers the address that reached the API", async (boot) => {
  await using api = new Api();
  const getent = [
    "::1             STREAM decapod.example",
    "::1             DGRAM",
    `${freePlace().hostname} STREAM`,
    "127.0.0.1       STREAM",
  ].join("\n");
  const name = `decapod.example:${api.port}`;
  const options = { commands: { getent }, timeout: 1 };
  const { host } = await boot(`http://${name}`, options);
  assertEquals(host.calls("getent"), ["ahosts decapod.example"]);
  assertEquals(host.calls("ip").at(-1), "route get 127.0.0.1");
  assertEquals(api.exchanges[0]?.headers.get("host"), name);
});

test("reaches an API on IPv6", async (boot) => {
  await using api = new Api({ hostname: "::1" });
  const ip = "fd00::1 from :: dev eth0 src fd00::40 metric 1024 pref medium\n";
  const { host } = await boot(`http://[::1]:${api.port}`, { commands: { ip } });
  assertEquals(host.calls("ip"), ["route get ::1"]);
  assertEquals(api.bodies[0]?.host, "fd00::40");
}, hasIpv6);

test("fails if there is no route to the API, or its name is unknown", async (boot) => {
  const settings = { retry_delays: [0] };
  // No program can connect to a broadcast address.
  const getent = "255.255.255.255 STREAM decapod.example\n";
  for (const ip of [undefined, "", "unreachable 255.255.255.255 src ::1"]) {
    const options = { commands: { ip, getent }, settings };
    const { output } = await boot("http://decapod.example", options, 4);
    assertStringIncludes(output, "No route to 255.255.255.255. Trying again");
  }
  const options = { commands: { getent: "" }, settings };
  const { host, output } = await boot("http://decapod.example.", options, 4);
  assertStringIncludes(output, "Cannot resolve decapod.example.. Trying again");
  assertEquals(host.calls("getent").slice(0, 2), [
    "ahosts decapod.example.",
    "ahosts decapod.example",
  ]);
});

test("registers the metadata service's address if it is routable", async (boot) => {
  const text = (body: string, init?: ResponseInit) => () =>
    new Response(body, init);
  const cases: [respond: ApiOptions["respond"], host: string][] = [
    [text("203.0.113.7\n"), "203.0.113.7"],
    [text("100.64.0.7"), "100.64.0.7"],
    [text("2001:DB8::7"), "2001:db8::7"],
    ...[
      ...["", "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.9.9.9", "169.254.10.20"],
      ...["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::"],
      ...["::1", "::ffff:127.0.0.1", "fe80::1", "ff02::1", "203.0.113"],
      ...["203.0.113.700", "203.0.113.7\n203.0.113.8\n", "\0\0\0\0"],
      ...["203.0.113.7 ".repeat(1e5), "<html>203.0.113.7</html>"],
    ].map((body): [() => Response, string] => [text(body), ADDRESS]),
    [() => new Response(new Uint8Array([0xff, 0xfe, 10])), ADDRESS],
    [text("203.0.113.7", { status: 404 }), ADDRESS],
    [text("203.0.113.7", { status: 500 }), ADDRESS],
    [text("203.0.113.7", { status: 203 }), ADDRESS],
    [text("", { status: 302, headers: { location: "/other" } }), ADDRESS],
    [hang, ADDRESS],
  ];
  await using api = new Api();
  for (const [respond, expected] of cases) {
    await using service = new Api({ respond });
    const path = "/latest/meta-data/public-ipv4";
    const settings = { metadata_url: `${service.url}${path}?x=1` };
    await boot(api.url, { settings, timeout: 1 });
    const [request, ...more] = service.exchanges;
    assertEquals([request?.path, request?.query], [path, { x: "1" }]);
    assertEquals(request?.headers.get("authorization"), null);
    assertEquals(more, []);
    assertEquals(api.bodies.at(-1)?.host, expected);
  }
  await using torn = new RawServer(responds(head(12), "203.0.113.7"));
  await boot(api.url, { settings: { metadata_url: `${torn.url}/` } });
  assertEquals(api.bodies.at(-1)?.host, ADDRESS);
  await boot(api.url, { metadata: false, settings: { metadata_url: null } });
  assertEquals(api.bodies.at(-1)?.host, ADDRESS);
});

/** Each byte comes in time, the whole response would take a minute. */
async function drip(peer: Peer): Promise<void> {
  await peer.request();
  await peer.send("HTTP/1.1 200 OK\r\n");
  for (let count = 0; count < 600; count++) {
    await delay(100);
    await peer.send("x");
  }
}

test("stops reading slow responses at the deadline", async (boot) => {
  await using api = new Api();
  await using slow = new RawServer((peer) => drip(peer).catch(() => {}));
  const start = performance.now();
  await boot(api.url, {
    timeout: 0.5,
    settings: { metadata_url: `${slow.url}/` },
  });
  assertEquals(api.bodies[0]?.host, ADDRESS);
  const { output } = await boot(slow.url, { timeout: 0.5 }, 5);
  assertStringIncludes(output, "timed out");
  assert(performance.now() - start < 30_000);
});

test("waits for an API that is not up yet", async (boot) => {
  const place = freePlace();
  await using stack = new AsyncDisposableStack();
  let api: Api | undefined;
  const { output } = await boot(`http://${place.hostname}:${place.port}`, {
    settings: { retry_delays: [0, 1, 2, 4, 8] },
    onOutput(output) {
      if (!output.includes("Trying again in 0.0 s.\n")) return;
      api ??= stack.use(new Api(place));
    },
  });
  assertStringIncludes(output, "Connection refused. Trying again");
  assertEquals(api?.exchanges.length, 1);
});

test("retries what an ingress or a busy API responds", async (boot) => {
  for (const status of [404, 408, 425, 429, 500, 502, 503, 504, 599]) {
    await using api = new Api({
      respond: (n) =>
        n < 2 ? new Response(TOKEN, { status }) : Response.json({}),
    });
    const settings = { retry_delays: [0, 0, 0] };
    const { output } = await boot(api.url, { settings });
    assertEquals(api.exchanges.length, 3);
    assertStringIncludes(output, `/v1/server/ responded ${status}`);
    assert(!output.includes(TOKEN));
  }
});

test("gives up after the last delay", async (boot) => {
  const { hostname, port } = freePlace();
  await using hanging = new Api({ respond: hang });
  await using silent = new RawServer(async (peer) => void await peer.request());
  await using rubbish = new RawServer(async (peer) => {
    await peer.request();
    await peer.send(`rubbish ${TOKEN}\r\n\r\n`);
  });
  await using missing = new Api({
    respond: () => new Response("", { status: 404 }),
  });
  const cases: [url: string, code: number, text: string][] = [
    [`http://${hostname}:${port}`, 5, "Connection refused"],
    [hanging.url, 5, "timed out"],
    [silent.url, 5, "Cannot reach"],
    [rubbish.url, 5, "BadStatusLine"],
    [missing.url, 6, "is this the URL of Decapod's API"],
  ];
  for (const [url, expected, text] of cases) {
    const options = { timeout: 0.5, settings: { retry_delays: [0, 0] } };
    const { output } = await boot(url, options, expected);
    assertEquals(output.match(/Trying again/g)?.length, 2, output);
    assertStringIncludes(output, text);
    assertStringIncludes(output, "Server discovery failed.\n=== FINISH");
    assert(!output.includes(TOKEN), output);
  }
  assertEquals(hanging.exchanges.length, 3);
});

test("waits for a random part of each delay, at least half of it", async (boot) => {
  const { hostname, port } = freePlace();
  const settings = { retry_delays: Array(8).fill(0.4) };
  const { output } = await boot(`http://${hostname}:${port}`, { settings }, 5);
  const delays = [...output.matchAll(/Trying again in (\S+) s/g)]
    .map(([, delay]) => Number(delay));
  assertEquals(delays.length, 8, output);
  assert(delays.every((delay) => delay >= 0.2 && delay <= 0.4), output);
  assert(delays.some((delay) => delay < 0.4), output);
});

test("waits for as long as timeout says", async (boot) => {
  const gate = Promise.withResolvers<void>();
  await using api = new Api({
    respond: () => gate.promise.then(() => Response.json({})),
  });
  const patient = boot(api.url, { timeout: 3600 });
  await boot(api.url, { timeout: 0.5 }, 5);
  gate.resolve();
  await patient;
});

test("fails at once if the API rejects the request", async (boot) => {
  await using other = new Api();
  const headers = { location: `${other.url}/v1/server/` };
  const html = { "content-type": "text/html; charset=utf-8" };
  const token = "the server discovery token is wrong.";
  const wrongUrl = "is this the URL of Decapod's API?";
  const cases: [status: number, hint: string, headers?: HeadersInit][] = [
    [401, token],
    [403, token],
    [400, wrongUrl],
    [405, wrongUrl],
    ...[301, 302, 303, 307, 308].map((
      status,
    ): [number, string, HeadersInit] => [
      status,
      "use the URL that it redirects to.",
      headers,
    ]),
    [200, "this is a web page.", html],
  ];
  for (const [status, hint, headers] of cases) {
    await using api = new Api({
      respond: () => new Response(TOKEN, { status, headers }),
    });
    const settings = { retry_delays: [0, 0] };
    const { output } = await boot(api.url, { settings }, 6);
    assertEquals(api.exchanges.length, 1);
    assertStringIncludes(output, `responded ${status}: ${hint}`);
    assertStringIncludes(output, "Server discovery failed.");
    assert(!output.includes(TOKEN), output);
  }
  assertEquals(other.exchanges, []);
});

test("uses no proxy of the environment", async (boot) => {
  await using proxy = new Api();
  await using api = new Api();
  const { url } = proxy;
  const env = { http_proxy: url, https_proxy: url, all_proxy: url };
  await boot(api.url, { env });
  assertEquals([proxy.exchanges.length, api.exchanges.length], [0, 1]);
});

test("takes the system UUID from dmidecode or sysfs", async (boot) => {
  const cases: [dmidecode: string | undefined, productUuid?: string][] = [
    [`${UUID.toUpperCase()}\n`],
    [`# SMBIOS implementations newer\n#\n${UUID}\n`],
    [`${UUID}\nd04b53a4-0a9f-4b5c-8d9b-0e5f0f3f5a11\n`],
    ["", `${UUID.toUpperCase()}\n`],
    [undefined, `${UUID}\n`],
    ["Not Settable\n", `${UUID}\n`],
    ["FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n", `${UUID}\n`],
  ];
  await using api = new Api();
  for (const [dmidecode, productUuid] of cases) {
    await boot(api.url, { commands: { dmidecode }, productUuid });
    assertEquals(api.bodies.at(-1)?.id, UUID, dmidecode);
  }
  await boot(api.url, { settings: { id: "   " } });
  assertEquals(api.bodies.at(-1)?.id, UUID);
});

/** UUIDs that vendors ship with many boards. */
const PLACEHOLDERS = [
  "00000000-0000-0000-0000-000000000000",
  "ffffffff-ffff-ffff-ffff-ffffffffffff",
  "00000000-0000-0000-0000-000000000001",
  "11111111-1111-1111-1111-111111111111",
  "11111111-2222-3333-4444-555555555555",
  "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
  "03000200-0400-0500-0006-000700080009",
  "00020003-0004-0005-0006-000700080009",
  "fefefefe-fefe-fefe-fefe-fefefefefefe",
  "deadbeef-dead-beef-dead-beefdeadbeef",
  "12345678-1234-5678-90ab-cddeefaabbcc",
  "78563412-3412-7856-90ab-cddeefaabbcc",
  "12345678-1234-1234-1234-123456789012",
  "12345678-9012-3456-7890-123456789012",
  "01234567-89ab-cdef-0123-456789abcdef",
  "abcdefab-cdef-abcd-efab-cdefabcdefab",
  "01020304-0506-0708-090a-0b0c0d0e0f10",
  "04030201-0605-0807-090a-0b0c0d0e0f10",
  "00010203-0405-0607-0809-0a0b0c0d0e0f",
  "03020100-0504-0706-0809-0a0b0c0d0e0f",
  "0f0e0d0c-0b0a-0908-0706-050403020100",
  "00112233-4455-6677-8899-aabbccddeeff",
  "ffeeddcc-bbaa-9988-7766-554433221100",
  "10000000-0000-8000-0040-000000000000",
  "4C4C4544-0000-2010-8020-80C04F202020",
];

/** UUIDs that look like them, but are unique. */
const UNUSUAL = [
  "00000000-0000-0000-0000-002590c7c000",
  "00000000-0000-0000-0000-ac1f6b8d0f5e",
  "03d40274-0435-0547-8206-b20700080009",
  "4c4c4544-0044-3010-8048-b4c04f333032",
  "32333536-3030-5355-4531-303958363241",
  "ec2e1916-5d0d-4c53-8a9c-1f0e2d3c4b5a",
  "4c4c4544004430108048b4c04f333032",
];

test("registers unusual UUIDs, but no placeholder", async (boot) => {
  await using api = new Api();
  for (const dmidecode of PLACEHOLDERS) {
    const { output } = await boot(api.url, { commands: { dmidecode } }, 3);
    assertStringIncludes(
      output,
      `The firmware's UUID is a placeholder (${dmidecode.toLowerCase()}); ` +
        'set "id" in ',
    );
  }
  for (const dmidecode of UNUSUAL) {
    await boot(api.url, { commands: { dmidecode } });
  }
  assertEquals(api.bodies.map(({ id }) => id), UNUSUAL);
});

test("says how to register a host without a system UUID", async (boot) => {
  await using api = new Api();
  const noUuid = ["# comment only\n", "Not Present\n", "4c4c4544", UUID + UUID];
  for (const dmidecode of [undefined, "", ...noUuid]) {
    const { output } = await boot(api.url, { commands: { dmidecode } }, 3);
    assertMatch(
      output,
      /No system UUID from dmidecode or .*; set "id" in \S+\.json to a UUID/,
    );
  }
  assertEquals(api.exchanges, []);
  const settings = { id: ` ${UUID.toUpperCase()}\n` };
  await boot(api.url, { commands: { dmidecode: undefined }, settings });
  assertEquals(api.bodies[0]?.id, UUID);
});

test("says what is wrong with its settings", async (boot) => {
  const cases: [code: number, text: string, content?: string][] = [
    [2, "Cannot read settings, not root?"],
    [2, "is not valid JSON", `{"token": ${TOKEN}`],
    [1, "Unexpected KeyError at lines [", "{}"],
  ];
  for (const [expected, text, content] of cases) {
    const prepare = (host: Host) => {
      const path = host.path(SETTINGS);
      if (content === undefined) Deno.removeSync(path);
      else Deno.writeTextFileSync(path, content);
    };
    const { output } = await boot("http://127.0.0.1:1", { prepare }, expected);
    assertStringIncludes(output, text);
    assertStringIncludes(output, "Server discovery failed.");
    assert(!output.includes(TOKEN), output);
  }
});

test("does not print a token that a header cannot carry", async (boot) => {
  await using api = new Api();
  for (const token of [`${TOKEN}\r\nX-Injected: yes`, `${TOKEN}\u20ac`]) {
    const { output } = await boot(api.url, { settings: { token } }, 5);
    assert(!output.includes(TOKEN), output);
  }
  assertEquals(api.exchanges, []);
});
