/** The runtime that this program runs on. */

import { VERSION } from "../version.ts";

/** A runtime's name; `other` for browsers and unknown ones. */
export type Runtime = "Deno" | "Bun" | "Node" | "workerd" | "other";

/** What this room reads of the global object. */
interface Globals {
  Bun?: { version?: string };
  navigator?: { userAgent?: string };
  process?: { versions?: { node?: string } };
}

/** Detects the runtime. */
export function detectRuntime(): Runtime {
  const { navigator, process }: Globals = globalThis;
  if ("Deno" in globalThis) return "Deno";
  if ("Bun" in globalThis) return "Bun";
  if (navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  return process?.versions?.node ? "Node" : "other";
}

/** The User-Agent header, such as `decapodlib/1.1.0 Deno/2.9.6`. */
export function userAgent(): string {
  const { Bun, process }: Globals = globalThis;
  const runtime = detectRuntime();
  const versions: Record<Runtime, string | undefined> = {
    Deno: "Deno" in globalThis ? Deno.version.deno : undefined,
    Bun: Bun?.version,
    Node: process?.versions?.node,
    workerd: undefined,
    other: undefined,
  };
  const version = versions[runtime];
  return `decapodlib/${VERSION} ${runtime}${version ? `/${version}` : ""}`;
}
