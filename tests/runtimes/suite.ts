/** The whole suite; its results are lines of JSON. */
import "./methods.ts";
import "./streams.ts";
import "./failures.ts";
import "./tls.ts";
import { type Result, runTests } from "./kit.ts";

/** The last line. */
export interface End {
  end: true;
  /** The URL of the library. */
  library: string;
}

/** Runs all tests and yields the lines to print. */
export async function* lines(
  settings: string,
  library: string,
): AsyncGenerator<string> {
  for await (const result of runTests(JSON.parse(settings))) {
    yield JSON.stringify(result satisfies Result);
  }
  yield JSON.stringify({ end: true, library } satisfies End);
}

/** Runs all tests and prints the lines. */
export async function printResults(settings: string, library: string) {
  for await (const line of lines(settings, library)) console.log(line);
}
