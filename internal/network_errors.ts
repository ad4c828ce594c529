/** What a failed fetch means. Each runtime says it in its own words. */

import { inWords, oneLine, type Redact } from "./redact.ts";

/** Why there was no answer. */
export interface Reason {
  /** What happened and what to do, as the end of a sentence. */
  text: string;
  /** Whether the request may have reached the server. */
  sent: boolean;
}

/**
 * What the runtimes say, what it means, and whether the server may have got
 * the request. Capitals and blanks tell their words from a host's name.
 */
const REASONS: [said: RegExp, text: string, sent?: boolean][] = [
  [
    /ENOTFOUND|EAI_AGAIN|dns error/,
    "the host name cannot be resolved: check the URL",
  ],
  [
    /ECONNREF|[ny] refused/,
    "connection refused: check that Decapod is running there, and the port",
  ],
  [
    /UNREACH|is unreachable|unreachable network|No route/,
    "the host is unreachable: check the network and the URL",
  ],
  [/bad port|are blocked/, "fetch does not go to this port: use another"],
  [/Requires net/, "Deno may not reach it: run with --allow-net"],
  [/_EXPIRED| expired/, "the server's certificate has expired: renew it"],
  [
    /NOT_YET|valid yet/,
    "the server's certificate is not valid yet: check the clocks",
  ],
  [
    /ALTNAME|valid for/,
    "the server's certificate is for another host name: check the URL",
  ],
  [
    /CertificateR|alert certificate r|HandshakeF|alert handshake f/,
    "the server refused the TLS handshake: it wants a client certificate",
  ],
  [
    /CaUsedAs/,
    "the server's certificate is that of a CA: have it sign one for the server",
  ],
  [
    /UNABLE_TO|SELF_S|invalid peer/,
    "the server's certificate is not trusted: give its CA as tls.ca",
  ],
  [
    /WRONG_V|InvalidC/,
    "no TLS is spoken there: check whether the URL should begin with http://",
  ],
  [
    /EPROTO/, // Bun, for both
    "no TLS is spoken there, or the server wants a client certificate: check whether the URL should begin with http://",
  ],
  [
    /FailedToO/, // Bun
    "the TLS settings are of no use: check that tls.ca, tls.cert and tls.key are whole and belong together",
  ],
  [/TIMEDOUT|_TIMEOUT|timed out/, "the host does not answer", true],
  [
    /HTTPP|invalid HTTP|Malformed_/,
    "no HTTP is spoken there: check the port, and whether the URL should begin with https://",
    true,
  ],
  [
    /internal error; r/, // workerd, for any of these
    "the host name cannot be resolved, TLS failed or no HTTP is spoken there: workerd's own log says which",
    true,
  ],
  [
    /Network conn/, // workerd, for both
    "the connection was refused or broke off: check that Decapod is running there",
    true,
  ],
  [
    /ECONNRESET|EPIPE|UND_ERR_S|connection (?:was )?closed|peer closed|handshake eof|reading a body|Connection reset|Broken pipe/,
    "the connection broke off",
    true,
  ],
];

/** An error and all that it was caused by, the first cause last. */
function chain(error: unknown, depth = 0): unknown[] {
  const causes = !(error instanceof Error) || depth > 8
    ? []
    : error instanceof AggregateError
    ? error.errors
    : [error.cause ?? []].flat();
  return [error, ...causes.flatMap((cause) => chain(cause, depth + 1))];
}

/** Why a fetch from this URL failed. */
export function explain(error: unknown, url: string, redact: Redact): Reason {
  const errors = chain(error);
  const all = errors.map((one) =>
    inWords(one) + (one instanceof Error && "code" in one ? one.code : "")
  );
  const [, meaning, sent = false] =
    REASONS.find(([said]) => said.test(`${all}`)) ?? [undefined, "", true];
  const last = errors.at(-1);
  const said = redact(last instanceof Error ? last.message : inWords(last));
  const text = meaning || `the network failed: ${oneLine(said)}`;
  // Node's fetch knows no more of a client certificate that is missing.
  const hint = /broke off$/.test(text) && url.startsWith("https:")
    ? ": the server may want another client certificate, or one at all"
    : "";
  return { text: text + hint, sent };
}
