/** Streams the lines of a log. */

import type { Deadline } from "./deadline.ts";
import { DecapodError } from "../errors.ts";
import { flatten, lines } from "./generators.ts";
import type { RequestOptions } from "../options.ts";
import type { RequestSpec } from "./request.ts";
import type { Transport } from "./transport.ts";

/** Yields the lines of a text, a batch for each chunk that arrives. */
export function streamLines(
  transport: Transport,
  spec: RequestSpec,
  options?: RequestOptions,
): AsyncGenerator<string, void, undefined> {
  let deadline: Deadline | undefined;
  async function* batches() {
    deadline = transport.openDeadline(spec, options);
    try {
      yield* lines(transport.chunks(spec, options, deadline));
    } finally {
      deadline.close();
    }
  }
  const stop = () => deadline?.abort(new DecapodError("Iteration left"));
  return flatten(batches(), (lines) => lines, stop, options?.signal);
}
