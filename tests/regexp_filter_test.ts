/** Tests of filters that the server would ignore, and of long filters. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Client,
  DecapodError,
  type Listing,
  type ListOptions,
  type Page,
} from "../mod.ts";
import type { ServerFields } from "../models.ts";
import { StandIn, TestClock } from "./standin/mod.ts";
import { COMPILED, REFUSED } from "./standin/patterns.ts";
import { clientOf } from "./support/churn.ts";
import { apiError, StandInServer } from "./support/server.ts";

type Item = { id: string };

const FIRST = { version: 1 };

/** A method, its path, a field to filter by, and another condition. */
const TARGETS = [
  ["getUsers", "user", "login", { version: { gte: 1 } }],
  ["getUsers", "user", "model_id", { login: { ne: "root" } }],
  ["getRoles", "role", "name", FIRST],
  ["getClusters", "cluster", "name", FIRST],
  ["getServers", "server", "name", { state: "operational" }],
  ["getPlaybookConfigurations", "playbook_configuration", "name", FIRST],
  ["getExecutions", "execution", "state", { version: { gte: 1 } }],
  ["getExecutionSteps", "execution/{id}/steps", "name", { result: 1 }],
] as const;

for (const [position, target] of TARGETS.entries()) {
  const [method, path, field, other] = target;
  Deno.test(`Listing rejects patterns that Python does not compile, no others: ${method}() by ${field}`, async () => {
    const clock = new TestClock();
    const standIn = new StandIn({ now: clock.now });
    standIn.seedUsers(5);
    standIn.seedClusters(3);
    const execution = String(
      standIn.seedExecution({ servers: 2, steps: 8 }).id,
    );
    clock.advance(100_000);
    const client = clientOf(standIn);
    await client.createRole("observer", []);
    const list = (options: ListOptions<ServerFields>): Listing<Item> =>
      method === "getExecutionSteps"
        ? client[method](execution, options)
        : client[method](options);
    const idsOf = (items: readonly Item[]) => items.map(({ id }) => id).sort();
    const endpoint = `${path.replace("{id}", execution)}/`;
    // Each pattern with one of the targets.
    const patterns = [...REFUSED, ...COMPILED].filter((_, index) =>
      index % TARGETS.length === position
    );
    let found = 0;
    for (const regexp of patterns) {
      const condition = { [field]: { regexp } };
      for (const filter of [condition, { ...condition, ...other }]) {
        const query = { all: 1, filter: JSON.stringify(filter) };
        const raw = await client.request<Page<Item>>("GET", endpoint, {
          query,
        });
        const listing = list({ filter, perPage: 3 });
        if (COMPILED.includes(regexp)) {
          assertEquals((await listing).total, raw.total, regexp);
          const items = await listing.toArray();
          assertEquals(idsOf(items), idsOf(raw.items), regexp);
          found += items.length;
          continue;
        }
        assert(raw.total > 0, "the server ignores the whole filter");
        const uses: (() => Promise<unknown>)[] = [
          async () => await listing,
          () => listing[Symbol.asyncIterator]().next(),
          () => listing.pages().next(),
          () => listing.toArray(),
        ];
        for (const use of uses) {
          await assertRejects(
            use,
            TypeError,
            `Invalid filter.${field}.regexp: must be a regular expression in Python's syntax`,
            regexp,
          );
        }
      }
    }
    assert(found > 0);
  });
}

Deno.test("Listing names every regexp of a filter that the server ignores", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const filter = { login: { regexp: "(" }, email: { regexp: "a" } };
  await assertRejects(
    async () => await client.getUsers({ filter }),
    TypeError,
    "Invalid filter.login.regexp or filter.email.regexp: ",
  );
});

Deno.test("Listing verifies a pattern once for each client and kind of model, and anew after a failure", async () => {
  let failing = true;
  const probes: string[] = [];
  await using server = new StandInServer({}, ({ path, query }) => {
    if (!query.filter?.includes("no_such_field")) return undefined;
    probes.push(`${path} ${query.per_page}`);
    return failing ? apiError(500, "InternalServerError", "crash") : undefined;
  });
  server.standIn.seedUsers(9);
  const filter = { login: { regexp: "^user" } };
  {
    await using client = server.client({ retries: 0 });
    const listing = client.getUsers({ filter, perPage: 2 });
    await assertRejects(async () => await listing, DecapodError, "500");
    failing = false;
    assertEquals((await listing).total, 9);
    assertEquals((await listing.toArray()).length, 9);
    await client.getUsers({ filter: { ...filter, version: 1 } });
    assertEquals(probes, Array(2).fill("/v1/user/ 1"));
    for (let round = 0; round < 2; round++) {
      await client.getRoles({ filter: { name: { regexp: "." } } });
      await client.getServers({ filter: { name: { regexp: "." } } });
    }
    assertEquals(probes.slice(2), ["/v1/role/ 1", "/v1/server/ 1"]);
  }
  await using other = server.client();
  await other.getUsers({ filter });
  await other.getUsers({ filter: { login: "root" } });
  assertEquals(probes.length, 5);
});

Deno.test("Listing forgets verified patterns when there are very many", async () => {
  let probes = 0;
  const client = new Client("http://decapod", {
    ...{ login: "root", password: "root" },
    fetch: (url) => {
      const isProbe = url.includes("no_such_field");
      if (isProbe) probes++;
      const page = { items: [], page: 1, per_page: 1, total: isProbe ? 0 : 1 };
      return Promise.resolve(Response.json({ id: "token", ...page }));
    },
  });
  const read = async (index: number) =>
    await client.getUsers({ filter: { login: { regexp: `${index}` } } });
  for (let index = 0; index < 1001; index++) await read(index);
  await read(1000);
  assertEquals(probes, 1001);
  await read(0);
  assertEquals(probes, 1002);
});

Deno.test("Listing filters by 50 ids behind Decapod's nginx, and says of more that the URL is too long", async () => {
  await using server = new StandInServer({ behindNginx: true, servers: 60 });
  await using client = server.client({ retries: 0 });
  const { items } = await client.getServers({ all: true });
  const ids = items.map(({ id }) => id).slice(0, 50);
  const list = (ids: string[]) =>
    client.getServers({ filter: { model_id: { in: ids } } });
  const found = await list(ids).toArray();
  assertEquals(found.map(({ id }) => id).sort(), ids.sort());
  for (const count of [100, 500, 2000]) {
    const { message } = await assertRejects(
      async () => await list(Array(count).fill(crypto.randomUUID())),
      DecapodError,
      "filter by fewer values per request",
    );
    assert(message.length <= 500, message);
    assert(/the URL has \d{4,} characters/.test(message), message);
  }
});

Deno.test("Listing verifies a regexp again if the server had no models the first time", async () => {
  await using server = new StandInServer({ servers: 0 });
  await using client = server.client();
  const filter = { name: { regexp: "(" } };
  assertEquals(await client.getClusters({ filter }).toArray(), []);
  await client.createCluster("ceph");
  await assertRejects(
    () => client.getClusters({ filter }).toArray(),
    TypeError,
    "Invalid filter.name.regexp",
  );
});

Deno.test("Listing rejects an ignored pattern if the first model is created after the probe", async () => {
  const items: Item[] = [];
  const uses: ((list: () => Listing<Item>) => Promise<void>)[] = [
    async (list) => void items.push(...(await list()).items),
    async (list) => {
      for await (const item of list()) items.push(item);
    },
  ];
  for (const use of uses) {
    let pages = 0;
    await using server: StandInServer = new StandInServer(
      { servers: 0 },
      ({ path, query }) => {
        const isPage = path === "/v1/cluster/" &&
          !query.filter?.includes("no_such_field");
        if (isPage && pages++ === 0) server.standIn.seedClusters(1);
        return undefined;
      },
    );
    await using client = server.client();
    const filter = { name: { regexp: "(" } };
    for (let call = 0; call < 2; call++) {
      await assertRejects(
        () => use(() => client.getClusters({ filter })),
        TypeError,
        "Invalid filter.name.regexp",
      );
      assertEquals(items, []);
    }
  }
});
