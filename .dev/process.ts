/** Starts other processes. */
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The project's folder. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** How a process ended and what it printed. */
export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

/** Where and how a process runs. */
export interface RunOptions {
  /** Variables besides those of this process. */
  env?: Record<string, string>;
  /** @default The project's folder */
  cwd?: string;
  /** Stops the process. */
  signal?: AbortSignal;
  /** Called with each chunk of stdout. */
  onOutput?: (chunk: string, child: Deno.ChildProcess) => void;
}

/** Runs `deno` and returns what it prints, without colours. */
export function deno(args: string[], options?: RunOptions): Promise<Output> {
  return run(Deno.execPath(), args, options);
}

/** Runs a program and returns what it prints, without colours. */
export async function run(
  program: string,
  args: string[],
  { env, cwd = ROOT, signal, onOutput }: RunOptions = {},
): Promise<Output> {
  const child = new Deno.Command(program, {
    args,
    cwd,
    env: { ...env, NO_COLOR: "1" },
    ...(signal && { signal }),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = child.stderr.text();
  let stdout = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    stdout += chunk;
    onOutput?.(chunk, child);
  }
  const { code } = await child.status;
  return { code, stdout, stderr: await stderr };
}

/**
 * Runs `deno` on this process's terminal and returns its exit code.
 *
 * A terminal sends Ctrl-C to both processes: the child handles it, and this
 * process waits for the child.
 */
export async function denoInFront(args: string[]): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).spawn();
  const wait = () => {};
  const stop = () => child.kill("SIGTERM");
  process.on("SIGINT", wait).on("SIGTERM", stop);
  const { code } = await child.status;
  process.off("SIGINT", wait).off("SIGTERM", stop);
  return code;
}
