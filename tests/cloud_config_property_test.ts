/**
 * Random values are either used as they are or rejected with an error that
 * names their option. They are the same in every run: a failure names its case.
 */
import { assert, assertEquals } from "@std/assert";
import { type CloudConfigOptions, generateCloudConfig } from "../mod.ts";
import { Api, each, test } from "./cloud_config/discovery.ts";
import {
  ADDRESS,
  type CloudConfig,
  KEYS,
  type Settings,
  UUID,
} from "./cloud_config/host.ts";
import { findCloudInit, must, testWith } from "./cloud_config/tools.ts";
import { Fuzzer } from "./faults/fuzzer.ts";
import { issue } from "./runtimes/certificates.ts";

const CASES = 2400;
const RUNS = 40;

const PEMS = await Promise.all(
  ["One", "Two", "Three"].map(async (name) => (await issue(name)).cert),
);

// What is special in YAML, JSON, shells, Python, headers and URLs.
const PIECES = [
  ...`abcxyzABCXYZ0189_-.:/@#%&*!?|>'"\`\\$(){}[]<>=,;~^+ `,
  ..."\t\n\r\0\x7f\x85\u2028\u2029\ufeff\ufffeäßłжא中😀",
  ...["\ud800", "\udc00", "\\n", "''", '"""', "$(reboot)", "${HOME}", "`id`"],
  ...["%s", "%(x)s", "{0}", "yes", "null", "---", "...", "<<", ": ", " #"],
  ...["- ", "&a", "*a", "!!python/none", "0o17", "1e3", "\n---\n"],
  ...["\nEOF\n", "\r\nX-Injected: yes\r\n"],
];
const PRINTABLE = PIECES.filter((piece) => /^[!-~]+$/.test(piece));
const ONE_LINE = PIECES.filter((piece) =>
  !/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u.test(piece.replaceAll("\t", ""))
);
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];
const LABEL = [...LETTERS, ..."0123456789"];

const random = new Fuzzer(20_160_421);

/** A text that consists of `min` to `max` of these pieces. */
function textOf(pieces: readonly string[], min: number, max: number): string {
  const length = min + random.below(max - min + 1);
  return Array.from({ length }, () => random.pick(pieces)).join("");
}

/**
 * Options, the names of those with valid values, and what valid ones mean:
 * where the POST must go, and the certificates in the settings.
 */
function randomCase() {
  const valid = new Set(["timeout", "packages", "metadata"]);
  /** Mostly a valid value: few cases would be accepted otherwise. */
  const mostly = (option: string, value: string): string => {
    if (random.oneIn(8)) return textOf(PIECES, 0, 12);
    valid.add(option);
    return value;
  };
  const { url, endpoint } = randomUrl();
  const { text, certificates } = randomPem();
  const token = [1, 2, 3].map(() => textOf(PRINTABLE, 1, 20)).join(" ");
  const comment = textOf(ONE_LINE, 0, 12) +
    random.pick(["", "\n", "\r\n", "  \n\n"]);
  const username = random.oneIn(10)
    ? random.pick(["yes", "no", "on", "off", "null", "true", "y", "_"])
    : random.pick([...LETTERS, "_"]) + textOf([...LABEL, ..."_-"], 0, 31);
  const options: CloudConfigOptions = {
    url: mostly("url", url),
    serverDiscoveryToken: mostly("serverDiscoveryToken", token),
    publicKey: mostly("publicKey", `${random.pick(KEYS)} ${comment}`),
    username: mostly("username", username),
    timeout: random.pick([1, 0.25, 20, 3600]),
    metadata: random.pick([true, false]),
    packages: random.pick([["python3", "2to3"], ["python"]]),
  };
  if (!url.startsWith("https:") || options.url !== url) {
    return { options, valid, endpoint, certificates: null };
  }
  options.caCertificate = mostly("caCertificate", text);
  return { options, valid, endpoint, certificates };
}

function randomUrl(): { url: string; endpoint: string } {
  const label = () => textOf(LABEL, 1, 10);
  const host = random.pick([
    ...[`h${label()}`, `h${label()}.${label()}.example`],
    ...[`10.${random.below(256)}.0.${1 + random.below(254)}`, "[fd00::1]"],
  ]) + random.pick(["", `:${1024 + random.below(64_512)}`]);
  const prefix = random.pick(["", `/${label()}`, `/${label()}/x%20y'$()`]);
  const scheme = random.pick(["", "http://", "https://"]);
  const ends = ["", "/", "/v1", "/v1/", "/v1/server", "/v1/server/"];
  return {
    url: scheme + host + prefix + random.pick(ends),
    endpoint: `${scheme || "http://"}${host}${prefix}/v1/server/`,
  };
}

function randomPem(): { text: string; certificates: string } {
  const pems = PEMS.slice(random.below(3));
  const remark = () => random.pick(["", textOf(PRINTABLE, 1, 30) + "\n"]);
  const text = pems.map((pem) => remark() + pem).join("") + remark();
  const end = random.pick(["\n", "\r\n", "\n  "]);
  return { text: text.replaceAll("\n", end), certificates: pems.join("") };
}

const cases = Array.from({ length: CASES }, randomCase);

/** The user-data of each case, or the error. */
const outcomes = cases.map(({ options }): string | Error => {
  try {
    return generateCloudConfig(options);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
});

Deno.test("generateCloudConfig() names each invalid option and rejects no valid one", () => {
  const names = new Set<string>();
  for (const [number, { options, valid }] of cases.entries()) {
    const error = outcomes[number];
    if (!(error instanceof Error)) continue;
    const context = `case ${number}: ${error.message}`;
    assert(error instanceof RangeError, context);
    const name = /^Invalid (\w+): /.exec(error.message)?.[1] ?? "";
    assert(name in options, context);
    assert(!valid.has(name), context);
    const { serverDiscoveryToken: token } = options;
    // A short text may be in the message by chance.
    assert(token.length <= 8 || !error.message.includes(token), context);
    names.add(name);
  }
  assertEquals([...names].sort(), [
    "caCertificate",
    "publicKey",
    "serverDiscoveryToken",
    "url",
    "username",
  ]);
});

/** Reads many documents as cloud-init does and prints them as JSON. */
const READ_ALL = `
import json, sys, yaml
documents = json.load(sys.stdin)
loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
json.dump([yaml.load(text, loader) for text in documents], sys.stdout)
`;

testWith(
  await findCloudInit(),
  "generateCloudConfig() returns YAML that PyYAML reads unchanged",
  async (python) => {
    const accepted = cases.flatMap((one, number) => {
      const userData = outcomes[number];
      return typeof userData === "string" ? [{ ...one, number, userData }] : [];
    });
    assert(accepted.length > CASES / 3, "too few cases are accepted");
    const input = JSON.stringify(accepted.map(({ userData }) => userData));
    const documents: CloudConfig[] = JSON.parse(
      await must(python, ["-c", READ_ALL], input),
    );
    assertEquals(documents.length, accepted.length);

    const program = documents[0]?.write_files?.[1];
    for (const [i, { number, options, ...known }] of accepted.entries()) {
      const { users, packages, write_files = [] } = documents[i] ??
        { users: [] };
      const context = `case ${number}: ${JSON.stringify(options)}`;
      assertEquals(users, [{
        name: options.username,
        groups: ["sudo"],
        shell: "/bin/bash",
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        ssh_authorized_keys: [options.publicKey.trim()],
      }], context);
      assertEquals(packages, options.packages, context);
      assertEquals(write_files.slice(1), [program], context);

      const settings: Settings = JSON.parse(write_files[0]?.content ?? "");
      const { url, metadata_url, token, username, timeout } = settings;
      const { serverDiscoveryToken, metadata } = options;
      assertEquals(
        [token, username, timeout, metadata_url !== null],
        [serverDiscoveryToken, options.username, options.timeout, metadata],
        context,
      );
      assertEquals(settings.ca_certificate, known.certificates, context);
      const expected = known.valid.has("url") ? known.endpoint : url;
      assertEquals([url, new URL(url).href], [expected, url], context);
    }
  },
);

test("sends every value as it was given", async (boot) => {
  const accepted = cases.filter(({ valid }) =>
    valid.has("serverDiscoveryToken") && valid.has("username")
  ).slice(0, RUNS);
  assertEquals(accepted.length, RUNS);
  await each(accepted, async ({ options }) => {
    await using api = new Api();
    const { serverDiscoveryToken, username } = options;
    const prefix = `/${username}/a'$()`;
    const url = `127.0.0.1:${api.port}${prefix}`;
    await boot(url, { serverDiscoveryToken, username });
    const [request] = api.exchanges;
    assertEquals(request?.path, `${prefix}/v1/server/`);
    assertEquals(request?.headers.get("authorization"), serverDiscoveryToken);
    assertEquals(api.bodies, [{ username, host: ADDRESS, id: UUID }]);
  });
});
