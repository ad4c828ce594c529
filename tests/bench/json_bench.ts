/** Benchmark of a page of 5 MB. */

import { StandIn } from "../standin/mod.ts";
import { type Contest, register } from "./contest.ts";
import { carefulFetch, plainFetch } from "./raw.ts";
import { serveAnswers } from "./site.ts";

/** The number of users in 5 MB of JSON. */
const USERS = 21_000;

interface Page {
  items: unknown[];
}

const standIn = new StandIn({ servers: 0 });
standIn.seedUsers(USERS - 1); // besides root
const { url, client, headers } = await serveAnswers(standIn);
const page = `${url}/v1/user/?all=1`;
const text = await (await fetch(page, { headers })).text();

async function count(page: PromiseLike<Page>): Promise<number> {
  return (await page).items.length;
}

/** The comparisons. */
export const contests: Contest[] = [{
  name: "a page of 5 MB",
  ways: {
    "getUsers": () => count(client.getUsers({ all: true })),
    "careful fetch": () => count(carefulFetch<Page>(page, headers)),
    "plain fetch": () => count(plainFetch<Page>(page, headers)),
    "JSON.parse": () => {
      const { items }: Page = JSON.parse(text);
      return items.length;
    },
  },
  targets: [
    { against: "careful fetch", of: "speed" },
    { against: "plain fetch", of: "speed" },
    { against: "JSON.parse", of: "speed" },
  ],
  rounds: 50,
  bytes: text.length,
}];

contests.forEach(register);
