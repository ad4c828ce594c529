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

interface Declaration {
  kind: string;
  jsDoc?: JsDoc;
  def?: unknown;
}

interface Module {
  module_doc?: JsDoc;
  symbols: { name: string; declarations: Declaration[] }[];
}

/** Kinds of symbols that need an example. */
const NEED_EXAMPLE = ["class", "function"];

/** Reads `deno doc --json`. */
export function checkExamples(output: Output): Verdict {
  if (output.code !== 0) return byExitCode(output);
  const { nodes }: { nodes: Record<string, Module> } = JSON.parse(
    output.stdout,
  );
  const problems = new Set<string>();
  for (const [url, { module_doc, symbols }] of Object.entries(nodes)) {
    const file = url.slice(url.lastIndexOf("/") + 1);
    if (file === "mod.ts" && !hasExample(module_doc)) {
      problems.add(`${file}: no example`);
    }
    for (const { name, declarations } of symbols) {
      for (const { kind, jsDoc, def } of declarations) {
        const place = `${file}: ${name}`;
        if (kind === "typeAlias") {
          for (const member of undocumented(def)) {
            problems.add(`${place}.${member}: no documentation`);
          }
        }
        const internal = jsDoc?.tags?.some(({ kind }) => kind === "internal");
        if (!NEED_EXAMPLE.includes(kind) || internal) continue;
        if (!hasExample(jsDoc)) problems.add(`${place}: no @example`);
      }
    }
  }
  return noProblems([...problems]);
}

/** Whether there is an example that the doc tests run. */
function hasExample({ doc = "", tags = [] }: JsDoc = {}): boolean {
  return [doc, ...tags.map(({ doc = "" }) => doc)]
    .some((text) => /^```ts\n/m.test(text));
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
