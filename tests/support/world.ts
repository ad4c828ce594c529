/** The world of the operations table, in memory. */

import { makeWorld, type World } from "../operations.ts";
import { StandIn, TestClock } from "../standin/mod.ts";
import { makeClient, PASSWORD } from "./server.ts";

/** A world and the stand-in that serves it. */
export type StandInWorld = Awaited<ReturnType<typeof openWorld>>;

const createStandIn = () =>
  new StandIn({ now: new TestClock().now, seed: 7, rootPassword: PASSWORD });

let recording: ReturnType<typeof record> | undefined;

/** Creates the world on a new stand-in. */
export async function openWorld() {
  recording ??= record();
  const { text, changes } = await recording;
  const standIn = createStandIn();
  for (const change of changes) await change(standIn);
  const world: World = JSON.parse(text);
  return { ...world, standIn };
}

/** Creates the world once; repeating its changes is faster than a client. */
async function record() {
  const standIn = createStandIn();
  const changes: ((standIn: StandIn) => unknown)[] = [];
  const client = makeClient("http://decapod", {
    fetch(url, { method, headers, body = null }) {
      const send = (to: StandIn) => to.fetch(url, { method, headers, body });
      if (method !== "GET") changes.push(send);
      return send(standIn);
    },
  });
  const world = await makeWorld(client, PASSWORD, (member, ...args) => {
    changes.push((standIn) => backstage(standIn)(member, ...args));
    return backstage(standIn)(member, ...args);
  });
  return { text: JSON.stringify(world), changes };
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
