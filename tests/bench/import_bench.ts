/**
 * What it costs to import the package and make a client: whole processes, with
 * and without, in turn. `deno run -A tests/bench/import_bench.ts [PAIRS]`
 */

import { fileURLToPath } from "node:url";

const PACKAGE = new URL("../../mod.ts", import.meta.url).href;

const SCRIPTS = {
  "an empty script": "",
  "import, new Client": `import { Client } from ${JSON.stringify(PACKAGE)};
new Client("https://decapod.example", { login: "root", password: "root" });
`,
};

/** Tells Deno where @std is. */
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

/** The most that the second may take of the time of the first. */
const MOST = 1.25;

/** Runs a script in a process of its own; gives how long it took, in ms. */
async function time(script: string): Promise<number> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--cached-only", "--no-lock", "--config", CONFIG, script],
    stdout: "null",
    stderr: "inherit",
  });
  const start = performance.now();
  const { success } = await command.output();
  if (!success) throw new Error(`Cannot run ${script}`);
  return performance.now() - start;
}

function summary(times: number[]) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? NaN;
  return {
    median: at(Math.floor(sorted.length / 2)),
    min: at(0),
    max: at(sorted.length - 1),
  };
}

const pairs = Number(Deno.args[0] ?? 30);
const folder = await Deno.makeTempDir();
try {
  const measured: { name: string; script: string; times: number[] }[] = [];
  for (const [index, [name, code]] of Object.entries(SCRIPTS).entries()) {
    const script = `${folder}/${index}.ts`;
    await Deno.writeTextFile(script, code);
    await time(script); // compiles it
    measured.push({ name, script, times: [] });
  }
  for (let pair = 0; pair < pairs; pair++) {
    for (const { script, times } of measured) times.push(await time(script));
  }
  const medians = measured.map(({ name, times }) => {
    const { median, min, max } = summary(times);
    const [middle, least, most] = [median, min, max].map((ms) =>
      `${ms.toFixed(1)} ms`
    );
    console.log(
      `${name.padEnd(18)}  median ${middle}, min ${least}, max ${most}`,
    );
    return median;
  });
  const ratio = (medians[1] ?? NaN) / (medians[0] ?? NaN);
  console.log(`ratio ${ratio.toFixed(3)}, at most ${MOST}; ${pairs} pairs`);
  if (!(ratio < MOST)) Deno.exitCode = 1;
} finally {
  await Deno.remove(folder, { recursive: true });
}
