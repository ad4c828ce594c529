/**
 * The public API report, tests/api.txt: what mod.ts exports, and the
 * declarations of the modules behind it.
 *
 * `deno task api` writes it; the checks compare it with the code, so that each
 * change of the public API shows in a diff.
 */
import { assertEquals } from "@std/assert";
import { tempFolder } from "./files.ts";
import { deno, ROOT } from "./process.ts";

const REPORT = `${ROOT}tests/api.txt`;

/** Comments, and the names of options, which are no part of the API. */
const LEFT_OUT =
  /^\s*\/\*\*[^]*?\*\/\n|^\s*\/\/.*\n|^.* const [A-Z_]+: string\[\];\n|^\n/gm;

async function apiReport(): Promise<string> {
  using folder = tempFolder();
  const { code, stderr } = await deno([
    ...["bundle", "--declaration", "--packages=external"],
    ...[`--outdir=${folder.path}`, "mod.ts"],
  ]);
  if (code !== 0) throw new Error(`Cannot declare mod.ts: ${stderr}`);
  return [`${ROOT}mod.ts`, `${folder.path}/mod.d.ts`]
    .map((path) => Deno.readTextFileSync(path)).join("")
    .replace(/(?<= \{) \/\*\*[^]*?\*\/\s+/g, "\n    ").replace(LEFT_OUT, "");
}

const report = await apiReport();
if (Deno.args.includes("--check")) {
  const hint = 'The public API changed: if intended, run "deno task api"';
  assertEquals(await Deno.readTextFile(REPORT), report, hint);
} else await Deno.writeTextFile(REPORT, report);
