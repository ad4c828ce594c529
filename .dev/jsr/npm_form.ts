/** The form in which JSR serves packages to npm: JavaScript and types. */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { packed } from "../files.ts";

/** Compiles one module, as TypeScript does. */
type Transpile = (
  text: string,
  options: { compilerOptions: object; fileName: string },
) => { outputText: string };

/** The parts of the TypeScript compiler that are used. */
export interface TypeScript {
  transpileModule: Transpile;
  transpileDeclaration: Transpile;
}

/** One published version: the text of each file by its path. */
export interface Published {
  name: string;
  version: string;
  exports: Record<string, string>;
  files: Map<string, string>;
}

/** The folder of the generated types, as in JSR's packages. */
const TYPES = "/_dist";

/** A module specifier in code. */
const SPECIFIER = /(\bfrom\s*|\bimport\s*\(?\s*)(["'])([^"'\n]+)\2/g;

const JSR = /^jsr:\/?(@[^/]+\/[^/@]+)(?:@([^/]+))?(\/.*)?$/;

/** Creates a package for npm: its archive and the registry's description. */
export async function npmForm(
  { name, version, exports, files }: Published,
  typescript: TypeScript,
  registry: string,
) {
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
    const [, module] = path.match(/^(.*)(?<!\.d)\.ts$/) ?? [];
    if (!module) continue;
    const compilerOptions = { target: "esnext", verbatimModuleSyntax: true };
    const options = { compilerOptions, fileName: path };
    const script = typescript.transpileModule(text, options);
    made.set(`${module}.js`, rename(script.outputText));
    const types = typescript.transpileDeclaration(text, options).outputText
      // Without its libraries, TypeScript declares such methods twice.
      .replace(/^ +\[Symbol\.\w+\]: .*\n/gm, "");
    made.set(`${TYPES}${module}.d.ts`, rename(types));
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
  const archive = await packed(made);
  const digest = createHash("sha512").update(archive).digest("base64");
  const tarball = `${registry}~/${manifest.name.slice("@jsr/".length)}.tgz`;
  const dist = { tarball, integrity: `sha512-${digest}` };
  const document = {
    name: manifest.name,
    "dist-tags": { latest: version },
    versions: { [version]: { ...manifest, dist } },
  };
  return { archive, document };
}

/** `@std/yaml` is `@jsr/std__yaml` on npm. */
function npmName(name: string): string {
  return `@jsr/${name.slice(1).replace("/", "__")}`;
}
