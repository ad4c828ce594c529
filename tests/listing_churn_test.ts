/** Tests of listings while others create, edit and delete models. */

import { assert, assertEquals } from "@std/assert";
import { overlappingPager } from "../internal/overlapping_pager.ts";
import type { ListOptions, User } from "../mod.ts";
import type { UserFields } from "../models.ts";
import { StandIn, TestClock } from "./standin/mod.ts";
import { clientOf, RandomChanges } from "./support/churn.ts";

/** A listing that is read while models change. */
interface Scenario {
  users: number;
  seeds: number;
  options: ListOptions<UserFields>;
  /** The maximum number of changes between two pages. */
  maxChanges?: number;
  /** Whether an edit can move an item to another page. */
  editsMove?: boolean;
  /** Whether the filter includes a user. */
  includes?: (user: User) => boolean;
}

const SCENARIOS: Record<string, Scenario> = {
  "default order": { users: 5000, seeds: 12, options: { perPage: 50 } },
  "pages of one item": { users: 60, seeds: 10, options: { perPage: 1 } },
  "default page size": { users: 400, seeds: 10, options: {} },
  "a filter model_id.gt": {
    users: 400,
    seeds: 10,
    options: { perPage: 7, filter: { model_id: { gt: "4" } } },
    includes: ({ id }) => id > "4",
  },
  "a filter model_id.lt": {
    users: 400,
    seeds: 10,
    options: { perPage: 7, filter: { model_id: { lt: "9", ne: "5" } } },
    includes: ({ id }) => id < "9",
  },
  "a filter model_id.regexp": {
    users: 400,
    seeds: 20,
    options: { perPage: 7, filter: { model_id: { regexp: "^[2-d]" } } },
    includes: ({ id }) => id >= "2" && id < "e",
  },
  "a filter is_latest": {
    users: 400,
    seeds: 10,
    options: { perPage: 7, filter: { is_latest: true } },
  },
  "sorted by a unique field": {
    users: 400,
    seeds: 20,
    options: { perPage: 7, sortBy: { login: -1 } },
    editsMove: true,
  },
  "sorted by a field with many equal values": {
    users: 400,
    seeds: 20,
    options: { perPage: 10, sortBy: { time_created: -1 } },
    editsMove: true,
  },
  "a sorted listing of pages of one item": {
    users: 40,
    seeds: 20,
    options: { perPage: 1, sortBy: { full_name: 1 } },
    maxChanges: 3,
    editsMove: true,
  },
  "a busy server": {
    users: 400,
    seeds: 20,
    options: { perPage: 10, sortBy: { full_name: 1 } },
    maxChanges: 40,
    editsMove: true,
  },
};

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  const { users, seeds, options, maxChanges = 6, editsMove, includes } =
    scenario;
  Deno.test(`Listing yields each item once under churn: ${name}`, async () => {
    let stayed = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const changes = await RandomChanges.start(seed, users);
      const before = [...changes.alive.values()].filter(
        includes ?? (() => true),
      );
      const client = clientOf(changes.standIn, async ({ pathname }) => {
        if (pathname === "/v1/user/") {
          await changes.act(changes.below(maxChanges));
        }
      });
      const ids: string[] = [];
      for await (const { id } of client.getUsers(options)) ids.push(id);

      assertEquals(new Set(ids).size, ids.length, `twice, seed ${seed}`);
      const missing = before.filter(({ id }) =>
        changes.alive.has(id) && !(editsMove && changes.edited.has(id)) &&
        !ids.includes(id)
      );
      assertEquals(missing, [], `missed, seed ${seed}`);
      assert(changes.created.size > 0 && changes.edited.size > 0);
      assert(changes.alive.size < users + changes.created.size);
      stayed += before.length;
    }
    assert(stayed > seeds);
  });
}

Deno.test("Listing yields each old version once while versions are created", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const changes = await RandomChanges.start(seed, 60);
    await changes.versions(200);
    const quiet = clientOf(changes.standIn);
    const list = { filter: { is_latest: false }, perPage: 9 };
    const name = ({ id, version }: User) => `${id}/${version}`;
    const before = (await quiet.getUsers({ ...list, all: true })).items
      .map(name);
    assertEquals(before.length, 200);
    const client = clientOf(changes.standIn, async ({ pathname }) => {
      if (pathname === "/v1/user/") await changes.act(changes.below(6));
    });
    const found = (await client.getUsers(list).toArray()).map(name);
    assertEquals(new Set(found).size, found.length);
    assertEquals(new Set(before).difference(new Set(found)).size, 0);
  }
});

Deno.test("getClusterVersions() yields each version once, newest first, while versions are created", async () => {
  const standIn = new StandIn({ servers: 0 });
  const quiet = clientOf(standIn);
  const { id } = await quiet.createCluster("versions");
  const change = async () => {
    const cluster = await quiet.getCluster(id);
    const name = `versions${cluster.version + 1}`;
    await quiet.updateCluster({ ...cluster, data: { ...cluster.data, name } });
  };
  for (let version = 2; version <= 60; version++) await change();
  const client = clientOf(standIn, async ({ pathname }) => {
    if (!pathname.endsWith("/version/")) return;
    for (let time = 0; time < 3; time++) await change();
  });
  for (const perPage of [4, 5, 7, 1000]) {
    const { version: newest } = await quiet.getCluster(id);
    const versions = await client.getClusterVersions(id, { perPage }).toArray();
    assertEquals(
      versions.map(({ version }) => version),
      Array.from({ length: newest }, (_, index) => newest - index),
    );
  }
});

Deno.test("getExecutionSteps() yields each step of a running execution once and in order", async () => {
  for (const sortBy of [undefined, { time_finished: 1, _id: 1 }] as const) {
    const clock = new TestClock();
    const standIn = new StandIn({ now: clock.now, servers: 0 });
    const execution = standIn.seedExecution({
      servers: 50,
      steps: 10_000,
      duration: 600_000,
    });
    const id = String(execution.id);
    let requests = 0;
    const client = clientOf(standIn, ({ pathname }) => {
      if (!pathname.endsWith("/steps/")) return;
      requests++;
      clock.advance(7000); // faster than it can be read
    });
    clock.advance(100_000);
    const listing = client.getExecutionSteps(id, {
      perPage: 100,
      ...(sortBy && { sortBy }),
    });
    const steps = await listing.toArray();
    assertEquals(steps.length, 10_000);
    assertEquals(new Set(steps.map(({ id }) => id)).size, 10_000);
    const ids = steps.map(({ id }) => id);
    assertEquals(ids, ids.toSorted());
    assert(requests <= 110, `${requests} requests`);
  }
});

Deno.test("getExecutionSteps() yields each step once if steps are written out of order", async () => {
  const clock = new TestClock();
  const standIn = new StandIn({ now: clock.now, servers: 0 });
  const id = String(
    standIn.seedExecution({ servers: 7, steps: 700, duration: 100_000 }).id,
  );
  const client = clientOf(standIn, ({ pathname }) => {
    if (pathname.endsWith("/steps/")) clock.advance(4000);
  });
  clock.advance(50_000);
  const before = await clientOf(standIn)
    .getExecutionSteps(id, { all: true, sortBy: { _id: 1 } });
  // Newest first: new steps push the others back by pages.
  const steps = await client.getExecutionSteps(id, {
    perPage: 20,
    sortBy: { time_finished: -1 },
  }).toArray();
  const ids = new Set(steps.map(({ id }) => id));
  assertEquals(ids.size, steps.length);
  assertEquals(before.items.filter((step) => !ids.has(step.id)), []);
});

Deno.test("overlappingPager() goes back ever further if very many items are deleted", () => {
  const size = 10;
  let items = Array.from({ length: 1000 }, (_, index) => ({
    id: String(index),
    version: 1,
  }));
  const { first, advance } = overlappingPager(
    { perPage: size },
    ({ id }) => id,
  );
  const found: string[] = [];
  let requests = 0;
  for (let next: typeof first | undefined = first; next; requests++) {
    if (requests === 90) items = items.slice(700);
    const { page = 1, perPage = size } = next;
    const step = advance({
      items: items.slice((page - 1) * perPage, page * perPage),
      page,
      per_page: perPage,
      total: items.length,
    });
    found.push(...step.items.map(({ id }) => id));
    next = step.next;
  }
  assertEquals(found, Array.from({ length: 1000 }, (_, index) => `${index}`));
  assert(requests < 150, `${requests} requests`);
});
