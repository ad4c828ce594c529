/** The whole suite; its results are lines of JSON. */
import "./sessions.ts";
import "./logout.ts";
import "./methods.ts";
import "./listings.ts";
import "./truncation.ts";
import "./failures.ts";
import "./options.ts";
import "./cloud_config.ts";
import "./tls.ts";
import "./proxies.ts";
import { type Result, runTests, type Settings } from "./kit.ts";

/** The last line. */
export interface End {
  end: true;
  /** The URL of the library. */
  library: string;
}

/** Runs all tests and yields the lines to print. */
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
