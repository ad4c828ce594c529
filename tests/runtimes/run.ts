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
import { run } from "../../.dev/process.ts";
import { load, provideProgram, provideTools } from "../../.dev/tools.ts";
import { generateCloudConfig } from "../../mod.ts";
import { block, read } from "../support/markdown.ts";
import { type CertificateOptions, issue } from "./certificates.ts";
import type { Edge } from "./edge.ts";
import { checkHints } from "./hints.ts";
import type { Result, Settings } from "./kit.ts";
import { openServers } from "./servers.ts";
import type { End } from "./suite.ts";
import { printTable } from "./table.ts";
import { command, type Kind, NEWEST, type Target, TARGETS } from "./targets.ts";
import { checkWithDeno, checkWithTypeScript } from "./types.ts";

/** The time limit of a run of the suite, which takes seconds. */
const LIMIT_MS = 300_000;

/** Targets that run at the same time; each waits for half of its time. */
const CONCURRENCY = navigator.hardwareConcurrency + 1;

/** What all targets share. */
interface World {
  tools: string;
  /** The newest Node, for tools. */
  node: string;
  registry: JsrServer;
  settings: Omit<Settings, "runtime" | "cutLogs">;
  /** The text of docs/runtimes.md. */
  page: string;
  readme: string;
  /** Folders with the package and the suite, by their installer. */
  consumers: Map<string, Promise<Consumer>>;
  /** Deletes them. */
  stack: AsyncDisposableStack;
}

/** Installs the package and the suite; targets of one installer share them. */
function provideConsumer(
  world: World,
  kind: Kind,
  program: string,
): Promise<Consumer> {
  const isNpm = kind === "node" || kind === "typescript";
  const installer = isNpm ? "npm" : program;
  const consumer = world.consumers.get(installer) ?? create();
  world.consumers.set(installer, consumer);
  return consumer;

  async function create(): Promise<Consumer> {
    const { registry, settings: { pem }, page, readme } = world;
    const consumer = isNpm
      ? await npmConsumer(registry, ["undici@7.30.2", "@types/node@20"])
      : kind === "bun"
      ? await bunConsumer(registry, program)
      : await denoConsumer(registry, program);
    world.stack.use(consumer);
    await Deno.mkdir(consumer.at("runtimes"));
    const tests = new URL("../", import.meta.url);
    const suite = ["operations.ts"];
    for await (const { name } of Deno.readDir(new URL("runtimes", tests))) {
      suite.push(`runtimes/${name}`);
    }
    const files = {
      "ca.pem": pem.ca,
      "self.pem": pem.self,
      "cert.pem": pem.cert,
      "key.pem": pem.key,
      "first.js": block(readme, "Node", "js"),
      "first.ts": block(readme, "Bun", "ts"),
      "mutual.js": block(page, "TLS", "JavaScript"),
      "mutual_node.ts": block(page, "TLS", "JavaScript"),
      "mutual.ts": block(page, "TLS", "TypeScript"),
    };
    for (const [file, text] of Object.entries(files)) {
      await consumer.write(file, text);
    }
    for (const file of suite) {
      const text = await Deno.readTextFile(new URL(file, tests));
      await consumer.write(file, text);
      if (!isNpm) continue;
      // Node 20 supports neither types nor `await using`.
      const script = toJavaScript(world.tools, text);
      await consumer.write(file.replace(/ts$/, "js"), script);
    }
    return consumer;
  }
}

function toJavaScript(tools: string, text: string): string {
  const typescript = load<{
    transpileModule(text: string, options: object): { outputText: string };
  }>(tools, "typescript");
  const compilerOptions = {
    target: "es2022",
    module: "esnext",
    rewriteRelativeImportExtensions: true,
  };
  return typescript.transpileModule(text, { compilerOptions }).outputText;
}

/** Runs the suite on one target; an incomplete run is a failure too. */
async function runTarget(
  world: World,
  target: Target,
  program: string,
): Promise<Result[]> {
  const { name, kind, column = "" } = target;
  const { node, registry, tools } = world;
  const consumer = await provideConsumer(world, kind, program);
  if (kind === "typescript") {
    return await checkWithTypeScript(consumer, node, program);
  }
  const results = kind === "deno"
    ? await checkWithDeno(consumer, NEWEST.includes(target))
    : [];
  const cutLogs = cutLogsOf(world.page, column);
  const settings: Settings = { ...world.settings, cutLogs, runtime: kind };
  const env = {
    ...consumer.env,
    SETTINGS: JSON.stringify(settings),
    DECAPOD_URL: settings.servers,
    DECAPOD_LOGIN: "root",
    DECAPOD_PASSWORD: "root",
    // On Node the proxy is set by a custom fetch.
    ...(kind !== "node" && {
      HTTP_PROXY: settings.proxy,
      HTTPS_PROXY: settings.proxy,
      NO_PROXY: "127.0.0.1,localhost,255.255.255.255,nosuch.invalid",
    }),
    ...(kind === "workerd" && {
      COMPATIBILITY_DATE: target.compatibilityDate ?? "",
      TOOLS: join(tools, "package.json"),
      NODE_EXTRA_CA_CERTS: consumer.at("ca.pem"),
    }),
  };
  const launcher = fileURLToPath(new URL("workerd.ts", import.meta.url));
  const entry = kind === "node" ? "runtimes/node" : "runtimes/main";
  const [first, ...args] = kind === "workerd"
    ? [node, launcher, await bundle(consumer, name)]
    : command(kind, program, entry);
  const signal = AbortSignal.timeout(LIMIT_MS);
  let endedAt = 0;
  const onOutput = (chunk: string) => {
    if (chunk.includes('{"end":true')) endedAt = Date.now();
  };
  const options = { env, cwd: consumer.folder, signal, onOutput };
  const { code, stdout, stderr } = await run(first, args, options);
  let end: End | undefined;
  for (const line of stdout.split("\n")) {
    if (!line.startsWith("{")) continue;
    const parsed: Result | End = JSON.parse(line);
    if ("end" in parsed) end = parsed;
    else results.push(parsed);
  }
  const check = (name: string, failure: string) =>
    results.push({ section: "package", name, ...failure && { failure } });
  const output = `${stdout.slice(-2000)}\n${stderr.slice(-4000)}`;
  // A timer that is left running would keep the process alive.
  const delay = Date.now() - endedAt;
  check("the process ends with the suite", delay < 5000 ? "" : `${delay} ms`);
  check(
    "the suite ran to its end",
    end && code === 0 ? "" : `exit code ${code}\n${output}`,
  );
  check(
    "nothing is from elsewhere",
    await foreignModules(registry, kind, consumer, end?.library ?? ""),
  );
  const hints = await checkHints(target, settings, program, consumer);
  return [...results, ...hints];
}

async function bundle(consumer: Consumer, name: string): Promise<string> {
  const file = consumer.at(`${name}.js`);
  await consumer.deno(["bundle", "-o", file, "runtimes/main_workerd.ts"]);
  return file;
}

/** Whether a cut log is an error, by its row in a column of docs/runtimes.md. */
function cutLogsOf(page: string, column: string): Record<string, string> {
  const [, part = ""] = /^## Truncated logs\n([^]*?)^## /m.exec(page) ?? [];
  const [head = [], , ...rows] = part.split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const index = head.indexOf(column);
  if (index < 0) throw new Error(`Cannot find the column ${column}`);
  return Object.fromEntries(
    rows.map((row) => [row[0]?.replaceAll("`", ""), row[index]]),
  );
}

/** Modules that come neither from the registry nor from the consumer's folder. */
async function foreignModules(
  registry: JsrServer,
  kind: Kind,
  consumer: Consumer,
  library: string,
): Promise<string> {
  const own = pathToFileURL(consumer.folder).href + "/";
  if (kind === "bun" || kind === "node") {
    return library.startsWith(`${own}node_modules/`) ? "" : library;
  }
  const args = ["info", "--json", "runtimes/main.ts"];
  const { stdout } = await consumer.deno(args);
  const { modules }: { modules: { specifier: string }[] } = JSON.parse(stdout);
  const others = modules.map(({ specifier }) => specifier)
    .filter((specifier) => !specifier.startsWith(own));
  if (others.length === 0) return "the library is not from the registry";
  return others.filter((url) => !url.startsWith(registry.url)).join("\n");
}

/** Starts the TLS servers and the proxy; Node has to be the newest. */
async function startEdge(node: string, edge: Edge) {
  const child = new Deno.Command(node, {
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

/** Creates certificates, servers and the settings for them. */
async function prepare(node: string) {
  const names = ["localhost", "127.0.0.1"];
  const ca = await issue("CA", { ca: true });
  const otherCa = await issue("Other CA", { ca: true });
  const self = await issue("self", { names, ca: true });
  const own = await issue("client", {}, ca);
  const other = await issue("client", {}, otherCa);
  const year = (number: number) => new Date(Date.UTC(number, 0));
  const server = async (options: CertificateOptions) => {
    const { cert, key } = await issue("server", options, ca);
    return { cert, key };
  };
  const good = await server({ names: [...names, "decapod.invalid"] });
  const requiresCertificate = {
    ...good,
    ca: ca.cert,
    requestCert: true,
    rejectUnauthorized: true,
  };
  const stack = new AsyncDisposableStack();
  const { open, port, servers, faults } = stack.use(openServers());
  const path = open();
  const { ports } = stack.use(
    await startEdge(node, {
      upstream: port,
      tls: {
        good,
        elsewhere: await server({ names: ["elsewhere.example", "127.0.0.2"] }),
        expired: await server({ names, from: year(2020), until: year(2021) }),
        future: await server({ names, from: year(2047), until: year(2048) }),
        self: { cert: self.cert, key: self.key },
        requiresCertificate,
        requiresCertificate12: {
          ...requiresCertificate,
          maxVersion: "TLSv1.2",
        },
      },
    }),
  );
  const url = (name: string) => `https://localhost:${ports[name]}${path}`;
  const cloudConfig = {
    url: "https://decapod.example:9999",
    serverDiscoveryToken: "26758c32-3421-4f3d-9603-e4b5337e7ecc",
    publicKey:
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFMPVXbJkfBaBn7tLZhG7OXQpj5HFgMMbTO6MaexrZU größe@decapod",
    username: "ansible",
    timeout: 2.5,
    packages: ["python", "chrony"],
  };
  return {
    settings: {
      servers,
      faults,
      resets: `http://127.0.0.1:${ports.resets}`,
      proxy: `http://127.0.0.1:${ports.proxy}`,
      behindProxy: `decapod.invalid${path}`,
      http2: `https://localhost:${ports.http2}`,
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
      cloudConfig: {
        options: cloudConfig,
        text: generateCloudConfig(cloudConfig),
      },
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
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
    return rows;
  };
  let common: [string, string];
  try {
    common = await Promise.all([provideTools(), provideProgram("node26")]);
  } catch (error) {
    return skip(error, ...targets);
  }
  const [tools, node] = common;
  await using stack = new AsyncDisposableStack();
  const [registry, prepared] = await Promise.all([
    openRegistry().then((registry) => stack.use(registry)),
    prepare(node).then((prepared) => stack.use(prepared)),
  ]);
  const page = await read("docs/runtimes.md");
  const readme = await read("README.md");
  const world: World = {
    ...{ tools, node, registry, page, readme, stack },
    settings: prepared.settings,
    consumers: new Map(),
  };
  const queue = [...targets];
  const work = async () => {
    for (let target = queue.shift(); target; target = queue.shift()) {
      const { name, program } = target;
      rows.set(name, []); // keeps the order
      let path = Deno.execPath();
      try {
        if (program) path = await provideProgram(program);
      } catch (error) {
        skip(error, target);
        continue;
      }
      rows.set(name, await runTarget(world, target, path));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
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
const chosen = Deno.args.length > 0
  ? Deno.args.flatMap(named)
  : strict
  ? TARGETS
  : NEWEST;
Deno.exitCode = printTable(await runAll(chosen), strict);
