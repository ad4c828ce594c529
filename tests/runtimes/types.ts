/** Whether the published package's types resolve where a user looks. */
import type { Consumer } from "../../.dev/jsr/consumers.ts";
import { type Output, run } from "../../.dev/process.ts";
import type { Tools } from "../../.dev/tools.ts";
import { join } from "node:path";
import type { Result, Runtime } from "./kit.ts";

/** How TypeScript can be told to look for modules, and whose globals it has. */
const WEB = { lib: ["esnext", "dom", "dom.asynciterable"], types: [] };
const SETUPS = [
  { module: "nodenext", moduleResolution: "nodenext", ...WEB },
  { module: "preserve", moduleResolution: "bundler", ...WEB },
];

/** Node's own types instead of a browser's. */
const NODE = {
  module: "nodenext",
  moduleResolution: "nodenext",
  lib: ["es2022"],
  types: ["node"],
};

/** Checks the suite's types against those of the package. */
export async function checkTypes(
  tools: Tools,
  runtime: Runtime,
  consumer: Consumer,
): Promise<Result[]> {
  const results: Result[] = [];
  const add = (name: string, { code, stdout, stderr }: Output) =>
    results.push({
      section: "types",
      name,
      ...(code !== 0 && { failure: stdout + stderr }),
    });
  if (runtime === "deno" || runtime === "workerd") {
    const args = ["check", "--no-lock", "suite.ts"];
    const { folder, env } = consumer;
    add("deno check", await run(Deno.execPath(), args, { env, cwd: folder }));
    return results;
  }
  const tsc = join(tools.folder, "node_modules/typescript/bin/tsc");
  for (const setup of runtime === "node" ? [...SETUPS, NODE] : SETUPS) {
    await consumer.write(
      "tsconfig.json",
      JSON.stringify({
        compilerOptions: {
          ...setup,
          strict: true,
          skipLibCheck: false,
          noEmit: true,
          allowImportingTsExtensions: true,
          verbatimModuleSyntax: true,
          target: "esnext",
        },
        files: ["suite.ts"],
      }),
    );
    add(
      `tsc, ${setup.moduleResolution}, ${setup.lib}`,
      await run(tools.node26, [tsc, "-p", "."], { cwd: consumer.folder }),
    );
  }
  return results;
}
