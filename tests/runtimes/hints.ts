/** Hints in messages and scripts of the documentation, each followed. */
import { type Output, run } from "../../.dev/process.ts";
import type { Consumer } from "../../.dev/jsr/consumers.ts";
import type { Result, Settings } from "./kit.ts";
import type { Outcome, Probe } from "./probe.ts";
import { command, type Target } from "./targets.ts";

/** Runs a script of a folder in a process with these settings. */
interface Hint extends Partial<Probe> {
  url: string;
  /** A target of these kinds to which it does not apply. */
  except?: string;
  /** @default The probe, which makes a call */
  script?: "first" | "mutual";
  flags?: string[];
  env?: Record<string, string>;
  /** Part of the error's message; undefined if the call has to succeed. */
  message?: RegExp;
  /** The largest number of open files. */
  files?: number;
}

/** Uses the settings that messages and docs/runtimes.md recommend. */
function hints(settings: Settings): [name: string, kinds: string, Hint][] {
  const { tls: { good, self, requiresCertificate }, pem, proxy } = settings;
  const first = { url: good, script: "first" } as const;
  const mutual = { url: requiresCertificate, script: "mutual" } as const;
  const flag = "--unsafely-ignore-certificate-errors=localhost";
  const extra = (file: string) => ({ env: { NODE_EXTRA_CA_CERTS: file } });
  const behind = { url: `http://${settings.behindProxy}` };
  const down = { HTTP_PROXY: "http://user:secret@127.0.0.1:4" };
  const byEnvironment = {
    except: "node20", // its fetch does not read the environment
    env: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, NODE_USE_ENV_PROXY: "1" },
  };
  return [
    // The scripts and settings of docs/runtimes.md.
    ["client certificate", "deno", { ...mutual, flags: ["--allow-read"] }],
    ["client certificate, Bun and Node", "bun node", mutual],
    ["--cert", "deno", { ...first, flags: ["--cert=ca.pem"] }],
    ["--unsafely-ignore-certificate-errors", "deno", {
      ...first,
      flags: [flag],
    }],
    ["NODE_EXTRA_CA_CERTS", "node", { ...first, ...extra("ca.pem") }],
    ["proxy", "bun deno node", { ...first, ...behind, ...byEnvironment }],
    // What messages say and recommend.
    ["an untrusted certificate names tls.ca, --cert and the flag", "deno", {
      url: good,
      message: /tls\.ca .* --cert.* --unsafely-ignore-certificate-errors=HOST/,
    }],
    ["an untrusted certificate names tls.ca", "bun", {
      url: good,
      message: /not trusted \(pass the certificate of its CA as tls\.ca\)/,
    }],
    ["an untrusted certificate names NODE_EXTRA_CA_CERTS", "node", {
      url: good,
      message: /NODE_EXTRA_CA_CERTS to the file of its CA's certificate/,
    }],
    ["a self-signed certificate is not trusted", "bun node", {
      url: self,
      message: /certificate is not trusted \(/,
    }],
    ["--cert and the flag help with a self-signed certificate", "deno", {
      url: self,
      flags: ["--cert", "self.pem", flag],
    }],
    ["tls.ca helps with a self-signed certificate", "bun", {
      url: self,
      tls: { ca: pem.self },
    }],
    ["NODE_EXTRA_CA_CERTS helps with a self-signed certificate", "node", {
      url: self,
      ...extra("self.pem"),
    }],
    ["too many open files leave no doubt about a change", "bun deno node", {
      url: `${settings.faults}/hang`,
      except: "deno2.0", // it panics
      files: 64,
      calls: 100,
      // Bun before 1.4.3 does not tell why.
      message: /too many open files|no connection could be opened/,
    }],
    ["a proxy that is down is named without its password", "bun deno", {
      url: "http://decapod.invalid",
      env: down,
      message: /proxy http:\/\/127\.0\.0\.1:4$/,
    }],
    ["a proxy that refuses a tunnel is named", "bun deno node", {
      url: "https://elsewhere.invalid",
      ...byEnvironment,
      // Bun before 1.4.3 passes the proxy's response on.
      message: /the proxy refused the connection|502 Bad Gateway/,
    }],
  ];
}

/** Follows each hint in a folder with the scripts and certificates. */
export async function checkHints(
  { kind, name: target }: Target,
  settings: Settings,
  program: string,
  { folder, env }: Consumer,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const [name, kinds, hint] of hints(settings)) {
    const { except, script, flags, files, url, calls = 1, tls } = hint;
    if (!kinds.split(" ").includes(kind) || except === target) continue;
    const all = command(kind, program, script ?? "runtimes/probe", flags);
    const limited = ["-c", `ulimit -n ${files}; exec "$@"`, "sh", ...all];
    const [first, ...args] = files === undefined ? all : ["sh", ...limited];
    const probe: Probe = { url, calls, ...tls && { tls } };
    const account = { DECAPOD_LOGIN: "root", DECAPOD_PASSWORD: "root" };
    const own = { DECAPOD_URL: url, PROBE: JSON.stringify(probe) };
    const output = await run(first, args, {
      env: { ...env, ...account, ...own, ...hint.env },
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
