/**
 * What the tasks of deno.json run: `deno run -A .dev/run.ts TASK [ARGUMENT…]`.
 *
 * It sees to it that @std can be imported, then starts `deno` anew.
 */
import { denoInFront } from "./process.ts";
import { provideStd } from "./registry.ts";
import { runSteps } from "./report.ts";
import { steps, TEST, WITH_STANDIN } from "./steps.ts";

/** What a script that uses the client needs; nothing more is given to it. */
const CLIENT_PERMISSIONS = [
  "--allow-net",
  "--allow-env=DECAPOD_URL,DECAPOD_LOGIN,DECAPOD_PASSWORD,DECAPOD_TIMEOUT",
];

const TASKS: Record<string, (args: string[]) => Promise<number>> = {
  demo(args) {
    const script = "examples/deploy_cluster.ts";
    const run = ["run", ...CLIENT_PERMISSIONS, script];
    if (Deno.env.has("DECAPOD_URL")) return denoInFront([...run, ...args]);
    const fail = args.filter((arg) => arg === "--fail");
    const others = args.filter((arg) => arg !== "--fail");
    return denoInFront([...WITH_STANDIN, ...fail, ...run, ...others]);
  },
  async test(args) {
    if (args.length > 0) {
      return denoInFront([...TEST, ...args]);
    }
    forgetServer();
    const coverage = await Deno.makeTempDir();
    try {
      return await runSteps(steps(coverage));
    } finally {
      await Deno.remove(coverage, { recursive: true });
    }
  },
  standin(args) {
    return denoInFront([
      "run",
      "--allow-net",
      "tests/standin/main.ts",
      ...args,
    ]);
  },
  runtimes(args) {
    return denoInFront(["run", "-A", "tests/runtimes/run.ts", ...args]);
  },
  size() {
    return denoInFront(["run", "-A", ".dev/jsr/size.ts"]);
  },
  async bench(args) {
    if (args.length > 0) return denoInFront(["bench", "-A", ...args]);
    const code = await denoInFront(["bench", "-A", "tests/bench/"]);
    if (code !== 0) return code;
    return denoInFront(["run", "-A", "tests/bench/table.ts"]);
  },
  soak(args) {
    const flags = ["-A", "--v8-flags=--expose-gc"];
    return denoInFront(["run", ...flags, "tests/soak.ts", ...args]);
  },
  matrix(args) {
    return denoInFront(["run", "-A", "tests/faults/report.ts", ...args]);
  },
};

/** No test may reach the server that its user works with. */
function forgetServer(): void {
  for (const name of Object.keys(Deno.env.toObject())) {
    if (name.startsWith("DECAPOD_")) Deno.env.delete(name);
  }
}

const [name = "", ...args] = Deno.args;
const task = TASKS[name];
try {
  if (!task) {
    throw new Error(
      `Cannot run the task "${name}": the tasks are ${
        Object.keys(TASKS).join(", ")
      }`,
    );
  }
  await provideStd();
  Deno.exitCode = await task(args);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exitCode = 1;
}
