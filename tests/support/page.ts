/** Generated sections of documentation pages. */

/** The content of a generated section. */
export function section(page: string, name: string): string {
  const [start, end] = markers(name);
  const from = page.indexOf(start);
  const to = page.indexOf(end);
  if (from < 0 || to < from) {
    throw new Error(
      `Cannot find the section ${name}: add ${start} to the page`,
    );
  }
  return page.slice(from + start.length, to).trim();
}

/** The page with another text in a section. */
export function replaceSection(
  page: string,
  name: string,
  text: string,
): string {
  const old = section(page, name);
  const [start, end] = markers(name);
  const whole = page.slice(page.indexOf(start), page.indexOf(end));
  return old === text ? page : page.replace(
    `${whole}${end}`,
    () => `${start}\n\n${text}\n\n${end}`,
  );
}

function markers(name: string): [string, string] {
  return [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
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
