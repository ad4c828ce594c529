/** The runtime that this program runs on. */

/** A runtime's name; `other` for browsers and unknown ones. */
export type Runtime = "Deno" | "Bun" | "Node" | "workerd" | "other";

/** Detects the runtime. */
export function detectRuntime(): Runtime {
  if ("Deno" in globalThis) return "Deno";
  if ("Bun" in globalThis) return "Bun";
  const { navigator, process } = globalThis as {
    navigator?: { userAgent?: string };
    process?: { versions?: { node?: string } };
  };
  if (navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  return process?.versions?.node ? "Node" : "other";
}
