/** Tests of listings: awaited, iterated, left and refused. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  Client,
  DecapodAPIError,
  DecapodResponseError,
  Listing,
  type ListOptions,
} from "../mod.ts";
import type { UserFields } from "../models.ts";
import { FaultInjector } from "./faults/injector.ts";
import { type Gate, gate } from "./support/gate.ts";
import { CountedSignal } from "./support/patch.ts";
import {
  apiError,
  type Exchange,
  json,
  StandInServer,
} from "./support/server.ts";
import { inTime } from "./support/time.ts";

const USERS = "/v1/user/";

/** A server with so many users; root is one of them. */
function serverWith(
  users: number,
  onPage?: (
    exchange: Exchange,
  ) => Response | undefined | Promise<undefined>,
): StandInServer {
  const server = new StandInServer(
    { servers: 0 },
    (exchange) => exchange.path === USERS ? onPage?.(exchange) : undefined,
  );
  server.standIn.seedUsers(users - 1);
  return server;
}

Deno.test("Listing requests the page that it is awaited for once, and only when it is used", async () => {
  await using server = serverWith(5);
  await using client = server.client();
  const listing = client.getUsers({ page: 2, perPage: 2 });
  assertInstanceOf(listing, Listing);
  assertEquals(server.exchanges, []);
  const { items, ...rest } = await listing;
  assertEquals([items.length, rest], [2, { page: 2, per_page: 2, total: 5 }]);
  const [first, second] = await Promise.all([listing, listing]);
  assertStrictEquals(first, second);
  const [{ query } = {}, ...more] = server.sent("GET", USERS);
  assertEquals([query, more], [{ page: "2", per_page: "2" }, []]);
});

Deno.test("Listing requests a failed page anew when it is awaited again, and keeps it after a success", async () => {
  let fails = true;
  await using server = serverWith(
    1,
    () => fails ? apiError(403, "Forbidden", "no") : undefined,
  );
  await using client = server.client();
  const listing = client.getUsers();
  const requests = () => server.sent("GET", USERS).length;
  // Awaited at the same time, they share a request.
  const [error, ...errors] = await Promise.all([
    assertRejects(() => listing.then(), DecapodAPIError),
    listing.catch((error: unknown) => error),
    listing.then(() => "page", (error: unknown) => error),
  ]);
  assertEquals(errors, [error, error]);
  assertEquals(requests(), 1);
  await assertRejects(async () => await listing, DecapodAPIError, "403");
  assertEquals(requests(), 2);
  fails = false;
  const page = await listing;
  fails = true;
  assertStrictEquals(await listing, page);
  assertEquals([page.total, requests()], [1, 3]);
});

Deno.test("Listing requests its page once more after a failure, however many wait", async () => {
  await using server: StandInServer = serverWith(
    1,
    () =>
      server.sent("GET", USERS).length === 1
        ? apiError(404, "NotFound", "None")
        : undefined,
  );
  await using client = server.client();
  const listing = client.getUsers();
  let again: Promise<unknown> | undefined;
  await Promise.allSettled([
    listing.then(undefined, () => {
      again = listing.then();
    }),
    listing.then(),
  ]);
  await again;
  await listing;
  assertEquals(server.sent("GET", USERS).length, 2);
});

Deno.test("Listing has the catch and finally of a promise", async () => {
  await using server = serverWith(1);
  await using client = server.client();
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
  const client = new Client("http://decapod.example", {
    login: "root",
    password: "secret",
  });
  const listing = client.getServers({ filter: { state: "off" } });
  assertEquals(
    Deno.inspect(listing),
    `Listing { GET http://decapod.example/v1/server/?filter=${
      encodeURIComponent('{"state":"off"}')
    } }`,
  );
  assertEquals(Deno.inspect(client.getUserVersions("")), "Listing {}");
});

Deno.test("Listing obeys options that an object inherits from its class", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const options = Object.create({ filter: { login: "nobody" } });
  assertEquals((await client.getUsers(options)).items, []);
  assertEquals(await client.getUsers(options).toArray(), []);
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

for (const [options, pages, items] of READ) {
  Deno.test(`Listing yields each item once with ${JSON.stringify(options)}`, async () => {
    await using server = serverWith(7);
    await using client = server.client();
    const listing = client.getUsers(options);
    const read = await Array.fromAsync(listing.pages());
    assertEquals(server.sent("GET", USERS).length, pages);
    const ids = read.flatMap(({ items }) => items.map(({ id }) => id));
    assertEquals([read.length, new Set(ids).size], [pages, items]);
    const { page: first = 1 } = options;
    for (const [index, { page }] of read.entries()) {
      assertEquals(page, first + index);
    }
    for (
      const again of [await listing.toArray(), await Array.fromAsync(listing)]
    ) {
      assertEquals(again.map(({ id }) => id), ids);
    }
  });
}

Deno.test("Listing iterates over what the caller's filter includes, in the caller's order", async () => {
  await using server = serverWith(6);
  await using client = server.client();
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
  await using server = serverWith(9);
  await using client = server.client();
  for (
    const [limit, length, requests] of [
      [0, 0, 0],
      [1, 1, 1],
      [3, 3, 1],
      [4, 4, 2],
      [9, 9, 3],
      [99, 9, 3],
    ]
  ) {
    const before = server.sent("GET", USERS).length;
    const listing = client.getUsers({ perPage: 3 });
    assertEquals((await listing.toArray({ limit })).length, length);
    assertEquals(server.sent("GET", USERS).length - before, requests);
  }
  assertEquals((await client.getUsers().toArray({})).length, 9);
  const sizes: [
    limit: number,
    options: ListOptions<UserFields>,
    perPage?: string,
  ][] = [
    [2, {}, "2"],
    [25, {}],
    [1, { perPage: 3 }, "3"],
    [1, { all: true }],
    [1, { page: 1 }, "1"],
    [1, { page: 2 }], // of the default size
  ];
  for (const [limit, options, perPage] of sizes) {
    await client.getUsers(options).toArray({ limit });
    assertEquals(server.exchanges.at(-1)?.query["per_page"], perPage);
  }
});

/** A server that holds back each of its first pages at a gate. */
function heldServer(gates: Gate[]) {
  const held = {
    /** How many pages were requested. */
    requests: 0,
    server: serverWith(10, async () => {
      await gates[held.requests++]?.pass();
      return undefined;
    }),
    async [Symbol.asyncDispose]() {
      for (const { open } of gates) open();
      await held.server[Symbol.asyncDispose]();
    },
  };
  return held;
}

Deno.test("pages() requests one page ahead, never more", async () => {
  const gates = Array.from({ length: 5 }, gate);
  await using held = heldServer(gates);
  await using client = held.server.client();
  const pages = client.getUsers({ perPage: 2 }).pages();
  gates[0]?.open();
  await pages.next();
  for (const [index, { reached, open }] of gates.slice(1).entries()) {
    await inTime(reached); // while the caller processes the page before
    open();
    await client.getInfo(); // every earlier request has arrived by now
    assertEquals(held.requests, index + 2);
    await pages.next();
  }
  assertEquals(await pages.next(), { done: true, value: undefined });
  assertEquals(held.requests, 5);
});

type Users = AsyncGenerator<unknown, void, undefined>;

/** The ways to leave a loop. */
const LEAVE: Record<
  string,
  (items: Users, abort: () => void) => Promise<unknown>
> = {
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

for (const [name, leave] of Object.entries(LEAVE)) {
  Deno.test(`Listing cancels the prefetched page on ${name}`, async () => {
    for (const part of ["items", "pages"] as const) {
      const gates = [gate(), gate()];
      gates[0]?.open();
      await using held = heldServer(gates);
      const signals: AbortSignal[] = [];
      await using client = held.server.client({
        fetch: (url, init) => {
          if (url.includes(USERS) && init.signal) signals.push(init.signal);
          return fetch(url, init);
        },
      });
      const counted = new CountedSignal();
      const { signal, controller } = counted;
      const listing = client.getUsers({ perPage: 1, signal });
      const items = part === "pages"
        ? listing.pages()
        : listing[Symbol.asyncIterator]();
      await inTime(leave(items, () => controller.abort("enough")));
      assertEquals(signals.map(({ aborted }) => aborted), [false, true]);
      assertEquals([counted.added, counted.listeners], [1, 0]);
      assertEquals(await items.next(), { done: true, value: undefined });
    }
  });
}

Deno.test("Listing yields all items in order to concurrent next() calls", async () => {
  await using server = serverWith(5);
  await using client = server.client();
  const listing = client.getUsers({ perPage: 2 });
  const items = listing[Symbol.asyncIterator]();
  const results = await Promise.all(
    Array.from({ length: 7 }, () => items.next()),
  );
  assertEquals(results.map(({ value }) => value), [
    ...await listing.toArray(),
    undefined,
    undefined,
  ]);
});

Deno.test("Listing leaves no timer between two items", async () => {
  await using server = serverWith(3);
  const client = server.client();
  await client.login();
  using injector = new FaultInjector();
  const users = client.getUsers()[Symbol.asyncIterator]();
  assertEquals((await users.next()).done, false);
  assertEquals(injector.open, 0);
  await users.return();
});

Deno.test("Listing stops at an abort between two items or after the last page", async () => {
  await using server = serverWith(3);
  await using client = server.client();
  const reason = new RangeError("enough");
  for (const [part, perPage] of [["items", 25], ["items", 1], ["pages", 25]]) {
    const controller = new AbortController();
    const { signal } = controller;
    const listing = client.getUsers({ perPage: Number(perPage), signal });
    const items: Users = part === "pages"
      ? listing.pages()
      : listing[Symbol.asyncIterator]();
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
  await using server = serverWith(
    4,
    () => ++pages === 2 ? apiError(400, "BadRequest", "no") : undefined,
  );
  await using client = server.client();
  const items = client.getUsers({ perPage: 2 })[Symbol.asyncIterator]();
  for (let seen = 0; seen < 2; seen++) await items.next();
  await assertRejects(() => items.next(), DecapodAPIError, "400");
  assertEquals((await items.next()).done, true);
});

const PEOPLE = Array.from({ length: 60 }, (_, index) => ({
  id: String(index * 37 % 60).padStart(3, "0"),
  model: "user",
  version: 1,
  initiator_id: null,
  time_updated: 1,
  time_deleted: 0,
  data: { login: String(index).padStart(3, "0") },
}));

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

/** A server that pages unlike Decapod. */
function deviatingServer(
  { total, unfiltered, unsorted, unpaged, size, claimedSize }: Deviation,
): StandInServer {
  let request = 0;
  return new StandInServer({ servers: 0 }, ({ path, query }) => {
    if (path === "/v1/auth/") return undefined;
    if (++request > MAX_REQUESTS) {
      return apiError(403, "TooMany", "It must end");
    }
    const filter = JSON.parse(query.filter ?? "{}");
    const page = unpaged ? 1 : Number(query.page ?? 1);
    const per_page = size ?? Number(query.per_page ?? 25);
    const found = PEOPLE.filter(({ id }) =>
      unfiltered?.(request) || id > (filter.model_id?.gt ?? "")
    );
    if (query.sort_by?.includes("model_id") && !unsorted) {
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
        await using server = deviatingServer({ ...deviation, total });
        await using client = server.client();
        const ids: string[] = [];
        const read = async () => {
          for await (const { id } of client.getUsers(options)) ids.push(id);
        };
        const error = await inTime(read()).catch((error) => error);
        assertEquals(new Set(ids).size, ids.length, what);
        if (error === undefined) {
          assertEquals(ids.sort(), PEOPLE.map(({ id }) => id).sort(), what);
        } else {
          assertInstanceOf(error, DecapodResponseError, what);
          assert(error.message.startsWith("Cannot list: "), error.message);
          assert(flaw !== "no other flaw", what);
        }
      }
    }
  });
}

Deno.test("Listing yields a complete page whatever its order", async () => {
  await using server = deviatingServer({ unfiltered, unsorted: true });
  await using client = server.client();
  const users = await client.getUsers({ perPage: 60 }).toArray();
  assertEquals(users.map(({ id }) => id), PEOPLE.map(({ id }) => id));
});

Deno.test("Listing reads a page again that grew while it was counted", async () => {
  let rows = 3;
  await using server = new StandInServer({}, ({ path, query }) => {
    if (!path.endsWith("/steps/")) return undefined;
    const page = Number(query.page ?? 1);
    const items = PEOPLE.slice((page - 1) * 5, Math.min(page * 5, rows));
    rows = Math.min(rows + 1, 13); // before the server counts
    return json({ items, page, per_page: 5, total: rows });
  });
  await using client = server.client();
  const steps = await client.getExecutionSteps("any", { perPage: 5 }).toArray();
  assertEquals(
    steps.map(({ id }) => id),
    PEOPLE.slice(0, 13).map(({ id }) => id),
  );
});

Deno.test("Listing ends if the server has empty pages only", async () => {
  await using server = deviatingServer({ size: 0, total: () => 5 });
  await using client = server.client();
  assertEquals(await client.getUsers().toArray(), []);
  await assertRejects(
    () => client.getUsers(SORTED).toArray(),
    DecapodResponseError,
    "Cannot list: ",
  );
});

Deno.test("Listing rejects if the server repeats a page of steps or versions", async () => {
  const repeats = { unfiltered, unpaged: true, size: 5, total: () => 1000 };
  await using server = deviatingServer(repeats);
  await using client = server.client();
  const options = { perPage: 5 };
  for (
    const listing of [
      client.getExecutionSteps("any", options),
      client.getUserVersions("any", options),
    ]
  ) {
    await assertRejects(
      () => listing.toArray(),
      DecapodResponseError,
      "Cannot list: the server keeps returning the same items",
    );
  }
  assert(server.exchanges.length < 40);
});

Deno.test("Listing rejects invalid options however it is used, and sends nothing", async () => {
  await using server = serverWith(1);
  await using client = server.client();
  for (
    const [options, message] of [
      ['{"page":0}', "Invalid page: "],
      ['{"filter":null}', "Invalid filter: "],
      ['{"timeout":-1}', "Invalid timeout: "],
      ['{"retries":-1}', "Invalid retries: "],
      ['{"signal":{}}', "Invalid signal: "],
      ["null", "Invalid options: "],
    ] as const
  ) {
    const listing = client.getUsers(JSON.parse(options));
    const uses: (() => Promise<unknown>)[] = [
      async () => await listing,
      () => listing.toArray(),
      () => listing.pages().next(),
      () => listing[Symbol.asyncIterator]().next(),
    ];
    for (const use of uses) {
      const error = await assertRejects(use, Error, message, options);
      assert(error instanceof TypeError || error instanceof RangeError);
    }
  }
  await assertRejects(
    () => client.getUserVersions("..").toArray(),
    TypeError,
  );
  await assertRejects(
    () => client.getUsers().toArray(JSON.parse('{"most":1}')),
    TypeError,
    'Unknown option "most"',
  );
  assertEquals(server.exchanges, []);
});

Deno.test("getUserVersions() yields nothing for an unknown id", async () => {
  await using server = serverWith(1);
  await using client = server.client();
  const id = crypto.randomUUID();
  assertEquals(await client.getUserVersions(id).toArray(), []);
});

Deno.test("Listing rejects what is not a page of models", async () => {
  for (
    const wrong of [
      { items: {} },
      { items: [null] },
      { items: [{}] },
      { items: [{ id: 1 }] },
      { page: 0 },
      { per_page: "25" },
      { total: -1 },
      { total: 1.5 },
    ]
  ) {
    const page = { items: [], page: 1, per_page: 25, total: 0, ...wrong };
    await using server = serverWith(1, () => json(page));
    await using client = server.client();
    await assertRejects(
      async () => await client.getUsers(),
      DecapodResponseError,
      "it is of another shape",
      JSON.stringify(wrong),
    );
  }
});

Deno.test("Listing of a test's own pages stops at its signal between two items", async () => {
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
