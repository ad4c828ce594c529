/** Runs the steps of a table one after another and reports on each. */
import { deno, type Output } from "./process.ts";

/** What a step came to. */
export interface Verdict {
  passed: number;
  failed: number;
  skipped: number;
  /** Printed under the step's line, in place of a failed step's output. */
  details?: string;
}

/** One check: a run of `deno` and how to read it. */
export interface Step {
  name: string;
  /** The arguments for `deno`. */
  args: string[];
  /** Reads the outcome; the exit code decides unless this is given. */
  judge?: (output: Output) => Verdict;
}

/** Runs each step, prints a line on each and the sum, gives an exit code. */
export async function runSteps(steps: Step[]): Promise<number> {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, args, judge = byExitCode } of steps) {
    print(`${name.padEnd(12)} `);
    const start = performance.now();
    const output = await deno(args);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const outcome = judge(output);
    total.passed += outcome.passed;
    total.failed += outcome.failed;
    total.skipped += outcome.skipped;
    const mark = outcome.failed > 0 ? "FAILED" : "ok";
    print(`${mark.padEnd(6)} ${seconds.padStart(6)} s  ${counts(outcome)}\n`);
    const raw = outcome.failed > 0 ? output.stdout + output.stderr : "";
    const details = outcome.details ?? raw;
    if (details) print(`${details.trimEnd()}\n`);
  }
  print(`${counts(total)}\n`);
  return total.failed > 0 ? 1 : 0;
}

/** One check, passed if the process ended well. */
export function byExitCode({ code }: Output): Verdict {
  return verdict(code === 0);
}

/** The verdict on a single check. */
export function verdict(ok: boolean, details?: string): Verdict {
  const counted = { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
  return details === undefined ? counted : { ...counted, details };
}

function counts({ passed, failed, skipped }: Verdict): string {
  const text = `${passed} passed, ${failed} failed`;
  return skipped > 0 ? `${text}, ${skipped} skipped` : text;
}

function print(text: string): void {
  // Through one stream and at once, so that the order holds in a pipe too.
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    at += Deno.stdout.writeSync(bytes.subarray(at));
  }
}
