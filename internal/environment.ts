/** Reads a client's URL and options from the environment. */

import type { Attempt, ClientOptions } from "../options.ts";
import { singleLine, toText } from "./redact.ts";
import {
  detectRuntime,
  readOptionalVariable,
  readVariable,
} from "./runtime.ts";
import { validate, type Validator } from "./validate.ts";

const SECONDS: Validator = [
  "a positive number of seconds up to 86400, which is a day",
  (value) => Number(value) > 0 && Number(value) <= 86_400,
  RangeError,
];

/** Values that turn a variable off. */
const OFF = ["", "0", "false", "no", "off"];

/** Reads `DECAPOD_…`; throws if a variable is missing or invalid. */
export function readEnvironment(
  options: Partial<ClientOptions>,
): { url: string; options: ClientOptions } {
  const optional = (name: string) => readOptionalVariable(`DECAPOD_${name}`);
  const required = (name: string) => {
    const value = readVariable(`DECAPOD_${name}`);
    if (value !== undefined) return value;
    throw new TypeError(
      detectRuntime() === "workerd"
        ? "Cannot create a client from the environment: this runtime has none; use new Client(env.DECAPOD_URL, { login: env.DECAPOD_LOGIN, password: env.DECAPOD_PASSWORD })"
        : `Cannot create a client from the environment: set DECAPOD_${name}`,
    );
  };
  const isOn = (name: string) =>
    !OFF.includes((optional(name) ?? "").toLowerCase());
  const url = required("URL");
  const login = options.login ?? required("LOGIN");
  const password = options.password ?? required("PASSWORD");
  const seconds = optional("TIMEOUT");
  if (seconds) validate("DECAPOD_TIMEOUT", Number(seconds), SECONDS);
  if (optional("SSL_CERTIFICATE") && !options.tls?.cert) {
    throw new TypeError(
      "Cannot use DECAPOD_SSL_CERTIFICATE: the client does not read files; pass the file's text as tls.cert and tls.key",
    );
  }
  return {
    url,
    options: {
      ...options,
      timeout: options.timeout ??
        (seconds ? Number(seconds) * 1000 : undefined),
      tls: isOn("NO_VERIFY") ? { verify: false, ...options.tls } : options.tls,
      ...isOn("DEBUG") && { onAttempt: withLog(options.onAttempt) },
      login,
      password,
    },
  };
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
