/** Promises of SECURITY.md that no other test covers. */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { DecapodResponseError, type JsonValue } from "../mod.ts";
import { OPERATIONS } from "./operations.ts";
import { read } from "./support/markdown.ts";
import { replace } from "./support/patch.ts";
import { RawServer } from "./support/raw.ts";
import { assertNoSecrets } from "./support/secrets.ts";
import {
  json,
  makeClient,
  StandInServer,
  TestServer,
} from "./support/server.ts";
import { openWorld } from "./support/world.ts";

Deno.test("SECURITY.md: names tests that exist", async () => {
  const page = (await read("SECURITY.md")).replace(/\n {2}/g, " ");
  const [, promised = ""] = /## Promises\n([^]*?)\n## /.exec(page) ?? [];
  const promises = promised.match(/^- .*$/gm) ?? [];
  assert(promises.length > 10);
  for (const promise of promises) {
    const named = [...promise.matchAll(/`([\w./]+_test\.ts)`: "([^"]+)"/g)];
    assert(named.length > 0, promise);
    for (const [, file = "", name] of named) {
      const source = (await read(file)).replace(
        /Deno\.test\(\s+"/g,
        'Deno.test("',
      );
      assert(source.includes(`Deno.test("${name}"`), `${file}: no "${name}"`);
    }
  }
});

Deno.test("Client sends no request to another origin, wherever the server redirects", async () => {
  await using elsewhere = new RawServer(() => Promise.resolve());
  const headers = {
    location: `${elsewhere.url}/v1/`,
    refresh: `0; url=${elsewhere.url}`,
    "alt-svc": `h2="${new URL(elsewhere.url).host}"`,
    link: `<${elsewhere.url}>; rel=preload`,
  };
  const world = await openWorld();
  let status = 200;
  await using server = new TestServer(() =>
    json({ id: "token" }, { status, headers })
  );
  for (const operation of OPERATIONS) {
    if (operation.waits) continue; // they would wait for it to pass
    for (const redirect of [300, 301, 302, 303, 307, 308]) {
      const client = server.client();
      status = 200;
      if (operation.name !== "login") await client.login();
      status = redirect;
      await assertRejects(
        () => operation.run(client, world),
        DecapodResponseError,
        `redirect to ${elsewhere.url}`,
      );
    }
  }
  assertEquals(elsewhere.connections, 0);
});

Deno.test("Client sends its token only to its own server", async () => {
  await using one = new StandInServer();
  await using other = new StandInServer({ seed: 8 });
  for (const client of [one.client(), other.client()]) {
    await client.getUserSelf();
  }
  const sent = ({ exchanges }: TestServer) =>
    exchanges.map(({ headers }) => headers.get("authorization"));
  assertEquals(sent(one), [null, one.token]);
  assertEquals(sent(other), [null, other.token]);
  assert(one.token !== other.token);
});

Deno.test("login(), getUser() and others encode values so that none becomes a header", async () => {
  const evil = "a\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1\r\n";
  const seen: string[] = [];
  await using server = new RawServer(async (peer) => {
    seen.push(await peer.request());
    await peer.send(
      "HTTP/1.1 401 No\r\ncontent-length: 2\r\nconnection: close\r\n",
      "content-type: application/json\r\n\r\n{}",
    );
  });
  const client = server.client({ login: evil, password: evil, retries: 0 });
  await assertRejects(() => client.login());
  await assertRejects(() => client.peekPasswordReset(evil));
  await assertRejects(() => client.resetPassword(evil, evil));
  await assertRejects(() => client.requestPasswordReset(evil));
  const session = server.client({ headers: { authorization: "token" } });
  await assertRejects(() => session.getUser(evil.replaceAll("/", "")));
  await assertRejects(async () =>
    await session.getUsers({ filter: { login: evil }, perPage: 5 })
  );
  await assertRejects(() => session.getCinderIntegration("a", { root: evil }));
  assertEquals(seen.length, 7);
  for (const text of seen) {
    const [head = "", body = ""] = text.split("\r\n\r\n");
    assert(!/^X-Evil/im.test(head), head);
    assertEquals(text.match(/HTTP\/1\.1\r\n/g)?.length, 1);
    assert(!body.includes("\n"));
  }
});

Deno.test("getClusters() and errors treat keys of JSON such as constructor as data", async () => {
  const evil =
    '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}';
  const model = (data: string) =>
    `{"id": "a", "model": "cluster", "version": 1, "initiator_id": null,
      "time_updated": 0, "time_deleted": 0, "data": ${data},
      "__proto__": {"polluted": 1}}`;
  const page = `{"items": [${model(evil)}], "page": 1, "per_page": 25,
    "total": 1, "__proto__": {"polluted": 1}}`;
  const sent: JsonValue[] = [];
  const bodies: [RegExp, number, string][] = [
    [/\/auth\//, 200, `{"id": "token", "__proto__": {"polluted": 1}}`],
    [/\/cluster\/(?:\?|$)/, 200, page],
    [/\/cluster\/a\//, 200, model(evil)],
    [/\/info\//, 500, `{"error": ${evil}, "message": ${evil}, "__proto__": 1}`],
    [/\/role\//, 400, evil],
  ];
  const client = makeClient("http://decapod", {
    retries: 0,
    fetch: (url, { body }) => {
      if (typeof body === "string") sent.push(JSON.parse(body));
      const [, status, text] = bodies.find(([path]) => path.test(url)) ??
        [0, 404, "{}"];
      const headers = { "content-type": "application/json" };
      return Promise.resolve(new Response(text, { status, headers }));
    },
  });
  const { items: [cluster] } = await client.getClusters();
  assert(cluster);
  assertEquals(Object.getPrototypeOf(cluster), Object.prototype);
  assert(!("polluted" in cluster));
  await client.getClusters().toArray();
  await client.updateCluster(cluster);
  await client.editCluster("a", (data) => ({ ...data, name: "b" }));
  const errors = await Promise.all([
    client.getInfo().catch((error: unknown) => error),
    client.getRole("a").catch((error: unknown) => error),
  ]);
  for (const error of errors) {
    assertInstanceOf(error, Error);
    assert(!("polluted" in error));
    assert(!Object.hasOwn(JSON.parse(JSON.stringify(error)), "polluted"));
  }
  // The key is written back as it was read.
  assert(
    sent.some((body) => JSON.stringify(body).includes('"__proto__":{"po')),
  );
  assert(!("polluted" in {}));
  assertEquals(Object.hasOwn(Object.prototype, "polluted"), false);
});

Deno.test("Client writes nothing to the console", async () => {
  const written: unknown[] = [];
  const names = ["debug", "log", "info", "warn", "error", "trace"] as const;
  using patches = new DisposableStack();
  for (const name of names) {
    patches.use(
      replace(console, name, (...args: unknown[]) => void written.push(args)),
    );
  }
  for (const operation of OPERATIONS) {
    if (operation.waits) continue;
    const world = await openWorld();
    for (const status of [200, 401, 500]) {
      const client = makeClient("http://decapod", {
        retries: 0,
        fetch: (url, init) =>
          status === 200
            ? world.standIn.fetch(url, init)
            : Promise.resolve(new Response("<p>No</p>", { status })),
      });
      await operation.run(client, world).catch(() => {});
    }
  }
  assertEquals(written, []);
});

Deno.test("login() rejects an extremely long token without showing it", async () => {
  const token = "t0ken".repeat(20_000);
  const sent: (string | null)[] = [];
  const client = makeClient("http://decapod", {
    fetch: (_, { headers }) => {
      sent.push(new Headers(headers).get("authorization"));
      return Promise.resolve(Response.json({ id: token }));
    },
  });
  const error = await assertRejects(
    () => client.getUserSelf(),
    DecapodResponseError,
  );
  assertEquals(sent, [null]);
  assertNoSecrets(error, [token.slice(0, 100)]);
});
