/** Reads truncated logs: a test runs it on each runtime. */
import { Client } from "@decapod/decapodlib";

const ID = "11111111-1111-4111-8111-111111111111";

/** Whether a log that ends in the middle of a line is an error. */
async function isError(url, cut) {
  const client = new Client(url, {
    login: "root",
    password: "root",
    retries: 0,
    timeout: 10_000,
    headers: { authorization: "a-token" },
  });
  try {
    for await (const line of client.streamExecutionLog(ID)) {
      if (line === "first") await (await fetch(cut)).text();
    }
    return "no";
  } catch (error) {
    if (!(error instanceof Error) || !error.name.startsWith("Decapod")) {
      throw error;
    }
    return "yes";
  }
}

/**
 * Reads one log after the other.
 *
 * @param logs The servers, by the way in which they end a body.
 */
export async function readLogs(logs) {
  const results = {};
  for (const [name, { url, cut }] of Object.entries(logs)) {
    results[name] = await isError(url, cut);
  }
  return results;
}
