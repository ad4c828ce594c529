/** Promises of SECURITY.md that no other test covers. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { DecapodAPIError, DecapodResponseError } from "../mod.ts";
import { OPERATIONS } from "./operations.ts";
import { read } from "./support/markdown.ts";
import { replace } from "./support/patch.ts";
import { http, RawServer } from "./support/raw.ts";
import { assertNoSecrets } from "./support/secrets.ts";
import {
  json,
  makeClient,
  StandInServer,
  TestServer,
} from "./support/server.ts";
import { LOGGED_IN, stubClient, typed } from "./support/stub.ts";
import { openWorld } from "./support/world.ts";

const escape = (text = "") => text.replace(/[.*+?^${}()|[\]]/g, "\\$&");

Deno.test("SECURITY.md: names tests that exist", async () => {
  const page = (await read("SECURITY.md")).replace(/\n {2}/g, " ");
  const [, promised = ""] = /## Promises\n([^]*?)\n## /.exec(page) ?? [];
  const promises = promised.match(/^- .*$/gm) ?? [];
  assert(promises.length > 10);
  for (const promise of promises) {
    const named = [...promise.matchAll(/`([\w./]+_test\.ts)`: "([^"]+)"/g)];
    assert(named.length > 0, promise);
    for (const [, file = "", name] of named) {
      const source = (await read(file)).replace(/\(\s+/g, "(");
      // Some tests need a tool, which is their first argument.
      const call = RegExp(`[tT]est(?:All|With)?\\([^"]*"${escape(name)}"`);
      assert(call.test(source), `${file}: no "${name}"`);
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
  const answer = () => json({ id: "token" }, { status, headers });
  await using server = new TestServer(answer);
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
    await peer.send(http("401 No", "{}", { connection: "close" }));
  });
  const client = server.client({ login: evil, password: evil, retries: 0 });
  const session = server.client(LOGGED_IN);
  const calls: (() => PromiseLike<unknown>)[] = [
    () => client.login(),
    () => client.peekPasswordReset(evil),
    () => client.resetPassword(evil, evil),
    () => client.requestPasswordReset(evil),
    () => session.getUser(evil.replaceAll("/", "")),
    () => session.getUsers({ filter: { login: evil }, perPage: 5 }),
    () => session.getCinderIntegration("a", { root: evil }),
  ];
  for (const call of calls) await assertRejects(async () => await call());
  assertEquals(seen.length, calls.length);
  for (const text of seen) {
    const [head = "", body = ""] = text.split("\r\n\r\n");
    assert(!/^X-Evil/im.test(head), head);
    assertEquals(text.match(/HTTP\/1\.1\r\n/g)?.length, 1);
    assert(!body.includes("\n"));
  }
});

Deno.test("getClusters() and DecapodAPIError treat JSON keys such as constructor as data", async () => {
  const proto = '"__proto__": {"polluted": 1}';
  const evil = `{${proto}, "constructor": {"prototype": {"polluted": 1}}}`;
  const model = `{"id": "a", "model": "cluster", "version": 1,
    "initiator_id": null, "time_updated": 0, "time_deleted": 0,
    "data": ${evil}, ${proto}}`;
  const page = `{"items": [${model}], "page": 1, "per_page": 25, "total": 1,
    ${proto}}`;
  const responses: [RegExp, number, string][] = [
    [/\/auth\//, 200, `{"id": "token", ${proto}}`],
    [/\/cluster\/(?:\?|$)/, 200, page],
    [/\/cluster\/a\//, 200, model],
    [/\/info\//, 500, `{"error": ${evil}, "message": ${evil}, ${proto}}`],
    [/\/role\//, 400, evil],
  ];
  let sent = "";
  const client = stubClient((url, { body }) => {
    sent += body ?? "";
    const [, status, text] = responses.find(([path]) => path.test(url)) ?? [];
    return typed("application/json", text ?? "", { status });
  }, { headers: {}, retries: 0 });
  const { items: [cluster] } = await client.getClusters();
  assert(cluster);
  assertEquals(Object.getPrototypeOf(cluster), Object.prototype);
  assert(!("polluted" in cluster));
  await client.getClusters().toArray();
  await client.updateCluster(cluster);
  await client.editCluster("a", (data) => ({ ...data, name: "b" }));
  for (const call of [() => client.getInfo(), () => client.getRole("a")]) {
    const error = await assertRejects(call, DecapodAPIError);
    assert(!("polluted" in error));
    assert(!Object.hasOwn(JSON.parse(JSON.stringify(error)), "polluted"));
  }
  assertStringIncludes(sent, '"__proto__":{"polluted":1}'); // as it was read
  assert(!("polluted" in {}));
});

Deno.test("Client writes nothing to the console", async () => {
  const written: unknown[] = [];
  const names = ["debug", "log", "info", "warn", "error", "trace"] as const;
  using patches = new DisposableStack();
  const write = (...args: unknown[]) => void written.push(args);
  for (const name of names) patches.use(replace(console, name, write));
  for (const operation of OPERATIONS) {
    if (operation.waits) continue;
    const world = await openWorld();
    for (const status of [200, 401, 500]) {
      const fetch = status === 200
        ? world.standIn.fetch
        : () => Promise.resolve(new Response("<p>No</p>", { status }));
      const client = makeClient("http://decapod", { retries: 0, fetch });
      await operation.run(client, world).catch(() => {});
    }
  }
  assertEquals(written, []);
});

Deno.test("login() rejects an extremely long token without showing it", async () => {
  const token = "t0ken".repeat(20_000);
  const sent: string[] = [];
  const client = makeClient("http://decapod", {
    fetch: (url) => {
      sent.push(url);
      return Promise.resolve(Response.json({ id: token }));
    },
  });
  const read = () => client.getUserSelf();
  const error = await assertRejects(read, DecapodResponseError);
  assertEquals(sent, ["http://decapod/v1/auth/"]);
  assertNoSecrets(error, [token.slice(0, 100)]);
});
