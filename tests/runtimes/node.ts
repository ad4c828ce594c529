/** What programs on Node combine the client with. */
import { Readable } from "node:stream";
import { DecapodTimeoutError } from "@decapod/decapodlib";
import { connect, connectToFault, open, seedExecution } from "./clients.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  LOG_LINES,
  openServer,
  section,
  test,
} from "./kit.ts";

/** What is used of the npm package undici. */
export interface Undici {
  Agent: new (options: object) => object;
  ProxyAgent: new (options: object) => object;
  Headers: typeof Headers;
  fetch: (url: string, init: object) => Promise<Response>;
  getGlobalDispatcher(): object;
  setGlobalDispatcher(dispatcher: object): void;
}

/** Adds the tests of Node. */
export function testNode(undici: Undici): void {
  section("node");

  for (const [limit, fault] of [["headers", "hang"], ["body", "hang-body"]]) {
    test(`timeout of Node's own fetch for ${limit} is not retried`, async (settings) => {
      const original = undici.getGlobalDispatcher();
      const short = new undici.Agent({ [`${limit}Timeout`]: 100 });
      undici.setGlobalDispatcher(short);
      try {
        let attempts = 0;
        const client = connectToFault(settings, fault ?? "", {
          onAttempt: () => attempts++,
        });
        await assertRejects(
          () => client.getInfo(),
          DecapodTimeoutError,
          /own limit of 300 s .*pass a fetch with longer limits/,
        );
        assertEquals(attempts, 1);
        const change = await assertRejects(
          () => client.createCluster("one"),
          DecapodTimeoutError,
        );
        assert(change.outcomeUnknown, "Expected an unknown outcome");
      } finally {
        undici.setGlobalDispatcher(original);
      }
    });
  }

  test("headers accept the Headers of undici", async (settings) => {
    const { server, client } = await open(settings);
    const headers = new undici.Headers([["X-One", "1"]]);
    await client.getInfo({ headers });
    const [request] = await server.received();
    assertEquals(request?.headers["x-one"], "1");
  });

  test("fetch may return a response whose body is a stream of Node", async (settings) => {
    const server = await openServer(settings);
    const id = await seedExecution(server);
    await server.do("setLog", id, LOG_LINES.join("\n"));
    const options = {};
    Object.assign(options, {
      fetch: async (url: string, init: RequestInit) => {
        const response = await fetch(url, init);
        const text = await response.text();
        return {
          ok: response.ok,
          status: response.status,
          headers: response.headers,
          body: Readable.from([text]),
          text: () => Promise.resolve(text),
        };
      },
    });
    const client = connect(server, options);
    assertEquals((await client.getUserSelf()).data.login, "root");
    const lines: string[] = [];
    for await (const line of client.streamExecutionLog(id)) lines.push(line);
    assertEquals(lines, LOG_LINES);
  });
}
