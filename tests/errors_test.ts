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
  type JsonValue,
  type V1Client,
} from "../mod.ts";
import { addCaller } from "../internal/caller.ts";
import { ID } from "./support/execution.ts";
import { RawServer } from "./support/raw.ts";
import { apiError, json, makeClient } from "./support/server.ts";
import { CLOSED, LOGGED_IN, stubClient, typed } from "./support/stub.ts";
import { untyped } from "./support/untyped.ts";

const EXECUTION: Execution = untyped({ id: ID, data: { state: "failed" } });

const REQUEST = { method: "POST", url: "http://decapod.example/v1/user/" };
const API = { code: 503, error: "Busy", description: "Wait", retryAfter: 5000 };
const FAILED = { execution: EXECUTION, failedSteps: [] };
const LATE = { execution: EXECUTION, states: { failed: 1 } };

/** One error of each class, and the fields of its own. */
const ERRORS: Record<string, [DecapodError, Record<string, unknown>?]> = {
  DecapodError: [new DecapodError("Sorry", REQUEST)],
  DecapodConnectionError: [new DecapodConnectionError("Sorry", REQUEST)],
  DecapodTimeoutError: [new DecapodTimeoutError("Sorry", REQUEST)],
  DecapodResponseError: [new DecapodResponseError("Sorry", REQUEST)],
  DecapodAPIError: [new DecapodAPIError("Sorry", { ...REQUEST, ...API }), API],
  DecapodExecutionError: [
    new DecapodExecutionError("Sorry", { ...REQUEST, ...FAILED }),
    FAILED,
  ],
  DecapodWaitTimeoutError: [
    new DecapodWaitTimeoutError("Sorry", { ...REQUEST, ...LATE }),
    LATE,
  ],
};

for (const [name, [error, own]] of Object.entries(ERRORS)) {
  Deno.test(`${name} has a name, the request and JSON`, () => {
    assertInstanceOf(error, DecapodError);
    assertInstanceOf(error, Error);
    assertEquals(String(error), `${name}: Sorry`);
    assertEquals("cause" in error, false);
    assertEquals(error.exception, undefined);
    const message = "Sorry";
    const fields = { name, message, ...REQUEST, outcomeUnknown: false, ...own };
    assertEquals(JSON.parse(JSON.stringify(error)), fields);
    assertObjectMatch(error, fields);
    assert(error.stack?.startsWith(`${name}: Sorry`) ?? true);
  });
}

Deno.test("DecapodWaitTimeoutError is a DecapodTimeoutError", () => {
  assertInstanceOf(ERRORS.DecapodWaitTimeoutError?.[0], DecapodTimeoutError);
});

Deno.test("DecapodError.exception is the cause, which is not in the JSON", () => {
  const cause = new Error("refused");
  const error = new DecapodError("Sorry", { cause, outcomeUnknown: true });
  assertStrictEquals(error.cause, cause);
  assertStrictEquals(error.exception, cause);
  assertEquals(error.outcomeUnknown, true);
  assertEquals("cause" in error.toJSON(), false);
});

/** The error of a call that receives this response. */
const errorOf = (
  response: Response,
  call: (client: V1Client) => PromiseLike<unknown> = (client) =>
    client.getInfo(),
) =>
  assertRejects(
    async () => await call(stubClient(() => response, { retries: 0 })),
    DecapodAPIError,
  );

Deno.test("DecapodAPIError.json is what the server sent, with the description", async () => {
  const error = await errorOf(apiError(404, "NotFound", "Nobody"));
  const { code, error: name, description, json } = error;
  assertEquals([code, name, description], [404, "NotFound", "Nobody"]);
  const sent = { code, error: name, message: "Nobody" };
  assertEquals({ ...json }, { ...sent, description });
});

/** A response with a reason phrase. */
const reply = (status: number, statusText: string, text: BodyInit | null) =>
  new Response(text, { status, statusText });

/** Fails unless an error has this message after the URL, and these fields. */
async function assertDescribed(
  response: Response,
  shown: string,
  name: string,
  text = "",
): Promise<void> {
  const { message, code, error, description } = await errorOf(response);
  const start = `GET http://decapod.example/v1/info/: ${shown}`;
  assertEquals(message.slice(0, start.length), start);
  assertEquals(message.includes("\n"), false);
  assertEquals([error, description], [name, text]);
  assertEquals(code, response.status);
}

/** Bodies in JSON, and the message, name and description of the error. */
const BODIES: [JsonValue, shown: string, name: string, text?: string][] = [
  [{ error: "Wrong", message: "a\nb" }, "400 Wrong: a b", "Wrong", "a\nb"],
  [{ error: "Wrong", message: "400 a" }, "400 Wrong: 400 a", "Wrong", "400 a"],
  [{ error: 5, message: ["no"] }, "400 Bad", "Bad"],
  ["no", '400 Bad: "no"', "Bad", '"no"'],
];

Deno.test("DecapodAPIError shows the name and the message of Decapod's error on one line", async () => {
  const forbidden = apiError(403, "Forbidden", "No");
  const shown = "403 Forbidden: No (the method's documentation";
  await assertDescribed(forbidden, shown, "Forbidden", "No");
  for (const [body, ...expected] of BODIES) {
    const response = json(body, { status: 400, statusText: "Bad" });
    await assertDescribed(response, ...expected);
  }
});

const TIP = "(check that the URL points to the Decapod API)";
const NOT_FOUND = "<title>404 Not Found</title><h1>404 Not Found</h1>";
const NGINX = "<title>405 Not Allowed</title><h1>405 Not Allowed</h1>nginx";

/** Statuses, reason phrases, pages, and the message and the text of the error. */
const PAGES: [number, string, string | null, shown: string, text?: string][] = [
  [502, "", "<style>p{}</style>\n<b>Not</b> now", "502: Not now", "Not now"],
  [
    502,
    "",
    `<p>${"x".repeat(600_000)}`,
    `502: ${"x".repeat(100)}`,
    `${"x".repeat(150)}…${"x".repeat(149)}`,
  ],
  [404, "Not Found", NOT_FOUND, `404 Not Found ${TIP}`],
  [404, "Not Found", "<h1>Not Found</h1>Not Found", `404 Not Found ${TIP}`],
  [405, "Not Allowed", NGINX, `405 Not Allowed: nginx ${TIP}`, "nginx"],
  // HTTP/2 has no reason phrases, and a proxy may have its own.
  [405, "", NGINX, `405: Not Allowed nginx ${TIP}`, "Not Allowed nginx"],
  [405, "Oops", NGINX, `405 Not Allowed nginx ${TIP}`, "405 Not Allowed nginx"],
  [413, "Large", "", "413 Large (the proxy in front of Decapod accepts less"],
  [500, "Sorry", null, "500 Sorry"],
  [599, "", "", "599"],
];

Deno.test("DecapodAPIError shows the text of a page of another server once, without tags", async () => {
  for (const [status, reason, page, shown, text] of PAGES) {
    const response = reply(status, reason, page);
    await assertDescribed(response, shown, reason || `${status}`, text);
  }
  const headers = { "content-encoding": "deflate" }; // it is not undone
  const encoded = new Response("garbage", { status: 500, headers });
  await assertDescribed(encoded, "500", "500");
});

Deno.test("DecapodResponseError describes an empty response and a redirect as browsers show it", async () => {
  const redirect = Object.defineProperties(Response.json({}), {
    type: { value: "opaqueredirect" },
    ok: { value: false },
    status: { value: 0 },
  });
  const responses: [Response, part: string][] = [
    [typed("application/json", null), "it is empty"],
    [redirect, "a redirect to another place, which would lose"],
  ];
  for (const [response, part] of responses) {
    const client = stubClient(() => response);
    await assertRejects(() => client.getInfo(), DecapodResponseError, part);
  }
});

Deno.test("DecapodAPIError asks to check the URL if the response is HTML of a status of other servers", async () => {
  const statuses = [400, 403, 404, 405, 407, 410, 413, 429, 500, 502, 503];
  const doubted: number[] = [];
  for (const status of statuses) {
    const { message } = await errorOf(reply(status, "", "<h1>Sorry</h1>"));
    if (message.includes(TIP)) doubted.push(status);
  }
  assertEquals(doubted, [400, 404, 405, 410]); // 403 has a hint of its own
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
  const response = apiError(500, LONG, "m".repeat(600));
  const { message } = await errorOf(
    response,
    (client) => client.createCluster("ceph"),
  );
  assertEquals(message.length, 500);
  const warning = "; the change may have been applied, check before retrying";
  assert(message.endsWith(warning));
});

Deno.test("getServers() says how long the URL is if Decapod's nginx does not accept it", async () => {
  const ids = Array.from({ length: 200 }, () => crypto.randomUUID());
  const getServers = async (client: V1Client) =>
    await client.getServers({ filter: { model_id: { in: ids } } });
  const hint = "filter by fewer values per request";
  const { url, message } = await errorOf(reply(414, "", ""), getServers);
  assertStringIncludes(message, `${url?.length} characters`);
  assertStringIncludes(message, hint);
  // The connection may break before the status arrives.
  await using broken = new RawServer((peer) => peer.firstByte());
  await assertRejects(
    () => getServers(broken.client({ ...LOGGED_IN, retries: 0 })),
    DecapodConnectionError,
    hint,
  );
  const others = [
    makeClient(CLOSED, { ...LOGGED_IN, retries: 0 }),
    stubClient(() => apiError(400, "BadRequest", "No")),
  ];
  for (const other of others) {
    const { message } = await assertRejects(
      () => getServers(other),
      DecapodError,
    );
    assert(!message.includes("characters"), message);
  }
});

Deno.test("DecapodAPIError names a header or a path that is too long for Decapod's nginx", async () => {
  const headers = { "x-long": LONG.repeat(2) };
  const ofHeader = await errorOf(
    reply(400, "", ""),
    (client) => client.getInfo({ headers }),
  );
  assertStringIncludes(ofHeader.message, "the header x-long is too long");
  const ofPath = await errorOf(
    reply(414, "", ""),
    (client) => client.getUser(LONG.repeat(2)),
  );
  assertStringIncludes(ofPath.message, "accepts about 4096: shorten it");
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
