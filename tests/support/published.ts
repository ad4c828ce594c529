/** Runs users' scripts with the published package, on each runtime. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  bunConsumer,
  type Consumer,
  denoConsumer,
  npmConsumer,
} from "../../.dev/jsr/consumers.ts";
import { JsrServer, publish } from "../../.dev/jsr/server.ts";
import { type Output, run } from "../../.dev/process.ts";
import { standInRegistry } from "../../.dev/registry.ts";
import { load, provideTools, type Tools } from "../../.dev/tools.ts";
import type { StandIn } from "../standin/mod.ts";

/** The other runtimes; a reason if they are not available here. */
export const tools: Tools | string = await provideTools().catch(
  (error) => error instanceof Error ? error.message : String(error),
);

/** Whether to skip tests that need other runtimes; never on CI. */
export const SKIPPED = typeof tools === "string" && !Deno.env.has("CI");

/** Where users' scripts connect to. */
export interface Account {
  DECAPOD_URL: string;
  DECAPOD_LOGIN: string;
  DECAPOD_PASSWORD: string;
}

/** Serves a stand-in on a loopback socket. */
export function serve(
  standIn: StandIn,
): { account: Account; [Symbol.asyncDispose](): Promise<void> } {
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

/** A response of a Worker. */
export interface WorkerResponse {
  status: number;
  type: string;
  body: string;
}

/** A registry with the package as it is published. */
export class Published implements AsyncDisposable {
  readonly tools: Tools;
  readonly #registry: JsrServer;

  constructor(tools: Tools, registry: JsrServer) {
    this.tools = tools;
    this.#registry = registry;
  }

  static async open(): Promise<Published> {
    if (typeof tools === "string") throw new Error(tools);
    const registry = new JsrServer(
      await standInRegistry(),
      load(tools, "typescript"),
    );
    await publish(registry);
    return new Published(tools, registry);
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
    return bunConsumer(this.#registry, this.tools);
  }

  /** A folder in which Deno has installed the package. */
  deno(): Promise<Consumer> {
    return denoConsumer(this.#registry);
  }

  /** Runs a script in a folder. */
  async run(
    program: string,
    consumer: Consumer,
    args: string[],
    env: object = {},
  ): Promise<Output> {
    return await run(
      program,
      args,
      { ...consumer.env, ...env },
      consumer.folder,
    );
  }

  /** Checks the types of a Worker, bundles it, and requests these paths. */
  async fetchWorker(
    text: string,
    bindings: object,
    paths: string[],
  ): Promise<WorkerResponse[]> {
    await using consumer = await this.deno();
    await consumer.write("worker.ts", text);
    await consumer.deno(["check", "worker.ts"]);
    await consumer.deno(["bundle", "-o", "worker.js", "worker.ts"]);
    const script = fileURLToPath(new URL("miniflare.ts", import.meta.url));
    const { code, stdout, stderr } = await this.run(
      this.tools.node26,
      consumer,
      [script, consumer.at("worker.js"), ...paths],
      {
        TOOLS: join(this.tools.folder, "package.json"),
        BINDINGS: JSON.stringify(bindings),
      },
    );
    if (code !== 0) throw new Error(stdout + stderr);
    return JSON.parse(stdout);
  }
}
