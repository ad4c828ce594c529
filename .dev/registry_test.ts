import { assertEquals, assertStringIncludes } from "@std/assert";
import { packed, untar } from "./files.ts";
import { asPublished, stdFiles } from "./registry.ts";

Deno.test("untar() returns the files of packed()", async () => {
  const files = [
    ["a.txt", "ä".repeat(300)],
    ["empty", ""],
    [`${"d".repeat(120)}/file.js`, "x".repeat(512)],
  ] as const;
  const found = await untar(await packed(new Map(files)));
  assertEquals(
    found,
    new Map(files.map(([path, text]) => [`package/${path}`, text])),
  );
});

Deno.test("stdFiles() finds code and types of std in any folder", () => {
  const std = stdFiles([
    ["package/esm/deps/jsr.io/@std/yaml/1.0.10/mod.js", "1;\n"],
    ["package/types/deps/jsr.io/@std/yaml/1.0.10/mod.d.ts", ""],
    ["package/esm/deps/jsr.io/@std/yaml/1.0.10/mod.js.map", ""],
    ["package/esm/deps/jsr.io/@std/yaml/1.0.9/_type/a.js", ""],
    ["package/esm/deps/jsr.io/@other/yaml/1.0.10/mod.js", ""],
    ["package/esm/mod.js", ""],
  ]);
  const names = [...std].map(([name, files]) => [name, [...files.keys()]]);
  assertEquals(names, [
    ["yaml@1.0.10", ["mod.js", "mod.d.ts"]],
    ["yaml@1.0.9", ["_type/a.js"]],
  ]);
});

Deno.test("asPublished() reverts the npm build", () => {
  const text = asPublished(
    "unstable/a_b.js",
    `import * as dntShim from "../../../_dnt.shims.js";
import { diffStr } from "../../internal/1.0.14/diff_str.js";
import { own } from "../own.js";
dntShim.dntGlobalThis.f(dntShim.Deno);
//# sourceMappingURL=a_b.js.map
`,
  );
  assertEquals(
    text,
    `// @ts-self-types="./a_b.d.ts"
import { diffStr } from "jsr:@std/internal@^1.0.14/diff-str";
import { own } from "../own.js";
globalThis.f(Deno);
`,
  );
  assertStringIncludes(asPublished("a.d.ts", "export {};\n"), "export {};\n");
});
