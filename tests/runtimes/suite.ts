/** The whole suite, and how it tells its results: a line of JSON each. */
import "./sessions.ts";
import "./methods.ts";
import "./listings.ts";
import "./failures.ts";
import "./cloud_config.ts";
import "./tls.ts";
import "./proxies.ts";
import { type Result, runTests, type Settings } from "./kit.ts";

/** The last line. */
export interface End {
  end: true;
  /** Where the library comes from. */
  library: string;
}

/** Runs all tests and gives the lines to print. */
export async function* lines(
  settings: string | undefined,
  library: string,
): AsyncGenerator<string> {
  const parsed: Settings = JSON.parse(settings ?? "");
  for await (const result of runTests(parsed)) {
    yield JSON.stringify(result satisfies Result);
  }
  yield JSON.stringify({ end: true, library } satisfies End);
}
