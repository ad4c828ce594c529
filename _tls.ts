/** TLS settings, in the words of the runtime's own fetch. */

import { checkNames } from "./_check.ts";

/** Whom to trust and who to be over HTTPS. All texts are PEM. */
export interface TlsOptions {
  /** Certificates of the CAs to trust besides the system's. */
  ca?: string;
  /** The client's certificate; needs `key`. */
  cert?: string;
  /** The key of the client's certificate; needs `cert`. */
  key?: string;
  /** Whether to check the server's certificate; true unless said. */
  verify?: boolean;
}

/** What goes into each fetch, and how to let go of it. */
export interface TlsSession {
  /** More members for fetch's init. */
  init(): object;
  /** Closes what was opened. */
  close(): void;
}

/** What must stand in each text. */
const PEM = {
  ca: "-----BEGIN CERTIFICATE-----",
  cert: "-----BEGIN CERTIFICATE-----",
  key: "PRIVATE KEY-----",
} as const;

/** What sets TLS up, by the global object that tells the runtime. */
const RUNTIMES: [string, (tls: TlsOptions) => TlsSession][] = [
  ["Bun", bun],
  ["Deno", deno],
];

/** Makes a session for these settings, or says what to use instead. */
export function openTls(
  tls: TlsOptions | undefined,
  hasOwnFetch: boolean,
): TlsSession {
  checkNames("tls", tls, ["ca", "cert", "key", "verify"]);
  if (
    tls === undefined ||
    tls.verify !== false && !tls.ca && !tls.cert && !tls.key
  ) return { init: () => ({}), close() {} };
  for (const name of ["ca", "cert", "key"] as const) {
    const text = tls[name];
    if (text !== undefined && !String(text).includes(PEM[name])) {
      throw new TypeError(
        `Invalid tls.${name}: PEM text is needed, with the line ${
          PEM[name]
        }; read the file and give its text`,
      );
    }
  }
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw new TypeError(
      "Invalid tls: cert and key go together, one of them is missing",
    );
  }
  if (hasOwnFetch) {
    throw new TypeError(
      "Cannot use tls with a fetch of your own: set TLS up in that fetch",
    );
  }
  const [, open = other] =
    RUNTIMES.find(([name]) => Object.hasOwn(globalThis, name)) ?? [];
  return open(tls);
}

/** Bun's fetch takes the settings as they are. */
function bun({ ca, cert, key, verify }: TlsOptions): TlsSession {
  const tls = { ca, cert, key, rejectUnauthorized: verify ?? true };
  return { init: () => ({ tls }), close() {} };
}

/** Deno's fetch takes a client, which is open until it is closed. */
function deno({ ca, cert, key, verify }: TlsOptions): TlsSession {
  if (verify === false) {
    throw new TypeError(
      "Cannot set tls.verify to false: Deno does not let a program turn verification off; run it with --unsafely-ignore-certificate-errors=HOST, or trust the server's CA with tls.ca",
    );
  }
  let client: Deno.HttpClient | undefined;
  return {
    init() {
      client ??= Deno.createHttpClient({
        ...(ca && { caCerts: [ca] }),
        ...(cert && key && { cert, key }),
      });
      return { client };
    },
    close() {
      client?.close();
      client = undefined;
    },
  };
}

/** Elsewhere only a fetch that was set up for it can do it. */
function other(): TlsSession {
  throw new TypeError(
    "Cannot use tls: this runtime's fetch takes no TLS settings; give a fetch that does, on Node (url, init) => fetch(url, { ...init, dispatcher }) with an Agent of undici, on Cloudflare Workers the fetch of an mTLS binding",
  );
}
