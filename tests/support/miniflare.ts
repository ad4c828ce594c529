/**
 * Runs a bundled Worker in workerd and requests paths of it, one after the
 * other: `node miniflare.ts BUNDLE PATH…`. Prints the responses as JSON.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import process from "node:process";

/** The part of Miniflare that is used. */
interface Worker {
  dispatchFetch(url: string): Promise<Response>;
  dispose(): Promise<void>;
}

const { TOOLS = "", BINDINGS = "{}" } = process.env;
const { Miniflare }: { Miniflare: new (options: object) => Worker } =
  createRequire(TOOLS)("miniflare");

const [bundle = "", ...paths] = process.argv.slice(2);
const worker = new Miniflare({
  modules: true,
  script: await readFile(bundle, "utf8"),
  compatibilityDate: "2026-07-01",
  bindings: JSON.parse(BINDINGS),
});
const responses: { status: number; type: string | null; body: string }[] = [];
for (const path of paths) {
  const response = await worker.dispatchFetch(`http://worker.invalid${path}`);
  const { status, headers } = response;
  const type = headers.get("content-type");
  responses.push({ status, type, body: await response.text() });
}
console.log(JSON.stringify(responses));
await worker.dispose();
