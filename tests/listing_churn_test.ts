/** Tests of listings while others create, edit and delete models. */

import { assert, assertEquals } from "@std/assert";
import type { ListOptions, User } from "../mod.ts";
import type { UserFields } from "../models.ts";
import { StandIn, TestClock } from "./standin/mod.ts";
import { clientOf, RandomChanges } from "./support/churn.ts";

/** A listing that is read while models change. */
interface Scenario extends ListOptions<UserFields> {
  users?: number;
  seeds?: number;
  /** The maximum number of changes between two pages. */
  maxChanges?: number;
}

const NEWEST_FIRST = { time_created: -1 } as const;
const BY_NAME = { full_name: 1 } as const;
const LOW = { model_id: { lt: "9", ne: "5" } };
const BETWEEN = { model_id: { regexp: "^[2-d]" } };

const SCENARIOS: Record<string, Scenario> = {
  "default order": { users: 1000, perPage: 25 },
  "pages of one item": { users: 60, perPage: 1 },
  "default page size": {},
  "a filter model_id.gt": { perPage: 7, filter: { model_id: { gt: "4" } } },
  "a filter model_id.lt": { perPage: 7, filter: LOW },
  "a filter model_id.regexp": { seeds: 20, perPage: 7, filter: BETWEEN },
  "a filter is_latest": { perPage: 7, filter: { is_latest: true } },
  "sorted by a unique field": { perPage: 7, sortBy: { login: -1 } },
  "sorted by a field of equal values": { perPage: 10, sortBy: NEWEST_FIRST },
  "one item, sorted": { users: 40, perPage: 1, maxChanges: 3, sortBy: BY_NAME },
  "a busy server": { perPage: 10, maxChanges: 40, sortBy: BY_NAME },
};

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  const { users = 400, seeds, maxChanges = 6, ...options } = scenario;
  const { filter, sortBy } = options;
  Deno.test(`Listing yields each item once while others are created, edited and deleted: ${name}`, async () => {
    for (let seed = 1; seed <= (seeds ?? (sortBy ? 20 : 12)); seed++) {
      const changes = await RandomChanges.start(seed, users);
      const { alive, created, edited } = changes;
      const { items: before } = await clientOf(changes.standIn)
        .getUsers({ filter, all: true });
      const client = changes.busyClient(maxChanges);
      const items = await client.getUsers(options).toArray();
      const ids = new Set(items.map(({ id }) => id));
      assertEquals(ids.size, items.length, `twice, seed ${seed}`);
      // An edit can move an item to another page of a sorted listing.
      const missing = before.filter(({ id }) =>
        alive.has(id) && !(sortBy && edited.has(id)) && !ids.has(id)
      );
      assertEquals(missing, [], `missed, seed ${seed}`);
      assert(before.length > 1 && created.size > 0 && edited.size > 0);
      assert(alive.size < users + created.size);
    }
  });
}

Deno.test("Listing yields each old version once while versions are created", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const changes = await RandomChanges.start(seed, 60);
    await changes.versions(200);
    const list = { filter: { is_latest: false }, perPage: 9 };
    const names = (users: User[]) =>
      users.map(({ id, version }) => `${id}/${version}`);
    const { items } = await clientOf(changes.standIn)
      .getUsers({ ...list, all: true });
    assertEquals(items.length, 200);
    const found = await changes.busyClient(6).getUsers(list).toArray();
    const distinct = new Set(names(found));
    assertEquals(distinct.size, found.length);
    assertEquals(new Set(names(items)).difference(distinct).size, 0);
  }
});

Deno.test("getClusterVersions() yields each version once, newest first, while versions are created", async () => {
  const standIn = new StandIn({ servers: 0 });
  const quiet = clientOf(standIn);
  const { id } = await quiet.createCluster("versions");
  const change = async (count: number) => {
    for (let edit = 0; edit < count; edit++) {
      const name = crypto.randomUUID();
      await quiet.editCluster(id, (data) => ({ ...data, name }));
    }
  };
  await change(59);
  const client = clientOf(standIn, async ({ pathname }) => {
    if (pathname.endsWith("/version/")) await change(3);
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

/** A running execution, whose time advances with each request of its steps. */
function runningExecution(steps: number, duration: number, pace: number) {
  const clock = new TestClock();
  const standIn = new StandIn({ now: clock.now, servers: 0 });
  const { id } = standIn.seedExecution({ servers: 50, steps, duration });
  clock.advance(duration / 2);
  const client = clientOf(standIn, ({ pathname }) => {
    if (pathname.endsWith("/steps/")) clock.advance(pace);
  });
  return { id: String(id), client, quiet: clientOf(standIn), clock };
}

Deno.test("getExecutionSteps() yields each step of a running execution once and in order", async () => {
  for (const sortBy of [undefined, { time_finished: 1, _id: 1 }] as const) {
    // Faster than it can be read.
    const { id, client, clock } = runningExecution(10_000, 600_000, 7000);
    const start = clock.now();
    const listing = client.getExecutionSteps(id, { perPage: 100, sortBy });
    const ids = (await listing.toArray()).map(({ id }) => id);
    assertEquals(ids.length, 10_000);
    assertEquals(ids, [...new Set(ids)].sort());
    const requests = (clock.now() - start) / 7000;
    assert(requests <= 110, `${requests} requests`);
  }
});

Deno.test("getExecutionSteps() yields each step once if steps are written out of order", async () => {
  const { id, client, quiet } = runningExecution(700, 100_000, 4000);
  const { items } = await quiet.getExecutionSteps(id, { all: true });
  // Newest first: new steps push the others back by pages.
  const options = { perPage: 20, sortBy: { time_finished: -1 } } as const;
  const steps = await client.getExecutionSteps(id, options).toArray();
  const ids = new Set(steps.map(({ id }) => id));
  assertEquals(ids.size, steps.length);
  assert(items.length > 100 && items.every(({ id }) => ids.has(id)));
});

Deno.test("Listing yields each item once if most of those before its position are deleted", async () => {
  const standIn = new StandIn({ servers: 0 });
  standIn.seedUsers(999); // besides root
  const quiet = clientOf(standIn);
  const sortBy = { login: -1 } as const;
  const all = (await quiet.getUsers({ all: true, sortBy })).items;
  let requests = 0;
  const client = clientOf(standIn, async ({ pathname }) => {
    if (pathname !== "/v1/user/" || ++requests !== 90) return;
    for (const { id } of all.slice(1, 700)) await quiet.deleteUser(id);
  });
  const found = await client.getUsers({ perPage: 10, sortBy }).toArray();
  assertEquals(found.map(({ id }) => id), all.map(({ id }) => id));
  assert(requests < 150, `${requests} requests`);
});
