/** Promises of SECURITY.md that no other test covers. */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { DecapodResponseError, type JsonValue } from "../mod.ts";
import { json } from "./faults/faults.ts";
import { ALWAYS } from "./faults/rules.ts";
import { FaultServer } from "./faults/server.ts";
import { OPERATIONS } from "./operations.ts";
import { StandIn } from "./standin/mod.ts";
import { replace } from "./support/patch.ts";
import { RawServer } from "./support/raw.ts";
import { assertNoSecrets } from "./support/secrets.ts";
import { makeClient, PASSWORD } from "./support/server.ts";
import { openWorld } from "./support/world.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("SECURITY.md: names tests that exist", async () => {
  const page = await Deno.readTextFile(new URL("SECURITY.md", ROOT));
  const named = [
    ...page.replace(/\s+/g, " ").matchAll(/`([\w./]+_test\.ts)`: "([^"]+)"/g),
  ];
  assert(named.length > 20);
  for (const [, file = "", name = ""] of named) {
    const source = await Deno.readTextFile(new URL(file, ROOT));
    const call = `Deno.test("${name}"`;
    const cut = source.replace(/Deno\.test\(\s+"/g, 'Deno.test("');
    assert(cut.includes(call), `${file} has no test "${name}"`);
  }
  // Each promise has one at least.
  const [, promised = ""] = /## Promises\n([\s\S]*?)\n## /.exec(page) ??
    [];
  const promises = promised.split(/\n(?=- )/).filter((text) =>
    text.startsWith("- ")
  );
  assert(promises.length > 10);
  for (const promise of promises) {
    assert(/_test\.ts`: "/.test(promise.replace(/\s+/g, " ")), promise);
  }
});

Deno.test("Client sends no request to another origin, wherever the server redirects", async () => {
  let strangers = 0;
  await using elsewhere = new FaultServer(() => {
    strangers++;
    return Promise.resolve(new Response("{}"));
  });
  for (const status of [300, 301, 302, 303, 307, 308]) {
    for (const operation of OPERATIONS) {
      if (operation.waits) continue; // they would wait for it to pass
      const world = await openWorld();
      await using server = new FaultServer(world.standIn.handler);
      const client = makeClient(server.url);
      const logsIn = operation.name === "login";
      if (!logsIn) await client.login();
      server.inject({
        fault: {
          name: "pointing elsewhere",
          answer: () =>
            json({}, status, [
              ["location", `${elsewhere.url}/v1/`],
              ["refresh", `0; url=${elsewhere.url}`],
              ["alt-svc", `h2="127.0.0.1:${new URL(elsewhere.url).port}"`],
              ["link", `<${elsewhere.url}>; rel=preload`],
            ]),
        },
        operation: () => true,
        skip: 0,
        count: ALWAYS,
        inBody: false,
      });
      const error = await assertRejects(
        () => operation.run(client, world),
        DecapodResponseError,
        elsewhere.url,
      );
      assert(error.message.includes("redirect"));
    }
  }
  assertEquals([elsewhere.connections, strangers], [0, 0]);
});

Deno.test("Client sends its token only to its own server", async () => {
  const first = new StandIn({ rootPassword: PASSWORD });
  const second = new StandIn({ rootPassword: PASSWORD });
  await using one = new FaultServer(first.handler);
  await using other = new FaultServer(second.handler);
  const clients = [makeClient(one.url), makeClient(other.url)];
  for (const client of clients) await client.getUserSelf();
  const tokens = ({ received }: FaultServer) =>
    new Set(received.map(({ authorization }) => authorization));
  const shared = tokens(one).intersection(tokens(other));
  assertEquals([...shared], [null]); // the logins
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
