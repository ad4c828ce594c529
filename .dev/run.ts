/**
 * The tasks of deno.json: `deno run -A .dev/run.ts TASK [ARGUMENT…]`.
 *
 * Makes @std available, then starts another `deno` for the work.
 */
import { stages, TEST, WITH_STANDIN } from "./checks.ts";
import { tempFolder } from "./files.ts";
import { denoInFront } from "./process.ts";
import { provideStd } from "./registry.ts";
import { type Check, runChecks } from "./runner.ts";

/** The permissions that a script with the client requires. */
const CLIENT_PERMISSIONS = [
  "--allow-net",
  "--allow-env=DECAPOD_URL,DECAPOD_LOGIN,DECAPOD_PASSWORD,DECAPOD_TIMEOUT",
];

/** Tasks that run one script, with the task's arguments. */
const SCRIPTS: Record<string, string[]> = {
  api: ["-A", ".dev/api.ts"],
  matrix: ["-A", "tests/faults/report.ts"],
  runtimes: ["-A", "tests/runtimes/run.ts"],
  size: ["-A", ".dev/jsr/size.ts"],
  soak: ["-A", "--v8-flags=--expose-gc", "tests/soak.ts"],
  standin: ["--allow-net", "tests/standin/main.ts"],
};

/** The other tasks. */
const TASKS: Record<string, (args: string[]) => Promise<number>> = {
  demo(args) {
    const script = "examples/deploy_cluster.ts";
    const run = ["run", ...CLIENT_PERMISSIONS, script];
    if (Deno.env.has("DECAPOD_URL")) return denoInFront([...run, ...args]);
    const fail = args.filter((arg) => arg === "--fail");
    const others = args.filter((arg) => arg !== "--fail");
    return denoInFront([...WITH_STANDIN, ...fail, ...run, ...others]);
  },
  async check(names) {
    return await runStages((stages) => {
      const [quick = []] = stages;
      if (names.length === 0) return [quick];
      const known = stages.flat().map(({ name }) => name);
      const other = names.find((name) => !known.includes(name));
      if (other !== undefined) throw unknown("check", other, known);
      return stages.map((stage) =>
        stage.filter(({ name }) => names.includes(name))
      );
    });
  },
  async test(args) {
    if (args.length > 0) return await denoInFront([...TEST, ...args]);
    return await runStages((stages) => stages);
  },
  async bench(args) {
    if (args.length > 0) return denoInFront(["bench", "-A", ...args]);
    const code = await denoInFront(["bench", "-A", "tests/bench/"]);
    if (code !== 0) return code;
    return denoInFront(["run", "-A", "tests/bench/table.ts"]);
  },
};

/** Runs the stages, or what is chosen from them. */
async function runStages(
  choose: (stages: Check[][]) => Check[][],
): Promise<number> {
  // Tests must not connect to the server that their user works with.
  for (const name of Object.keys(Deno.env.toObject())) {
    if (name.startsWith("DECAPOD_")) Deno.env.delete(name);
  }
  using coverage = tempFolder();
  return await runChecks(choose(stages(coverage.path)));
}

function unknown(what: string, name: string, known: string[]): Error {
  return new Error(`Unknown ${what} "${name}". Known: ${known.join(", ")}`);
}

const [name = "", ...args] = Deno.args;
const script = SCRIPTS[name];
const task = script
  ? () => denoInFront(["run", ...script, ...args])
  : TASKS[name];
try {
  if (!task) {
    const known = [...Object.keys(SCRIPTS), ...Object.keys(TASKS)];
    throw unknown("task", name, known);
  }
  await provideStd();
  Deno.exitCode = await task(args);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exitCode = 1;
}
