/**
 * The discovery programs, run: under bash, with each Python that is there,
 * against real servers on loopback.
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { Api, freePlace, hang } from "./cloud_config/api.ts";
import {
  hasIpv6,
  isLinux,
  test,
  TOKEN,
  userData,
} from "./cloud_config/discovery.ts";
import {
  ADDRESS,
  COMMANDS,
  Host,
  LOG,
  PRODUCT_UUID,
  PYTHON_PROGRAM,
  SETTINGS,
  UUID,
} from "./cloud_config/host.ts";

test("a first boot registers the host, and a second one again", async (make) => {
  await using api = new Api();
  using host = make(`http://127.0.0.1:${api.port}`);

  const first = await host.boot();
  assertEquals(first.code, 0, first.log);
  assertEquals(api.received.length, 1);
  const [request] = api.received;
  assert(request);
  assertEquals(request.method, "POST");
  assertEquals(request.path, "/v1/server/");
  assertEquals(JSON.parse(request.body), {
    username: "ansible",
    host: ADDRESS,
    id: UUID,
  });
  assertEquals(request.headers.get("content-type"), "application/json");
  assertEquals(request.headers.get("authorization"), TOKEN);
  assertEquals(
    request.headers.get("user-agent"),
    "cloud-init server discovery",
  );

  const lines = first.log.trimEnd().split("\n");
  assertEquals(lines.length, 5, first.log);
  assertEquals(lines[0], "=== START DECAPOD SERVER DISCOVERY ===");
  assertMatch(lines[1] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assertEquals(lines[2], `Registered as ${ADDRESS}, id ${UUID}.`);
  assertEquals(lines[3], "Server discovery completed.");
  assertEquals(lines[4], "=== FINISH DECAPOD SERVER DISCOVERY ===");
  assertEquals(first.output, "");
  assertEquals(host.calls("dmidecode"), ["-s system-uuid"]);
  assertEquals(host.calls("ip"), ["route get 127.0.0.1"]);
  assertEquals(host.calls("getent"), []);

  const second = await host.boot();
  assertEquals(second.code, 0);
  assertEquals(api.received.length, 2);
  assertEquals(api.received[1]?.body, request.body);
  assert(second.log.startsWith(first.log), "the log of the first boot is kept");
});

test("the token is seen by root alone, and by no log", async (make) => {
  await using api = new Api();
  using host = make(`http://127.0.0.1:${api.port}`);
  const { log, output } = await host.boot();

  const holders = [SETTINGS, PYTHON_PROGRAM, LOG].filter((path) =>
    Deno.readTextFileSync(host.path(path)).includes(TOKEN)
  );
  assertEquals(holders, [SETTINGS]);
  const mode = (path: string) =>
    ((Deno.statSync(host.path(path)).mode ?? 0) & 0o777).toString(8);
  assertEquals(mode(SETTINGS), "600");
  assertEquals(mode(LOG), "600");
  assert(!`${log}${output}`.includes(TOKEN));
  for (const command of ["ip", "dmidecode"]) {
    const seen = host.seen(command);
    assertStringIncludes(seen, "server_discovery.py", "the check sees nothing");
    assert(!seen.includes(TOKEN), `${command}'s parent shows the token`);
  }
});

const routes: [name: string, output: string, address: string][] = [
  [
    "iproute2 of Ubuntu 16.04",
    "10.0.0.1 via 10.20.30.1 dev eth0  src 10.20.30.40 \n    cache \n",
    "10.20.30.40",
  ],
  [
    "iproute2 of today",
    "10.0.0.1 via 10.20.30.1 dev eth0 src 10.20.30.40 uid 0 \n    cache \n",
    "10.20.30.40",
  ],
  [
    "the API on this host",
    "local 10.0.0.1 dev lo table local src 10.0.0.1 uid 0 \n    cache <local> \n",
    "10.0.0.1",
  ],
  [
    "attributes after src",
    "10.0.0.1 dev eth0 src 10.20.30.40 uid 0 \n    cache expires 3sec mtu 1400\n",
    "10.20.30.40",
  ],
  [
    "IPv6, old",
    "fd00::1 from :: via fe80::1 dev eth0  src fd00::40  metric 0 \n    cache \n",
    "fd00::40",
  ],
  [
    "IPv6, today",
    "fd00::1 from :: via fe80::1 dev eth0 proto ra src FD00::40 metric 100 " +
    "mtu 1500 pref medium\n",
    "fd00::40",
  ],
  [
    "a device called src",
    "10.0.0.1 via 10.20.30.1 dev src src 10.20.30.40 uid 0 \n    cache \n",
    "10.20.30.40",
  ],
];

test("the address is the route's src, wherever it stands", async (make) => {
  await using api = new Api();
  for (const [name, ip, address] of routes) {
    using host = make(`http://127.0.0.1:${api.port}`, {
      commands: { ...COMMANDS, ip },
    });
    const { code, log } = await host.boot();
    assertEquals(code, 0, `${name}: ${log}`);
    assertEquals(
      JSON.parse(api.received.at(-1)?.body ?? "").host,
      address,
      name,
    );
  }
});

test("an API given by name is looked up for the route", async (make) => {
  await using api = new Api();
  using host = make(`localhost:${api.port}/decapod`);
  const { code, log } = await host.boot();
  assertEquals(code, 0, log);
  assertEquals(host.calls("getent"), ["ahosts localhost"]);
  assertEquals(host.calls("ip"), ["route get 127.0.0.1"]);
  assertEquals(api.received[0]?.path, "/decapod/v1/server/");
});

test("an API on IPv6", async (make) => {
  await using api = new Api({ hostname: "::1" });
  using host = make(`http://[::1]:${api.port}`, {
    commands: {
      ...COMMANDS,
      ip: "fd00::1 from :: dev eth0 src fd00::40 metric 1024 pref medium\n",
    },
  });
  const { code, log } = await host.boot();
  assertEquals(code, 0, log);
  assertEquals(host.calls("ip"), ["route get ::1"]);
  assertEquals(JSON.parse(api.received[0]?.body ?? "").host, "fd00::40");
}, hasIpv6);

const metadata: [
  name: string,
  answer: (n: number, signal: AbortSignal) => Response | Promise<Response>,
  host: string,
][] = [
  ["an address", () => new Response("203.0.113.7"), "203.0.113.7"],
  [
    "an address and a newline",
    () => new Response("203.0.113.7\n"),
    "203.0.113.7",
  ],
  ["an IPv6 address", () => new Response("2001:DB8::7"), "2001:db8::7"],
  ["nothing", () => new Response(""), ADDRESS],
  ["404", () => new Response("203.0.113.7", { status: 404 }), ADDRESS],
  ["401", () => new Response("", { status: 401 }), ADDRESS],
  ["500", () => new Response("203.0.113.7", { status: 500 }), ADDRESS],
  [
    "a login page",
    () =>
      new Response("<html>203.0.113.7</html>", {
        headers: { "content-type": "text/html" },
      }),
    ADDRESS,
  ],
  ["half an address", () => new Response("203.0.113"), ADDRESS],
  ["an address too high", () => new Response("203.0.113.700"), ADDRESS],
  ["two addresses", () => new Response("203.0.113.7\n203.0.113.8\n"), ADDRESS],
  ["zero bytes", () => new Response(new Uint8Array(7)), ADDRESS],
  ["binary", () => new Response(new Uint8Array([0xff, 0xfe, 10])), ADDRESS],
  ["a lot", () => new Response("203.0.113.7 ".repeat(1e5)), ADDRESS],
  ["never", hang, ADDRESS],
];

test("metadata counts when it is an address, else not", async (make) => {
  await using api = new Api();
  for (const [name, answer, expected] of metadata) {
    await using service = new Api({ answer });
    const path = "/latest/meta-data/public-ipv4";
    using host = make(`http://127.0.0.1:${api.port}`, {
      settings: { metadata_url: `http://127.0.0.1:${service.port}${path}` },
      timeout: 1,
    });
    const { code, log } = await host.boot();
    assertEquals(code, 0, `${name}: ${log}`);
    assertEquals(service.received.map(({ path }) => path), [path]);
    assertEquals(service.received[0]?.headers.get("authorization"), null);
    assertEquals(
      JSON.parse(api.received.at(-1)?.body ?? "").host,
      expected,
      name,
    );
    // A public address needs no route.
    assertEquals(host.calls("ip").length, expected === ADDRESS ? 1 : 0, name);
  }
});

test("metadata that redirects does not count", async (make) => {
  await using portal = new Api({ answer: () => new Response("203.0.113.7") });
  await using service = new Api({
    answer: () => Response.redirect(`http://127.0.0.1:${portal.port}/`),
  });
  await using api = new Api();
  using host = make(`http://127.0.0.1:${api.port}`, {
    settings: { metadata_url: `http://127.0.0.1:${service.port}/` },
  });
  assertEquals((await host.boot()).code, 0);
  assertEquals(JSON.parse(api.received[0]?.body ?? "").host, ADDRESS);
  assertEquals(portal.received.length, 0);
});

test("an API that is down for the first seconds", async (make) => {
  const place = freePlace();
  let api: Api | undefined;
  try {
    using host = make(`http://${place.hostname}:${place.port}`, {
      settings: { retry_delays: [0, 1, 2, 4, 8] },
    });
    const { code, output } = await host.runUntil(
      "Trying again in 0.0 s.\n",
      () => api = new Api(place),
    );
    assertEquals(code, 0, output);
    assertStringIncludes(output, "Connection refused");
    assert(output.endsWith("Server discovery completed.\n"), output);
    assertEquals(api?.received.length, 1);
  } finally {
    await api?.[Symbol.asyncDispose]();
  }
});

test("an API that cannot serve yet is asked again", async (make) => {
  for (const status of [429, 500, 502, 503, 504]) {
    await using api = new Api({
      answer: (n) =>
        n < 2 ? new Response(TOKEN, { status }) : Response.json({}),
    });
    using host = make(`http://127.0.0.1:${api.port}`, {
      settings: { retry_delays: [0, 0, 0] },
    });
    const { code, log } = await host.boot();
    assertEquals(code, 0, log);
    assertEquals(api.received.length, 3);
    assertStringIncludes(
      log,
      `/v1/server/ answered ${status}. Trying again in`,
    );
    assertStringIncludes(log, "Server discovery completed.");
    assert(!log.includes(TOKEN));
  }
});

test("an API that stays away is given up", async (make) => {
  const { hostname, port } = freePlace();
  using host = make(`http://${hostname}:${port}`, {
    settings: { retry_delays: [0, 0] },
  });
  const { code, log, output } = await host.boot();
  assertEquals(code, 5, log);
  assertEquals(log.match(/Trying again/g)?.length, 2);
  assertEquals(host.calls("ip").length, 3);
  assertStringIncludes(log, "Connection refused.\nServer discovery failed.\n");
  assertStringIncludes(log, "=== FINISH DECAPOD SERVER DISCOVERY ===");
  assertMatch(
    output,
    /failed with exit code 5, see .*server_discovery\.log\n$/,
  );
});

test("an API that never answers is given up", async (make) => {
  await using api = new Api({ answer: hang });
  using host = make(`http://127.0.0.1:${api.port}`, {
    timeout: 0.5,
    settings: { retry_delays: [0] },
  });
  const { code, log } = await host.boot();
  assertEquals(code, 5, log);
  assertEquals(api.received.length, 2);
  assertStringIncludes(log, "timed out");
});

test("an attempt waits as long as it was told to", async (make) => {
  const gate = Promise.withResolvers<void>();
  await using api = new Api({
    answer: () => gate.promise.then(() => Response.json({})),
  });
  const url = `http://127.0.0.1:${api.port}`;
  using patient = make(url, { timeout: 3600 });
  using hasty = make(url, { timeout: 0.5, settings: { retry_delays: [] } });
  const patiently = patient.boot();
  const { code, log } = await hasty.boot();
  gate.resolve();
  assertEquals(code, 5, log);
  assertEquals((await patiently).code, 0);
});

test("an API that hangs up, or speaks no HTTP, is given up", async (make) => {
  for (const answer of ["", `rubbish ${TOKEN}\r\n\r\n`]) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const served = (async () => {
      for await (const connection of listener) {
        await connection.read(new Uint8Array(4096));
        await connection.write(new TextEncoder().encode(answer));
        connection.close();
      }
    })();
    using host = make(`http://127.0.0.1:${listener.addr.port}`);
    const { code, log } = await host.boot();
    listener.close();
    await served;
    assertEquals(code, 5, log);
    assertMatch(log, /Cannot reach http:|does not speak HTTP/);
    assert(!log.includes(TOKEN), log);
  }
});

test("a refusal is final", async (make) => {
  const refusals: [status: number, hint: string][] = [
    [401, "401: the server discovery token is refused."],
    [403, "403: the server discovery token is refused."],
    [400, "400: is this the URL of Decapod's API?"],
    [404, "404: is this the URL of Decapod's API?"],
    [405, "405: is this the URL of Decapod's API?"],
    [406, "406: is this the URL of Decapod's API?"],
  ];
  for (const [status, hint] of refusals) {
    await using api = new Api({
      answer: () =>
        Response.json({ code: status, error: "Refused", message: TOKEN }, {
          status,
        }),
    });
    using host = make(`http://127.0.0.1:${api.port}`, {
      settings: { retry_delays: [0, 0] },
    });
    const { code, log } = await host.boot();
    assertEquals(code, 6, log);
    assertEquals(api.received.length, 1);
    assertStringIncludes(log, hint);
    assertStringIncludes(log, "Server discovery failed.");
    assert(!log.includes("Server discovery completed."));
    assert(!log.includes(TOKEN), log);
  }
});

test("a redirect is not followed: it would take the token along", async (make) => {
  await using other = new Api();
  for (const status of [301, 302, 303, 307, 308]) {
    await using api = new Api({
      answer: () =>
        Response.redirect(`http://127.0.0.1:${other.port}/v1/server/`, status),
    });
    using host = make(`http://127.0.0.1:${api.port}`);
    const { code, log } = await host.boot();
    assertEquals(code, 6, log);
    assertStringIncludes(log, `answered ${status}: it redirects elsewhere`);
    assertEquals(api.received.length, 1);
  }
  assertEquals(other.received.length, 0);
});

test("a web page with status 200 is no success", async (make) => {
  await using api = new Api({
    answer: () =>
      new Response("<html></html>", {
        headers: { "content-type": "text/html; charset=utf-8" },
      }),
  });
  using host = make(`http://127.0.0.1:${api.port}`);
  const { code, log } = await host.boot();
  assertEquals(code, 6, log);
  assertStringIncludes(log, "is a web page, not Decapod's API.");
});

test("proxies of the environment are not used", async (make) => {
  await using proxy = new Api();
  await using api = new Api();
  const url = `http://127.0.0.1:${proxy.port}`;
  using host = make(`http://127.0.0.1:${api.port}`);
  const { code, log } = await host.boot({
    http_proxy: url,
    https_proxy: url,
    all_proxy: url,
  });
  assertEquals(code, 0, log);
  assertEquals(proxy.received.length, 0);
  assertEquals(api.received.length, 1);
});

const uuids: [name: string, dmidecode: string, sysfs: string | undefined][] = [
  ["upper case", `${UUID.toUpperCase()}\n`, undefined],
  ["comments first", `# SMBIOS implementations newer\n#\n${UUID}\n`, undefined],
  ["two values", `${UUID}\n00112233-4455-6677-8899-aabbccddeeff\n`, undefined],
  ["only in sysfs", "", `${UUID.toUpperCase()}\n`],
  ["not set in firmware", "Not Settable\n", `${UUID}\n`],
  [
    "all ones in firmware",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n",
    `${UUID}\n`,
  ],
];

test("the id is one system UUID", async (make) => {
  await using api = new Api();
  for (const [name, dmidecode, sysfs] of uuids) {
    using host = make(`http://127.0.0.1:${api.port}`, {
      commands: { ...COMMANDS, dmidecode },
    });
    if (sysfs !== undefined) writeSysfs(host, sysfs);
    const { code, log } = await host.boot();
    assertEquals(code, 0, `${name}: ${log}`);
    assertEquals(JSON.parse(api.received.at(-1)?.body ?? "").id, UUID, name);
  }
});

function writeSysfs(host: Host, text: string): void {
  const path = host.path(PRODUCT_UUID);
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  Deno.writeTextFileSync(path, text);
}

test("a host without dmidecode has its UUID in sysfs", async (make) => {
  await using api = new Api();
  const { ip, getent } = COMMANDS;
  using host = make(`http://127.0.0.1:${api.port}`, {
    commands: { ip, getent },
  });
  writeSysfs(host, `${UUID}\n`);
  const { code, log } = await host.boot();
  assertEquals(code, 0, log);
  assertStringIncludes(log, "Cannot run dmidecode: ");
  assertEquals(JSON.parse(api.received[0]?.body ?? "").id, UUID);
});

test("a host without a UUID is not registered", async (make) => {
  await using api = new Api();
  for (
    const dmidecode of [
      "",
      "# comment only\n",
      "Not Present\n",
      "00000000-0000-0000-0000-000000000000\n",
      "4c4c4544\n",
      `${UUID}${UUID}\n`,
    ]
  ) {
    using host = make(`http://127.0.0.1:${api.port}`, {
      commands: { ...COMMANDS, dmidecode },
    });
    const { code, log } = await host.boot();
    assertEquals(code, 3, log);
    assertStringIncludes(log, "No system UUID: ");
    assertStringIncludes(log, "Server discovery failed.");
  }
  assertEquals(api.received.length, 0);
});

test("a host without a route is not registered", async (make) => {
  await using api = new Api();
  const { dmidecode, getent } = COMMANDS;
  const hosts: Record<string, string>[] = [
    { dmidecode, getent },
    { dmidecode, getent, ip: "" },
    { dmidecode, getent, ip: "unreachable 127.0.0.1 dev lo src\n" },
    { dmidecode, getent, ip: "127.0.0.1 dev lo src nonsense uid 0\n" },
  ];
  for (const commands of hosts) {
    using host = make(`http://localhost:${api.port}`, {
      commands,
      settings: { retry_delays: [0] },
    });
    const { code, log } = await host.boot();
    assertEquals(code, 4, log);
    assertStringIncludes(log, "No route to localhost. Trying again");
    assertStringIncludes(
      log,
      "No route to localhost.\nServer discovery failed.",
    );
  }
  assertEquals(api.received.length, 0);
});

test("an API whose name is unknown", async (make) => {
  using host = make("http://decapod.example", {
    commands: { ...COMMANDS, getent: "" },
  });
  const { code, log } = await host.boot();
  assertEquals(code, 4, log);
  assertStringIncludes(log, "Cannot resolve decapod.example.");
  assertEquals(host.calls("getent"), ["ahosts decapod.example"]);
});

test("settings that cannot be read", async (make) => {
  const breaks: [code: number, text: string, act: (path: string) => void][] = [
    [2, "is this root?", (path) => Deno.removeSync(path)],
    [
      2,
      "is no JSON",
      (path) => Deno.writeTextFileSync(path, `{"token": ${TOKEN}`),
    ],
    [
      1,
      "Unexpected KeyError at ",
      (path) => Deno.writeTextFileSync(path, "{}"),
    ],
  ];
  for (const [expected, text, act] of breaks) {
    using host = make("http://127.0.0.1:1");
    act(host.path(SETTINGS));
    const { code, log } = await host.boot();
    assertEquals(code, expected, log);
    assertStringIncludes(log, text);
    assertStringIncludes(log, "Server discovery failed.");
    assert(!log.includes(TOKEN), log);
  }
});

test("a token that the header cannot carry is not logged", async (make) => {
  await using api = new Api();
  using host = make(`http://127.0.0.1:${api.port}`, {
    settings: { token: `${TOKEN}\r\nX-Injected: yes` },
  });
  const { code, log } = await host.boot();
  assert(code !== 0, log);
  assert(!log.includes(TOKEN), log);
  assertEquals(api.received.length, 0);
});

test("an operator sees the outcome on the terminal", async (make) => {
  await using api = new Api();
  using host = make(`http://127.0.0.1:${api.port}`);
  const { code, output, log } = await host.runByHand();
  assertEquals(code, 0);
  assertStringIncludes(output, "Server discovery completed.\n");
  assertEquals(log, "");
});

Deno.test({
  name: "discovery on a host without Python says so",
  ignore: !isLinux,
  async fn() {
    using host = new Host(userData({}));
    const { code, log, output } = await host.boot();
    assertEquals(code, 127);
    assertStringIncludes(log, "No Python found: install the package python3.");
    assertStringIncludes(log, "Server discovery failed.");
    assertStringIncludes(log, "=== FINISH DECAPOD SERVER DISCOVERY ===");
    assertStringIncludes(output, "failed with exit code 127");
  },
});
