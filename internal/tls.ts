/** TLS settings, in the words of the runtime's own fetch. */

import { validateOptions } from "./validate.ts";

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
  close?(): void;
}

/** What must stand in each text. */
const PEM = [
  ["ca", "CERTIFICATE-----"],
  ["cert", "CERTIFICATE-----"],
  ["key", "PRIVATE KEY-----"],
] as const;

/** Makes a session for these settings, or says what to use instead. */
export function openTls(
  tls: TlsOptions = {},
  hasOwnFetch: boolean,
): TlsSession | undefined {
  validateOptions(tls, ["ca", "cert", "key", "verify"], "tls", "tls.");
  const { verify = true, ...texts } = tls;
  const { ca, cert, key } = texts;
  for (const [name, mark] of PEM) {
    const text = texts[name];
    if (text !== undefined && !String(text).includes(mark)) {
      throw new TypeError(
        `Invalid tls.${name}: PEM text is needed, with ${mark} in it; read the file and give its text`,
      );
    }
  }
  if (!cert !== !key) {
    throw new TypeError("Invalid tls: cert and key go together");
  }
  if (verify && !ca && !cert) return undefined;
  if (hasOwnFetch) {
    throw new TypeError(
      "Cannot use tls with a fetch of your own: set TLS up in that fetch",
    );
  }
  if ("Bun" in globalThis) {
    return { init: () => ({ tls: { ...texts, rejectUnauthorized: verify } }) };
  }
  if ("Deno" in globalThis) return openDenoTls({ ca, cert, key, verify });
  throw new TypeError(
    "Cannot use tls: this runtime's fetch takes no TLS settings; give a fetch that does, on Node with an Agent of undici as its dispatcher, on Cloudflare Workers that of an mTLS binding",
  );
}

/**
 * Deno's fetch takes a client, which is open until it is closed, and no
 * settings; they are for whoever needs another client.
 */
function openDenoTls({ ca, cert, key, verify }: TlsOptions): TlsSession {
  if (!verify) {
    throw new TypeError(
      "Cannot set tls.verify to false: Deno does not let a program turn verification off; run it with --unsafely-ignore-certificate-errors=HOST, or trust the server's CA with tls.ca",
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
