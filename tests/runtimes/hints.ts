/** Whether the hints in messages help: each is provoked and then followed. */
import { type Output, run, type RunOptions } from "../../.dev/process.ts";
import type { Result, Settings } from "./kit.ts";
import type { Outcome, Probe } from "./probe.ts";
import type { Kind } from "./targets.ts";

/** How to run the probe. */
export interface ProbeRun {
  kind: Kind;
  /** The name of the target. */
  target: string;
  settings: Settings;
  /** The folder with the probe and with `ca.pem`. */
  folder: string;
  /** The program and its arguments, with flags of its own. */
  command: (flags: string[]) => string[];
  env: Record<string, string>;
}

/** A process with settings, and what its call has to come to. */
interface Hint {
  name: string;
  kinds: Kind[];
  except?: string[];
  flags?: string[];
  env?: Record<string, string>;
  probe: Omit<Probe, "calls"> & { calls?: number };
  /** Part of the message; undefined if the call has to succeed. */
  message?: RegExp;
  /** The largest number of open files. */
  files?: number;
}

/** Uses the settings that the messages recommend. */
function hints({ tls, pem, faults, proxy }: Settings): Hint[] {
  const untrusted = { url: tls.good };
  const trust = /certificate is not trusted \(/;
  const host = "--unsafely-ignore-certificate-errors=localhost";
  const down = "http://user:secret@127.0.0.1:4";
  return [
    {
      name: "an untrusted certificate names tls.ca, --cert and the flag",
      kinds: ["deno"],
      probe: untrusted,
      message: /tls\.ca .* --cert.* --unsafely-ignore-certificate-errors=HOST/,
    },
    {
      name: "tls.ca helps",
      kinds: ["deno", "bun"],
      probe: { ...untrusted, tls: { ca: pem.ca } },
    },
    {
      name: "--cert helps",
      kinds: ["deno"],
      flags: ["--cert", "ca.pem"],
      probe: untrusted,
    },
    {
      name: "--cert and the flag help with a self-signed certificate",
      kinds: ["deno"],
      flags: ["--cert", "self.pem", host],
      probe: { url: tls.self },
    },
    {
      name: "an untrusted certificate names tls.ca",
      kinds: ["bun"],
      probe: untrusted,
      message: /not trusted \(pass the certificate of its CA as tls\.ca\)/,
    },
    {
      name: "tls.ca helps with a self-signed certificate",
      kinds: ["bun"],
      probe: { url: tls.self, tls: { ca: pem.self } },
    },
    {
      name: "an untrusted certificate names NODE_EXTRA_CA_CERTS",
      kinds: ["node"],
      probe: untrusted,
      message: /NODE_EXTRA_CA_CERTS to the file of its CA's certificate/,
    },
    {
      name: "NODE_EXTRA_CA_CERTS helps",
      kinds: ["node"],
      env: { NODE_EXTRA_CA_CERTS: "ca.pem" },
      probe: untrusted,
    },
    {
      name: "NODE_EXTRA_CA_CERTS helps with a self-signed certificate",
      kinds: ["node"],
      env: { NODE_EXTRA_CA_CERTS: "self.pem" },
      probe: { url: tls.self },
    },
    {
      name: "a self-signed certificate is not trusted",
      kinds: ["bun", "node"],
      probe: { url: tls.self },
      message: trust,
    },
    {
      name: "too many open files leave no doubt about a change",
      kinds: ["bun", "deno", "node"],
      except: ["deno2.0"], // it panics
      files: 64,
      probe: { url: `${faults}/hang`, calls: 100 },
      // Bun before 1.4.3 does not tell why.
      message: /too many open files|no connection could be opened/,
    },
    {
      name: "a proxy that is down is named without its password",
      kinds: ["bun", "deno"],
      env: { HTTP_PROXY: down },
      probe: { url: "http://decapod.invalid" },
      message: /proxy http:\/\/127\.0\.0\.1:4$/,
    },
    {
      name: "a proxy that refuses a tunnel is named",
      kinds: ["bun", "deno", "node"],
      except: ["node20"], // its fetch does not read the environment
      env: { HTTPS_PROXY: proxy, NODE_USE_ENV_PROXY: "1" },
      probe: { url: "https://elsewhere.invalid" },
      // Bun before 1.4.3 passes the proxy's response on.
      message: /the proxy refused the connection|502 Bad Gateway/,
    },
  ];
}

/** Provokes and follows each hint. */
export async function checkHints(probeRun: ProbeRun): Promise<Result[]> {
  const results: Result[] = [];
  for (const hint of hints(probeRun.settings)) {
    const { kind, target } = probeRun;
    if (!hint.kinds.includes(kind) || hint.except?.includes(target)) continue;
    const output = await runProbe(probeRun, hint);
    const failure = explain(output, hint);
    const { name } = hint;
    results.push({ section: "hints", name, ...failure && { failure } });
  }
  return results;
}

function runProbe(
  { folder, command, env }: ProbeRun,
  { flags = [], env: more, probe, files }: Hint,
): Promise<Output> {
  const [program = "", ...args] = command(flags);
  const options: RunOptions = {
    env: { ...env, ...more, PROBE: JSON.stringify({ calls: 1, ...probe }) },
    cwd: folder,
    signal: AbortSignal.timeout(20_000),
  };
  if (files === undefined) return run(program, args, options);
  const limited = `ulimit -n ${files}; exec "$@"`;
  return run("sh", ["-c", limited, "sh", program, ...args], options);
}

/** Why a hint is wrong; undefined if it is right. */
function explain(
  { code, stdout, stderr }: Output,
  { message: expected }: Hint,
): string | undefined {
  const line = stdout.split("\n").find((line) => line.startsWith("{"));
  if (line === undefined) return `exit code ${code}\n${stdout}${stderr}`;
  const { message, outcomeUnknown }: Outcome = JSON.parse(line);
  if (expected === undefined ? !message : expected.test(message ?? "")) {
    return outcomeUnknown ? "Expected a known outcome" : undefined;
  }
  return `Expected ${expected ?? "success"}, got ${message ?? "success"}`;
}
