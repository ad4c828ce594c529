/**
 * Reads a long listing or log and prints the peak of the heap in bytes,
 * measured after each thousandth.
 *
 * `deno run --v8-flags=--expose-gc -A memory_reader.ts users|log URL COUNT`
 */
import { Client } from "../../mod.ts";

const [what, url = "", count] = Deno.args;
const { gc }: { gc?: () => void } = Object(globalThis);
if (!gc) throw new Error("Cannot measure: --expose-gc is required");

const client = new Client(url, { login: "root", password: "root" });
const things: AsyncIterable<unknown> = what === "users"
  ? client.getUsers({ perPage: 100 })
  : client.streamExecutionLog("any");
const every = Math.max(100, Math.floor(Number(count) / 1000));
let peak = 0;
let found = 0;
for await (const _ of things) {
  if (++found % every !== 0) continue;
  gc();
  peak = Math.max(peak, Deno.memoryUsage().heapUsed);
}
if (found !== Number(count)) {
  throw new Error(`Cannot compare: ${found} instead of ${count} were read`);
}
console.log(peak);
