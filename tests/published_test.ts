/** Scripts of the pages and examples, with the published package. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  bunConsumer,
  type Consumer,
  denoConsumer,
  npmConsumer,
} from "../.dev/jsr/consumers.ts";
import { openRegistry } from "../.dev/jsr/server.ts";
import { run } from "../.dev/process.ts";
import { install, provideProgram, provideTools } from "../.dev/tools.ts";
import { StandIn } from "./standin/mod.ts";
import { block, blocks, read } from "./support/markdown.ts";
import { serve } from "./support/server.ts";

/** The frameworks and tools of docs/testing.md. */
const FRAMEWORKS = {
  "@babel/preset-env": "8.0.7",
  "@jest/globals": "30.5.2",
  "babel-jest": "30.5.2",
  "jest": "30.5.2",
  "msw": "3.0.5",
  "undici": "7.30.2",
  "vitest": "5.1.2",
};

/** Other runtimes; undefined if they cannot be installed here. */
const runtimes = await provideRuntimes().catch((error) => {
  if (Deno.env.has("CI")) throw error;
  return undefined;
});

async function provideRuntimes() {
  return {
    bunProgram: await provideProgram("bun1.4"),
    node20: await provideProgram("node20"),
    node26: await provideProgram("node26"),
    tools: await provideTools(),
  };
}

/** The script of docs/testing.md below a sentence with the name of its file. */
function fileOf(page: string, name: string): [name: string, text: string] {
  const [, text = ""] = page.split(`\`${name}\``);
  const [, code] = /```JavaScript\n([^]*?)^```/m.exec(text) ?? [];
  assert(code !== undefined, `Cannot find ${name} on the page`);
  return [name, code];
}

Deno.test({
  name: "published package: pages and examples run on each runtime",
  ignore: !runtimes,
  async fn(t) {
    const readme = await read("README.md");
    const testing = await read("docs/testing.md");
    assert(runtimes);
    const { bunProgram, node20, node26, tools } = runtimes;
    await using registry = await openRegistry();
    await using node = await npmConsumer(registry, []);
    await using bun = await bunConsumer(registry, bunProgram);
    await using deno = await denoConsumer(registry);
    const frameworks = await install("frameworks", FRAMEWORKS);
    for (const name of Object.keys(FRAMEWORKS)) {
      const link = node.at("node_modules", name);
      await Deno.mkdir(dirname(link), { recursive: true });
      await Deno.symlink(join(frameworks, "node_modules", name), link);
    }
    for (const name of ["count.js", "fake.js"]) {
      for (const one of [node, bun]) await one.write(...fileOf(testing, name));
    }
    const sanitize = { sanitizeExit: false, sanitizeOps: false };
    /** Runs a step while others run. */
    const step = (name: string, fn: () => Promise<void>) =>
      t.step({ name, fn, ...sanitize, sanitizeResources: false });
    /** Runs a program; its output must match. */
    const prints = async (
      expected: RegExp,
      consumer: Consumer,
      program: string,
      args: string[],
      env: Record<string, string> = {},
    ) => {
      const { folder: cwd } = consumer;
      const all = { ...consumer.env, ...env };
      const output = await run(program, args, { env: all, cwd });
      const text = `${args.join(" ")}\n${output.stdout}${output.stderr}`;
      assertEquals(output.code, 0, text);
      assertMatch(text, expected);
      return output.stdout;
    };
    const passes = prints.bind(undefined, /1 pass|pass 1|Tests.*1 passed/);

    const miniflare = new URL("support/miniflare.ts", import.meta.url);
    /** Checks the types of a Worker, bundles it, and requests these paths. */
    const fetchWorker = async (
      name: string,
      text: string,
      bindings: Record<string, string>,
      ...paths: string[]
    ): Promise<{ status: number; type: string; body: string }[]> => {
      await deno.write(`${name}.ts`, text);
      await deno.deno(["check", `${name}.ts`]);
      await deno.deno(["bundle", "-o", `${name}.js`, `${name}.ts`]);
      const args = [fileURLToPath(miniflare), deno.at(`${name}.js`), ...paths];
      const printed = await prints(/./, deno, node26, args, {
        TOOLS: join(tools, "package.json"),
        BINDINGS: JSON.stringify(bindings),
      });
      return JSON.parse(printed);
    };

    await Promise.all([
      step("README.md: the first script", async () => {
        const standIn = new StandIn({ servers: 2, seed: 7 });
        await using server = serve(standIn);
        const { account } = server;
        await node.write("first.mjs", block(readme, "Node", "js"));
        await bun.write("first.ts", block(readme, "Bun", "ts"));
        const printed =
          /\nLogged in as Root User\n(node-\S+ 10\S+ operational\n){2}$/;
        await prints(printed, node, node20, ["first.mjs"], account);
        await prints(printed, node, node26, ["first.mjs"], account);
        await prints(printed, bun, bunProgram, ["run", "first.ts"], account);
        const [response] = await fetchWorker(
          "first",
          block(readme, "Workers", "TypeScript"),
          account,
          "/",
        );
        assertEquals(response?.status, 200, response?.body);
        const { total, names } = JSON.parse(response?.body ?? "");
        assertEquals([total, names.length], [2, 2]);
      }),

      step("worker.ts: clusters and executions on workerd", async () => {
        const standIn = new StandIn();
        const { id } = standIn.seedExecution({ delay: 3_600_000 });
        await using server = serve(standIn);
        const [json, page] = await fetchWorker(
          "status",
          await read("examples/worker.ts"),
          server.account,
          "/status.json",
          "/",
        );
        assertEquals([json?.status, page?.status], [200, 200], json?.body);
        const { clusters, executions } = JSON.parse(json?.body ?? "");
        assertEquals(clusters, [{ name: "seeded1", servers: 0 }]);
        const [{ since, ...execution }] = executions;
        assert(Math.abs(Date.parse(since) - Date.now()) < 600_000);
        const playbook = "hello_world";
        assertEquals(execution, { id, playbook, state: "created" });
        assertStringIncludes(page?.type ?? "", "text/html");
        const html = page?.body ?? "";
        assertStringIncludes(html, "<li>seeded1: 0 servers</li>");
        assertStringIncludes(html, `<li>${playbook}: created since `);
      }),

      step("bun_report.ts: servers, clusters and failures on Bun", async () => {
        const standIn = new StandIn();
        const { id } = standIn.seedExecution({ duration: 0, failures: [{}] });
        await using server = serve(standIn);
        await bun.write("report.ts", await read("examples/bun_report.ts"));
        const report = RegExp(
          `^- operational: 8$[^]*^- seeded1: [^]* hello_world \\(${id}\\)\n` +
            `^ {2}- seeded: task \\d+: error$`,
          "m",
        );
        const args = ["run", "report.ts", "--days", "1"];
        await prints(report, bun, bunProgram, args, server.account);
      }),

      step("docs/testing.md: the tests in each framework", async () => {
        /** The test of a framework; Jest has its configuration after it. */
        const testOf = (name: string) =>
          blocks(testing).find(({ heading, language }) =>
            heading === name && language === "JavaScript"
          )?.text ?? "";
        for (const heading of ["Node", "msw", "undici"]) {
          const file = `${heading}.test.mjs`;
          await node.write(file, testOf(heading));
          await passes(node, node26, ["--test", file]);
          if (heading === "msw") continue; // msw 3 needs Node 22
          await passes(node, node20, ["--test", file]);
        }
        await bun.write("bun.test.js", testOf("Bun"));
        await passes(bun, bunProgram, ["test", "bun.test.js"]);

        await node.write("vitest.test.js", testOf("Vitest"));
        const vitest = node.at("node_modules/vitest/vitest.mjs");
        await passes(node, node26, [vitest, "run", "vitest.test.js"]);

        await node.write("jest.test.js", testOf("Jest"));
        const jest = [node.at("node_modules/jest/bin/jest.js"), "jest.test.js"];
        const loadModules = { NODE_OPTIONS: "--experimental-vm-modules" };
        await passes(node, node26, jest, loadModules);
        // Without "type": "module", as Babel expects it.
        await node.write("package.json", "{}");
        await node.write(...fileOf(testing, "jest.config.cjs"));
        await passes(node, node26, jest);
      }),
    ]);
  },
});
