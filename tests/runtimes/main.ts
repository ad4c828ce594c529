/** Runs the suite on Deno and on Bun. */
import { printResults } from "./suite.ts";

const { process } = globalThis as {
  process?: { env: Record<string, string | undefined> };
};
const library = import.meta.resolve("@decapod/decapodlib");
await printResults(process?.env.SETTINGS ?? "", library);
