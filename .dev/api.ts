/**
 * The public API report, tests/api.txt: one line for each symbol and member.
 *
 * `deno task api` writes it; the checks compare it with the code, so that each
 * change of the public API shows in a diff.
 */
import { deno, ROOT } from "./process.ts";

/** The report's path, from the project's folder. */
const API_REPORT = "tests/api.txt";

/** A type, as `deno doc --json` describes it. */
type Type =
  | { kind: "keyword" | "this" | "typeQuery"; repr: string }
  | { kind: "literal"; repr: string; value: { kind: string } }
  | { kind: "typeRef"; value: { typeName: string; typeParams?: Type[] } }
  | { kind: "union" | "intersection" | "tuple"; value: Type[] }
  | { kind: "array" | "parenthesized" | "rest" | "optional"; value: Type }
  | { kind: "typeOperator"; value: { operator: string; tsType: Type } }
  | { kind: "indexedAccess"; value: { objType: Type; indexType: Type } }
  | { kind: "fnOrConstructor"; value: Shape & { constructor: boolean } }
  | { kind: "typeLiteral"; value: Shape }
  | { kind: "conditional"; value: Conditional }
  | { kind: "mapped"; value: Shape & { typeParam: TypeParam } };

type Conditional = Record<
  "checkType" | "extendsType" | "trueType" | "falseType",
  Type
>;

interface TypeParam {
  name: string;
  constraint?: Type;
  default?: Type;
}

interface Param {
  kind: string;
  name?: string;
  optional?: boolean;
  tsType?: Type;
  /** Of a parameter with a default. */
  left?: Param;
  /** Of a rest parameter. */
  arg?: Param;
}

/** A declaration, a member or a signature: each has some of these. */
interface Shape {
  params?: Param[];
  typeParams?: TypeParam[];
  /** The result of a method or function; other types are in `tsType`. */
  returnType?: Type;
  tsType?: Type;
  accessibility?: string;
  isStatic?: boolean;
  isAbstract?: boolean;
  readonly?: boolean;
  optional?: boolean;
  /** The signature of a method of a class. */
  functionDef?: Shape;
  constructors?: Member[];
  properties?: Member[];
  methods?: Member[];
  indexSignatures?: Member[];
  callSignatures?: Member[];
  /** The base of a class, or those of an interface. */
  extends?: string | Type[];
  superTypeParams?: Type[];
  implements?: Type[];
  /** What an alias refers to. */
  target?: Location;
}

interface Member extends Shape {
  name: string;
  kind?: string;
}

interface Location {
  filename: string;
  byteIndex: number;
}

interface Sym {
  name: string;
  declarations: { kind: string; location: Location; def: Shape }[];
}

/** The report of the code as it is: all of mod.ts, and the rest of client.ts. */
export async function apiReport(root = ROOT): Promise<string> {
  const [main = [], client = []] = await Promise.all(
    ["mod.ts", "client.ts"].map((module) => symbols(root, module)),
  );
  const own = declaredNames(client);
  for (const symbol of main) useDeclaredName(symbol, main, own);
  main.sort((a, b) => compare(a.name, b.name));
  const exported = new Set(main.flatMap(describe));
  const more = client.flatMap(describe).filter((line) => !exported.has(line));
  return ["# mod.ts", ...exported, "", "# client.ts, besides", ...more, ""]
    .join("\n");
}

/** The names of symbols in their own module, by location. */
function declaredNames(symbols: Sym[]): Map<string, string> {
  return new Map(
    symbols.flatMap(({ name, declarations }) =>
      declarations.map(({ location }) => [at(location), name])
    ),
  );
}

/** Swaps the names of a class and its alias, whichever is exported first. */
function useDeclaredName(
  symbol: Sym,
  symbols: Sym[],
  own: Map<string, string>,
): void {
  const [declaration] = symbol.declarations;
  if (declaration?.kind !== "class") return;
  const alias = symbols.find(({ name }) =>
    name === own.get(at(declaration.location)) && name !== symbol.name
  );
  if (!alias) return;
  [symbol.name, alias.name] = [alias.name, symbol.name];
  for (const { def } of alias.declarations) {
    def.tsType = { kind: "typeRef", value: { typeName: symbol.name } };
  }
}

function at({ filename, byteIndex }: Location): string {
  return `${filename}:${byteIndex}`;
}

/** The lines that differ: `-` only in the first report, `+` only in the second. */
export function difference(before: string, after: string): string[] {
  const [old, now] = [before, after].map((text) => text.split("\n"));
  const without = (lines: string[] = [], others: string[] = []) =>
    lines.filter((line) => !others.includes(line));
  return [
    ...without(old, now).map((line) => `- ${line}`),
    ...without(now, old).map((line) => `+ ${line}`),
  ];
}

/** What a module exports, by name. */
async function symbols(root: string, module: string): Promise<Sym[]> {
  const { code, stdout, stderr } = await deno(["doc", "--json", module], {
    cwd: root,
  });
  if (code !== 0) throw new Error(`Cannot read ${module}: ${stderr}`);
  const { nodes }: { nodes: Record<string, { symbols: Sym[] }> } = JSON.parse(
    stdout,
  );
  const found = Object.values(nodes).flatMap(({ symbols }) => symbols);
  const names = declaredNames(found);
  // An alias refers to the location of its target.
  for (const { declarations } of found) {
    for (const { def } of declarations) {
      if (!def.target) continue;
      const typeName = names.get(at(def.target)) ?? "(not exported)";
      def.tsType = { kind: "typeRef", value: { typeName } };
    }
  }
  return found.sort((a, b) => compare(a.name, b.name));
}

/** The lines of one symbol: its own, then those of its members by name. */
function describe({ name, declarations }: Sym): string[] {
  return declarations.flatMap(({ kind, def }) => {
    const lines = members(def).sort((a, b) => compare(a.name, b.name));
    return [
      head(kind, name, def),
      ...lines.map(({ name: member, modifiers, rest }) => {
        const dot = /^\w/.test(member) ? "." : "";
        return modifiers + name + dot + member + rest;
      }),
    ];
  });
}

function head(kind: string, name: string, def: Shape): string {
  const generic = name + typeParams(def.typeParams);
  switch (kind) {
    case "reference":
      return `alias ${name} = ${text(def.tsType)}`;
    case "typeAlias":
      return `type ${generic} = ${text(def.tsType)}`;
    case "variable":
      return `const ${name}: ${text(def.tsType)}`;
    case "function":
      return `function ${name}${signature(def, ": ")}`;
    case "interface":
      return `interface ${generic}${list(" extends ", def.extends)}`;
    case "class": {
      const base = list(" extends ", def.extends) +
        (def.superTypeParams?.length ? `<${texts(def.superTypeParams)}>` : "");
      const abstract = def.isAbstract ? "abstract " : "";
      return `${abstract}class ${generic}${base}${
        list(" implements ", def.implements)
      }`;
    }
  }
  throw new Error(`Cannot report ${name}: unknown kind ${kind}`);
}

/** The members of a class, interface or type literal. */
function members(def: Shape) {
  const mark = ({ optional }: Shape) => optional ? "?" : "";
  const found: [Member, name: string, rest: string][] = [];
  const add = (member: Member, name: string, rest: string) =>
    found.push([member, name, rest]);
  for (const member of def.constructors ?? []) {
    add(member, "constructor", signature(member, ""));
  }
  for (const member of def.properties ?? []) {
    add(member, member.name, `${mark(member)}: ${text(member.tsType)}`);
  }
  for (const member of def.methods ?? []) {
    const { functionDef = member } = member;
    add(member, member.name, mark(member) + signature(functionDef, ": "));
  }
  for (const member of def.indexSignatures ?? []) {
    add(member, `[${params(member.params)}]`, `: ${text(member.tsType)}`);
  }
  for (const member of def.callSignatures ?? []) {
    add(member, "", signature(member, ": "));
  }
  return found.filter(([{ accessibility }]) => accessibility !== "private")
    .map(([member, name, rest]) => ({ name, rest, modifiers: words(member) }));
}

/** The words before a member's name. */
function words(member: Member): string {
  const { accessibility, isStatic, isAbstract, readonly, kind } = member;
  return [
    accessibility,
    isStatic && "static",
    isAbstract && "abstract",
    readonly && "readonly",
    kind === "getter" && "get",
    kind === "setter" && "set",
  ].filter(Boolean).map((word) => `${word} `).join("");
}

function signature(
  { params: list, typeParams: generics, returnType, tsType }: Shape,
  arrow: string,
): string {
  const result = arrow && `${arrow}${text(returnType ?? tsType)}`;
  return `${typeParams(generics)}(${params(list)})${result}`;
}

function params(list: Param[] = []): string {
  return list.map((param) => {
    const { name, optional, tsType } = param.left ?? param.arg ?? param;
    const type = text(tsType ?? param.tsType);
    if (param.kind === "rest") return `...${name}: ${type}`;
    const mark = optional || param.kind === "assign" ? "?" : "";
    return `${name ?? "{}"}${mark}: ${type}`;
  }).join(", ");
}

function typeParams(list: TypeParam[] = []): string {
  const each = list.map(({ name, constraint, default: otherwise }) =>
    name + (constraint ? ` extends ${text(constraint)}` : "") +
    (otherwise ? ` = ${text(otherwise)}` : "")
  );
  return each.length > 0 ? `<${each.join(", ")}>` : "";
}

/** A type as TypeScript writes it, on one line. */
function text(type: Type | undefined): string {
  if (type === undefined) return "(inferred)";
  switch (type.kind) {
    case "keyword":
    case "this":
      return type.repr;
    case "typeQuery":
      return `typeof ${type.repr}`;
    case "literal": {
      const quotes: Record<string, string> = { string: '"', template: "`" };
      const quote = quotes[type.value.kind] ?? "";
      return quote + type.repr + quote;
    }
    case "typeRef": {
      const { typeName, typeParams = [] } = type.value;
      return typeName + (typeParams.length ? `<${texts(typeParams)}>` : "");
    }
    case "union":
      return texts(type.value, " | ");
    case "intersection":
      return texts(type.value, " & ");
    case "tuple":
      return `[${texts(type.value)}]`;
    case "array":
      return `${text(type.value)}[]`;
    case "parenthesized":
      return `(${text(type.value)})`;
    case "rest":
      return `...${text(type.value)}`;
    case "optional":
      return `${text(type.value)}?`;
    case "typeOperator":
      return `${type.value.operator} ${text(type.value.tsType)}`;
    case "indexedAccess":
      return `${text(type.value.objType)}[${text(type.value.indexType)}]`;
    case "fnOrConstructor":
      return (type.value.constructor ? "new " : "") +
        signature(type.value, " => ");
    case "typeLiteral":
      return `{ ${
        members(type.value).map(({ name, modifiers, rest }) =>
          modifiers + name + rest
        ).join("; ")
      } }`;
    case "conditional": {
      const { checkType, extendsType, trueType, falseType } = type.value;
      const [check, base] = [text(checkType), text(extendsType)];
      return `${check} extends ${base} ? ${text(trueType)} : ${
        text(falseType)
      }`;
    }
    case "mapped": {
      const { typeParam: { name, constraint }, optional, readonly, tsType } =
        type.value;
      return `{ ${readonly ? "readonly " : ""}[${name} in ${text(constraint)}]${
        optional ? "?" : ""
      }: ${text(tsType)} }`;
    }
  }
  throw new Error(`Cannot report a type: unknown kind ${JSON.stringify(type)}`);
}

function texts(types: Type[], separator = ", "): string {
  return types.map(text).join(separator);
}

function list(before: string, types: string | Type[] = []): string {
  const after = typeof types === "string" ? types : texts(types);
  return after && before + after;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

if (import.meta.main) {
  const report = await apiReport();
  if (Deno.args.includes("--check")) {
    const committed = await Deno.readTextFile(ROOT + API_REPORT);
    const changes = difference(committed, report);
    if (changes.length > 0) {
      console.error(
        `The public API differs from ${API_REPORT}; if this is intended, run "deno task api"`,
      );
      console.error(changes.join("\n"));
      Deno.exit(1);
    }
  } else {
    await Deno.writeTextFile(ROOT + API_REPORT, report);
  }
}
