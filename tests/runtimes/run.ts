/**
 * Runs the suite on each runtime with the published package:
 * `deno run -A tests/runtimes/run.ts [RUNTIME…]`.
 *
 * Prints a table; fails if a test failed, and on CI if a target was skipped.
 */
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import {
  bunConsumer,
  type Consumer,
  denoConsumer,
  npmConsumer,
} from "../../.dev/jsr/consumers.ts";
import { type JsrServer, openRegistry } from "../../.dev/jsr/server.ts";
import { type Output, run } from "../../.dev/process.ts";
import {
  load,
  provideProgram,
  provideTools,
  type Tools,
} from "../../.dev/tools.ts";
import config from "../../deno.json" with { type: "json" };
import { generateCloudConfig } from "../../mod.ts";
import { type CertificateOptions, issue } from "./certificates.ts";
import { OPTIONS } from "./cloud_config.ts";
import { checkHints } from "./hints.ts";
import type { Result, Runtime, Settings } from "./kit.ts";
import { startEdge } from "../support/edge.ts";
import { Servers } from "./servers.ts";
import type { End } from "./suite.ts";
import { printTable } from "./table.ts";
import { type Kind, type Target, TARGETS } from "./targets.ts";
import { checkWithDeno, checkWithTypeScript } from "./types.ts";

/** The time limit of a run of the suite, which takes seconds. */
const LIMIT_MS = 120_000;

/** What all targets share. */
interface World {
  tools: Tools;
  /** The newest Node, for tools. */
  node: string;
  registry: JsrServer;
  settings: Settings;
}

/** One target, while the suite runs on it. */
interface Running extends World {
  target: Target;
  /** The path of the runtime or compiler. */
  program: string;
  consumer: Consumer;
}

/** How a kind of target installs and uses the package. */
interface Use {
  /** Makes the consumer's folder. */
  consumer: (registry: JsrServer, program: string) => Promise<Consumer>;
  /** Checks the types of the suite. */
  types?: (running: Running) => Promise<Result[]>;
  /** Runs the suite. */
  run?: (running: Running) => Promise<Output>;
  /** The arguments that run the probe with more flags. */
  probe?: (flags: string[]) => string[];
}

const npm = (registry: JsrServer) =>
  npmConsumer(registry, ["undici@7.30.2", "@types/node@20"]);

const DENO_RUN = ["run", "--allow-net", "--allow-env", "--no-prompt"];

const USES: Record<Kind, Use> = {
  deno: {
    consumer: denoConsumer,
    types: ({ consumer }) => checkWithDeno(consumer),
    run: (running) => runSuite(running, [...DENO_RUN, "runtimes/main.ts"]),
    probe: (flags) => [...DENO_RUN, ...flags, "runtimes/probe.ts"],
  },
  bun: {
    consumer: bunConsumer,
    run: (running) => runSuite(running, ["run", "runtimes/main.ts"]),
    probe: (flags) => ["run", ...flags, "runtimes/probe.ts"],
  },
  node: {
    consumer: npm,
    run: async (running) => {
      await toJavaScript(running.tools, running.consumer);
      return await runSuite(running, ["runtimes/main_node.js"]);
    },
    probe: (flags) => [...flags, "runtimes/probe.js"],
  },
  workerd: {
    consumer: denoConsumer,
    types: ({ consumer }) => checkWithDeno(consumer),
    run: async (running) => {
      const { consumer, node, target, tools } = running;
      const entry = "runtimes/main_workerd.ts";
      await consumer.deno(["bundle", "-o", "worker.js", entry]);
      const script = fileURLToPath(new URL("workerd.ts", import.meta.url));
      const args = [script, consumer.at("worker.js")];
      return await runSuite({ ...running, program: node }, args, {
        COMPATIBILITY_DATE: target.compatibilityDate ?? "",
        TOOLS: join(tools.folder, "package.json"),
        NODE_EXTRA_CA_CERTS: consumer.at("ca.pem"),
      });
    },
  },
  typescript: {
    consumer: npm,
    types: ({ consumer, node, program }) =>
      checkWithTypeScript(consumer, node, program),
  },
};

function runSuite(
  { program, consumer, settings, target }: Running,
  args: string[],
  more: Record<string, string> = {},
): Promise<Output> {
  const runtime = target.kind === "typescript" ? "node" : target.kind;
  const env = { ...consumer.env, ...environment(settings, runtime), ...more };
  const signal = AbortSignal.timeout(LIMIT_MS);
  return run(program, args, { env, cwd: consumer.folder, signal });
}

/** The environment of the suite. */
function environment(
  settings: Settings,
  runtime: Runtime,
): Record<string, string> {
  return {
    SETTINGS: JSON.stringify({ ...settings, runtime }),
    DECAPOD_URL: settings.servers,
    DECAPOD_LOGIN: "root",
    DECAPOD_PASSWORD: "root",
    // On Node the proxy is set by a custom fetch.
    ...(runtime !== "node" && {
      HTTP_PROXY: settings.proxy,
      HTTPS_PROXY: settings.proxy,
      NO_PROXY: "127.0.0.1,localhost,255.255.255.255,nosuch.invalid",
    }),
  };
}

/** Copies the suite into a consumer's folder. */
async function copySuite(consumer: Consumer): Promise<void> {
  await Deno.mkdir(consumer.at("runtimes"));
  const tests = new URL("../", import.meta.url);
  for (const file of await suiteFiles()) {
    await Deno.copyFile(new URL(file, tests), consumer.at(file));
  }
}

/** The modules of the suite, below `tests/`. */
async function suiteFiles(): Promise<string[]> {
  const files = ["operations.ts"];
  for await (const { name } of Deno.readDir(new URL(".", import.meta.url))) {
    files.push(`runtimes/${name}`);
  }
  return files;
}

/** Compiles the suite: Node 20 supports neither types nor `await using`. */
async function toJavaScript(tools: Tools, consumer: Consumer): Promise<void> {
  const typescript = load<{
    transpileModule(text: string, options: object): { outputText: string };
  }>(tools, "typescript");
  for (const file of await suiteFiles()) {
    const text = await Deno.readTextFile(consumer.at(file));
    const { outputText } = typescript.transpileModule(text, {
      compilerOptions: {
        target: "es2022",
        module: "esnext",
        rewriteRelativeImportExtensions: true,
      },
    });
    await consumer.write(file.replace(/ts$/, "js"), outputText);
  }
}

/** Runs the suite on one target; an incomplete run is a failure too. */
async function runTarget(
  world: World,
  target: Target,
  program: string,
): Promise<Result[]> {
  const use = USES[target.kind];
  await using consumer = await use.consumer(world.registry, program);
  await copySuite(consumer);
  await consumer.write("ca.pem", world.settings.pem.ca);
  await consumer.write("self.pem", world.settings.pem.self);
  const running = { ...world, target, program, consumer };
  const results = await use.types?.(running) ?? [];
  if (!use.run) return results;
  const { code, stdout, stderr } = await use.run(running);
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
  const { probe } = use;
  if (!probe) return results;
  const hints = await checkHints({
    kind: target.kind,
    target: target.name,
    settings: world.settings,
    folder: consumer.folder,
    command: (flags) => [program, ...probe(flags)],
    env: consumer.env,
  });
  return [...results, ...hints];
}

/** Modules that come neither from the registry nor from the consumer's folder. */
async function foreignModules(
  { registry }: World,
  { kind }: Target,
  consumer: Consumer,
  imported = "",
): Promise<string> {
  const own = pathToFileURL(consumer.folder).href + "/";
  if (kind === "bun" || kind === "node") {
    return imported.startsWith(`${own}node_modules/`) ? "" : imported;
  }
  const args = ["info", "--json", "runtimes/main.ts"];
  const { stdout } = await consumer.deno(args);
  const { modules }: { modules: { specifier: string }[] } = JSON.parse(stdout);
  const specifiers = modules.map(({ specifier }) => specifier);
  const library = `${registry.url}@decapod/decapodlib/${config.version}/mod.ts`;
  if (!specifiers.includes(library)) {
    return "the library is not from the registry";
  }
  return specifiers.filter((specifier) =>
    !specifier.startsWith(own) && !specifier.startsWith(registry.url)
  ).join("\n");
}

/** Creates certificates, servers and the settings for them. */
async function prepare(node: string) {
  const names = ["localhost", "127.0.0.1"];
  const ca = await issue("CA", { ca: true });
  const otherCa = await issue("Other CA", { ca: true });
  const year = (number: number) => new Date(Date.UTC(number, 0));
  const server = async (options: CertificateOptions, issuer = ca) => {
    const { cert, key } = await issue("server", options, issuer);
    return { cert, key };
  };
  const good = await server({ names: [...names, "decapod.invalid"] });
  const requiresCertificate = {
    ...good,
    ca: ca.cert,
    requestCert: true,
    rejectUnauthorized: true,
  };
  const self = await issue("self", { names, ca: true });
  const own = await server({});
  const other = await server({}, otherCa);
  const servers = new Servers();
  const path = servers.open();
  const edge = await startEdge(node, {
    upstream: servers.port,
    hidden: "decapod.invalid",
    hiddenTls: "good",
    http2Tls: "good",
    tls: {
      good,
      elsewhere: await server({ names: ["elsewhere.example", "127.0.0.2"] }),
      expired: await server({ names, from: year(2020), until: year(2021) }),
      future: await server({ names, from: year(2047), until: year(2048) }),
      self: { cert: self.cert, key: self.key },
      requiresCertificate,
      requiresCertificate12: { ...requiresCertificate, maxVersion: "TLSv1.2" },
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
    http2: `https://localhost:${edge.ports.http2}`,
    tls: {
      elsewhere: url("elsewhere"),
      expired: url("expired"),
      future: url("future"),
      good: url("good"),
      self: url("self"),
      requiresCertificate: url("requiresCertificate"),
      requiresCertificate12: url("requiresCertificate12"),
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

/** The results of each target, or why it was skipped. */
async function runAll(
  targets: Target[],
): Promise<Map<string, Result[] | string>> {
  const rows = new Map<string, Result[] | string>();
  // Without network or for other machines, some programs cannot be installed.
  const skip = (error: unknown, ...skipped: Target[]) => {
    const reason = error instanceof Error ? error.message : String(error);
    for (const { name } of skipped) rows.set(name, reason);
  };
  let tools: Tools;
  let node: string;
  try {
    tools = await provideTools();
    node = await provideProgram("node26");
  } catch (error) {
    skip(error, ...targets);
    return rows;
  }
  await using registry = await openRegistry(tools);
  await using prepared = await prepare(node);
  const world: World = {
    tools,
    node,
    registry,
    settings: prepared.settings,
  };
  for (const target of targets) {
    let program = Deno.execPath();
    try {
      if (target.program) program = await provideProgram(target.program);
    } catch (error) {
      skip(error, target);
      continue;
    }
    rows.set(target.name, await runTarget(world, target, program));
  }
  return rows;
}

const strict = Deno.env.get("CI") !== undefined;
const named = (arg: string) =>
  TARGETS.filter(({ name, kind }) => arg === name || arg === kind);
const unknown = Deno.args.filter((arg) => named(arg).length === 0);
if (unknown.length > 0) {
  const names = TARGETS.map(({ name }) => name).join(", ");
  console.error(`Unknown runtime "${unknown.join('", "')}". Known: ${names}`);
  Deno.exit(1);
}
const wanted = Deno.args.length > 0
  ? Deno.args.flatMap(named)
  : TARGETS.filter(({ newest }) => newest || strict);
Deno.exitCode = printTable(await runAll(wanted), strict);
