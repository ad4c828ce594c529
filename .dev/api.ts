/**
 * Writes the declarations of the public modules to tests/api.txt. With --check
 * it compares them, so that each change of the public API shows in a diff.
 */
import { createPatch } from "npm:diff@8.0.2";
import ts from "npm:typescript@5.9.3";
import { projectFiles } from "./checks.ts";

const FILE = "tests/api.txt";

const modules = ts.createProgram(projectFiles().root, {
  declaration: true,
  emitDeclarationOnly: true,
  noResolve: true, // `deno publish` requires that each type is declared
  removeComments: true,
  target: ts.ScriptTarget.ESNext,
  types: [],
});
let report = "";
modules.emit(undefined, (path, text) => report += `// ${path}\n${text}\n`);

const committed = Deno.readTextFileSync(FILE);
if (!Deno.args.includes("--check")) Deno.writeTextFileSync(FILE, report);
else if (report !== committed) {
  console.error(createPatch(FILE, committed, report, "", "", { context: 1 }));
  console.error('If the new API is intended, run "deno task api"');
  Deno.exitCode = 1;
}
