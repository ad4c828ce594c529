/** Reads pages of the documentation. */

const ROOT = new URL("../../", import.meta.url);

/** Reads a file by its path from the root. */
export function read(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

/** A page without its code. */
export function prose(page: string): string {
  return page.replace(/^ *```[^]*?^ *```/gm, "");
}

/** The blocks of code of a page, in order, with the last heading before. */
export function blocks(page: string) {
  const found: { heading: string; language: string; text: string }[] = [];
  let heading = "";
  const parts = page.matchAll(/^#+ (.*)$|^```(\S+)\n([^]*?)^```$/gm);
  for (const [, title, language, text = ""] of parts) {
    if (language) found.push({ heading, language, text });
    else heading = title ?? "";
  }
  return found;
}

/** The only block of a language below a heading. */
export function block(page: string, heading: string, language: string): string {
  const [one, ...more] = blocks(page).filter((one) =>
    one.heading === heading && one.language === language
  );
  if (one && more.length === 0) return one.text;
  throw new Error(`Expected one ${language} block below "${heading}"`);
}
