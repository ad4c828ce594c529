/** The memory that listings and logs take, each read by its own process. */

import { fileURLToPath } from "node:url";
import { StandIn } from "../standin/mod.ts";

const READER = fileURLToPath(new URL("memory_reader.ts", import.meta.url));

/** A line of 100 bytes. */
const LINE = `${"ok: [10.0.0.1] => ".padEnd(99, ".")}\n`;
const LINES = 1000;

/** A log that is created while it is read. */
function logOf(lines: number): Response {
  const chunk = new TextEncoder().encode(LINE.repeat(LINES));
  let left = lines;
  const body = new ReadableStream({
    pull(controller) {
      controller.enqueue(chunk);
      left -= LINES;
      if (left <= 0) controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/plain" } });
}

/** The handler of a server with users. */
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

/** The peak of the memory while reading, in bytes. */
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

/** What is read, in two lengths. */
const READINGS = [
  { what: "users", little: 1000, much: 100_000, name: "users iterated" },
  { what: "log", little: 50_000, much: 5_000_000, name: "lines of a log" },
] as const;

/** The peaks of the memory for two lengths. */
export interface Memory {
  name: string;
  little: { count: number; bytes: number };
  much: { count: number; bytes: number };
}

/** Measures all readings. */
export async function memoryCost(): Promise<Memory[]> {
  const all: Memory[] = [];
  for (const { what, little, much, name } of READINGS) {
    all.push({
      name,
      little: { count: little, bytes: await peak(what, little) },
      much: { count: much, bytes: await peak(what, much) },
    });
  }
  return all;
}
