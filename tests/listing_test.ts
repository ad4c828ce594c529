/** Tests of listings: awaited, iterated, left and refused. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { delay } from "@std/async/delay";
import {
  DecapodAPIError,
  DecapodResponseError,
  Listing,
  type ListOptions,
  type V1Client,
} from "../mod.ts";
import type { UserFields } from "../models.ts";
import { FaultInjector } from "./faults/injector.ts";
import { CountedSignal } from "./support/patch.ts";
import { apiError, json, makeClient, StandInServer } from "./support/server.ts";
import { stubClient } from "./support/stub.ts";
import { inTime } from "./support/time.ts";

const USERS = "/v1/user/";

const PEOPLE = Array.from({ length: 60 }, (_, index) => ({
  id: String(index * 37 % 60).padStart(3, "0"),
  model: "user",
  version: 1,
  initiator_id: null,
  time_updated: 1,
  time_deleted: 0,
  data: { login: String(index).padStart(3, "0") },
}));

const forbidden = () => apiError(403, "Forbidden", "no");

/** A server with so many users, root included, and its client. */
function listingOf(
  users: number,
  onPage: () => Response | false = () => false,
) {
  const server = new StandInServer(
    { servers: 0 },
    ({ path }) => path === USERS && onPage() || undefined,
  );
  server.standIn.seedUsers(users - 1);
  return {
    server,
    client: server.client(),
    /** The queries of the requests for pages. */
    queries: () => server.sent("GET", USERS).map(({ query }) => query),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

Deno.test("Listing requests the page that it is awaited for once, and only when it is used", async () => {
  await using server = listingOf(5);
  const listing = server.client.getUsers({ page: 2, perPage: 2 });
  assertInstanceOf(listing, Listing);
  assertEquals(server.queries(), []);
  const { items, ...rest } = await listing;
  assertEquals([items.length, rest], [2, { page: 2, per_page: 2, total: 5 }]);
  const [first, second] = await Promise.all([listing, listing]);
  assertStrictEquals(first, second);
  assertEquals(server.queries(), [{ page: "2", per_page: "2" }]);
});

Deno.test("Listing requests a failed page anew when it is awaited again, and keeps it after a success", async () => {
  let fails = true;
  await using server = listingOf(1, () => fails && forbidden());
  const listing = server.client.getUsers();
  // Awaited at the same time, they share a request, and the next one, too.
  let again: Promise<unknown> | undefined;
  const [error, ...errors] = await Promise.all([
    listing.then(undefined, (error: unknown) => {
      again = listing.then();
      return error;
    }),
    assertRejects(() => listing.then(), DecapodAPIError),
    listing.catch((error: unknown) => error),
  ]);
  assertEquals(errors, [error, error]);
  await assertRejects(async () => await again, DecapodAPIError, "403");
  assertEquals(server.queries().length, 2);
  fails = false;
  const page = await listing;
  fails = true;
  assertStrictEquals(await listing, page);
  assertEquals([page.total, server.queries().length], [1, 3]);
});

Deno.test("Listing has the catch and finally of a promise", async () => {
  await using server = listingOf(1);
  const { client } = server;
  const listing = client.getUsers();
  let calls = 0;
  const count = () => void calls++;
  assertEquals(await listing.catch(count), await listing);
  assertStrictEquals(await listing.finally(count), await listing);
  assertEquals(calls, 1);
  const failing = client.getUsers({ page: 0 });
  assertInstanceOf(await failing.catch((error) => error), RangeError);
  await assertRejects(() => failing.finally(count), RangeError);
  await assertRejects(() => failing.catch(), RangeError);
  assertEquals(calls, 2);
});

Deno.test("Listing shows its request in console.log", () => {
  const client = makeClient("http://decapod.example");
  const listing = client.getServers({ filter: { state: "off" } });
  const query = encodeURIComponent('{"state":"off"}');
  const request = `GET http://decapod.example/v1/server/?filter=${query}`;
  assertEquals(Deno.inspect(listing), `Listing { ${request} }`);
  assertEquals(Deno.inspect(client.getUserVersions("")), "Listing {}");
});

const SORTED = { sortBy: { login: 1 } } as const;
const NOBODY = { filter: { login: "nobody" } };

/** Options, and how many pages and items seven users make. */
const READ: [ListOptions<UserFields>, pages: number, items: number][] = [
  [{}, 1, 7],
  [{ perPage: 1 }, 7, 7],
  [{ perPage: 7 }, 1, 7],
  [{ all: true }, 1, 7],
  [{ all: true, perPage: 2, ...SORTED }, 1, 7],
  [{ page: 2, perPage: 2 }, 3, 5],
  [{ page: 2, perPage: 2, ...SORTED }, 3, 5],
  [{ page: 9 }, 1, 0],
  [{ page: 9, ...SORTED }, 1, 0],
  [NOBODY, 1, 0],
  [{ ...NOBODY, ...SORTED }, 1, 0],
  [{ ...NOBODY, ...SORTED, all: true }, 1, 0],
  [{ perPage: 4, sortBy: undefined }, 2, 7],
  [{ filter: { is_latest: false } }, 1, 0],
];

const idsOf = (items: { id: string }[]) => items.map(({ id }) => id);

for (const [options, pages, items] of READ) {
  Deno.test(`Listing yields each item once with ${JSON.stringify(options)}`, async () => {
    await using server = listingOf(7);
    const listing = server.client.getUsers(options);
    const read = await Array.fromAsync(listing.pages());
    assertEquals(server.queries().length, pages);
    const ids = read.flatMap(({ items }) => idsOf(items));
    assertEquals([read.length, new Set(ids).size], [pages, items]);
    const { page: first = 1 } = options;
    const { total } = await listing;
    assertEquals(
      read.map(({ page, total }) => [page, total]),
      read.map((_, index) => [first + index, total]),
    );
    assertEquals(idsOf(await listing.toArray()), ids);
    assertEquals(idsOf(await Array.fromAsync(listing)), ids);
  });
}

Deno.test("Listing iterates over what the caller's filter includes, in the caller's order", async () => {
  await using server = listingOf(6);
  const { client } = server;
  const { items: [{ id } = { id: "" }] } = await client.getUsers();
  const filters: ListOptions<UserFields>["filter"][] = [
    { model_id: id },
    { model_id: { in: [id, "x"] } },
    { model_id: { ne: id } },
    { model_id: { lt: "9" }, login: { regexp: "^user" } },
  ];
  for (const filter of filters) {
    for (const sortBy of [{ model_id: 1 }, { full_name: -1 }] as const) {
      const { items } = await client.getUsers({ filter, sortBy, all: true });
      assert(items.length > 0);
      const options = { filter, sortBy, perPage: 2 };
      assertEquals(await client.getUsers(options).toArray(), items);
      if (!("model_id" in sortBy)) continue;
      const unsorted = client.getUsers({ filter, perPage: 2 });
      assertEquals(await unsorted.toArray(), items);
    }
  }
});

Deno.test("toArray() returns and requests no more than its limit", async () => {
  await using server = listingOf(9);
  const { client, queries } = server;
  /** Limit, options, items, and the `per_page` of each request. */
  type Case = [number | undefined, object, number, (string | undefined)[]];
  const cases: Case[] = [
    [0, { perPage: 3 }, 0, []],
    [1, { perPage: 3 }, 1, ["3"]],
    [3, { perPage: 3 }, 3, ["3"]],
    [4, { perPage: 3 }, 4, ["3", "3"]],
    [9, { perPage: 3 }, 9, ["3", "3", "3"]],
    [99, { perPage: 3 }, 9, ["3", "3", "3"]],
    [undefined, {}, 9, [undefined]],
    [2, {}, 2, ["2"]],
    [25, {}, 9, [undefined]],
    [1, { all: true }, 1, [undefined]],
    [1, { page: 1 }, 1, ["1"]],
    [1, { page: 2 }, 0, [undefined]], // of the default size
  ];
  for (const [limit, options, length, sizes] of cases) {
    const before = queries().length;
    const items = await client.getUsers(options).toArray({ limit });
    assertEquals(items.length, length);
    assertEquals(queries().slice(before).map((one) => one["per_page"]), sizes);
  }
});

Deno.test("pages() requests one page ahead, never more", async () => {
  let requests = 0;
  const client = stubClient((url) => {
    const page = Number(new URL(url).searchParams.get("page") ?? 1);
    const items = [{ id: `${++requests}`, version: 1 }];
    return json({ items, page, per_page: 1, total: 5 });
  });
  const pages = client.getUserVersions("id").pages();
  for (let page = 1; page <= 5; page++) {
    assertEquals((await pages.next()).value?.page, page);
    await delay(2); // while the caller processes the page
    assertEquals(requests, Math.min(page + 1, 5));
  }
  assertEquals(await pages.next(), { done: true, value: undefined });
  assertEquals(requests, 5);
});

type Users = AsyncGenerator<unknown, void, undefined>;
type Leave = (items: Users, abort: () => void) => Promise<unknown>;

/** The ways to leave a loop. */
const LEAVE: Record<string, Leave> = {
  break: async (items) => {
    for await (const _ of items) break;
  },
  "throw()": async (items) => {
    await items.next();
    await assertRejects(() => items.throw(new Error("mine")), Error, "mine");
  },
  abort: async (items, abort) => {
    await items.next();
    const next = items.next();
    abort();
    assertEquals(await next.catch((reason) => reason), "enough");
  },
};

/** Iterates over items or pages. */
const iterate = (listing: Listing<unknown>, part: string): Users =>
  part === "pages" ? listing.pages() : listing[Symbol.asyncIterator]();

for (const [name, leave] of Object.entries(LEAVE)) {
  Deno.test(`Listing cancels the prefetched page on ${name}`, async () => {
    for (const part of ["items", "pages"]) {
      const signals: (AbortSignal | null | undefined)[] = [];
      const client = stubClient((_, { signal }) =>
        signals.push(signal) > 1
          ? new Promise(() => {})
          : json({ items: PEOPLE.slice(0, 1), page: 1, per_page: 1, total: 2 })
      );
      const counted = new CountedSignal();
      const { signal, controller } = counted;
      const items = iterate(client.getUsers({ signal }), part);
      await inTime(leave(items, () => controller.abort("enough")));
      assertEquals(signals.map((one) => one?.aborted), [false, true]);
      assertEquals([counted.added, counted.listeners], [1, 0]);
      assertEquals(await items.next(), { done: true, value: undefined });
    }
  });
}

Deno.test("Listing yields all items in order to concurrent next() calls", async () => {
  await using server = listingOf(5);
  const listing = server.client.getUsers({ perPage: 2 });
  const items = listing[Symbol.asyncIterator]();
  const results = await Promise.all(
    Array.from({ length: 7 }, () => items.next()),
  );
  const values = results.map(({ value }) => value);
  assertEquals(values, [...await listing.toArray(), undefined, undefined]);
});

Deno.test("Listing leaves no timer between two items", async () => {
  await using server = listingOf(3);
  await server.client.login();
  using injector = new FaultInjector();
  const users = server.client.getUsers()[Symbol.asyncIterator]();
  assertEquals((await users.next()).done, false);
  assertEquals(injector.open, 0);
  await users.return();
});

Deno.test("timeout applies to each page of an iteration", async () => {
  await using server = listingOf(4);
  const timeout = 500;
  const listing = server.client.getUsers({ perPage: 1, timeout });
  let pages = 0;
  for await (const _ of listing.pages()) {
    if (++pages < 3) await delay(timeout * 0.6);
  }
  assertEquals(pages, 4);
});

Deno.test("filter by time_deleted lists deleted models", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const { id } = await client.createCluster("gone");
  await client.deleteCluster(id);
  const deleted = await client.getClusters({
    filter: { time_deleted: { ne: 0 } },
  }).toArray();
  assertEquals(deleted.map((cluster) => cluster.id), [id]);
});

Deno.test("Listing stops at an abort between two items or after the last page", async () => {
  await using server = listingOf(3);
  const reason = new RangeError("enough");
  const cases = [["items", 25], ["items", 1], ["pages", 25]] as const;
  for (const [part, perPage] of cases) {
    const controller = new AbortController();
    const { signal } = controller;
    const listing = server.client.getUsers({ perPage, signal });
    const items = iterate(listing, part);
    assertEquals((await items.next()).done, false);
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => items.next()), reason);
    assertEquals((await items.next()).done, true);
    await assertRejects(() => listing.toArray(), RangeError, "enough");
    await assertRejects(async () => await listing, RangeError, "enough");
  }
});

Deno.test("Listing rejects once with a page's error after the items before it", async () => {
  let pages = 0;
  await using server = listingOf(4, () => ++pages === 2 && forbidden());
  const items = server.client.getUsers({ perPage: 2 })[Symbol.asyncIterator]();
  for (let seen = 0; seen < 2; seen++) await items.next();
  await assertRejects(() => items.next(), DecapodAPIError, "403");
  assertEquals((await items.next()).done, true);
});

/** How a server pages unlike Decapod. */
interface Deviation {
  total?: (real: number, request: number) => number;
  unfiltered?: (request: number) => boolean;
  unsorted?: boolean;
  unpaged?: boolean;
  /** The size of the pages, and the size that they claim to have. */
  size?: number;
  claimedSize?: number;
}

/** More requests than any listing needs: it does not end. */
const MAX_REQUESTS = 100;

/** A client of a server that pages unlike Decapod. */
function deviatingClient(
  { total, unfiltered, unsorted, unpaged, size, claimedSize }: Deviation,
): V1Client {
  let request = 0;
  return stubClient((url) => {
    const query = new URL(url).searchParams;
    if (++request > MAX_REQUESTS) return forbidden();
    const filter = JSON.parse(query.get("filter") ?? "{}");
    const page = unpaged ? 1 : Number(query.get("page") ?? 1);
    const per_page = size ?? Number(query.get("per_page") ?? 25);
    const found = PEOPLE.filter(({ id }) =>
      unfiltered?.(request) || id > (filter.model_id?.gt ?? "")
    );
    if (query.get("sort_by")?.includes("model_id") && !unsorted) {
      found.sort((a, b) => a.id < b.id ? -1 : 1);
    }
    return json({
      items: found.slice((page - 1) * per_page, page * per_page),
      page,
      per_page: request > 1 ? claimedSize ?? per_page : per_page,
      total: total?.(found.length, request) ?? found.length,
    });
  });
}

const unfiltered = () => true;

/** Totals that a listing copes with. */
const TOTALS: Deviation["total"][] = [
  undefined,
  () => 0,
  () => 1,
  () => 1000,
  (real, request) => Math.max(0, real + (request % 3 - 1) * 7),
  (_, request) => 100 * request,
];

/** Deviations that it may reject. */
const FLAWS: Record<string, Deviation> = {
  "no other flaw": {},
  "no filters": { unfiltered },
  "no orders": { unsorted: true },
  "neither filters nor orders": { unfiltered, unsorted: true },
  "its own page size": { size: 10 },
  "its own page size and no filters": { size: 10, unfiltered },
  "the same page for each number": { unpaged: true, unfiltered },
  "pages that claim to be empty": { size: 10, claimedSize: 0 },
  "filters that stop working": { unfiltered: (request) => request > 2 },
};

const QUERIES: ListOptions<UserFields>[] = [
  {},
  { perPage: 20 },
  { perPage: 7 },
  { perPage: 60 },
  { perPage: 7, ...SORTED },
  SORTED,
];

for (const [flaw, deviation] of Object.entries(FLAWS)) {
  Deno.test(`Listing yields all items or rejects if the server has ${flaw}, whatever the total`, async () => {
    for (const total of TOTALS) {
      for (const options of QUERIES) {
        const what = `${total} ${JSON.stringify(options)}`;
        const client = deviatingClient({ ...deviation, total });
        const ids: string[] = [];
        const read = async () => {
          for await (const { id } of client.getUsers(options)) ids.push(id);
        };
        const error = await inTime(read()).catch((error) => error);
        assertEquals(new Set(ids).size, ids.length, what);
        if (error === undefined) {
          assertEquals(ids.sort(), idsOf(PEOPLE).sort(), what);
        } else {
          assertInstanceOf(error, DecapodResponseError, what);
          assert(error.message.startsWith("Cannot list: "), error.message);
          assert(flaw !== "no other flaw", what);
        }
      }
    }
  });
}

Deno.test("Listing yields a page that has all items, even if the server ignores filter and sort_by", async () => {
  const client = deviatingClient({ unfiltered, unsorted: true });
  const users = await client.getUsers({ perPage: 60 }).toArray();
  assertEquals(idsOf(users), idsOf(PEOPLE));
});

Deno.test("getExecutionSteps() misses no step that is written while the server counts", async () => {
  let rows = 3;
  const client = stubClient((url) => {
    const page = Number(new URL(url).searchParams.get("page") ?? 1);
    const items = PEOPLE.slice((page - 1) * 5, Math.min(page * 5, rows));
    rows = Math.min(rows + 1, 13); // before the server counts
    return json({ items, page, per_page: 5, total: rows });
  });
  const steps = await client.getExecutionSteps("any", { perPage: 5 }).toArray();
  assertEquals(idsOf(steps), idsOf(PEOPLE.slice(0, 13)));
});

Deno.test("Listing ends if the server has empty pages only or repeats a page", async () => {
  const empty = deviatingClient({ size: 0, total: () => 5 });
  assertEquals(await empty.getUsers().toArray(), []);
  const total = () => 1000;
  const repeats = deviatingClient({
    unfiltered,
    unpaged: true,
    size: 5,
    total,
  });
  const repeated = "the server keeps returning the same items";
  const cases: [Listing<unknown>, part: string][] = [
    [empty.getUsers(SORTED), ""],
    [repeats.getExecutionSteps("any", { perPage: 5 }), repeated],
    [repeats.getUserVersions("any", { perPage: 5 }), repeated],
  ];
  for (const [listing, part] of cases) {
    const message = `Cannot list: ${part}`;
    await assertRejects(() => listing.toArray(), DecapodResponseError, message);
  }
});

Deno.test("getUserVersions() yields nothing for an unknown id", async () => {
  await using server = listingOf(1);
  const id = crypto.randomUUID();
  assertEquals(await server.client.getUserVersions(id).toArray(), []);
});

Deno.test("Listing rejects what is not a page of models", async () => {
  const items = [{}, [null], [{}], [{ id: 1 }]].map((items) => ({ items }));
  const others = [{ page: 0 }, { per_page: "25" }, { total: -1 }, {
    total: 1.5,
  }];
  for (const wrong of [...items, ...others]) {
    const page = { items: [], page: 1, per_page: 25, total: 0, ...wrong };
    await assertRejects(
      async () => await stubClient(() => json(page)).getUsers(),
      DecapodResponseError,
      "it is of another shape",
      JSON.stringify(wrong),
    );
  }
});

Deno.test("Listing of a program's own pages stops between two items if its signal is aborted", async () => {
  const controller = new AbortController();
  const page = { items: [1, 2], page: 1, per_page: 2, total: 2 };
  const listing = new Listing(
    () => Promise.resolve(page),
    async function* () {
      yield await Promise.resolve(page);
    },
    controller.signal,
  );
  const items = listing[Symbol.asyncIterator]();
  assertEquals((await items.next()).value, 1);
  controller.abort("enough");
  assertEquals(await items.next().catch((reason) => reason), "enough");
});

Deno.test("return() ends a pending next() of a program's own pages, even if the page arrives", async () => {
  const page = { items: [1], page: 1, per_page: 1, total: 1 };
  const arrives = Promise.withResolvers<typeof page>();
  const items = new Listing(() => arrives.promise, async function* () {
    yield await arrives.promise;
  })[Symbol.asyncIterator]();
  const next = items.next();
  const left = items.return();
  arrives.resolve(page);
  assertEquals([await next, await left].map(({ done }) => done), [true, true]);
});
