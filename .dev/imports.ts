/** The import rules of the published modules. */
import { pathToFileURL } from "node:url";
import { type Output, ROOT } from "./process.ts";
import { byExitCode, noProblems, type Verdict } from "./runner.ts";

const ROOT_MODULE = "[a-z_]+\\.ts";
const INTERNAL = "internal/[a-z_]+\\.ts";

/** Types, errors and constants, which every module may import. */
const BASE = "(models|errors|options|version).ts";

/** What each module may import; the first row that matches a module decides. */
const MAY_IMPORT: [module: string, imports: string][] = [
  ["mod.ts", ROOT_MODULE],
  ["client.ts", `(?!mod\\.)${ROOT_MODULE}|${INTERNAL}`],
  [BASE, BASE],
  ["listing.ts", `${BASE}|internal/(caller|generators|validate).ts`],
  ["auth.ts", `${BASE}|internal/(caller|deadline).ts`],
  ["cloud_config.ts", `@std/yaml/stringify|${INTERNAL}`],
  [INTERNAL, `${BASE}|(listing|auth).ts|${INTERNAL}|@std/async/delay`],
];

type Target = { specifier?: string };
type Dependency = { specifier: string; code?: Target; type?: Target };
type Module = { specifier: string; dependencies?: Dependency[] };

/** Reads `deno info --json`: no foreign package, no arrow up, no cycle. */
export function checkImports(output: Output): Verdict {
  if (output.code !== 0) return byExitCode(output);
  const { modules }: { modules: Module[] } = JSON.parse(output.stdout);
  const root = pathToFileURL(ROOT).href;
  const inProject = (url: string) => url.startsWith(root);
  const path = (url: string) => url.slice(root.length);
  const problems: string[] = [];
  /** What each module imports, without those that are in no cycle. */
  const cycles = new Map<string, string[]>();
  const found = modules.filter(({ specifier }) => inProject(specifier));
  for (const { specifier: url, dependencies = [] } of found) {
    const module = path(url);
    const rule = MAY_IMPORT.find(([name]) => matches(name, module));
    if (!rule) problems.push(`${module}: add it to .dev/imports.ts`);
    const imports = dependencies.map(({ specifier, code, type }) => {
      const target = (code ?? type)?.specifier ?? specifier;
      return inProject(target) ? path(target) : specifier;
    });
    for (const target of imports) {
      if (rule && !matches(rule[1], target)) {
        problems.push(`${module} must not import ${target}`);
      }
    }
    cycles.set(module, imports);
  }
  for (let size = Infinity; cycles.size < size;) {
    size = cycles.size;
    for (const [module, imports] of cycles) {
      const inCycle = imports.some((target) => cycles.has(target)) &&
        [...cycles.values()].flat().includes(module);
      if (!inCycle) cycles.delete(module);
    }
  }
  if (cycles.size > 0) {
    problems.push(`import cycle: ${[...cycles.keys()].join(", ")}`);
  }
  return noProblems(problems);
}

function matches(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${pattern})$`).test(text);
}
