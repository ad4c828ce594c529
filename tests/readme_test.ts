/** What README and the other pages say of the project, against the project. */

import { assert, assertEquals } from "@std/assert";
import { V1Client } from "../mod.ts";

const ROOT = new URL("../", import.meta.url);

/** What the Python library never had. */
const NEW = /^(edit\w+|streamExecutionLog|waitForExecution|followExecution)$/;

const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

/** The names in a folder, of files with this ending. */
function list(folder: string, ending: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))]
    .map(({ name }) => name).filter((name) => name.endsWith(ending)).sort();
}

/** Every page, by its path from the root. */
const PAGES = [
  ...list(".", ".md"),
  ...list("docs/", ".md").map((name) => `docs/${name}`),
];

/** A page without its code. */
function prose(page: string): string {
  return page.replace(/^ *```[^]*?^ *```/gm, "");
}

/** A heading's anchor, as GitHub and JSR make it. */
function anchor(heading: string): string {
  return heading.trim().toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "")
    .replaceAll(" ", "-");
}

Deno.test("README.md has every method of Python's library, and every new one", async () => {
  const page = await read("README.md");
  const [, part = ""] =
    /^## Coming from Python's decapodlib\n([^]*?)^And around/m.exec(page) ?? [];
  const rows = part.split("\n").map((line) => line.split("|").slice(1, 3))
    .filter(([left]) => left !== undefined && !/---|Python/.test(left));
  const names = (cell = "") =>
    [...cell.matchAll(/`(\w+)\(/g)].map(([, name = ""]) => name);
  const old = rows.flatMap(([left]) => names(left))
    .filter((name) => name !== "generate_cloud_config");
  const now = rows.flatMap(([, right]) => names(right))
    .filter((name) => name !== "generateCloudConfig");

  const methods = Object.getOwnPropertyNames(V1Client.prototype)
    .filter((name) => name !== "constructor");
  const snake = (name: string) =>
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const python = methods.filter((name) => !NEW.test(name)).map(snake);
  assertEquals(python.length, 54);
  assertEquals(old.toSorted(), python.toSorted());
  assertEquals(now.toSorted(), methods.toSorted());
  for (const [left, right] of rows) {
    const [from] = names(left);
    if (from) assertEquals(from, snake(names(right)[0] ?? ""));
  }
});

Deno.test("every link within the project leads somewhere", async () => {
  const headings = new Map<string, string[]>();
  for (const path of PAGES) {
    const found = prose(await read(path)).matchAll(/^#+ (.*)$/gm);
    headings.set(path, [...found].map(([, heading = ""]) => anchor(heading)));
  }
  let links = 0;
  for (const path of PAGES) {
    const targets = prose(await read(path)).matchAll(/\]\(([^)\s]+)\)/g);
    for (const [, target = ""] of targets) {
      if (/^https?:/.test(target)) continue;
      links++;
      const url = new URL(target, new URL(path, ROOT));
      const fragment = decodeURIComponent(url.hash.slice(1));
      url.hash = "";
      const file = target.startsWith("#")
        ? path
        : url.href.slice(ROOT.href.length);
      await Deno.stat(new URL(file, ROOT)).catch(() => {
        throw new Error(`${path} links to ${target}, which is not there`);
      });
      assert(
        !fragment || headings.get(file)?.includes(fragment),
        `${path} links to ${target}, which has no such heading`,
      );
    }
  }
  assert(links > 20, `Expected more than ${links} links`);
});

Deno.test("no example is ignored", async () => {
  for (const path of PAGES) {
    const page = await read(path);
    assert(!/```\w* ignore/.test(page), `${path} ignores an example`);
  }
  const page = await read("README.md");
  for (const [example] of page.matchAll(/```ts\n[^]*?```/g)) {
    assert(/assert\w*\(/.test(example), `Nothing is asserted in ${example}`);
  }
});

Deno.test("CONTRIBUTING.md names every room, and is of one page", async () => {
  const page = await read("CONTRIBUTING.md");
  const named = [...page.matchAll(/`(\w+\.ts)`/g)].map(([, name = ""]) => name);
  assertEquals([...new Set(named)].sort(), list(".", ".ts"));
  assert(page.split("\n").length < 100);
});

Deno.test("what is released is what was tested", async () => {
  const { version }: { version: string } = JSON.parse(await read("deno.json"));
  const changelog = await read("CHANGELOG.md");
  assert(changelog.includes(`## [${version}] - 20`), version);
  const [, pinned] = /deno_version=(\S+)/.exec(await read(".ci/run")) ?? [];
  const workflow = await read(".github/workflows/publish.yml");
  assert(workflow.includes(`npx -y deno@${pinned} publish`), pinned);
  for (const permission of ["contents: read", "id-token: write"]) {
    assert(workflow.includes(permission), permission);
  }
});
