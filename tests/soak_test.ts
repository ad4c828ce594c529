/** Tests of `deno task soak`: a run of a few seconds. */
import { assertEquals, assertMatch } from "@std/assert";
import { deno } from "../.dev/process.ts";

Deno.test("soak.ts: every change is accounted for, and nothing is sent after a disposal", async () => {
  const options = ["-A", "--no-lock", "--v8-flags=--expose-gc"];
  const script = ["tests/soak.ts", "--seconds", "4"];
  const { code, stdout, stderr } = await deno(["run", ...options, ...script]);
  assertEquals(code, 0, stdout + stderr);
  assertMatch(stdout, /^Soaked for 4 s, 64 workers, seed 1\n/);
  assertMatch(stdout, /^ok {5}creations +[1-9]\d* confirmed/m);
  assertMatch(stdout, /^ok {5}missing +$/m);
  assertMatch(stdout, /^ok {5}disposals +[1-9]/m);
});
