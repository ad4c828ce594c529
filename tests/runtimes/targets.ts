/** The runtimes and compilers that the suite runs on. */
import type { Program } from "../../.dev/tools.ts";
import type { Runtime } from "./kit.ts";

/** What the suite runs on, or what checks its types. */
export type Kind = Runtime | "typescript";

/** One row of the table. */
export interface Target {
  name: string;
  kind: Kind;
  /** Its column in docs/runtimes.md, "Truncated logs". */
  column?: string;
  /** @default The Deno that runs this. */
  program?: Program;
  /** Of workerd. */
  compatibilityDate?: string;
}

const target = (program: Program, kind: Kind, column = ""): Target => ({
  ...{ name: program, kind, column, program },
});
const workerd = (compatibilityDate: string): Target => ({
  name: `workerd${compatibilityDate.slice(0, 4)}`,
  ...{ kind: "workerd", column: "workerd", compatibilityDate },
});

/** The oldest and the newest supported versions, and those of Node between. */
export const TARGETS: Target[] = [
  target("deno2.0", "deno", "Deno"),
  { name: "deno", kind: "deno", column: "Deno" },
  target("bun1.2", "bun", "Bun 1.2"),
  target("bun1.4", "bun", "Bun 1.4"),
  target("node20", "node", "Node 20"),
  target("node22", "node", "Node 22 and newer"),
  target("node24", "node", "Node 22 and newer"),
  target("node26", "node", "Node 22 and newer"),
  workerd("2024-09-23"),
  workerd("2026-07-01"),
  target("typescript5.4", "typescript"),
  target("typescript5.9", "typescript"),
  target("typescript7", "typescript"),
];

/** The newest version of each kind, the last one of the table. */
export const NEWEST: Target[] = [
  ...new Map(TARGETS.map((target) => [target.kind, target])).values(),
];

/** The command that starts a script, named without extension, with flags. */
export function command(
  kind: Kind,
  program: string,
  script: string,
  flags: string[] = [],
): [string, ...string[]] {
  if (kind === "node") return [program, ...flags, `${script}.js`];
  const permissions = ["--allow-net", "--allow-env", "--no-prompt"];
  const granted = kind === "deno" ? permissions : [];
  return [program, "run", ...granted, ...flags, `${script}.ts`];
}
