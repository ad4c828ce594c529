import { assertEquals } from "@std/assert";
import { pathToFileURL } from "node:url";
import {
  checkCoverage,
  runtimesSummary,
  stages,
  testSummary,
} from "./checks.ts";
import { checkExamples } from "./documented.ts";
import { checkImports } from "./imports.ts";
import { ROOT } from "./process.ts";
import { TARGETS } from "../tests/runtimes/targets.ts";

const output = (code: number, stdout: string) => ({ code, stdout, stderr: "" });

Deno.test("stages() has the checks of the workflow test.yml", async () => {
  const workflow = await Deno.readTextFile(`${ROOT}.github/workflows/test.yml`);
  const [checks = "", runtimes = ""] = workflow.split("\n  runtimes:\n");
  const found = (text: string, pattern: RegExp) =>
    [...text.matchAll(pattern)].map(([, name = ""]) => name);
  const names = (list: { name: string }[]) => list.map(({ name }) => name);
  const steps = found(checks, /deno task check (.+)/g).join(" ").split(" ");
  const known = names(stages("").flat());
  assertEquals([...steps, "runtimes"].sort(), known.sort());
  assertEquals(found(runtimes, /^ +- (\S+)$/gm), names(TARGETS));
});

Deno.test("testSummary() and runtimesSummary() count the last summary of a run", () => {
  const cases: [number, string, passed: number, failed: number, number][] = [
    [0, "ok | 2 passed | 0 failed (7ms)\n", 2, 0, 0],
    [0, "ok | 9 passed (2 steps) | 0 failed | 3 ignored (1s)\n", 9, 0, 3],
    [1, "FAILED | 1 passed (2 steps) | 4 failed (1 step) (1m2s)\n", 1, 4, 0],
    [0, "ok | 1 passed | 0 failed (1ms)\nok | 5 passed | 0 failed\n", 5, 0, 0],
    // Ended early, exited with an error after its tests, or ran none.
    [1, "", 0, 1, 0],
    [1, "ok | 2 passed | 0 failed (7ms)\n", 2, 1, 0],
    [0, "ok | 0 passed | 0 failed (0ms)\n", 0, 1, 0],
    [0, "  deno\nruntimes | 9 passed | 0 failed | 1 skipped\n", 9, 0, 1],
    [1, "  deno\nruntimes | 9 passed | 2 failed | 0 skipped\n", 9, 2, 0],
    [1, "  deno\nruntimes | 9 passed | 0 failed | 0 skipped\n", 9, 1, 0],
    [0, "  deno\nruntimes | 0 passed | 0 failed | 0 skipped\n", 0, 1, 0],
  ];
  for (const [code, text, passed, failed, skipped] of cases) {
    const read = text.includes("runtimes") ? runtimesSummary : testSummary;
    const { details, ...counts } = read(output(code, text));
    assertEquals(counts, { passed, failed, skipped });
    const shown = read === runtimesSummary && failed === 0;
    assertEquals(details, shown ? "  deno\n" : undefined);
  }
  const figures = "a\n▸ 9 cells\nok | 2 passed | 0 failed (7ms)\n▸ 8 runs\n";
  const { details } = testSummary(output(0, figures));
  assertEquals(details, "▸ 9 cells\n▸ 8 runs");
});

Deno.test("checkImports() reports forbidden imports and import cycles", () => {
  const url = (path: string) =>
    path.endsWith(".ts") ? pathToFileURL(ROOT + path).href : path;
  const check = (graph: Record<string, string[]>) => {
    const dependency = (specifier: string) => ({
      specifier,
      code: { specifier: url(specifier) },
    });
    const modules = Object.entries(graph).map(([module, imports]) => ({
      specifier: url(module),
      dependencies: imports.map(dependency),
    }));
    return checkImports(output(0, JSON.stringify({ modules }))).details;
  };
  const allowed = {
    "mod.ts": ["client.ts", "cloud_config.ts"],
    "client.ts": ["errors.ts", "internal/transport.ts"],
    "cloud_config.ts": ["@std/yaml/stringify"],
    "errors.ts": ["models.ts"],
    "models.ts": [],
    "internal/transport.ts": ["@std/async/delay", "errors.ts", "models.ts"],
  };
  assertEquals(check(allowed), undefined);
  const forbidden: [module: string, target: string][] = [
    ["client.ts", "mod.ts"],
    ["client.ts", "@std/assert"],
    ["errors.ts", "internal/transport.ts"],
    ["internal/transport.ts", "client.ts"],
    ["internal/transport.ts", "node:fs"],
    ["internal/transport.ts", "tests/a.ts"],
    ["internal/transport.ts", "npm:a"],
    ["models.ts", "@std/yaml/stringify"],
  ];
  for (const [module, target] of forbidden) {
    const problem = `${module} must not import ${target}`;
    assertEquals(check({ [module]: [target] }), problem);
  }
  const cyclic = {
    "internal/a.ts": ["internal/b.ts"],
    "internal/b.ts": ["internal/c.ts"],
    "internal/c.ts": ["internal/b.ts", "models.ts"],
    "models.ts": [],
  };
  const cycle = "import cycle: internal/b.ts, internal/c.ts";
  assertEquals(check(cyclic), cycle);
  const unknown = "new/a.ts: add it to .dev/imports.ts";
  assertEquals(check({ "new/a.ts": [] }), unknown);
});

Deno.test("checkExamples() names what has no documentation or example", () => {
  const doc = (...tags: object[]) => ({ doc: "A thing.", tags });
  const example = { kind: "example", doc: "```ts\nnew Thing(1);\n```" };
  const ignored = { kind: "example", doc: "```ts ignore\nnew Thing(1);\n```" };
  const internal = { kind: "internal" };
  const literal = (jsDoc?: object) => ({
    kind: "typeAlias",
    def: { tsType: { value: [{ properties: [{ name: "time", jsDoc }] }] } },
  });
  const noExample = "a.ts: Thing: no example";
  const cases: [file: string, object, object, problem?: string][] = [
    ["a.ts", {}, {}],
    ["mod.ts", doc(), {}, "mod.ts: no example"],
    ["mod.ts", doc(example), {}],
    ["a.ts", doc(), { kind: "class" }, noExample],
    ["a.ts", doc(), { kind: "function", jsDoc: doc(ignored) }, noExample],
    ["a.ts", doc(), { kind: "function", jsDoc: doc(example) }],
    ["a.ts", doc(), { kind: "class", jsDoc: doc(internal) }],
    ["a.ts", doc(), { kind: "interface", jsDoc: doc() }],
    ["a.ts", doc(), literal(), "a.ts: Thing.time: no documentation"],
    ["a.ts", doc(), literal(doc())],
  ];
  for (const [file, module_doc, declaration, problem] of cases) {
    const symbols = [{ name: "Thing", declarations: [declaration] }];
    const nodes = { [`file:///a/${file}`]: { module_doc, symbols } };
    const { details } = checkExamples(output(0, JSON.stringify({ nodes })));
    assertEquals(details, problem);
  }
});

Deno.test("checkCoverage() names each line that was not run", () => {
  const lcov = [
    `SF:${ROOT}client.ts`,
    ...["DA:1,3", "DA:2,0", "DA:3,0", "BRDA:4,1,0,5", "BRDA:4,1,1,0", "DA:4,5"],
    ...["DA:5,1", "DA:6,0", "end_of_record"],
    ...[`SF:${ROOT}auth.ts`, "DA:1,1", "end_of_record"],
    ...["SF:/elsewhere/std.js", "DA:1,0", "end_of_record", ""],
  ].join("\n");
  const check = (module: string) => checkCoverage(output(0, lcov), [module]);
  assertEquals(check("auth.ts").failed, 0);
  assertEquals(check("models.ts").failed, 0); // has no code
  const missed = "client.ts: not covered: 2, 3, 4, 6";
  assertEquals(check("client.ts").details, missed);
  assertEquals(check("never_imported.ts").failed, 1);
});

Deno.test("checkImports(), checkExamples() and checkCoverage() fail if their command did", () => {
  for (const check of [checkImports, checkExamples, checkCoverage]) {
    assertEquals(check(output(1, ""), []).failed, 1);
  }
});
