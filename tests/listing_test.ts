/** Tests of listings: awaited, iterated, left and refused. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodResponseError,
  Listing,
  type ListOptions,
} from "../mod.ts";
import type { UserFields } from "../models.ts";
import { CountedSignal, replace } from "./support/patch.ts";
import {
  apiError,
  type Exchange,
  json,
  StandInServer,
} from "./support/server.ts";

const USERS = "/v1/user/";

/** A server with so many users; root is one of them. */
function serverWith(
  users: number,
  before?: (
    exchange: Exchange,
  ) => Response | undefined | Promise<Response | undefined>,
): StandInServer {
  const server = new StandInServer({ servers: 0 }, before);
  server.standIn.seedUsers(users - 1);
  return server;
}

Deno.test("Listing returns the page that it is awaited for", async () => {
  await using server = serverWith(5);
  await using client = server.client();
  const { items, ...rest } = await client.getUsers({ page: 2, perPage: 2 });
  assertEquals(rest, { page: 2, per_page: 2, total: 5 });
  assertEquals(items.length, 2);
  const whole = await client.getUsers({ all: true });
  assertEquals(whole.items.length, 5);
  assertEquals(server.sent("GET", USERS).map(({ query }) => query), [
    { page: "2", per_page: "2" },
    { all: "1" },
  ]);
});

Deno.test("Listing requests its page once, and only when it is used", async () => {
  await using server = serverWith(3);
  await using client = server.client();
  const listing = client.getUsers();
  assertInstanceOf(listing, Listing);
  assertEquals(server.exchanges, []);
  const [first, second] = await Promise.all([listing, listing]);
  assertStrictEquals(first, second);
  assertStrictEquals(await listing, first);
  assertEquals(server.sent("GET", USERS).length, 1);
});

Deno.test("Listing requests a failed page anew when it is awaited again", async () => {
  let failures = 2;
  await using server = serverWith(
    1,
    ({ path }) =>
      path === USERS && failures-- > 0
        ? apiError(403, "Forbidden", "no")
        : undefined,
  );
  await using client = server.client();
  const listing = client.getUsers();
  // Awaited at the same time, they share a request.
  const errors = await Promise.all([
    assertRejects(() => listing.then(), DecapodAPIError),
    listing.catch((error: unknown) => error),
  ]);
  assertStrictEquals(errors[0], errors[1]);
  assertEquals(server.sent("GET", USERS).length, 1);
  assertEquals(await listing.then(() => "page", () => "error"), "error");
  assertEquals(server.sent("GET", USERS).length, 2);
  const page = await listing;
  assertEquals(page.total, 1);
  assertStrictEquals(await listing, page);
  assertEquals(server.sent("GET", USERS).length, 3);
});

Deno.test("Listing has the catch and finally of a promise", async () => {
  let failing = true;
  await using server = serverWith(
    1,
    ({ path }) =>
      path === USERS && failing ? apiError(403, "Forbidden", "no") : undefined,
  );
  await using client = server.client();
  const calls: string[] = [];
  const listing = client.getUsers();
  await assertRejects(
    () => listing.finally(() => calls.push("failed")),
    DecapodAPIError,
  );
  assertEquals(await listing.catch(() => 5), 5);
  failing = false;
  const page = await listing.catch(() => undefined);
  assertEquals(page?.total, 1);
  assertStrictEquals(await listing.finally(() => calls.push("done")), page);
  assertEquals(calls, ["failed", "done"]);
});

Deno.test("Listing becomes its page when an async function returns it", async () => {
  await using server = serverWith(3);
  await using client = server.client();
  const page = await (() => Promise.resolve(client.getUsers()))();
  assertEquals(page.total, 3);
  const { listing } = await Promise.resolve({ listing: client.getUsers() });
  assertEquals((await listing.toArray()).length, 3);
});

Deno.test("Listing yields every item of every page", async () => {
  await using server = serverWith(7);
  await using client = server.client();
  const listing = client.getUsers({ perPage: 3 });
  for (let round = 0; round < 2; round++) {
    const ids = new Set<string>();
    for await (const { id } of listing) ids.add(id);
    assertEquals(ids.size, 7);
  }
  const pages = [];
  for await (const page of listing.pages()) pages.push(page);
  assertEquals(
    pages.map(({ items, page, per_page, total }) => [
      items.length,
      page,
      per_page,
      total,
    ]),
    [[3, 1, 3, 7], [3, 2, 3, 7], [1, 3, 3, 7]],
  );
});

/** Options, and how many pages and items seven users make. */
const READ: Record<string, [ListOptions<UserFields>, number, number]> = {
  "no options": [{}, 1, 7],
  "pages of one": [{ perPage: 1 }, 7, 7],
  "one full page": [{ perPage: 7 }, 1, 7],
  "everything on one page": [{ all: true }, 1, 7],
  "everything on one page, sorted": [
    { all: true, perPage: 2, sortBy: { login: 1 } },
    1,
    7,
  ],
  "the pages from the second on": [{ page: 2, perPage: 2 }, 3, 5],
  "the pages from the second on, sorted": [
    { page: 2, perPage: 2, sortBy: { login: 1 } },
    3,
    5,
  ],
  "a page past the end": [{ page: 9 }, 1, 0],
  "a page past the end, sorted": [{ page: 9, sortBy: { login: 1 } }, 1, 0],
  "nothing": [{ filter: { login: "nothing" } }, 1, 0],
  "nothing, sorted": [
    { filter: { login: "nothing" }, sortBy: { login: 1 } },
    1,
    0,
  ],
  "nothing on one page, sorted": [
    { all: true, filter: { login: "nothing" }, sortBy: { login: 1 } },
    1,
    0,
  ],
  "an undefined order": [{ perPage: 4, sortBy: undefined }, 2, 7],
  "old versions": [{ filter: { is_latest: false } }, 1, 0],
};

for (const [name, [options, pages, items]] of Object.entries(READ)) {
  Deno.test(`Listing iterates over ${name}`, async () => {
    await using server = serverWith(7);
    await using client = server.client();
    const listing = client.getUsers(options);
    let seen = 0;
    const ids = new Set<string>();
    for await (const page of listing.pages()) {
      seen++;
      for (const { id } of page.items) ids.add(id);
    }
    assertEquals([seen, ids.size], [pages, items]);
    assertEquals(server.sent("GET", USERS).length, pages);
    assertEquals((await listing.toArray()).length, items);
  });
}

Deno.test("Listing adds a stable order to the caller's filter", async () => {
  await using server = serverWith(6);
  await using client = server.client();
  const queries = async (options: ListOptions<UserFields>) => {
    const before = server.exchanges.length;
    await client.getUsers({ perPage: 2, ...options }).toArray();
    return server.exchanges.slice(before)
      .filter(({ path }) => path === USERS)
      .map(({ query }) => [query.sort_by, query.filter, query.page]);
  };
  const byId = '{"model_id":1}';
  const [, first, second, ...more] = await queries({
    filter: { login: { regexp: "^user" }, model_id: { lt: "g" } },
  });
  assertEquals(
    first,
    [byId, '{"login":{"regexp":"^user"},"model_id":{"lt":"g"}}', undefined],
  );
  assertEquals(
    second?.[1]?.replace(/"gt":"[0-9a-f-]{36}"/, "…"),
    '{"login":{"regexp":"^user"},"model_id":{"lt":"g",…}}',
  );
  assertEquals(more.length, 1);
  const { items: [one] } = await client.getUsers();
  assert(one);
  assertEquals(await queries({ filter: { model_id: one.id } }), [
    [byId, JSON.stringify({ model_id: one.id }), undefined],
  ]);
  assertEquals(
    (await queries({ filter: { model_id: { in: [one.id, "x"] } } })).length,
    1,
  );
  const own = await queries({ sortBy: { full_name: -1 } });
  assertEquals(
    new Set(own.map(([sortBy]) => sortBy)),
    new Set(['{"full_name":-1,"_id":1}']),
  );
  // Each page begins with an item of the page before.
  const [, next] = server.sent("GET", USERS).slice(-own.length);
  assert(next);
  assertEquals(next.query.per_page === "2", false);
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
});

/** A server that holds back each page until respond() is called. */
class HeldServer {
  readonly server: StandInServer;
  /** How many pages were requested. */
  requests = 0;
  #gates: PromiseWithResolvers<void>[] = [];
  #arrivals: PromiseWithResolvers<void>[] = [];

  constructor(users: number) {
    this.server = serverWith(users, async ({ path }) => {
      if (path !== USERS) return undefined;
      const place = this.requests++;
      this.#arrival(place).resolve();
      await this.#gate(place).promise;
      return undefined;
    });
  }

  #arrival(place: number) {
    return this.#arrivals[place] ??= Promise.withResolvers();
  }

  #gate(place: number) {
    return this.#gates[place] ??= Promise.withResolvers();
  }

  /** Waits until a page has been requested. */
  arrived(place: number): Promise<void> {
    return this.#arrival(place).promise;
  }

  respond(place: number): void {
    this.#gate(place).resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let place = 0; place <= this.requests; place++) this.respond(place);
    await this.server[Symbol.asyncDispose]();
  }
}

Deno.test("Listing requests each page with its own signal", async () => {
  await using server = serverWith(60);
  const signals = new Set<unknown>();
  const client = server.client({
    fetch(url, init) {
      signals.add(init.signal);
      return fetch(url, init);
    },
  });
  const users = await client.getUsers({ perPage: 10 }).toArray();
  assertEquals(users.length, 60);
  assertEquals(signals.size, server.exchanges.length);
});

Deno.test("pages() requests one page ahead, never more", async () => {
  await using held = new HeldServer(10);
  await using client = held.server.client();
  const pages = client.getUsers({ perPage: 2 }).pages();
  const first = pages.next();
  await held.arrived(0);
  assertEquals(held.requests, 1);
  held.respond(0);
  await first;
  for (let page = 1; page < 5; page++) {
    await held.arrived(page); // while the caller processes the page before
    held.respond(page);
    await client.getInfo(); // every earlier request has arrived by now
    assertEquals(held.requests, page + 1);
    await pages.next();
  }
  assertEquals(await pages.next(), { done: true, value: undefined });
  assertEquals(held.requests, 5);
});

/** The ways to leave a loop. */
const LEAVE: Record<
  string,
  (items: AsyncIterable<unknown>, abort: () => void) => Promise<void>
> = {
  break: async (items) => {
    for await (const _ of items) break;
  },
  return: async (items) => {
    const iterator = items[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.return?.();
  },
  throw: async (items) => {
    const own = new Error("mine");
    const error = await assertRejects(async () => {
      for await (const _ of items) throw own;
    });
    assertStrictEquals(error, own);
  },
  abort: async (items, abort) => {
    const iterator = items[Symbol.asyncIterator]();
    await iterator.next();
    const next = iterator.next();
    abort();
    assertEquals(await next.catch((reason) => reason), "enough");
    assertEquals(await iterator.next(), { done: true, value: undefined });
  },
};

for (const [name, leave] of Object.entries(LEAVE)) {
  Deno.test(`Listing cancels the prefetched page on ${name}`, async () => {
    for (const part of ["items", "pages"] as const) {
      await using held = new HeldServer(10);
      const signals: AbortSignal[] = [];
      await using client = held.server.client({
        fetch: (url, init) => {
          if (url.includes(USERS) && init.signal) signals.push(init.signal);
          return fetch(url, init);
        },
      });
      const counted = new CountedSignal();
      held.respond(0);
      const { signal } = counted;
      const listing = client.getUsers({ perPage: 1, signal });
      await leave(
        part === "items" ? listing : listing.pages(),
        () => counted.controller.abort("enough"),
      );
      assertEquals(signals.map(({ aborted }) => aborted), [false, true]);
      assertEquals(counted.listeners, 0);
      assertEquals(counted.added, 1);
    }
  });
}

Deno.test("Listing leaves no timer between two items", async () => {
  await using server = new StandInServer();
  const client = server.client();
  await client.login();
  const running = new Set<unknown>();
  const { setTimeout, clearTimeout } = globalThis;
  const set = (...args: Parameters<typeof setTimeout>) => {
    const timer = setTimeout(...args);
    running.add(timer);
    return timer;
  };
  using _set = replace(
    globalThis,
    "setTimeout",
    Object.assign(set, setTimeout),
  );
  using _clear = replace(globalThis, "clearTimeout", (timer) => {
    running.delete(timer);
    clearTimeout(timer);
  });
  const users = client.getUsers()[Symbol.asyncIterator]();
  assertEquals((await users.next()).done, false);
  assertEquals(running.size, 0);
  await users.return();
});

Deno.test("Listing stops at an abort between two items of a page", async () => {
  await using server = serverWith(3);
  await using client = server.client();
  for (const options of [{}, { perPage: 1 }]) {
    const controller = new AbortController();
    const { signal } = controller;
    const seen: string[] = [];
    const error = await assertRejects(async () => {
      for await (const { id } of client.getUsers({ ...options, signal })) {
        seen.push(id);
        controller.abort(new RangeError("enough"));
      }
    }, RangeError);
    assertStrictEquals(error, signal.reason);
    assertEquals(seen.length, 1);
    await assertRejects(
      () => client.getUsers({ signal }).toArray(),
      RangeError,
    );
    await assertRejects(
      async () => await client.getUsers({ signal }),
      RangeError,
    );
  }
});

Deno.test("Listing rejects with a page's error after the items before it", async () => {
  let pages = 0;
  await using server = serverWith(
    4,
    ({ path }) =>
      path === USERS && ++pages === 2
        ? json({ code: 400, error: "BadRequest", message: "no" }, {
          status: 400,
        })
        : undefined,
  );
  await using client = server.client();
  const seen: string[] = [];
  await assertRejects(async () => {
    for await (const { id } of client.getUsers({ perPage: 2 })) seen.push(id);
  }, DecapodAPIError);
  assertEquals(seen.length, 2);
});

const PEOPLE = Array.from({ length: 60 }, (_, index) => ({
  id: String(index * 37 % 60).padStart(3, "0"),
  model: "user",
  version: 1,
  initiator_id: null,
  time_updated: 1,
  time_deleted: 0,
  data: {
    login: String(index).padStart(3, "0"),
    email: "",
    full_name: "",
    role_id: null,
  },
}));

/** How a server pages unlike Decapod. */
interface Deviation {
  total?: (real: number, request: number) => number;
  unfiltered?: boolean | ((request: number) => boolean);
  unsorted?: boolean;
  unpaged?: boolean;
  /** The size of the pages, and the size that they claim to have. */
  size?: number;
  claimedSize?: number;
}

/** A server that pages unlike Decapod. */
function deviatingServer(deviation: Deviation): StandInServer {
  let request = 0;
  return new StandInServer({ servers: 0 }, ({ path, query }) => {
    if (path !== USERS) return undefined;
    request++;
    const filter = JSON.parse(query.filter ?? "{}");
    const sortBy = JSON.parse(query.sort_by ?? "{}");
    const page = deviation.unpaged ? 1 : Number(query.page ?? 1);
    const size = deviation.size ?? Number(query.per_page ?? 25);
    const unfiltered = typeof deviation.unfiltered === "function"
      ? deviation.unfiltered(request)
      : deviation.unfiltered;
    const found = PEOPLE.filter(({ id }) =>
      unfiltered || id > (filter.model_id?.gt ?? "")
    );
    if ("model_id" in sortBy && !deviation.unsorted) {
      found.sort((a, b) => a.id < b.id ? -1 : 1);
    }
    const total = deviation.total?.(found.length, request) ?? found.length;
    const items = found.slice((page - 1) * size, page * size);
    const { claimedSize = size } = deviation;
    const per_page = request > 1 ? claimedSize : size;
    return json({ items, page, per_page, total });
  });
}

/** Deviations, and whether a listing copes with them. */
const DEVIATIONS: Record<string, [Deviation, copes: boolean]> = {
  "too small a total": [{ total: () => 1 }, true],
  "no total": [{ total: () => 0 }, true],
  "too big a total": [{ total: () => 1000 }, true],
  "a total that goes up and down": [{
    total: (real, request) => Math.max(0, real + (request % 3 - 1) * 7),
  }, true],
  "a growing total": [{ total: (_, request) => 100 * request }, true],
  "no filters": [{ unfiltered: true }, false],
  "no orders": [{ unsorted: true }, false],
  "neither filters nor orders": [{ unfiltered: true, unsorted: true }, false],
  "no filters and too big a total": [{
    unfiltered: true,
    total: () => 1000,
  }, false],
  "its own page size": [{ size: 10 }, false],
  "its own page size and no filters": [{ size: 10, unfiltered: true }, false],
  "the same page for each number": [{
    unpaged: true,
    unfiltered: true,
    total: () => 1000,
  }, false],
  "the same page and a growing total": [{
    unpaged: true,
    unfiltered: true,
    total: (_, request) => 100 * request,
  }, false],
  "pages that claim to be empty": [{ size: 10, claimedSize: 0 }, false],
  "filters that stop working": [{
    unfiltered: (request) => request > 2,
  }, false],
};

for (const [name, [deviation, copes]] of Object.entries(DEVIATIONS)) {
  Deno.test(`Listing yields all items or rejects if the server has ${name}`, async () => {
    const queries: ListOptions<UserFields>[] = [
      {},
      { perPage: 20 },
      { perPage: 7 },
      { perPage: 60 },
      { perPage: 7, sortBy: { login: 1 } },
      { sortBy: { login: 1 } },
    ];
    for (const options of queries) {
      await using server = deviatingServer(deviation);
      await using client = server.client();
      const ids: string[] = [];
      const read = async () => {
        for await (const { id } of client.getUsers(options)) ids.push(id);
      };
      const error = await read().catch((error) => error);
      const query = JSON.stringify(options);
      assertEquals(new Set(ids).size, ids.length, query);
      assert(server.exchanges.length < 100, query);
      if (error === undefined) {
        assertEquals(ids.sort(), PEOPLE.map(({ id }) => id).sort(), query);
      } else {
        assertInstanceOf(error, DecapodResponseError, query);
        assert(error.message.startsWith("Cannot list: "), error.message);
        assertEquals(copes, false, query);
      }
    }
  });
}

Deno.test("Listing yields a complete page whatever its order", async () => {
  await using server = deviatingServer({ unfiltered: true, unsorted: true });
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
    () => client.getUsers({ sortBy: { login: 1 } }).toArray(),
    DecapodResponseError,
    "Cannot list: ",
  );
  assert(server.exchanges.length < 30);
});

Deno.test("Listing rejects if the server repeats a page of steps or versions", async () => {
  await using server = new StandInServer({ servers: 0 }, ({ path, query }) => {
    if (!/\/(?:steps|version)\/$/.test(path)) return undefined;
    const page = Number(query.page ?? 1);
    const items = PEOPLE.slice(0, 5);
    return json({ items, page, per_page: 5, total: 1000 });
  });
  await using client = server.client();
  for (
    const listing of [
      client.getExecutionSteps("any", { perPage: 5 }),
      client.getUserVersions("any", { perPage: 5 }),
    ]
  ) {
    const before = server.exchanges.length;
    await assertRejects(
      () => listing.toArray(),
      DecapodResponseError,
      "Cannot list: the server keeps returning the same items",
    );
    assert(server.exchanges.length - before < 20);
  }
});

const INVALID: [ListOptions<UserFields>, typeof TypeError, string][] = [
  [{ page: 0 }, RangeError, "Invalid page: "],
  [{ page: 1.5 }, RangeError, "Invalid page: "],
  [{ perPage: -1 }, RangeError, "Invalid perPage: "],
  [{ perPage: NaN }, RangeError, "Invalid perPage: "],
  [{ sortBy: {} }, TypeError, "Invalid sortBy: "],
  [JSON.parse('{"sortBy":null}'), TypeError, "Invalid sortBy: "],
  [JSON.parse('{"sortBy":"login"}'), TypeError, "Invalid sortBy: "],
  [JSON.parse('{"sortBy":{"login":2}}'), RangeError, "Invalid sortBy.login: "],
  [JSON.parse('{"filter":null}'), TypeError, "Invalid filter: "],
  [JSON.parse('{"filter":{"id":"a"}}'), TypeError, "Invalid filter.id: "],
  [
    JSON.parse('{"filter":{"model_id":null}}'),
    TypeError,
    "Invalid filter.model_id",
  ],
  [JSON.parse('{"all":1}'), TypeError, "Invalid all: "],
  [
    JSON.parse('{"per_page":1}'),
    TypeError,
    'Unknown option "per_page": did you mean "perPage"?',
  ],
  [{ timeout: -1 }, RangeError, "Invalid timeout: "],
  [{ retries: -1 }, RangeError, "Invalid retries: "],
  [JSON.parse('{"signal":{}}'), TypeError, "Invalid signal: "],
  [JSON.parse("null"), TypeError, "Invalid options: "],
];

Deno.test("Listing rejects invalid options and sends nothing", async () => {
  await using server = serverWith(1);
  await using client = server.client();
  for (const [options, Class, message] of INVALID) {
    const shown = JSON.stringify(options);
    const uses: (() => Promise<unknown>)[] = [
      async () => await client.getUsers(options),
      () => client.getUsers(options).toArray(),
      () => client.getUsers(options).pages().next(),
      () => client.getUsers(options)[Symbol.asyncIterator]().next(),
    ];
    for (const use of uses) await assertRejects(use, Class, message, shown);
  }
  for (const limit of [NaN, -1, 1.5]) {
    await assertRejects(
      () => client.getUsers().toArray({ limit }),
      RangeError,
      "Invalid limit: ",
    );
  }
  const ignored: ListOptions<UserFields>[] = [
    { filter: { login: "root" } },
    { sortBy: { version: 1 } },
  ];
  for (const options of ignored) {
    await assertRejects(
      () => client.getUserVersions("some", options).toArray(),
      TypeError,
      "Unknown option",
    );
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
  const page = { items: [], page: 1, per_page: 25, total: 0 };
  const bodies = [
    { ...page, items: {} },
    { ...page, items: [null] },
    { ...page, items: [{}] },
    { ...page, items: [{ id: 1 }] },
    { ...page, page: 0 },
    { ...page, per_page: "25" },
    { ...page, total: -1 },
    { ...page, total: 1.5 },
  ];
  for (const body of bodies) {
    await using server = serverWith(
      1,
      ({ path }) => path === USERS ? json(body) : undefined,
    );
    await using client = server.client();
    await assertRejects(
      async () => await client.getUsers(),
      DecapodResponseError,
      "it is of another shape",
      JSON.stringify(body),
    );
  }
});

Deno.test("Listing.pages() rejects if the signal is aborted after the last page", async () => {
  await using server = serverWith(1);
  await using client = server.client();
  const controller = new AbortController();
  const { signal } = controller;
  const pages = client.getUsers({ signal }).pages();
  assertEquals((await pages.next()).value?.total, 1);
  controller.abort("enough");
  assertEquals(await pages.next().catch((reason) => reason), "enough");
  assertEquals((await pages.next()).done, true);
});
