/** The world of the operations table, in memory. */

import { makeWorld, type World } from "../operations.ts";
import { StandIn, TestClock } from "../standin/mod.ts";
import { makeClient, PASSWORD } from "./server.ts";

/** A world and the stand-in that serves it. */
export interface StandInWorld extends World {
  readonly standIn: StandIn;
}

/** Creates the world on a new stand-in. */
export async function openWorld(): Promise<StandInWorld> {
  const { now } = new TestClock();
  const standIn = new StandIn({ now, seed: 7, rootPassword: PASSWORD });
  const client = makeClient("http://decapod", { fetch: standIn.fetch });
  return { ...await makeWorld(client, PASSWORD, backstage(standIn)), standIn };
}

/** Calls methods of a stand-in and reads its properties, by name. */
export function backstage(standIn: StandIn) {
  return (member: string, ...args: unknown[]): unknown => {
    const found: unknown = Reflect.get(standIn, member);
    return typeof found === "function"
      ? Reflect.apply(found, standIn, args)
      : found;
  };
}

/** A result without random ids. */
export function comparable(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").replace(
    /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g,
    "id",
  );
}
