/**
 * What failed fetches come to. The texts are what Deno 2.9, Bun 1.4, Node 20
 * and 26 and workerd were seen to say; the suite in `runtimes` has them say it.
 */
import { assertEquals } from "@std/assert";
import { describeNetworkError } from "../internal/network_errors.ts";
import { redacted } from "../internal/redact.ts";

/** An error with a code, as Bun and Node have them. */
function coded(code: string, message = code, cause?: unknown): Error {
  return Object.assign(new TypeError(message, { cause }), { code });
}

/** How Deno and Node wrap what happened. */
function wrapped(cause: Error | string): Error {
  return new TypeError("fetch failed", {
    cause: typeof cause === "string" ? new Error(cause) : cause,
  });
}

const CONNECT =
  "error sending request for url (https://localhost:7001/): client error (Connect): ";

/** The end of a message, and what it stands for. */
const UNSENT: [string, Error[]][] = [
  ["the host name cannot be resolved", [
    wrapped(
      CONNECT + "dns error: failed to lookup address information: Name or " +
        "service not known",
    ),
    coded("ENOTFOUND", "getaddrinfo ENOTFOUND nosuch.invalid"),
  ]],
  ["connection refused", [
    wrapped(
      CONNECT + "tcp connect error: Connection refused (os error 111)",
    ),
    coded("ECONNREFUSED", "ECONNREFUSED: Unable to connect."),
    wrapped(
      new AggregateError([
        coded("ECONNREFUSED", "connect ECONNREFUSED ::1:4"),
        coded("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:4"),
      ]),
    ),
  ]],
  ["the host is unreachable", [
    wrapped(
      CONNECT + "tcp connect error: Network is unreachable (os error 101)",
    ),
    wrapped(CONNECT + "tcp connect error: No route to host (os error 113)"),
    coded("ENETUNREACH"),
    wrapped(coded("EHOSTUNREACH", "connect EHOSTUNREACH 100::1:81")),
  ]],
  ["fetch does not go to this port", [
    new TypeError("Fetch failed: Requests to port 6000 are blocked"),
    wrapped("bad port"),
  ]],
  ["Deno may not reach it", [
    new Error(
      'Requires net access to "127.0.0.1:80", run again with the --allow-net flag',
    ),
  ]],
  ["certificate has expired", [
    wrapped(
      CONNECT + "invalid peer certificate: certificate expired: verification " +
        "time 1795506352 (UNIX), but certificate is not valid after 1577923200",
    ),
    coded("CERT_HAS_EXPIRED", "certificate has expired"),
  ]],
  ["certificate is not valid yet", [
    wrapped(
      CONNECT + "invalid peer certificate: certificate not valid yet: " +
        "verification time 1795506352 (UNIX)",
    ),
    coded("CERT_NOT_YET_VALID", "certificate is not yet valid"),
  ]],
  ["certificate is for another host name", [
    wrapped(
      CONNECT +
        'invalid peer certificate: certificate not valid for name "a"; ' +
        'certificate is only valid for DnsName("b")',
    ),
    coded("ERR_TLS_CERT_ALTNAME_INVALID"),
  ]],
  ["it wants a client certificate", [
    wrapped("received fatal alert: CertificateRequired"),
    wrapped(CONNECT + "received fatal alert: HandshakeFailure"),
    wrapped(
      coded(
        "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
        "80FC:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure",
      ),
    ),
  ]],
  ["certificate is that of a CA", [
    wrapped(
      CONNECT +
        "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
    ),
  ]],
  ["certificate is not trusted", [
    wrapped(CONNECT + "invalid peer certificate: UnknownIssuer"),
    coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
    coded("SELF_SIGNED_CERT_IN_CHAIN"),
    wrapped(coded("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate")),
  ]],
  ["no TLS is spoken there: ", [
    wrapped(CONNECT + "received corrupt message of type InvalidContentType"),
    wrapped(coded("ERR_SSL_WRONG_VERSION_NUMBER")),
  ]],
  ["no TLS is spoken there, or the server wants a client certificate", [
    coded("EPROTO", "EPROTO: The TLS handshake failed."),
  ]],
  ["the TLS settings are of no use", [coded("FailedToOpenSocket")]],
];

const SENT: [string, Error[]][] = [
  ["the host does not answer", [
    wrapped(CONNECT + "tcp connect error: Connection timed out (os error 110)"),
    wrapped(coded("UND_ERR_CONNECT_TIMEOUT")),
  ]],
  ["no HTTP is spoken there", [
    wrapped("client error (SendRequest): invalid HTTP version parsed"),
    coded("Malformed_HTTP_Response"),
  ]],
  ["workerd's own log says which", [
    new Error("internal error; reference = adrd9ts0urrmqo6t662p45qk"),
  ]],
  ["the connection was refused or broke off", [
    new Error("Network connection lost."),
  ]],
  ["the connection broke off", [
    wrapped(
      "client error (SendRequest): connection closed before message completed",
    ),
    wrapped("Connection reset by peer (os error 104)"),
    wrapped(CONNECT + "tls handshake eof"),
    wrapped("peer closed connection without sending TLS close_notify"),
    new TypeError("error reading a body from connection"),
    coded("ECONNRESET", "ECONNRESET: The socket connection was closed"),
    new TypeError("terminated", {
      cause: coded("UND_ERR_SOCKET", "other side closed"),
    }),
    wrapped(coded("EPIPE", "write EPIPE")),
  ]],
];

const redact = (text: string) => redacted(text, ["s3cret"]);

Deno.test("describeNetworkError() knows each runtime's words", () => {
  for (const [reasons, sent] of [[UNSENT, false], [SENT, true]] as const) {
    for (const [text, errors] of reasons) {
      for (const error of errors) {
        const reason = describeNetworkError(error, false);
        assertEquals(
          [reason.text.includes(text), reason.mayHaveReachedServer],
          [true, sent],
          `${reason.text} instead of ${text}`,
        );
      }
    }
  }
});

Deno.test("describeNetworkError() thinks of client certificates where TLS breaks off", () => {
  const error = wrapped(coded("UND_ERR_SOCKET", "other side closed"));
  const explained = (url: string) => explain(error, url, redact).text;
  assertEquals(
    explained("https://decapod.example"),
    "the connection broke off: the server may want another client certificate, or one at all",
  );
  assertEquals(explained("http://decapod.example"), "the connection broke off");
});

Deno.test("describeNetworkError() is not misled by the names of hosts", () => {
  const error = wrapped(
    "error sending request for url (https://econnrefused.expired.example/enotfound): " +
      "client error (Connect): invalid peer certificate: UnknownIssuer",
  );
  const { text } = explain(error, "https://x.example", redact);
  assertEquals(
    text.startsWith("the server's certificate is not trusted"),
    true,
  );
});

Deno.test("describeNetworkError() quotes what it does not know, without secrets", () => {
  const text = (error: unknown) => explain(error, "http://x", redact).text;
  assertEquals(
    text(wrapped("The flux\ncapacitor, s3cret, is empty")),
    "the network failed: The flux capacitor, [redacted], is empty",
  );
  assertEquals(text("s3cret"), "the network failed: [redacted]");
  const endless = new Error("on and on");
  endless.cause = endless;
  assertEquals(text(endless), "the network failed: on and on");
});
