/** Lists that are read while others create, edit and delete. */

import { assert, assertEquals } from "@std/assert";
import type { ListOptions, User } from "../mod.ts";
import type { UserFields } from "../models.ts";
import { StandIn, TestClock } from "./standin/mod.ts";
import { Churn, clientOf } from "./support/churn.ts";

/** A list that is read while others are at work. */
interface Reading {
  users: number;
  seeds: number;
  options: ListOptions<UserFields>;
  /** How much others do between two pages, at the most. */
  pace?: number;
  /** Whether an edit can move an item. */
  editsMove?: boolean;
  /** Whether this user belongs into the list. */
  belongs?: (user: User) => boolean;
}

const READINGS: Record<string, Reading> = {
  "the default order": { users: 5000, seeds: 12, options: { perPage: 50 } },
  "pages of one item": { users: 60, seeds: 10, options: { perPage: 1 } },
  "the server's own page size": { users: 400, seeds: 10, options: {} },
  "a filter model_id.gt": {
    users: 400,
    seeds: 10,
    options: { perPage: 7, filter: { model_id: { gt: "4" } } },
    belongs: ({ id }) => id > "4",
  },
  "a filter model_id.lt": {
    users: 400,
    seeds: 10,
    options: { perPage: 7, filter: { model_id: { lt: "9", ne: "5" } } },
    belongs: ({ id }) => id < "9",
  },
  "a filter model_id.regexp": {
    users: 400,
    seeds: 20,
    options: { perPage: 7, filter: { model_id: { regexp: "^[2-d]" } } },
    belongs: ({ id }) => id >= "2" && id < "e",
  },
  "a filter is_latest": {
    users: 400,
    seeds: 10,
    options: { perPage: 7, filter: { is_latest: true } },
  },
  "an order by a unique field": {
    users: 400,
    seeds: 20,
    options: { perPage: 7, sortBy: { login: -1 } },
    editsMove: true,
  },
  "an order with many equals": {
    users: 400,
    seeds: 20,
    options: { perPage: 10, sortBy: { time_created: -1 } },
    editsMove: true,
  },
  "an order of one's own, a page per item": {
    users: 40,
    seeds: 20,
    options: { perPage: 1, sortBy: { full_name: 1 } },
    pace: 3,
    editsMove: true,
  },
  "a busy server": {
    users: 400,
    seeds: 20,
    options: { perPage: 10, sortBy: { full_name: 1 } },
    pace: 40,
    editsMove: true,
  },
};

for (const [name, reading] of Object.entries(READINGS)) {
  const { users, seeds, options, pace = 6, editsMove, belongs } = reading;
  Deno.test(`nothing is lost or given twice under ${name}`, async () => {
    let stayed = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const churn = await Churn.start(seed, users);
      const before = [...churn.alive.values()].filter(belongs ?? (() => true));
      const client = clientOf(churn.standIn, async ({ pathname }) => {
        if (pathname === "/v1/user/") await churn.act(churn.below(pace));
      });
      const given: string[] = [];
      for await (const { id } of client.getUsers(options)) given.push(id);

      assertEquals(new Set(given).size, given.length, `twice, seed ${seed}`);
      const missing = before.filter(({ id }) =>
        churn.alive.has(id) && !(editsMove && churn.edited.has(id)) &&
        !given.includes(id)
      );
      assertEquals(missing, [], `missed, seed ${seed}`);
      assert(churn.created.size > 0 && churn.edited.size > 0);
      assert(churn.alive.size < users + churn.created.size);
      stayed += before.length;
    }
    assert(stayed > seeds);
  });
}

Deno.test("nothing is lost among old versions while new ones are made", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const churn = await Churn.start(seed, 60);
    await churn.versions(200);
    const quiet = clientOf(churn.standIn);
    const list = { filter: { is_latest: false }, perPage: 9 };
    const name = ({ id, version }: User) => `${id}/${version}`;
    const before = (await quiet.getUsers({ ...list, all: true })).items
      .map(name);
    assertEquals(before.length, 200);
    const client = clientOf(churn.standIn, async ({ pathname }) => {
      if (pathname === "/v1/user/") await churn.act(churn.below(6));
    });
    const given = (await client.getUsers(list).toArray()).map(name);
    assertEquals(new Set(given).size, given.length);
    assertEquals(new Set(before).difference(new Set(given)).size, 0);
  }
});

Deno.test("the versions of a model come once each, newest first, while more are made", async () => {
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

Deno.test("the steps of a running execution come once each, in order", async () => {
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
      clock.advance(7000); // faster than it is read
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

Deno.test("steps that are written out of order come once each", async () => {
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
  // The newest first: each page is pushed down by what has been added.
  const steps = await client.getExecutionSteps(id, {
    perPage: 20,
    sortBy: { time_finished: -1 },
  }).toArray();
  const ids = new Set(steps.map(({ id }) => id));
  assertEquals(ids.size, steps.length);
  assertEquals(before.items.filter((step) => !ids.has(step.id)), []);
});
