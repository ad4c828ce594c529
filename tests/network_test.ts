/**
 * Explanations of failed fetches. The texts are those of Deno 2.9, Bun 1.2 and
 * 1.4, Node 20 and 26 and workerd; the suite in `runtimes` provokes them.
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { fileURLToPath } from "node:url";
import { findProxy, userAgent } from "../internal/runtime.ts";
import { DecapodConnectionError, VERSION } from "../mod.ts";
import { describeNetworkError } from "../internal/network_errors.ts";
import { redactError } from "../internal/redact.ts";
import { makeClient } from "./support/server.ts";
import { pretend } from "./support/runtime.ts";
import { CLOSED, LOGGED_IN, stubClient } from "./support/stub.ts";

/** Explains an error as the client does, which describes a redacted copy. */
function describe(error: unknown, isCustom: boolean) {
  return describeNetworkError(redactError(error, String), isCustom);
}

/** An error with a code, as Bun and Node have them. */
function coded(code: string, message = code, cause?: unknown): Error {
  return Object.assign(new TypeError(message, { cause }), { code });
}

/** As Deno and Node wrap what happened. */
function wrapped(cause: Error | string): Error {
  return new TypeError("fetch failed", {
    cause: typeof cause === "string" ? new Error(cause) : cause,
  });
}

/** As Node reports that it tried several addresses. */
const several = (...errors: Error[]) => wrapped(new AggregateError(errors));

/** As Deno reports that it could not connect. */
const unconnected = (reason: string) =>
  wrapped(
    `error sending request for url (https://localhost:7001/): client error (Connect): ${reason}`,
  );

/** Parts of explanations, and the errors. */
type Rows = [part: string, errors: Error[]][];

/** Errors before the request was sent. */
const UNSENT: Rows = [
  ["the host name cannot be resolved", [
    unconnected(
      "dns error: failed to lookup address information: Name or service not known",
    ),
    coded("ENOTFOUND", "getaddrinfo ENOTFOUND nosuch.invalid"),
    wrapped(coded("EINVAL", "getaddrinfo EINVAL")),
  ]],
  ["connection refused", [
    unconnected("tcp connect error: Connection refused (os error 111)"),
    coded("ECONNREFUSED", "ECONNREFUSED: Unable to connect."),
    several(
      coded("ECONNREFUSED", "connect ECONNREFUSED ::1:4"),
      coded("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:4"),
    ),
  ]],
  ["the host is unreachable", [
    unconnected("tcp connect error: Network is unreachable (os error 101)"),
    unconnected("tcp connect error: No route to host (os error 113)"),
    coded("ENETUNREACH"),
    wrapped(coded("EHOSTUNREACH", "connect EHOSTUNREACH 100::1:81")),
  ]],
  ["fetch does not allow this port", [
    new TypeError("Fetch failed: Requests to port 6000 are blocked"),
    wrapped("bad port"),
  ]],
  ["Deno is not allowed to connect (run it with --allow-net)", [
    new Deno.errors.NotCapable(
      'Requires net access to "127.0.0.1:80", run again with the --allow-net flag',
    ),
  ]],
  ["certificate has expired", [
    unconnected(
      "invalid peer certificate: certificate expired: verification time 1795506352 (UNIX), but certificate is not valid after 1577923200",
    ),
    coded("CERT_HAS_EXPIRED", "certificate has expired"),
  ]],
  ["certificate is not valid yet", [
    unconnected(
      "invalid peer certificate: certificate not valid yet: verification time 1795506352 (UNIX)",
    ),
    coded("CERT_NOT_YET_VALID", "certificate is not yet valid"),
  ]],
  ["certificate is for another host name", [
    unconnected(
      'invalid peer certificate: certificate not valid for name "a"; certificate is only valid for DnsName("b")',
    ),
    coded("ERR_TLS_CERT_ALTNAME_INVALID"),
  ]],
  ["does it require a client certificate?", [
    wrapped("received fatal alert: CertificateRequired"),
    unconnected("received fatal alert: HandshakeFailure"),
    wrapped(
      "80FC:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure",
    ),
    wrapped(coded("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION")),
    wrapped(
      "error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:SSL alert number 70",
    ),
  ]],
  ["certificate is a CA certificate", [
    unconnected(
      "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
    ),
  ]],
  ["certificate is unsuitable", [
    wrapped(coded("INVALID_PURPOSE", "unsuitable certificate purpose")),
    wrapped("CA signature digest algorithm too weak"),
  ]],
  ["certificate is not trusted", [
    unconnected("invalid peer certificate: UnknownIssuer"),
    coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
    coded("SELF_SIGNED_CERT_IN_CHAIN"),
    wrapped(coded("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate")),
  ]],
  ["the server does not use TLS", [
    unconnected("received corrupt message of type InvalidContentType"),
    wrapped(coded("ERR_SSL_WRONG_VERSION_NUMBER")),
  ]],
  ["the TLS handshake failed", [
    coded("EPROTO", "EPROTO: The TLS handshake failed."),
  ]],
  ["no connection could be opened", [
    coded("FailedToOpenSocket"),
    coded("ConnectionRefused"),
    wrapped(coded("EINVAL", "connect EINVAL 0.0.0.1:80")),
  ]],
  ["connection lost during the TLS handshake", [
    unconnected("tls handshake eof"),
    wrapped(
      "Client network socket disconnected before secure TLS connection was established",
    ),
  ]],
  ["connection lost", [
    unconnected("Connection reset by peer (os error 104)"),
  ]],
  ["the runtime does not accept the URL or a header", [
    wrapped(coded("UND_ERR_INVALID_ARG", "invalid connection header")),
  ]],
  ["the global AbortController", [
    new TypeError(
      'RequestInit: Expected signal ("AbortSignal {}") to be an instance of AbortSignal.',
    ),
    new TypeError("signal is not of type AbortSignal."),
  ]],
  ["no connection in time", [
    several(
      coded("ETIMEDOUT", "connect ETIMEDOUT 127.0.0.1:80"),
      coded("ECONNREFUSED", "connect ECONNREFUSED ::1:80"),
    ),
    wrapped(coded("ETIMEDOUT", "connect ETIMEDOUT 127.0.0.1:80")),
    unconnected("tcp connect error: Connection timed out (os error 110)"),
    wrapped(coded("UND_ERR_CONNECT_TIMEOUT", "Connect Timeout Error")),
  ]],
  ["too many open files", [
    unconnected("tcp open error: Too many open files (os error 24)"),
    wrapped(coded("EMFILE", "connect EMFILE 127.0.0.1:80")),
    coded("ENFILE"),
  ]],
  ["no local port or address is free", [
    unconnected(
      "tcp connect error: Cannot assign requested address (os error 99)",
    ),
    wrapped(coded("EADDRNOTAVAIL", "connect EADDRNOTAVAIL 127.0.0.1:80")),
  ]],
];

/** Errors after which the request may have been received. */
const SENT: Rows = [
  ["more headers than the runtime accepts", [
    wrapped(coded("UND_ERR_HEADERS_OVERFLOW", "Headers Overflow Error")),
    new TypeError("client error (SendRequest): message head is too large"),
  ]],
  ["the host does not respond", [coded("ETIMEDOUT", "read ETIMEDOUT")]],
  ["the server does not use HTTP", [
    wrapped("client error (SendRequest): invalid HTTP version parsed"),
    coded("Malformed_HTTP_Response"),
  ]],
  ["see the log of workerd", [
    new Error("internal error; reference = adrd9ts0urrmqo6t662p45qk"),
  ]],
  ["connection refused or lost", [new Error("Network connection lost.")]],
  ["connection lost", [
    wrapped(coded("HPE_INVALID_EOF_STATE", "Invalid EOF state")),
    wrapped(
      "client error (SendRequest): connection closed before message completed",
    ),
    wrapped("Connection reset by peer (os error 104)"),
    wrapped("peer closed connection without sending TLS close_notify"),
    new TypeError("error reading a body from connection"),
    coded("ECONNRESET", "ECONNRESET: The socket connection was closed"),
    coded("UND_ERR_SOCKET", "terminated: other side closed"),
    wrapped(coded("EPIPE", "write EPIPE")),
    wrapped(coded("EHOSTUNREACH", "read EHOSTUNREACH")),
    wrapped(coded("EHOSTUNREACH", "write EHOSTUNREACH")),
  ]],
];

for (const [rows, isSent] of [[UNSENT, false], [SENT, true]] as const) {
  const when = isSent ? "after" : "before";
  Deno.test(`createCluster() explains each runtime's errors ${when} the request was sent`, async () => {
    const warning = "; the change may have been applied, check before retrying";
    for (const [part, errors] of rows) {
      for (const thrown of errors) {
        const { text, mayHaveReachedServer } = describe(thrown, false);
        assertStringIncludes(text, part);
        assertEquals(mayHaveReachedServer, isSent, part);
        const { outcomeUnknown, message } = await assertRejects(
          () => stubClient(() => Promise.reject(thrown)).createCluster("ceph"),
          DecapodConnectionError,
        );
        assertEquals(outcomeUnknown, isSent, message);
        assertEquals(message.endsWith(warning), isSent, message);
      }
    }
  });
}

/** What to do about a certificate that is not trusted, by runtime. */
const TRUST_HINTS: [Record<string, object | undefined>, hint: string][] = [
  [{ Bun: {} }, "tls.ca"],
  [{ navigator: { userAgent: "Cloudflare-Workers" } }, "a public CA"],
  [
    { navigator: {}, process: { versions: { node: "26.0.0" } } },
    "NODE_EXTRA_CA_CERTS",
  ],
  [{ navigator: {}, process: undefined }, "add its CA to the trusted ones"],
];

Deno.test("describeNetworkError() says how to trust a CA on the runtime at hand", () => {
  const text = (isCustom = false) =>
    describe(coded("SELF_SIGNED_CERT_IN_CHAIN"), isCustom).text;
  for (const part of ["tls.ca", "--cert", "--unsafely-ignore-certificate"]) {
    assertStringIncludes(text(), part);
  }
  assertStringIncludes(text(true), "make the custom fetch trust");
  for (const [names, hint] of TRUST_HINTS) {
    pretend(names, () => assertStringIncludes(text(), hint));
  }
});

Deno.test("describeNetworkError() names client certificates if an HTTPS connection is lost", () => {
  for (const scheme of ["http", "https"]) {
    const url = `${scheme}://decapod.example/`;
    const { text } = describeNetworkError(coded("ECONNRESET"), false, url);
    assertEquals(text.includes("client certificate"), scheme === "https");
  }
});

Deno.test("describeNetworkError() is not misled by names of hosts", () => {
  const { text } = describe(
    wrapped(
      "error sending request for url (https://tunnel.econnrefused.expired.example/enotfound): client error (Connect): invalid peer certificate: UnknownIssuer",
    ),
    false,
  );
  assert(text.startsWith("the server's certificate is not trusted"), text);
});

Deno.test("describeNetworkError() quotes the first cause of an error that it does not know", () => {
  const text = (error: unknown) => describe(error, false).text;
  assertEquals(
    text(wrapped("The flux\ncapacitor is empty")),
    "the network failed: The flux capacitor is empty",
  );
  assertEquals(text("odd"), "the network failed: odd");
  const endless = new Error("on and on");
  endless.cause = endless;
  assertEquals(text(endless), "the network failed: on and on");
});

Deno.test("createCluster() is not sent if the connection is refused", async () => {
  const error = await assertRejects(
    () => makeClient(CLOSED, LOGGED_IN).createCluster("ceph"),
    DecapodConnectionError,
    `POST ${CLOSED}/v1/cluster/: connection refused`,
  );
  assertEquals(error.outcomeUnknown, false);
  assert(error.cause instanceof Error);
  assertEquals(error.exception, error.cause);
});

const HTTP_PROXY = "http://p:3128";

/** Variables of the environment, and the proxies for HTTP and HTTPS. */
const PROXIES: [Record<string, string>, http?: string, https?: string][] = [
  [{}],
  [{ HTTP_PROXY }, HTTP_PROXY],
  [{ HTTPS_PROXY: HTTP_PROXY }, undefined, HTTP_PROXY],
  [{ http_proxy: "http://low", HTTP_PROXY }, "http://low"],
  [{ HTTP_PROXY: "http://ann:s3cret@p:3128/x" }, HTTP_PROXY],
  [{ HTTP_PROXY: "no url" }],
  ...[
    ...["a.example", ".example", "*.example", "b, a.example", "*"],
    ...["a.example:80", "A.Example"],
  ].map((NO_PROXY): [Record<string, string>] => [{ HTTP_PROXY, NO_PROXY }]),
  ...["b.example", "ample", ""].map(
    (NO_PROXY): [Record<string, string>, string] => [
      { HTTP_PROXY, NO_PROXY },
      HTTP_PROXY,
    ],
  ),
];

Deno.test("findProxy() returns the proxy of the environment without credentials", () => {
  for (const [env, http, https] of PROXIES) {
    pretend({ Bun: {}, process: { env } }, () => {
      const found = ["http://a.example/", "https://a.example/"].map(findProxy);
      assertEquals(found, [http, https], JSON.stringify(env));
    });
  }
});

Deno.test("findProxy() honours exceptions that are IPv6 addresses", () => {
  const rows = [["::1"], ["[::1]:9999"], ["::2", HTTP_PROXY]];
  for (const [NO_PROXY, proxy] of rows) {
    pretend({ Bun: {}, process: { env: { HTTP_PROXY, NO_PROXY } } }, () => {
      assertEquals(findProxy("http://[::1]:9999/"), proxy, NO_PROXY);
    });
  }
});

Deno.test("findProxy() knows which runtimes honour the environment", () => {
  const versions = { node: "26.0.0" };
  const env = { HTTP_PROXY };
  const runtimes: [names: Record<string, unknown>, isUsed: boolean][] = [
    [{ process: { versions, env } }, false],
    [{ process: { versions, env: { ...env, NODE_USE_ENV_PROXY: "1" } } }, true],
    [{ process: { env } }, false],
    [{ process: undefined }, false],
    [{ Bun: {}, process: undefined }, false],
  ];
  for (const [names, isUsed] of runtimes) {
    pretend({ navigator: {}, ...names }, () => {
      assertEquals(findProxy("http://a/"), isUsed ? HTTP_PROXY : undefined);
    });
  }
});

/** A program that calls a server through a proxy that is down. */
const PROGRAM = `
import { Client } from ${
  JSON.stringify(new URL("../mod.ts", import.meta.url).href)
};
const options = { login: "root", password: "secret", retries: 0 };
const client = new Client("http://decapod.example", options);
await client.getInfo().catch((error) => console.log(error.message));
`;

Deno.test("getInfo() names a proxy that is down, without its credentials", async () => {
  const { host } = new URL(CLOSED);
  const config = fileURLToPath(new URL("../deno.json", import.meta.url));
  const script = `data:text/typescript,${encodeURIComponent(PROGRAM)}`;
  const run = async (...permissions: string[]) => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--config", config, ...permissions, script],
      env: { HTTP_PROXY: `http://ann:s3cret@${host}`, NO_COLOR: "1" },
    }).output();
    return new TextDecoder().decode(stdout);
  };
  const named = await run("--allow-net", "--allow-env");
  assertStringIncludes(named, `through the proxy http://${host}`);
  assert(!named.includes("s3cret"), named);
  const silent = await run("--allow-net"); // an error asks for no permission
  assertStringIncludes(silent, "connection refused");
  assert(!silent.includes("proxy http"), silent);
});

/** Globals of runtimes, and the User-Agent there. */
const AGENTS: [Record<string, unknown>, agent: string][] = [
  [{ Bun: { version: "1.4.0" } }, "Bun/1.4.0"],
  [{ process: { versions: { node: "26.0.0" } } }, "Node/26.0.0"],
  [{ navigator: { userAgent: "Cloudflare-Workers" } }, "workerd"],
  [{ process: undefined }, "other"],
  [
    { Deno: { env: {} }, process: { versions: { node: "26.0.0" } } },
    "Node/26.0.0",
  ],
];

Deno.test("userAgent() names the version and the runtime", () => {
  assertEquals(userAgent(), `decapodlib/${VERSION} Deno/${Deno.version.deno}`);
  for (const [names, agent] of AGENTS) {
    pretend({ navigator: {}, ...names }, () => {
      assertEquals(userAgent(), `decapodlib/${VERSION} ${agent}`);
    });
  }
});

Deno.test("describeNetworkError() reports that nothing was sent if Deno failed to connect for an unknown reason", () => {
  for (const [stage, sent] of [["Connect", false], ["SendRequest", true]]) {
    const error = wrapped(
      `error sending request for url (http://host/): client error (${stage}): odd`,
    );
    const { mayHaveReachedServer, isUnknown } = describe(error, false);
    assertEquals([mayHaveReachedServer, isUnknown], [sent, true]);
  }
});

Deno.test("describeNetworkError() does not read the message of a custom fetch's own error", () => {
  const errors = [
    new Error("The lottery said: connection refused"),
    new TypeError("session expired"),
  ];
  for (const error of errors) {
    assertEquals(describe(error, true), {
      text: `the custom fetch failed: ${error.message}`,
      mayHaveReachedServer: true,
      isUnknown: true,
    });
  }
});

Deno.test("describeNetworkError() takes a TLS alert after the handshake for a doubt", () => {
  const alert = "ssl/tls alert bad record mac:SSL alert number 20";
  assert(
    describe(wrapped(coded("ERR_SSL_ALERT", alert)), false)
      .mayHaveReachedServer,
  );
});
