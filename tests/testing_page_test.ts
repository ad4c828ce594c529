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
const shared = ["count.js", "fake.js"].map(fileOf);

/** The script below a sentence that ends in the name of its file. */
function fileOf(name: string): [name: string, text: string] {
  const [, text = ""] = page.split(`\`${name}\``);
  const [, code] = /```JavaScript\n([^]*?)^```/m.exec(text) ?? [];
  assert(code !== undefined, `Cannot find ${name} on the page`);
  return [name, code];
}

/** The test of a framework; Jest has its configuration after it. */
function testOf(heading: string): string {
  const one = blocks(page).find((block) =>
    block.heading === heading && block.language === "JavaScript"
  );
  assert(one, `Cannot find a test below "${heading}"`);
  return one.text;
}

Deno.test({
  name: "docs/testing.md: the tests pass in each framework",
  ignore: SKIPPED,
  async fn() {
    await using published = await Published.open();
    const { programs } = published;
    const passes = async (
      consumer: Consumer,
      program: string,
      args: string[],
      env: Record<string, string> = {},
    ) => {
      const { code, stdout, stderr } = await published.run(
        program,
        consumer,
        args,
        env,
      );
      const said = `${args.join(" ")}\n${stdout}${stderr}`;
      assertEquals(code, 0, said);
      assert(/1 pass|pass 1|Tests.*1 passed/.test(said), said);
    };
    await using node = await published.npm(PACKAGES);
    const modules = node.at("node_modules");
    for (const [name, text] of shared) await node.write(name, text);

    for (const heading of ["Node", "msw", "undici"]) {
      const file = `${heading}.test.mjs`;
      await node.write(file, testOf(heading));
      await passes(node, programs.node26, ["--test", file]);
      if (heading === "msw") continue; // msw 3 needs Node 22
      await passes(node, programs.node20, ["--test", file]);
    }

    await node.write("vitest.test.js", testOf("Vitest"));
    const vitest = [`${modules}/vitest/vitest.mjs`, "run", "vitest.test.js"];
    await passes(node, programs.node26, vitest);

    await node.write("jest.test.js", testOf("Jest"));
    const jest = [`${modules}/jest/bin/jest.js`, "jest.test.js"];
    await passes(node, programs.node26, jest, {
      NODE_OPTIONS: "--experimental-vm-modules",
    });
    const { type: _, ...manifest } = JSON.parse(
      await Deno.readTextFile(node.at("package.json")),
    );
    await node.write("package.json", JSON.stringify(manifest));
    await node.write(...fileOf("jest.config.cjs"));
    await passes(node, programs.node26, jest);

    await using bun = await published.bun();
    for (const [name, text] of shared) await bun.write(name, text);
    await bun.write("bun.test.js", testOf("Bun"));
    await passes(bun, programs.bun, ["test", "bun.test.js"]);
  },
});
