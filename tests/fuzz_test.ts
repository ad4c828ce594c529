/**
 * Tests with random responses: every call ends in a result or an error of the
 * library, soon and in little memory.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  DecapodAPIError,
  DecapodError,
  type JsonValue,
  type V1Client,
} from "../mod.ts";
import { Fuzzer } from "./faults/fuzzer.ts";
import type { Fetch } from "./faults/injector.ts";
import { OPERATIONS } from "./operations.ts";
import { fixedRandom } from "./support/patch.ts";
import { makeClient } from "./support/server.ts";
import { openWorld } from "./support/world.ts";

/** The seed of all random values. */
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? 0);

/** A client that does not retry. */
function client(fetch: Fetch): V1Client {
  return makeClient("http://decapod", { retries: 0, timeout: 2000, fetch });
}

/** The error of a call with this response. */
async function errorOf(body: BodyInit, init: ResponseInit) {
  const failing = client(() => Promise.resolve(new Response(body, init)));
  const call = () => failing.getInfo({ timeout: 1000 });
  return await assertRejects(call, DecapodAPIError);
}

/** Responds to logins as Decapod, to all else with the function. */
const loggedIn = (answer: (url: string) => Response): Fetch => (url, init) =>
  Promise.resolve(
    url.endsWith("/v1/auth/") && init.method === "POST"
      ? Response.json({ id: crypto.randomUUID(), model: "token", data: {} })
      : answer(url),
  );

/** Fails unless the outcome is a result or an error that is safe to print. */
async function assertSafe(work: Promise<unknown>, what: string): Promise<void> {
  try {
    await work;
  } catch (error) {
    // An edit cannot write back an integer that JavaScript cannot hold.
    const isUnsafeInteger = error instanceof TypeError &&
      error.message.includes("which is beyond 2^53 - 1");
    if (isUnsafeInteger && what.startsWith("edit")) return;
    if (!(error instanceof DecapodError)) {
      throw new Error(`${what}: ${Deno.inspect(error)}`);
    }
    assert(!/[\p{Cc}\p{Zl}\p{Zp}]/u.test(error.message), `${what}: one line`);
    assert(error.message.length <= 500, `${what}: a short message`);
    JSON.stringify(error);
    if (error instanceof DecapodAPIError) {
      const { code, error: name, description, json } = error;
      const types = [code, name, description].map((field) => typeof field);
      assertEquals(types, ["number", "string", "string"], what);
      const keys = ["code", "error", "message", "description"];
      assertEquals(Object.keys(json), keys, what);
    }
  }
  const keys: string[] = [];
  for (const key in {}) keys.push(key);
  assertEquals(keys, [], `${what}: nothing is added to Object.prototype`);
}

Deno.test("V1Client returns or rejects with a DecapodError if a random part of a response is replaced", async () => {
  using _ = fixedRandom(0);
  const fuzzer = new Fuzzer(SEED + 1);
  let runs = 0;
  for (const { name, run, waits } of OPERATIONS) {
    for (let round = 0; round < (waits ? 12 : 25); round++) {
      const world = await openWorld();
      const abort = new AbortController();
      let mutated = "";
      let requests = 0;
      const fuzzed = client(async (url, init) => {
        if (++requests === 200) abort.abort(new DecapodError("Enough"));
        const response = await world.standIn.fetch(url, init);
        if (requests > 60 || fuzzer.oneIn(3)) return response;
        const text = await response.text();
        if (!/^[{[]/.test(text)) return new Response(text, response);
        const value: JsonValue = JSON.parse(text);
        mutated = JSON.stringify(fuzzer.mutate(value));
        const { status, headers } = response;
        headers.delete("content-length");
        return new Response(mutated, { status, headers });
      });
      runs++;
      await assertSafe(
        run(fuzzed, world, { signal: abort.signal }),
        `${name} ${round}, ${mutated.slice(0, 300)}`,
      );
      assert(requests <= 200, `${name} ends`);
    }
  }
  console.log(`▸ fuzz: ${runs} runs with mutated responses`);
});

const TYPES = ["application/json", "text/html", "text/plain"];
const HEADERS =
  "content-type content-length location retry-after content-encoding"
    .split(" ");

Deno.test("V1Client returns or rejects with a one-line DecapodError for random statuses, headers and bodies", async () => {
  using _ = fixedRandom(0);
  const fuzzer = new Fuzzer(SEED + 2);
  const world = await openWorld();
  const operations = OPERATIONS.filter(({ waits }) => !waits);
  for (let round = 0; round < 3000; round++) {
    const { name, run } = fuzzer.pick(operations);
    let requests = 0;
    const answer = () => {
      requests++;
      const status = fuzzer.oneIn(2) ? 200 : 200 + fuzzer.below(400);
      const headers = new Headers();
      for (const header of HEADERS) {
        if (fuzzer.oneIn(3)) headers.set(header, fuzzer.header());
      }
      if (fuzzer.oneIn(2)) headers.set("content-type", fuzzer.pick(TYPES));
      const isEmpty = [204, 205, 304].includes(status);
      const body = fuzzer.oneIn(3) ? fuzzer.bytes() : fuzzer.jsonText();
      return new Response(isEmpty ? null : body, { status, headers });
    };
    const always: Fetch = () => Promise.resolve(answer());
    const fuzzed = client(fuzzer.oneIn(2) ? loggedIn(answer) : always);
    await assertSafe(run(fuzzed, world), `${name} ${round}`);
    assert(requests < 100, `${name} ${round} ends`);
  }
});

Deno.test("DecapodAPIError.retryAfter is between 0 and 30 s whatever the header", async () => {
  const fuzzer = new Fuzzer(SEED + 4);
  for (let round = 0; round < 300; round++) {
    const value = fuzzer.header();
    const headers = { "retry-after": value };
    const error = await errorOf("", { status: 503, headers });
    const { code, retryAfter: wait = 0 } = error;
    assertEquals(code, 503);
    assert(wait >= 0 && wait <= 30_000, `"${value}" is ${wait} ms`);
  }
});

Deno.test("Listing ends whatever items, totals and page numbers the server sends", async () => {
  using _ = fixedRandom(0);
  const fuzzer = new Fuzzer(SEED + 5);
  const listings: [string, (client: V1Client) => AsyncIterable<unknown>][] = [
    ["models", (client) => client.getClusters({ perPage: 3 })],
    ["page 3", (client) => client.getClusters({ page: 3, perPage: 3 })],
    ["sorted", (client) => client.getClusters({ sortBy: { name: 1 } })],
    ["versions", (client) => client.getClusterVersions("a", { perPage: 3 })],
    ["steps", (client) => client.getExecutionSteps("a", { perPage: 3 })],
    ["all", (client) => client.getClusters({ all: true })],
  ];
  const maxRequests = 3000;
  for (let round = 0; round < 600; round++) {
    const [name, list] = fuzzer.pick(listings);
    const stock = Array.from({ length: 1 + fuzzer.below(20) }, (_, number) => ({
      id: `item${String(number).padStart(3, "0")}`,
      version: 1 + fuzzer.below(3),
      data: {},
    }));
    const mode = fuzzer.pick(["about numbers", "of one page", "at random"]);
    const number = () => fuzzer.oneIn(5) ? fuzzer.json(0) : fuzzer.below(30);
    let requests = 0;
    const lyingClient = client(loggedIn((url) => {
      if (++requests > maxRequests) return new Response("", { status: 400 });
      const { searchParams } = new URL(url);
      const page = Number(searchParams.get("page") ?? 1);
      const size = Number(searchParams.get("per_page") ?? 25);
      if (mode === "of one page") {
        const items = stock.slice(0, size);
        return Response.json({ items, total: 1e6, page, per_page: size });
      }
      const items = mode === "about numbers"
        ? stock.slice((page - 1) * size, page * size)
        : stock.filter(() => fuzzer.oneIn(2)).slice(0, fuzzer.below(8));
      if (fuzzer.oneIn(2)) items.reverse();
      return Response.json({
        items,
        total: number(),
        page: fuzzer.oneIn(2) ? page : number(),
        per_page: fuzzer.oneIn(2) ? size : number(),
      });
    }));
    const reading = Array.fromAsync(list(lyingClient));
    await assertSafe(reading, `${name} ${round}`);
    assert(requests <= maxRequests, `${name} ${round} comes to an end`);
  }
});

Deno.test("DecapodAPIError reads about 64 KiB of an endless body and cancels it", async () => {
  for (const type of ["text/html", "application/json"]) {
    let given = 0;
    let canceled = false;
    const chunk = new TextEncoder().encode('{"message": "'.padEnd(1000, "x"));
    const body = ReadableStream.from((async function* () {
      try {
        for (;; given += chunk.length) yield chunk;
      } finally {
        canceled = true;
      }
    })());
    const headers = { "content-type": type };
    const error = await errorOf(body, { status: 500, headers });
    assertEquals([error.code, canceled], [500, true]);
    assert(given <= 64 * 1024 + 3 * chunk.length, `${given} bytes were read`);
    assert(JSON.stringify(error).length < 200_000);
  }
});

Deno.test("DecapodAPIError is created within its time limit from 64 KiB of hostile text", async () => {
  const length = 64 * 1024;
  const hostile = [
    ...["\\", "<", "<a", "<!--", "\\u", "%", "\r\n ", "\u2028", "secret"],
  ];
  for (const part of hostile) {
    const text = part.repeat(length / part.length);
    const bodies = {
      "text/html": text,
      "application/json": JSON.stringify({ error: text, message: text }),
    };
    for (const [type, body] of Object.entries(bodies)) {
      const start = performance.now();
      await errorOf(body, { status: 500, headers: { "content-type": type } });
      const elapsed = performance.now() - start;
      assert(elapsed < 1250, `${part}: the deadline holds, ${elapsed} ms`);
    }
  }
});
