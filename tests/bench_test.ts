/** Tests of the helpers of the benchmarks. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { compete, ratio } from "./bench/contest.ts";
import { show, spread } from "./bench/spread.ts";

Deno.test("spread() ignores an outlier: min and max are medians of parts", () => {
  const values = Array.from({ length: 100 }, (_, index) => 10 + index % 10);
  values[50] = 1000;
  assertEquals(spread(values), { median: 15, min: 15, max: 16 });
  assertEquals(show(spread([3, 1, 2]), 1), "2.0 (1.0 – 3.0)");
});

Deno.test("ratio() compares times or speeds of the same round", () => {
  const times = new Map([["ours", [10, 30]], ["theirs", [20, 60]]]);
  const target = { against: "theirs", of: "time" } as const;
  assertEquals(ratio(times, target), { median: 0.5, min: 0.5, max: 0.5 });
  assertEquals(ratio(times, { ...target, of: "speed" }).median, 2);
});

Deno.test("compete() rejects if two ways have different results", async () => {
  const contest = {
    name: "counting",
    ways: { ours: () => 1, theirs: () => Promise.resolve(1) },
    targets: [],
    rounds: 4,
  };
  const times = await compete(contest);
  assertEquals([...times.keys()], ["ours", "theirs"]);
  for (const taken of times.values()) {
    assertEquals(taken.length, 4);
    assert(taken.every((time) => time >= 0));
  }
  const unlike = { ...contest.ways, theirs: () => 2 };
  await assertRejects(
    () => compete({ ...contest, ways: unlike }),
    Error,
    "Cannot compare theirs (counting): it returned 2, not 1",
  );
});
