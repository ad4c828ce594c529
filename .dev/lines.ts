/** Counts lines, with and without comments and blanks: `deno task lines`. */
import { projectFiles } from "./checks.ts";
import { walk } from "./files.ts";
import { ROOT } from "./process.ts";
import { table } from "./table.ts";

/** Folders that are counted as a whole. */
const FOLDERS = ["tests", "examples", ".dev"];

/** Comments on separate lines, as the formatter puts them; `# ` is Python. */
const COMMENT = /^\s*(?:\/\*[^]*?\*\/|\/\/.*|# .*)$/gm;

/** The TypeScript files below a folder. */
function modulesIn(folder: string): string[] {
  return [...walk(ROOT + folder)].filter((path) => path.endsWith(".ts"))
    .map((path) => `${folder}/${path}`);
}

function row(name: string, files: string[]): string[] {
  const texts = files.map((file) => Deno.readTextFileSync(ROOT + file));
  const sum = (counts: number[]) => counts.reduce((a, b) => a + b, 0);
  const all = texts.map((text) => text.trimEnd().split("\n").length);
  const code = texts.map((text) =>
    text.replace(COMMENT, "").match(/^.*\S/gm)?.length ?? 0
  );
  return [name, `${sum(code)}`, `${sum(all)}`];
}

const { root, internal } = projectFiles();
const modules = [...root, ...internal];
console.log(table([
  ["", "code", "all"],
  ...modules.map((module) => row(module, [module])),
  row("published", modules),
  ...FOLDERS.map((name) => row(`${name}/`, modulesIn(name))),
]));
