/** Runs the suite on Node, whose fetch needs undici for TLS and proxies. */
import { createRequire } from "node:module";
import process from "node:process";
import type { Settings } from "./kit.ts";
import { testNode, type Undici } from "./node.ts";
import { useProxyFetch } from "./proxies.ts";
import { lines } from "./suite.ts";
import { useFetchWith } from "./tls.ts";

// Loads Node's own fetch, whose dispatcher undici would set otherwise.
new Headers();
const undici: Undici = createRequire(import.meta.url)("undici");

/** A fetch as the documentation shows it. */
function fetchThrough(dispatcher: object) {
  return (url: string, init: RequestInit) =>
    undici.fetch(url, { ...init, dispatcher });
}

const settings: Settings = JSON.parse(process.env.SETTINGS ?? "");
useFetchWith(({ verify, ...texts }) =>
  fetchThrough(
    new undici.Agent({
      connect: { ...texts, rejectUnauthorized: verify ?? true },
    }),
  )
);
useProxyFetch(
  fetchThrough(
    new undici.ProxyAgent({
      uri: settings.proxy,
      requestTls: { ca: settings.pem.ca },
    }),
  ),
);
testNode(undici);
const library = import.meta.resolve("@decapod/decapodlib");
for await (const line of lines(process.env.SETTINGS, library)) {
  console.log(line);
}
