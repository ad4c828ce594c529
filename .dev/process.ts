/** Starts other processes. */
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
  onOutput?: (chunk: string) => void;
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
  const [stdout, stderr, { code }] = await Promise.all([
    readText(child.stdout, onOutput),
    readText(child.stderr),
    child.status,
  ]);
  return { code, stdout, stderr };
}

async function readText(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onChunk?: (chunk: string) => void,
): Promise<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    onChunk?.(chunk);
  }
  return text;
}

/**
 * Runs `deno` on this process's terminal and returns its exit code.
 *
 * A terminal sends Ctrl-C to both processes: the child handles it, and this
 * process waits for the child.
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

/** Stops a process that may have ended already. */
function stop(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended.
  }
}
