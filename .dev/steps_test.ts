import { assertEquals } from "@std/assert";
import { pathToFileURL } from "node:url";
import { ROOT } from "./process.ts";
import { coverageGate } from "./coverage.ts";
import {
  libraryImports,
  publishedFiles,
  runtimesSummary,
  testSummary,
} from "./steps.ts";

const output = (code: number, stdout: string, stderr = "") => ({
  code,
  stdout,
  stderr,
});

Deno.test("testSummary() counts the last summary of a run", () => {
  const cases: [number, string, number, number, number][] = [
    [0, "ok | 2 passed | 0 failed (7ms)\n", 2, 0, 0],
    [0, "ok | 9 passed (2 steps) | 0 failed | 3 ignored (1s)\n", 9, 0, 3],
    [1, "FAILED | 1 passed (2 steps) | 4 failed (1 step) (1m2s)\n", 1, 4, 0],
    [0, "ok | 1 passed | 0 failed (1ms)\nok | 5 passed | 0 failed\n", 5, 0, 0],
    // Broke off, ended badly after its tests, or ran none.
    [1, "", 0, 1, 0],
    [1, "ok | 2 passed | 0 failed (7ms)\n", 2, 1, 0],
    [0, "ok | 0 passed | 0 failed (0ms)\n", 0, 1, 0],
  ];
  for (const [code, text, passed, failed, skipped] of cases) {
    assertEquals(testSummary(output(code, text)), { passed, failed, skipped });
  }
  const { details } = testSummary(
    output(0, "a\n▸ 9 cells\nok | 2 passed | 0 failed (7ms)\n▸ 8 runs\n"),
  );
  assertEquals(details, "▸ 9 cells\n▸ 8 runs");
});

Deno.test("runtimesSummary() counts the last line and shows the rest", () => {
  const line = (passed: number, failed: number, skipped: number) =>
    `runtimes | ${passed} passed | ${failed} failed | ${skipped} skipped\n`;
  const cases: [number, string, number, number, number][] = [
    [0, line(9, 0, 1), 9, 0, 1],
    [1, line(9, 2, 0), 9, 2, 0],
    // Ended badly after its table, or ran nothing.
    [1, line(9, 0, 0), 9, 1, 0],
    [0, line(0, 0, 0), 0, 1, 0],
  ];
  for (const [code, text, passed, failed, skipped] of cases) {
    const { details, ...counts } = runtimesSummary(
      output(code, `  deno\n${text}`),
    );
    assertEquals(counts, { passed, failed, skipped });
    assertEquals(details, "  deno\n");
  }
  assertEquals(runtimesSummary(output(0, "")).failed, 1);
});

Deno.test("publishedFiles() refuses what is not the library", () => {
  const simulated = (...files: string[]) =>
    output(
      0,
      "",
      "Simulating publish of @decapod/decapodlib@1.0.0 with files:\n" +
        files.map((file) => `   file:///home/u/${file} (1.05KB)\n`).join(""),
    );
  const good = ["LICENSE", "README.md", "_transport.ts", "deno.json", "mod.ts"];
  assertEquals(publishedFiles(simulated(...good)).failed, 0);
  for (const bad of ["tests/a.ts", ".dev/run.ts", "a.md", "deno.lock"]) {
    const { failed, details = "" } = publishedFiles(simulated(...good, bad));
    assertEquals([failed, details.includes(bad)], [1, true]);
  }
  assertEquals(publishedFiles(simulated()).failed, 1);
  assertEquals(publishedFiles({ ...simulated(...good), code: 1 }).failed, 1);
});

Deno.test("libraryImports() refuses what users should not have to load", () => {
  const graph = (...specifiers: string[]) => {
    const dependencies = specifiers.map((specifier) => ({ specifier }));
    const modules = [
      { specifier: pathToFileURL(ROOT + "mod.ts").href, dependencies },
      { specifier: pathToFileURL(ROOT + "errors.ts").href },
      {
        specifier: "https://elsewhere.invalid/std.js",
        dependencies: [{ specifier: "../internal.js" }],
      },
    ];
    return output(0, JSON.stringify({ modules }));
  };
  const good = ["./_transport.ts", "@std/async", "@std/async/delay"];
  assertEquals(libraryImports(graph(...good)).failed, 0);
  const bad = [
    "@std/assert",
    "@std/yaml",
    "node:fs",
    "./tests/a.ts",
    "../a.ts",
    "npm:a",
  ];
  for (const specifier of bad) {
    const { failed, details } = libraryImports(graph(...good, specifier));
    assertEquals([failed, details?.includes(specifier)], [1, true]);
  }
  assertEquals(libraryImports(output(1, "")).failed, 1);
});

const LCOV = `SF:${ROOT}client.ts
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

Deno.test("coverageGate() names each line that was not run", () => {
  const gate = (modules: string[], exceptions = {}) =>
    coverageGate(output(0, LCOV), modules, exceptions);
  assertEquals(gate(["auth.ts", "models.ts"]).failed, 0);
  const { failed, details } = gate(["auth.ts", "client.ts"]);
  assertEquals(failed, 1);
  assertEquals(
    details,
    [
      "  module       lines  branches  not covered",
      "  auth.ts    100.0 %   100.0 %",
      "  client.ts   50.0 %    50.0 %  2-4, 6",
    ].join("\n"),
  );
  const exceptions = {
    "client.ts:2": "a",
    "client.ts:3": "b",
    "client.ts:4": "c",
    "client.ts:6": "d",
  };
  assertEquals(gate(["client.ts"], exceptions).failed, 0);
  assertEquals(
    gate(["client.ts"], { ...exceptions, "client.ts:5": "e" }).failed,
    1,
  );
  assertEquals(gate(["auth.ts"], exceptions).failed, 1);
  assertEquals(gate(["never_imported.ts"]).failed, 1);
  assertEquals(coverageGate(output(1, LCOV), ["auth.ts"]).failed, 1);
});
