/** TLS settings, in the words of the runtime's own fetch. */

import { check, checkOptions, type Rule } from "./_check.ts";

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

/** What is needed of each text, or of the settings as a whole. */
const PEM: Rule = [
  "PEM text is needed, as a file has it",
  (value) => String(value).includes("-----BEGIN "),
];

/** Makes a session for these settings, or says what to use instead. */
export function openTls(
  tls: TlsOptions = {},
  hasOwnFetch: boolean,
): TlsSession | undefined {
  const { verify = true, ...texts } = tls;
  const { ca, cert, key } = texts;
  checkOptions(tls, ["ca", "cert", "key", "verify"], "tls");
  for (const [name, text] of Object.entries(texts)) {
    if (text !== undefined) check(`tls.${name}`, text, PEM);
  }
  if (!cert !== !key) refuse("cert and key go together");
  if (verify && !ca && !cert) return;
  if (hasOwnFetch) refuse("it is for the runtime's fetch, not for an own one");
  if ("Bun" in globalThis) {
    return { init: () => ({ tls: { ...texts, rejectUnauthorized: verify } }) };
  }
  if (!("Deno" in globalThis)) {
    refuse(
      "this runtime's fetch has none; give one that has, on Node with undici's Agent as dispatcher, on Workers that of an mTLS binding",
    );
  }
  if (!verify) {
    refuse(
      "Deno always verifies; trust the server's CA with tls.ca, or run with --unsafely-ignore-certificate-errors=HOST",
    );
  }
  let client: Deno.HttpClient | undefined; // open until it is closed
  const session = {
    init() {
      client ??= Deno.createHttpClient({
        ...ca && { caCerts: [ca] },
        ...cert && key && { cert, key },
      });
      return { client };
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
    refuse(`${cause}`, cause);
  }
  session.close();
  return session;
}

function refuse(why: string, cause?: unknown): never {
  throw new TypeError(`Cannot use tls: ${why}`, { cause });
}
