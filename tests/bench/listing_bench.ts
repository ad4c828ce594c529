/** Benchmarks of a long listing and of a page of 5 MB. */

import { delay } from "@std/async/delay";
import { StandIn } from "../standin/mod.ts";
import { register } from "./contest.ts";
import { carefulFetch, plainFetch, serveCached, type Site } from "./site.ts";

const ITEMS = 10_000;
const PER_PAGE = 100;

/** The number of users in 5 MB of JSON. */
const USERS = 21_000;

/** How long the slow server and the slow consumer take per page, in ms. */
const DELAY = 5;

interface Page {
  items: { version: number }[];
  total: number;
}

/** A stand-in with this many users. */
function standInOf(users: number): StandIn {
  const standIn = new StandIn({ servers: 0 });
  standIn.seedUsers(users - 1); // besides root
  return standIn;
}

const standIn = standInOf(ITEMS);
const fast = await serveCached(standIn);
const slow = await serveCached(standIn, DELAY);
const { url, client, headers } = await serveCached(standInOf(USERS));
const pageUrl = `${url}/v1/user/?all=1`;
const text = await (await fetch(pageUrl, { headers })).text();

async function iterated({ client }: Site, work = 0): Promise<number> {
  let sum = 0;
  for await (const { version } of client.getUsers({ perPage: PER_PAGE })) {
    sum += version;
    if (work > 0 && sum % PER_PAGE === 0) await delay(work);
  }
  return sum;
}

async function handWritten({ url, headers }: Site, work = 0): Promise<number> {
  let sum = 0;
  for (let number = 1;; number++) {
    const query = `page=${number}&per_page=${PER_PAGE}`;
    const { items, total } = await carefulFetch<Page>(
      `${url}/v1/user/?${query}`,
      headers,
    );
    for (const { version } of items) sum += version;
    if (work > 0) await delay(work);
    if (number * PER_PAGE >= total) return sum;
  }
}

async function sum(page: Page | PromiseLike<Page>): Promise<number> {
  const { items } = await page;
  return items.reduce((sum, { version }) => sum + version, 0);
}

async function count(page: Page | PromiseLike<Page>): Promise<number> {
  return (await page).items.length;
}

/** The comparisons. */
export const contests = register(
  {
    name: "10,000 items",
    ways: {
      "for await": () => iterated(fast),
      "loop over pages": () => handWritten(fast),
      "all: true": () => sum(fast.client.getUsers({ all: true })),
    },
    targets: [
      { against: "loop over pages", of: "time", wanted: 1.1 },
      { against: "all: true", of: "time" },
    ],
  },
  {
    name: "10,000 items, 5 ms for each page and 5 ms of work",
    ways: {
      "for await": () => iterated(slow, DELAY),
      "loop over pages": () => handWritten(slow, DELAY),
    },
    targets: [{ against: "loop over pages", of: "speed", wanted: 1.5 }],
    rounds: 10,
  },
  {
    name: "a page of 5 MB",
    ways: {
      "getUsers": () => count(client.getUsers({ all: true })),
      "careful fetch": () => count(carefulFetch<Page>(pageUrl, headers)),
      "plain fetch": () => count(plainFetch<Page>(pageUrl, headers)),
      "JSON.parse": () => count(JSON.parse(text)),
    },
    targets: [
      { against: "careful fetch", of: "speed" },
      { against: "plain fetch", of: "speed" },
      { against: "JSON.parse", of: "speed" },
    ],
    rounds: 50,
    bytes: text.length,
  },
);
