/** The memory that listings and logs take, each read by its own process. */

import { fileURLToPath } from "node:url";
import { StandIn } from "../standin/mod.ts";
import { LINE, logResponse, serve } from "./site.ts";

const READER = fileURLToPath(new URL("memory_reader.ts", import.meta.url));

const LINES_PER_CHUNK = 1000;

/** What is read, in two lengths. */
const READINGS = [
  { what: "users", little: 1000, much: 100_000, name: "users iterated" },
  { what: "log", little: 50_000, much: 5_000_000, name: "lines of a log" },
] as const;

/** The peak of the memory of a process that reads. */
async function peak(what: "users" | "log", count: number): Promise<number> {
  const standIn = new StandIn({ servers: 0 });
  if (what === "users") standIn.seedUsers(count - 1); // besides root
  const chunk = new TextEncoder().encode(LINE.repeat(LINES_PER_CHUNK));
  const { url } = await serve(
    (request) =>
      what === "users"
        ? standIn.handler(request)
        : logResponse(chunk, count / LINES_PER_CHUNK),
    standIn,
  );
  const args = [READER, what, url, String(count)];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", ...args],
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(decoder.decode(stderr));
  return Number(decoder.decode(stdout));
}

/** The name and both lengths of each reading, and the ratio of their peaks. */
export async function memoryCost() {
  const all = [];
  for (const { what, little, much, name } of READINGS) {
    const ratio = await peak(what, much) / await peak(what, little);
    all.push({ name, little, much, ratio });
  }
  return all;
}
