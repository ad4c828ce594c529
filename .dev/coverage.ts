/** The coverage check: every line and branch of the published modules. */
import { type Output, ROOT } from "./process.ts";
import { byExitCode, type Verdict, verdict } from "./runner.ts";
import { table } from "./table.ts";

/** Modules without code: Deno does not measure them. */
const NOTHING_RUNS = new Set(["mod.ts", "models.ts"]);

/** Whether each line, by number, and each of its branches was run. */
interface Coverage {
  lines: Map<number, boolean>;
  branches: { line: number; taken: boolean }[];
}

/** Passes if every line and branch of these modules was run. */
export function checkCoverage(output: Output, modules: string[]): Verdict {
  if (output.code !== 0) return byExitCode(output);
  const report = parseLcov(output.stdout);
  const rows = [["module", "lines", "branches", "not covered"]];
  let complete = true;
  for (const module of modules) {
    const coverage = report.get(ROOT + module);
    if (!coverage) {
      if (NOTHING_RUNS.has(module)) continue;
      complete = false;
      rows.push([module, "-", "-", "the module: no test imports it"]);
      continue;
    }
    const missed = missedLines(coverage);
    if (missed.length > 0) complete = false;
    rows.push([
      module,
      percent([...coverage.lines.values()]),
      percent(coverage.branches.map((branch) => branch.taken)),
      ranges(missed).join(", "),
    ]);
  }
  // The last column is long, and left-aligned.
  const lines = table(rows.map((row) => row.slice(0, -1))).split("\n")
    .map((line, index) => `${line}  ${rows[index]?.at(-1)}`.trimEnd());
  return verdict(complete, lines.join("\n"));
}

/** Reads the report that `deno coverage --lcov` prints, file by file. */
function parseLcov(report: string): Map<string, Coverage> {
  const files = new Map<string, Coverage>();
  let current: Coverage = { lines: new Map(), branches: [] };
  for (const record of report.split(/\r?\n/)) {
    const [, kind, rest = ""] = record.match(/^(SF|DA|BRDA):(.*)$/) ?? [];
    if (kind === "SF") {
      current = { lines: new Map(), branches: [] };
      files.set(rest, current);
    } else if (kind === "DA") {
      const [line = 0, hits = 0] = rest.split(",").map(Number);
      current.lines.set(line, hits > 0);
    } else if (kind === "BRDA") {
      const [line, , , taken] = rest.split(",");
      current.branches.push({ line: Number(line), taken: Number(taken) > 0 });
    }
  }
  return files;
}

/** The lines that were not run, or not in every branch, in order. */
function missedLines({ lines, branches }: Coverage): number[] {
  const missed = new Set<number>();
  for (const [line, run] of lines) if (!run) missed.add(line);
  for (const { line, taken } of branches) if (!taken) missed.add(line);
  return [...missed].sort((a, b) => a - b);
}

/** Ordered numbers as text, consecutive ones as `from-to`. */
function ranges(numbers: number[]): string[] {
  const found: { from: number; to: number }[] = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last?.to === number - 1) last.to = number;
    else found.push({ from: number, to: number });
  }
  return found.map(({ from, to }) => from === to ? `${from}` : `${from}-${to}`);
}

function percent(hits: boolean[]): string {
  const share = hits.filter(Boolean).length / (hits.length || 1);
  // Rounded down: 100 % means all of them.
  const tenths = hits.length === 0 ? 1000 : Math.floor(share * 1000);
  return `${(tenths / 10).toFixed(1)} %`;
}
