/** Whether the published package's types resolve and fit on a user's machine. */
import type { Consumer } from "../../.dev/jsr/consumers.ts";
import { type Output, run } from "../../.dev/process.ts";
import type { Result } from "./kit.ts";

const BROWSER = { lib: ["esnext", "dom", "dom.asynciterable"], types: [] };

/** How TypeScript finds modules, and whose globals it knows. */
const SETUPS = [
  { module: "nodenext", moduleResolution: "nodenext", ...BROWSER },
  { module: "esnext", moduleResolution: "bundler", ...BROWSER },
  {
    module: "nodenext",
    moduleResolution: "nodenext",
    lib: ["es2022"],
    types: ["node"],
  },
];

/** Client certificates on Node, as the documentation shows it. */
const UNDICI = `import { Client } from "@decapod/decapodlib";
import { Agent, fetch } from "undici";

const dispatcher = new Agent({ connect: { ca: "", cert: "", key: "" } });
export const client: Client = Client.fromEnv({
  fetch: (url, init) =>
    fetch(url, { ...init, headers: [...init.headers], dispatcher }),
});
`;

/** Checks the suite with Deno's own compiler. */
export async function checkWithDeno(consumer: Consumer): Promise<Result[]> {
  const args = ["check", "--no-lock", "suite.ts"];
  return [result("deno check", await consumer.run(args))];
}

/** Checks the suite with one version of TypeScript in each setup. */
export async function checkWithTypeScript(
  consumer: Consumer,
  node: string,
  tsc: string,
): Promise<Result[]> {
  const results: Result[] = [];
  await consumer.write("undici.ts", UNDICI);
  for (const setup of SETUPS) {
    const config = {
      compilerOptions: {
        ...setup,
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        allowImportingTsExtensions: true,
        verbatimModuleSyntax: true,
        target: "esnext",
      },
      files: setup.types.includes("node")
        ? ["suite.ts", "undici.ts"]
        : ["suite.ts"],
    };
    await consumer.write("tsconfig.json", JSON.stringify(config));
    results.push(result(
      `tsc, ${setup.moduleResolution}, ${setup.lib}`,
      await run(node, [tsc, "-p", "."], { cwd: consumer.folder }),
    ));
  }
  return results;
}

function result(name: string, { code, stdout, stderr }: Output): Result {
  return {
    section: "types",
    name,
    ...(code !== 0 && { failure: stdout + stderr }),
  };
}
