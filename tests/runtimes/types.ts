/** Whether the published package's types resolve and fit on a user's machine. */
import type { Consumer } from "../../.dev/jsr/consumers.ts";
import { type Output, run } from "../../.dev/process.ts";
import type { Result } from "./kit.ts";

const BROWSER = { lib: ["esnext", "dom", "dom.asynciterable"], types: [] };
const SUITE = ["runtimes/suite.ts"];

/** How TypeScript finds modules, whose globals it knows, and what it checks. */
const SETUPS = [
  { module: "nodenext", ...BROWSER, files: SUITE },
  { module: "esnext", moduleResolution: "bundler", ...BROWSER, files: SUITE },
  {
    module: "nodenext",
    lib: ["es2022"],
    types: ["node"],
    // Client certificates on Node, as docs/runtimes.md shows them.
    files: [...SUITE, "mutual_node.ts"],
  },
];

/** Checks the suite with Deno's own compiler, and scripts of the documentation. */
export async function checkWithDeno(
  consumer: Consumer,
  isNewest: boolean,
): Promise<Result[]> {
  const docs = isNewest ? ["first.ts", "mutual.ts"] : [];
  const args = ["check", "--no-lock", ...SUITE, ...docs];
  return [result("deno check", await consumer.run(args))];
}

/** Checks the suite with one version of TypeScript in each setup. */
export async function checkWithTypeScript(
  consumer: Consumer,
  node: string,
  tsc: string,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const { files, ...setup } of SETUPS) {
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
      files,
    };
    const file = `tsconfig.${crypto.randomUUID()}.json`; // versions run at once
    await consumer.write(file, JSON.stringify(config));
    const options = { cwd: consumer.folder };
    const output = await run(node, [tsc, "-p", file], options);
    results.push(result(`tsc, ${setup.module}, ${setup.lib}`, output));
  }
  return results;
}

function result(name: string, { code, stdout, stderr }: Output): Result {
  const failure = code === 0 ? undefined : stdout + stderr;
  return { section: "types", name, ...failure && { failure } };
}
