/** Explains why fetch failed. Each runtime has its own error messages. */

import { singleLine, toText } from "./redact.ts";
import { detectRuntime } from "./runtime.ts";

/** What a failed fetch means. */
export interface NetworkError {
  /** What happened and what to do. */
  text: string;
  /** Whether the server may have received the request. */
  mayHaveReachedServer: boolean;
  /** Whether the error is unknown: the text only quotes it. */
  isUnknown?: boolean;
  /** Whether the length of the URL or of a header may be the cause. */
  mayBeLength?: boolean;
  /** Whether the runtime's own time limit ended the request. */
  isTimeout?: boolean;
}

const HTTPS_HINT =
  "check the port, and whether the URL should start with https://";
const HTTP_HINT = "check whether the URL should start with http://";

const LOST = "connection lost";

const UNACCEPTABLE = "the runtime does not accept the URL or a header";

const RUNTIME_LIMIT =
  "Node's fetch gave up after its own limit of 300 s (for a longer timeout pass a fetch with longer limits)";

/** What to do about an untrusted certificate. */
const TRUST_HINTS: Record<string, string> = {
  Deno:
    "pass the certificate of its CA as tls.ca or run deno with --cert; for a self-signed one also run it with --unsafely-ignore-certificate-errors=HOST",
  Bun: "pass the certificate of its CA as tls.ca",
  Node:
    "set the environment variable NODE_EXTRA_CA_CERTS to the file of its CA's certificate",
  workerd: "use a certificate of a public CA or a Tunnel",
};

/**
 * Patterns of runtime messages that mean: sent, but the response failed. They
 * have upper case or spaces, so that no host name matches.
 */
const SENT: Record<string, string> = {
  "UND_ERR_HEADERS_TIMEOUT|UND_ERR_BODY_TIMEOUT": RUNTIME_LIMIT,
  "HEADERS?_OVERFLOW|head is too large":
    "the response has more headers than the runtime accepts (does a proxy add cookies?)",
  "(?:read|write) E[A-Z]+UNREACH|\\(SendRequest\\).*No route": LOST,
};

/** Patterns that mean: the server did not receive the request. */
const NOT_SENT: Record<string, string> = {
  "ENOTFOUND|EAI_AGAIN|dns error|getaddrinfo E":
    "the host name cannot be resolved (check the URL)",
  "UND_ERR_CONNECT_TIMEOUT|connect ETIMEDOUT|connect error: Connection timed out":
    "no connection in time (check the host, the port and the firewall)",
  "EMFILE|ENFILE|[Tt]oo many open files":
    "too many open files (send fewer requests at once or raise the limit of this process)",
  "EADDRNOTAVAIL|[Cc]annot assign requested address":
    "no local port or address is free (send fewer requests at once)",
  "Proxy re|HTTP Tunneling| tunnel|[Pp]roxy [Aa]uth":
    "the proxy refused the connection (check its address and credentials)",
  "ECONNREF|[ny] refused":
    "connection refused (is Decapod running on this host and port?)",
  "UNREACH|is unreachable|unreachable network|No route":
    "the host is unreachable (check the network and the URL)",
  "instance of AbortSignal|of type AbortSignal":
    "fetch does not accept the global AbortController (does a test environment such as jsdom replace it?)",
  "bad port|are blocked": "fetch does not allow this port (use another one)",
  "Requires net": "Deno is not allowed to connect (run it with --allow-net)",
  "_EXPIRED|: Expired|certificate (?:has )?expired":
    "the server's certificate has expired (renew it)",
  "NOT_YET|NotValidYet|valid yet":
    "the server's certificate is not valid yet (check the clocks)",
  "ALTNAME|NotValidForName|valid for":
    "the server's certificate is for another host name (check the URL)",
  "received fatal alert|alert certificate r|alert handshake f|ALERT_PROTOCOL_VERSION|SSL alert number (?:4\\d|7[01]|86|90|1[012]\\d)":
    "the server rejected the TLS handshake (does it require a client certificate?)",
  "CaUsedAs":
    "the server's certificate is a CA certificate (issue one for the server)",
  "_PURPOSE|key usage|too weak|TOO_WEAK|TOO_SMALL|UnsupportedSignature":
    "the server's certificate is unsuitable (issue a server certificate with a current algorithm)",
  "UNABLE_TO|SELF_S|invalid peer": "the server's certificate is not trusted",
  "WRONG_V|InvalidContentType": `the server does not use TLS (${HTTP_HINT})`,
  // Bun
  "EPROTO":
    `the TLS handshake failed (${HTTP_HINT}, or whether the server requires a client certificate)`,
  // Bun before 1.4.3, which gives no details
  "FailedToO|ConnectionRef":
    "no connection could be opened (check the host name, the port, whether the server uses TLS, and tls.ca, tls.cert and tls.key if they are set)",
  "before secure TLS|handshake eof":
    `connection lost during the TLS handshake (${HTTP_HINT}, or whether the server requires another client certificate)`,
  "connect E[A-Z]+|typo in the url or port":
    "no connection could be opened (check the URL)",
  "invalid connection header|Invalid URL": UNACCEPTABLE,
};

/** Patterns that mean: the server may have received the request. */
const MAYBE_SENT: Record<string, string> = {
  "TIMEDOUT|_TIMEOUT|timed out": "the host does not respond",
  // workerd
  "internal error; r":
    "the host name cannot be resolved, TLS failed or the server does not use HTTP (see the log of workerd)",
  "Network conn":
    "connection refused or lost (is Decapod running on this host and port?)",
  "ECONNRESET|EPIPE|UND_ERR_S|HPE_INVALID_EOF|connection (?:was )?closed|peer closed|reading a body|Connection reset|Broken pipe|ShortRead":
    LOST,
  "HTTPP|HPE_|invalid HTTP|Malformed_":
    `the server does not use HTTP (${HTTPS_HINT})`,
};

/** An error and its causes, the root cause last. */
function causes(error: unknown): unknown[] {
  return error instanceof Error && error.cause !== undefined
    ? [error, ...causes(error.cause)]
    : [error];
}

/**
 * Explains why fetch failed.
 *
 * @param error What redactError() returned.
 * @param isCustom Whether a custom `fetch` failed.
 * @param url The URL of the request.
 */
export function describeNetworkError(
  error: unknown,
  isCustom: boolean,
  url = "",
): NetworkError {
  const chain = causes(error);
  // The message of a custom fetch's own error is not about the connection.
  const isCustomError = isCustom &&
    !/^TypeError|^NotCapable/.test(toText(error));
  const all = chain.map((one) =>
    (isCustomError ? "" : toText(one)) +
    (one instanceof Error && "code" in one ? ` ${one.code}` : "")
  ).join("\n").replace(/https?:\/\/\S+/g, ""); // Deno quotes the URL
  const find = (rows: Record<string, string>) =>
    Object.entries(rows).find(([pattern]) => RegExp(pattern).test(all))?.[1];
  const isConnecting = all.includes("(Connect)"); // Deno: "client error (Connect)"
  const sentText = find(SENT);
  const unsentText = sentText ? undefined : find(NOT_SENT);
  const text = sentText ?? unsentText ?? find(MAYBE_SENT);
  if (text === undefined) {
    const last = chain.at(-1);
    const message = last instanceof Error ? last.message : toText(last);
    return {
      text: `${isCustom ? "the custom fetch" : "the network"} failed: ${
        singleLine(message)
      }`,
      mayHaveReachedServer: !isConnecting,
      isUnknown: true,
    };
  }
  return {
    text: text + certificateHint(text, isCustom, url),
    mayHaveReachedServer: unsentText === undefined && !isConnecting,
    mayBeLength: unsentText === undefined || text === UNACCEPTABLE,
    isTimeout: text === RUNTIME_LIMIT,
  };
}

/** What to do if certificates may be the cause. */
function certificateHint(text: string, isCustom: boolean, url: string): string {
  if (text === LOST && url.startsWith("https:")) {
    return " (the server may require a client certificate, or another one)";
  }
  if (!text.endsWith("not trusted")) return "";
  const hint = isCustom
    ? "make the custom fetch trust its CA"
    : TRUST_HINTS[detectRuntime()] ?? "add its CA to the trusted ones";
  return ` (${hint})`;
}
