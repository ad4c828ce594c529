/** What is published, and whether the links in it lead somewhere. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path/posix";
import { type Output, ROOT } from "./process.ts";
import { byExitCode, noProblems, type Verdict } from "./runner.ts";

/** What may be published, by its path in the package. */
const PUBLISHABLE =
  /^(((internal|examples)\/)?[a-z_]+\.ts|(docs\/[a-z_]+|README|CHANGELOG|CONTRIBUTING|SECURITY)\.md|LICENSE|deno\.json)$/;

/** A link to a file: `[text](docs/page.md#heading)`. */
const LINK = /\]\((?!https?:|mailto:|#)([^)#\s]+)/g;

/** Reads `deno publish --dry-run`: the library and its pages, nothing else. */
export function checkPublished(output: Output): Verdict {
  const urls = [...output.stderr.matchAll(/^ +(file:\S+) \(/gm)]
    .map(([, url = ""]) => url);
  const root = urls.find((url) => url.endsWith("/deno.json"))
    ?.slice(0, -"deno.json".length) ?? "";
  if (output.code !== 0 || root === "") {
    return byExitCode({ ...output, code: 1 });
  }
  const files = urls.map((url) => url.slice(root.length));
  return noProblems([
    ...files.filter((file) => !PUBLISHABLE.test(file))
      .map((file) => `Cannot publish ${file}: see publish in deno.json`),
    ...files.filter((file) => file.endsWith(".md") && existsSync(ROOT + file))
      .flatMap((page) => brokenLinks(page, files)),
  ]);
}

/** Links to files or folders that are not published. */
function brokenLinks(page: string, published: string[]): string[] {
  const text = Deno.readTextFileSync(ROOT + page);
  return [...text.matchAll(LINK)].map(([, link = ""]) => link)
    .filter((link) => {
      const target = join(dirname(page), link);
      return !published.some((file) =>
        file === target || target.endsWith("/") && file.startsWith(target)
      );
    })
    .map((link) => `${page}: the link to ${link} is not published`);
}
