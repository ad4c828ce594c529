/** The time of importing the package, and the memory that reading takes. */

import { fileURLToPath } from "node:url";
import { denoConsumer } from "../../.dev/jsr/consumers.ts";
import { openRegistry } from "../../.dev/jsr/server.ts";
import { StandIn } from "../standin/mod.ts";
import { compete, type Times } from "./contest.ts";
import { LINE, logResponse, serve } from "./site.ts";

const USER = `import { Client } from "@decapod/decapodlib";
new Client("https://decapod.example", { login: "root", password: "root" });
`;

/**
 * The times of processes with and without the package, which is published to a
 * local JSR, and added and cached as users do.
 */
export async function importCost(pairs: number): Promise<Times> {
  await using server = await openRegistry();
  await using consumer = await denoConsumer(server);
  await consumer.write("with.ts", USER);
  await consumer.write("without.ts", "");
  const run = async (script: string) => {
    await consumer.deno(["run", "--cached-only", script]);
    return 0;
  };
  await consumer.deno(["cache", "with.ts"]);
  return await compete({
    name: "a process",
    ways: {
      "import, new Client": () => run("with.ts"),
      "an empty script": () => run("without.ts"),
    },
    targets: [],
    rounds: pairs,
  });
}

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
