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

const { TOOLS = "", BINDINGS = "{}", COMPATIBILITY_DATE = "2026-07-01" } =
  process.env;

/** Starts the Worker that the first argument names; Miniflare needs Node. */
export async function openWorker(bindings: object): Promise<Worker> {
  const { Miniflare }: { Miniflare: new (options: object) => Worker } =
    createRequire(TOOLS)("miniflare");
  return new Miniflare({
    modules: true,
    script: await readFile(process.argv[2] ?? "", "utf8"),
    compatibilityDate: COMPATIBILITY_DATE,
    bindings,
  });
}

if (process.argv[1]?.endsWith("miniflare.ts")) {
  const worker = await openWorker(JSON.parse(BINDINGS));
  const responses: object[] = [];
  for (const path of process.argv.slice(3)) {
    const response = await worker.dispatchFetch(`http://worker.invalid${path}`);
    const { status, headers } = response;
    const type = headers.get("content-type");
    responses.push({ status, type, body: await response.text() });
  }
  console.log(JSON.stringify(responses));
  await worker.dispose();
}
