/** The form in which JSR serves packages to npm: JavaScript and types. */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { gzipSync } from "node:zlib";

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
export function npmForm(
  { name, version, exports, files }: Published,
  typescript: TypeScript,
): NpmPackage {
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
  const tarball = Uint8Array.from(gzipSync(tar(made)));
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

/** A tar archive of these files, in `package/` as npm requires. */
export function tar(files: Map<string, string>): Uint8Array {
  const blocks: Uint8Array[] = [];
  const encoder = new TextEncoder();
  for (const [path, text] of files) {
    const content = encoder.encode(text);
    const header = new Uint8Array(512);
    const put = (at: number, value: string) =>
      header.set(encoder.encode(value), at);
    const octal = (value: number, width: number) =>
      value.toString(8).padStart(width, "0");
    put(0, `package${path}`);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, octal(content.length, 11));
    put(136, octal(0, 11));
    put(148, " ".repeat(8));
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    const sum = header.reduce((total, byte) => total + byte, 0);
    put(148, `${octal(sum, 6)}\0 `);
    const padded = new Uint8Array(Math.ceil(content.length / 512) * 512);
    padded.set(content);
    blocks.push(header, padded);
  }
  blocks.push(new Uint8Array(1024));
  const archive = new Uint8Array(
    blocks.reduce((total, { length }) => total + length, 0),
  );
  let at = 0;
  for (const block of blocks) {
    archive.set(block, at);
    at += block.length;
  }
  return archive;
}
