/** Users of the published package: each has a new folder outside the checkout. */
import { join } from "node:path";
import { type Output, ROOT, run } from "../process.ts";
import { npm } from "../registry.ts";
import type { JsrServer } from "./server.ts";

/** The name of the package in imports. */
const NAME = "@decapod/decapodlib";

/** What `jsr add` writes for npm and Bun. */
const NPM_SPECIFIER = `${NAME}@npm:@jsr/decapod__decapodlib`;

/** A folder that is deleted on disposal. */
export type Consumer = Awaited<ReturnType<typeof create>>;

/** @param program Which Deno to run; another version has its own cache. */
async function create(
  server: JsrServer,
  files: Record<string, string>,
  program = Deno.execPath(),
) {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  if (folder.startsWith(ROOT)) {
    throw new Error(`Cannot create a consumer inside the checkout: ${folder}`);
  }
  const at = (...path: string[]) => join(folder, ...path);
  const env: Record<string, string> = {
    JSR_URL: server.url,
    ...(program !== Deno.execPath() && { DENO_DIR: at(".deno") }),
  };
  const start = (args: string[]) => run(program, args, { env, cwd: folder });
  const write = (file: string, text: string) =>
    Deno.writeTextFile(at(file), text);
  for (const [file, text] of Object.entries(files)) await write(file, text);
  return {
    folder,
    /** The environment in which Deno finds the registry. */
    env,
    /** A path in the folder. */
    at,
    write,
    /** Runs Deno in the folder, whatever its exit code. */
    run: start,
    /** Runs Deno in the folder; throws if it fails. */
    deno: async (args: string[]) => succeeded(args, await start(args)),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Creates a folder with the package as Deno installs it. */
export async function denoConsumer(
  server: JsrServer,
  program?: string,
): Promise<Consumer> {
  const files = { "deno.json": '{ "lock": false }\n' };
  const consumer = await create(server, files, program);
  await consumer.deno(["add", `jsr:${NAME}`]);
  return consumer;
}

const MANIFEST = '{ "private": true, "type": "module" }';

/** Creates a folder with the package as npm installs it. */
export async function npmConsumer(
  server: JsrServer,
  packages: string[] = [],
): Promise<Consumer> {
  const consumer = await create(server, {
    "package.json": MANIFEST,
    ".npmrc": `@jsr:registry=${server.npmUrl}\n`,
  });
  const { folder: cwd } = consumer;
  const args = ["install", "--prefer-offline", NPM_SPECIFIER, ...packages];
  await npm(args, { cwd });
  return consumer;
}

/** Creates a folder with the package as Bun installs it. */
export async function bunConsumer(
  server: JsrServer,
  bun: string,
): Promise<Consumer> {
  const consumer = await create(server, {
    "package.json": MANIFEST,
    "bunfig.toml": `[install.scopes]\n"@jsr" = "${server.npmUrl}"\n`,
  });
  const args = ["add", NPM_SPECIFIER];
  // Bun caches packages by name and version, whatever their registry.
  const env = { BUN_INSTALL_CACHE_DIR: consumer.at(".cache") };
  succeeded(args, await run(bun, args, { env, cwd: consumer.folder }));
  return consumer;
}

function succeeded(args: string[], output: Output): Output {
  if (output.code === 0) return output;
  throw new Error(
    `Cannot run ${args.join(" ")}:\n${output.stdout}${output.stderr}`,
  );
}
