/**
 * The tasks of deno.json: `deno run -A .dev/run.ts TASK [ARGUMENT…]`.
 *
 * Makes @std available, then starts another `deno` for the work.
 */
import { quickChecks, slowChecks, TEST, WITH_STANDIN } from "./checks.ts";
import { denoInFront } from "./process.ts";
import { provideStd } from "./registry.ts";
import { type Check, runChecks } from "./runner.ts";

/** The permissions that a script with the client needs. */
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
  check(args) {
    return runAll((quick, slow) => {
      if (args.length === 0) return [quick];
      const all = [...quick, ...slow];
      return args.map((name) => {
        const check = all.find((check) => check.name === name);
        if (check) return [check];
        const names = all.map(({ name }) => name).join(", ");
        throw new Error(
          `Cannot run the check "${name}": the checks are ${names}`,
        );
      });
    });
  },
  async test(args) {
    if (args.length > 0) return await denoInFront([...TEST, ...args]);
    // One slow check at a time: they use all cores.
    return await runAll((quick, slow) => [
      quick,
      ...slow.map((check) => [check]),
    ]);
  },
  api() {
    return denoInFront(["run", "-A", ".dev/api.ts"]);
  },
  lines() {
    return denoInFront(["run", "-A", ".dev/lines.ts"]);
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

/** Runs the groups of checks that are chosen from all. */
async function runAll(
  choose: (quick: Check[], slow: Check[]) => Check[][],
): Promise<number> {
  // Tests must not connect to the server that their user works with.
  for (const name of Object.keys(Deno.env.toObject())) {
    if (name.startsWith("DECAPOD_")) Deno.env.delete(name);
  }
  const coverage = await Deno.makeTempDir();
  try {
    return await runChecks(choose(quickChecks(), slowChecks(coverage)));
  } finally {
    await Deno.remove(coverage, { recursive: true });
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
