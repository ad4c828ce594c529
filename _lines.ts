/** Text that comes in pieces, cut into lines. */

/**
 * The lines of a text, without `\n` or `\r\n`. What follows the last line
 * break is a line too, unless it is empty.
 *
 * @param signal Ends it at once, whatever is left of a piece.
 */
export async function* lines(
  chunks: AsyncIterable<string>,
  signal?: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  let rest = "";
  for await (const chunk of chunks) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf("\n", start);
      if (end === -1) break;
      signal?.throwIfAborted();
      yield withoutReturn(rest + chunk.slice(start, end));
      rest = "";
      start = end + 1;
    }
    rest += chunk.slice(start);
  }
  signal?.throwIfAborted();
  if (rest !== "") yield rest;
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
