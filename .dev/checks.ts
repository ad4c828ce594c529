/** The checks of `deno task test`, as a table, and how their output is read. */
import { checkExamples } from "./documented.ts";
import { checkImports } from "./imports.ts";
import { deno, type Output, ROOT } from "./process.ts";
import { checkPublished } from "./published.ts";
import { byExitCode, type Check, noProblems, type Verdict } from "./runner.ts";

/** Runs tests; Deno detects leaked timers and sockets only with these flags. */
export const TEST = ["test", "-A", "--sanitize-ops", "--sanitize-resources"];

/** Runs the arguments after it against the stand-in server. */
export const WITH_STANDIN = ["run", "-A", ".dev/with_standin.ts"];

/** The checks that take seconds: `deno task check`. */
export function quickChecks(): Check[] {
  const { root, pages } = projectFiles();
  return [
    { name: "format", args: ["fmt", "--check"] },
    { name: "lint", args: ["lint"] },
    { name: "types", args: ["check", "--doc", ".", ...pages] },
    { name: "doc-lint", args: ["doc", "--lint", ...root] },
    {
      name: "examples",
      args: ["doc", "--json", ...root],
      judge: checkExamples,
    },
    {
      name: "imports",
      args: ["info", "--json", "mod.ts"],
      judge: checkImports,
    },
    { name: "api", args: ["run", "-A", ".dev/api.ts", "--check"] },
    {
      name: "publish",
      args: ["publish", "--dry-run", "--allow-dirty"],
      judge: checkPublished,
    },
  ];
}

/** Every other check; `coverage` is an empty folder. */
export function slowChecks(coverage: string): Check[] {
  const { root, internal, pages } = projectFiles();
  const modules = [...root, ...internal];
  const measured = [`--coverage=${coverage}`, "--coverage-raw-data-only"];
  return [
    { name: "tools", args: ["run", "-A", "tests/cloud_config/tools.ts"] },
    {
      name: "tests",
      args: [...TEST, ...measured, "tests/", ".dev/"],
      judge: async (output) =>
        sum(
          testSummary(output),
          checkCoverage(await deno(["coverage", "--lcov", coverage]), modules),
        ),
    },
    {
      name: "doc-tests",
      args: [...WITH_STANDIN, "--docs", ...TEST, "--doc", ...modules, ...pages],
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
      judge: (output) => ({
        ...byExitCode(output),
        details: output.stdout || output.stderr,
      }),
    },
  ];
}

/** The published modules and the pages with examples. */
export function projectFiles() {
  return {
    root: list(".", ".ts"),
    internal: list("internal", ".ts"),
    pages: [...list(".", ".md"), ...list("docs", ".md")],
  };
}

/** The files in one of the project's folders that have this ending. */
function list(folder: string, ending: string): string[] {
  return [...Deno.readDirSync(`${ROOT}/${folder}`)]
    .map(({ name }) => folder === "." ? name : `${folder}/${name}`)
    .filter((name) => name.endsWith(ending)).sort();
}

/**
 * Reads the summary of `deno test`, and shows the lines that begin with `▸`,
 * by which tests report figures.
 */
export function testSummary({ code, stdout }: Output): Verdict {
  const summary =
    /^(?:ok|FAILED) \| (\d+) passed(?: \(.*?\))? \| (\d+) failed(?: \(.*?\))?(?: \| (\d+) ignored)?/gm;
  const counts = [...stdout.matchAll(summary)].at(-1);
  const figures = stdout.match(/^▸ .*$/gm) ?? [];
  return counted(counts, code, figures.join("\n"));
}

/** Reads the last line of the runtime suite, and shows its table. */
export function runtimesSummary(output: Output): Verdict {
  const counts = output.stdout.match(
    /^runtimes \| (\d+) passed \| (\d+) failed \| (\d+) skipped\n$/m,
  );
  const table = output.stdout.replace(counts?.[0] ?? "", "");
  return counted(counts, output.code, table + output.stderr);
}

/** A run that ended early, or in which nothing ran, has failed as well. */
function counted(
  match: RegExpMatchArray | null | undefined,
  code: number,
  details: string,
): Verdict {
  const [passed = 0, failed = 0, skipped = 0] = (match ?? []).slice(1)
    .map((count) => Number(count ?? 0));
  const broken = failed === 0 && (code !== 0 || passed + skipped === 0);
  const show = code === 0 && !broken && details !== "";
  return {
    passed,
    failed: broken ? 1 : failed,
    skipped,
    ...(show && { details }),
  };
}

function sum(a: Verdict, b: Verdict): Verdict {
  // Failed tests show all output; a coverage table would hide it.
  if (a.failed > 0) return a;
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
    details: [a.details, b.details].filter(Boolean).join("\n"),
  };
}

/** Modules without code: Deno does not measure them. */
const NOTHING_RUNS = new Set(["mod.ts", "models.ts"]);

/** Reads `deno coverage --lcov`: every line and branch of these modules. */
export function checkCoverage(output: Output, modules: string[]): Verdict {
  if (output.code !== 0) return byExitCode(output);
  const reports = output.stdout.replaceAll("\r", "").split("end_of_record\n");
  return noProblems(modules.flatMap((module) => {
    const report = reports.find((text) =>
      text.startsWith(`SF:${ROOT}${module}\n`)
    );
    if (report === undefined) {
      return NOTHING_RUNS.has(module) ? [] : `${module}: no test imports it`;
    }
    const missed = [...report.matchAll(/^(?:DA:(\d+)|BRDA:(\d+),.*),0$/gm)]
      .map(([, line, branch]) => Number(line ?? branch));
    const lines = [...new Set(missed)].sort((a, b) => a - b).join(", ");
    return lines === "" ? [] : `${module}: not covered: ${lines}`;
  }));
}
