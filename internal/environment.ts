/** Reads a client's URL and options from the environment. */

import {
  type Attempt,
  CLIENT_OPTIONS,
  type ClientOptions,
} from "../options.ts";
import { singleLine, toText } from "./redact.ts";
import {
  detectRuntime,
  readOptionalVariable,
  readVariable,
} from "./runtime.ts";
import { validateNames } from "./validate.ts";

/** Values that turn a variable off, as for Decapod's command line. */
const OFF = /^\s*(?:0|f|false|n|no|off)?\s*$/i;

/** Reads `DECAPOD_…`; throws if a setting is missing or invalid. */
export function readEnvironment(
  options: Partial<ClientOptions>,
): { url: string; options: ClientOptions } {
  const optional = (name: string) => readOptionalVariable(`DECAPOD_${name}`);
  const required = (name: string) => {
    const value = readVariable(`DECAPOD_${name}`);
    if (value !== undefined) return value;
    throw new TypeError(
      detectRuntime() === "workerd"
        ? `Cannot create a client from the environment: DECAPOD_${name} is not in it; use new Client(env.DECAPOD_URL, { login: env.DECAPOD_LOGIN, password: env.DECAPOD_PASSWORD }), or nodejs_compat`
        : `Cannot create a client from the environment: set DECAPOD_${name}`,
    );
  };
  const isOn = (name: string) => !OFF.test(optional(name) ?? "");
  validateNames("options", options, Object.keys(CLIENT_OPTIONS));
  const url = required("URL");
  const login = options.login ?? required("LOGIN");
  const password = options.password ?? required("PASSWORD");
  // Read one by one: a spread would lose what options inherit from a class.
  const { timeout = readTimeout(optional("TIMEOUT")) } = options;
  const { retries, headers, fetch, onAttempt } = options;
  const noVerify = !fetch && isOn("NO_VERIFY");
  const { tls = noVerify ? { verify: false } : undefined } = options;
  if (optional("SSL_CERTIFICATE") && !tls?.cert && !fetch) {
    throw new TypeError(
      "Cannot use DECAPOD_SSL_CERTIFICATE: the client does not read files; pass the file's text as tls.cert and tls.key, or unset the variable",
    );
  }
  return {
    url,
    options: {
      login,
      password,
      timeout,
      retries,
      headers,
      tls,
      fetch,
      onAttempt: isOn("DEBUG") ? withLog(onAttempt) : onAttempt,
    },
  };
}

/** The timeout in ms. */
function readTimeout(seconds: string | undefined): number | undefined {
  if (seconds === undefined) return undefined;
  const number = Number(seconds);
  if (number > 0 && number <= 86_400) return number * 1000;
  const got = Number.isNaN(number) ? "another text" : number;
  throw new RangeError(
    `Invalid DECAPOD_TIMEOUT: must be a positive number of seconds up to 86400, which is a day, got ${got}`,
  );
}

/** Logs each attempt to stderr in one line, then calls the hook. */
function withLog(hook: ClientOptions["onAttempt"]): ClientOptions["onAttempt"] {
  return async (attempt) => {
    console.error(describeAttempt(attempt));
    try {
      await hook?.(attempt);
    } catch (error) {
      const reason = singleLine(toText(error));
      console.error(`decapodlib: onAttempt failed: ${reason}`);
    }
  };
}

function describeAttempt(
  { method, url, attempt, status, duration, error }: Attempt,
): string {
  const result = status ?? "no response";
  const time = `${Math.round(duration)} ms`;
  const failure = error instanceof Error ? `, ${error.name}` : "";
  return `decapodlib: ${method} ${url}: ${result} (${time}, attempt ${attempt}${failure})`;
}
