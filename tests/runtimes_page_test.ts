/** docs/runtimes.md: its scripts and settings work on each runtime. */

import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import type { Consumer } from "../.dev/jsr/consumers.ts";
import { issue } from "./runtimes/certificates.ts";
import type { Edge } from "./runtimes/edge.ts";
import { StandIn } from "./standin/mod.ts";
import { block, read } from "./support/markdown.ts";
import { Published, serve, SKIPPED } from "./support/published.ts";

const LOGGED_IN = "Logged in as Root User\n";

/** Starts TLS servers and a proxy in front of a port, on Node. */
async function startEdge(node: string, edge: Edge) {
  const child = new Deno.Command(node, {
    args: [fileURLToPath(new URL("runtimes/edge.ts", import.meta.url))],
    env: { EDGE: JSON.stringify(edge) },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await reader.read();
  const ports: Record<string, number> = JSON.parse(value);
  return {
    ports,
    async [Symbol.asyncDispose]() {
      await child.stdin.close();
      await reader.cancel();
      await child.status;
    },
  };
}

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
          cert,
          key,
          ca: ca.cert,
          requestCert: true,
          rejectUnauthorized: true,
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
      assertEquals(
        await run(program, node, ["first.mjs"], trusting),
        LOGGED_IN,
      );
      const mutual = await run(program, node, ["mutual.mjs"], at("mutual"));
      assertEquals(mutual, LOGGED_IN);
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
    const onBun = await run(
      programs.bun,
      bun,
      ["run", "mutual.ts"],
      at("mutual"),
    );
    assertEquals(onBun, LOGGED_IN);

    await using deno = await published.deno();
    await addFiles(deno);
    await deno.write("mutual.ts", script);
    await deno.write("first.ts", block(readme, "Bun", "ts"));
    const onDeno = (env: Record<string, string>, ...args: string[]) =>
      run(Deno.execPath(), deno, ["run", "--check", "-q", ...args], env);
    assertEquals(await onDeno(at("mutual"), "-A", "mutual.ts"), LOGGED_IN);
    const flags = ["--allow-net", "--allow-env"];
    for (
      const flag of [
        "--cert=ca.pem",
        "--unsafely-ignore-certificate-errors=localhost",
      ]
    ) {
      const output = await onDeno(at("plain"), flag, ...flags, "first.ts");
      assertEquals(output.split("\n").at(-2), LOGGED_IN.trim(), output);
    }
  },
});
