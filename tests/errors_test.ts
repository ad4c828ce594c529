/** Errors: classes, fields, messages, JSON. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
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
import { http, RawServer } from "./support/raw.ts";
import {
  apiError,
  makeClient,
  StandInServer,
  TestServer,
} from "./support/server.ts";

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

/** One error of each class, its name and the fields of its own. */
const ERRORS: [DecapodError, string, Record<string, unknown>][] = [
  [new DecapodError("Sorry", request), "DecapodError", {}],
  [
    new DecapodConnectionError("Sorry", request),
    "DecapodConnectionError",
    {},
  ],
  [new DecapodTimeoutError("Sorry", request), "DecapodTimeoutError", {}],
  [new DecapodResponseError("Sorry", request), "DecapodResponseError", {}],
  [
    new DecapodAPIError("Sorry", {
      ...request,
      code: 503,
      error: "Busy",
      description: "Later",
      retryAfter: 5000,
    }),
    "DecapodAPIError",
    { code: 503, error: "Busy", description: "Later", retryAfter: 5000 },
  ],
  [
    new DecapodExecutionError("Sorry", {
      ...request,
      execution: EXECUTION,
      failedSteps: [],
    }),
    "DecapodExecutionError",
    { execution: EXECUTION, failedSteps: [] },
  ],
  [
    new DecapodWaitTimeoutError("Sorry", {
      ...request,
      execution: EXECUTION,
      states: { failed: 1 },
    }),
    "DecapodWaitTimeoutError",
    { execution: EXECUTION, states: { failed: 1 } },
  ],
];

for (const [error, name, own] of ERRORS) {
  Deno.test(`${name} has a name, the request and JSON`, () => {
    assertInstanceOf(error, DecapodError);
    assertInstanceOf(error, Error);
    assertEquals(error.name, name);
    assertEquals(String(error), `${name}: Sorry`);
    assertEquals([error.method, error.url], [request.method, request.url]);
    assertEquals(error.outcomeUnknown, false);
    assertEquals("cause" in error, false);
    assertEquals(error.exception, undefined);
    assertEquals(JSON.parse(JSON.stringify(error)), {
      name,
      message: "Sorry",
      ...request,
      outcomeUnknown: false,
      ...own,
    });
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
  const { code, error: name, description } = error;
  assertEquals([code, name], [404, "NotFound"]);
  const sent: object = JSON.parse(
    server.exchanges.at(-1)?.answer?.text ?? "",
  );
  assertEquals({ ...error.json }, { ...sent, code, description });
  assertEquals({ ...error.json, message: "" }, {
    code,
    error: name,
    message: "",
    description,
  });
});

/** Error responses, and the errors for them. */
const RESPONSES: {
  name: string;
  response: Response;
  part: string;
  error: string;
  description: string;
}[] = [
  {
    name: "Decapod's own",
    response: apiError(403, "Forbidden", "Access was forbidden!"),
    part: "403 Forbidden: Access was forbidden! (the method's documentation",
    error: "Forbidden",
    description: "Access was forbidden!",
  },
  {
    name: "several lines",
    response: apiError(400, "InvalidJSONError", "'a' is short\n'b' is long"),
    part: "400 InvalidJSONError: 'a' is short 'b' is long",
    error: "InvalidJSONError",
    description: "'a' is short\n'b' is long",
  },
  {
    name: "no message",
    response: apiError(400, "BadRequest", ""),
    part: "400 BadRequest",
    error: "BadRequest",
    description: "",
  },
  {
    name: "JSON with other fields",
    response: Response.json({ detail: "no" }, { status: 400 }),
    part: "400 Bad Request",
    error: "Bad Request",
    description: "",
  },
  {
    name: "JSON with fields of other types",
    response: Response.json({ error: 5, message: ["no"] }, { status: 400 }),
    part: "400 Bad Request",
    error: "Bad Request",
    description: "",
  },
  {
    name: "a JSON text",
    response: Response.json("no", { status: 400 }),
    part: '400 Bad Request: "no"',
    error: "Bad Request",
    description: '"no"',
  },
  {
    name: "HTML",
    response: new Response(
      "<html><head><title>502</title><style>p {}</style></head>\n<body>Try <b>later</b></body>",
      { status: 502, headers: { "content-type": "text/html" } },
    ),
    part: "502 Bad Gateway: Try later",
    error: "Bad Gateway",
    description: "Try later",
  },
  {
    name: "HTML that is too long",
    response: new Response(`<p>${"x".repeat(600_000)}`, { status: 502 }),
    part: `502 Bad Gateway: ${"x".repeat(100)}`,
    error: "Bad Gateway",
    description: `${"x".repeat(150)}…${"x".repeat(149)}`,
  },
  {
    name: "only its status in HTML",
    response: new Response(
      "<title>404 Not Found</title><h1>404 Not Found</h1>",
      { status: 404 },
    ),
    part: "404 Not Found (check that the URL is that of the Decapod API)",
    error: "Not Found",
    description: "",
  },
  {
    name: "nothing",
    response: new Response(null, { status: 500 }),
    part: "500 Internal Server Error",
    error: "Internal Server Error",
    description: "",
  },
];

for (const { name, response, part, error, description } of RESPONSES) {
  Deno.test(`DecapodAPIError describes a response with ${name}`, async () => {
    await using server = new TestServer(() => response);
    const client = server.client({ retries: 0 });
    const thrown = await assertRejects(() => client.getInfo(), DecapodAPIError);
    const { message } = thrown;
    assertEquals(
      message.slice(0, `GET ${server.url}/v1/info/: ${part}`.length),
      `GET ${server.url}/v1/info/: ${part}`,
    );
    assertEquals(message.includes("\n"), false);
    assertEquals(thrown.error, error);
    assertEquals(thrown.description, description);
    assertEquals(thrown.code, response.status);
  });
}

Deno.test("DecapodAPIError has the status if there is neither a name nor a reason phrase", async () => {
  await using server = new StandInServer();
  const client = server.client({
    retries: 0,
    fetch: () => Promise.resolve(new Response("", { status: 599 })),
  });
  const error = await assertRejects(() => client.getInfo(), DecapodAPIError);
  assertEquals(error.error, "599");
  assertEquals(error.message, `GET ${server.url}/v1/info/: 599`);
});

Deno.test("DecapodResponseError describes a redirect without Location, as browsers show it", async () => {
  const response = Response.json({});
  Object.defineProperties(response, {
    type: { value: "opaqueredirect" },
    ok: { value: false },
    status: { value: 0 },
  });
  await using server = new StandInServer();
  const client = server.client({ fetch: () => Promise.resolve(response) });
  await assertRejects(
    () => client.getInfo(),
    DecapodResponseError,
    "a redirect to another place, which would lose",
  );
});

Deno.test("DecapodResponseError describes a response without a body", async () => {
  await using server = new StandInServer();
  const headers = { "content-type": "application/json" };
  const client = server.client({
    fetch: () => Promise.resolve(new Response(null, { headers })),
  });
  await assertRejects(
    () => client.getInfo(),
    DecapodResponseError,
    "it is empty",
  );
});

Deno.test("DecapodConnectionError has a cause that part how much of the body arrived", async () => {
  await using server = new StandInServer();
  const headers = {
    "content-type": "application/json",
    "content-length": "100",
  };
  const client = server.client({
    retries: 0,
    fetch: () => Promise.resolve(new Response("{}", { headers })),
  });
  const error = await assertRejects(
    () => client.getInfo(),
    DecapodConnectionError,
  );
  assertInstanceOf(error.cause, Error);
  assertEquals(
    error.cause.message,
    "connection closed after 2 of 100 bytes",
  );
});

/** Statuses that Decapod itself does not send, and whether the URL is doubted. */
const HTML_STATUSES: [status: number, isUrlDoubted: boolean][] = [
  [400, true],
  [403, false], // it has a hint of its own
  [404, true],
  [405, true],
  [410, true],
  [407, false],
  [413, false],
  [429, false],
  [500, false],
  [502, false],
  [503, false],
];

Deno.test("DecapodAPIError asks to check the URL if the response is HTML of a status of other servers", async () => {
  for (const [status, isUrlDoubted] of HTML_STATUSES) {
    await using server = new TestServer(() =>
      new Response("<h1>Sorry</h1>", {
        status,
        headers: { "content-type": "text/html" },
      })
    );
    const client = server.client({ retries: 0 });
    const { message } = await assertRejects(
      () => client.login(),
      DecapodAPIError,
    );
    const hint = "check that the URL is that of the Decapod API";
    assertEquals(message.includes(hint), isUrlDoubted, message);
  }
});

Deno.test("DecapodAPIError says each text of an HTML page once", async () => {
  const title = "405 Not Allowed";
  const html = `<title>${title}</title><h1>${title}</h1><hr>nginx`;
  // HTTP/2 has no reason phrases, and not every proxy has that of nginx.
  for (const phrase of ["Not Allowed", "", "Method Not Allowed"]) {
    await using server = new RawServer(async (peer) => {
      await peer.request();
      const headers = { "content-type": "text/html" };
      await peer.send(http(`405 ${phrase}`, html, headers));
    });
    const { message } = await assertRejects(
      () => server.client().login(),
      DecapodAPIError,
      "nginx (check that the URL is that of the Decapod API)",
    );
    const texts = message.replaceAll("Method Not Allowed", "");
    assert(texts.split("Not Allowed").length <= 2, message);
  }
});

Deno.test("createCluster() says that a response with status 204 has no content", async () => {
  await using server = new TestServer(() =>
    new Response(null, { status: 204 })
  );
  const client = server.client({ headers: { authorization: "token" } });
  const error = await assertRejects(
    () => client.createCluster("ceph"),
    DecapodResponseError,
    "(status 204) has no content",
  );
  assertEquals(error.outcomeUnknown, true);
});

const LONG = "x".repeat(3000);

Deno.test("getUser() has messages of 500 characters at most, whatever is long", async () => {
  await using server = new TestServer((_, { path }) =>
    path.endsWith("/r/")
      ? new Response(null, { status: 302, headers: { location: `/${LONG}` } })
      : path.endsWith("/t/")
      ? new Response("", { headers: { "content-type": LONG } })
      : apiError(400, LONG, LONG)
  );
  const client = server.client({ headers: { authorization: "token" } });
  const down = makeClient("http://127.0.0.1:1", {
    headers: { authorization: "token" },
    retries: 0,
  });
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
    assert(/^(GET|DELETE) http:\/\/127\.0\.0\.1:\d+\/v1\//.test(message));
    assert(url && url.length > 20); // the whole one
  }
});

Deno.test("getServers() says how long the URL is if Decapod's nginx does not accept it", async () => {
  const ids = Array.from({ length: 200 }, () => crypto.randomUUID());
  const filter = { model_id: { in: ids } };
  await using server = new StandInServer(
    {},
    ({ path }) =>
      path === "/v1/server/"
        ? new Response("<h1>414 Request-URI Too Large</h1>", { status: 414 })
        : undefined,
  );
  const refused = await assertRejects(
    async () => await server.client().getServers({ filter }),
    DecapodAPIError,
    "filter by fewer values per request",
  );
  assertEquals(refused.code, 414);
  assertStringIncludes(refused.message, `${refused.url?.length} characters`);
  // The connection may break before the status arrives.
  await using broken = new RawServer(async (peer) => {
    await peer.firstByte();
  });
  const client = broken.client({
    headers: { authorization: "token" },
    retries: 0,
  });
  await assertRejects(
    async () => await client.getServers({ filter }),
    DecapodConnectionError,
    "filter by fewer values per request",
  );
});

Deno.test("getInfo() names a header that is too long for Decapod's nginx", async () => {
  await using server = new TestServer(() => new Response("", { status: 400 }));
  await assertRejects(
    () => server.client().getInfo({ headers: { "x-long": "x".repeat(5000) } }),
    DecapodAPIError,
    "the header x-long is too long",
  );
});

Deno.test("DecapodAPIError.stack names the caller of a listing once", async () => {
  await using server = new TestServer(() => apiError(404, "NotFound", "None"));
  const client = server.client({ headers: { authorization: "token" } });
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

Deno.test("createCluster() keeps the warning of an unknown outcome in a message of 500 characters", async () => {
  await using server = new TestServer(() =>
    apiError(500, "E".repeat(600), "m".repeat(600))
  );
  const client = server.client({ headers: { authorization: "token" } });
  const { message } = await assertRejects(
    () => client.createCluster("ceph"),
    DecapodAPIError,
  );
  assertEquals(message.length, 500);
  assert(
    message.endsWith(
      "; the change may have been applied, check before retrying",
    ),
  );
});
