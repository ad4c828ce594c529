/** The form in which JSR serves packages to npm: JavaScript and types. */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { packed } from "../files.ts";

/** The parts of the TypeScript compiler that are used. */
export interface TypeScript {
  createCompilerHost(options: object): CompilerHost;
  createProgram(roots: string[], options: object, host: CompilerHost): {
    emit(
      target: undefined,
      write: (path: string, text: string) => void,
    ): unknown;
  };
}

interface CompilerHost {
  fileExists(path: string): boolean;
  readFile(path: string): string | undefined;
}

/** One published version: the text of each file by its path. */
export interface Published {
  name: string;
  version: string;
  exports: Record<string, string>;
  files: Map<string, string>;
}

/** A package for npm. */
export interface NpmPackage {
  /** The registry's description of the package. */
  document(registry: string): object;
  tarball: Uint8Array<ArrayBuffer>;
}

/** The folder of the generated types, as in JSR's packages. */
const TYPES = "/_dist";

/** A module specifier in code. */
const SPECIFIER = /(\bfrom\s*|\bimport\s*\(?\s*)(["'])([^"'\n]+)\2/g;

const JSR = /^jsr:\/?(@[^/]+\/[^/@]+)(?:@([^/]+))?(\/.*)?$/;

/** Creates the npm form of a package. */
export async function npmForm(
  { name, version, exports, files }: Published,
  typescript: TypeScript,
): Promise<NpmPackage> {
  const dependencies: Record<string, string> = {};
  const rename = (text: string) =>
    text.replace(SPECIFIER, (all, before, quote, specifier: string) => {
      const [, dependency, range, path = ""] = specifier.match(JSR) ?? [];
      if (dependency) {
        dependencies[npmName(dependency)] = range ?? "*";
        return `${before}${quote}${npmName(dependency)}${path}${quote}`;
      }
      if (!specifier.startsWith(".")) return all;
      const script = specifier.replace(/(?:\.d)?\.ts$/, ".js");
      return `${before}${quote}${script}${quote}`;
    });
  const made = new Map<string, string>();
  for (const [path, text] of files) {
    if (path === "/package.json") continue;
    made.set(path, /\.[jt]s$/.test(path) ? rename(text) : text);
  }
  for (const [path, text] of compile(files, typescript)) {
    made.set(path.endsWith(".d.ts") ? TYPES + path : path, rename(text));
  }
  const manifest = {
    name: npmName(name),
    version,
    homepage: `https://jsr.io/${name}`,
    type: "module",
    dependencies,
    exports: Object.fromEntries(
      Object.entries(exports).map(([key, path]) => {
        const module = posix.join("/", path).replace(/\.[jt]s$/, "");
        const folder = path.endsWith(".ts") ? TYPES : "";
        const types = `.${folder}${module}.d.ts`;
        return [key, { types, default: `.${module}.js` }];
      }),
    ),
    _jsr_revision: 0,
  };
  made.set("/package.json", JSON.stringify(manifest, null, 2));
  const tarball = await packed(made);
  const digest = (hash: string, form: "base64" | "hex") =>
    createHash(hash).update(tarball).digest(form);
  return {
    tarball,
    document: (registry) => ({
      name: manifest.name,
      "dist-tags": { latest: version },
      versions: {
        [version]: {
          ...manifest,
          dist: {
            tarball: `${registry}~/${manifest.name.slice("@jsr/".length)}.tgz`,
            shasum: digest("sha1", "hex"),
            integrity: `sha512-${digest("sha512", "base64")}`,
          },
        },
      },
    }),
  };
}

/** `@std/yaml` is `@jsr/std__yaml` on npm. */
function npmName(name: string): string {
  return `@jsr/${name.slice(1).replace("/", "__")}`;
}

/** Compiles the modules to JavaScript and types, by path. */
function compile(
  files: Map<string, string>,
  typescript: TypeScript,
): Map<string, string> {
  const modules = [...files.keys()].filter((path) =>
    path.endsWith(".ts") && !path.endsWith(".d.ts")
  );
  const options = {
    target: 99, // esnext
    module: 99,
    moduleResolution: 100, // bundler
    declaration: true,
    rewriteRelativeImportExtensions: true,
    verbatimModuleSyntax: true,
    types: [],
  };
  // The folder does not exist: only the package's own files are visible.
  const root = `/${crypto.randomUUID()}`;
  const own = (path: string) => files.get(path.slice(root.length));
  const host = typescript.createCompilerHost(options);
  const { fileExists, readFile } = host;
  host.fileExists = (path) =>
    path.startsWith(root) ? own(path) !== undefined : fileExists(path);
  host.readFile = (path) => path.startsWith(root) ? own(path) : readFile(path);
  const made = new Map<string, string>();
  // `deno publish` has checked the types.
  typescript.createProgram(modules.map((path) => root + path), options, host)
    .emit(undefined, (path, text) => made.set(path.slice(root.length), text));
  return made;
}
