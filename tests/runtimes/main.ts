/** Runs the suite on Deno and on Bun. */
import { lines } from "./suite.ts";

const { process } = globalThis as {
  process?: { env: Record<string, string | undefined> };
};
const library = import.meta.resolve("@decapod/decapodlib");
for await (const line of lines(process?.env.SETTINGS, library)) {
  console.log(line);
}
