/** docs/runtimes.md: its scripts and settings work on each runtime. */
import { assertEquals } from "@std/assert";
import type { Consumer } from "../.dev/jsr/consumers.ts";
import { issue } from "./runtimes/certificates.ts";
import { StandIn } from "./standin/mod.ts";
import { provideProgram } from "../.dev/tools.ts";
import { startEdge } from "./support/edge.ts";
import { block, read } from "./support/markdown.ts";
import { Published, serve, SKIPPED } from "./support/published.ts";
import { RawServer } from "./support/raw.ts";

const LOGGED_IN = "Logged in as Root User\n";

Deno.test({
  name: "docs/runtimes.md: TLS and proxies work as described",
  ignore: SKIPPED,
  async fn() {
    const page = await read("docs/runtimes.md");
    const readme = await read("README.md");
    const ca = await issue("CA", { ca: true });
    const server = await issue("Decapod", { names: ["localhost"] }, ca);
    const own = await issue("client", {}, ca);
    const { cert, key } = server;
    await using standIn = serve(new StandIn({ servers: 0 }));
    await using published = await Published.open();
    const { programs } = published;
    await using edge = await startEdge(programs.node26, {
      upstream: Number(new URL(standIn.account.DECAPOD_URL).port),
      hidden: "decapod.invalid",
      hiddenTls: "plain",
      tls: {
        plain: { cert, key },
        mutual: {
          ...{ cert, key, ca: ca.cert },
          ...{ requestCert: true, rejectUnauthorized: true },
        },
      },
    });
    const at = (name: string) => ({
      ...standIn.account,
      DECAPOD_URL: `https://localhost:${edge.ports[name]}`,
    });
    const addFiles = async (consumer: Consumer) => {
      await consumer.write("ca.pem", ca.cert);
      await consumer.write("cert.pem", own.cert);
      await consumer.write("key.pem", own.key);
    };
    const run = async (...args: Parameters<Published["run"]>) => {
      const { stdout, stderr } = await published.run(...args);
      return stdout || stderr;
    };

    await using node = await published.npm(["undici@7.30.2"]);
    await addFiles(node);
    await node.write("first.mjs", block(readme, "Node", "js"));
    await node.write("mutual.mjs", block(page, "TLS", "JavaScript"));
    for (const program of [programs.node20, programs.node26]) {
      const trusting = { ...at("plain"), NODE_EXTRA_CA_CERTS: "ca.pem" };
      const first = await run(program, node, ["first.mjs"], trusting);
      const mutual = await run(program, node, ["mutual.mjs"], at("mutual"));
      assertEquals([first, mutual], [LOGGED_IN, LOGGED_IN]);
    }
    const proxied = await run(programs.node26, node, ["first.mjs"], {
      ...standIn.account,
      DECAPOD_URL: "http://decapod.invalid",
      NODE_USE_ENV_PROXY: "1",
      HTTP_PROXY: `http://127.0.0.1:${edge.ports.proxy}`,
      NO_PROXY: "",
    });
    assertEquals(proxied, LOGGED_IN);

    const script = block(page, "TLS", "TypeScript");
    await using bun = await published.bun();
    await addFiles(bun);
    await bun.write("mutual.ts", script);
    const args = ["run", "mutual.ts"];
    assertEquals(await run(programs.bun, bun, args, at("mutual")), LOGGED_IN);

    await using deno = await published.deno();
    await addFiles(deno);
    await deno.write("mutual.ts", script);
    await deno.write("first.ts", block(readme, "Bun", "ts"));
    const onDeno = (env: Record<string, string>, ...args: string[]) =>
      run(Deno.execPath(), deno, ["run", "--check", "-q", ...args], env);
    assertEquals(await onDeno(at("mutual"), "-A", "mutual.ts"), LOGGED_IN);
    const flags = ["--allow-net", "--allow-env"];
    const unsafe = "--unsafely-ignore-certificate-errors=localhost";
    for (const flag of ["--cert=ca.pem", unsafe]) {
      const output = await onDeno(at("plain"), flag, ...flags, "first.ts");
      assertEquals(output.split("\n").at(-2), LOGGED_IN.trim(), output);
    }
  },
});

const HEAD = "200 OK\r\ncontent-type: text/plain\r\n";
const CHUNKS = "transfer-encoding: chunked\r\n\r\n9\r\nfirst\nsec\r\n";

/** Responses with a log that ends within a line, by their rows of the table. */
const TRUNCATED: Record<string, string> = {
  "`Content-Length`": `HTTP/1.1 ${HEAD}content-length: 99\r\n\r\nfirst\nsec`,
  "chunks": `HTTP/1.1 ${HEAD}${CHUNKS}`,
  "chunks, with `Connection: close`":
    `HTTP/1.1 ${HEAD}connection: close\r\n${CHUNKS}`,
  "chunks, with HTTP/1.0": `HTTP/1.0 ${HEAD}${CHUNKS}`,
  "end of the connection": `HTTP/1.1 ${HEAD}\r\nfirst\nsec`,
};

/** Serves them; each connection is closed when its `cut` is requested. */
function serveTruncated() {
  const stack = new AsyncDisposableStack();
  const cuts = new Map<string, () => void>();
  const over = Promise.withResolvers<void>(); // runtimes may resend a read
  const control = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      cuts.get(new URL(request.url).pathname)?.();
      return new Response();
    },
  );
  stack.defer(() => control.shutdown());
  const logs: Record<string, { url: string; cut: string }> = {};
  for (const [index, [row, text]] of Object.entries(TRUNCATED).entries()) {
    const server = stack.use(
      new RawServer(async (peer) => {
        await peer.request();
        const { promise, resolve } = Promise.withResolvers<void>();
        cuts.set(`/${index}`, resolve);
        await peer.send(text);
        await Promise.race([promise, over.promise]);
      }),
    );
    const cut = `http://127.0.0.1:${control.addr.port}/${index}`;
    logs[row] = { url: server.url, cut };
  }
  stack.defer(() => over.resolve()); // before servers are waited for
  return { logs, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** The table of the page, by runtime and row. */
function truncationTable(page: string): Record<string, object> {
  const [, part = ""] = /^## Truncated logs\n([^]*?)^## /m.exec(page) ?? [];
  const [head = [], , ...rows] = part.split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  return Object.fromEntries(
    head.slice(1).map((runtime, index) => [
      runtime,
      Object.fromEntries(rows.map(([row, ...cells]) => [row, cells[index]])),
    ]),
  );
}

Deno.test({
  name: "docs/runtimes.md: shows which truncated logs are errors",
  ignore: SKIPPED,
  async fn() {
    const table = truncationTable(await read("docs/runtimes.md"));
    const reader = await read("tests/support/truncation.js");
    await using servers = serveTruncated();
    const logs = JSON.stringify(servers.logs);
    await using published = await Published.open();
    const { programs } = published;
    const results: Record<string, object> = {};

    await using node = await published.npm();
    await using bun = await published.bun();
    await using deno = await published.deno();
    const runs: [string, Consumer, string, ...string[]][] = [
      ["Deno", deno, Deno.execPath(), "run", "--allow-net"],
      ["Bun 1.2", bun, await provideProgram("bun1.2")],
      ["Bun 1.4", bun, programs.bun],
      ["Node 20", node, programs.node20],
      ["Node 22 and newer", node, programs.node26],
    ];
    for (const [runtime, consumer, program, ...args] of runs) {
      await consumer.write(
        "main.mjs",
        `${reader}\nconsole.log(JSON.stringify(await readLogs(${logs})));`,
      );
      args.push("main.mjs");
      const { stdout, stderr } = await published.run(program, consumer, args);
      assertEquals(stderr, "", runtime);
      results[runtime] = JSON.parse(stdout);
    }
    const [worker] = await published.fetchWorker(
      `// @ts-nocheck
      ${reader.replace("export async", "async")}
      export default {
        fetch: async (_, env) => Response.json(await readLogs(JSON.parse(env.LOGS))),
      };`,
      { LOGS: logs },
      ["/"],
    );
    results["workerd"] = JSON.parse(worker?.body ?? "");
    assertEquals(results, table);
  },
});
