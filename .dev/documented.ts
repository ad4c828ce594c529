/** The documentation gate: every exported symbol and every public member. */
import type { Output } from "./process.ts";
import { byExitCode, type Verdict, verdict } from "./report.ts";

/** A comment, as `deno doc --json` has it. */
interface JsDoc {
  doc?: string;
  tags?: { kind: string; name?: string; doc?: string }[];
}

/** A symbol's declaration, or a member of one. */
interface Documented {
  name?: string;
  /** `class`, `function`, …; of a member, `method`, `getter` or `setter`. */
  kind?: string;
  jsDoc?: JsDoc;
  accessibility?: string;
  location?: { filename: string; byteIndex: number };
  params?: { name?: string }[];
  def?: { params?: { name?: string }[] };
}

interface Module {
  module_doc?: JsDoc;
  symbols: { name: string; declarations: Documented[] }[];
}

/** Under these names a declaration has its members. */
const MEMBERS = [
  "constructors",
  "properties",
  "methods",
  "members",
  "indexSignatures",
  "callSignatures",
];

/** What is not only to be described but shown at work. */
const SHOWN = ["class", "function", "variable", "method"];

/** Passes if all of it is documented and what does something is shown. */
export function documentationGate(output: Output): Verdict {
  if (output.code !== 0) return byExitCode(output);
  const { nodes }: { nodes: Record<string, Module> } = JSON.parse(
    output.stdout,
  );
  const gate = new Gate();
  for (const [url, module] of Object.entries(nodes)) {
    gate.module(url.slice(url.lastIndexOf("/") + 1), module);
  }
  return gate.verdict();
}

class Gate {
  /** What was seen; a symbol is in its own module and in `mod.ts`. */
  readonly #seen = {
    modules: new Set<string>(),
    symbols: new Set<string>(),
    members: new Set<string>(),
    examples: new Set<string>(),
  };
  readonly #missing: string[] = [];

  module(file: string, { module_doc, symbols }: Module): void {
    this.#seen.modules.add(file);
    this.#check(file, module_doc);
    if (!module_doc?.tags?.some(({ kind }) => kind === "module")) {
      this.#missing.push(`${file}: no @module`);
    }
    if (!this.#examples(module_doc)) {
      this.#missing.push(`${file}: no example for the module`);
    }
    for (const { name, declarations } of symbols) {
      for (const declaration of declarations) {
        if (declaration.kind === "reference") continue; // another's alias
        if (declaration.jsDoc?.tags?.some(({ kind }) => kind === "internal")) {
          continue;
        }
        this.#seen.symbols.add(where(declaration));
        this.#declaration(`${file}: ${name}`, name, declaration);
      }
    }
  }

  verdict(): Verdict {
    const missing = [...new Set(this.#missing)];
    const counts = Object.entries(this.#seen).map(([what, { size }]) =>
      `${size} ${what}`
    );
    return missing.length === 0
      ? verdict(true, `▸ ${counts.join(", ")}`)
      : verdict(false, missing.join("\n"));
  }

  #declaration(place: string, name: string, declaration: Documented): void {
    this.#check(place, declaration.jsDoc);
    const examples = this.#examples(declaration.jsDoc);
    if (SHOWN.includes(declaration.kind ?? "") && !examples) {
      this.#missing.push(`${place}: no @example`);
    }
    const isError = /Error$/.test(name);
    const constructed = examples.includes(`new ${name}(`);
    this.#params(place, declaration, declaration.def?.params);
    this.#members(place, declaration.def, isError || constructed);
  }

  /** Looks at all members, however deep in a type they are. */
  #members(place: string, within: unknown, constructed: boolean): void {
    if (typeof within !== "object" || within === null) return;
    for (const [key, value] of Object.entries(within)) {
      if (!MEMBERS.includes(key) || !Array.isArray(value)) {
        this.#members(place, value, constructed);
        continue;
      }
      for (const member of value) this.#member(place, key, member, constructed);
    }
  }

  #member(
    place: string,
    key: string,
    member: Documented,
    constructed: boolean,
  ): void {
    if (member.accessibility === "private") return;
    const name = `${place}.${member.name ?? key}`;
    this.#seen.members.add(where(member));
    this.#check(name, member.jsDoc);
    const shown = key === "constructors"
      ? constructed
      : !SHOWN.includes(member.kind ?? "");
    if (!this.#examples(member.jsDoc) && !shown) {
      this.#missing.push(`${name}: no @example`);
    }
    if (key !== "indexSignatures") this.#params(name, member, member.params);
    this.#members(name, member, true);
  }

  /** Each parameter that has a name is described. */
  #params(
    place: string,
    { jsDoc }: Documented,
    params: Documented["params"] = [],
  ): void {
    for (const { name } of params) {
      const described = jsDoc?.tags?.some((tag) =>
        tag.kind === "param" && tag.name === name && tag.doc
      );
      if (name !== undefined && !described) {
        this.#missing.push(`${place}: no @param ${name}`);
      }
    }
  }

  #check(place: string, jsDoc: JsDoc | undefined): void {
    if (!jsDoc?.doc?.trim()) this.#missing.push(`${place}: no documentation`);
    const texts = [jsDoc?.doc, ...jsDoc?.tags?.map(({ doc }) => doc) ?? []];
    if (texts.some((text) => /^```\w* ignore/m.test(text ?? ""))) {
      this.#missing.push(`${place}: an example is ignored`);
    }
  }

  /** The code that is shown; empty if there is none. */
  #examples(jsDoc: JsDoc | undefined): string {
    const texts = [
      jsDoc?.doc ?? "",
      ...jsDoc?.tags?.filter(({ kind }) => kind === "example")
        .map(({ doc = "" }) => doc) ?? [],
    ];
    const code = texts.flatMap((text) =>
      text.match(/^```ts\n[^]*?^```/gm) ?? []
    );
    for (const example of code) this.#seen.examples.add(example);
    return code.join("\n");
  }
}

/** Where it is, as a key. */
function where({ location }: Documented): string {
  return `${location?.filename}:${location?.byteIndex}`;
}
