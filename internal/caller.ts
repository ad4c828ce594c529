/** Adds the caller's stack frames to errors. */

import { DecapodError } from "../errors.ts";

/** Appends the frames of an error that was created in the caller's call. */
export function addCaller(error: unknown, caller: Error): void {
  if (!(error instanceof DecapodError || error instanceof TypeError)) return;
  const { stack } = error;
  // Error.prepareStackTrace may have made it something other than a string.
  if (typeof caller.stack !== "string" || typeof stack !== "string") return;
  const frames = caller.stack.split("\n").slice(1);
  // Every stack on Node may end in a frame of Node itself.
  const last = frames.findLast((frame) => !frame.includes("(node:"));
  if (stack.includes(`${last}`)) return;
  Reflect.set(error, "stack", [stack, ...frames].join("\n")); // may be frozen
}

/** Copies an error that several callers receive: each gets its own stack. */
export function copyForCaller(error: unknown): unknown {
  if (!(error instanceof DecapodError)) return error;
  const { message, cause } = error;
  return Reflect.construct(error.constructor, [message, { ...error, cause }]);
}
