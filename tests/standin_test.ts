/** The stand-in server by itself: what the recorded exchanges do not show. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Json } from "./standin/json.ts";
import { StandIn } from "./standin/mod.ts";
import { fields, ORIGIN, Session } from "./standin/session.ts";

Deno.test("StandIn.fetch() accepts a string, a URL and a Request, unbound", async () => {
  const { fetch } = new StandIn();
  const url = `${ORIGIN}/v1/info/`;
  for (const input of [url, new URL(url), new Request(url)]) {
    const response = await fetch(input);
    const { version } = await response.json();
    assertEquals(version, "1.2.0.dev1");
  }
});

Deno.test("StandIn.fetch() rejects with the reason of its signal", async () => {
  const { fetch } = new StandIn();
  const url = `${ORIGIN}/v1/info/`;
  const reason = new Error("enough");
  const before = await assertRejects(() =>
    fetch(url, { signal: AbortSignal.abort(reason) })
  );
  assertEquals(before, reason);

  const during = new AbortController();
  const stalled = new ReadableStream();
  const waiting = fetch(`${ORIGIN}/v1/auth/`, {
    method: "POST",
    body: stalled,
    signal: during.signal,
  });
  during.abort(reason);
  assertEquals(await assertRejects(() => waiting), reason);

  const after = new AbortController();
  const response = await fetch(url, { signal: after.signal });
  after.abort(reason);
  assertEquals(await assertRejects(() => response.text()), reason);
});

Deno.test("StandIn.fetch() leaves a response alone that was read before an abort", async () => {
  const { fetch } = new StandIn();
  const { signal } = new AbortController();
  const response = await fetch(`${ORIGIN}/v1/info/`, { signal });
  assertEquals((await response.json()).version, "1.2.0.dev1");
});

Deno.test("stand-in extends the life of a token with each use", async () => {
  const session = await Session.start({ tokenLifetime: 100 });
  const expires = async () => {
    const response = await session.send("GET", "/user/self");
    await response.body?.cancel();
    return Number(response.headers.get("X-Token-Expires"));
  };
  const first = await expires();
  session.clock.advance(99_000);
  assertEquals(await expires(), first + 99);
  session.clock.advance(99_000);
  assertEquals(await expires(), first + 198);
  session.clock.advance(100_000);
  assertEquals(await session.outcome("GET", "/user/self"), [
    401,
    "Unauthorized",
  ]);
});

Deno.test("stand-in extends the life of a token with an error too", async () => {
  const session = await Session.start({ tokenLifetime: 100 });
  session.clock.advance(60_000);
  assertEquals(await session.outcome("POST", "/cluster", {}), [
    400,
    "InvalidJSONError",
  ]);
  session.clock.advance(60_000);
  await session.get("/user/self");
});

Deno.test("StandIn.revokeTokens() revokes the tokens of a user or of everybody", async () => {
  const session = await Session.start();
  const { standIn } = session;
  const second = await session.login("root", "root");
  await session.post("/user", {
    login: "ann",
    email: "ann@example.com",
    full_name: "Ann",
    role_id: null,
  });
  const password = standIn.mails.at(-1)?.password ?? "";
  const ann = await session.login("ann", password);
  standIn.revokeTokens("root");
  for (
    const [token, status] of [[session.token, 401], [second, 401]] as const
  ) {
    session.token = token;
    assertEquals((await session.outcome("GET", "/user/self"))[0], status);
  }
  session.token = ann;
  await session.get("/user/self");
  standIn.revokeTokens();
  assertEquals((await session.outcome("GET", "/user/self"))[0], 401);
});

Deno.test("StandIn.setPassword() replaces a password", async () => {
  const session = await Session.start();
  session.standIn.setPassword("root", "new");
  assertEquals(
    (await session.outcome("POST", "/auth", {
      username: "root",
      password: "root",
    }))[0],
    401,
  );
  await session.login("root", "new");
});

Deno.test("stand-in mails a reset token that works once, for a day", async () => {
  const session = await Session.start();
  const request = async () => {
    await session.post("/password_reset", { login: "root" });
    return session.standIn.mails.at(-1)?.resetToken ?? "";
  };
  const late = await request();
  session.clock.advance(24 * 60 * 60 * 1000);
  assertEquals(await session.outcome("GET", `/password_reset/${late}`), [
    404,
    "NotFound",
  ]);
  session.token = await session.login("root", "root");
  const reset = await request();
  await session.get(`/password_reset/${reset}`);
  await session.post(`/password_reset/${reset}`, { password: "new" });
  assertEquals((await session.outcome("GET", "/user/self"))[0], 401);
  assertEquals(
    await session.outcome("POST", `/password_reset/${reset}`, {
      password: "newer",
    }),
    [404, "NotFound"],
  );
  await session.login("root", "new");
});

Deno.test("stand-in discovers servers that announce themselves", async () => {
  const session = await Session.start({ servers: 0, discoveryDelay: 2000 });
  session.token = session.standIn.discoveryToken;
  const announcement = {
    id: "c9fe8583-3f39-37b8-f651-b93268fa7fb3",
    host: "10.1.2.3",
    username: "ansible",
  };
  const answer = await session.send("POST", "/server", announcement);
  assertEquals(answer.headers.has("X-Token-Expires"), false);
  assertEquals(await answer.json(), {});
  assertEquals((await session.outcome("GET", "/server"))[0], 401);
  session.token = await session.login("root", "root");
  assertEquals(await session.list("/server"), []);
  session.clock.advance(2000);
  const path = `/server/${announcement.id}`;
  const server = await session.get(path);
  assertEquals(server.version, 1);
  assertEquals(server.data.ip, "10.1.2.3");
  const facts = fields(server.data.facts);
  assert(Number(facts.ansible_memtotal_mb) > 0);
  assert(Object.keys(fields(facts.ansible_devices)).length > 1);

  await session.post("/server", announcement);
  session.clock.advance(2000);
  assertEquals((await session.get(path)).version, 1);
  await session.post("/server", { ...announcement, host: "10.1.2.4" });
  session.clock.advance(2000);
  const moved = await session.get(path);
  assertEquals([moved.version, moved.data.ip], [2, "10.1.2.4"]);

  await session.delete(path);
  await session.post("/server", announcement);
  session.clock.advance(2000);
  const back = await session.get(path);
  assertEquals([back.version, back.time_deleted], [4, 0]);
});

Deno.test("stand-in takes some time to discover a server by default", async () => {
  const session = await Session.start({ servers: 0 });
  const id = "c9fe8583-3f39-37b8-f651-b93268fa7fb3";
  const announcement = { id, host: "node1.example.com", username: "ansible" };
  await session.post("/server", announcement);
  const path = `/server/${id}`;
  assertEquals(await session.outcome("GET", path), [404, "NotFound"]);
  session.clock.advance(300);
  assertEquals((await session.get(path)).data.fqdn, "node1.example.com");
});

Deno.test("stand-in has servers without an IPv4 address", async () => {
  const session = await Session.start({ servers: 1 });
  const server = session.standIn.addServer({ ip: null });
  const { data } = await session.get(`/server/${server.id}`);
  assertEquals([data.name, data.ip], ["node-fd00--1", null]);
  assertEquals(fields(data.facts).ansible_all_ipv4_addresses, []);
});

Deno.test("stand-in refuses all but the first of many edits of one version", async () => {
  const session = await Session.start();
  const cluster = await session.post("/cluster", { name: "one" });
  const outcomes = await Promise.all(
    ["two", "three", "four"].map((name) =>
      session.outcome("PUT", `/cluster/${cluster.id}`, {
        ...cluster,
        data: { name },
      })
    ),
  );
  assertEquals(outcomes.toSorted(), [
    [200, ""],
    [400, "CannotUpdateManagedFieldsError"],
    [400, "CannotUpdateManagedFieldsError"],
  ]);
  assertEquals((await session.get(`/cluster/${cluster.id}`)).version, 2);
});

Deno.test("stand-in lets edits of one version overlap if inserts take time", async () => {
  const session = await Session.start({ insertDuration: 3 });
  const cluster = await session.post("/cluster", { name: "one" });
  const path = `/cluster/${cluster.id}`;
  const edit = (name: string) =>
    session.outcome("PUT", path, { ...cluster, data: { name } });
  const overlapping = await Promise.all(["two", "three", "four"].map(edit));
  assertEquals(overlapping.toSorted(), [
    [200, ""],
    [400, "CannotUpdateModelWithSuchParameters"],
    [400, "CannotUpdateModelWithSuchParameters"],
  ]);
  assertEquals((await session.get(path)).version, 2);
  assertEquals(await edit("late"), [400, "CannotUpdateManagedFieldsError"]);
});

Deno.test("stand-in frees the name of a cluster that is deleted or renamed", async () => {
  const session = await Session.start();
  const taken = [400, "ImpossibleToCreateSuchModel"] as const;
  const first = await session.post("/cluster", { name: "one" });
  assertEquals(await session.outcome("POST", "/cluster", { name: "one" }), [
    ...taken,
  ]);
  const path = `/cluster/${first.id}`;
  const renamed = await session.put(path, { ...first, data: { name: "two" } });
  const second = await session.post("/cluster", { name: "one" });
  assertEquals(
    await session.outcome("PUT", path, { ...renamed, data: { name: "one" } }),
    [400, "CannotUpdateModelWithSuchParameters"],
  );
  await session.delete(`/cluster/${second.id}`);
  await session.put(path, { ...renamed, data: { name: "one" } });
  assertEquals(await session.outcome("POST", "/cluster", { name: "one" }), [
    ...taken,
  ]);
});

Deno.test("stand-in lists deleted models and old versions", async () => {
  const session = await Session.start();
  const first = await session.post("/cluster", { name: "one" });
  await session.put(`/cluster/${first.id}`, {
    ...first,
    data: { name: "two" },
  });
  const doomed = await session.post("/cluster", { name: "doomed" });
  await session.delete(`/cluster/${doomed.id}`);
  const names = async (filter: Json) =>
    (await session.list("/cluster", { filter: JSON.stringify(filter) }))
      .map(({ data, version }) => [data.name ?? null, version ?? null]);
  assertEquals(await names({ time_deleted: { ne: 0 } }), [["doomed", 2]]);
  assertEquals(await names({ is_latest: false }), [["doomed", 1], ["one", 1]]);
  assertEquals(await names({ is_latest: true }), [["two", 2]]);
});

Deno.test("stand-in orders models by the creation of their versions", async () => {
  const session = await Session.start();
  const first = await session.post("/cluster", { name: "c" });
  await session.post("/cluster", { name: "a" });
  await session.post("/cluster", { name: "b" });
  const names = async () =>
    (await session.list("/cluster", { sort_by: '{"_id":1}' }))
      .map(({ data }) => data.name ?? null);
  assertEquals(await names(), ["c", "a", "b"]);
  await session.put(`/cluster/${first.id}`, { ...first, data: { name: "d" } });
  assertEquals(await names(), ["a", "b", "d"]);
});

Deno.test("stand-in pages 5,000 models without a gap while others come and go", async () => {
  const session = await Session.start();
  session.standIn.seedClusters(5000);
  const sort_by = '{"model_id":1}';
  const seen: Json[] = [];
  for (let page = 1; page <= 50; page++) {
    const items = await session.list("/cluster", {
      sort_by,
      per_page: "100",
      page: String(page),
    });
    seen.push(...items.map(({ id }) => id ?? null));
  }
  assertEquals(seen.length, 5000);
  assertEquals(seen, seen.toSorted());
  assertEquals(new Set(seen).size, 5000);
  // Paging by key, with changes in between.
  let last = "";
  const found = new Set<Json>();
  for (let round = 0;; round++) {
    const items = await session.list("/cluster", {
      sort_by,
      per_page: "500",
      ...(last ? { filter: JSON.stringify({ model_id: { gt: last } }) } : {}),
    });
    if (items.length === 0) break;
    for (const { id } of items) found.add(id ?? null);
    last = String(items.at(-1)?.id);
    await session.delete(`/cluster/${items[0]?.id}`);
    await session.post("/cluster", { name: `new${round}` });
  }
  assertEquals(seen.filter((id) => !found.has(id)), []);
});

Deno.test("stand-in creates the same ids from the same seed", () => {
  const ids = () =>
    new StandIn({ seed: 3 }).seedClusters(3).map(({ id }) => id);
  assertEquals(ids(), ids());
});

Deno.test("stand-in behind nginx", async (t) => {
  const session = await Session.start({ behindNginx: true });
  await t.step(
    "an answer over 1 KB is compressed for who can read it",
    async () => {
      const gzip = { "Accept-Encoding": "gzip, deflate" };
      const plain = await session.send("GET", "/playbook");
      const text = await plain.text();
      assertEquals(plain.headers.get("Content-Encoding"), null);
      const packed = await session.send("GET", "/playbook", undefined, gzip);
      assertEquals(packed.headers.get("Content-Encoding"), "gzip");
      assert(packed.body);
      const unpacked = packed.body.pipeThrough(new DecompressionStream("gzip"));
      assertEquals(await new Response(unpacked).text(), text);
      const short = await session.send("GET", "/info", undefined, gzip);
      assertEquals(short.headers.get("Content-Encoding"), null);
      await short.body?.cancel();
      const refused = await session.send("GET", "/playbook", undefined, {
        "Accept-Encoding": "gzip;q=0",
      });
      assertEquals(refused.headers.get("Content-Encoding"), null);
      await refused.body?.cancel();
    },
  );
  await t.step("a body over 1 MB is refused in HTML", async () => {
    const name = "x".repeat(1024 * 1024);
    const response = await session.send("POST", "/cluster", { name });
    assertEquals(response.status, 413);
    assertEquals(
      response.headers.get("Content-Type"),
      "text/html; charset=utf-8",
    );
    await response.body?.cancel();
  });
  await t.step("a path outside /v1 is the web interface", async () => {
    for (const path of ["/", "/v2/cluster/", "/decapod/v1/info/"]) {
      const response = await session.standIn.fetch(ORIGIN + path);
      assertEquals(response.status, 200);
      assert((await response.text()).startsWith("<!doctype html>"));
    }
    assertEquals((await session.outcome("GET", "/nosuch"))[0], 404);
  });
  await t.step("a line over 4 KB is refused in HTML", async () => {
    const status = async (path: string, headers?: Record<string, string>) => {
      const response = await session.send("GET", path, undefined, headers);
      await response.body?.cancel();
      return response.status;
    };
    const line = (length: number) => {
      const start = "/info/?q=";
      const rest = "GET /v1 HTTP/1.1\r\n".length + start.length;
      return start + "x".repeat(length - rest);
    };
    assertEquals(await status(line(4096)), 200);
    assertEquals(await status(line(4097)), 414);
    const field = (length: number) => ({
      "X-Long": "x".repeat(length - "X-Long: \r\n".length),
    });
    assertEquals(await status("/info/", field(4096)), 200);
    assertEquals(await status("/info/", field(4097)), 400);
  });
  await t.step("a body of an ordinary size goes through", async () => {
    await session.post("/cluster", { name: "through" });
  });
});

Deno.test("stand-in sends text beyond ASCII in chunks", async () => {
  const session = await Session.start();
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    session.standIn.handler,
  );
  const url = `http://127.0.0.1:${server.addr.port}/v1/role/`;
  const headers = { Authorization: session.token };
  const send = async (name: string) => {
    const body = JSON.stringify({ name, permissions: [] });
    const response = await fetch(url, { method: "POST", headers, body });
    assertEquals((await response.json()).data.name, name);
    return response.headers.get("Content-Length") !== null;
  };
  assertEquals(await send("plain"), true);
  assertEquals(await send("Роль ☃"), false);
  const head = await fetch(url, { method: "HEAD", headers });
  assertEquals([head.status, await head.text()], [200, ""]);
});

Deno.test("StandIn.seedUsers() sends no mails", async () => {
  const session = await Session.start();
  session.standIn.seedUsers(30);
  assertEquals((await session.list("/user", { all: "1" })).length, 31);
  assertEquals(session.standIn.mails, []);
});

Deno.test("StandIn methods throw for an unknown login", () => {
  const { standIn } = new Session();
  for (
    const open of [
      () => standIn.revokeTokens("nobody"),
      () => standIn.setPassword("nobody", "x"),
    ]
  ) {
    assertThrows(open, RangeError, '"nobody"');
  }
});
