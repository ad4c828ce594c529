/** Passes TLS settings to the runtime's fetch. */

import { TLS_OPTIONS, type TlsOptions } from "../options.ts";
import { detectRuntime } from "./runtime.ts";
import { validateOptions } from "./validate.ts";

/** TLS settings of a client. */
export interface TlsSession {
  /** Members to add to fetch's init. */
  init(): object;
  /** Closes what init() opened; the next init() opens it again. */
  close?(): void;
}

/** What to do where fetch has no TLS settings. */
const ALTERNATIVES: Record<string, string> = {
  Node:
    "set the environment variable NODE_EXTRA_CA_CERTS to the file of the CA's certificate; for a client certificate pass the fetch of undici with an Agent",
  workerd: "pass the fetch of an mTLS binding",
};

/** Creates the session; undefined if all settings are defaults. */
export function openTls(
  tls: TlsOptions = {},
  hasCustomFetch: boolean,
): TlsSession | undefined {
  validateOptions(tls, TLS_OPTIONS, "tls", "tls.");
  const { verify = true, ca, cert, key } = tls;
  for (const name of ["ca", "cert", "key"] as const) {
    const text = tls[name];
    const marker = name === "key" ? "PRIVATE KEY-----" : "CERTIFICATE-----";
    if (text !== undefined && !String(text).includes(marker)) {
      throw new TypeError(
        `Invalid tls.${name}: must be PEM text that contains ${marker} (read the file and pass its text)`,
      );
    }
  }
  if (!cert !== !key) {
    throw new TypeError("Invalid tls: cert and key must be set together");
  }
  if (verify && !ca && !cert) return undefined;
  if (hasCustomFetch) {
    throw new TypeError(
      "Cannot use tls with a custom fetch: configure TLS in that fetch",
    );
  }
  const runtime = detectRuntime();
  if (runtime === "Bun") {
    const settings = {
      ...ca && { ca },
      ...cert && { cert, key },
      rejectUnauthorized: verify,
    };
    return { init: () => ({ tls: settings }) };
  }
  if (runtime === "Deno") return openDenoTls({ ca, cert, key, verify });
  throw new TypeError(
    `Cannot use tls: this runtime's fetch has no TLS settings; ${
      ALTERNATIVES[runtime] ?? "pass a custom fetch instead"
    }`,
  );
}

/** Deno's fetch accepts an HTTP client, which must be closed. */
function openDenoTls({ ca, cert, key, verify }: TlsOptions): TlsSession {
  if (!verify) {
    throw new TypeError(
      "Cannot set tls.verify to false: Deno does not let a program turn verification off; run it with --unsafely-ignore-certificate-errors=HOST, or trust the server's CA with tls.ca; unset DECAPOD_NO_VERIFY if it is set",
    );
  }
  const settings = {
    ...ca && { caCerts: [ca] },
    ...cert && key && { cert, key },
  };
  let client: Deno.HttpClient | undefined;
  const session = {
    init() {
      client ??= Deno.createHttpClient(settings);
      return { client, tls: settings };
    },
    /** Requests under way continue. */
    close() {
      client?.close();
      client = undefined;
    },
  };
  try {
    session.init(); // throws if a text is invalid
  } catch (cause) {
    throw new TypeError(
      `Invalid tls: must be certificates and a key that belong together, Deno reports: ${cause}`,
      { cause },
    );
  }
  session.close();
  return session;
}
