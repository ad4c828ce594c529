/** TLS settings, in the words of the runtime's own fetch. */

import { checkNames, kind } from "./_check.ts";

/** Whom to trust and who to be over HTTPS. All texts are PEM. */
export interface TlsOptions {
  /**
   * Certificates of the CAs to trust: besides the system's on Deno, instead of
   * them on Bun.
   */
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
  /** Closes what was opened; the next `init()` opens it again. */
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
  const { verify, ...texts } = tls ?? {};
  if (verify !== undefined && typeof verify !== "boolean") {
    throw new TypeError(
      `Invalid tls.verify: true or false is needed, it is ${kind(verify)}`,
    );
  }
  for (const name of ["ca", "cert", "key"] as const) {
    const text = texts[name];
    if (text === undefined) delete texts[name];
    else if (!String(text).includes(PEM[name])) {
      throw new TypeError(
        `Invalid tls.${name}: PEM text is needed, with the line ${
          PEM[name]
        }; read the file and give its text`,
      );
    }
  }
  if ((texts.cert === undefined) !== (texts.key === undefined)) {
    throw new TypeError(
      "Invalid tls: cert and key go together, one of them is missing",
    );
  }
  if (verify !== false && Object.keys(texts).length === 0) {
    return { init: () => ({}), close() {} };
  }
  if (hasOwnFetch) {
    throw new TypeError(
      "Cannot use tls with a fetch of your own: set TLS up in that fetch",
    );
  }
  const [, open = other] =
    RUNTIMES.find(([name]) => Object.hasOwn(globalThis, name)) ?? [];
  return open({ ...texts, verify: verify ?? true });
}

/** Bun's fetch takes the settings as they are. */
function bun({ verify, ...texts }: TlsOptions): TlsSession {
  const tls = { ...texts, rejectUnauthorized: verify };
  return { init: () => ({ tls }), close() {} };
}

/**
 * Deno's fetch takes a client, which is open until it is closed, and no
 * settings; they are for whoever needs another client.
 */
function deno({ verify, ca, cert, key }: TlsOptions): TlsSession {
  if (verify === false) {
    throw new TypeError(
      "Cannot set tls.verify to false: Deno does not let a program turn verification off; run it with --unsafely-ignore-certificate-errors=HOST, or trust the server's CA with tls.ca",
    );
  }
  const settings = {
    ...(ca && { caCerts: [ca] }),
    ...(cert && key && { cert, key }),
  };
  let client: Deno.HttpClient | undefined;
  const session = {
    init() {
      client ??= Deno.createHttpClient(settings);
      return { client, tls: settings };
    },
    /** What is under way goes on to its end. */
    close() {
      client?.close();
      client = undefined;
    },
  };
  try {
    session.init(); // reads the texts
  } catch (cause) {
    throw new TypeError(
      `Invalid tls: Deno cannot use these texts (${cause})`,
      { cause },
    );
  }
  session.close();
  return session;
}

/** Elsewhere only a fetch that was set up for it can do it. */
function other(): TlsSession {
  throw new TypeError(
    "Cannot use tls: this runtime's fetch takes no TLS settings; give a fetch that does, on Node (url, init) => fetch(url, { ...init, dispatcher }) with an Agent of undici, on Cloudflare Workers the fetch of an mTLS binding",
  );
}
