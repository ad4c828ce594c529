import { assertEquals } from "@std/assert";
import { pathToFileURL } from "node:url";
import {
  checkCoverage,
  quickChecks,
  runtimesSummary,
  slowChecks,
  testSummary,
} from "./checks.ts";
import { checkExamples } from "./documented.ts";
import { checkImports } from "./imports.ts";
import { ROOT } from "./process.ts";
import { checkPublished } from "./published.ts";
import { TARGETS } from "../tests/runtimes/targets.ts";

const output = (code: number, stdout: string, stderr = "") => ({
  code,
  stdout,
  stderr,
});

Deno.test("quickChecks() and slowChecks() are steps of the workflow", async () => {
  const workflow = await Deno.readTextFile(
    `${ROOT}.github/workflows/test.yml`,
  );
  const [checks = "", runtimes = ""] = workflow.split("\n  runtimes:\n");
  const steps = [...checks.matchAll(/deno task check (\S+)/g)];
  const names = [...quickChecks(), ...slowChecks("")].map(({ name }) => name);
  assertEquals(
    [...steps.map(([, name]) => name), "runtimes"].sort(),
    names.sort(),
  );
  const matrix = [...runtimes.matchAll(/^ +- (\S+)$/gm)];
  assertEquals(
    matrix.map(([, name]) => name),
    TARGETS.map(({ name }) => name),
  );
});

Deno.test("testSummary() and runtimesSummary() count the last summary of a run", () => {
  const runtimes = (counts: number[]) =>
    `  deno\nruntimes | ${counts[0]} passed | ${counts[1]} failed | ${
      counts[2]
    } skipped\n`;
  const cases: [number, string, number, number, number][] = [
    [0, "ok | 2 passed | 0 failed (7ms)\n", 2, 0, 0],
    [0, "ok | 9 passed (2 steps) | 0 failed | 3 ignored (1s)\n", 9, 0, 3],
    [1, "FAILED | 1 passed (2 steps) | 4 failed (1 step) (1m2s)\n", 1, 4, 0],
    [0, "ok | 1 passed | 0 failed (1ms)\nok | 5 passed | 0 failed\n", 5, 0, 0],
    // Ended early, exited with an error after its tests, or ran none.
    [1, "", 0, 1, 0],
    [1, "ok | 2 passed | 0 failed (7ms)\n", 2, 1, 0],
    [0, "ok | 0 passed | 0 failed (0ms)\n", 0, 1, 0],
    [0, runtimes([9, 0, 1]), 9, 0, 1],
    [1, runtimes([9, 2, 0]), 9, 2, 0],
    [1, runtimes([9, 0, 0]), 9, 1, 0],
    [0, runtimes([0, 0, 0]), 0, 1, 0],
  ];
  for (const [code, text, passed, failed, skipped] of cases) {
    const read = text.includes("runtimes") ? runtimesSummary : testSummary;
    const { details, ...counts } = read(output(code, text));
    assertEquals(counts, { passed, failed, skipped });
    const shown = read === runtimesSummary && failed === 0;
    assertEquals(details, shown ? "  deno\n" : undefined);
  }
  const { details } = testSummary(
    output(0, "a\n▸ 9 cells\nok | 2 passed | 0 failed (7ms)\n▸ 8 runs\n"),
  );
  assertEquals(details, "▸ 9 cells\n▸ 8 runs");
});

Deno.test("checkPublished() rejects files that are not the library", () => {
  const simulated = (...files: string[]) =>
    output(
      0,
      "",
      "Simulating publish of @decapod/decapodlib@1.0.0 with files:\n" +
        files.map((file) => `   file:///home/u/${file} (1.05KB)\n`).join(""),
    );
  const good = ["LICENSE", "internal/path.ts", "deno.json", "mod.ts"];
  assertEquals(checkPublished(simulated(...good)).failed, 0);
  for (const bad of ["tests/a.ts", ".dev/run.ts", "a.md", "deno.lock"]) {
    const { failed, details = "" } = checkPublished(simulated(...good, bad));
    assertEquals([failed, details.includes(bad)], [1, true]);
  }
  // Published alone, the README links to pages that are missing.
  assertEquals(checkPublished(simulated(...good, "README.md")).failed, 1);
  assertEquals(checkPublished(simulated()).failed, 1);
  assertEquals(checkPublished({ ...simulated(...good), code: 1 }).failed, 1);
});

Deno.test("checkImports() applies the import rules and finds circles", () => {
  const url = (path: string) => pathToFileURL(ROOT + path).href;
  const problems = (graph: Record<string, string[]>) => {
    const modules = Object.entries(graph).map(([module, imports]) => ({
      specifier: url(module),
      dependencies: imports.map((specifier) => ({
        specifier,
        code: { specifier: specifier.endsWith(".ts") ? url(specifier) : "" },
      })),
    }));
    const { failed, details } = checkImports(
      output(0, JSON.stringify({ modules })),
    );
    assertEquals(failed, details === undefined ? 0 : 1);
    return details;
  };
  const good = {
    "mod.ts": ["client.ts", "cloud_config.ts"],
    "client.ts": ["errors.ts", "internal/transport.ts"],
    "cloud_config.ts": ["@std/yaml/stringify"],
    "errors.ts": ["models.ts"],
    "models.ts": [],
    "internal/transport.ts": ["@std/async/delay", "errors.ts", "models.ts"],
  };
  assertEquals(problems(good), undefined);
  const cases: [module: string, target: string][] = [
    ["client.ts", "mod.ts"],
    ["client.ts", "@std/assert"],
    ["errors.ts", "internal/transport.ts"],
    ["internal/transport.ts", "client.ts"],
    ["internal/transport.ts", "node:fs"],
    ["internal/transport.ts", "tests/a.ts"],
    ["internal/transport.ts", "npm:a"],
    ["models.ts", "@std/yaml/stringify"],
  ];
  for (const [module, target] of cases) {
    const found = problems({ ...good, [module]: [target] });
    assertEquals(found?.includes(`${module} must not import ${target}`), true);
  }
  assertEquals(
    problems({
      "internal/a.ts": ["internal/b.ts"],
      "internal/b.ts": ["internal/c.ts"],
      "internal/c.ts": ["internal/b.ts"],
    }),
    "circle: internal/b.ts → internal/c.ts → internal/b.ts",
  );
  assertEquals(
    problems({ "new/a.ts": [] }),
    "new/a.ts: add it to the import rules, .dev/imports.ts",
  );
  assertEquals(checkImports(output(1, "")).failed, 1);
});

Deno.test("checkExamples() names what has no documentation or example", () => {
  const example = { kind: "example", doc: "```ts\nnew Thing(1);\n```" };
  const ignored = { kind: "example", doc: "```ts ignore\nnew Thing(1);\n```" };
  const doc = (...tags: object[]) => ({ doc: "A thing.", tags });
  const literal = (jsDoc?: object) => ({
    kind: "typeAlias",
    def: { tsType: { value: [{ properties: [{ name: "time", jsDoc }] }] } },
  });
  const cases: [file: string, object, object, problem?: string][] = [
    ["a.ts", {}, {}],
    ["mod.ts", doc(), {}, "mod.ts: no example"],
    ["mod.ts", doc(example), {}],
    ["a.ts", doc(), { kind: "class" }, "a.ts: Thing: no @example"],
    [
      "a.ts",
      doc(),
      { kind: "function", jsDoc: doc(ignored) },
      "a.ts: Thing: no @example",
    ],
    ["a.ts", doc(), { kind: "function", jsDoc: doc(example) }],
    ["a.ts", doc(), { kind: "class", jsDoc: doc({ kind: "internal" }) }],
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
  assertEquals(checkExamples(output(1, "")).failed, 1);
});

Deno.test("checkCoverage() names each line that was not run", () => {
  const lcov = `SF:${ROOT}client.ts
DA:1,3
DA:2,0
DA:3,0
BRDA:4,1,0,5
BRDA:4,1,1,0
DA:4,5
DA:5,1
DA:6,0
end_of_record
SF:${ROOT}auth.ts
DA:1,1
end_of_record
SF:/elsewhere/std.js
DA:1,0
end_of_record
`;
  const check = (...modules: string[]) =>
    checkCoverage(output(0, lcov), modules);
  assertEquals(check("auth.ts", "models.ts").failed, 0);
  assertEquals(
    check("auth.ts", "client.ts").details,
    "client.ts: not covered: 2, 3, 4, 6",
  );
  assertEquals(check("never_imported.ts").failed, 1);
  assertEquals(checkCoverage(output(1, lcov), ["auth.ts"]).failed, 1);
});
