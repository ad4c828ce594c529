/** Tests of filters that the server would ignore, and of long filters. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  DecapodError,
  type Listing,
  type ListOptions,
  type Page,
  type V1Client,
} from "../mod.ts";
import type { ServerFields } from "../models.ts";
import { StandIn, TestClock } from "./standin/mod.ts";
import { COMPILED, REFUSED } from "./standin/patterns.ts";
import { clientOf } from "./support/churn.ts";
import { apiError, StandInServer } from "./support/server.ts";

type Item = { id: string };

/** The id of the first execution of the stand-in. */
const EXECUTION = String(seeded().execution);

/** A method, its path, a field to filter by, and another condition. */
const TARGETS = [
  ["getUsers", "user", "login", { version: { gte: 1 } }],
  ["getUsers", "user", "model_id", { login: { ne: "root" } }],
  ["getRoles", "role", "name", { version: 1 }],
  ["getClusters", "cluster", "name", { version: 1 }],
  ["getServers", "server", "name", { state: "operational" }],
  ["getPlaybookConfigurations", "playbook_configuration", "name", {
    version: 1,
  }],
  ["getExecutions", "execution", "state", { version: { gte: 1 } }],
  ["getExecutionSteps", `execution/${EXECUTION}/steps`, "name", {
    result: { in: [1, 2] },
  }],
] as const;

/** The kinds of listings that are tested with all patterns, not some. */
const THOROUGH = ["getUsers", "getExecutionSteps"];

/** A stand-in with one or several models of each kind. */
function seeded() {
  const clock = new TestClock();
  const standIn = new StandIn({ now: clock.now, seed: 7 });
  standIn.seedUsers(5);
  standIn.seedClusters(3);
  const { id: execution } = standIn.seedExecution({ servers: 2, steps: 8 });
  clock.advance(100_000);
  return { standIn, execution };
}

for (const [method, path, field, other] of TARGETS) {
  const list = (
    client: V1Client,
    options: ListOptions<ServerFields>,
  ): Listing<Item> =>
    method === "getExecutionSteps"
      ? client[method](EXECUTION, options)
      : client[method](options);
  const some = (patterns: readonly string[]) =>
    patterns.filter((_, index) =>
      THOROUGH.includes(method) || index % 10 === 0
    );
  const filters = (regexp: string): ListOptions<ServerFields>["filter"][] => [
    { [field]: { regexp } },
    { [field]: { regexp }, ...other },
  ];
  /** A client, and the ids that the server returns for a filter. */
  const open = async () => {
    const { standIn } = seeded();
    const client = clientOf(standIn);
    await client.createRole("observer", []);
    const { id: authorization } = await client.login();
    const rawIds = async (filter: unknown) => {
      const query = new URLSearchParams({
        all: "1",
        filter: JSON.stringify(filter),
      });
      const url = `http://decapod/v1/${path}/?${query}`;
      const response = await standIn.fetch(url, { headers: { authorization } });
      const { items }: Page<Item> = await response.json();
      return items.map(({ id }) => id).sort();
    };
    return { client, rawIds };
  };

  Deno.test(`Listing rejects patterns that Python does not compile: ${method}() by ${field}`, async () => {
    const { client, rawIds } = await open();
    for (const pattern of some(REFUSED)) {
      for (const filter of filters(pattern)) {
        const listing = list(client, { filter, perPage: 3 });
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
            pattern,
          );
        }
        const ignored = await rawIds(filter);
        assert(ignored.length > 0, "the server ignores the whole filter");
      }
    }
  });

  Deno.test(`Listing passes on patterns that Python compiles: ${method}() by ${field}`, async () => {
    const { client, rawIds } = await open();
    let found = 0;
    for (const pattern of some(COMPILED)) {
      for (const filter of filters(pattern)) {
        const ids = await rawIds(filter);
        const listing = list(client, { filter, perPage: 3 });
        assertEquals((await listing).total, ids.length, pattern);
        const iterated = await listing.toArray();
        assertEquals(iterated.map(({ id }) => id).sort(), ids, pattern);
        found += ids.length;
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
  const standIn = new StandIn({ servers: 0 });
  let probes = 0;
  const client = clientOf(standIn, ({ searchParams }) => {
    if (searchParams.get("filter")?.includes("no_such_field")) probes++;
  });
  const read = async (index: number) =>
    await client.getUsers({
      filter: { login: { regexp: `root|${index}` } },
    });
  for (let index = 0; index < 1001; index++) await read(index);
  await read(1000);
  assertEquals(probes, 1001);
  await read(0);
  assertEquals(probes, 1002);
});

Deno.test("Listing finds the models of many ids in chunks of 50 behind Decapod's nginx", async () => {
  await using server = new StandInServer({ behindNginx: true, servers: 2000 });
  await using client = server.client();
  const all = await client.getServers({ all: true });
  const ids = all.items.map(({ id }) => id);
  assertEquals(ids.length, 2000);
  const found: string[] = [];
  for (let start = 0; start < ids.length; start += 50) {
    const filter = { model_id: { in: ids.slice(start, start + 50) } };
    for await (const { id } of client.getServers({ filter })) found.push(id);
  }
  assertEquals(found.sort(), ids.sort());
});

Deno.test("Listing says that a filter makes the URL too long", async () => {
  await using server = new StandInServer({ behindNginx: true });
  await using client = server.client({ retries: 0 });
  for (const count of [100, 500, 2000]) {
    const ids = Array.from({ length: count }, () => crypto.randomUUID());
    const error = await assertRejects(
      async () =>
        await client.getServers({ filter: { model_id: { in: ids } } }),
      DecapodError,
      "filter by fewer values per request",
    );
    assert(error.message.length <= 500, error.message);
    assert(/the URL has \d{4,} characters/.test(error.message), error.message);
  }
});

Deno.test("Listing verifies a pattern again that it saw on an empty server", async () => {
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
    let isEmpty = true;
    await using server: StandInServer = new StandInServer(
      { servers: 0 },
      ({ path, query }) => {
        const isPage = path === "/v1/cluster/" &&
          !query.filter?.includes("no_such_field");
        if (isPage && isEmpty) server.standIn.seedClusters(1);
        isEmpty &&= !isPage;
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
