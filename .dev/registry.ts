/**
 * Packages from npm, and from them `jsr:@std/…` on machines that cannot connect
 * to jsr.io.
 *
 * Deno reads a JSR registry from a folder as well as from a server. Some npm
 * packages that were built from Deno projects contain the compiled files of
 * std; this module extracts them once into such a folder.
 */
import { hash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { tempFolder, untar } from "./files.ts";
import { deno, type RunOptions } from "./process.ts";

/** The npm packages that contain packages of std. */
const SOURCES = [
  {
    npm: "windmill-cli@1.596.0",
    integrity:
      "sha512-5aFVNTOEaGyTKyQlyjFI1FAZ8fTIQ2vGSmnqL3FfZuKpKWdqGXh8p9Azdp8N2MkIwyP1vYtOK9nfQk6jr6tRTw==",
    std: ["yaml@1.0.10"],
  },
  {
    npm: "veryfront@0.1.1031",
    integrity:
      "sha512-Vhd648NOygFaqiSeT9xDRL/9Tf2KjyfpIlnz2W86fRHi9W47w7ngZisq0Xiw4nzNKN8kh5+MDD01N1E18Oidgw==",
    std: ["assert@1.0.19", "internal@1.0.14"],
  },
  {
    npm: "@fedify/fedify@1.3.0",
    integrity:
      "sha512-U0rUvD0Akl2F8TOwgwbeLoxUINbCsHiHGIWXt5pz3zyJ+1MgehJFPQPpPJR1jfF7iQIDwLik1mRLlXsqGUIQug==",
    std: ["async@1.0.9"],
  },
];

/** The module that imports all required packages of std. */
const STD = ".dev/std.ts";

/** The timeout for jsr.io. */
const PROBE_TIMEOUT_MS = 3_000;

/**
 * Makes std available to every `deno` that this process starts.
 *
 * A JSR_URL in the environment is used as it is.
 */
export async function provideStd(): Promise<void> {
  if (Deno.env.has("JSR_URL")) return;
  // Once std is cached, no network is required.
  if ((await deno(["check", "--cached-only", STD])).code === 0) return;
  if (await jsrResponds()) return void await deno(["check", STD]);
  const folder = await standInRegistry();
  Deno.env.set("JSR_URL", pathToFileURL(folder).href + "/");
}

async function jsrResponds(): Promise<boolean> {
  try {
    const response = await fetch("https://jsr.io/@std/yaml/meta.json", {
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    return (await response.json()).name === "yaml";
  } catch {
    return false;
  }
}

/** The folder of the stand-in registry, created if it does not exist. */
export async function standInRegistry(): Promise<string> {
  // A changed module creates another folder, so no stale files are used.
  const recipe = await Deno.readTextFile(new URL(import.meta.url));
  const key = hash("sha256", recipe).slice(0, 12);
  return await makeOnce(`std-${key}`, async (folder) => {
    for (const { npm, integrity, std } of SOURCES) {
      const files = await download(npm, integrity);
      for (const name of std) writePackage(folder, name, files);
    }
  });
}

/** The folder for downloads of this project, inside Deno's cache. */
export async function cacheFolder(): Promise<string> {
  const info = await deno(["info", "--json"]);
  const folder = join(JSON.parse(info.stdout).denoDir, "decapodlib");
  await Deno.mkdir(folder, { recursive: true });
  return folder;
}

/** A folder in the cache; `fill` creates its content if it does not exist. */
export async function makeOnce(
  name: string,
  fill: (scratch: string) => Promise<void>,
): Promise<string> {
  const parent = await cacheFolder();
  const folder = join(parent, name);
  if (existsSync(folder)) return folder;
  const start = performance.now();
  const scratch = await Deno.makeTempDir({ dir: parent });
  try {
    await fill(scratch);
    await Deno.rename(scratch, folder).catch((error) => {
      if (!existsSync(folder)) throw error; // not made by another process
    });
  } finally {
    if (existsSync(scratch)) await Deno.remove(scratch, { recursive: true });
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.error(`Installed in ${seconds} s: ${folder}`);
  return folder;
}

/** Runs npm, with this project's cache; requires no Node. */
export async function npm(args: string[], options?: RunOptions) {
  const program = ["run", "-A", "--no-config", "--no-lock", "npm:npm@11.6.2"];
  const quiet = ["--no-audit", "--no-fund", "--no-update-notifier"];
  const env = { npm_config_cache: join(await cacheFolder(), "npm") };
  const command = [...program, ...args, ...quiet];
  const output = await deno(command, { ...options, env });
  if (output.code === 0) return output;
  throw new Error(
    `Cannot run npm ${args.join(" ")}. Connect to an npm registry, or set ` +
      "NPM_CONFIG_REGISTRY to its URL. The output:\n" +
      output.stderr.trim().replace(/^/gm, "  "),
  );
}

/** The files of an npm package, by path. */
async function download(name: string, integrity: string) {
  using folder = tempFolder();
  const { stdout } = await npm(["pack", name], { cwd: folder.path });
  const archive = await Deno.readFile(join(folder.path, stdout.trim()));
  if (integrity !== `sha512-${hash("sha512", archive, "base64")}`) {
    throw new Error(`Cannot use ${name}: its checksum is not ${integrity}`);
  }
  return await untar(archive);
}

/** Writes one package of std, `yaml@1.0.10`, in the layout of a JSR registry. */
function writePackage(
  registry: string,
  nameAndVersion: string,
  files: Map<string, string>,
): void {
  const [name = "", version = ""] = nameAndVersion.split("@");
  const folder = join(registry, "@std", name);
  const write = (path: string, text: string) => {
    const file = join(folder, path);
    Deno.mkdirSync(dirname(file), { recursive: true });
    Deno.writeTextFileSync(file, text);
  };
  const exports: Record<string, string> = {};
  const manifest: Record<string, { size: number; checksum: string }> = {};
  for (const [path, built] of files) {
    const [, file] = path.split(`/deps/jsr.io/@std/${name}/${version}/`);
    if (!file?.match(/\.(js|d\.ts)$/)) continue;
    const text = asPublished(file, built);
    write(`${version}/${file}`, text);
    manifest[`/${file}`] = {
      size: new TextEncoder().encode(text).length,
      checksum: `sha256-${hash("sha256", text)}`,
    };
    if (file.endsWith(".js") && !/(^|\/)_/.test(file)) {
      const module = file === "mod.js" ? "" : "/" + file.slice(0, -3);
      exports["." + exportName(module)] = `./${file}`;
    }
  }
  const versions = { [version]: {} };
  const meta = { scope: "std", name, latest: version, versions };
  write(`${version}_meta.json`, JSON.stringify({ manifest, exports }));
  write("meta.json", JSON.stringify(meta));
}

/** Reverts the changes of the npm build to a file of std. */
function asPublished(file: string, text: string): string {
  const restored = text
    .replace(/^import \* as dntShim from .*\n/m, "")
    .replaceAll("dntShim.dntGlobalThis", "globalThis")
    .replaceAll("dntShim.", "")
    .replace(/^\/\/\/ <reference types="node" \/>\n/m, "")
    .replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n")
    // A file of another package, "../../internal/1.0.14/diff_str.js", becomes
    // an import of its export, whose name has dashes.
    .replace(
      /"(?:\.\.\/)+([\w-]+)\/(\d[^/"]*)\/([\w/]+)\.js"/g,
      (_, name, version, module) =>
        `"jsr:@std/${name}@^${version}/${exportName(module)}"`,
    );
  const types = basename(file).replace(/js$/, "d.ts");
  return file.endsWith(".js")
    ? `// @ts-self-types="./${types}"\n${restored}`
    : restored;
}

function exportName(module: string): string {
  return module.replaceAll("_", "-");
}
