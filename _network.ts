/** What a failed fetch means. Each runtime says it in its own words. */

import { inWords, oneLine, type Redact } from "./_redact.ts";

/** Why there was no answer. */
export interface Reason {
  /** What happened and what to do, as the end of a sentence. */
  text: string;
  /** Whether the request may have reached the server. */
  sent: boolean;
}

/**
 * What the runtimes say of a request that never left, and what it means.
 * Capitals and blanks tell their words from a host's name in the same text.
 */
const UNSENT: [RegExp, string][] = [
  [
    /ENOTFOUND|EAI_AGAIN|dns error/,
    "the host name cannot be resolved: check the URL's host",
  ],
  [
    /ECONNREFUSED|Connection refused|actively refused/,
    "connection refused: check that Decapod is running there and that the port is right",
  ],
  [
    /E(?:NET|HOST)UNREACH|is unreachable|unreachable network|No route to host/,
    "the host is unreachable: check the network and the URL's host",
  ],
  [
    /bad port|to port \d+ are blocked/,
    "fetch does not go to this port: let Decapod listen on another",
  ],
  [
    /Requires net access/,
    "Deno may not reach it: run with --allow-net",
  ],
  [
    /CERT_HAS_EXPIRED|certificate (?:has )?expired/,
    "the server's certificate has expired: renew it",
  ],
  [
    /CERT_NOT_YET_VALID|certificate not valid yet/,
    "the server's certificate is not valid yet: check the clocks",
  ],
  [
    /ALTNAME_INVALID|not valid for name/,
    "the server's certificate is for another host name: check the URL's host",
  ],
  [
    /CertificateRequired|alert certificate required|HandshakeFailure|alert handshake failure/,
    "the server refused the TLS handshake: it wants a client certificate",
  ],
  [
    /CaUsedAsEndEntity/,
    "the server's certificate is that of a CA: have it sign one for the server",
  ],
  [
    /UNABLE_TO_(?:VERIFY|GET)|SELF_SIGNED|invalid peer certificate/,
    "the server's certificate is not trusted: give the CA's certificate as tls.ca",
  ],
  [
    /WRONG_VERSION_NUMBER|InvalidContentType/,
    "no TLS is spoken there: check whether the URL should begin with http://",
  ],
  [
    /EPROTO/, // Bun, for both
    "the TLS handshake failed: no TLS is spoken there, or the server wants a client certificate",
  ],
  [
    /FailedToOpenSocket/, // Bun
    "the TLS settings are of no use: check that tls.ca, tls.cert and tls.key are whole and belong together",
  ],
];

/** The same where the server may have got the request. */
const SENT: [RegExp, string][] = [
  [
    /ETIMEDOUT|_TIMEOUT|timed out/,
    "the host does not answer: check the network and the URL's host",
  ],
  [
    /HTTPParserError|invalid HTTP|Malformed_HTTP/,
    "no HTTP is spoken there: check the URL's port",
  ],
  [
    /internal error; reference/, // workerd, for any of these
    "the host name cannot be resolved, TLS failed or no HTTP is spoken there: workerd's own log says which",
  ],
  [
    /Network connection lost/, // workerd, for both
    "the connection was refused or broke off: check that Decapod is running there",
  ],
  [
    /ECONNRESET|EPIPE|UND_ERR_SOCKET|connection (?:was )?closed|peer closed|handshake eof|reading a body|Connection reset|Broken pipe/,
    "the connection broke off",
  ],
];

/** An error and all that it was caused by, the first cause last. */
function* chain(error: unknown, depth = 0): Generator<unknown> {
  if (depth > 8) return;
  yield error;
  if (!(error instanceof Error)) return;
  const more = error instanceof AggregateError ? error.errors : [];
  for (const one of [...more, ...(error.cause ? [error.cause] : [])]) {
    yield* chain(one, depth + 1);
  }
}

/** What an error says, code and all. */
function words(error: unknown): string {
  if (!(error instanceof Error)) return inWords(error);
  return `${error.name} ${error.message} ${"code" in error ? error.code : ""}`;
}

/** Why a fetch from this URL failed. */
export function explain(error: unknown, url: string, redact: Redact): Reason {
  const errors = [...chain(error)];
  const all = errors.map(words).join(" ");
  const find = (reasons: [RegExp, string][]) =>
    reasons.find(([pattern]) => pattern.test(all))?.[1];
  const unsent = find(UNSENT);
  if (unsent !== undefined) return { text: unsent, sent: false };
  const last = errors.at(-1);
  const said = last instanceof Error ? last.message : inWords(last);
  const text = find(SENT) ?? `the network failed: ${oneLine(redact(said))}`;
  // Node's fetch knows no more of a client certificate that is missing.
  const hint = /broke off$/.test(text) && url.startsWith("https:")
    ? ": the server may want another client certificate, or one at all"
    : "";
  return { text: text + hint, sent: true };
}
