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

/** What a listing is filtered by: a field, and another condition. */
interface Target {
  list: (client: V1Client, pattern: string, other: object) => Listing<Item>;
  path: string;
  field: string;
  other: object;
}

/** A stand-in with one or several models of each kind, and their listings. */
async function seeded(): Promise<
  { standIn: StandIn; targets: Record<string, Target> }
> {
  const clock = new TestClock();
  const standIn = new StandIn({ now: clock.now, seed: 7 });
  standIn.seedUsers(5);
  standIn.seedClusters(3);
  const execution = String(standIn.seedExecution({ servers: 2, steps: 8 }).id);
  clock.advance(100_000);
  await clientOf(standIn).createRole("observer", []);
  const options = (
    field: string,
    regexp: string,
    other: object,
  ): ListOptions<ServerFields> => ({
    perPage: 3,
    filter: { [field]: { regexp }, ...other },
  });
  const targets: Record<string, Target> = {
    users: {
      list: (client, ...how) => client.getUsers(options("login", ...how)),
      path: "user",
      field: "login",
      other: { version: { gte: 1 } },
    },
    "users by id": {
      list: (client, ...how) => client.getUsers(options("model_id", ...how)),
      path: "user",
      field: "model_id",
      other: { login: { ne: "root" } },
    },
    roles: {
      list: (client, ...how) => client.getRoles(options("name", ...how)),
      path: "role",
      field: "name",
      other: { version: 1 },
    },
    clusters: {
      list: (client, ...how) => client.getClusters(options("name", ...how)),
      path: "cluster",
      field: "name",
      other: { version: 1 },
    },
    servers: {
      list: (client, ...how) => client.getServers(options("name", ...how)),
      path: "server",
      field: "name",
      other: { state: "operational" },
    },
    "playbook configurations": {
      list: (client, ...how) =>
        client.getPlaybookConfigurations(options("name", ...how)),
      path: "playbook_configuration",
      field: "name",
      other: { version: 1 },
    },
    executions: {
      list: (client, ...how) => client.getExecutions(options("state", ...how)),
      path: "execution",
      field: "state",
      other: { version: { gte: 1 } },
    },
    steps: {
      list: (client, ...how) =>
        client.getExecutionSteps(execution, options("name", ...how)),
      path: `execution/${execution}/steps`,
      field: "name",
      other: { result: { in: [1, 2] } },
    },
  };
  return { standIn, targets };
}

/** The ids that the server itself returns for a filter. */
async function rawIds(
  standIn: StandIn,
  token: string,
  { path, field, other }: Target,
  pattern: string,
  withOther: boolean,
): Promise<string[]> {
  const filter = {
    [field]: { regexp: pattern },
    ...withOther ? other : {},
  };
  const query = new URLSearchParams({
    all: "1",
    filter: JSON.stringify(filter),
  });
  const response = await standIn.fetch(`http://decapod/v1/${path}/?${query}`, {
    headers: { authorization: token },
  });
  const { items }: Page<Item> = await response.json();
  return items.map(({ id }) => id).sort();
}

/** The patterns for a kind of model: all for three kinds, some for others. */
function some(patterns: readonly string[], kind: string): readonly string[] {
  const all = ["users", "users by id", "steps"].includes(kind);
  return all ? patterns : patterns.filter((_, index) => index % 10 === 0);
}

const KINDS = Object.keys((await seeded()).targets);

for (const kind of KINDS) {
  Deno.test(`Listing rejects patterns that Python does not compile: ${kind}`, async () => {
    const { standIn, targets } = await seeded();
    const target = targets[kind];
    assert(target);
    const client = clientOf(standIn);
    const { id: token } = await client.login();
    for (const pattern of some(REFUSED, kind)) {
      for (const other of [{}, target.other]) {
        const listing = () => target.list(client, pattern, other);
        const iterated: Item[] = [];
        const uses: (() => Promise<unknown>)[] = [
          async () => await listing(),
          async () => {
            for await (const item of listing()) iterated.push(item);
          },
          () => listing().pages().next(),
          () => listing().toArray(),
        ];
        for (const use of uses) {
          await assertRejects(
            use,
            TypeError,
            `Invalid filter.${target.field}.regexp: must be a regular expression in Python's syntax`,
            pattern,
          );
        }
        assertEquals(iterated, [], pattern);
      }
      const everything = await rawIds(standIn, token, target, pattern, true);
      assert(everything.length > 0, "the server ignores the whole filter");
    }
  });

  Deno.test(`Listing passes on patterns that Python compiles: ${kind}`, async () => {
    const { standIn, targets } = await seeded();
    const target = targets[kind];
    assert(target);
    const client = clientOf(standIn);
    const { id: token } = await client.login();
    let found = 0;
    for (const pattern of some(COMPILED, kind)) {
      for (const withOther of [false, true]) {
        const listing = () =>
          target.list(client, pattern, withOther ? target.other : {});
        const ids = await rawIds(standIn, token, target, pattern, withOther);
        const page = await listing();
        assertEquals(page.total, ids.length, pattern);
        const iterated = await Array.fromAsync(listing());
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

Deno.test("Listing verifies a pattern once per client, and anew after a failure", async () => {
  let failing = true;
  await using server = new StandInServer(
    {},
    ({ query }) =>
      failing && query.filter?.includes("no_such_field")
        ? apiError(500, "InternalServerError", "crash")
        : undefined,
  );
  server.standIn.seedUsers(9);
  const filter = { login: { regexp: "^user" } };
  const probes = () =>
    server.exchanges.filter(({ query }) =>
      query.filter?.includes("no_such_field")
    );
  {
    await using client = server.client({ retries: 0 });
    const listing = client.getUsers({ filter, perPage: 2 });
    await assertRejects(async () => await listing, DecapodError, "500");
    failing = false;
    assertEquals((await listing).total, 9);
    assertEquals((await listing.toArray()).length, 9);
    await client.getUsers({ filter: { ...filter, version: 1 } });
    assertEquals(probes().length, 2);
    assertEquals(probes().map(({ query }) => query.per_page), ["1", "1"]);
    await client.getRoles({ filter: { name: { regexp: "^user" } } });
    assertEquals(probes().length, 3);
  }
  await using other = server.client();
  await other.getUsers({ filter });
  assertEquals(probes().length, 4);
  await other.getUsers({ filter: { login: "root" } });
  assertEquals(probes().length, 4);
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
  assertEquals(probes, 1001);
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

Deno.test("Listing verifies a pattern for each kind of model", async () => {
  const probed: string[] = [];
  const client = clientOf(new StandIn(), ({ pathname, searchParams }) => {
    const filter = searchParams.get("filter") ?? "";
    if (filter.includes("no_such_field")) probed.push(pathname);
  });
  await client.createCluster("ceph");
  const filter = { name: { regexp: "." } };
  for (let round = 0; round < 2; round++) {
    assert((await client.getRoles({ filter })).total > 0);
    assert((await client.getClusters({ filter })).total > 0);
  }
  assertEquals(probed, ["/v1/role/", "/v1/cluster/"]);
});
