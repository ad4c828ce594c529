/** The checks of `deno task test`, as a table, and how their output is read. */
import { checkExamples } from "./documented.ts";
import { checkImports } from "./imports.ts";
import { type Output, ROOT } from "./process.ts";
import { byExitCode, type Check, noProblems, type Verdict } from "./runner.ts";

/** Runs tests; Deno detects leaked timers and sockets only with these flags. */
export const TEST = ["test", "-A", "--sanitize-ops", "--sanitize-resources"];

/** Runs the arguments after it against the stand-in server. */
export const WITH_STANDIN = ["run", "-A", ".dev/with_standin.ts"];

/** Test files with thousands of runs, which have a separate check. */
const FAULT_TESTS = ["fuzz", "matrix", "torture"]
  .map((name) => `tests/${name}_test.ts`);

/**
 * The checks in stages: each stage requires the results of those before it,
 * and begins with its longest check.
 *
 * @param coverage An empty folder
 */
export function stages(coverage: string): Check[][] {
  const { root, internal, pages } = projectFiles();
  const modules = [...root, ...internal];
  const test = [...TEST, "--no-check"]; // the types are checked before
  const measured = [
    ...test,
    `--coverage=${coverage}`,
    "--coverage-raw-data-only",
  ];
  const quick = [
    { name: "types", args: ["check", "--doc", ".", ".dev/", ...pages] },
    { name: "publish", args: ["publish", "--dry-run", "--allow-dirty"] },
    { name: "format", args: ["fmt", "--check"] },
    { name: "lint", args: ["lint"] },
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
    // Fetches what the tests compare with.
    { name: "tools", args: ["run", "-A", "tests/cloud_config/tools.ts"] },
  ];
  const long = [
    {
      name: "faults",
      args: [...measured, ...FAULT_TESTS],
      judge: testSummary,
    },
    {
      name: "tests",
      args: [
        ...measured,
        `--ignore=${FAULT_TESTS}`,
        "tests/",
        ".dev/",
      ],
      judge: testSummary,
    },
    {
      name: "runtimes",
      args: ["run", "-A", "tests/runtimes/run.ts"],
      judge: runtimesSummary,
    },
    {
      name: "doc-tests",
      args: [...WITH_STANDIN, "--docs", ...test, "--doc", ...modules, ...pages],
      judge: testSummary,
    },
    {
      name: "size",
      args: ["run", "-A", ".dev/jsr/size.ts"],
      judge: (output: Output) => ({
        ...byExitCode(output),
        details: output.stdout || output.stderr,
      }),
    },
  ];
  const last = [{
    name: "coverage",
    args: ["coverage", "--lcov", "--exclude=/node_modules/", coverage],
    judge: (output: Output) => checkCoverage(output, modules),
  }];
  return [quick, long, last];
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
