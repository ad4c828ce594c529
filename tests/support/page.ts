/** Generated sections of documentation pages. */

/** Matches a section: its first line, its content and its last line. */
const pattern = (name: string) =>
  new RegExp(`(<!-- ${name}: begin -->)([^]*?)(<!-- ${name}: end -->)`);

/** The content of a generated section. */
export function section(page: string, name: string): string {
  const [, , text] = pattern(name).exec(page) ?? [];
  if (text !== undefined) return text.trim();
  throw new Error(`Cannot find the section ${name} of the page`);
}

/** The page with another text in a section. */
export function replaceSection(page: string, name: string, text: string) {
  section(page, name); // throws if there is none
  return page.replace(
    pattern(name),
    (_, start, _old, end) => `${start}\n\n${text}\n\n${end}`,
  );
}

/** A Markdown table as `deno fmt` formats it. */
export function table(head: string[], rows: string[][]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) =>
    Math.max(3, ...all.map((row) => row[column]?.length ?? 0))
  );
  const line = (row: string[]) =>
    `| ${
      row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")
    } |`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [line(head), rule, ...rows.map(line)].join("\n");
}
