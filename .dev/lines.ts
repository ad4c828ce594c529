/** Counts lines, with and without comments and blanks: `deno task lines`. */
import { projectFiles } from "./checks.ts";
import { ROOT } from "./process.ts";
import { table } from "./table.ts";

/** Folders that are counted as a whole. */
const FOLDERS = ["tests", "examples", ".dev"];

/** Strings and regular expressions, which may contain a backtick. */
const QUOTED =
  /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\[])+\//g;

/** The lines of a file, and those that are neither blank nor only comment. */
export interface Lines {
  code: number;
  all: number;
}

/**
 * Counts the lines of a formatted TypeScript file.
 *
 * Works line by line: the formatter puts comments on lines of their own. In a
 * template literal every line is code, except the comments of a program in it:
 * lines that begin with `#` where the literal begins with `#!` or `"""`.
 */
export function countLines(text: string): Lines {
  const lines = text.trimEnd().split("\n").map((line) => line.trim());
  let code = 0;
  let inComment = false;
  let template: "" | "text" | "program" = "";
  for (const line of lines) {
    if (template === "" && !inComment && line.startsWith("/*")) {
      inComment = true;
    }
    const comment = inComment ||
      (template === "" && line.startsWith("//")) ||
      (template === "program" && line.startsWith("#"));
    if (inComment) inComment = !line.endsWith("*/");
    if (comment || line === "") continue;
    code++;
    const source = template === "" ? line.replace(QUOTED, "") : line;
    const ticks = source.match(/(?<!\\)`/g)?.length ?? 0;
    if (ticks % 2 === 0) continue;
    if (template !== "") template = "";
    else template = /`(#!|""")/.test(line) ? "program" : "text";
  }
  return { code, all: lines.length };
}

/** The TypeScript files below a folder. */
function* walk(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(ROOT + folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* walk(path);
    else if (name.endsWith(".ts")) yield path;
  }
}

function count(files: Iterable<string>): Lines {
  const sum = { code: 0, all: 0 };
  for (const file of files) {
    const { code, all } = countLines(Deno.readTextFileSync(ROOT + file));
    sum.code += code;
    sum.all += all;
  }
  return sum;
}

if (import.meta.main) {
  const { root, internal } = projectFiles();
  const modules = [...root, ...internal];
  const rows: [string, Lines][] = [
    ...modules.map((module): [string, Lines] => [module, count([module])]),
    ["published", count(modules)],
    ...FOLDERS.map((name): [string, Lines] => [`${name}/`, count(walk(name))]),
  ];
  console.log(table([
    ["", "code", "all"],
    ...rows.map(([name, { code, all }]) => [name, `${code}`, `${all}`]),
  ]));
}
