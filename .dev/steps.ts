/** The checks of `deno task test`, as a table, and how each is read. */
import { pathToFileURL } from "node:url";
import { coverageGate } from "./coverage.ts";
import { documentationGate } from "./documented.ts";
import { type Output, ROOT } from "./process.ts";
import { byExitCode, type Step, type Verdict, verdict } from "./report.ts";

/** Runs tests; Deno looks for leaks of timers and sockets only if told to. */
export const TEST = ["test", "-A", "--sanitize-ops", "--sanitize-resources"];

/** Runs what comes after it against the stand-in server. */
export const WITH_STANDIN = ["run", "-A", ".dev/with_standin.ts"];

/** What may be published, by its path in the package. */
const PUBLISHABLE =
  /^([a-z0-9_]+\.ts|README\.md|CHANGELOG\.md|LICENSE|deno\.json)$/;

/** What a published module may import. */
const IMPORTABLE = /^(\.\/[a-z0-9_]+\.ts|@std\/async(\/[a-z-]+)?)$/;

/** Every check in its order; `coverage` is an empty folder. */
export function steps(coverage: string): Step[] {
  const modules = list(".", ".ts");
  const publicModules = modules.filter((name) => !name.startsWith("_"));
  const documents = [...list(".", ".md"), ...list("docs", ".md")];
  const measured = [`--coverage=${coverage}`, "--coverage-raw-data-only"];
  return [
    { name: "format", args: ["fmt", "--check"] },
    { name: "lint", args: ["lint"] },
    { name: "types", args: ["check", "--doc", ".", ...documents] },
    {
      name: "imports",
      args: ["info", "--json", "mod.ts"],
      judge: libraryImports,
    },
    { name: "doc lint", args: ["doc", "--lint", ...publicModules] },
    {
      name: "documented",
      args: ["doc", "--json", ...publicModules],
      judge: documentationGate,
    },
    {
      name: "publish",
      args: ["publish", "--dry-run", "--allow-dirty"],
      judge: publishedFiles,
    },
    { name: "tools", args: ["run", "-A", "tests/cloud_config/tools.ts"] },
    {
      name: "tests",
      args: [...TEST, ...measured, "tests/", ".dev/"],
      judge: testSummary,
    },
    {
      name: "doc tests",
      args: [
        ...WITH_STANDIN,
        "--docs",
        ...TEST,
        "--doc",
        ...modules,
        ...documents,
      ],
      judge: testSummary,
    },
    {
      name: "runtimes",
      args: ["run", "-A", "tests/runtimes/run.ts"],
      judge: runtimesSummary,
    },
    {
      name: "size",
      args: ["run", "-A", ".dev/jsr/size.ts"],
      judge: ({ code, stdout, stderr }) =>
        verdict(code === 0, stdout || stderr),
    },
    {
      name: "coverage",
      args: ["coverage", "--lcov", coverage],
      judge: (output) => coverageGate(output, modules),
    },
  ];
}

/** The files in one of the project's folders whose names end so. */
function list(folder: string, ending: string): string[] {
  try {
    return [...Deno.readDirSync(`${ROOT}/${folder}`)]
      .map(({ name }) => folder === "." ? name : `${folder}/${name}`)
      .filter((name) => name.endsWith(ending)).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/**
 * Counts what `deno test` says of itself in its last line, and shows what tests
 * have to say: their lines that begin with `▸`.
 */
export function testSummary({ code, stdout }: Output): Verdict {
  const summaries = [...stdout.matchAll(
    /^(?:ok|FAILED) \| (\d+) passed(?: \(.*?\))? \| (\d+) failed(?: \(.*?\))?(?: \| (\d+) ignored)?/gm,
  )];
  const [, ...counts] = summaries.at(-1) ?? [];
  const [passed = 0, failed = 0, skipped = 0] = counts.map((count) =>
    Number(count ?? 0)
  );
  // A run that broke off, or in which nothing ran, has failed all the same.
  const broken = failed === 0 && (code !== 0 || passed === 0);
  const notes = code === 0 ? stdout.match(/^▸ .*$/gm) ?? [] : [];
  return {
    passed,
    failed: broken ? 1 : failed,
    skipped,
    ...(notes.length > 0 && { details: notes.join("\n") }),
  };
}

/** Counts what the suite's table has in its last line, and shows the table. */
export function runtimesSummary(output: Output): Verdict {
  const summary =
    /^runtimes \| (\d+) passed \| (\d+) failed \| (\d+) skipped\n$/m;
  const [line, ...counts] = output.stdout.match(summary) ?? [];
  if (line === undefined) return byExitCode({ ...output, code: 1 });
  const [passed = 0, failed = 0, skipped = 0] = counts.map(Number);
  const broken = failed === 0 && (output.code !== 0 || passed + skipped === 0);
  return {
    passed,
    failed: broken ? 1 : failed,
    skipped,
    details: output.stdout.replace(line, "") + (broken ? output.stderr : ""),
  };
}

/** The library imports its own modules and one package of std. */
export function libraryImports(output: Output): Verdict {
  if (output.code !== 0) return byExitCode(output);
  const graph: {
    modules: { specifier: string; dependencies?: { specifier: string }[] }[];
  } = JSON.parse(output.stdout);
  const foreign = graph.modules
    .filter(({ specifier }) => specifier.startsWith(pathToFileURL(ROOT).href))
    .flatMap(({ specifier, dependencies = [] }) =>
      dependencies.filter((dependency) =>
        !IMPORTABLE.test(dependency.specifier)
      )
        .map((dependency) => `${dependency.specifier} in ${specifier}`)
    );
  return foreign.length === 0
    ? verdict(true)
    : verdict(false, `Cannot publish imports of ${foreign.join(", ")}`);
}

/** Nothing but the library may be published. */
export function publishedFiles(output: Output): Verdict {
  const files = [...output.stderr.matchAll(/^ +(file:\S+) \(/gm)]
    .map(([, url = ""]) => url);
  const root = files.find((url) => url.endsWith("/deno.json"))
    ?.slice(0, -"deno.json".length) ?? "";
  const unexpected = files.map((url) => url.slice(root.length))
    .filter((file) => !PUBLISHABLE.test(file));
  if (files.length === 0 || output.code !== 0) {
    return byExitCode({ ...output, code: 1 });
  }
  return unexpected.length === 0 ? verdict(true) : verdict(
    false,
    `Cannot publish ${
      unexpected.join(", ")
    }: add to publish.exclude in deno.json`,
  );
}
