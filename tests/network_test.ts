/** Explanations of failed fetches; the suite in `runtimes` provokes them. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { deno } from "../.dev/process.ts";
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

/** As Deno reports that a request failed at this stage. */
function denoError(url: string, stage: string, reason: string): Error {
  const what =
    `error sending request for url (${url}): client error (${stage})`;
  return wrapped(`${what}: ${reason}`);
}

/** How the errors in network_errors.txt are built. */
const SHAPES: Record<string, (message: string, code?: string) => Error> = {
  thrown: (message, code) => code ? coded(code, message) : TypeError(message),
  cause: (message, code) => wrapped(code ? coded(code, message) : message),
  // As Node reports that it tried several addresses.
  causes: (messages) =>
    wrapped(AggregateError(
      messages.split(" | ").map((text) =>
        coded(text.split(" ")[1] ?? "", text)
      ),
    )),
  connect: (reason) => denoError("https://localhost:7001/", "Connect", reason),
  denied: (message) => new Deno.errors.NotCapable(message),
  error: (message) => Error(message),
};

const errors = await Deno.readTextFile(
  new URL("network_errors.txt", import.meta.url),
);

for (const isSent of [false, true]) {
  const when = isSent ? "after" : "before";
  Deno.test(`createCluster() explains each runtime's errors ${when} the request was sent`, async () => {
    const warning = "; the change may have been applied, check before retrying";
    const sections = errors.matchAll(/^(un)?sent: (.*)\n((?: .*\n)+)/gm);
    let explained = 0;
    for (const [, unsent, part = "", rows = ""] of sections) {
      if (isSent === (unsent === "un")) continue;
      for (const row of rows.trimEnd().split("\n")) {
        const [, shape = "", code, message = ""] =
          /^ +(\w+)(?:\[(\w+)\])?: (.*)$/.exec(row) ?? [];
        const thrown = SHAPES[shape]?.(message, code);
        const { text, mayHaveReachedServer } = describe(thrown, false);
        assertStringIncludes(text, part);
        assertEquals(mayHaveReachedServer, isSent, row);
        const error = await assertRejects(
          () => stubClient(() => Promise.reject(thrown)).createCluster("ceph"),
          DecapodConnectionError,
        );
        assertEquals(error.outcomeUnknown, isSent, row);
        assertEquals(error.message.endsWith(warning), isSent, row);
        explained++;
      }
    }
    assertEquals(explained, isSent ? 18 : 52);
  });
}

/** The global `process` of Node. */
const NODE = { versions: { node: "26.0.0" } };

/** What to do about a certificate that is not trusted, by runtime. */
const TRUST_HINTS: [Record<string, object | undefined>, hint: string][] = [
  [{ Bun: {} }, "tls.ca"],
  [{ navigator: { userAgent: "Cloudflare-Workers" } }, "a public CA"],
  [{ navigator: {}, process: NODE }, "NODE_EXTRA_CA_CERTS"],
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
  const url = "https://tunnel.econnrefused.expired.example/enotfound";
  const reason = "invalid peer certificate: UnknownIssuer";
  const { text } = describe(denoError(url, "Connect", reason), false);
  assert(text.startsWith("the server's certificate is not trusted"), text);
});

Deno.test("describeNetworkError() quotes the first cause of an error that it does not know", () => {
  const endless = new Error("on and on");
  endless.cause = endless;
  const rows = [
    [wrapped("The flux\ncapacitor is empty"), "The flux capacitor is empty"],
    ...[["odd", "odd"], [endless, "on and on"]],
  ];
  for (const [error, text] of rows) {
    assertEquals(describe(error, false).text, `the network failed: ${text}`);
  }
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
type ProxyRow = [Record<string, string>, http?: string, https?: string];
const PROXIES: ProxyRow[] = [
  [{}],
  [{ HTTP_PROXY }, HTTP_PROXY],
  [{ HTTPS_PROXY: HTTP_PROXY }, undefined, HTTP_PROXY],
  [{ http_proxy: "http://low", HTTP_PROXY }, "http://low"],
  [{ HTTP_PROXY: "http://ann:s3cret@p:3128/x" }, HTTP_PROXY],
  [{ HTTP_PROXY: "no url" }],
  ...[
    ...["a.example", ".example", "*.example", "b, a.example", "*"],
    ...["a.example:80", "A.Example"],
  ].map((NO_PROXY): ProxyRow => [{ HTTP_PROXY, NO_PROXY }]),
  ...["b.example", "ample", ""].map((NO_PROXY): ProxyRow => [
    { HTTP_PROXY, NO_PROXY },
    HTTP_PROXY,
  ]),
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
  const env = { HTTP_PROXY };
  const runtimes: [names: Record<string, unknown>, isUsed: boolean][] = [
    [{ process: { ...NODE, env } }, false],
    [{ process: { ...NODE, env: { ...env, NODE_USE_ENV_PROXY: "1" } } }, true],
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
  const script = `data:text/typescript,${encodeURIComponent(PROGRAM)}`;
  const run = async (...permissions: string[]) => {
    const args = ["run", "--no-prompt", "--config", "deno.json"];
    const env = { HTTP_PROXY: `http://ann:s3cret@${host}` };
    return (await deno([...args, ...permissions, script], { env })).stdout;
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
  [{ process: NODE }, "Node/26.0.0"],
  [{ navigator: { userAgent: "Cloudflare-Workers" } }, "workerd"],
  [{ process: undefined }, "other"],
  [{ Deno: { env: {} }, process: NODE }, "Node/26.0.0"],
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
  for (const stage of ["Connect", "SendRequest"]) {
    const error = denoError("http://host/", stage, "odd");
    const { mayHaveReachedServer, isUnknown } = describe(error, false);
    assertEquals(mayHaveReachedServer, stage !== "Connect");
    assert(isUnknown);
  }
});

Deno.test("describeNetworkError() does not read the message of a custom fetch's own error", () => {
  const [refused, expired] = ["it said: connection refused", "session expired"];
  for (const error of [new Error(refused), new TypeError(expired)]) {
    assertEquals(describe(error, true), {
      text: `the custom fetch failed: ${error.message}`,
      mayHaveReachedServer: true,
      isUnknown: true,
    });
  }
});
