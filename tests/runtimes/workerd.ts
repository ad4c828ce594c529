/**
 * Runs the bundled suite in workerd: `node workerd.ts BUNDLE`, with the
 * settings in the environment.
 */
import process from "node:process";
import { openWorker } from "../support/miniflare.ts";
import { runTests } from "./kit.ts";
import { testWorker } from "./worker.ts";

const { SETTINGS = "" } = process.env;
const worker = await openWorker({ SETTINGS });
const dispatch = (path: string) =>
  worker.dispatchFetch(`http://suite.invalid${path}`);
testWorker(dispatch);
for await (const result of runTests(JSON.parse(SETTINGS))) {
  console.log(JSON.stringify(result));
}
const { body } = await dispatch("/");
for await (const chunk of body ?? []) process.stdout.write(chunk);
await worker.dispose();
