/** Redaction: no secret is in errors, attempts or an inspected client. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  type Attempt,
  type ClientOptions,
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  DecapodResponseError,
  type V1Client,
} from "../mod.ts";
import { redacted, singleLine } from "../internal/redact.ts";
import { assertNoSecrets, spellings, texts } from "./support/secrets.ts";
import {
  apiError,
  makeClient,
  PASSWORD,
  StandInServer,
} from "./support/server.ts";
import { stubClient, typed } from "./support/stub.ts";

const TOKEN = "525fc6d0-c221-4e21-a3f4-cd99aa53cf21";
const RESET = 'reset/t"oken&%ü 1';
const NEW_PASSWORD = "n3w <pass>\\word+1";
const API_KEY = "k3y-of-the-proxy";
const SECRETS = [PASSWORD, TOKEN, RESET, NEW_PASSWORD, API_KEY];

/** Every encoding of every secret that is valid in a header. */
const HEADER_ECHO = SECRETS.flatMap(spellings)
  .filter((text) => /^[\x20-\x7e]*$/.test(text)).join(" | ");

type Call = (client: V1Client) => PromiseLike<unknown>;

const resetPassword: Call = (client) =>
  client.resetPassword(RESET, NEW_PASSWORD);

/** Calls, and their secrets besides password and API key. */
const CALLS: Record<string, [call: Call, ...secrets: string[]]> = {
  login: [(client) => client.login()],
  getUser: [(client) => client.getUser("id"), TOKEN],
  getExecutionLog: [(client) => client.getExecutionLog("id"), TOKEN],
  peekPasswordReset: [(client) => client.peekPasswordReset(RESET), RESET],
  resetPassword: [resetPassword, RESET, NEW_PASSWORD],
};

/** Makes a call and returns its error and its attempts. */
async function provoke(
  call: Call,
  respond: (url: string, init: RequestInit) => Response | Promise<Response>,
  options: Partial<ClientOptions> = {},
) {
  const attempts: Attempt[] = [];
  const client = stubClient(respond, {
    retries: 0,
    headers: { "X-Api-Key": API_KEY },
    onAttempt: (attempt) => attempts.push(attempt),
    ...options,
  });
  const error: unknown = await Promise.resolve(call(client))
    .then(() => undefined, (error) => error);
  return { error, attempts, client };
}

/** Fails if an error shows a secret of its call after this response. */
async function assertRedacted(
  Class: typeof DecapodError,
  respond: (echo: string) => Response | Promise<Response>,
): Promise<void> {
  for (const [name, [call, ...own]] of Object.entries(CALLS)) {
    const known = [PASSWORD, API_KEY, ...own];
    const echo = known.flatMap(spellings).join(" | ");
    const { error, attempts, client } = await provoke(
      call,
      (url) =>
        url.endsWith("/v1/auth/") && name !== "login"
          ? Response.json({ id: TOKEN })
          : respond(echo),
    );
    assertInstanceOf(error, Class, name);
    assert(attempts.length > 0);
    const json = error instanceof DecapodAPIError ? error.json : undefined;
    for (const value of [error, json, client, ...attempts]) {
      assertNoSecrets(value, known);
    }
  }
}

/** A response with these headers. */
const failure = (status: number, text: string, headers: HeadersInit = {}) =>
  new Response(text, { status, headers });

/** Responses that echo secrets. */
const FAILURES: Record<string, (echo: string) => Response> = {
  "an error's message": (echo) => apiError(400, "InvalidJSONError", echo),
  "an error's name": (echo) => apiError(400, echo, "Wrong"),
  "an error's lines": (echo) =>
    apiError(400, "Bad", echo.replaceAll(" | ", "\n\t")),
  "HTML with 502": (echo) => failure(502, `<html><b>${echo}</b></html>`),
  "cut JSON with 500": (echo) =>
    typed("application/json", `{"a":${JSON.stringify(echo)}`, { status: 500 }),
  "a content type": () => typed(`a/${HEADER_ECHO}`, ""),
  "a redirect": () => failure(302, "", { location: HEADER_ECHO }),
  "Retry-After": () => failure(503, "", { "retry-after": HEADER_ECHO }),
  "a reason phrase": () =>
    new Response("", { status: 500, statusText: HEADER_ECHO }),
};

for (const [channel, fail] of Object.entries(FAILURES)) {
  Deno.test(`DecapodError has no secret that the server echoed in ${channel}`, () =>
    assertRedacted(DecapodError, fail));
}

/** An error with this property. */
const failed = (key: PropertyKey, value: unknown) =>
  Object.defineProperty(new Error("failed"), key, { value, enumerable: true });

/** Wraps an error often. */
const deep = (error: Error, depth = 20): Error =>
  depth === 0 ? error : deep(new Error("outer", { cause: error }), depth - 1);

/** What a fetch may throw, with a text in it. */
const THROWN: Record<string, (text: string) => unknown> = {
  "a message": (text) => new TypeError(`Cannot fetch ${text}`),
  "a cause": (text) => new TypeError("failed", { cause: new Error(text) }),
  "a string": (text) => text,
  "a string as cause": (text) => new TypeError("failed", { cause: text }),
  "an object without a prototype": (text) =>
    Object.assign(Object.create(null), { text }),
  "a symbol": (text) => Symbol(text),
  "a field": (text) => failed("url", text),
  "a symbol's field": (text) => failed(Symbol("request"), text),
  "a hidden field": (text) =>
    Object.defineProperty(new Error("failed"), "request", { value: text }),
  "a name": (text) => failed("name", text),
  "a name of a class": (text) =>
    new class extends Error {
      override get name() {
        return text;
      }
    }(),
  "a stack": (text) => failed("stack", text),
  "an aggregate": (text) =>
    new AggregateError([new Error("one"), new Error(text)], "all failed"),
  "a DOMException": (text) => new DOMException(text, "NetworkError"),
  "a ring of causes": (text) => {
    const error = new Error(text);
    error.cause = new Error("of", { cause: error });
    return error;
  },
  "a long chain of causes": (text) => deep(new Error(text)),
};

for (const [place, make] of Object.entries(THROWN)) {
  const fail = (echo: string) => Promise.reject(make(echo));
  Deno.test(`DecapodConnectionError has no secret that fetch threw in ${place}`, () =>
    assertRedacted(DecapodConnectionError, fail));
}

Deno.test("DecapodConnectionError.cause is a copy with name, message, stack, code and the first cause", async () => {
  const fields = { code: `E_${TOKEN}`, url: TOKEN, stack: undefined };
  const first = Object.assign(new RangeError(`no ${TOKEN} here`), fields);
  const thrown = new AggregateError([first, new Error("two")], `Not ${TOKEN}`);
  Object.assign(thrown, { code: 111 });
  const { error } = await provoke(
    (client) => client.getInfo({ headers: { authorization: TOKEN } }),
    () => Promise.reject(thrown),
  );
  assert(error instanceof DecapodConnectionError);
  const { cause } = error;
  assert(cause instanceof Error && cause.cause instanceof Error);
  assert(cause !== thrown);
  assertEquals(String(cause), "AggregateError: Not [redacted]");
  assert(cause.stack?.startsWith("AggregateError: Not [redacted]\n"));
  assert(cause.stack?.includes("redaction_test.ts"));
  assertEquals(Reflect.get(cause, "code"), 111);
  assertEquals(String(cause.cause), "RangeError: no [redacted] here");
  assertEquals(cause.cause.stack, "");
  assertEquals(Reflect.get(cause.cause, "code"), "E_[redacted]");
  assertEquals(Reflect.get(cause.cause, "url"), undefined);
});

Deno.test("peekPasswordReset() and resetPassword() show no reset token in URLs", async () => {
  const url = "http://decapod.example/v1/password_reset/[redacted]/";
  const calls: Call[] = [
    (client) => client.peekPasswordReset(RESET),
    resetPassword,
    // Redacting the new password would reveal it: it is a part of the URL.
    (client) => client.resetPassword("v", "password"),
  ];
  for (const call of calls) {
    const { error, attempts } = await provoke(call, () => failure(404, ""));
    assertInstanceOf(error, DecapodAPIError);
    assertEquals([error.url, attempts[0]?.url], [url, url]);
    assertStringIncludes(error.message, url);
    assertNoSecrets(error, [RESET, NEW_PASSWORD]);
  }
  const invalid = "\ud800secret";
  const call: Call = (client) => client.peekPasswordReset(invalid);
  const { error } = await provoke(call, () => failure(404, ""));
  assertInstanceOf(error, TypeError);
  assertNoSecrets(error, ["secret"]);
});

Deno.test("DecapodResponseError shows no credentials of a redirect", async () => {
  const where = "decapod.example/v1/?next=https://c:d@other.example/";
  const starts = ["https://ann:geheim", "//geheim", "https:\\\\ann:geheim"];
  for (const start of starts) {
    const location = `${start}@${where}`;
    const error = await assertRejects(
      () => stubClient(() => failure(307, "", { location })).getInfo(),
      DecapodResponseError,
      "decapod.example/v1/?next=",
    );
    assertNoSecrets(error, ["geheim", "c:d@"]);
  }
});

Deno.test("Client rejects credentials in a URL without showing them", () => {
  for (const user of ["ann:geheim", "geheim", ":geheim"]) {
    const url = `http://${user}@host/`;
    const error = assertThrows(() => makeClient(url), TypeError, "credentials");
    assertNoSecrets(error, ["geheim"]);
  }
});

Deno.test("DecapodError has no part of a secret where a text is shortened", async () => {
  const password = "Q".repeat(60);
  const bodies: string[] = [];
  for (let before = 80; before <= 500; before += 5) {
    bodies.push("x".repeat(before) + password + "y".repeat(600));
  }
  // At the end of what is read of a body, and of what is made of it.
  for (const rest of [4, 5, password.length - 1]) {
    const tag = (length: number) => `<${"x".repeat(length - rest - 2)}>`;
    bodies.push(tag(64 * 1024) + password);
    bodies.push(tag(56 * 1024) + password + "y".repeat(9000));
  }
  const failures: ((text: string) => Response | Promise<Response>)[] = [
    (text) => failure(502, text),
    (text) => apiError(502, "BadGateway", text),
    (text) => Promise.reject(new Error(text)),
  ];
  for (const fail of failures) {
    for (const body of bodies) {
      const call: Call = (client) => client.getInfo();
      const { error } = await provoke(call, () => fail(body), { password });
      for (const text of texts(error)) assert(!text.includes("QQ"), text);
    }
  }
});

/** Passwords, and how the name and the message of an error are shown. */
const PASSWORDS: [password: string, name: string, text: string][] = [
  ["o", "NotFound", "It is NotFound"],
  ["No", "NotFound", "It is NotFound"],
  ["Not", "NotFound", "It is NotFound"],
  ["https", "NotFound", "It is NotFound"],
  ["Foun", "Not[redacted]d", "It is Not[redacted]d"],
  ["NotFound", "[redacted]", "It is [redacted]"],
];

Deno.test("DecapodAPIError redacts passwords of 4 characters and more, also in names and markup", async () => {
  const describe = async (password: string, response: Response) => {
    const client = stubClient(() => response, { password });
    const error = await assertRejects(
      () => client.getInfo(),
      DecapodAPIError,
      "GET http://decapod.example/v1/info/: 404",
    );
    return [error.error, error.description];
  };
  for (const [password, name, text] of PASSWORDS) {
    const json = apiError(404, "NotFound", "It is NotFound");
    assertEquals(await describe(password, json), [name, text]);
  }
  for (const password of ["my<very>secret", "my  sec\tret", "<b>secret"]) {
    const page = failure(404, `Your <b>password</b> is ${password}, sorry`);
    const text = "Your password is [redacted], sorry";
    assertEquals(await describe(password, page), ["404", text]);
  }
});

Deno.test("DecapodAPIError redacts old tokens as well as the current one", async () => {
  const tokens = ["0ld-token", "n3w-token"];
  let logins = 0;
  const { error } = await provoke(
    async (client) => {
      await client.login();
      await client.getUserSelf(); // logs in again
      await client.getInfo(); // needs no token
    },
    (url, init) =>
      url.endsWith("/v1/auth/")
        ? Response.json({ id: tokens[logins++] })
        : url.endsWith("/v1/info/")
        ? apiError(400, "Bad", `Not ${tokens.join(" or ")}`)
        : new Headers(init.headers).get("authorization") === tokens[0]
        ? apiError(401, "Unauthorized", "Log in")
        : Response.json({ id: "id" }),
    { headers: {} },
  );
  assertInstanceOf(error, DecapodAPIError);
  assertEquals(error.description, "Not [redacted] or [redacted]");
});

Deno.test("DecapodAPIError redacts the values of secret headers", async () => {
  const headers = {
    authorization: "Basic b3arer",
    cookie: "theme=dark; sid=c00kie; lang=de",
    "x-auth-token": "xauth7oken",
    "x-password": "xp4ssword",
    "x-key": " outer8lanks\t", // the platform trims it
    "x-secret": "scheme\tt4bbed",
    "x-session": "s3ssion",
    "x-trace": "visible",
  };
  const echo =
    "b3arer, c00kie, xauth7oken, xp4ssword, outer8lanks, t4bbed, s3ssion, visible by basic auth";
  const client = stubClient(() => apiError(400, "Bad", echo));
  const { description } = await assertRejects(
    () => client.getUser("id", { headers }),
    DecapodAPIError,
  );
  assertEquals(description, `${"[redacted], ".repeat(7)}visible by basic auth`);
});

Deno.test("Client shows its URL and no secret when it is inspected", async () => {
  await using server = new StandInServer();
  const client = server.client({ headers: { "x-api-key": API_KEY } });
  await client.getUserSelf();
  const options = { depth: 20, showHidden: true, getters: true };
  const shown = Deno.inspect(client, options);
  assertStringIncludes(shown, server.url);
  const secrets = [PASSWORD, server.token, API_KEY];
  for (const value of [shown, client]) assertNoSecrets(value, secrets);
});

/** Encodings of `a b/ü"<` that are redacted, in any case. */
const ENCODED = {
  raw: 'a b/ü"<',
  "another case": 'A B/Ü"<',
  json: 'a b/ü\\"<',
  "json with escapes": 'a b\\/\\u00fc\\"<',
  "json in ASCII": 'a b/\\u00FC\\"<',
  url: "a%20b%2F%C3%BC%22%3C",
  "url in lower case": "a%20b%2f%c3%bc%22%3c",
  "url twice": "a%2520b%252F%25C3%25BC%2522%253C",
  form: "a+b%2F%C3%BC%22%3C",
  "url in part": "a%20b/%C3%BC%22%3C", // Python's quote()
  "html in part": 'a b/ü"&lt;',
  "html names": "a b/ü&quot;&lt;",
  "html numbers": "a b/ü&#34;&#x3c;",
};

Deno.test("redacted() replaces a secret in each encoding", () => {
  for (const [name, text] of Object.entries(ENCODED)) {
    const shown = redacted(`<p>${text}</p>${text}`, ['a b/ü"<', ""]);
    assertEquals(shown, "<p>[redacted]</p>[redacted]", name);
  }
  // Python's repr(), JSON in JSON.
  for (const echo of ["it\\'s\\\\b", "it's\\\\\\\\b"]) {
    assertEquals(redacted(`<${echo}>`, ["it's\\b"]), "<[redacted]>");
  }
});

Deno.test("redacted() replaces the longest secret, and no text shorter than 4 characters", () => {
  assertEquals(redacted("abcdef", ["abcd", "abcdef"]), "[redacted]");
  assertEquals(redacted("abccd", ["a.c*d"]), "abccd");
  assertEquals(redacted("as it is", []), "as it is");
  assertEquals(redacted("abc", ["", "a", "abc"]), "abc");
});

Deno.test("singleLine() returns one line without control characters, shortened in the middle", () => {
  assertEquals(singleLine(" a\r\n\tb\u2028c\u0000d\x1b[1m "), "a b c d [1m");
  assertEquals(singleLine("a\u202eb\u2066c"), "a b c"); // change the direction
  const text = singleLine(`${"a".repeat(400)}${"z".repeat(400)}`);
  assertEquals(text.length, 300);
  assertMatch(text, /^a{150}…z{149}$/);
  assertEquals(singleLine("x".repeat(300)), "x".repeat(300));
  assert(singleLine("😀".repeat(400)).isWellFormed());
});

Deno.test("redacted() takes little time for backslashes, and hides all if a secret is too long", () => {
  const start = performance.now();
  redacted("\\".repeat(100) + "y", ["\\".repeat(25) + "x"]);
  assertLess(performance.now() - start, 1000);
  assertEquals(redacted("text", ["+/=%&".repeat(2000)]), "[redacted]");
});
