/** The whole suite; its results are lines of JSON. */
import "./methods.ts";
import "./streams.ts";
import "./failures.ts";
import "./tls.ts";
import { runTests } from "./kit.ts";

/** The last line. */
export interface End {
  end: true;
  /** The URL of the library. */
  library: string;
}

/** Runs all tests and prints the lines. */
export async function printResults(
  settings: string,
  library: string,
  print: (line: string) => unknown = console.log,
): Promise<void> {
  for await (const result of runTests(JSON.parse(settings))) {
    print(JSON.stringify(result));
  }
  print(JSON.stringify({ end: true, library } satisfies End));
}
