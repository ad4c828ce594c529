/**
 * Runs the suite on each runtime, as a user of the published package would:
 * `deno run -A tests/runtimes/run.ts [RUNTIME…]`.
 *
 * Prints a table; fails if anything failed, and on CI if anything was skipped.
 */
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
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
import { generateCloudConfig } from "../../mod.ts";
import { issue } from "./certificates.ts";
import { OPTIONS } from "./cloud_config.ts";
import type { Edge } from "./edge.ts";
import type { Result, Runtime, Settings } from "./kit.ts";
import { Servers } from "./servers.ts";
import type { End } from "./suite.ts";
import { printTable } from "./table.ts";
import { checkTypes } from "./types.ts";

/** A runtime, and how the suite is run there. */
interface Target {
  runtime: Runtime;
  name: string;
  /** Makes the consumer's folder. */
  consumer: (world: World) => Promise<Consumer>;
  run: (world: World, consumer: Consumer) => Promise<Output>;
}

/** All that is there during a run. */
interface World {
  tools: Tools;
  registry: JsrServer;
  settings: Settings;
}

/** What else Node's users of TypeScript and TLS have. */
const NODE_PACKAGES = ["undici@7.30.2", "@types/node@20"];

const TARGETS: Target[] = [
  {
    runtime: "deno",
    name: "deno",
    consumer: ({ registry }) => denoConsumer(registry),
    run: (world, consumer) =>
      run(
        Deno.execPath(),
        ["run", "--allow-net", "--allow-env", "--no-prompt", "main.ts"],
        {
          env: { ...environment(world, "deno"), ...consumer.env },
          cwd: consumer.folder,
        },
      ),
  },
  {
    runtime: "bun",
    name: "bun",
    consumer: ({ registry, tools }) => bunConsumer(registry, tools),
    run: (world, consumer) =>
      run(
        world.tools.bun,
        ["run", "main.ts"],
        { env: environment(world, "bun"), cwd: consumer.folder },
      ),
  },
  ...(["node20", "node26"] as const).map((name): Target => ({
    runtime: "node",
    name,
    consumer: ({ registry }) => npmConsumer(registry, NODE_PACKAGES),
    run: async (world, consumer) => {
      await toJavaScript(world.tools, consumer);
      return await run(
        world.tools[name],
        ["main_node.js"],
        { env: environment(world, "node"), cwd: consumer.folder },
      );
    },
  })),
  {
    runtime: "workerd",
    name: "workerd",
    consumer: ({ registry }) => denoConsumer(registry),
    run: async (world, consumer) => {
      const entry = "main_workerd.ts";
      await consumer.deno(["bundle", "-o", "worker.js", entry]);
      const script = fileURLToPath(new URL("workerd.ts", import.meta.url));
      return await run(
        world.tools.node26,
        [script, consumer.at("worker.js")],
        {
          env: {
            ...environment(world, "workerd"),
            TOOLS: join(world.tools.folder, "package.json"),
            NODE_EXTRA_CA_CERTS: consumer.at("ca.pem"),
          },
          cwd: consumer.folder,
        },
      );
    },
  },
];

/** What the suite finds in its environment. */
function environment(
  { settings }: World,
  runtime: Runtime,
): Record<string, string> {
  return {
    SETTINGS: JSON.stringify({ ...settings, runtime }),
    DECAPOD_URL: settings.servers,
    DECAPOD_LOGIN: "root",
    DECAPOD_PASSWORD: "root",
    // Node takes its proxy from an injected fetch.
    ...(runtime !== "node" && {
      HTTP_PROXY: settings.proxy,
      HTTPS_PROXY: settings.proxy,
      NO_PROXY: "127.0.0.1,localhost,255.255.255.255,nosuch.invalid",
    }),
  };
}

/** Copies the suite into a consumer's folder. */
async function copySuite(consumer: Consumer): Promise<void> {
  const here = new URL(".", import.meta.url);
  for await (const { name } of Deno.readDir(here)) {
    await Deno.copyFile(new URL(name, here), consumer.at(name));
  }
}

/** Node 20 knows no types and no `await using`. */
async function toJavaScript(tools: Tools, consumer: Consumer): Promise<void> {
  const typescript = load<{
    transpileModule(text: string, options: object): { outputText: string };
  }>(tools, "typescript");
  for await (const { name } of Deno.readDir(consumer.folder)) {
    if (!name.endsWith(".ts")) continue;
    const text = await Deno.readTextFile(consumer.at(name));
    const { outputText } = typescript.transpileModule(text, {
      compilerOptions: {
        target: "es2022",
        module: "esnext",
        rewriteRelativeImportExtensions: true,
      },
    });
    await consumer.write(name.replace(/ts$/, "js"), outputText);
  }
}

/** Runs the suite on one runtime; what it cannot tell is a failure too. */
async function runTarget(world: World, target: Target): Promise<Result[]> {
  await using consumer = await target.consumer(world);
  await copySuite(consumer);
  await consumer.write("ca.pem", world.settings.pem.ca);
  const results = await checkTypes(world.tools, target.runtime, consumer);
  const { code, stdout, stderr } = await target.run(world, consumer);
  let end: End | undefined;
  for (const line of stdout.split("\n")) {
    if (!line.startsWith("{")) continue;
    const parsed: Result | End = JSON.parse(line);
    if ("end" in parsed) end = parsed;
    else results.push(parsed);
  }
  const check = (name: string, ok: boolean, failure: string) =>
    results.push({ section: "package", name, ...(!ok && { failure }) });
  check(
    "the suite ran to its end",
    end !== undefined && code === 0,
    `exit code ${code}\n${stdout.slice(-2000)}\n${stderr.slice(-4000)}`,
  );
  const foreign = await foreignModules(world, target, consumer, end?.library);
  check("nothing is from elsewhere", foreign === "", foreign);
  return results;
}

/** What was not loaded from the registry or the consumer's folder. */
async function foreignModules(
  { registry }: World,
  { runtime }: Target,
  consumer: Consumer,
  library = "",
): Promise<string> {
  const own = pathToFileURL(consumer.folder).href + "/";
  if (runtime === "bun" || runtime === "node") {
    return library.startsWith(`${own}node_modules/`) ? "" : library;
  }
  const { stdout } = await consumer.deno(["info", "--json", "main.ts"]);
  const { modules }: { modules: { specifier: string }[] } = JSON.parse(stdout);
  const specifiers = modules.map(({ specifier }) => specifier);
  if (!specifiers.includes(`${registry.url}@decapod/decapodlib/1.0.0/mod.ts`)) {
    return "the library is not from the registry";
  }
  return specifiers.filter((specifier) =>
    !specifier.startsWith(own) && !specifier.startsWith(registry.url)
  ).join("\n");
}

/** Starts what stands in front of the stand-ins. */
async function startEdge(tools: Tools, edge: Edge) {
  const child = new Deno.Command(tools.node26, {
    args: [fileURLToPath(new URL("edge.ts", import.meta.url))],
    env: { EDGE: JSON.stringify(edge) },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await reader.read();
  const ports: Record<string, number> = JSON.parse(value);
  return {
    ports,
    async [Symbol.asyncDispose]() {
      await child.stdin.close();
      await reader.cancel();
      await child.status;
    },
  };
}

/** The certificates, the servers and the settings that name them. */
async function prepare(tools: Tools) {
  const names = ["localhost", "127.0.0.1"];
  const ca = await issue("CA", { ca: true });
  const otherCa = await issue("Other CA", { ca: true });
  const year = (number: number) => new Date(Date.UTC(number, 0));
  const [good, elsewhere, expired, future, self, own, other] = await Promise
    .all([
      issue("good", { names: [...names, "decapod.invalid"] }, ca),
      issue("elsewhere", { names: ["elsewhere.example", "127.0.0.2"] }, ca),
      issue("expired", { names, from: year(2020), until: year(2021) }, ca),
      issue("future", { names, from: year(2047), until: year(2048) }, ca),
      issue("self", { names, ca: true }),
      issue("client", {}, ca),
      issue("client", {}, otherCa),
    ]);
  const shown = ({ cert, key }: typeof good) => ({ cert, key });
  const wantsCertificate = {
    ...shown(good),
    ca: ca.cert,
    requestCert: true,
    rejectUnauthorized: true,
  };
  const servers = new Servers();
  const path = servers.open();
  const edge = await startEdge(tools, {
    upstream: servers.port,
    hidden: "decapod.invalid",
    hiddenTls: "good",
    tls: {
      good: shown(good),
      elsewhere: shown(elsewhere),
      expired: shown(expired),
      future: shown(future),
      self: shown(self),
      wantsCertificate,
      wantsCertificate12: { ...wantsCertificate, maxVersion: "TLSv1.2" },
    },
  });
  const url = (name: string) => `https://localhost:${edge.ports[name]}${path}`;
  const settings: Settings = {
    runtime: "deno",
    servers: servers.url,
    faults: servers.faults,
    cloudConfig: generateCloudConfig(OPTIONS),
    proxy: `http://127.0.0.1:${edge.ports.proxy}`,
    behindProxy: `decapod.invalid${path}`,
    tls: {
      elsewhere: url("elsewhere"),
      expired: url("expired"),
      future: url("future"),
      good: url("good"),
      self: url("self"),
      wantsCertificate: url("wantsCertificate"),
      wantsCertificate12: url("wantsCertificate12"),
    },
    pem: {
      ca: ca.cert,
      cert: own.cert,
      key: own.key,
      otherCa: otherCa.cert,
      otherCert: other.cert,
      otherKey: other.key,
      self: self.cert,
    },
  };
  return {
    settings,
    async [Symbol.asyncDispose]() {
      await edge[Symbol.asyncDispose]();
      await servers[Symbol.asyncDispose]();
    },
  };
}

/** The results of each runtime, or why it was left out. */
async function runAll(
  targets: Target[],
): Promise<Map<string, Result[] | string>> {
  const columns = new Map<string, Result[] | string>();
  let tools: Tools;
  try {
    tools = await provideTools();
  } catch (error) {
    // No network, or a machine that these runtimes are not made for.
    const reason = error instanceof Error ? error.message : String(error);
    for (const { name } of targets) columns.set(name, reason);
    return columns;
  }
  await using registry = new JsrServer(
    await standInRegistry(),
    load(tools, "typescript"),
  );
  await publish(registry);
  await using prepared = await prepare(tools);
  const world: World = { tools, registry, settings: prepared.settings };
  for (const target of targets) {
    columns.set(target.name, await runTarget(world, target));
  }
  return columns;
}

const wanted = TARGETS.filter(({ name }) =>
  Deno.args.length === 0 || Deno.args.includes(name)
);
const strict = Deno.env.get("CI") !== undefined;
Deno.exitCode = printTable(await runAll(wanted), strict);
