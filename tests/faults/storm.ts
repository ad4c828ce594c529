/** Many clients against an unavailable server. */

import { DecapodError } from "../../mod.ts";
import { skipTimers } from "../support/time.ts";
import { makeClient } from "../support/server.ts";
import { FAULTS } from "./faults.ts";
import { ALWAYS } from "./rules.ts";
import { FaultServer } from "./server.ts";

/** The result of a storm. */
export interface Storm {
  readonly clients: number;
  /** The number of calls that failed. */
  readonly failed: number;
  /** When requests arrived, in ms after the first. */
  readonly arrivals: number[];
}

/** Lets many clients call an unavailable server at once. */
export async function storm(clients: number): Promise<Storm> {
  const fault = FAULTS.find(({ name }) => name === "502 in HTML");
  if (fault === undefined) throw new Error("Cannot find the fault of a storm");
  await using server = new FaultServer(() =>
    Promise.reject(new Error("Cannot respond: the server is unavailable"))
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

/** A deadline that differs from the delays before retries. */
const DEADLINE = 60_000;

/** The delays of many clients before retries, in ms. */
export async function waits(
  clients: number,
  retries: number,
): Promise<number[]> {
  using timers = skipTimers(DEADLINE);
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
