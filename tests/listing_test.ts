/** Listings: one page, every page, one ahead, and nothing left behind. */

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
import { type Exchange, json, StandInServer } from "./support/server.ts";

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

Deno.test("an awaited listing is the page as the server has it", async () => {
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

Deno.test("a listing asks for its own page once, and not before it is used", async () => {
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

Deno.test("a listing that fails rejects whoever awaits it", async () => {
  await using server = serverWith(
    1,
    ({ path }) =>
      path === USERS ? json({ code: 403 }, { status: 403 }) : undefined,
  );
  await using client = server.client();
  const listing = client.getUsers();
  await assertRejects(() => listing.then(), DecapodAPIError);
  assertEquals(await listing.then(() => "there", () => "failed"), "failed");
  assertEquals(server.sent("GET", USERS).length, 1);
  await assertRejects(() => client.getUsers().toArray(), DecapodAPIError);
});

Deno.test("an iteration gives every item of every page", async () => {
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

/** What is asked for, and how many pages and items come of seven users. */
const READ: Record<string, [ListOptions<UserFields>, number, number]> = {
  "nothing said": [{}, 1, 7],
  "pages of one": [{ perPage: 1 }, 7, 7],
  "a page that all fit in exactly": [{ perPage: 7 }, 1, 7],
  "everything on one page": [{ all: true }, 1, 7],
  "everything in an order of one's own": [
    { all: true, perPage: 2, sortBy: { login: 1 } },
    1,
    7,
  ],
  "the second page on": [{ page: 2, perPage: 2 }, 3, 5],
  "the second page on, by login": [
    { page: 2, perPage: 2, sortBy: { login: 1 } },
    3,
    5,
  ],
  "a page past the end": [{ page: 9 }, 1, 0],
  "a page past the end, by login": [{ page: 9, sortBy: { login: 1 } }, 1, 0],
  "nobody": [{ filter: { login: "nobody" } }, 1, 0],
  "nobody, by login": [
    { filter: { login: "nobody" }, sortBy: { login: 1 } },
    1,
    0,
  ],
  "everything of nothing, by login": [
    { all: true, filter: { login: "nobody" }, sortBy: { login: 1 } },
    1,
    0,
  ],
  "no order after all": [{ perPage: 4, sortBy: undefined }, 2, 7],
  "old versions": [{ filter: { is_latest: false } }, 1, 0],
};

for (const [name, [options, pages, items]] of Object.entries(READ)) {
  Deno.test(`an iteration reads ${name}`, async () => {
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

Deno.test("an iteration asks for a stable order with the caller's filter", async () => {
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
  const [first, second, ...more] = await queries({
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

Deno.test("an array holds no more items than its limit", async () => {
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

/** A server that holds back its pages until it is told to answer. */
class Held {
  readonly server: StandInServer;
  /** The pages that have been asked for. */
  asked = 0;
  #gates: PromiseWithResolvers<void>[] = [];
  #arrivals: PromiseWithResolvers<void>[] = [];

  constructor(users: number) {
    this.server = serverWith(users, async ({ path }) => {
      if (path !== USERS) return undefined;
      const place = this.asked++;
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

  /** Waits until a page has been asked for. */
  arrived(place: number): Promise<void> {
    return this.#arrival(place).promise;
  }

  answer(place: number): void {
    this.#gate(place).resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let place = 0; place <= this.asked; place++) this.answer(place);
    await this.server[Symbol.asyncDispose]();
  }
}

Deno.test("each page has a signal of its own, on which no other leaves listeners", async () => {
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

Deno.test("one page is ahead of the caller, never more", async () => {
  await using held = new Held(10);
  await using client = held.server.client();
  const pages = client.getUsers({ perPage: 2 }).pages();
  const first = pages.next();
  await held.arrived(0);
  assertEquals(held.asked, 1);
  held.answer(0);
  await first;
  for (let page = 1; page < 5; page++) {
    await held.arrived(page); // while the caller is at work on the one before
    held.answer(page);
    await client.getInfo(); // what was sent before has come in by now
    assertEquals(held.asked, page + 1);
    await pages.next();
  }
  assertEquals(await pages.next(), { done: true, value: undefined });
  assertEquals(held.asked, 5);
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
  Deno.test(`leaving an iteration by ${name} cancels the page ahead`, async () => {
    for (const part of ["items", "pages"] as const) {
      await using held = new Held(10);
      const signals: AbortSignal[] = [];
      await using client = held.server.client({
        fetch: (url, init) => {
          if (url.includes(USERS) && init.signal) signals.push(init.signal);
          return fetch(url, init);
        },
      });
      const counted = new CountedSignal();
      held.answer(0);
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

Deno.test("an iteration that nobody goes on with keeps no program running", async () => {
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

Deno.test("an abort ends an iteration between two items of a page", async () => {
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

Deno.test("a failing page is reported after the items before it", async () => {
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

/** What a server does otherwise than Decapod. */
interface Lie {
  total?: (real: number, request: number) => number;
  unfiltered?: boolean | ((request: number) => boolean);
  unsorted?: boolean;
  unpaged?: boolean;
  /** How big a page is, and how big it says it is. */
  size?: number;
  says?: number;
}

/** A server that is not quite Decapod. */
function liar(lie: Lie): StandInServer {
  let request = 0;
  return new StandInServer({ servers: 0 }, ({ path, query }) => {
    if (path !== USERS) return undefined;
    request++;
    const filter = JSON.parse(query.filter ?? "{}");
    const sortBy = JSON.parse(query.sort_by ?? "{}");
    const page = lie.unpaged ? 1 : Number(query.page ?? 1);
    const size = lie.size ?? Number(query.per_page ?? 25);
    const unfiltered = typeof lie.unfiltered === "function"
      ? lie.unfiltered(request)
      : lie.unfiltered;
    const found = PEOPLE.filter(({ id }) =>
      unfiltered || id > (filter.model_id?.gt ?? "")
    );
    if ("model_id" in sortBy && !lie.unsorted) {
      found.sort((a, b) => a.id < b.id ? -1 : 1);
    }
    const total = lie.total?.(found.length, request) ?? found.length;
    const items = found.slice((page - 1) * size, page * size);
    const { says = size } = lie;
    return json({ items, page, per_page: request > 1 ? says : size, total });
  });
}

const LIES: Record<string, Lie> = {
  "has too small a total": { total: () => 1 },
  "has no total": { total: () => 0 },
  "has too big a total": { total: () => 1000 },
  "has a total that goes up and down": {
    total: (real, request) => Math.max(0, real + (request % 3 - 1) * 7),
  },
  "has a total that grows": { total: (_, request) => 100 * request },
  "ignores the filter": { unfiltered: true },
  "ignores the order": { unsorted: true },
  "ignores filter and order": { unfiltered: true, unsorted: true },
  "ignores the filter, its total too big": {
    unfiltered: true,
    total: () => 1000,
  },
  "has a page size of its own": { size: 10 },
  "has a page size of its own and ignores the filter": {
    size: 10,
    unfiltered: true,
  },
};

for (const [name, lie] of Object.entries(LIES)) {
  Deno.test(`nothing is lost or endless where a server ${name}`, async () => {
    await using server = liar(lie);
    await using client = server.client();
    const lists: ListOptions<UserFields>[] = [
      {},
      { perPage: 20 },
      { perPage: 7 },
      { perPage: 60 },
      { perPage: 7, sortBy: { login: 1 } },
      { sortBy: { login: 1 } },
    ];
    for (const options of lists) {
      const items = await client.getUsers(options).toArray();
      assertEquals(
        items.map(({ id }) => id).sort(),
        PEOPLE.map(({ id }) => id).sort(),
        JSON.stringify(options),
      );
    }
  });
}

Deno.test("a server that always gives the same page is found out", async () => {
  for (
    const total of [() => 1000, (_: number, request: number) => 100 * request]
  ) {
    await using server = liar({ unpaged: true, unfiltered: true, total });
    await using client = server.client();
    for (const sortBy of [undefined, { login: 1 } as const]) {
      const before = server.exchanges.length;
      const seen: string[] = [];
      const error = await assertRejects(async () => {
        for await (const { id } of client.getUsers({ perPage: 5, sortBy })) {
          seen.push(id);
        }
      }, DecapodResponseError);
      assertEquals(
        error.message,
        "Cannot list: the server promises more items but keeps giving the same",
      );
      assertEquals(new Set(seen).size, seen.length);
      assert(server.exchanges.length - before < 40);
    }
  }
});

Deno.test("a page that grows while it is counted is read again, and told once", async () => {
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

Deno.test("a server that says wrong page sizes loses nothing, or is found out", async () => {
  await using server = liar({ size: 10, says: 0 });
  await using client = server.client();
  assertEquals((await client.getUsers().toArray()).length, 60);
  await assertRejects(
    () => client.getUsers({ sortBy: { login: 1 } }).toArray(),
    DecapodResponseError,
    "Cannot list: the server gave 10 items on a page of 0",
  );
  await using empty = liar({ size: 0, total: () => 5 });
  const other = empty.client();
  for (const sortBy of [undefined, { login: 1 } as const]) {
    assertEquals(await other.getUsers({ sortBy }).toArray(), []);
  }
  await other.logout();
  // Nothing on a page of nothing, although there is to be more.
  const items = PEOPLE.slice(0, 2);
  let pages = 0;
  await using vague = new StandInServer(
    {},
    ({ path }) =>
      path !== USERS
        ? undefined
        : ++pages === 1
        ? json({ items, page: 1, per_page: 2, total: 9 })
        : json({ items: [], page: 2, per_page: 0, total: 9 }),
  );
  await using third = vague.client();
  const found = await third.getUsers({ sortBy: { login: 1 } }).toArray();
  assertEquals(found.length, 2);
});

Deno.test("a server that forgets about the filter on the way is found out", async () => {
  await using server = liar({ unfiltered: (request) => request > 2 });
  await using client = server.client();
  const seen: string[] = [];
  await assertRejects(
    async () => {
      for await (const { id } of client.getUsers({ perPage: 5 })) seen.push(id);
    },
    DecapodResponseError,
    'Cannot list: the server was asked for ids after "009" and gave others',
  );
  assertEquals(seen.length, 10);
});

const BAD: [ListOptions<UserFields>, typeof TypeError, string][] = [
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
    'Invalid options: there is no "per_page"',
  ],
  [{ timeout: -1 }, RangeError, "Invalid timeout: "],
  [{ retries: -1 }, RangeError, "Invalid retries: "],
  [JSON.parse('{"signal":{}}'), TypeError, "Invalid signal: "],
  [JSON.parse("null"), TypeError, "Invalid options: "],
];

Deno.test("what no listing can be made of is refused, and nothing is sent", async () => {
  await using server = serverWith(1);
  await using client = server.client();
  for (const [options, Class, message] of BAD) {
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
      "Invalid options: there is no",
    );
  }
  await assertRejects(
    () => client.getUserVersions("..").toArray(),
    TypeError,
  );
  await assertRejects(
    () => client.getUsers().toArray(JSON.parse('{"most":1}')),
    TypeError,
    'there is no "most"',
  );
  assertEquals(server.exchanges, []);
});

Deno.test("an unknown id has no versions", async () => {
  await using server = serverWith(1);
  await using client = server.client();
  const id = crypto.randomUUID();
  assertEquals(await client.getUserVersions(id).toArray(), []);
});
