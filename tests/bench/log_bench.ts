/** Benchmark of a long log, line by line. */

import { type Contest, register } from "./contest.ts";
import { serve } from "./site.ts";

/** A line of 100 bytes, a chunk of 64 kB, a log of 26 MB. */
const LINE = `${"ok: [10.0.0.1] => ".padEnd(99, ".")}\n`;
const CHUNK = new TextEncoder().encode(LINE.repeat(640));
const CHUNKS = 400;

const { url, client, headers } = await serve(() => {
  let left = CHUNKS;
  const body = new ReadableStream({
    pull(controller) {
      controller.enqueue(CHUNK);
      if (--left === 0) controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/plain" } });
});

/** The chunks of the body. */
async function chunks(): Promise<AsyncIterable<Uint8Array>> {
  const response = await fetch(`${url}/v1/execution/id/log/`, { headers });
  if (response.body === null) throw new Error("Cannot read the log");
  return response.body;
}

/** The interface of the library. */
async function* rawLines(): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of await chunks()) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line;
  }
  if (rest !== "") yield rest;
}

async function eachLine(lines: AsyncIterable<string>): Promise<number> {
  let size = 0;
  for await (const line of lines) size += line.length + 1;
  return size;
}

/** A loop without an iterator of lines. */
async function inOneLoop(): Promise<number> {
  const decoder = new TextDecoder();
  let size = 0;
  let rest = "";
  for await (const chunk of await chunks()) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) size += line.length + 1;
  }
  return size + rest.length;
}

/** The comparisons. */
export const contests: Contest[] = [{
  name: "a log of 26 MB, line by line",
  ways: {
    "streamExecutionLog": () => eachLine(client.streamExecutionLog("id")),
    "generator of lines": () => eachLine(rawLines()),
    "lines in one loop": inOneLoop,
  },
  targets: [
    { against: "generator of lines", of: "speed", wanted: 0.95 },
    { against: "lines in one loop", of: "speed" },
  ],
  rounds: 25,
  bytes: CHUNK.length * CHUNKS,
}];

contests.forEach(register);
