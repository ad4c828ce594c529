/** Faults of a connection, with the names that Toxiproxy gives them. */

import { seededRandom } from "../standin/ids.ts";
import type { Toxic } from "./server.ts";

/** All of it comes, so many milliseconds late. */
export const latency = (ms: number): Toxic => async (wire, bytes) => {
  await wire.wait(ms);
  await wire.send(bytes);
  return true;
};

/** All of it comes, each piece late by another time. */
export const jitter = (most: number, seed: number): Toxic => {
  const random = seededRandom(seed);
  return async (wire, bytes) => {
    const size = Math.ceil(bytes.length / 4);
    for (let at = 0; at < bytes.length; at += size) {
      await wire.wait(random() * most);
      await wire.send(bytes.subarray(at, at + size));
    }
    return true;
  };
};

/** So many bytes come every so many milliseconds. */
export const bandwidth =
  (size: number, ms: number): Toxic => async (wire, bytes) => {
    for (let at = 0; at < bytes.length && !wire.gone; at += size) {
      await wire.send(bytes.subarray(at, at + size));
      await wire.wait(ms);
    }
    return true;
  };

/** A byte comes every so many milliseconds, and the last one never. */
export const trickle = (ms: number): Toxic => async (wire, bytes) => {
  await bandwidth(1, ms)(wire, bytes.subarray(0, -1));
  await wire.hold();
  return false;
};

/** All of it comes; the connection is closed so many milliseconds later. */
export const slowClose = (ms: number): Toxic => async (wire, bytes) => {
  await wire.send(bytes);
  await wire.wait(ms);
  return false;
};

/** Nothing comes, and the connection stays open. */
export const timeout: Toxic = async (wire) => {
  await wire.hold();
  return false;
};

/** The connection is closed; with something unread that is a reset. */
export const resetPeer: Toxic = () => Promise.resolve(false);

/** All of it comes, cut in small pieces. */
export const slicer = (size: number): Toxic => async (wire, bytes) => {
  for (let at = 0; at < bytes.length; at += size) {
    await wire.send(bytes.subarray(at, at + size));
  }
  return true;
};

/** So many bytes come, then the connection is closed. */
export const limitData = (count: number): Toxic => async (wire, bytes) => {
  await wire.send(bytes.subarray(0, Math.min(count, bytes.length - 1)));
  return false;
};

/** All bytes arrive but the last ones, then the connection is closed. */
export const truncate = (missing: number): Toxic => async (wire, bytes) => {
  await wire.send(bytes.subarray(0, -missing));
  return false;
};
