/** Many clients against a server that has nothing for any of them. */

import { DecapodError } from "../../mod.ts";
import { hurry } from "../support/patch.ts";
import { makeClient } from "../support/server.ts";
import { FAULTS } from "./faults.ts";
import { ALWAYS } from "./rules.ts";
import { FaultServer } from "./server.ts";

/** What a storm came to. */
export interface Storm {
  readonly clients: number;
  /** How many calls ended in an error. */
  readonly failed: number;
  /** When requests came in, in ms after the first. */
  readonly arrivals: number[];
}

/** Lets so many clients call at once a server that is away. */
export async function storm(clients: number): Promise<Storm> {
  const fault = FAULTS.find(({ name }) => name === "502 in HTML");
  if (fault === undefined) throw new Error("Cannot find the fault of a storm");
  await using server = new FaultServer(() =>
    Promise.reject(new Error("Cannot answer: the server is away"))
  );
  const operation = () => true;
  server.inject({ fault, operation, skip: 0, count: ALWAYS, inBody: false });
  let failed = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    try {
      await makeClient(server.url).getInfo();
    } catch (error) {
      if (!(error instanceof DecapodError)) throw error;
      failed++;
    }
  }));
  const first = server.received[0]?.at ?? 0;
  const arrivals = server.received.map(({ at }) => at - first);
  return { clients, failed, arrivals };
}

/** A deadline that is told from the waits between attempts. */
const DEADLINE = 60_000;

/** How long so many clients would wait before each further attempt, in ms. */
export async function waits(
  clients: number,
  retries: number,
): Promise<number[]> {
  using timers = hurry(DEADLINE);
  await Promise.all(Array.from({ length: clients }, async () => {
    const client = makeClient("http://decapod", {
      timeout: DEADLINE,
      retries,
      fetch: () => Promise.reject(new Error("Connection refused")),
    });
    await client.getInfo().catch(() => {});
  }));
  return timers.waits;
}
