/** Hints in messages and scripts of the documentation, each followed. */
import { type Output, run } from "../../.dev/process.ts";
import type { Consumer } from "../../.dev/jsr/consumers.ts";
import type { Result, Settings } from "./kit.ts";
import type { Outcome, Probe } from "./probe.ts";
import { command, type Kind, type Target } from "./targets.ts";

/** Runs a script of a folder in a process with these settings. */
interface Hint extends Partial<Probe> {
  kinds: Kind[];
  except?: string[];
  /** @default The probe, which makes a call */
  script?: "first" | "mutual";
  flags?: string[];
  env?: Record<string, string>;
  url: string;
  /** Part of the error's message; undefined if the call has to succeed. */
  message?: RegExp;
  /** The largest number of open files. */
  files?: number;
}

/** Uses the settings that messages and docs/runtimes.md recommend. */
function hints(settings: Settings): Record<string, Hint> {
  const { tls, pem, faults, proxy, behindProxy } = settings;
  const mutual = { url: tls.requiresCertificate, script: "mutual" } as const;
  const first = { url: tls.good, script: "first" } as const;
  const host = "--unsafely-ignore-certificate-errors=localhost";
  const down = "http://user:secret@127.0.0.1:4";
  return {
    "docs/runtimes.md, client certificate": {
      ...mutual,
      kinds: ["deno"],
      flags: ["--allow-read"],
    },
    "docs/runtimes.md, client certificate, Bun and Node": {
      ...mutual,
      kinds: ["bun", "node"],
    },
    "docs/runtimes.md, --cert": {
      ...first,
      kinds: ["deno"],
      flags: ["--cert=ca.pem"],
    },
    "docs/runtimes.md, --unsafely-ignore-certificate-errors": {
      ...first,
      kinds: ["deno"],
      flags: [host],
    },
    "docs/runtimes.md, NODE_EXTRA_CA_CERTS": {
      ...first,
      kinds: ["node"],
      env: { NODE_EXTRA_CA_CERTS: "ca.pem" },
    },
    "docs/runtimes.md, proxy": {
      ...first,
      kinds: ["bun", "deno", "node"],
      except: ["node20"], // its fetch does not read the environment
      url: `http://${behindProxy}`,
      env: { HTTP_PROXY: proxy, NODE_USE_ENV_PROXY: "1" },
    },
    "an untrusted certificate names tls.ca, --cert and the flag": {
      kinds: ["deno"],
      url: tls.good,
      message: /tls\.ca .* --cert.* --unsafely-ignore-certificate-errors=HOST/,
    },
    "an untrusted certificate names tls.ca": {
      kinds: ["bun"],
      url: tls.good,
      message: /not trusted \(pass the certificate of its CA as tls\.ca\)/,
    },
    "an untrusted certificate names NODE_EXTRA_CA_CERTS": {
      kinds: ["node"],
      url: tls.good,
      message: /NODE_EXTRA_CA_CERTS to the file of its CA's certificate/,
    },
    "a self-signed certificate is not trusted": {
      kinds: ["bun", "node"],
      url: tls.self,
      message: /certificate is not trusted \(/,
    },
    "--cert and the flag help with a self-signed certificate": {
      kinds: ["deno"],
      flags: ["--cert", "self.pem", host],
      url: tls.self,
    },
    "tls.ca helps with a self-signed certificate": {
      kinds: ["bun"],
      url: tls.self,
      tls: { ca: pem.self },
    },
    "NODE_EXTRA_CA_CERTS helps with a self-signed certificate": {
      kinds: ["node"],
      env: { NODE_EXTRA_CA_CERTS: "self.pem" },
      url: tls.self,
    },
    "too many open files leave no doubt about a change": {
      kinds: ["bun", "deno", "node"],
      except: ["deno2.0"], // it panics
      files: 64,
      url: `${faults}/hang`,
      calls: 100,
      // Bun before 1.4.3 does not tell why.
      message: /too many open files|no connection could be opened/,
    },
    "a proxy that is down is named without its password": {
      kinds: ["bun", "deno"],
      env: { HTTP_PROXY: down },
      url: "http://decapod.invalid",
      message: /proxy http:\/\/127\.0\.0\.1:4$/,
    },
    "a proxy that refuses a tunnel is named": {
      kinds: ["bun", "deno", "node"],
      except: ["node20"], // its fetch does not read the environment
      env: { HTTPS_PROXY: proxy, NODE_USE_ENV_PROXY: "1" },
      url: "https://elsewhere.invalid",
      // Bun before 1.4.3 passes the proxy's response on.
      message: /the proxy refused the connection|502 Bad Gateway/,
    },
  };
}

/** Follows each hint in a folder with the scripts and certificates. */
export async function checkHints(
  { kind, name: target }: Target,
  settings: Settings,
  program: string,
  { folder, env }: Consumer,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const [name, hint] of Object.entries(hints(settings))) {
    const { kinds, except = [], flags, files, url } = hint;
    if (!kinds.includes(kind) || except.includes(target)) continue;
    const { calls = 1, tls } = hint;
    const script = hint.script ?? "runtimes/probe";
    const all = command(kind, program, script, flags);
    const limited = ["-c", `ulimit -n ${files}; exec "$@"`, "sh", ...all];
    const [first, ...args] = files === undefined ? all : ["sh", ...limited];
    const output = await run(first, args, {
      env: {
        ...env,
        ...{
          DECAPOD_URL: url,
          DECAPOD_LOGIN: "root",
          DECAPOD_PASSWORD: "root",
        },
        ...hint.env,
        PROBE: JSON.stringify(
          { url, calls, ...tls && { tls } } satisfies Probe,
        ),
      },
      cwd: folder,
      signal: AbortSignal.timeout(20_000),
    });
    const failure = explain(output, hint);
    results.push({ section: "hints", name, ...failure && { failure } });
  }
  return results;
}

/** Why a hint is wrong; undefined if it is right. */
function explain(
  { code, stdout, stderr }: Output,
  { script, message: expected }: Hint,
): string | undefined {
  const output = `exit code ${code}\n${stdout}${stderr}`;
  if (script) return /^Logged in as Root User$/m.test(stdout) ? "" : output;
  const line = stdout.split("\n").find((line) => line.startsWith("{"));
  if (line === undefined) return output;
  const { message, outcomeUnknown }: Outcome = JSON.parse(line);
  if (expected === undefined ? !message : expected.test(message ?? "")) {
    return outcomeUnknown ? "Expected a known outcome" : undefined;
  }
  return `Expected ${expected ?? "success"}, got ${message ?? "success"}`;
}
