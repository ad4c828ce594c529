/** The proxy that the environment names for a URL. */

import { detectRuntime, readOptionalVariable } from "./runtime.ts";

/** The proxy's origin, without credentials; undefined without a proxy. */
export function findProxy(url: string): string | undefined {
  const { protocol, hostname } = new URL(url);
  const runtime = detectRuntime();
  const isUsed = runtime === "Deno" || runtime === "Bun" ||
    runtime === "Node" && readOptionalVariable("NODE_USE_ENV_PROXY") === "1";
  const name = protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const proxy = isUsed && readEither(name);
  if (!proxy || !URL.canParse(proxy)) return undefined;
  const exceptions = (readEither("NO_PROXY") ?? "").split(/[\s,]+/);
  const isException = exceptions.some((one) =>
    one === "*" || one !== "" &&
      `.${hostname}`.endsWith(`.${one.replace(/^\*?\.|:\d+$/g, "")}`)
  );
  const { protocol: scheme, host } = new URL(proxy);
  return isException ? undefined : `${scheme}//${host}`;
}

/** The variable in lower case, as most programs read it, or in upper case. */
function readEither(name: string): string | undefined {
  return readOptionalVariable(name.toLowerCase()) ?? readOptionalVariable(name);
}
