/**
 * The cost of importing the package and creating a client: processes with and
 * without it. The package is published to a local JSR, and added and cached as
 * users do.
 */

import { denoConsumer } from "../../.dev/jsr/consumers.ts";
import { openRegistry } from "../../.dev/jsr/server.ts";
import { compete, type Times } from "./contest.ts";

const USER = `import { Client } from "@decapod/decapodlib";
new Client("https://decapod.example", { login: "root", password: "root" });
`;

/** The times of both scripts. */
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
