/** Benchmark of followExecution(): requests, bytes, time. */

import { Client, type Execution, type V1Client } from "../../mod.ts";
import { StandIn } from "../standin/mod.ts";
import { skipWaits } from "../support/time.ts";
import { register } from "./contest.ts";

const STEPS = 1000;

/** The duration of all steps, and the polling interval, in ms. */
const DURATION = 600_000;
const INTERVAL = 1000;

/** The timeout of requests, which must not be skipped. */
const TIMEOUT = 60_000;

/** Returns the number of steps. */
type Follow = (client: V1Client, id: string) => Promise<number>;

/** Ways to follow an execution. */
const FOLLOWERS: Record<string, Follow> = {
  async "followExecution"(client, id) {
    let steps = 0;
    const events = client.followExecution(id, { interval: INTERVAL });
    for await (const { type } of events) if (type === "step") steps++;
    return steps;
  },
  async "all steps at each poll"(client, id) {
    for (;;) {
      const execution: Execution = await client.getExecution(id);
      const { items } = await client.getExecutionSteps(id, { all: true });
      if (execution.data.state === "completed") return items.length;
      await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    }
  },
  async "all steps at the end"(client, id) {
    await client.waitForExecution(id, { interval: INTERVAL });
    return (await client.getExecutionSteps(id, { all: true })).items.length;
  },
};

/** Follows an execution from start to end; delays are skipped. */
async function run(follow: Follow) {
  let requests = 0;
  let bytes = 0;
  using _ = skipWaits(TIMEOUT);
  const standIn = new StandIn({ now: () => performance.now(), seed: 7 });
  const execution = { servers: 4, steps: STEPS, duration: DURATION };
  const { id } = standIn.seedExecution(execution);
  const client = new Client("http://decapod.example", {
    login: "root",
    password: "root",
    timeout: TIMEOUT,
    async fetch(url, init) {
      const response = await standIn.fetch(url, init);
      requests++;
      bytes += (await response.clone().bytes()).length;
      return response;
    },
  });
  const steps = await follow(client, String(id));
  return { requests, bytes, steps };
}

/** The name, the requests and the megabytes of each way. */
export async function traffic(): Promise<string[][]> {
  const rows: string[][] = [];
  for (const [name, follow] of Object.entries(FOLLOWERS)) {
    const { requests, bytes } = await run(follow);
    rows.push([name, String(requests), `${(bytes / 1e6).toFixed(2)} MB`]);
  }
  return rows;
}

/** The comparisons. */
export const contests = register({
  name: "a run of 1,000 steps, without the waits",
  ways: Object.fromEntries(
    Object.entries(FOLLOWERS).map(([name, follow]) => [
      name,
      async () => (await run(follow)).steps,
    ]),
  ),
  targets: [{ against: "all steps at each poll", of: "time" }],
  rounds: 5,
});
