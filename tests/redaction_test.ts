/** Redaction: no secret is in errors, attempts or an inspected client. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStringIncludes,
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
import { redacted, redactError, singleLine } from "../internal/redact.ts";
import { fixedRandom } from "./support/patch.ts";
import { http, RawServer } from "./support/raw.ts";
import { assertNoSecrets, spellings, texts } from "./support/secrets.ts";
import {
  apiError,
  makeClient,
  PASSWORD,
  StandInServer,
  TestServer,
} from "./support/server.ts";

const TOKEN = "525fc6d0-c221-4e21-a3f4-cd99aa53cf21";
const RESET = 'reset/t"oken&%ü 1';
const NEW_PASSWORD = "n3w <pass>\\word+1";
const API_KEY = "k3y-of-the-proxy";
const SECRETS = [PASSWORD, TOKEN, RESET, NEW_PASSWORD, API_KEY];

/** Removes these secrets from a text. */
const redactorOf = (secrets: string[]) => (text: string) =>
  redacted(text, secrets);

/** Every encoding of every secret that is valid in a header. */
const HEADER_ECHO = SECRETS.flatMap(spellings)
  .filter((text) => /^[\x20-\x7e]*$/.test(text)).join(" | ");

/** Calls that have secrets of their own. */
const CALLS: Record<string, (client: V1Client) => PromiseLike<unknown>> = {
  login: (client) => client.login({ retries: 0 }),
  getUser: (client) => client.getUser("id"),
  getUsers: (client) => client.getUsers(),
  createCluster: (client) => client.createCluster("ceph"),
  getExecutionLog: (client) => client.getExecutionLog("id"),
  streamExecutionLog: (client) =>
    client.streamExecutionLog("id")[Symbol.asyncIterator]().next(),
  peekPasswordReset: (client) => client.peekPasswordReset(RESET),
  resetPassword: (client) => client.resetPassword(RESET, NEW_PASSWORD),
  logout: async (client) => {
    await client.login({ retries: 0 }).catch(() => {});
    await client.logout();
  },
};

/** The secrets of each call besides password and API key. Defaults to the token. */
const KNOWN: Record<string, string[]> = {
  login: [],
  peekPasswordReset: [RESET],
  resetPassword: [RESET, NEW_PASSWORD],
};

/** Makes a call and returns its error and its attempts. */
async function provoke(
  url: string,
  call: (client: V1Client) => PromiseLike<unknown>,
  options: Partial<ClientOptions> = {},
): Promise<{ error: unknown; attempts: Attempt[]; client: V1Client }> {
  const attempts: Attempt[] = [];
  const client = makeClient(url, {
    retries: 0,
    headers: { "X-Api-Key": API_KEY },
    onAttempt: (attempt) => attempts.push(attempt),
    ...options,
  });
  const error = await Promise.resolve(call(client)).then(
    () => undefined,
    (error) => error,
  );
  return { error, attempts, client };
}

/** Whether this is a login, which has a known token as its response. */
function isLogin(method: string, path: string): boolean {
  return method === "POST" && path === "/v1/auth/";
}
const loggedIn = () => Response.json({ id: TOKEN });

/** Responses that echo secrets. */
const FAILURES: Record<string, (echo: string) => Response> = {
  "an error's message": (echo) => apiError(400, "InvalidJSONError", echo),
  "an error's name": (echo) => apiError(400, echo, "Wrong"),
  "an error's lines": (echo) =>
    apiError(400, "Bad", echo.replaceAll(" | ", "\n\t")),
  "a 401": (echo) => apiError(401, "Unauthorized", echo),
  "HTML with 502": (echo) =>
    new Response(`<html><b>${echo}</b></html>`, {
      status: 502,
      headers: { "content-type": "text/html" },
    }),
  "cut JSON with 500": (echo) =>
    new Response(JSON.stringify({ message: echo }).slice(0, -1), {
      status: 500,
      headers: { "content-type": "application/json" },
    }),
  "cut JSON with 200": (echo) =>
    new Response(JSON.stringify({ id: TOKEN, echo }).slice(0, -1), {
      headers: { "content-type": "application/json" },
    }),
  "text with 200": (echo) =>
    new Response(echo, { headers: { "content-type": "text/plain" } }),
  "a content type": () =>
    new Response("", { headers: { "content-type": `a/${HEADER_ECHO}` } }),
  "a redirect": () =>
    new Response("", { status: 302, headers: { location: HEADER_ECHO } }),
  "Retry-After": () =>
    new Response("", { status: 503, headers: { "retry-after": HEADER_ECHO } }),
};

for (const [channel, fail] of Object.entries(FAILURES)) {
  Deno.test(`DecapodError has no secret that the server echoed in ${channel}`, async () => {
    for (const [name, call] of Object.entries(CALLS)) {
      const known = [PASSWORD, API_KEY, ...KNOWN[name] ?? [TOKEN]];
      const echo = known.flatMap(spellings).join(" | ");
      await using server = new TestServer((_, { method, path }) =>
        isLogin(method, path) && name !== "login" ? loggedIn() : fail(echo)
      );
      const { error, attempts, client } = await provoke(server.url, call);
      const good = channel === "text with 200"
        ? /Log$/.test(name)
        : channel === "a 401" && name === "logout";
      if (!good) assertInstanceOf(error, DecapodError, name);
      assertNoSecrets(error, known);
      assert(attempts.length > 0);
      for (const attempt of attempts) assertNoSecrets(attempt, known);
      assertNoSecrets(client, SECRETS);
    }
  });
}

Deno.test("DecapodAPIError has no secret that the server echoed in a reason phrase", async () => {
  for (const status of ["400", "401", "500", "503"]) {
    await using server = new RawServer(async (peer) => {
      await peer.request();
      await peer.send(http(`${status} ${HEADER_ECHO}`, ""));
    });
    const { error, attempts } = await provoke(
      server.url,
      (client) => client.resetPassword(RESET, NEW_PASSWORD),
    );
    assertInstanceOf(error, DecapodAPIError);
    for (const value of [error, error.json, ...attempts]) {
      assertNoSecrets(value, [PASSWORD, RESET, NEW_PASSWORD, API_KEY]);
    }
  }
  const statusText = `Sorry ${TOKEN}`;
  const { error } = await provoke(
    "http://decapod.example",
    (client) => client.getUserSelf({ headers: { authorization: TOKEN } }),
    {
      fetch: () =>
        Promise.resolve(new Response("", { status: 500, statusText })),
    },
  );
  assertInstanceOf(error, DecapodAPIError);
  assertNoSecrets([error, error.json], [TOKEN]);
  assertEquals(error.error, "Sorry [redacted]");
  assertStringIncludes(error.message, "500 Sorry [redacted]");
});

/** What a fetch may throw, with a text in it. */
const THROWN: Record<string, (text: string) => unknown> = {
  "a message": (text) => new TypeError(`Cannot fetch ${text}`),
  "a cause": (text) =>
    new TypeError("fetch failed", { cause: new Error(text) }),
  "a cause's cause": (text) =>
    new TypeError("fetch failed", {
      cause: new Error("socket", { cause: { hidden: text } }),
    }),
  "a string": (text) => text,
  "a string as cause": (text) => new TypeError("fetch failed", { cause: text }),
  "an object": (text) => ({ text, toString: () => text }),
  "an object without a prototype": (text) =>
    Object.assign(Object.create(null), { text }),
  "a function": (text) => Object.assign(() => text, { text }),
  "a symbol": (text) => Symbol(text),
  "a field": (text) => Object.assign(new Error("failed"), { url: text }),
  "a field of a field": (text) =>
    Object.assign(new Error("failed"), { request: { headers: [text] } }),
  "a hidden field": (text) =>
    Object.defineProperty(new Error("failed"), "request", { value: text }),
  "a symbol's field": (text) =>
    Object.assign(new Error("failed"), { [Symbol("request")]: text }),
  "a list": (text) => Object.assign(new Error("failed"), { tried: [[text]] }),
  "a map": (text) =>
    Object.assign(new Error("failed"), { map: new Map([["request", text]]) }),
  "a getter": (text) =>
    Object.defineProperty(new Error("failed"), "request", {
      enumerable: true,
      get: () => text,
    }),
  "a name": (text) => Object.assign(new Error("failed"), { name: text }),
  "a name of a class": (text) => {
    class Odd extends Error {
      override get name() {
        return text;
      }
    }
    return new Odd("failed");
  },
  "a message of a class": (text) => {
    class Odd extends Error {
      override get message() {
        return text;
      }
    }
    return new Odd();
  },
  "a stack": (text) => Object.assign(new Error("failed"), { stack: text }),
  "an aggregate": (text) =>
    new AggregateError([new Error("one"), new Error(text)], "all failed"),
  "a DOMException": (text) => new DOMException(text, "NetworkError"),
  "a ring of causes": (text) => {
    const error = new Error(text);
    error.cause = new Error("of", { cause: error });
    return error;
  },
  "a long chain of causes": (text) => {
    let error = new Error(text);
    for (let depth = 0; depth < 20; depth++) {
      error = new Error(`number ${depth}`, { cause: error });
    }
    return error;
  },
};

for (const [place, make] of Object.entries(THROWN)) {
  Deno.test(`DecapodConnectionError has no secret that fetch threw in ${place}`, async () => {
    for (const [name, call] of Object.entries(CALLS)) {
      const known = [PASSWORD, API_KEY, ...KNOWN[name] ?? [TOKEN]];
      const thrown = make(known.flatMap(spellings).join(" | "));
      const { error, attempts } = await provoke(
        "http://decapod.example",
        call,
        {
          fetch: (url, { method = "" }) =>
            isLogin(method, new URL(url).pathname) && name !== "login"
              ? Promise.resolve(loggedIn())
              : Promise.reject(thrown),
        },
      );
      assertInstanceOf(error, DecapodConnectionError, name);
      assertNoSecrets(error, known);
      for (const attempt of attempts) assertNoSecrets(attempt, known);
    }
  });
}

Deno.test("redactError() copies name, message, stack, code and causes, without secrets", () => {
  const cause = Object.assign(new RangeError(`no ${TOKEN} here`), {
    code: `E_${TOKEN}`,
    url: TOKEN,
  });
  const error = new TypeError(`Cannot fetch ${TOKEN}`, { cause });
  const copy = redactError(error, redactorOf([TOKEN]));
  assertInstanceOf(copy, Error);
  assertNotStrictEquals(copy, error);
  assertEquals(String(copy), "TypeError: Cannot fetch [redacted]");
  assert(copy.stack?.startsWith("TypeError: Cannot fetch [redacted]"));
  assert(copy.stack?.includes("redaction_test.ts"));
  assertInstanceOf(copy.cause, Error);
  assertEquals(String(copy.cause), "RangeError: no [redacted] here");
  assertEquals(Reflect.get(copy.cause, "code"), "E_[redacted]");
  assertEquals(Reflect.get(copy.cause, "url"), undefined);
});

Deno.test("redactError() makes a text of anything that is no error", () => {
  const redact = redactorOf([TOKEN]);
  const cases: [thrown: unknown, text: string][] = [
    [TOKEN, "[redacted]"],
    [undefined, "undefined"],
    [42, "42"],
    [Symbol("a"), "Symbol(a)"],
    [Object.create(null), "a value of type object"],
  ];
  for (const [thrown, text] of cases) {
    assertEquals(redactError(thrown, redact), text);
  }
});

Deno.test("redactError() keeps a code that is a number, an empty stack and the first of several errors", () => {
  const error = new AggregateError([new Error("one"), new Error("two")]);
  Object.assign(error, { code: 111, stack: undefined });
  const copy = redactError(error, redactorOf([TOKEN]));
  assertInstanceOf(copy, Error);
  assertEquals(Reflect.get(copy, "code"), 111);
  assertEquals(copy.stack, "");
  assertInstanceOf(copy.cause, Error);
  assertEquals(copy.cause.message, "one");
});

Deno.test("peekPasswordReset() and resetPassword() show no reset token in URLs", async () => {
  await using server = new StandInServer();
  const url = `${server.url}/v1/password_reset/[redacted]/`;
  for (const name of ["peekPasswordReset", "resetPassword"]) {
    const call = CALLS[name];
    assert(call);
    const { error, attempts } = await provoke(server.url, call);
    assertInstanceOf(error, DecapodAPIError);
    assertEquals([error.code, error.url], [404, url]);
    assertStringIncludes(error.message, url);
    assertEquals(attempts[0]?.url, url);
    assertNoSecrets(error, [RESET, NEW_PASSWORD]);
  }
});

Deno.test("resetPassword() does not reveal a new password that is part of the URL by redacting it", async () => {
  await using server = new StandInServer();
  const error = await assertRejects(
    () => server.client().resetPassword("v", "password"),
    DecapodAPIError,
  );
  assertEquals(error.url, `${server.url}/v1/password_reset/[redacted]/`);
});

Deno.test("DecapodConnectionError of a refused connection has no secret", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}`;
  listener.close();
  for (const [name, call] of Object.entries(CALLS)) {
    const { error, attempts } = await provoke(url, call);
    if (name !== "logout") assertInstanceOf(error, DecapodConnectionError);
    for (const value of [error, ...attempts]) assertNoSecrets(value, SECRETS);
  }
});

Deno.test("DecapodResponseError shows no credentials of a redirect", async () => {
  const where = "decapod.example/v1/?next=https://c:d@other.example/";
  for (const location of [`https://ann:geheim@${where}`, `//geheim@${where}`]) {
    await using server = new TestServer(() =>
      new Response("", { status: 307, headers: { location } })
    );
    const error = await assertRejects(
      () => server.client().getInfo(),
      DecapodResponseError,
      "decapod.example/v1/?next=",
    );
    assertNoSecrets(error, ["geheim", "c:d@"]);
  }
});

Deno.test("Client rejects credentials in a URL without showing them", () => {
  for (const url of ["http://ann:geheim@host/", "http://geheim@host/"]) {
    try {
      makeClient(url);
      throw new Error("not reached");
    } catch (error) {
      assertInstanceOf(error, TypeError);
      assertStringIncludes(error.message, "credentials");
      assertNoSecrets(error, ["geheim"]);
    }
  }
});

Deno.test("DecapodAPIError has no part of a secret where a text is shortened", async () => {
  const password = "Q".repeat(60);
  for (const type of ["text/html", "application/json"]) {
    for (let before = 430; before <= 500; before += 5) {
      const text = "x".repeat(before) + password + "y".repeat(600);
      await using server = new TestServer(() =>
        type === "text/html"
          ? new Response(text, {
            status: 502,
            headers: { "content-type": type },
          })
          : apiError(502, "BadGateway", text)
      );
      const { error } = await provoke(
        server.url,
        (client) => client.getInfo(),
        { password },
      );
      for (const text of texts(error)) assert(!text.includes("QQ"), text);
    }
  }
});

Deno.test("DecapodConnectionError has no part of a secret where a text is shortened", async () => {
  const password = "Q".repeat(60);
  for (let before = 80; before <= 320; before += 7) {
    const thrown = new Error("x".repeat(before) + password + "y".repeat(600));
    const { error } = await provoke(
      "http://decapod.example",
      (client) => client.getInfo(),
      { password, fetch: () => Promise.reject(thrown) },
    );
    for (const text of texts(error)) assert(!text.includes("QQ"), text);
  }
});

Deno.test("DecapodAPIError has no part of a secret that looks like markup", async () => {
  for (const password of ["my<very>secret", "my  sec\tret", "<b>secret"]) {
    await using server = new TestServer(() =>
      new Response(`Your <b>password</b> is ${password}, sorry`, {
        status: 502,
        headers: { "content-type": "text/html" },
      })
    );
    const { error } = await provoke(
      server.url,
      (client) => client.getInfo(),
      { password },
    );
    assertInstanceOf(error, DecapodAPIError);
    assertEquals(error.description, "Your password is [redacted], sorry");
  }
});

Deno.test("DecapodAPIError reads the same whatever password of up to 3 characters there is", async () => {
  await using server = new TestServer(() =>
    apiError(404, "NotFound", "It is NotFound")
  );
  for (const password of ["o", "No", "Not", "https"]) {
    const client = server.client({ password });
    const error = await assertRejects(() => client.getInfo(), DecapodAPIError);
    assertEquals(
      error.message,
      `GET ${server.url}/v1/info/: 404 NotFound: It is NotFound`,
    );
    assertEquals(error.error, "NotFound");
  }
});

Deno.test("DecapodAPIError redacts passwords of 4 characters and more, also in names", async () => {
  await using server = new TestServer(() =>
    apiError(404, "NotFound", "It is NotFound")
  );
  const cases: [password: string, error: string, description: string][] = [
    ["Foun", "Not[redacted]d", "It is Not[redacted]d"],
    ["NotFound", "[redacted]", "It is [redacted]"],
  ];
  for (const [password, name, description] of cases) {
    const client = server.client({ password });
    const error = await assertRejects(() => client.getInfo(), DecapodAPIError);
    assertEquals([error.error, error.description], [name, description]);
  }
});

Deno.test("DecapodAPIError redacts old tokens as well as the current one", async () => {
  using _ = fixedRandom(0);
  const tokens = ["0ld-token", "n3w-token"];
  let logins = 0;
  await using server = new TestServer((_, { method, path, headers }) =>
    isLogin(method, path)
      ? Response.json({ id: tokens[logins++] })
      : headers.get("authorization") === tokens[0]
      ? apiError(401, "Unauthorized", "Log in")
      : apiError(400, "Bad", `Not ${tokens.join(" or ")}`)
  );
  const { error } = await provoke(server.url, (client) => client.getUserSelf());
  assertInstanceOf(error, DecapodAPIError);
  assertEquals(error.description, "Not [redacted] or [redacted]");
});

Deno.test("DecapodAPIError redacts the token in errors of calls that need none", async () => {
  await using server = new StandInServer(
    {},
    ({ path }) =>
      path === "/v1/info/"
        ? apiError(500, "Oops", `Somebody is here as ${TOKEN}`)
        : path === "/v1/auth/"
        ? loggedIn()
        : undefined,
  );
  const { error } = await provoke(server.url, async (client) => {
    await client.getUserSelf().catch(() => {});
    await client.getInfo();
  });
  assertInstanceOf(error, DecapodAPIError);
  assertEquals(error.description, "Somebody is here as [redacted]");
});

Deno.test("DecapodAPIError redacts the values of secret headers", async () => {
  const headers = {
    authorization: "Bearer b3arer",
    cookie: "sid=c00kie",
    "x-auth-token": "xauth7oken",
    "x-password": "xp4ssword",
    "x-key": " outer8lanks\t", // the platform trims it
    "x-secret": "scheme\tt4bbed",
    "x-session": "s3ssion",
    "x-trace": "visible",
  };
  const echo =
    "b3arer, sid=c00kie, xauth7oken, xp4ssword, outer8lanks, t4bbed, s3ssion, visible";
  await using server = new TestServer(() => apiError(400, "Bad", echo));
  const client = server.client();
  const error = await assertRejects(
    () => client.getUser("id", { headers }),
    DecapodAPIError,
  );
  assertEquals(
    error.description,
    `${"[redacted], ".repeat(7)}visible`,
  );
});

Deno.test("getInfo() does not quote an invalid value", async () => {
  const bad = "secret\r\nvalue: x";
  const client = makeClient("http://decapod.example");
  const calls = [
    () => client.getInfo({ headers: { authorization: bad } }),
    () => client.peekPasswordReset("\ud800secret"),
  ];
  for (const call of calls) {
    const error = await assertRejects(call, TypeError);
    assertNoSecrets(error, ["secret", "value: x"]);
  }
});

Deno.test("Client shows its URL and no secret when it is inspected", async () => {
  await using server = new StandInServer();
  const client = server.client({ headers: { "x-api-key": API_KEY } });
  await client.getUserSelf();
  const options = { depth: 20, showHidden: true, getters: true };
  const shown = Deno.inspect(client, options);
  assertStringIncludes(shown, server.url);
  for (const text of [shown, JSON.stringify(client), ...texts(client)]) {
    for (const secret of [PASSWORD, server.token, API_KEY]) {
      for (const form of spellings(secret)) assert(!text.includes(form));
    }
  }
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
  "html names": "a b/ü&quot;&lt;",
  "html numbers": "a b/ü&#34;&#x3c;",
};

for (const [name, text] of Object.entries(ENCODED)) {
  Deno.test(`redacted() replaces a secret in the encoding: ${name}`, () => {
    const redact = redactorOf(['a b/ü"<', ""]);
    assertEquals(
      redact(`<p>${text}</p>${text}`),
      "<p>[redacted]</p>[redacted]",
    );
  });
}

Deno.test("redacted() replaces the longer of two secrets, and nothing else", () => {
  assertEquals(redactorOf(["abcd", "abcdef"])("abcdef"), "[redacted]");
  assertEquals(redactorOf(["a.c*d"])("abccd"), "abccd");
  assertEquals(redactorOf([])("as it is"), "as it is");
  assertEquals(redactorOf(["", "a", "abc"])("abc"), "abc");
});

Deno.test("singleLine() returns one line without control characters, shortened in the middle", () => {
  assertEquals(singleLine(" a\r\n\tb\u2028c\u0000d\x1b[1m "), "a b c d [1m");
  const text = singleLine(`${"a".repeat(400)}${"z".repeat(400)}`);
  assertEquals(text.length, 300);
  assertMatch(text, /^a{150}…z{149}$/);
  assertEquals(singleLine("x".repeat(300)), "x".repeat(300));
  assert(singleLine("😀".repeat(400)).isWellFormed());
});
