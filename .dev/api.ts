/**
 * The public API report, tests/api.txt: one line for each symbol and member.
 *
 * `deno task api` writes it; the checks compare it with the code, so that each
 * change of the public API shows in a diff.
 */
import { deno, ROOT } from "./process.ts";

/** The report's path, from the project's folder. */
const API_REPORT = "tests/api.txt";

/** A type, as `deno doc --json` describes it; `repr` is used where it is whole. */
type Type =
  | { kind: "keyword" | "this" | "typeQuery"; repr: string }
  | { kind: "literal"; repr: string; value: { kind: string } }
  | { kind: "typeRef"; value: { typeName: string; typeParams?: Type[] } }
  | { kind: "union" | "intersection" | "tuple"; value: Type[] }
  | { kind: "array" | "parenthesized" | "rest" | "optional"; value: Type }
  | { kind: "typeOperator"; value: { operator: string; tsType: Type } }
  | { kind: "indexedAccess"; value: { objType: Type; indexType: Type } }
  | { kind: "fnOrConstructor"; value: Signature & { constructor: boolean } }
  | { kind: "typeLiteral"; value: Members }
  | { kind: "mapped"; value: MappedType };

interface MappedType {
  typeParam: TypeParam;
  optional?: boolean;
  readonly?: boolean;
  tsType: Type;
}

interface TypeParam {
  name: string;
  constraint?: Type;
  default?: Type;
}

interface Param {
  kind: "identifier" | "assign" | "rest" | "object" | "array";
  name?: string;
  optional?: boolean;
  tsType?: Type;
  /** Of a parameter with a default. */
  left?: Param;
  /** Of a rest parameter. */
  arg?: Param;
}

interface Signature {
  params?: Param[];
  typeParams?: TypeParam[];
  /** Of a method or function. */
  returnType?: Type;
  /** Of a function type, or of a property. */
  tsType?: Type;
}

interface Member extends Signature {
  name: string;
  kind?: string;
  accessibility?: string;
  isStatic?: boolean;
  isAbstract?: boolean;
  readonly?: boolean;
  optional?: boolean;
  functionDef?: Signature;
}

interface Members {
  constructors?: Member[];
  properties?: Member[];
  methods?: Member[];
  indexSignatures?: Member[];
  callSignatures?: Member[];
}

/** The part of a declaration that its kind decides. */
interface Definition extends Members, Signature {
  isAbstract?: boolean;
  /** The base of a class, or those of an interface. */
  extends?: string | Type[];
  superTypeParams?: Type[];
  implements?: Type[];
  target?: Location;
}

interface Location {
  filename: string;
  byteIndex: number;
}

interface Declaration {
  kind: string;
  location: Location;
  def: Definition;
}

interface Sym {
  name: string;
  declarations: Declaration[];
}

/** The report of the code as it is: all of mod.ts, and the rest of client.ts. */
export async function apiReport(root = ROOT): Promise<string> {
  const [main = [], client = []] = await Promise.all(
    ["mod.ts", "client.ts"].map((module) => symbols(root, module)),
  );
  const exported = new Set(main.flatMap(describe));
  const more = client.flatMap(describe).filter((line) => !exported.has(line));
  return ["# mod.ts", ...exported, "", "# client.ts, besides", ...more, ""]
    .join("\n");
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
  const at = ({ filename, byteIndex }: Location) => `${filename}:${byteIndex}`;
  const names = new Map(
    found.flatMap(({ name, declarations }) =>
      declarations.map(({ location }) => [at(location), name])
    ),
  );
  // `export { V1Client as Client }` refers to the place of V1Client.
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
      ...lines.map(({ name: member, modifiers, rest }) =>
        `${modifiers}${name}${
          member.startsWith("[") ? "" : "."
        }${member}${rest}`
      ),
    ];
  });
}

function head(kind: string, name: string, def: Definition): string {
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
  throw new Error(`Cannot report ${kind} ${name}: the report has no form for`);
}

/** The members of a class, interface or type literal. */
function members(def: Members) {
  const line = (member: Member, name: string, rest: string) => {
    const { accessibility, isStatic, isAbstract, readonly } = member;
    const modifiers = [
      accessibility,
      isStatic && "static",
      isAbstract && "abstract",
      readonly && "readonly",
    ].filter(Boolean).map((word) => `${word} `).join("");
    return { name, modifiers, rest };
  };
  const visible = (found: Member[] = []) =>
    found.filter(({ accessibility }) => accessibility !== "private");
  return [
    ...visible(def.constructors).map((member) =>
      line(member, "constructor", signature(member, ""))
    ),
    ...visible(def.properties).map((member) => {
      const mark = member.optional ? "?" : "";
      return line(member, member.name, `${mark}: ${text(member.tsType)}`);
    }),
    ...visible(def.methods).map((member) => {
      const mark = member.optional ? "?" : "";
      const { kind } = member;
      const accessor = kind === "getter" || kind === "setter"
        ? `${kind.slice(0, 3)} `
        : "";
      const found = line(
        member,
        member.name,
        mark + signature(member.functionDef ?? member, ": "),
      );
      return { ...found, modifiers: found.modifiers + accessor };
    }),
    ...visible(def.indexSignatures).map((member) =>
      line(member, `[${params(member.params)}]`, `: ${text(member.tsType)}`)
    ),
    ...visible(def.callSignatures).map((member) =>
      line(member, "call", signature(member, ": "))
    ),
  ];
}

function signature(
  { params: list, typeParams: generics, returnType, tsType }: Signature,
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
    case "literal":
      return type.value.kind === "string"
        ? JSON.stringify(type.repr)
        : type.repr;
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
    case "mapped": {
      const { typeParam: { name, constraint }, optional, readonly, tsType } =
        type.value;
      return `{ ${readonly ? "readonly " : ""}[${name} in ${text(constraint)}]${
        optional ? "?" : ""
      }: ${text(tsType)} }`;
    }
  }
  throw new Error(`Cannot report a type of this kind: ${JSON.stringify(type)}`);
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
