/**
 * Provides `jsr:@std/…` imports on machines that cannot connect to jsr.io.
 *
 * Deno reads a JSR registry from a folder as well as from a server. Some npm
 * packages that were built from Deno projects contain the compiled files of
 * std; this module extracts them once into such a folder.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { tempFolder, untar } from "./files.ts";
import { deno } from "./process.ts";

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

/** npm, run by Deno: no Node is required. */
export const NPM = "npm:npm@11.6.2";

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
  if (await jsrResponds()) {
    await deno(["check", STD]);
    return;
  }
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
  const recipe = await Deno.readFile(new URL(import.meta.url));
  const key = createHash("sha256").update(recipe).digest("hex").slice(0, 12);
  return await makeOnce(`std-${key}`, async (folder) => {
    using scratch = tempFolder();
    const tarballs = await downloadTarballs(scratch.path);
    for (const { integrity, npm, std } of SOURCES) {
      const tarball = tarballs.get(integrity);
      if (!tarball) {
        throw new Error(`Cannot use ${npm}: its checksum is not ${integrity}`);
      }
      const files = stdFiles(await untar(tarball));
      for (const name of std) await writePackage(folder, name, files);
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

/** Downloads the npm packages and returns them by checksum. */
async function downloadTarballs(
  scratch: string,
): Promise<Map<string, Uint8Array>> {
  const packed = join(scratch, "packed");
  await Deno.mkdir(packed);
  const pack = ["run", "-A", NPM, "pack"];
  const to = ["--pack-destination", packed];
  const npm = await deno([...pack, ...to, ...SOURCES.map(({ npm }) => npm)], {
    env: {
      DENO_DIR: join(scratch, "deno"),
      npm_config_cache: join(scratch, "npm"),
    },
  });
  if (npm.code !== 0) {
    throw new Error(
      "Cannot download @std from jsr.io or the npm registry. " +
        "Connect to one of them, or set NPM_CONFIG_REGISTRY to the URL of an npm registry " +
        "or JSR_URL to the URL of a JSR registry. Output of npm:\n" +
        npm.stderr.trim().replace(/^/gm, "  "),
    );
  }
  const tarballs = new Map<string, Uint8Array>();
  for await (const { name } of Deno.readDir(packed)) {
    const bytes = await Deno.readFile(join(packed, name));
    const hash = createHash("sha512").update(bytes).digest("base64");
    tarballs.set(`sha512-${hash}`, bytes);
  }
  return tarballs;
}

/** The files of std in an archive: `yaml@1.0.10` → `mod.js` → text. */
function stdFiles(
  archive: Iterable<[path: string, text: string]>,
): Map<string, Map<string, string>> {
  const packages = new Map<string, Map<string, string>>();
  for (const [path, text] of archive) {
    const [, name, version, file] = path.match(
      /^package\/\w+\/deps\/jsr\.io\/@std\/([^/]+)\/([^/]+)\/(.+\.(?:js|d\.ts))$/,
    ) ?? [];
    if (!name || !file) continue;
    const key = `${name}@${version}`;
    const files = packages.get(key) ?? new Map<string, string>();
    packages.set(key, files.set(file, asPublished(file, text)));
  }
  return packages;
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
  const types = file.slice(file.lastIndexOf("/") + 1).replace(/js$/, "d.ts");
  return file.endsWith(".js")
    ? `// @ts-self-types="./${types}"\n${restored}`
    : restored;
}

function exportName(module: string): string {
  return module.replaceAll("_", "-");
}

/** Writes one package in the layout of a JSR registry. */
async function writePackage(
  registry: string,
  nameAndVersion: string,
  packages: Map<string, Map<string, string>>,
): Promise<void> {
  const [name = "", version = ""] = nameAndVersion.split("@");
  const files = packages.get(nameAndVersion);
  if (!files) {
    throw new Error(`Cannot find @std/${nameAndVersion} in its npm package`);
  }
  const folder = join(registry, "@std", name);
  const exports: Record<string, string> = {};
  const manifest: Record<string, { size: number; checksum: string }> = {};
  for (const [file, text] of files) {
    const path = join(folder, version, file);
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, text);
    const bytes = new TextEncoder().encode(text);
    manifest[`/${file}`] = {
      size: bytes.length,
      checksum: "sha256-" + createHash("sha256").update(bytes).digest("hex"),
    };
    if (file.endsWith(".js") && !/(^|\/)_/.test(file)) {
      const module = file === "mod.js" ? "" : "/" + file.slice(0, -3);
      exports["." + exportName(module)] = `./${file}`;
    }
  }
  const write = (file: string, json: unknown) =>
    Deno.writeTextFile(join(folder, file), JSON.stringify(json));
  await write(`${version}_meta.json`, { manifest, exports });
  await write("meta.json", {
    scope: "std",
    name,
    latest: version,
    versions: { [version]: {} },
  });
}
