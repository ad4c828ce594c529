/** Errors: classes, fields, messages, JSON. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodError,
  DecapodExecutionError,
  DecapodResponseError,
  DecapodTimeoutError,
  DecapodWaitTimeoutError,
  type Execution,
} from "../mod.ts";
import { addCaller } from "../internal/caller.ts";
import { RawServer } from "./support/raw.ts";
import { apiError, makeClient, StandInServer } from "./support/server.ts";
import { CLOSED, LOGGED_IN, stubClient, typed } from "./support/stub.ts";

const EXECUTION: Execution = {
  id: "231c54ee-384b-4fce-8ad4-7e029c7d13cb",
  model: "execution",
  version: 3,
  initiator_id: null,
  time_updated: 1479300415,
  time_deleted: 0,
  data: {
    state: "failed",
    playbook_configuration: {
      id: "9a962393-a1bd-4a96-a9dc-fc151327eea7",
      version: 1,
      playbook_name: "cluster_deploy",
    },
  },
};

const request = { method: "POST", url: "http://decapod.example/v1/user/" };

const API = {
  code: 503,
  error: "Busy",
  description: "Later",
  retryAfter: 5000,
};
const FAILED = { execution: EXECUTION, failedSteps: [] };
const LATE = { execution: EXECUTION, states: { failed: 1 } };

/** One error of each class, its name and the fields of its own. */
const ERRORS: [DecapodError, string, Record<string, unknown>?][] = [
  [new DecapodError("Sorry", request), "DecapodError"],
  [new DecapodConnectionError("Sorry", request), "DecapodConnectionError"],
  [new DecapodTimeoutError("Sorry", request), "DecapodTimeoutError"],
  [new DecapodResponseError("Sorry", request), "DecapodResponseError"],
  [
    new DecapodAPIError("Sorry", { ...request, ...API }),
    "DecapodAPIError",
    API,
  ],
  [
    new DecapodExecutionError("Sorry", { ...request, ...FAILED }),
    "DecapodExecutionError",
    FAILED,
  ],
  [
    new DecapodWaitTimeoutError("Sorry", { ...request, ...LATE }),
    "DecapodWaitTimeoutError",
    LATE,
  ],
];

for (const [error, name, own] of ERRORS) {
  Deno.test(`${name} has a name, the request and JSON`, () => {
    assertInstanceOf(error, DecapodError);
    assertInstanceOf(error, Error);
    assertEquals(String(error), `${name}: Sorry`);
    assertEquals("cause" in error, false);
    assertEquals(error.exception, undefined);
    const fields = {
      name,
      message: "Sorry",
      ...request,
      outcomeUnknown: false,
    };
    assertEquals(JSON.parse(JSON.stringify(error)), { ...fields, ...own });
    assertObjectMatch(error, { ...fields, ...own });
    assert(error.stack?.startsWith(`${name}: Sorry`) ?? true);
  });
}

Deno.test("DecapodWaitTimeoutError is a DecapodTimeoutError", () => {
  const error = new DecapodWaitTimeoutError("Late", { states: {} });
  assertInstanceOf(error, DecapodTimeoutError);
  assertEquals(error.execution, undefined);
});

Deno.test("DecapodError.exception is the cause, which is not in the JSON", () => {
  const cause = new Error("refused");
  const error = new DecapodError("Sorry", { cause, outcomeUnknown: true });
  assertStrictEquals(error.cause, cause);
  assertStrictEquals(error.exception, cause);
  assertEquals(error.outcomeUnknown, true);
  assertEquals("cause" in error.toJSON(), false);
});

Deno.test("DecapodAPIError.json is what the server sent, with the description", async () => {
  await using server = new StandInServer();
  const error = await assertRejects(
    () => server.client().getUser("11111111-1111-4111-8111-111111111111"),
    DecapodAPIError,
  );
  const { description } = error;
  const { text = "" } = server.exchanges.at(-1)?.answer ?? {};
  const { message }: { message: string } = JSON.parse(text);
  const code = { code: 404, error: "NotFound" };
  assertEquals({ ...error.json }, { ...code, message, description });
  assertEquals([error.code, error.error], Object.values(code));
});

const BAD_REQUEST = { status: 400, statusText: "Bad Request" };
const html = (status: number, text: string) =>
  typed("text/html", text, { status });

/** Error responses, the end of the message, and the error's fields. */
const RESPONSES: Record<
  string,
  [Response, part: string, error: string, description?: string]
> = {
  "Decapod's own": [
    apiError(403, "Forbidden", "Access was forbidden!"),
    "403 Forbidden: Access was forbidden! (the method's documentation",
    "Forbidden",
    "Access was forbidden!",
  ],
  "several lines": [
    apiError(400, "InvalidJSONError", "'a' is short\n'b' is long"),
    "400 InvalidJSONError: 'a' is short 'b' is long",
    "InvalidJSONError",
    "'a' is short\n'b' is long",
  ],
  "JSON with fields of other types": [
    Response.json({ error: 5, message: ["no"] }, BAD_REQUEST),
    "400 Bad Request",
    "Bad Request",
  ],
  "a JSON text": [
    Response.json("no", BAD_REQUEST),
    '400 Bad Request: "no"',
    "Bad Request",
    '"no"',
  ],
  HTML: [
    html(
      502,
      "<html><head><title>502</title><style>p {}</style></head>\n<body>Try <b>later</b></body>",
    ),
    "502: Try later",
    "502",
    "Try later",
  ],
  "HTML that is too long": [
    html(502, `<p>${"x".repeat(600_000)}`),
    `502: ${"x".repeat(100)}`,
    "502",
    `${"x".repeat(150)}…${"x".repeat(149)}`,
  ],
  "only its status in HTML": [
    new Response("<title>404 Not Found</title><h1>404 Not Found</h1>", {
      status: 404,
      statusText: "Not Found",
    }),
    "404 Not Found (check that the URL points to the Decapod API)",
    "Not Found",
  ],
  "its name twice in HTML": [
    new Response("<h1>Not Found</h1><p>Not Found</p>", {
      status: 404,
      statusText: "Not Found",
    }),
    "404 Not Found (check that the URL points to the Decapod API)",
    "Not Found",
  ],
  "an encoding that is not undone": [
    new Response("garbage", {
      status: 500,
      statusText: "Sorry",
      headers: { "content-encoding": "deflate" },
    }),
    "500 Sorry",
    "Sorry",
  ],
  "a status of the proxy": [
    new Response("", { status: 413, statusText: "Too Large" }),
    "413 Too Large (the proxy in front of Decapod accepts less at once)",
    "Too Large",
  ],
  nothing: [
    new Response(null, { status: 500, statusText: "Sorry" }),
    "500 Sorry",
    "Sorry",
  ],
  "neither a name nor a reason phrase": [
    new Response("", { status: 599 }),
    "599",
    "599",
  ],
};

for (
  const [name, [response, part, error, description = ""]] of Object.entries(
    RESPONSES,
  )
) {
  Deno.test(`DecapodAPIError describes a response with ${name}`, async () => {
    const client = stubClient(() => response, { retries: 0 });
    const thrown = await assertRejects(() => client.getInfo(), DecapodAPIError);
    const start = `GET http://decapod.example/v1/info/: ${part}`;
    assertEquals(thrown.message.slice(0, start.length), start);
    assertEquals(thrown.message.includes("\n"), false);
    assertEquals([thrown.error, thrown.description], [error, description]);
    assertEquals(thrown.code, response.status);
  });
}

/** Fails unless getInfo() rejects a response with this message. */
async function assertUnexpected(
  response: Response,
  part: string,
): Promise<void> {
  const client = stubClient(() => response);
  await assertRejects(() => client.getInfo(), DecapodResponseError, part);
}

Deno.test("DecapodResponseError describes a redirect without Location, as browsers show it", async () => {
  const response = Response.json({});
  Object.defineProperties(response, {
    type: { value: "opaqueredirect" },
    ok: { value: false },
    status: { value: 0 },
  });
  await assertUnexpected(
    response,
    "a redirect to another place, which would lose",
  );
});

Deno.test("DecapodResponseError describes a response without a body", () =>
  assertUnexpected(typed("application/json", null), "it is empty"));

Deno.test("DecapodAPIError asks to check the URL if the response is HTML of a status of other servers", async () => {
  const hint = "check that the URL points to the Decapod API";
  const statuses = [400, 403, 404, 405, 407, 410, 413, 429, 500, 502, 503];
  const doubted: number[] = [];
  for (const status of statuses) {
    const client = stubClient(() => html(status, "<h1>Sorry</h1>"), {
      retries: 0,
    });
    const { message } = await assertRejects(
      () => client.login(),
      DecapodAPIError,
    );
    if (message.includes(hint)) doubted.push(status);
  }
  assertEquals(doubted, [400, 404, 405, 410]); // 403 has a hint of its own
});

Deno.test("DecapodAPIError says each text of an HTML page once", async () => {
  const title = "405 Not Allowed";
  const text = `<title>${title}</title><h1>${title}</h1><hr>nginx`;
  // HTTP/2 has no reason phrases, and not every proxy has that of nginx.
  for (const statusText of ["Not Allowed", "", "Method Not Allowed"]) {
    const client = stubClient(() =>
      new Response(text, { status: 405, statusText })
    );
    const { message } = await assertRejects(
      () => client.login(),
      DecapodAPIError,
      "nginx (check that the URL points to the Decapod API)",
    );
    const texts = message.replaceAll("Method Not Allowed", "");
    assert(texts.split("Not Allowed").length <= 2, message);
  }
});

const LONG = "x".repeat(3000);

Deno.test("getUser() has messages of 500 characters at most, whatever is long", async () => {
  const client = stubClient((url) =>
    url.endsWith("/r/")
      ? new Response(null, { status: 302, headers: { location: `/${LONG}` } })
      : url.endsWith("/t/")
      ? typed(LONG, "")
      : apiError(400, LONG, LONG)
  );
  const down = makeClient(CLOSED, { ...LOGGED_IN, retries: 0 });
  const calls = [
    () => client.getUser(LONG),
    () => client.getUser("short"),
    () => client.getUser("r"),
    () => client.getUser("t"),
    () => client.deleteUser(LONG),
    () => client.getUsers({ filter: { login: { in: [LONG] } } }),
    () => down.deleteUser(LONG),
    () => down.getUser(LONG),
  ];
  for (const call of calls) {
    const { message, url } = await assertRejects(
      async () => await call(),
      DecapodError,
    );
    assertLess(message.length, 501, message);
    assertMatch(message, /^(GET|DELETE) http:\/\/[\w.]+(:\d+)?\/v1\//);
    assert(url && url.length > 20); // the whole one
  }
});

Deno.test("createCluster() keeps the warning of an unknown outcome in a message of 500 characters", async () => {
  const client = stubClient(() => apiError(500, LONG, "m".repeat(600)));
  const { message } = await assertRejects(
    () => client.createCluster("ceph"),
    DecapodAPIError,
  );
  assertEquals(message.length, 500);
  assertMatch(
    message,
    /; the change may have been applied, check before retrying$/,
  );
});

Deno.test("getServers() says how long the URL is if Decapod's nginx does not accept it", async () => {
  const ids = Array.from({ length: 200 }, () => crypto.randomUUID());
  const filter = { model_id: { in: ids } };
  const hint = "filter by fewer values per request";
  const client = stubClient(() =>
    new Response("<h1>414 Request-URI Too Large</h1>", { status: 414 })
  );
  const refused = await assertRejects(
    async () => await client.getServers({ filter }),
    DecapodAPIError,
    hint,
  );
  assertEquals(refused.code, 414);
  assertStringIncludes(refused.message, `${refused.url?.length} characters`);
  // The connection may break before the status arrives.
  await using broken = new RawServer((peer) => peer.firstByte());
  await assertRejects(
    async () =>
      await broken.client({ ...LOGGED_IN, retries: 0 }).getServers({ filter }),
    DecapodConnectionError,
    hint,
  );
  const others = [
    makeClient(CLOSED, { ...LOGGED_IN, retries: 0 }),
    stubClient(() => apiError(400, "BadRequest", "No")),
  ];
  for (const other of others) {
    const { message } = await assertRejects(
      async () => await other.getServers({ filter }),
      DecapodError,
    );
    assert(!message.includes("characters"), message);
  }
});

Deno.test("getInfo() names a header that is too long for Decapod's nginx", async () => {
  const client = stubClient(() => new Response("", { status: 400 }));
  await assertRejects(
    () => client.getInfo({ headers: { "x-long": "x".repeat(5000) } }),
    DecapodAPIError,
    "the header x-long is too long",
  );
});

Deno.test("DecapodAPIError.stack contains the caller's frame once for a listing", async () => {
  const client = stubClient(() => apiError(404, "NotFound", "None"));
  async function awaitPage() {
    await client.getUsers();
  }
  async function iterateItems() {
    for await (const _user of client.getUsers());
  }
  async function iteratePages() {
    for await (const _page of client.getUsers().pages());
  }
  for (const caller of [awaitPage, iterateItems, iteratePages]) {
    const { stack } = await assertRejects(caller, DecapodAPIError);
    const frames = stack?.split("\n") ?? [];
    const own = frames.filter((frame) => frame.includes(`at ${caller.name} `));
    assertEquals(own.length, 1, stack);
  }
});

Deno.test("addCaller() appends the caller's frames although each stack on Node ends in the same frame", () => {
  const tick =
    "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)";
  const error = new DecapodError("failed");
  error.stack = `DecapodError: failed\n    at send (lib.js:1:1)\n${tick}`;
  const caller = new Error();
  caller.stack =
    `Error\n    at list (lib.js:2:2)\n    at main (mine.js:3:3)\n${tick}`;
  addCaller(error, caller);
  addCaller(error, caller);
  assertEquals(error.stack.split("mine.js").length, 2);
});

Deno.test("DecapodAPIError names the error if Decapod's message starts with the status", async () => {
  const client = stubClient(() =>
    apiError(400, "InvalidJSONError", "400 items is too many")
  );
  await assertRejects(
    () => client.getInfo(),
    DecapodAPIError,
    "400 InvalidJSONError: 400 items is too many",
  );
});

Deno.test("DecapodAPIError says that a URL without a filter is too long", async () => {
  const client = stubClient(() => new Response("", { status: 414 }));
  await assertRejects(
    () => client.getUser("x".repeat(5000)),
    DecapodAPIError,
    "accepts about 4096: shorten it",
  );
});
