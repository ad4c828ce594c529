/** What a failed fetch means. Each runtime says it in its own words. */

/** Why there was no answer. */
export interface Reason {
  /** What happened and what to do, as the end of a sentence. */
  text: string;
  /** Whether the request may have reached the server. */
  sent: boolean;
}

/** What to look for in an error's words, the most telling first. */
const REASONS: [RegExp, Reason][] = [
  [
    /ENOTFOUND|EAI_AGAIN|dns error|failed to lookup|name or service not known|getaddrinfo|DNS lookup failed/i,
    {
      text: "the host name cannot be resolved: check the URL's host",
      sent: false,
    },
  ],
  [
    /ECONNREFUSED|ConnectionRefused|connection refused/i,
    {
      text:
        "connection refused: check that Decapod is running there and that the port is right",
      sent: false,
    },
  ],
  [
    /ENETUNREACH|EHOSTUNREACH|unreachable/i,
    {
      text: "the host is unreachable: check the network and the URL's host",
      sent: false,
    },
  ],
  [
    /CERT_HAS_EXPIRED|certificate (?:has )?expired|certificate expired|\bExpired\b/i,
    { text: "the server's certificate has expired: renew it", sent: false },
  ],
  [
    /ALTNAME_INVALID|NotValidForName|not valid for name|hostname mismatch|does not match certificate/i,
    {
      text:
        "the server's certificate is for another host name: check the URL's host",
      sent: false,
    },
  ],
  [
    /certificate.?required|CertificateRequired|handshake failure|HandshakeFailure/i,
    {
      text: "the server wants a client certificate: give tls.cert and tls.key",
      sent: false,
    },
  ],
  [
    /UNABLE_TO_(?:VERIFY|GET_ISSUER)|SELF_SIGNED|self.signed|UnknownIssuer|invalid peer certificate|unable to (?:verify|get local issuer)|CERT_|certificate/i,
    {
      text:
        "the server's certificate is not trusted: give the CA's certificate as tls.ca",
      sent: false,
    },
  ],
  [
    /wrong.version.number|InvalidContentType|packet length too long|EPROTO|corrupt message|invalid message/i,
    {
      text:
        "no TLS is spoken there: check whether the URL should begin with http://",
      sent: false,
    },
  ],
  [
    /ECONNRESET|EPIPE|reset|closed|hang ?up|terminated|UND_ERR_SOCKET|IncompleteMessage|incomplete/i,
    { text: "the connection broke off", sent: true },
  ],
];

/** Anything else. */
const UNKNOWN: Reason = { text: "the network failed", sent: true };

/** What an error and all that it was caused by say, code and all. */
function words(error: unknown, depth = 0): string {
  if (depth > 8) return "";
  if (!(error instanceof Error)) return String(error);
  const more = error instanceof AggregateError ? error.errors : [];
  const code = "code" in error ? String(error.code) : "";
  return [
    error.name,
    error.message,
    code,
    ...more.map((one) => words(one, depth + 1)),
    error.cause === undefined ? "" : words(error.cause, depth + 1),
  ].join(" ");
}

/** Why a fetch failed. */
export function explain(error: unknown): Reason {
  const text = words(error);
  return REASONS.find(([pattern]) => pattern.test(text))?.[1] ?? UNKNOWN;
}
