/**
 * Runs the bundled suite in workerd: `node workerd.ts BUNDLE`, with the
 * settings in the environment. Miniflare needs Node.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import process from "node:process";
import { runTests } from "./kit.ts";
import { testWorker } from "./worker.ts";

/** What is used of Miniflare. */
interface Worker {
  dispatchFetch(url: string): Promise<Response>;
  dispose(): Promise<void>;
}

const { TOOLS = "", SETTINGS = "", COMPATIBILITY_DATE = "" } = process.env;
const { Miniflare }: { Miniflare: new (options: object) => Worker } =
  createRequire(TOOLS)("miniflare");

const worker = new Miniflare({
  modules: true,
  script: await readFile(process.argv[2] ?? "", "utf8"),
  compatibilityDate: COMPATIBILITY_DATE,
  bindings: { SETTINGS },
});
const dispatch = (path: string) =>
  worker.dispatchFetch(`http://suite.invalid${path}`);
testWorker(dispatch);
for await (const result of runTests(JSON.parse(SETTINGS))) {
  console.log(JSON.stringify(result));
}
const { body } = await dispatch("/");
for await (const chunk of body ?? []) process.stdout.write(chunk);
await worker.dispose();
