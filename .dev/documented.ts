/**
 * The documentation that `deno doc --lint` does not ask for: examples of
 * mod.ts, classes and functions, and descriptions of the members of type
 * literals.
 */
import type { Output } from "./process.ts";
import { byExitCode, noProblems, type Verdict } from "./runner.ts";

/** A comment, as `deno doc --json` describes it. */
interface JsDoc {
  doc?: string;
  tags?: { kind: string; doc?: string }[];
}

interface Module {
  module_doc?: JsDoc;
  symbols: {
    name: string;
    declarations: { kind: string; jsDoc?: JsDoc; def?: unknown }[];
  }[];
}

/** Reads `deno doc --json`. */
export function checkExamples(output: Output): Verdict {
  if (output.code !== 0) return byExitCode(output);
  const doc: { nodes: Record<string, Module> } = JSON.parse(output.stdout);
  const problems = new Set<string>();
  for (const [url, { module_doc, symbols }] of Object.entries(doc.nodes)) {
    const file = url.slice(url.lastIndexOf("/") + 1);
    if (file === "mod.ts") checkExample(file, module_doc);
    for (const { name, declarations } of symbols) {
      for (const { kind, jsDoc, def } of declarations) {
        if (kind === "class" || kind === "function") {
          checkExample(`${file}: ${name}`, jsDoc);
        }
        if (kind !== "typeAlias") continue;
        for (const member of undocumented(def)) {
          problems.add(`${file}: ${name}.${member}: no documentation`);
        }
      }
    }
  }
  return noProblems([...problems]);

  /** Requires an example that the doc tests run. */
  function checkExample(place: string, { doc, tags = [] }: JsDoc = {}) {
    if (tags.some(({ kind }) => kind === "internal")) return;
    const texts = [doc, ...tags.map(({ doc }) => doc)].join("\n");
    if (!/^```ts\n/m.test(texts)) problems.add(`${place}: no example`);
  }
}

/** The undocumented properties of type literals, however deep in a type. */
function undocumented(within: unknown): string[] {
  if (typeof within !== "object" || within === null) return [];
  return Object.entries(within).flatMap(([key, value]) =>
    key === "properties" && Array.isArray(value)
      ? value.filter(({ jsDoc }) => !jsDoc?.doc).map(({ name }) => name)
      : undocumented(value)
  );
}
