/** Makes calls in a process with other settings; prints how they ended. */
import { Client, DecapodError, type TlsOptions } from "@decapod/decapodlib";

/** What to do. */
export interface Probe {
  url: string;
  tls?: TlsOptions;
  /** How many calls to make at once. */
  calls: number;
}

/** How the first call ended that failed, or the only one. */
export interface Outcome {
  /** The message; undefined if the call succeeded. */
  message?: string;
  outcomeUnknown?: boolean;
}

const { process } = globalThis as {
  process?: { env: Record<string, string | undefined>; exit(): never };
};
const { url, tls, calls }: Probe = JSON.parse(process?.env.PROBE ?? "");
const client = new Client(url, {
  login: "root",
  password: "root",
  headers: { authorization: "own" }, // so that nothing logs in
  ...tls && { tls },
});

async function call(): Promise<Outcome> {
  try {
    await (calls > 1 ? client.createCluster("one") : client.getInfo());
    return {};
  } catch (error) {
    if (!(error instanceof DecapodError)) throw error;
    const { message, outcomeUnknown } = error;
    return { message, outcomeUnknown };
  }
}

const outcome = await Promise.race(Array.from({ length: calls }, call));
console.log(JSON.stringify(outcome));
process?.exit();
