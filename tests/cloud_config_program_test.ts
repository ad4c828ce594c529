/** The discovery program, run against real servers on loopback. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { delay } from "@std/async/delay";
import { generateCloudConfig } from "../cloud_config.ts";
import {
  Api,
  each,
  freePlace,
  hasIpv6,
  isLinux,
  test,
  testAll,
} from "./cloud_config/discovery.ts";
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
import { DISCOVERY_TOKEN } from "./standin/mod.ts";
import { RawServer } from "./support/raw.ts";
import { StandInServer } from "./support/server.ts";
import { CLOSED, head, responds, stalls } from "./support/stub.ts";

testAll("registers the host at every boot, without a proxy", async (boot) => {
  await using api = new Api();
  const { host, output } = await boot(api.url);
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

  const log = host.read(LOG);
  assertEquals(output, log);
  const lines = log.trimEnd().split("\n");
  assertMatch(lines[1] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assertEquals(lines.toSpliced(1, 1), [
    "=== START DECAPOD SERVER DISCOVERY ===",
    `Registered as ${ADDRESS}, id ${UUID}.`,
    "Server discovery completed.",
    "=== FINISH DECAPOD SERVER DISCOVERY ===",
  ]);
  assertEquals(host.calls("dmidecode"), ["-s system-uuid"]);
  assertEquals(host.calls("ip"), ["route get 127.0.0.1"]);
  assertEquals(host.calls("getent"), []);

  const env = { http_proxy: CLOSED, https_proxy: CLOSED, all_proxy: CLOSED };
  const second = await host.boot(env);
  assertEquals(second.code, 0, second.output);
  assertEquals(api.bodies[1], api.bodies[0]);
  assertEquals(host.read(LOG), log + second.output);
});

test("adds the host to getServers(), unless the token is wrong", async (boot) => {
  await using server = new StandInServer();
  await using client = server.client();
  const before = await client.getServers({ all: true });
  await boot(server.url, {}, 6);
  server.standIn.controller.discover();
  assertEquals(await client.getServers({ all: true }), before);

  const serverDiscoveryToken = DISCOVERY_TOKEN;
  for (let count = 1; count <= 2; count++) {
    await boot(server.url, { serverDiscoveryToken, username: "deploy" });
    server.standIn.controller.discover();
    const { items } = await client.getServers({ all: true });
    assertEquals(items.length, before.items.length + 1);
    const data = items.find(({ id }) => id === UUID)?.data;
    const values = [data?.ip, data?.username, data?.state];
    assertEquals(values, [ADDRESS, "deploy", "operational"]);
  }
});

test("shows the token to root only", async (boot) => {
  await using api = new Api();
  const { host, output } = await boot(api.url);
  assertStringIncludes(host.read(SETTINGS), TOKEN);
  for (const path of [SETTINGS, LOG]) {
    assertEquals((Deno.statSync(host.path(path)).mode ?? 0) & 0o777, 0o600);
  }
  const environments = ["ip", "dmidecode"].map((name) =>
    host.read(`/calls/${name}.env`)
  );
  for (const text of [host.read(PROGRAM), output, ...environments]) {
    assert(text !== "" && !text.includes(TOKEN), text);
  }
});

Deno.test("discovery program exits with 127 without python3", {
  ignore: !isLinux,
}, async () => {
  using host = new Host(generateCloudConfig(OPTIONS));
  const { code, output } = await host.boot();
  assertEquals(code, 127);
  assertMatch(output, /env: .python3.: No such file or directory/);
});

test("registers the source address of the route, unless others cannot reach it", async (boot) => {
  const routes: [ip?: string, address?: string][] = [
    ["10.0.0.1 via 10.20.30.1 dev eth0  src 10.20.30.40 \n    cache", ADDRESS],
    ["local 10.0.0.1 dev lo table local src 10.0.0.1 uid 0 \n", "10.0.0.1"],
    ["10.0.0.1 dev eth0 src 10.20.30.40 uid 0 \n    cache mtu 1400", ADDRESS],
    ["10.0.0.1 via 10.20.30.1 dev src src 10.20.30.40 uid 0", ADDRESS],
    ["fd00::1 from :: via fe80::1 dev eth0  src fd00::40  metric", "fd00::40"],
    ["fd00::1 from :: dev eth0 proto ra src FD00::40 metric 100", "fd00::40"],
    [],
    [""],
    ["10.0.0.1 dev lo src nonsense uid 0"],
    ["local 127.0.1.1 dev lo table local src 127.0.0.1 uid 0 \n    cache <local>"],
    ["local ::1 dev lo table local proto kernel src ::1 metric 0 pref medium"],
    ["unreachable 2001:db8::1 from :: dev lo  src ::1  metric -1  error -101"],
    ["unreachable 10.0.0.1 dev lo src 10.20.30.40"],
    ["prohibit 10.0.0.1 src 10.20.30.40 uid 0 error -13"],
    ["blackhole 10.0.0.1 src 10.20.30.40 uid 0"],
    ["10.0.0.1 from :: dev lo src 10.20.30.40 metric 1 error -113"],
    ["10.0.0.1 dev eth0 src 0.0.0.0 uid 0"],
  ];
  await each(routes, async ([ip, address]) => {
    await using api = new Api();
    const url = `http://localhost:${api.port}`;
    const { output } = await boot(url, { commands: { ip } }, address ? 0 : 4);
    assertEquals(api.bodies.map(({ host }) => host), address ? [address] : []);
    const rejected = /Other hosts cannot reach this one at \S+\.\n/.test(
      output,
    );
    assertEquals(rejected, address === undefined, output);
  });
});

test("registers the address that reached the API", async (boot) => {
  await using api = new Api();
  const addresses = ["::1", "::1", freePlace().hostname, "127.0.0.1"];
  const getent = addresses.join(" STREAM decapod.example\n");
  const name = `decapod.example:${api.port}`;
  const { host } = await boot(`http://${name}`, { commands: { getent } });
  assertEquals(host.calls("getent"), ["ahosts decapod.example"]);
  assertEquals(host.calls("ip").at(-1), "route get 127.0.0.1");
  assertEquals(api.exchanges[0]?.headers.get("host"), name);
});

test("reaches an API on IPv6", async (boot) => {
  await using api = new Api(undefined, { hostname: "::1" });
  const ip = "fd00::1 from :: dev eth0 src fd00::40 metric 1024 pref medium\n";
  const { host } = await boot(`http://[::1]:${api.port}`, { commands: { ip } });
  assertEquals(host.calls("ip"), ["route get ::1"]);
  assertEquals(api.bodies[0]?.host, "fd00::40");
}, hasIpv6);

test("fails if there is no route to the API, or its name is unknown", async (boot) => {
  // No program can connect to a broadcast address.
  const getent = "255.255.255.255 STREAM decapod.example\n";
  const noRoute = "No route to 255.255.255.255. Trying again";
  const cases: [ip: string | undefined, getent: string, text: string][] = [
    [undefined, getent, noRoute],
    ["", getent, noRoute],
    ["unreachable 255.255.255.255 src ::1", getent, noRoute],
    ["", "", "Cannot resolve decapod.example.. Trying again"],
  ];
  await each(cases, async ([ip, getent, text]) => {
    const options = {
      commands: { ip, getent },
      settings: { retry_delays: [0] },
    };
    const { host, output } = await boot("http://decapod.example.", options, 4);
    assertStringIncludes(output, text);
    const withoutDot = host.calls("getent").includes("ahosts decapod.example");
    assertEquals(withoutDot, getent === ""); // as in /etc/hosts
  });
});

test("registers the metadata service's address if it is routable", async (boot) => {
  type Case = [body: BodyInit, host?: string, init?: ResponseInit];
  const cases: Case[] = [
    ["203.0.113.7\n", "203.0.113.7"],
    ["100.64.0.7", "100.64.0.7"],
    ["2001:DB8::7", "2001:db8::7"],
    ...[
      ...["", "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.9.9.9", "169.254.10.20"],
      ...["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::"],
      ...["::1", "::ffff:127.0.0.1", "fe80::1", "ff02::1", "203.0.113"],
      ...["203.0.113.700", "203.0.113.7\n203.0.113.8\n", "\0\0\0\0"],
      ...["203.0.113.7 ".repeat(1e5), "<html>203.0.113.7</html>"],
      new Uint8Array([0xff, 0xfe, 10]),
    ].map((body): Case => [body]),
    ...[203, 404, 500]
      .map((status): Case => ["203.0.113.7", ADDRESS, { status }]),
    ["", ADDRESS, { status: 302, headers: { location: "/other" } }],
  ];
  await each(cases, async ([body, expected = ADDRESS, init]) => {
    await using api = new Api();
    await using service = new Api(() => new Response(body, init));
    const path = "/latest/meta-data/public-ipv4";
    const settings = { metadata_url: `${service.url}${path}?x=1` };
    await boot(api.url, { settings });
    const [request, ...more] = service.exchanges;
    assertEquals([request?.path, request?.query], [path, { x: "1" }]);
    assertEquals(request?.headers.get("authorization"), null);
    assertEquals(more, []);
    assertEquals(api.bodies[0]?.host, expected);
  });
});

test("needs no response of a metadata service", async (boot) => {
  await using torn = new RawServer(responds(head(12), "203.0.113.7"));
  await using hanging = new RawServer(stalls());
  for (const { url } of [torn, hanging]) {
    await using api = new Api();
    const settings = { metadata_url: `${url}/` };
    await boot(api.url, { settings, timeout: 0.5 });
    assertEquals(api.bodies[0]?.host, ADDRESS);
  }
  await using api = new Api();
  await boot(api.url, { metadata: false, settings: { metadata_url: null } });
  assertEquals(api.bodies[0]?.host, ADDRESS);
});

test("stops reading slow responses at the deadline", async (boot) => {
  await using api = new Api();
  // Each byte comes in time, the whole response would take a minute.
  await using slow = new RawServer(async (peer) => {
    await responds("HTTP/1.1 200 OK\r\n")(peer);
    for (let count = 0; count < 600 && !peer.gone; count++) {
      await delay(100);
      await peer.send("x");
    }
  });
  const start = performance.now();
  const settings = { metadata_url: `${slow.url}/` };
  const results = await Promise.all([
    boot(api.url, { timeout: 0.5, settings }),
    boot(slow.url, { timeout: 0.5 }, 5),
  ]);
  assertEquals(api.bodies[0]?.host, ADDRESS);
  assertStringIncludes(results[1].output, "timed out");
  assert(performance.now() - start < 30_000);
});

test("waits for an API that is not up yet", async (boot) => {
  const place = freePlace();
  await using stack = new AsyncDisposableStack();
  let api: Api | undefined;
  const { output } = await boot(`http://${place.hostname}:${place.port}`, {
    settings: { retry_delays: [0, ...Array(50).fill(0.2)] },
    onOutput(output) {
      if (!output.includes("Trying again in 0.0 s.\n")) return;
      api ??= stack.use(new Api(undefined, place));
    },
  });
  assertStringIncludes(output, "Connection refused. Trying again");
  assertEquals(api?.exchanges.length, 1);
});

test("retries what an ingress or a busy API responds", async (boot) => {
  const statuses = [404, 408, 425, 429, 500, 502, 503, 504, 599];
  await using api = new Api((n) => {
    const status = statuses[n] ?? 200;
    return new Response(TOKEN, { status });
  });
  const settings = { retry_delays: statuses.map(() => 0) };
  const { output } = await boot(api.url, { settings });
  assertEquals(api.exchanges.length, statuses.length + 1);
  for (const status of statuses) {
    assertStringIncludes(output, `/v1/server/ responded ${status}`);
  }
  assert(!output.includes(TOKEN));
});

test("gives up after the last retry, and waits for half to all of each delay", async (boot) => {
  const { hostname, port } = freePlace();
  await using hanging = new RawServer(stalls());
  await using silent = new RawServer(responds());
  await using rubbish = new RawServer(responds(`rubbish ${TOKEN}\r\n\r\n`));
  await using missing = new Api(() => new Response("", { status: 404 }));
  const cases: [url: string, code: number, text: string][] = [
    [`http://${hostname}:${port}`, 5, "Connection refused"],
    [hanging.url, 5, "timed out"],
    [silent.url, 5, "Cannot reach"],
    [rubbish.url, 5, "BadStatusLine"],
    [missing.url, 6, "is this the URL of Decapod's API"],
  ];
  const delays: number[] = [];
  await each(cases, async ([url, expected, text]) => {
    const settings = { retry_delays: [0.4, 0.4, 0.4] };
    const { output } = await boot(url, { timeout: 0.5, settings }, expected);
    const retries = [...output.matchAll(/Trying again in (\S+) s/g)];
    assertEquals(retries.length, 3, output);
    delays.push(...retries.map(([, seconds]) => Number(seconds)));
    assertStringIncludes(output, text);
    assertStringIncludes(output, "Server discovery failed.\n=== FINISH");
    assert(!output.includes(TOKEN), output);
  });
  assert(delays.every((delay) => delay >= 0.2 && delay <= 0.4), `${delays}`);
  assert(delays.some((delay) => delay < 0.4), `${delays}`);
  assertEquals(hanging.connections, 4);
});

test("applies timeout to the request", async (boot) => {
  const gate = Promise.withResolvers<Response>();
  await using api = new Api(() => gate.promise.then((it) => it.clone()));
  const patient = boot(api.url, { timeout: 3600 });
  await boot(api.url, { timeout: 0.5 }, 5);
  gate.resolve(Response.json({}));
  await patient;
});

test("fails at once if the API rejects the request", async (boot) => {
  await using other = new Api();
  const location = `${other.url}/v1/server/`;
  const token = "the server discovery token is wrong.";
  const wrongUrl = "is this the URL of Decapod's API?";
  const redirect = "use the URL that it redirects to.";
  const html = { "content-type": "text/html; charset=utf-8" };
  const cases: [hint: string, statuses: number[], headers?: HeadersInit][] = [
    [token, [401, 403]],
    [wrongUrl, [400, 405]],
    [redirect, [301, 302, 303, 307, 308], { location }],
    ["this is a web page.", [200], html],
  ];
  for (const [hint, statuses, headers] of cases) {
    await each(statuses, async (status) => {
      await using api = new Api(() => new Response(TOKEN, { status, headers }));
      const settings = { retry_delays: [0, 0] };
      const { output } = await boot(api.url, { settings }, 6);
      assertEquals(api.exchanges.length, 1);
      assertStringIncludes(output, `responded ${status}: ${hint}`);
      assertStringIncludes(output, "Server discovery failed.");
      assert(!output.includes(TOKEN), output);
    });
  }
  assertEquals(other.exchanges, []);
});

/** UUIDs that vendors ship with many boards. */
const PLACEHOLDERS = `
  00000000-0000-0000-0000-000000000000 ffffffff-ffff-ffff-ffff-ffffffffffff
  00000000-0000-0000-0000-000000000001 11111111-1111-1111-1111-111111111111
  11111111-2222-3333-4444-555555555555 aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
  03000200-0400-0500-0006-000700080009 00020003-0004-0005-0006-000700080009
  fefefefe-fefe-fefe-fefe-fefefefefefe deadbeef-dead-beef-dead-beefdeadbeef
  12345678-1234-5678-90ab-cddeefaabbcc 78563412-3412-7856-90ab-cddeefaabbcc
  12345678-1234-1234-1234-123456789012 12345678-9012-3456-7890-123456789012
  01234567-89ab-cdef-0123-456789abcdef abcdefab-cdef-abcd-efab-cdefabcdefab
  01020304-0506-0708-090a-0b0c0d0e0f10 04030201-0605-0807-090a-0b0c0d0e0f10
  00010203-0405-0607-0809-0a0b0c0d0e0f 03020100-0504-0706-0809-0a0b0c0d0e0f
  0f0e0d0c-0b0a-0908-0706-050403020100 00112233-4455-6677-8899-aabbccddeeff
  ffeeddcc-bbaa-9988-7766-554433221100 10000000-0000-8000-0040-000000000000
  4C4C4544-0000-2010-8020-80C04F202020
`.trim().split(/\s+/);

/** UUIDs that look like them, but are unique. */
const UNUSUAL = `
  00000000-0000-0000-0000-002590c7c000 00000000-0000-0000-0000-ac1f6b8d0f5e
  03d40274-0435-0547-8206-b20700080009 4c4c4544-0044-3010-8048-b4c04f333032
  32333536-3030-5355-4531-303958363241 ec2e1916-5d0d-4c53-8a9c-1f0e2d3c4b5a
  4c4c4544004430108048b4c04f333032
`.trim().split(/\s+/);

test("registers the first system UUID of dmidecode or sysfs that is not a placeholder", async (boot) => {
  const cases: [dmidecode?: string, productUuid?: string, id?: string][] = [
    [`${UUID.toUpperCase()}\n`],
    [`# SMBIOS implementations newer\n#\n${UUID}\n`],
    [`${UUID}\nd04b53a4-0a9f-4b5c-8d9b-0e5f0f3f5a11\n`],
    ["", `${UUID.toUpperCase()}\n`],
    [undefined, `${UUID}\n`],
    ["Not Settable\n", `${UUID}\n`],
    [PLACEHOLDERS.join("\n"), `${UUID}\n`],
    ...UNUSUAL.map((id): [string, undefined, string] => [id, undefined, id]),
  ];
  await each(cases, async ([dmidecode, productUuid, id = UUID]) => {
    await using api = new Api();
    await boot(api.url, { commands: { dmidecode }, productUuid });
    assertEquals(api.bodies[0]?.id, id);
  });
});

test("says how to register a host without a system UUID", async (boot) => {
  await using api = new Api();
  const cases = [
    ...[undefined, "", "# comment only\n", "Not Present\n", "4c4c4544"],
    ...[UUID + UUID, PLACEHOLDERS.join("\n")],
  ];
  await each(cases, async (dmidecode) => {
    const { output } = await boot(api.url, { commands: { dmidecode } }, 3);
    const text = dmidecode === cases.at(-1)
      ? `UUID is a placeholder (${PLACEHOLDERS.at(-1)?.toLowerCase()})`
      : "No system UUID from dmidecode or ";
    assertStringIncludes(output, text);
    assertMatch(output, /; set "id" in \S+\.json to a UUID/);
  });
  assertEquals(api.exchanges, []);
  const id = ` ${UUID.toUpperCase()}\n`;
  await boot(api.url, { commands: { dmidecode: "" }, settings: { id } });
  await boot(api.url, { settings: { id: "   " } }); // as if there were none
  assertEquals(api.bodies.map(({ id }) => id), [UUID, UUID]);
});

test("says what is wrong with its settings", async (boot) => {
  const cases: [code: number, text: string, content?: string][] = [
    [2, "Cannot read settings, not root?"],
    [2, "is not valid JSON", `{"token": ${TOKEN}`],
    [1, "Unexpected KeyError at lines [", "{}"],
  ];
  await each(cases, async ([expected, text, content]) => {
    const prepare = (host: Host) => {
      if (content === undefined) Deno.removeSync(host.path(SETTINGS));
      else host.write(SETTINGS, content);
    };
    const { output } = await boot("http://127.0.0.1:1", { prepare }, expected);
    assertStringIncludes(output, text);
    assertStringIncludes(output, "Server discovery failed.");
    assert(!output.includes(TOKEN), output);
  });
});

test("does not print a token that a header cannot carry", async (boot) => {
  await using api = new Api();
  for (const token of [`${TOKEN}\r\nX-Injected: yes`, `${TOKEN}\u20ac`]) {
    const { output } = await boot(api.url, { settings: { token } }, 5);
    assert(!output.includes(TOKEN), output);
  }
  assertEquals(api.exchanges, []);
});
