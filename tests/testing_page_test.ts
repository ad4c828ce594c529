/** docs/testing.md: its tests pass in each framework. */

import { assert, assertEquals } from "@std/assert";
import type { Consumer } from "../.dev/jsr/consumers.ts";
import { blocks, read } from "./support/markdown.ts";
import { Published, SKIPPED } from "./support/published.ts";

/** The frameworks and tools, as a user has them. */
const PACKAGES = [
  "@babel/preset-env@8.0.7",
  "@jest/globals@30.5.2",
  "babel-jest@30.5.2",
  "jest@30.5.2",
  "msw@3.0.5",
  "undici@7.30.2",
  "vitest@5.1.2",
];

const page = await read("docs/testing.md");
const shared = await Promise.all(["count.js", "fake.js"].map(fileOf));

/** The script below a sentence that ends in the name of its file. */
async function fileOf(name: string): Promise<[name: string, text: string]> {
  const text = (await read("docs/testing.md")).split(`\`${name}\``)[1];
  const [, code] = /```JavaScript\n([^]*?)^```/m.exec(text ?? "") ?? [];
  if (code === undefined) throw new Error(`Cannot find ${name} on the page`);
  return [name, code];
}

/** The test of a framework; Jest has its configuration after it. */
function testOf(heading: string): string {
  const [one] = blocks(page).filter((block) =>
    block.heading === heading && block.language === "JavaScript"
  );
  if (!one) throw new Error(`Cannot find a test below "${heading}"`);
  return one.text;
}

/** Runs a program in a folder; fails if it does. */
async function passes(
  published: Published,
  consumer: Consumer,
  program: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<void> {
  const { code, stdout, stderr } = await published.run(
    program,
    consumer,
    args,
    env,
  );
  assertEquals(code, 0, `${args.join(" ")}\n${stdout}${stderr}`);
  assert(
    /1 pass|pass 1|Tests.*1 passed/.test(stdout + stderr),
    stdout + stderr,
  );
}

Deno.test({
  name: "docs/testing.md: the tests pass in each framework",
  ignore: SKIPPED,
  async fn() {
    await using published = await Published.open();
    const { programs } = published;
    await using node = await published.npm(PACKAGES);
    const modules = node.at("node_modules");
    for (const [name, text] of shared) await node.write(name, text);

    for (const heading of ["Node", "msw", "undici"]) {
      const file = `${heading}.test.mjs`;
      await node.write(file, testOf(heading));
      const nodes = [programs.node26];
      if (heading !== "msw") nodes.push(programs.node20); // msw 3 needs Node 22
      for (const program of nodes) {
        await passes(published, node, program, ["--test", file]);
      }
    }

    await node.write("vitest.test.js", testOf("Vitest"));
    await passes(published, node, programs.node26, [
      `${modules}/vitest/vitest.mjs`,
      "run",
      "vitest.test.js",
    ]);

    await node.write("jest.test.js", testOf("Jest"));
    const jest = [`${modules}/jest/bin/jest.js`, "jest.test.js"];
    await passes(published, node, programs.node26, jest, {
      NODE_OPTIONS: "--experimental-vm-modules",
    });
    const { type: _, ...manifest } = JSON.parse(
      await Deno.readTextFile(node.at("package.json")),
    );
    await node.write("package.json", JSON.stringify(manifest));
    await node.write(...await fileOf("jest.config.cjs"));
    await passes(published, node, programs.node26, jest);

    await using bun = await published.bun();
    for (const [name, text] of shared) await bun.write(name, text);
    await bun.write("bun.test.js", testOf("Bun"));
    await passes(published, bun, programs.bun, ["test", "bun.test.js"]);
  },
});
