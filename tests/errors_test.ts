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
const ERRORS: [DecapodError, own?: Record<string, unknown>][] = [
  [new DecapodError("Sorry", REQUEST)],
  [new DecapodConnectionError("Sorry", REQUEST)],
  [new DecapodTimeoutError("Sorry", REQUEST)],
  [new DecapodResponseError("Sorry", REQUEST)],
  [new DecapodAPIError("Sorry", { ...REQUEST, ...API }), API],
  [new DecapodExecutionError("Sorry", { ...REQUEST, ...FAILED }), FAILED],
  [new DecapodWaitTimeoutError("Sorry", { ...REQUEST, ...LATE }), LATE],
];

for (const [error, own] of ERRORS) {
  const { name } = error.constructor;
  Deno.test(`${name} has a name, the request and JSON`, () => {
    assertInstanceOf(error, DecapodError);
    assertInstanceOf(error, Error);
    const isTimeout = error instanceof DecapodTimeoutError;
    assertEquals(isTimeout, name.endsWith("TimeoutError"));
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

const SHORTENED = `${"x".repeat(150)}…${"x".repeat(149)}`;

/** Statuses, reason phrases, pages, and the message and the text of the error. */
const PAGES: [number, string, string | null, shown: string, text?: string][] = [
  [502, "", "<style>p{}</style>\n<b>Not</b> now", "502: Not now", "Not now"],
  [502, "", `<p>${"x".repeat(600_000)}`, `502: ${"x".repeat(100)}`, SHORTENED],
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
  const type = { value: "opaqueredirect" };
  const fields = { type, ok: { value: false }, status: { value: 0 } };
  const redirect = Object.defineProperties(Response.json({}), fields);
  const responses: [Response, part: string][] = [
    [typed("application/json", null), "it is empty"],
    [redirect, "a redirect to another place, which would lose"],
  ];
  for (const [response, part] of responses) {
    const client = stubClient(() => response);
    await assertRejects(() => client.getInfo(), DecapodResponseError, part);
  }
});

Deno.test("DecapodAPIError asks to check the URL if an HTML response has status 400, 404, 405 or 410", async () => {
  const statuses = [400, 403, 404, 405, 407, 410, 413, 429, 500, 502, 503];
  const doubted: number[] = [];
  for (const status of statuses) {
    const { message } = await errorOf(reply(status, "", "<h1>Sorry</h1>"));
    if (message.includes(TIP)) doubted.push(status);
  }
  assertEquals(doubted, [400, 404, 405, 410]); // 403 has a hint of its own
});

const LONG = "x".repeat(3000);

Deno.test("DecapodError has 500 characters at most, whatever is long, and the warning of an unknown outcome", async () => {
  const client = stubClient((url) =>
    url.endsWith("/r/")
      ? new Response(null, { status: 302, headers: { location: `/${LONG}` } })
      : url.endsWith("/t/")
      ? typed(LONG, "")
      : apiError(url.endsWith("/cluster/") ? 500 : 400, LONG, "m".repeat(600))
  );
  const down = makeClient(CLOSED, { ...LOGGED_IN, retries: 0 });
  const calls: [call: () => PromiseLike<unknown>, outcomeUnknown?: boolean][] =
    [
      [() => client.getUser(LONG)],
      [() => client.getUser("short")],
      [() => client.getUser("r")],
      [() => client.getUser("t")],
      [() => client.deleteUser(LONG)],
      [() => client.getUsers({ filter: { login: { in: [LONG] } } })],
      [() => down.deleteUser(LONG)],
      [() => down.getUser(LONG)],
      [() => client.createCluster("ceph"), true],
    ];
  const warning = "; the change may have been applied, check before retrying";
  for (const [call, outcomeUnknown = false] of calls) {
    const { message, url } = await assertRejects(
      async () => await call(),
      DecapodError,
    );
    assertLess(message.length, 501, message);
    assertMatch(message, /^(GET|DELETE|POST) http:\/\/[\w.]+(:\d+)?\/v1\//);
    assertEquals(message.endsWith(warning), outcomeUnknown, message);
    assert(url && url.length > 20); // the whole one
  }
});

const IDS = Array.from({ length: 200 }, () => crypto.randomUUID());

const getServers = async (client: V1Client) =>
  await client.getServers({ filter: { model_id: { in: IDS } } });

const HINT = "filter by fewer values per request";

/** Requests that are too long for Decapod's nginx, its status and the hint. */
const TOO_LONG: [(client: V1Client) => Promise<unknown>, number, string][] = [
  [getServers, 414, HINT],
  [
    (client) => client.getInfo({ headers: { "x-long": LONG.repeat(2) } }),
    400,
    "the header x-long is too long",
  ],
  [
    (client) => client.getUser(LONG.repeat(2)),
    414,
    "accepts about 4096: shorten it",
  ],
];

Deno.test("DecapodError says what is too long for Decapod's nginx", async () => {
  for (const [call, status, hint] of TOO_LONG) {
    const { url, message } = await errorOf(reply(status, "", ""), call);
    assertStringIncludes(message, hint);
    if (status === 414) assertStringIncludes(message, `${url?.length} char`);
  }
  // The connection may break before the status arrives.
  await using broken = new RawServer((peer) => peer.firstByte());
  const options = { ...LOGGED_IN, retries: 0 };
  const outcomes: [V1Client, isHinted: boolean][] = [
    [broken.client(options), true],
    [makeClient(CLOSED, options), false],
    [stubClient(() => apiError(400, "BadRequest", "No")), false],
  ];
  for (const [client, isHinted] of outcomes) {
    const { message } = await assertRejects(
      () => getServers(client),
      DecapodError,
    );
    assertEquals(message.includes(HINT), isHinted, message);
  }
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
    assertEquals(stack?.split(`at ${caller.name} `).length, 2, stack);
  }
});

Deno.test("addCaller() appends the caller's frames although each stack on Node ends in the same frame", () => {
  const tick = "    at process.processTicksAndRejections (node:internal:95:5)";
  const error = new DecapodError("failed");
  error.stack = `DecapodError: failed\n    at send (lib.js:1:1)\n${tick}`;
  const stack = `Error\n    at list (lib.js:2:2)\n    at main (mine.js:3:3)`;
  const caller = Object.assign(new Error(), { stack: `${stack}\n${tick}` });
  addCaller(error, caller);
  addCaller(error, caller);
  assertEquals(error.stack.split("mine.js").length, 2);
});
