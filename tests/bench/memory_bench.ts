/**
 * What lists and logs of any length take up in memory. Each is read by a
 * process of its own, from the server in this one. `deno run -A
 * tests/bench/memory_bench.ts`
 */

import { fileURLToPath } from "node:url";
import { StandIn } from "../standin/mod.ts";

const READER = fileURLToPath(new URL("memory.ts", import.meta.url));

/** A line of a log; a hundred bytes with its end. */
const LINE = `${"ok: [10.0.0.1] => ".padEnd(99, ".")}\n`;
const LINES = 1000;

/** A log with so many lines, as long as somebody reads it. */
function logOf(lines: number): Response {
  const piece = new TextEncoder().encode(LINE.repeat(LINES));
  let left = lines;
  const body = new ReadableStream({
    pull(controller) {
      controller.enqueue(piece);
      left -= LINES;
      if (left <= 0) controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/plain" } });
}

/** A server with so many users besides the first. */
async function listOf(
  users: number,
): Promise<(request: Request) => Promise<Response>> {
  const standIn = new StandIn({ servers: 0 });
  standIn.seedUsers(users - 1);
  const login = await standIn.fetch("http://decapod/v1/auth/", {
    method: "POST",
    body: JSON.stringify({ username: "root", password: "root" }),
  });
  const { id }: { id: string } = await login.json();
  return async (request) => {
    const headers = { authorization: id };
    return await standIn.handler(new Request(request.url, { headers }));
  };
}

/** The most memory that reading so much takes, in bytes. */
async function peak(
  what: "users" | "log",
  count: number,
): Promise<number> {
  const handler = what === "log" ? () => logOf(count) : await listOf(count);
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    handler,
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--v8-flags=--expose-gc",
      READER,
      what,
      url,
      String(count),
    ],
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(decoder.decode(stderr));
  return Number(decoder.decode(stdout));
}

/** How much more memory a hundred times as much may take. */
const MOST = 1.5;

/** What is read, a little and much of it: users, lines of a log. */
const READINGS = [
  { what: "users", little: 1000, much: 100_000, unit: "users" },
  { what: "log", little: 50_000, much: 5_000_000, unit: "lines (100 bytes)" },
] as const;

for (const { what, little, much, unit } of READINGS) {
  const peaks: number[] = [];
  for (const count of [little, much]) {
    const bytes = await peak(what, count);
    peaks.push(bytes);
    const megabytes = (bytes / 1e6).toFixed(2);
    console.log(`${count} ${unit}: at most ${megabytes} MB alive on the heap`);
  }
  const ratio = (peaks[1] ?? NaN) / (peaks[0] ?? NaN);
  console.log(`ratio ${ratio.toFixed(3)}, at most ${MOST}`);
  if (!(ratio < MOST)) Deno.exitCode = 1;
}
