/** Options that callers pass in: headers, hooks, signals, their own fetch. */
import {
  type ClientOptions,
  DecapodAPIError,
  DecapodTimeoutError,
} from "@decapod/decapodlib";
import { connect, connectToFault, open } from "./clients.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  openServer,
  rejection,
  section,
  test,
  within,
} from "./kit.ts";

section("headers");

/** A Headers class of another library. */
class ForeignHeaders {
  readonly #pairs: [string, string][];

  constructor(pairs: [string, string][]) {
    this.#pairs = pairs;
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.#pairs[Symbol.iterator]();
  }
}

const PAIRS: [string, string][] = [
  ["X-One", "1"],
  ["Authorization", "own"],
];

const HEADERS: Record<string, () => NonNullable<ClientOptions["headers"]>> = {
  "an object": () => Object.fromEntries(PAIRS),
  "a Headers": () => new Headers(PAIRS),
  "a Headers of another library": () => new ForeignHeaders(PAIRS),
  "a Map": () => new Map(PAIRS),
  "an array of pairs": () => PAIRS,
  "a generator": function* () {
    yield* PAIRS;
  },
};

for (const [name, create] of Object.entries(HEADERS)) {
  test(`headers accept ${name} and are sent with each request`, async (settings) => {
    const server = await openServer(settings);
    const own = connect(server, { headers: create() });
    const refused = () =>
      assertRejects(() => own.getUserSelf(), DecapodAPIError, /401/);
    await refused();
    await refused();
    await server.respondWith({ status: 503 });
    const client = connect(server);
    await client.getInfo({ headers: create() });
    const received = await server.received();
    assertEquals(
      received.map(({ headers }) => [headers["x-one"], headers.authorization]),
      Array.from({ length: 4 }, () => ["1", "own"]),
    );
  });
}

section("onAttempt");

const HOOKS: Record<string, () => unknown> = {
  "throws": () => {
    throw new Error("The hook failed");
  },
  "rejects": () => Promise.reject(new Error("The hook failed")),
  "rejects later": async () => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    throw new Error("The hook failed");
  },
  "returns a thenable that rejects": () => ({
    then: (_resolve: unknown, reject: (error: Error) => void) =>
      reject(new Error("The hook failed")),
  }),
};

for (const [name, onAttempt] of Object.entries(HOOKS)) {
  test(`onAttempt that ${name} changes nothing`, async (settings) => {
    const { client } = await open(settings, { client: { onAttempt } });
    assertEquals((await client.getUserSelf()).data.login, "root");
    await assertRejects(() => client.getUser("none"), DecapodAPIError);
    // An unhandled rejection would end the program.
    await new Promise((resolve) => setTimeout(resolve, 20));
  });
}

section("signals");

test("signal of a dozen calls has one listener, and none afterwards", async (settings) => {
  const { process } = globalThis as {
    process?: {
      on?(event: "warning", listener: (warning: Error) => void): unknown;
    };
  };
  const warnings: string[] = [];
  process?.on?.("warning", ({ name }) => warnings.push(name));
  const { server, client } = await open(settings);
  const { signal } = new AbortController();
  const listeners = countListeners(signal);
  await server.respondWith({ isHeld: true });
  const calls = Array.from(
    { length: 12 },
    () => client.getUserSelf({ signal }),
  );
  await server.held();
  assertEquals(listeners(), 1);
  await server.release();
  await Promise.all(calls);
  assertEquals(listeners(), 0);
  assertEquals(warnings, []);
});

/** Counts the listeners that are added to a signal and not removed. */
function countListeners(signal: AbortSignal): () => number {
  const listeners = new Set<unknown>();
  const { addEventListener, removeEventListener } = signal;
  Object.assign(signal, {
    addEventListener(...args: Parameters<typeof addEventListener>) {
      listeners.add(args[1]);
      Reflect.apply(addEventListener, signal, args);
    },
    removeEventListener(...args: Parameters<typeof removeEventListener>) {
      listeners.delete(args[1]);
      Reflect.apply(removeEventListener, signal, args);
    },
  });
  return () => listeners.size;
}

section("fetch");

/** Fetches that do not honour the signal. */
const DEAF: Record<string, typeof fetch> = {
  "that never settles": () => new Promise(() => {}),
  "whose body never ends": () =>
    Promise.resolve(
      new Response(
        new ReadableStream({
          start: (controller) =>
            controller.enqueue(new TextEncoder().encode("{")),
        }),
        { headers: { "content-type": "application/json" } },
      ),
    ),
};

for (const [name, deaf] of Object.entries(DEAF)) {
  for (const isBefore of [true, false]) {
    const when = isBefore ? "before" : "after";
    test(`timeout and signal end a global fetch ${name}, replaced ${when} the client was created`, async (settings) => {
      const original = globalThis.fetch;
      try {
        if (isBefore) globalThis.fetch = deaf;
        const client = connectToFault(settings, "hang", { retries: 0 });
        globalThis.fetch = deaf;
        for (
          const call of [
            (options: object) => client.getInfo(options),
            (options: object) => client.createCluster("one", options),
            (options: object) => client.deleteCluster("id", options),
          ]
        ) {
          const timedOut = assertRejects(
            () => call({ timeout: 50 }),
            DecapodTimeoutError,
          );
          await within(1000, timedOut);
          const controller = new AbortController();
          const reason = new Error("enough");
          const aborted = rejection(() => call({ signal: controller.signal }));
          controller.abort(reason);
          assert(
            await within(1000, aborted) === reason,
            "Expected the signal's reason",
          );
        }
      } finally {
        globalThis.fetch = original;
      }
    });
  }
}

test("fetch may return a response with text() and without a web stream", async (settings) => {
  const server = await openServer(settings);
  /** As node-fetch does: the body is a stream of another kind. */
  const poorFetch = async (url: string, init: RequestInit) => {
    const response = await fetch(url, init);
    return {
      ok: response.ok,
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
      type: response.type,
      body: {},
      text: () => response.text(),
    };
  };
  const options = {};
  Object.assign(options, { fetch: poorFetch });
  const client = connect(server, options);
  assertEquals((await client.getUserSelf()).data.login, "root");
  const error = await assertRejects(
    () => client.getUser("11111111-1111-4111-8111-111111111111"),
    DecapodAPIError,
  );
  assertEquals(error.error, "NotFound");
  await client.logout();
});
