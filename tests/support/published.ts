/** Runs users' scripts with the published package, on each runtime. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  bunConsumer,
  type Consumer,
  denoConsumer,
  npmConsumer,
} from "../../.dev/jsr/consumers.ts";
import { type JsrServer, openRegistry } from "../../.dev/jsr/server.ts";
import { type Output, run } from "../../.dev/process.ts";
import { provideProgram, provideTools, type Tools } from "../../.dev/tools.ts";
import type { StandIn } from "../standin/mod.ts";

/** The programs and libraries; undefined if they cannot be installed here. */
const installed = await install().catch((error) => {
  if (Deno.env.has("CI")) throw error;
  return undefined;
});

/** Whether to skip tests that need other runtimes; never on CI. */
export const SKIPPED = installed === undefined;

async function install() {
  const programs = {
    bun: await provideProgram("bun1.4"),
    node20: await provideProgram("node20"),
    node26: await provideProgram("node26"),
  };
  return { programs, tools: await provideTools() };
}

/** Serves a stand-in on a loopback socket; scripts find it by their environment. */
export function serve(standIn: StandIn) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    standIn.handler,
  );
  return {
    account: {
      DECAPOD_URL: `http://127.0.0.1:${server.addr.port}`,
      DECAPOD_LOGIN: "root",
      DECAPOD_PASSWORD: "root",
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

type Installed = Awaited<ReturnType<typeof install>>;

/** A response of a Worker. */
interface WorkerResponse {
  status: number;
  type: string;
  body: string;
}

/** A registry with the package as it is published, and its users. */
export class Published implements AsyncDisposable {
  /** Other runtimes, each by its path. */
  readonly programs: Installed["programs"];
  readonly #tools: Tools;
  readonly #registry: JsrServer;

  constructor({ programs, tools }: Installed, registry: JsrServer) {
    this.programs = programs;
    this.#tools = tools;
    this.#registry = registry;
  }

  static async open(): Promise<Published> {
    const found = installed ?? await install();
    return new Published(found, await openRegistry(found.tools));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#registry[Symbol.asyncDispose]();
  }

  /** A folder in which npm has installed the package, and others. */
  npm(packages: string[] = []): Promise<Consumer> {
    return npmConsumer(this.#registry, packages);
  }

  /** A folder in which Bun has installed the package. */
  bun(): Promise<Consumer> {
    return bunConsumer(this.#registry, this.programs.bun);
  }

  /** A folder in which Deno has installed the package. */
  deno(): Promise<Consumer> {
    return denoConsumer(this.#registry);
  }

  /** Runs a program in a folder. */
  run(
    program: string,
    { env, folder }: Consumer,
    args: string[],
    more: Record<string, string> = {},
  ): Promise<Output> {
    return run(program, args, { env: { ...env, ...more }, cwd: folder });
  }

  /** Checks the types of a Worker, bundles it, and requests these paths. */
  async fetchWorker(
    text: string,
    bindings: Record<string, string>,
    paths: string[],
  ): Promise<WorkerResponse[]> {
    await using consumer = await this.deno();
    await consumer.write("worker.ts", text);
    await consumer.deno(["check", "worker.ts"]);
    await consumer.deno(["bundle", "-o", "worker.js", "worker.ts"]);
    const script = fileURLToPath(new URL("miniflare.ts", import.meta.url));
    const { code, stdout, stderr } = await this.run(
      this.programs.node26,
      consumer,
      [script, consumer.at("worker.js"), ...paths],
      {
        TOOLS: join(this.#tools.folder, "package.json"),
        BINDINGS: JSON.stringify(bindings),
      },
    );
    if (code !== 0) throw new Error(stdout + stderr);
    return JSON.parse(stdout);
  }
}
