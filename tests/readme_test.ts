/** Checks README and the other pages against the project. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { tempFolder } from "../.dev/files.ts";
import type { Consumer } from "../.dev/jsr/consumers.ts";
import { deno, ROOT as FOLDER } from "../.dev/process.ts";
import { V1Client } from "../mod.ts";
import { StandIn } from "./standin/mod.ts";
import { block, blocks, prose, read } from "./support/markdown.ts";
import { Published, serve, SKIPPED } from "./support/published.ts";

const ROOT = new URL("../", import.meta.url);
const LIBRARY = new URL("mod.ts", ROOT).href;
const CONFIG = `${FOLDER}deno.json`;

/** Methods that Python's library does not have. */
const NEW =
  /^(edit\w+|streamExecutionLog|waitForExecution|followExecution|request)$/;

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

/** A heading's anchor, as GitHub and JSR make it. */
function anchor(heading: string): string {
  return heading.trim().toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "")
    .replaceAll(" ", "-");
}

/**
 * What holds after each script of README, in their order: appended to the
 * script, which itself has nothing that a user would not write.
 */
const CHECKS: [heading: string, checks: string][] = [
  ["Deno", `assertEquals(me.data.login, "root");`],
  [
    "Listing",
    `assertEquals(large.length, 3);
    assertEquals(page.items.map(({ data }) => data.login), ["root", "user000000"]);
    assertEquals(page.total, 2);`,
  ],
  [
    "Listing",
    `assertEquals(servers.map(({ id }) => id), all.map(({ id }) => id));
    assertEquals(servers.length, 50);`,
  ],
  [
    "Changing",
    `assertEquals([edited.version, edited.data.role_id], [2, role.id]);
    assertEquals(deleted.version, 3);
    assertEquals((await client.getUser(user.id)).time_deleted, deleted.time_deleted);`,
  ],
  [
    "Running a playbook",
    `assertEquals(state, "completed");
    const { data } = await client.getCluster(cluster.id);
    assertEquals(data.configuration["mons"]?.length, 1);
    assertEquals(data.configuration["osds"]?.length, 2);`,
  ],
  [
    "Errors",
    `assertEquals(messages.length, 1);
    assertMatch(messages.join(), /^GET http\\S+\\/v1\\/user\\/1{8}-\\S+: 404 NotFound: /);`,
  ],
  [
    "User-data for new hosts",
    `assert(userData.startsWith("#cloud-config\\n"));`,
  ],
  [
    "Timeouts and retries",
    `assertEquals(errors.length, 1);
    assertMatch(errors.join(), /^GET \\S+\\/v1\\/info\\/ 200 \\d+ ms$/);
    assertEquals(messages, [\`Decapod \${info.version}\`]);`,
  ],
];

/** Precedes each script: what it prints is kept for its checks. */
const PRELUDE =
  `import { assert, assertEquals, assertMatch } from "@std/assert";
const messages: string[] = [];
const errors: string[] = [];
console.log = (...args) => messages.push(args.join(" "));
console.error = (...args) => errors.push(args.join(" "));
void [assert, assertEquals, assertMatch];
`;

Deno.test("README.md: every script does what it says", async () => {
  const standIn = new StandIn({ servers: 50, pace: 20 });
  standIn.seedUsers(1);
  await using server = serve(standIn);
  const scripts = blocks(await read("README.md"))
    .filter(({ text }) => text.includes('"jsr:@decapod'));
  assertEquals(
    scripts.map(({ heading }) => heading),
    CHECKS.map(([heading]) => heading),
  );
  using folder = tempFolder();
  const files = scripts.map(({ text }, index) => {
    const script = text.replace(/jsr:@decapod[^"]*/, LIBRARY);
    const file = `${folder.path}/script${index}.ts`;
    Deno.writeTextFileSync(file, PRELUDE + script + CHECKS[index]?.[1]);
    return file;
  });
  const checked = await deno(["check", "--config", CONFIG, ...files]);
  assertEquals(checked.code, 0, checked.stderr);
  for (const [index, file] of files.entries()) {
    const args = ["run", "-A", "--config", CONFIG, file];
    const { code, stderr } = await deno(args, { env: server.account });
    assertEquals(code, 0, `${CHECKS[index]?.[0]}: ${stderr}`);
  }
});

Deno.test({
  name: "README.md: the first script runs on Node, Bun and workerd",
  ignore: SKIPPED,
  async fn() {
    const page = await read("README.md");
    const standIn = new StandIn({ servers: 2, seed: 7 });
    await using server = serve(standIn);
    await using published = await Published.open();
    const { programs } = published;
    const printed =
      /^Logged in as Root User\n(node-\S+ 10\S+ operational\n){2}$/;

    await using node = await published.npm();
    await node.write("first.mjs", block(page, "Node", "js"));
    await using bun = await published.bun();
    await bun.write("first.ts", block(page, "Bun", "ts"));
    const runs: [Consumer, program: string, ...args: string[]][] = [
      [node, programs.node20, "first.mjs"],
      [node, programs.node26, "first.mjs"],
      [bun, programs.bun, "run", "first.ts"],
    ];
    for (const [consumer, program, ...args] of runs) {
      const { account } = server;
      const output = await published.run(program, consumer, args, account);
      assert(printed.test(output.stdout), output.stdout + output.stderr);
    }

    const [response] = await published.fetchWorker(
      block(page, "Workers", "TypeScript"),
      server.account,
      ["/"],
    );
    assertEquals(response?.status, 200, response?.body);
    const { total, names } = JSON.parse(response?.body ?? "");
    assertEquals([total, names.length], [2, 2]);
  },
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

Deno.test("pages: every link within the project resolves, and no example is ignored", async () => {
  const headings = new Map<string, string[]>();
  for (const path of PAGES) {
    const page = await read(path);
    assert(!/```\w* ignore/.test(page), `${path} ignores an example`);
    const found = prose(page).matchAll(/^#+ (.*)$/gm);
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

Deno.test("CONTRIBUTING.md: names the modules, and fits on one page", async () => {
  const page = await read("CONTRIBUTING.md");
  const named = [...page.matchAll(/`((?:internal\/)?\w+\.ts)`/g)]
    .map(([, name = ""]) => name);
  const internal = list("internal/", ".ts");
  for (const name of list(".", ".ts")) {
    assertStringIncludes(page, `\`${name}\``);
  }
  for (const name of named) {
    if (internal.includes(name)) continue; // in "one idea per file"
    await Deno.stat(new URL(name, ROOT));
  }
  assert(page.split("\n").length < 100);
});

Deno.test("deno.json: the released version is the tested one", async () => {
  const { version }: { version: string } = JSON.parse(await read("deno.json"));
  const changelog = await read("CHANGELOG.md");
  assert(changelog.includes(`## [${version}] - 20`), version);
  const [, pinned] = /deno_version=(\S+)/.exec(await read(".ci/run")) ?? [];
  const workflow = await read(".github/workflows/publish.yml");
  assertStringIncludes(workflow, `deno-version: ${pinned}`);
  for (const permission of ["contents: read", "id-token: write"]) {
    assert(workflow.includes(permission), permission);
  }
});
