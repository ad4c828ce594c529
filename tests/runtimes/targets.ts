/** The runtimes and compilers that the suite runs on. */
import type { Program } from "../../.dev/tools.ts";
import type { Runtime } from "./kit.ts";

/** What the suite runs on, or what checks its types. */
export type Kind = Runtime | "typescript";

/** One row of the table. */
export interface Target {
  name: string;
  kind: Kind;
  /** @default The Deno that runs this. */
  program?: Program;
  /** The newest version of its kind runs always, the others on CI. */
  newest?: boolean;
  /** Of workerd. */
  compatibilityDate?: string;
}

/** The oldest and the newest supported versions, and those of Node between. */
export const TARGETS: Target[] = [
  { name: "deno2.0", kind: "deno", program: "deno2.0" },
  { name: "deno", kind: "deno", newest: true },
  { name: "bun1.2", kind: "bun", program: "bun1.2" },
  { name: "bun1.4", kind: "bun", program: "bun1.4", newest: true },
  { name: "node20", kind: "node", program: "node20" },
  { name: "node22", kind: "node", program: "node22" },
  { name: "node24", kind: "node", program: "node24" },
  { name: "node26", kind: "node", program: "node26", newest: true },
  ...(["2024-09-23", "2026-07-01"] as const).map((date): Target => ({
    name: `workerd${date.slice(0, 4)}`,
    kind: "workerd",
    compatibilityDate: date,
    newest: date >= "2026",
  })),
  ...(["typescript5.4", "typescript5.9", "typescript7"] as const)
    .map((program): Target => ({
      name: program,
      kind: "typescript",
      program,
      newest: program === "typescript7",
    })),
];
