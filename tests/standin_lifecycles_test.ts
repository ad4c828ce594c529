/** The stand-in replays what a Decapod does over time. */

import { assertEquals } from "@std/assert";
import { play, readScenarios } from "./standin/scenario.ts";

for (const scenario of await readScenarios()) {
  Deno.test(`stand-in lives as a Decapod does: ${scenario.name}`, async () => {
    assertEquals(await play(scenario), []);
  });
}
