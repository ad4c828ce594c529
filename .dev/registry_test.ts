import { assertEquals, assertStringIncludes } from "@std/assert";
import { asPublished, stdFiles, untar } from "./registry.ts";

/** A tar archive with the fields that the reader reads. */
function tar(entries: { path: string; text: string; type?: string }[]) {
  const blocks = entries.flatMap(({ path, text, type = "0" }) => {
    const header = new Uint8Array(512);
    const content = new TextEncoder().encode(text);
    const put = (at: number, value: string) =>
      header.set(new TextEncoder().encode(value), at);
    const split = path.length > 100 ? path.lastIndexOf("/", 150) : -1;
    put(0, path.slice(split + 1));
    put(124, content.length.toString(8).padStart(11, "0"));
    put(156, type);
    if (split > 0) put(345, path.slice(0, split));
    const padded = new Uint8Array(Math.ceil(content.length / 512) * 512);
    padded.set(content);
    return [header, padded];
  });
  return new Uint8Array(
    [...blocks, new Uint8Array(1024)].flatMap((b) => [...b]),
  );
}

Deno.test("untar() yields the regular files with their whole paths", () => {
  const deep = `package/${"d".repeat(120)}/file.js`;
  const files = untar(tar([
    { path: "package/a.txt", text: "ä".repeat(300) },
    { path: "package/empty", text: "" },
    { path: "package/folder/", text: "", type: "5" },
    { path: "header", text: "30 mtime=1\n", type: "x" },
    { path: deep, text: "x".repeat(512) },
  ]));
  assertEquals([...files], [
    { path: "package/a.txt", text: "ä".repeat(300) },
    { path: "package/empty", text: "" },
    { path: deep, text: "x".repeat(512) },
  ]);
});

Deno.test("stdFiles() finds code and types of std in any folder", () => {
  const std = stdFiles([
    { path: "package/esm/deps/jsr.io/@std/yaml/1.0.10/mod.js", text: "1;\n" },
    { path: "package/types/deps/jsr.io/@std/yaml/1.0.10/mod.d.ts", text: "" },
    { path: "package/esm/deps/jsr.io/@std/yaml/1.0.10/mod.js.map", text: "" },
    { path: "package/esm/deps/jsr.io/@std/yaml/1.0.9/_type/a.js", text: "" },
    { path: "package/esm/deps/jsr.io/@other/yaml/1.0.10/mod.js", text: "" },
    { path: "package/esm/mod.js", text: "" },
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
