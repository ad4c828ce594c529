/** Runs the suite on Node, whose fetch needs undici for TLS and proxies. */
import { createRequire } from "node:module";
import process from "node:process";
import { DecapodTimeoutError } from "@decapod/decapodlib";
import { connectToFault, open } from "./clients.ts";
import {
  assertEquals,
  assertRejects,
  section,
  type Settings,
  test,
} from "./kit.ts";
import { printResults } from "./suite.ts";
import { undiciFetch } from "./tls.ts";

/** What is used of the npm package undici. */
interface Undici {
  Agent: new (options: object) => object;
  ProxyAgent: new (options: object) => object;
  Headers: typeof Headers;
  fetch: (url: string, init: object) => Promise<Response>;
  getGlobalDispatcher(): object;
  setGlobalDispatcher(dispatcher: object): void;
}

// Loads Node's own fetch, whose dispatcher undici would set otherwise.
new Headers();
const undici: Undici = createRequire(import.meta.url)("undici");
const text = process.env.SETTINGS ?? "";
const { pem, proxy }: Settings = JSON.parse(text);

/** A fetch as the documentation shows it. */
function fetchThrough(dispatcher: object) {
  return (url: string, init: RequestInit) =>
    undici.fetch(url, { ...init, dispatcher });
}

undiciFetch.tls = ({ verify = true, ...texts }) =>
  fetchThrough(
    new undici.Agent({ connect: { ...texts, rejectUnauthorized: verify } }),
  );
undiciFetch.proxy = fetchThrough(
  new undici.ProxyAgent({ uri: proxy, requestTls: { ca: pem.ca } }),
);

section("node");

test("timeout of Node's own fetch is not retried", async (settings) => {
  const original = undici.getGlobalDispatcher();
  const short = { headersTimeout: 100, bodyTimeout: 100 };
  undici.setGlobalDispatcher(new undici.Agent(short));
  const message = /own limit of 300 s .*pass a fetch with longer limits/;
  let attempts = 0;
  const options = { onAttempt: () => attempts++ };
  try {
    // At once: undici's timers take a second.
    await Promise.all(["hang", "hang-body"].flatMap((fault) => {
      const client = connectToFault(settings, fault, options);
      const calls = [() => client.getInfo(), () => client.createCluster("one")];
      return calls.map(async (call, index) => {
        const error = await assertRejects(call, DecapodTimeoutError, message);
        assertEquals(error.outcomeUnknown, index === 1);
      });
    }));
    assertEquals(attempts, 4);
  } finally {
    undici.setGlobalDispatcher(original);
  }
});

test("headers accept the Headers of undici", async (settings) => {
  const { server, client } = await open(settings);
  const headers = new undici.Headers([["X-One", "1"]]);
  await client.getInfo({ headers });
  const [request] = await server.received();
  assertEquals(request?.headers["x-one"], "1");
});

await printResults(text, import.meta.resolve("@decapod/decapodlib"));
