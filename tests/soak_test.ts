/** Tests of `deno task soak`: a run of a few seconds. */

import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

Deno.test("soak.ts: every change is accounted for, and nothing is sent after a disposal", async () => {
  const script = fileURLToPath(new URL("soak.ts", import.meta.url));
  const options = ["-A", "--no-lock", "--v8-flags=--expose-gc"];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...options, script, "--seconds", "4"],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  const out = decoder.decode(stdout);
  assertEquals(code, 0, out + decoder.decode(stderr));
  assert(out.startsWith("Soaked for 4 s, 64 workers, seed 1\n"));
  assert(/^ok {5}creations +[1-9]\d* confirmed/m.test(out), out);
  assert(/^ok {5}missing +$/m.test(out), out);
  assert(/^ok {5}disposals +[1-9]/m.test(out), out);
});
