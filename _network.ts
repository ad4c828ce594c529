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
    "the host name cannot be resolved: check the URL",
  ],
  [
    /ECONNREFUSED|Connection refused|actively refused/,
    "connection refused: check that Decapod is running there and the port",
  ],
  [
    /E(?:NET|HOST)UNREACH|is unreachable|unreachable network|No route to host/,
    "the host is unreachable: check the network and the URL",
  ],
  [/bad port|\d are blocked/, "fetch does not go to this port: use another"],
  [/Requires net/, "Deno may not reach it: run with --allow-net"],
  [
    /CERT_HAS_EX|certificate (?:has )?exp/,
    "the server's certificate has expired",
  ],
  [
    /CERT_NOT_YET|not valid yet/,
    "the server's certificate is not valid yet: check the clocks",
  ],
  [
    /ALTNAME_INV|not valid for name/,
    "the server's certificate is for another host name: check the URL",
  ],
  [
    /CertificateReq|alert certificate req|HandshakeF|alert handshake f/,
    "the server refused the TLS handshake: it wants a client certificate",
  ],
  [
    /UNABLE_TO_(?:VERIFY|GET)|SELF_SIGNED|invalid peer/,
    "the server's certificate is not trusted: give its CA as tls.ca",
  ],
  [
    /WRONG_VERSION|InvalidContentType/,
    "no TLS is spoken there: check whether the URL should begin with http://",
  ],
  [
    /EPROTO/, // Bun, for both
    "the TLS handshake failed: no TLS is spoken there, or the server wants a client certificate",
  ],
  [/FailedToOpenS/, "the TLS settings are of no use: check tls"], // Bun
];

/** The same where the server may have got the request. */
const SENT: [RegExp, string][] = [
  [/TIMEDOUT|_TIMEOUT|timed out/, "the host does not answer: check the URL"],
  [
    /HTTPParserE|invalid HTTP|Malformed_H/,
    "no HTTP is spoken there: check the port",
  ],
  [
    /internal error; ref/, // workerd, for any of these
    "the host name cannot be resolved, TLS failed or no HTTP is spoken there: workerd's own log says which",
  ],
  [
    /Network connection l/, // workerd, for both
    "connection refused or broken off: check that Decapod is running there",
  ],
  [
    /ECONNRESET|EPIPE|UND_ERR_S|connection (?:was )?closed|peer closed|handshake eof|reading a body|Connection reset|Broken pipe/,
    "the connection broke off",
  ],
];

/** An error and all that it was caused by, the first cause last. */
function chain(error: unknown, depth = 0): unknown[] {
  if (!(error instanceof Error) || depth > 8) return [error];
  const { cause } = error;
  const more = error instanceof AggregateError ? error.errors : [];
  return [error, ...more, ...cause ? [cause] : []]
    .flatMap((one) => one === error ? one : chain(one, depth + 1));
}

/** What an error says, code and all. */
function words(error: unknown): string {
  return error instanceof Error && "code" in error
    ? `${error} ${error.code}`
    : inWords(error);
}

/** Why a fetch from this URL failed. */
export function explain(error: unknown, url: string, redact: Redact): Reason {
  const errors = chain(error);
  const all = errors.map(words).join(" ");
  const find = (reasons: [RegExp, string][]) =>
    reasons.find(([pattern]) => pattern.test(all))?.[1];
  const unsent = find(UNSENT);
  if (unsent) return { text: unsent, sent: false };
  const last = errors.at(-1);
  const said = last instanceof Error ? last.message : inWords(last);
  const text = find(SENT) ?? `the network failed: ${oneLine(redact(said))}`;
  // Node's fetch knows no more of a client certificate that is missing.
  const hint = /off$/.test(text) && url.startsWith("https:")
    ? ": the server may want another client certificate, or one at all"
    : "";
  return { text: text + hint, sent: true };
}
