/** Faults of a connection, with the names that Toxiproxy gives them. */

import { seededRandom } from "../standin/ids.ts";
import type { Toxic } from "./server.ts";

/** All bytes arrive in chunks, each after so many milliseconds. */
const paced =
  (size: number, ms: () => number): Toxic => async (wire, bytes) => {
    for (let at = 0; at < bytes.length && !wire.gone; at += size) {
      const pause = ms();
      if (pause > 0) await wire.wait(pause);
      await wire.send(bytes.subarray(at, at + size));
    }
    return true;
  };

/** All bytes arrive, delayed. */
export const latency = (ms: number): Toxic => paced(Infinity, () => ms);

/** All bytes arrive, each chunk with another delay. */
export const jitter = (max: number, seed: number): Toxic => {
  const random = seededRandom(seed);
  return paced(256, () => random() * max);
};

/** A chunk arrives every `ms` milliseconds. */
export const bandwidth = (size: number, ms: number): Toxic =>
  paced(size, () => ms);

/** All bytes arrive in small chunks. */
export const slicer = (size: number): Toxic => paced(size, () => 0);

/** A byte arrives every `ms` milliseconds, the last one never. */
export const trickle = (ms: number): Toxic => async (wire, bytes) => {
  await bandwidth(1, ms)(wire, bytes.subarray(0, -1));
  await wire.hold();
  return false;
};

/** All bytes arrive; the connection is closed later. */
export const slowClose = (ms: number): Toxic => async (wire, bytes) => {
  await wire.send(bytes);
  await wire.wait(ms);
  return false;
};

/** Nothing arrives, and the connection stays open. */
export const timeout: Toxic = async (wire) => {
  await wire.hold();
  return false;
};

/** The connection is closed, or reset if a byte is unread. */
export const resetPeer: Toxic = () => Promise.resolve(false);

/** Some bytes arrive, then the connection is closed. */
export const limitData = (count: number): Toxic => async (wire, bytes) => {
  await wire.send(bytes.subarray(0, Math.min(count, bytes.length - 1)));
  return false;
};

/** All bytes arrive but the last ones, then the connection is closed. */
export const truncate = (missing: number): Toxic => async (wire, bytes) => {
  await wire.send(bytes.subarray(0, -missing));
  return false;
};
