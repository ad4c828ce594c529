/**
 * Other runtimes, compilers and clients, from npm, at fixed versions. They are
 * installed on first use, in Deno's cache and never in the checkout.
 */
import { hash } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { makeOnce, npm } from "./registry.ts";

const { os, arch } = Deno.build;
const EXE = os === "windows" ? ".exe" : "";
const CPU = arch === "aarch64" ? "arm64" : "x64";

/** This machine in the names of npm's packages of programs. */
const MACHINE = {
  bun: `${os}-${CPU.replace("arm64", arch)}`,
  deno: `${os}-${CPU}`.replace("windows", "win32")
    .replace(/^linux.*/, "$&-glibc"),
  node: `${os}-${CPU}`.replace("windows", "win")
    .replace("darwin-arm64", "bin-$&"),
};

/** The npm packages that hold programs for this machine, and the path in them. */
const PACKAGES = {
  bun: [`@oven/bun-${MACHINE.bun}`, `bin/bun${EXE}`],
  deno: [`@deno/${MACHINE.deno}`, `deno${EXE}`],
  node: [`node-${MACHINE.node}`, `bin/node${EXE}`],
  typescript: ["typescript", "bin/tsc"],
} as const;

/** Programs and their versions; not every Node version exists for every machine. */
const PROGRAMS = {
  "deno2.0": ["deno", "2.0.0"],
  "bun1.2": ["bun", "1.2.0"],
  "bun1.4": ["bun", "1.4.5"],
  node20: ["node", "20.20.2 || 20.18.1"],
  node22: ["node", "22.23.3 || 22.23.2"],
  node24: ["node", "24.21.0 || 24.18.1 || 24.0.0"],
  node26: ["node", "26.10.0"],
  "typescript5.4": ["typescript", "5.4.5"],
  "typescript5.9": ["typescript", "5.9.3"],
  "typescript7": ["typescript", "7.0.2"],
} as const;

/** The name of a program. */
export type Program = keyof typeof PROGRAMS;

/** Packages that are imported by scripts. */
const LIBRARIES = {
  ky: "2.1.0",
  miniflare: "4.20260730.0",
  "openapi-fetch": "0.17.0",
  typescript: "5.9.3",
  undici: "7.30.2",
};

/** Installs the libraries once, and returns the folder with `node_modules`. */
export const provideTools = () => install("libraries", LIBRARIES);

/** Installs a program, unless it is installed, and returns its path. */
export async function provideProgram(name: Program): Promise<string> {
  const [kind, version] = PROGRAMS[name];
  const [packageName, path] = PACKAGES[kind];
  const program = `npm:${packageName}@${version}`;
  const folder = await install(name, { program });
  const file = join(folder, "node_modules/program", path);
  // Some packages do this in an install script; scripts are disabled.
  if (os !== "windows") await Deno.chmod(file, 0o755);
  return file;
}

/** Creates a folder with these packages of npm, once. */
export function install(
  name: string,
  dependencies: Record<string, string>,
): Promise<string> {
  const manifest = JSON.stringify({ private: true, dependencies });
  const key = hash("sha256", manifest).slice(0, 12);
  return makeOnce(`${name}-${key}`, async (cwd) => {
    await Deno.writeTextFile(join(cwd, "package.json"), manifest);
    const flags = ["--ignore-scripts", "--install-strategy=hoisted"];
    await npm(["install", ...flags], { cwd });
  });
}

/** Loads one of the libraries. */
export function load<T>(tools: string, name: string): T {
  return createRequire(join(tools, "package.json"))(name);
}
