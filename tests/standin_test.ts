/** The stand-in server by itself: what the recorded exchanges do not show. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DISCOVERY_TOKEN, StandIn } from "./standin/mod.ts";
import { fields, ORIGIN, Session } from "./standin/session.ts";

const INFO = `${ORIGIN}/v1/info/`;

Deno.test("StandIn.fetch() accepts a string, a URL and a Request, unbound", async () => {
  const { fetch } = new StandIn();
  for (const input of [INFO, new URL(INFO), new Request(INFO)]) {
    const { version } = await (await fetch(input)).json();
    assertEquals(version, "1.2.0.dev1");
  }
});

Deno.test("StandIn.fetch() rejects with the reason of its signal", async () => {
  const { fetch } = new StandIn();
  const reason = new Error("enough");
  const before = { signal: AbortSignal.abort(reason) };
  assertEquals(await assertRejects(() => fetch(INFO, before)), reason);

  const during = new AbortController();
  const waiting = fetch(`${ORIGIN}/v1/auth/`, {
    method: "POST",
    body: new ReadableStream(),
    signal: during.signal,
  });
  during.abort(reason);
  assertEquals(await assertRejects(() => waiting), reason);

  const after = new AbortController();
  const response = await fetch(INFO, { signal: after.signal });
  const read = await fetch(INFO, { signal: after.signal });
  assertEquals((await read.json()).version, "1.2.0.dev1");
  after.abort(reason);
  assertEquals(await assertRejects(() => response.text()), reason);
});

Deno.test("stand-in extends the life of a token with each use, also by an error", async () => {
  const session = await Session.start({ tokenLifetime: 100 });
  const expires = async (method: string, path: string) => {
    const response = await session.send(method, path);
    await response.body?.cancel();
    return Number(response.headers.get("X-Token-Expires"));
  };
  const first = await expires("GET", "/user/self");
  session.clock.advance(99_000);
  assertEquals(await expires("POST", "/cluster"), first + 99);
  session.clock.advance(99_000);
  assertEquals(await expires("GET", "/user/self"), first + 198);
  session.clock.advance(100_000);
  assertEquals((await session.outcome("GET", "/user/self"))[0], 401);
});

Deno.test("StandIn.revokeTokens() revokes the tokens of a user or of everybody", async () => {
  const session = await Session.start();
  const { standIn } = session;
  const login = "user000000";
  standIn.seedUsers(1);
  assertEquals(standIn.mails, []);
  standIn.setPassword(login, "secret");
  const root = await session.login("root", "root");
  const tokens = [session.token, root, await session.login(login, "secret")];
  const statuses = () =>
    Promise.all(tokens.map(async (Authorization) => {
      const init = { headers: { Authorization } };
      const response = await standIn.fetch(`${ORIGIN}/v1/user/self/`, init);
      await response.body?.cancel();
      return response.status;
    }));
  standIn.revokeTokens("root");
  assertEquals(await statuses(), [401, 401, 200]);
  standIn.revokeTokens();
  assertEquals(await statuses(), [401, 401, 401]);
});

Deno.test("stand-in mails a reset token that works for a day, and revokes tokens", async () => {
  const session = await Session.start({ tokenLifetime: 1_000_000 });
  const request = async () => {
    await session.post("/password_reset", { login: "root" });
    return `/password_reset/${session.standIn.mails.at(-1)?.resetToken}`;
  };
  const late = await request();
  session.clock.advance(24 * 60 * 60 * 1000);
  assertEquals((await session.outcome("GET", late))[0], 404);
  await session.post(await request(), { password: "new" });
  assertEquals((await session.outcome("GET", "/user/self"))[0], 401);
  await session.login("root", "new");
});

Deno.test("stand-in discovers a server some time after its announcement", async () => {
  const id = "c9fe8583-3f39-37b8-f651-b93268fa7fb3";
  const announcement = { id, host: "node1.example.com", username: "ansible" };
  for (const discoveryDelay of [undefined, 2000]) {
    const session = await Session.start({
      servers: 0,
      ...(discoveryDelay && { discoveryDelay }),
    });
    session.token = DISCOVERY_TOKEN;
    const response = await session.send("POST", "/server", announcement);
    assertEquals(response.headers.has("X-Token-Expires"), false);
    assertEquals(await response.json(), {});
    session.token = await session.login("root", "root");
    session.clock.advance((discoveryDelay ?? 300) - 1);
    assertEquals(await session.list("/server"), []);
    session.clock.advance(1);
    const { data } = await session.get(`/server/${id}`);
    assertEquals(data.fqdn, announcement.host);
    assert(Number(fields(data.facts).ansible_memtotal_mb) > 0);
    assert(Object.keys(fields(fields(data.facts).ansible_devices)).length > 1);
  }
});

Deno.test("stand-in refuses all but the first of many edits of one version", async () => {
  const session = await Session.start();
  const cluster = await session.post("/cluster", { name: "one" });
  const path = `/cluster/${cluster.id}`;
  const edit = (name: string) =>
    session.outcome("PUT", path, { ...cluster, data: { name } });
  const outcomes = await Promise.all(["two", "three", "four"].map(edit));
  const refused = [400, "CannotUpdateManagedFieldsError"];
  assertEquals(outcomes.sort(), [[200, ""], refused, refused]);
  assertEquals((await session.get(path)).version, 2);
});

Deno.test("stand-in creates the same ids from the same seed", () => {
  const ids = () =>
    new StandIn({ seed: 3 }).seedClusters(3).map(({ id }) => id);
  assertEquals(ids(), ids());
});

Deno.test("stand-in behind nginx compresses responses over 1 KB if accepted", async () => {
  const session = await Session.start({ behindNginx: true });
  const send = (path: string, encoding = "") =>
    session.send("GET", path, undefined, { "Accept-Encoding": encoding });
  const text = await (await send("/playbook")).text();
  const packed = await send("/playbook", "gzip, deflate");
  assertEquals(packed.headers.get("Content-Encoding"), "gzip");
  assert(packed.body);
  const unpacked = packed.body.pipeThrough(new DecompressionStream("gzip"));
  assertEquals(await new Response(unpacked).text(), text);
  const uncompressed: [path: string, encoding?: string][] = [
    ["/playbook"],
    ["/playbook", "gzip;q=0"],
    ["/info", "gzip"],
  ];
  for (const [path, encoding] of uncompressed) {
    const response = await send(path, encoding);
    assertEquals(response.headers.get("Content-Encoding"), null);
    await response.body?.cancel();
  }
});

Deno.test("stand-in behind nginx limits the size of lines and bodies", async () => {
  const session = await Session.start({ behindNginx: true });
  const pad = (start: string, size: number) => start.padEnd(size, "x");
  const line = (size: number) =>
    session.send("GET", pad("/info/?q=", size - "GET /v1 HTTP/1.1\r\n".length));
  const field = (size: number) =>
    session.send("GET", "/info", undefined, {
      "X-Long": pad("", size - "X-Long: \r\n".length),
    });
  const body = (size: number) =>
    session.send("POST", "/auth", pad("", size - '""'.length));
  const html = "text/html; charset=utf-8";
  const table: [send: typeof line, most: number, ok: number, over: number][] = [
    [line, 4096, 200, 414],
    [field, 4096, 200, 400],
    [body, 1024 * 1024, 400, 413],
  ];
  for (const [send, most, ok, over] of table) {
    const within = await send(most);
    assertEquals(within.status, ok);
    await within.json();
    const beyond = await send(most + 1);
    assertEquals(beyond.status, over);
    assertEquals(beyond.headers.get("Content-Type"), html);
    await beyond.body?.cancel();
  }
});

Deno.test("StandIn methods throw for an unknown login", () => {
  const standIn = new StandIn();
  const nobody = '"nobody"';
  assertThrows(() => standIn.revokeTokens("nobody"), RangeError, nobody);
  assertThrows(() => standIn.setPassword("nobody", "x"), RangeError, nobody);
});
