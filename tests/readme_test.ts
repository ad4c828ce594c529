/** Checks README and the other pages against the project. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { globSync } from "node:fs";
import { join } from "node:path/posix";
import { projectFiles } from "../.dev/checks.ts";
import { ROOT } from "../.dev/process.ts";
import { V1Client } from "../mod.ts";
import { StandIn } from "./standin/mod.ts";
import { blocks, prose, read } from "./support/markdown.ts";
import { replace } from "./support/patch.ts";
import { serve } from "./support/server.ts";

const LIBRARY = new URL("../mod.ts", import.meta.url).href;
const { root, internal, pages } = projectFiles();

/** Methods that Python's library does not have. */
const NEW =
  /^(edit\w+|streamExecutionLog|waitForExecution|followExecution|request)$/;

/** What each script of README prints, with a statement that is added to it. */
const SCRIPTS: [heading: string, printed: RegExp, statement?: string][] = [
  ["Deno", /^Logged in as Root User\n(node-\S+ 10\S+ operational\n){50}$/],
  [
    "Listing",
    /^node-.*,node-.*,node-.*\n2 of 2 users\nroot,user000000\n$/,
    "console.log(page.items.map(({ data }) => data.login))",
  ],
  ["Listing", /^50 servers\n$/],
  [
    "Changing",
    /^Version 2 of jdoe\n.*20\d\d.*\ntrue true\n$/,
    `const { data, time_deleted } = await client.getUser(user.id);
     console.log(data.role_id === role.id, time_deleted > 0)`,
  ],
  [
    "Running a playbook",
    /\nThe deployment ended as completed\n1 2\n$/,
    `const { data } = await client.getCluster(cluster.id);
     console.log(data.configuration.mons.length, data.configuration.osds.length)`,
  ],
  ["Errors", /^GET http\S+\/v1\/user\/1{8}-\S+: 404 NotFound: .*\n$/],
  ["User-data for new hosts", /^#cloud-config\n/],
  [
    "Timeouts and retries",
    /^GET \S+\/info\/ 200 \d+ ms\nDecapod \d+\.\d+\S*\n$/,
  ],
];

Deno.test("README.md: every script that imports jsr: prints what is expected", async () => {
  const standIn = new StandIn({ servers: 50, pace: 5 });
  standIn.seedUsers(1);
  await using server = serve(standIn);
  let printed = "";
  using stack = new DisposableStack();
  for (const method of ["log", "error"] as const) {
    const print = (...args: unknown[]) =>
      void (printed += args.join(" ") + "\n");
    stack.use(replace(console, method, print));
  }
  for (const [name, value] of Object.entries(server.account)) {
    Deno.env.set(name, value);
    stack.defer(() => Deno.env.delete(name));
  }
  const scripts = blocks(await read("README.md"))
    .filter(({ text }) => text.includes('"jsr:@decapod'));
  const headings = SCRIPTS.map(([heading]) => heading);
  assertEquals(scripts.map(({ heading }) => heading), headings);
  for (const [index, { text }] of scripts.entries()) {
    const [, expected = /^/, statement = ""] = SCRIPTS[index] ?? [];
    const script = text.replace(/jsr:@decapod[^"]*/, LIBRARY) + statement;
    printed = "";
    await import(`data:text/typescript,${encodeURIComponent(script)}`);
    assertMatch(printed, expected);
  }
});

Deno.test("README.md: fits into 400 lines, and has no assertions", async () => {
  const page = await read("README.md");
  assert(page.split("\n").length <= 401);
  for (const { text, heading } of blocks(page)) {
    assert(!/\bassert/.test(text), `An assertion below "${heading}"`);
  }
});

Deno.test("docs/from_python.md: has every method of Python's library, and every new one", async () => {
  const page = await read("docs/from_python.md");
  const [, part = ""] = /^## Methods\n([^]*?)^## /m.exec(page) ?? [];
  const names = (cell = "") =>
    [...cell.matchAll(/`(\w+)\(/g)].map(([, name = ""]) => name)
      .filter((name) => !/^generate_?cloud_?config$/i.test(name));
  const rows = part.split("\n").map((line) => line.split("|").map(names));
  const old = rows.flatMap(([, left = []]) => left);
  const now = rows.flatMap(([, , right = []]) => right);

  const methods = Object.getOwnPropertyNames(V1Client.prototype)
    .filter((name) => name !== "constructor");
  const snake = (name = "") =>
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const python = methods.filter((name) => !NEW.test(name)).map(snake);
  assertEquals(python.length, 54);
  assertEquals(old.toSorted(), python.toSorted());
  assertEquals(now.toSorted(), methods.toSorted());
  for (const [, [from] = [], [to] = []] of rows) {
    if (from) assertEquals(from, snake(to));
  }
});

/** The anchor of a heading, as GitHub and JSR make it. */
const anchorOf = (heading: string) =>
  heading.trim().toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "")
    .replaceAll(" ", "-");

Deno.test("pages: every link leads to a published file and heading, and no example is ignored", async () => {
  const { publish } = JSON.parse(await read("deno.json"));
  const published = globSync(publish.include, { cwd: ROOT });
  const headings = new Map<string, string[]>();
  for (const path of pages) {
    const page = await read(path);
    assert(!/```\w* ignore/.test(page), `${path} ignores an example`);
    const titles = [...prose(page).matchAll(/^#+ (.*)$/gm)];
    headings.set(path, titles.map(([, title = ""]) => anchorOf(title)));
  }
  let links = 0;
  for (const path of pages) {
    const targets = prose(await read(path)).matchAll(/\]\(([^)\s]+)\)/g);
    for (const [, target = ""] of targets) {
      if (/^https?:/.test(target)) continue;
      links++;
      const [link = "", fragment] = target.split("#");
      const file = link === "" ? path : join(path, "..", link, ".");
      assert(
        published.some((path) => path === file || path.startsWith(`${file}/`)),
        `${path} links to ${target}, which is not published`,
      );
      assert(
        fragment === undefined || headings.get(file)?.includes(fragment),
        `${path} links to ${target}, which has no such heading`,
      );
    }
  }
  assert(links > 20, `Expected more than ${links} links`);
});

Deno.test("CONTRIBUTING.md: names the modules, and fits on one page", async () => {
  const page = await read("CONTRIBUTING.md");
  const named = [...page.matchAll(/`((?:internal\/)?\w+\.ts)`/g)]
    .map(([, name = ""]) => name);
  assertEquals(root.filter((name) => !named.includes(name)), []);
  const modules = [
    ...root,
    ...internal,
    ...internal.map((path) => path.slice(9)),
  ];
  assertEquals(named.filter((name) => !modules.includes(name)), []);
  assert(page.split("\n").length < 100);
});

Deno.test("deno.json: CHANGELOG.md has the version, and publish.yml uses the Deno of .ci/run", async () => {
  const { version }: { version: string } = JSON.parse(await read("deno.json"));
  const changes = await read("CHANGELOG.md");
  assert(changes.includes(`## [${version}] - 20`), version);
  const [, pinned] = /deno_version=(\S+)/.exec(await read(".ci/run")) ?? [];
  const workflow = await read(".github/workflows/publish.yml");
  const required = ["contents: read", "id-token: write"];
  for (const line of [`deno-version: ${pinned}`, ...required]) {
    assert(workflow.includes(line), line);
  }
});
