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
  [INTERNAL, `${BASE}|(listing|auth).ts|${INTERNAL}|@std/.*`],
];

/** What may be imported from other packages. */
const PACKAGES = ["@std/async/delay", "@std/yaml/stringify"];

/** What a module imports, by its path in the project. */
type Graph = Map<string, string[]>;

/** Reads `deno info --json`: no foreign package, no arrow up, no circle. */
export function checkImports(output: Output): Verdict {
  if (output.code !== 0) return byExitCode(output);
  const graph = readGraph(output.stdout);
  const problems: string[] = [];
  for (const [module, imports] of graph) {
    const [, allowed] = MAY_IMPORT.find(([name]) => matches(name, module)) ??
      [];
    if (allowed === undefined) {
      problems.push(`${module}: add it to the import rules, .dev/imports.ts`);
      continue;
    }
    for (const target of imports) {
      const foreign = !graph.has(target) && !PACKAGES.includes(target);
      if (foreign || !matches(allowed, target)) {
        problems.push(`${module} must not import ${target}`);
      }
    }
  }
  return noProblems([...problems, ...circles(graph)]);
}

/** The modules of this project, and what they import: paths or packages. */
function readGraph(json: string): Graph {
  interface Dependency {
    specifier: string;
    code?: { specifier?: string };
    type?: { specifier?: string };
  }
  const { modules }: {
    modules: { specifier: string; dependencies?: Dependency[] }[];
  } = JSON.parse(json);
  const root = pathToFileURL(ROOT).href;
  return new Map(
    modules.filter(({ specifier }) => specifier.startsWith(root))
      .map(({ specifier, dependencies = [] }) => [
        specifier.slice(root.length),
        dependencies.map(({ specifier, code, type }) => {
          const url = (code ?? type)?.specifier ?? specifier;
          return url.startsWith(root) ? url.slice(root.length) : specifier;
        }),
      ]),
  );
}

/** Each circle once, as the path from a module to itself. */
function circles(graph: Graph): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (module: string, path: string[]) => {
    const start = path.indexOf(module);
    if (start >= 0) {
      found.push(`circle: ${[...path.slice(start), module].join(" → ")}`);
    }
    if (start >= 0 || done.has(module)) return;
    for (const next of graph.get(module) ?? []) visit(next, [...path, module]);
    done.add(module);
  };
  for (const module of graph.keys()) visit(module, []);
  return found;
}

function matches(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${pattern})$`).test(text);
}
