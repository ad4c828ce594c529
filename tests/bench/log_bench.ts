/** Benchmark of a long log, line by line. */

import { register } from "./contest.ts";
import { LINE, logResponse, serve } from "./site.ts";

/** A chunk of 64 kB, a log of 26 MB. */
const CHUNK = new TextEncoder().encode(LINE.repeat(640));
const CHUNKS = 400;

const { url, client, headers } = await serve(() => logResponse(CHUNK, CHUNKS));

/** Batches of lines. */
async function* batches(): AsyncGenerator<string[]> {
  const { body } = await fetch(`${url}/v1/execution/id/log/`, { headers });
  if (body === null) throw new Error("Cannot read the log");
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield lines;
  }
}

/** The interface of the library. */
async function* eachLine(): AsyncGenerator<string> {
  for await (const lines of batches()) for (const line of lines) yield line;
}

async function sizeOf(lines: AsyncIterable<string>): Promise<number> {
  let size = 0;
  for await (const line of lines) size += line.length + 1;
  return size;
}

/** A loop without an iterator of lines. */
async function inOneLoop(): Promise<number> {
  let size = 0;
  for await (const lines of batches()) {
    for (const line of lines) size += line.length + 1;
  }
  return size;
}

/** The comparisons. */
export const contests = register({
  name: "a log of 26 MB, line by line",
  ways: {
    "streamExecutionLog": () => sizeOf(client.streamExecutionLog("id")),
    "generator of lines": () => sizeOf(eachLine()),
    "lines in one loop": inOneLoop,
  },
  targets: [
    { against: "generator of lines", of: "speed", wanted: 0.95 },
    { against: "lines in one loop", of: "speed" },
  ],
  rounds: 25,
  bytes: CHUNK.length * CHUNKS,
});
