/** Runs checks: each is a run of `deno` and a function that reads its output. */
import { deno, type Output } from "./process.ts";

/** The result of a check. */
export interface Verdict {
  passed: number;
  failed: number;
  skipped: number;
  /** Printed below the check's line, instead of a failed check's output. */
  details?: string;
}

/** A run of `deno` and how to read it. */
export interface Check {
  name: string;
  /** The arguments for `deno`. */
  args: string[];
  /** Reads the output; without it, the exit code decides. */
  judge?: (output: Output) => Verdict | Promise<Verdict>;
}

/** How often a line is printed where output is not a terminal. */
const HEARTBEAT_MS = 15_000;

/** How often the line on a terminal is rewritten. */
const REFRESH_MS = 500;

/** Runs the stages in order, in each as many checks at once as there are cores; returns an exit code. */
export async function runChecks(stages: Check[][]): Promise<number> {
  const total = { passed: 0, failed: 0, skipped: 0 };
  const running = new Map<string, { start: number; stdout: string }>();
  const runCheck = async ({ name, args, judge = byExitCode }: Check) => {
    const state = { start: performance.now(), stdout: "" };
    running.set(name, state);
    const onOutput = (chunk: string) => state.stdout += chunk;
    const output = await deno(args, { onOutput });
    const verdict = await judge(output);
    running.delete(name);
    total.passed += verdict.passed;
    total.failed += verdict.failed;
    total.skipped += verdict.skipped;
    const mark = verdict.failed > 0 ? "FAILED" : "ok";
    const time = seconds(state.start).padStart(5);
    const line = `${name.padEnd(10)} ${mark.padEnd(6)} ${time} s`;
    print(`${line}  ${counts(verdict)}\n`);
    const details = verdict.details ??
      (verdict.failed > 0 ? errors(output) : "");
    if (details) print(`${details.trimEnd()}\n`);
  };
  using _progress = showProgress(running);
  for (const stage of stages) {
    const waiting = stage.values();
    const cores = Array.from({ length: navigator.hardwareConcurrency });
    await Promise.all(cores.map(async () => {
      for (const check of waiting) await runCheck(check);
    }));
  }
  print(`${counts(total)}\n`);
  return total.failed > 0 ? 1 : 0;
}

/** What a process printed, without Deno's lists of checked modules. */
function errors({ stdout, stderr }: Output): string {
  return (stdout + stderr).replace(/^(Check|Download) .*\n/gm, "");
}

/** One check, passed if the process exited with 0. */
export function byExitCode({ code }: Output): Verdict {
  return verdict(code === 0);
}

/** One check, passed if there are no problems. */
export function noProblems(problems: string[]): Verdict {
  return verdict(problems.length === 0, problems.join("\n"));
}

function verdict(ok: boolean, details = ""): Verdict {
  const counted = { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
  return details === "" ? counted : { ...counted, details };
}

/** Shows what is running until it is disposed of. */
function showProgress(running: Map<string, { start: number; stdout: string }>) {
  const terminal = Deno.stdout.isTerminal();
  const timer = setInterval(() => {
    const states = [...running].map(([name, { start, stdout }]) =>
      `${name}: ${seconds(start)} s${testProgress(stdout)}`
    );
    const line = `… ${states.join("; ")}`;
    if (!terminal) print(`${line}\n`);
    else print(line.slice(0, Deno.consoleSize().columns - 1));
  }, terminal ? REFRESH_MS : HEARTBEAT_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** What `deno test` has printed so far, in words. */
function testProgress(stdout: string): string {
  const done = stdout.match(/ \.\.\. .*?(?:ok|FAILED|ignored) \(/g)?.length;
  const file = stdout.match(/^running .* from \.?\/?(.+)$/gm)?.at(-1)
    ?.replace(/^running .* from (?:\.\/)?/, "");
  return done === undefined ? "" : `, ${done} tests, ${file}`;
}

function seconds(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}

function counts({ passed, failed, skipped }: Verdict): string {
  const text = `${passed} passed, ${failed} failed`;
  return skipped > 0 ? `${text}, ${skipped} skipped` : text;
}

/** Prints at once, in place of the progress line of a terminal. */
function print(text: string): void {
  const clear = Deno.stdout.isTerminal() ? "\r\x1b[K" : "";
  const bytes = new TextEncoder().encode(clear + text);
  for (let at = 0; at < bytes.length;) {
    at += Deno.stdout.writeSync(bytes.subarray(at));
  }
}
