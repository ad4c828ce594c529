/** Users of the published package: each has a new folder outside the checkout. */
import { join } from "node:path";
import { type Output, ROOT, run, type RunOptions } from "../process.ts";
import { npm } from "../tools.ts";
import type { JsrServer } from "./server.ts";

/** The name of the package in imports. */
const NAME = "@decapod/decapodlib";

/** What `jsr add` writes for npm and Bun. */
const NPM_SPECIFIER = `${NAME}@npm:@jsr/decapod__decapodlib`;

/** A folder that is deleted on disposal. */
export class Consumer implements AsyncDisposable {
  readonly folder: string;
  /** The environment in which Deno finds the registry. */
  readonly env: Record<string, string>;
  readonly #program: string;

  /** @param program Which Deno to run; another version has its own cache. */
  constructor(folder: string, server: JsrServer, program = Deno.execPath()) {
    this.folder = folder;
    this.#program = program;
    this.env = {
      JSR_URL: server.url,
      ...(program !== Deno.execPath() && { DENO_DIR: join(folder, ".deno") }),
    };
  }

  /** A path in the folder. */
  at(...path: string[]): string {
    return join(this.folder, ...path);
  }

  write(file: string, text: string): Promise<void> {
    return Deno.writeTextFile(this.at(file), text);
  }

  /** Runs Deno in the folder, whatever its exit code. */
  run(args: string[], { env, ...options }: RunOptions = {}): Promise<Output> {
    return run(this.#program, args, {
      ...options,
      env: { ...env, ...this.env },
      cwd: this.folder,
    });
  }

  /** Runs Deno in the folder; throws if it fails. */
  async deno(args: string[]): Promise<Output> {
    return succeeded(args, await this.run(args));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Creates a folder with the package as Deno installs it. */
export async function denoConsumer(
  server: JsrServer,
  program?: string,
): Promise<Consumer> {
  const consumer = await empty(server, program);
  await consumer.write("deno.json", '{ "lock": false }\n');
  await consumer.deno(["add", `jsr:${NAME}`]);
  return consumer;
}

/** Creates a folder with the package as npm installs it. */
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

/** Creates a folder with the package as Bun installs it. */
export async function bunConsumer(
  server: JsrServer,
  bun: string,
): Promise<Consumer> {
  const consumer = await empty(server);
  await consumer.write("package.json", '{ "private": true, "type": "module" }');
  await consumer.write(
    "bunfig.toml",
    `[install.scopes]\n"@jsr" = "${server.npmUrl}"\n`,
  );
  const args = ["add", NPM_SPECIFIER];
  // Bun caches packages by name and version, whatever their registry.
  const env = { BUN_INSTALL_CACHE_DIR: consumer.at(".cache") };
  succeeded(args, await run(bun, args, { env, cwd: consumer.folder }));
  return consumer;
}

async function empty(
  server: JsrServer,
  program?: string,
): Promise<Consumer> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  if (folder.startsWith(ROOT)) {
    throw new Error(`Cannot create a consumer inside the checkout: ${folder}`);
  }
  return new Consumer(folder, server, program);
}

function succeeded(args: string[], output: Output): Output {
  if (output.code === 0) return output;
  throw new Error(
    `Cannot run ${args.join(" ")}:\n${output.stdout}${output.stderr}`,
  );
}
