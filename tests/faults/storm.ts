/** Many clients against an unavailable server. */

import { DecapodError } from "../../mod.ts";
import { makeClient } from "../support/server.ts";
import { skipTimers } from "../support/time.ts";
import { faultNamed } from "./faults.ts";
import { FaultServer } from "./server.ts";

/** Lets many clients call at once, and describes what the server received. */
export async function storm(clients: number) {
  await using server = new FaultServer(() =>
    Promise.reject(new Error("Cannot respond: the server is unavailable"))
  );
  server.inject({ fault: faultNamed("502 in HTML") });
  let failed = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    await makeClient(server.url).getInfo().catch((error) => {
      if (!(error instanceof DecapodError)) throw error;
      failed++;
    });
  }));
  const requests = server.received.length;
  const text =
    `${clients} clients, ${failed} calls failed, ${requests} requests`;
  return { failed, requests, text };
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

/** Lines of bars: how many of the delays lie in each interval. */
export function histogram(delays: number[], width: number): string[] {
  const counts: number[] = [];
  for (const delay of delays) {
    const place = Math.floor(delay / width);
    counts[place] = (counts[place] ?? 0) + 1;
  }
  const rows = Array.from(counts, (count = 0) => count);
  const digits = String(rows.length * width).length;
  return rows.map((count, place) => {
    const from = String(place * width).padStart(digits);
    const bar = "#".repeat(Math.ceil(40 * count / Math.max(...rows)));
    return `${from} ms ${String(count).padStart(5)} ${bar}`;
  });
}
