/** Finds out whether the environment sets a proxy. */

import { detectRuntime } from "./runtime.ts";

/** The environment variable that sets a proxy for a URL, if there is one. */
export function proxyVariable(url: string): string | undefined {
  const runtime = detectRuntime();
  const isUsed = runtime === "Deno" || runtime === "Bun" ||
    runtime === "Node" && find("NODE_USE_ENV_PROXY");
  const [, scheme = "", host = ""] = /^(https?):\/\/([^/:]*)/.exec(url) ?? [];
  if (!isUsed || isException(host)) return undefined;
  return find(`${scheme}_proxy`);
}

/** Whether NO_PROXY names the host or its domain. */
function isException(host: string): boolean {
  const variable = find("no_proxy");
  const names = variable ? read(variable)?.split(",") ?? [] : [];
  return names.map((name) => name.trim().replace(/^\*?\./, ""))
    .some((name) => name === "*" || `.${host}`.endsWith(`.${name}`));
}

/** The name, in lower or upper case, if the variable is set. */
function find(name: string): string | undefined {
  return [name, name.toUpperCase()].find(read);
}

function read(variable: string): string | undefined {
  if (
    "Deno" in globalThis && // it must not ask for a permission
    Deno.permissions.querySync({ name: "env", variable }).state !== "granted"
  ) return undefined;
  const { process } = globalThis as {
    process?: { env?: Record<string, string | undefined> };
  };
  return process?.env?.[variable];
}
