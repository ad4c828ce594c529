/**
 * Users of the published package, each in a fresh folder of its own, with
 * nothing but what a user has.
 */
import { join } from "node:path";
import { deno, type Output, ROOT, run } from "../process.ts";
import { npm, type Tools } from "../tools.ts";
import type { JsrServer } from "./server.ts";

/** The name by which every user imports the package. */
const NAME = "@decapod/decapodlib";

/** What `jsr add` writes for npm and Bun. */
const NPM_SPECIFIER = `${NAME}@npm:@jsr/decapod__decapodlib`;

/** A folder that goes away when it is disposed of. */
export class Consumer implements AsyncDisposable {
  readonly folder: string;
  /** Deno finds jsr: packages there. */
  readonly env: Record<string, string>;

  constructor(folder: string, server: JsrServer) {
    this.folder = folder;
    this.env = { JSR_URL: server.url };
  }

  /** A path in the folder. */
  at(...path: string[]): string {
    return join(this.folder, ...path);
  }

  write(file: string, text: string): Promise<void> {
    return Deno.writeTextFile(this.at(file), text);
  }

  async deno(args: string[]): Promise<Output> {
    return succeeded(
      args,
      await deno(args, { env: this.env, cwd: this.folder }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Makes a folder, with the package as Deno's users get it. */
export async function denoConsumer(server: JsrServer): Promise<Consumer> {
  const consumer = await empty(server);
  await consumer.write("deno.json", '{ "lock": false }\n');
  await consumer.deno(["add", `jsr:${NAME}`]);
  return consumer;
}

/** Makes a folder, with the package as npm's users get it. */
export async function npmConsumer(
  server: JsrServer,
  packages: string[] = [],
): Promise<Consumer> {
  const consumer = await empty(server);
  await consumer.write("package.json", '{ "private": true, "type": "module" }');
  await consumer.write(".npmrc", `@jsr:registry=${server.npmUrl}\n`);
  await npm(["install", "--prefer-offline", NPM_SPECIFIER, ...packages], {
    cwd: consumer.folder,
  });
  return consumer;
}

/** Makes a folder, with the package as Bun's users get it. */
export async function bunConsumer(
  server: JsrServer,
  tools: Tools,
): Promise<Consumer> {
  const consumer = await empty(server);
  await consumer.write("package.json", '{ "private": true, "type": "module" }');
  await consumer.write(
    "bunfig.toml",
    `[install.scopes]\n"@jsr" = "${server.npmUrl}"\n`,
  );
  const args = ["add", NPM_SPECIFIER];
  // Bun knows packages by name and version, wherever they came from.
  const env = { BUN_INSTALL_CACHE_DIR: consumer.at(".cache") };
  succeeded(args, await run(tools.bun, args, { env, cwd: consumer.folder }));
  return consumer;
}

async function empty(server: JsrServer): Promise<Consumer> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  if (folder.startsWith(ROOT)) {
    throw new Error(`Cannot make a consumer in the checkout: ${folder}`);
  }
  return new Consumer(folder, server);
}

function succeeded(args: string[], output: Output): Output {
  if (output.code === 0) return output;
  throw new Error(
    `Cannot run ${args.join(" ")}:\n${output.stdout}${output.stderr}`,
  );
}
