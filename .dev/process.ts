/** Starting other processes, of the same Deno as a rule. */
import { fileURLToPath } from "node:url";

/** The project's folder. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** How a process ended and what it printed. */
export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `deno` and keeps what it prints, without colours. */
export function deno(
  args: string[],
  env: Record<string, string> = {},
  cwd = ROOT,
): Promise<Output> {
  return run(Deno.execPath(), args, env, cwd);
}

/** Runs a program and keeps what it prints, without colours. */
export async function run(
  program: string,
  args: string[],
  env: Record<string, string> = {},
  cwd = ROOT,
): Promise<Output> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env: { ...env, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/**
 * Runs `deno` on this process's terminal and gives its exit code.
 *
 * A terminal sends Ctrl-C to both processes: the one in front decides what it
 * means, and this one stays until that one is done.
 */
export async function denoInFront(args: string[]): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const listeners: [Deno.Signal, () => void][] = [["SIGINT", () => {}]];
  if (Deno.build.os !== "windows") {
    listeners.push(["SIGTERM", () => stop(child)]);
  }
  for (const [signal, listener] of listeners) {
    Deno.addSignalListener(signal, listener);
  }
  const { code } = await child.status;
  for (const [signal, listener] of listeners) {
    Deno.removeSignalListener(signal, listener);
  }
  return code;
}

/** Asks a process to end, if it has not done so already. */
function stop(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGTERM");
  } catch {
    // It has.
  }
}
