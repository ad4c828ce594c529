/** The errors as users meet them: classes, fields, messages, JSON. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
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
import { apiError, StandInServer, TestServer } from "./support/server.ts";

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

/** One error of each class, and what is its own in its JSON. */
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
  Deno.test(`${name} has its name, its request and its JSON`, () => {
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

Deno.test("an error of waiting is a timeout", () => {
  const error = new DecapodWaitTimeoutError("Late", { states: {} });
  assertInstanceOf(error, DecapodTimeoutError);
  assertEquals(error.execution, undefined);
});

Deno.test("the cause is also there as exception, and not in the JSON", () => {
  const cause = new Error("refused");
  const error = new DecapodError("Sorry", { cause, outcomeUnknown: true });
  assertStrictEquals(error.cause, cause);
  assertStrictEquals(error.exception, cause);
  assertEquals(error.outcomeUnknown, true);
  assertEquals("cause" in error.toJSON(), false);
});

Deno.test("json has just these three", async () => {
  await using server = new StandInServer();
  const error = await assertRejects(
    () => server.client().getUser("11111111-1111-4111-8111-111111111111"),
    DecapodAPIError,
  );
  const { code, error: name, description } = error;
  assertEquals(error.json, { code, error: name, description });
  assertEquals([code, name], [404, "NotFound"]);
  assertEquals(Object.keys(error.json), ["code", "error", "description"]);
});

/** Error answers, and what becomes of them. */
const ANSWERS: {
  name: string;
  answer: Response;
  says: string;
  error: string;
  description: string;
}[] = [
  {
    name: "Decapod's own",
    answer: apiError(403, "Forbidden", "Access was forbidden!"),
    says: "403 Forbidden: Access was forbidden! (the method's documentation",
    error: "Forbidden",
    description: "Access was forbidden!",
  },
  {
    name: "several lines",
    answer: apiError(400, "InvalidJSONError", "'a' is short\n'b' is long"),
    says: "400 InvalidJSONError: 'a' is short 'b' is long",
    error: "InvalidJSONError",
    description: "'a' is short\n'b' is long",
  },
  {
    name: "no message",
    answer: apiError(400, "BadRequest", ""),
    says: "400 BadRequest",
    error: "BadRequest",
    description: "",
  },
  {
    name: "JSON with other fields",
    answer: Response.json({ detail: "no" }, { status: 400 }),
    says: "400 Bad Request",
    error: "Bad Request",
    description: "",
  },
  {
    name: "JSON with fields of other types",
    answer: Response.json({ error: 5, message: ["no"] }, { status: 400 }),
    says: "400 Bad Request",
    error: "Bad Request",
    description: "",
  },
  {
    name: "a JSON text",
    answer: Response.json("no", { status: 400 }),
    says: '400 Bad Request: "no"',
    error: "Bad Request",
    description: '"no"',
  },
  {
    name: "HTML",
    answer: new Response(
      "<html><head><title>502</title></head>\n<body>Try <b>later</b></body>",
      { status: 502, headers: { "content-type": "text/html" } },
    ),
    says: "502 Bad Gateway: 502 Try later",
    error: "Bad Gateway",
    description: "502 Try later",
  },
  {
    name: "HTML that is too long",
    answer: new Response(`<p>${"x".repeat(600_000)}`, { status: 502 }),
    says: `502 Bad Gateway: ${"x".repeat(500)}…`,
    error: "Bad Gateway",
    description: `${"x".repeat(500)}…`,
  },
  {
    name: "nothing",
    answer: new Response(null, { status: 500 }),
    says: "500 Internal Server Error",
    error: "Internal Server Error",
    description: "",
  },
];

for (const { name, answer, says, error, description } of ANSWERS) {
  Deno.test(`an error answer with ${name}`, async () => {
    await using server = new TestServer(() => answer);
    const client = server.client({ retries: 0 });
    const thrown = await assertRejects(() => client.getInfo(), DecapodAPIError);
    const { message } = thrown;
    assertEquals(
      message.slice(0, `GET ${server.url}/v1/info/: ${says}`.length),
      `GET ${server.url}/v1/info/: ${says}`,
    );
    assertEquals(message.includes("\n"), false);
    assertEquals(thrown.error, error);
    assertEquals(thrown.description, description);
    assertEquals(thrown.code, answer.status);
  });
}

Deno.test("an error that has no name and no phrase has its status", async () => {
  await using server = new StandInServer();
  const client = server.client({
    retries: 0,
    fetch: () => Promise.resolve(new Response("", { status: 599 })),
  });
  const error = await assertRejects(() => client.getInfo(), DecapodAPIError);
  assertEquals(error.error, "599");
  assertEquals(error.message, `GET ${server.url}/v1/info/: 599`);
});

Deno.test("a redirect without a Location, as browsers show it", async () => {
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

Deno.test("a body of no length at all is an empty one", async () => {
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

Deno.test("a connection that ends too early says how far it came", async () => {
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
