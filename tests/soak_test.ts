/** Tests of `deno task soak`: a run of a few seconds. */

import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("soak.ts", import.meta.url));

async function soak(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--v8-flags=--expose-gc", SCRIPT, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("soak: every change is accounted for, and nothing is sent after a disposal", async () => {
  const { code, out, err } = await soak("--seconds", "4");
  assertEquals(code, 0, out + err);
  assert(out.startsWith("Soaked for 4 s, 64 workers, seed 1\n"));
  assert(/^ok {5}creations +[1-9]\d* confirmed/m.test(out), out);
  assert(/^ok {5}missing +$/m.test(out), out);
  assert(/^ok {5}disposals +[1-9]/m.test(out), out);
});

Deno.test("soak: it rejects invalid arguments", async () => {
  const { code, err } = await soak("--seconds", "soon");
  assertEquals(code, 2);
  assert(err.startsWith("Invalid --seconds or --seed"));
});
