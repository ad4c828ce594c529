/** The runtime that this program runs on, its environment and its proxy. */

import { VERSION } from "../version.ts";

/** A runtime's name; `other` for browsers and unknown ones. */
export type Runtime = "Deno" | "Bun" | "Node" | "workerd" | "other";

/** The members of the global object that this file reads. */
interface Globals {
  Bun?: { version?: string };
  Deno?: { version?: { deno?: string } };
  navigator?: { userAgent?: string };
  process?: {
    env?: Record<string, string | undefined>;
    versions?: { node?: string };
  };
}

/** Whether this is Deno; packages define a partial `Deno` on other runtimes. */
export function isDeno(): boolean {
  const { Deno }: Globals = globalThis;
  return Deno?.version?.deno !== undefined;
}

/** Detects the runtime. */
export function detectRuntime(): Runtime {
  if (isDeno()) return "Deno";
  if ("Bun" in globalThis) return "Bun";
  const { navigator, process }: Globals = globalThis;
  if (navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  return process?.versions?.node ? "Node" : "other";
}

/** The User-Agent header, such as `decapodlib/1.1.0 Deno/2.9.6`. */
export function userAgent(): string {
  const globals: Globals = globalThis;
  const runtime = detectRuntime();
  // Reading `process` on Deno takes longer than importing this package.
  const versions: Partial<Record<Runtime, () => string | undefined>> = {
    Deno: () => globals.Deno?.version?.deno,
    Bun: () => globals.Bun?.version,
    Node: () => globals.process?.versions?.node,
  };
  const version = versions[runtime]?.();
  return `decapodlib/${VERSION} ${runtime}${version ? `/${version}` : ""}`;
}

/** An environment variable; undefined if it is empty or not set. */
export function readVariable(name: string): string | undefined {
  const globals: Globals = globalThis;
  const value = isDeno() ? Deno.env.get(name) : globals.process?.env?.[name];
  return value || undefined;
}

/** Like readVariable(), but undefined if Deno would ask for permission. */
export function readOptionalVariable(variable: string): string | undefined {
  if (isDeno()) {
    const { state } = Deno.permissions.querySync({ name: "env", variable });
    if (state !== "granted") return undefined;
  }
  return readVariable(variable);
}

/** The origin of the proxy for a URL, without credentials. */
export function findProxy(url: string): string | undefined {
  const { protocol, hostname } = new URL(url);
  const bare = hostname.replace(/[[\]]/g, ""); // IPv6
  const runtime = detectRuntime();
  const isUsed = runtime === "Deno" || runtime === "Bun" ||
    runtime === "Node" && readOptionalVariable("NODE_USE_ENV_PROXY") === "1";
  const name = protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const value = isUsed && (readEither(name) ?? readEither("ALL_PROXY"));
  const proxy = value && (value.includes("://") ? value : `http://${value}`);
  if (!proxy || !URL.canParse(proxy)) return undefined;
  const exceptions = (readEither("NO_PROXY") ?? "").toLowerCase()
    .split(/[\s,]+/);
  const isException = exceptions.some((one) =>
    one === "*" || one !== "" &&
      `.${bare}`.endsWith(
        `.${one.replace(/^\*?\.|[[\]]|(?<=^[^:]+|\]):\d+$/g, "")}`,
      )
  );
  const { protocol: scheme, host } = new URL(proxy);
  return isException ? undefined : `${scheme}//${host}`;
}

/** The variable in lower case, as most programs read it, or in upper case. */
function readEither(name: string): string | undefined {
  return readOptionalVariable(name.toLowerCase()) ?? readOptionalVariable(name);
}
