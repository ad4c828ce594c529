/** Benchmarks of a long listing, for a fast and for a slow consumer. */

import { StandIn } from "../standin/mod.ts";
import { type Contest, register } from "./contest.ts";
import { carefulFetch } from "./raw.ts";
import { serveAnswers, type Site } from "./site.ts";

const ITEMS = 10_000;
const PER_PAGE = 100;

/** How long the slow server and the slow consumer take per page, in ms. */
const DELAY = 5;

const standIn = new StandIn({ servers: 0 });
standIn.seedUsers(ITEMS - 1); // besides root
const fast = await serveAnswers(standIn);
const slow = await serveAnswers(standIn, DELAY);

function work(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, DELAY));
}

async function iterated(
  { client }: Site,
  work?: () => Promise<void>,
): Promise<number> {
  let sum = 0;
  for await (const { version } of client.getUsers({ perPage: PER_PAGE })) {
    sum += version;
    if (work !== undefined && sum % PER_PAGE === 0) await work();
  }
  return sum;
}

async function handWritten(
  { url, headers }: Site,
  work?: () => Promise<void>,
): Promise<number> {
  let sum = 0;
  for (let number = 1;; number++) {
    const { items, total } = await carefulFetch<
      { items: { version: number }[]; total: number }
    >(`${url}/v1/user/?page=${number}&per_page=${PER_PAGE}`, headers);
    for (const { version } of items) sum += version;
    await work?.();
    if (number * PER_PAGE >= total) return sum;
  }
}

async function all({ client }: Site): Promise<number> {
  const { items } = await client.getUsers({ all: true });
  return items.reduce((sum, { version }) => sum + version, 0);
}

/** The comparisons. */
export const contests: Contest[] = [
  {
    name: "10,000 items",
    ways: {
      "for await": () => iterated(fast),
      "loop over pages": () => handWritten(fast),
      "all: true": () => all(fast),
    },
    targets: [
      { against: "loop over pages", of: "time", wanted: 1.1 },
      { against: "all: true", of: "time" },
    ],
  },
  {
    name: "10,000 items, 5 ms for each page and 5 ms of work",
    ways: {
      "for await": () => iterated(slow, work),
      "loop over pages": () => handWritten(slow, work),
    },
    targets: [{ against: "loop over pages", of: "speed", wanted: 1.5 }],
    rounds: 10,
  },
];

contests.forEach(register);
