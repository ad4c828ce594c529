/**
 * Any value either comes out byte for byte where it belongs, or is refused
 * with an error that names its option. The values are random, and the same in
 * every run: a failure names the number of its case.
 */
import { assert, assertEquals } from "@std/assert";
import {
  type CloudConfigOptions,
  generateCloudConfig,
} from "../cloud_config.ts";
import { Api } from "./cloud_config/api.ts";
import {
  ADDRESS,
  type CloudConfig,
  type Settings,
  UUID,
} from "./cloud_config/host.ts";
import { Random } from "./cloud_config/random.ts";
import { test } from "./cloud_config/discovery.ts";
import { findTools, run, testWith } from "./cloud_config/tools.ts";

const CASES = 2400;
const RUNS = 40;

const tools = await findTools();

// What breaks YAML, JSON, shells, Python, headers and URLs, and what does not.
const PIECES = [
  ...`abcxyzABCXYZ0189_-.:/@#%&*!?|>'"\`\\$(){}[]<>=,;~^+ `,
  ..."\t\n\r\0\x7f\x85\u00a0\u2028\u2029\ufeff\ufffe",
  ..."äßłжא中",
  "😀",
  "\ud800",
  "\udc00",
  "\\n",
  "''",
  '"""',
  "$(reboot)",
  "${HOME}",
  "`id`",
  "%s",
  "%(x)s",
  "{0}",
  "yes",
  "null",
  "---",
  "...",
  "<<",
  ": ",
  " #",
  "- ",
  "&a",
  "*a",
  "!!python/none",
  "0o17",
  "1e3",
  "\n---\n",
  "\nEOF\n",
  "\r\nX-Injected: yes\r\n",
];
const PRINTABLE = PIECES.filter((piece) => /^[!-~]+$/.test(piece));
const NAME_FIRST = [..."abcdefghijklmnopqrstuvwxyz_"];
const NAME_REST = [...NAME_FIRST, ..."0123456789-"];
const LABEL = [..."abcdefghijklmnopqrstuvwxyz0123456789"];
const BASE64 = [...LABEL, ..."ABCXYZ+/"];

/** One case: options, and of which of them it is certain that they are good. */
interface Case {
  options: CloudConfigOptions;
  good: Set<string>;
  /** Where the POST must go, for a URL that is certain to be good. */
  endpoint?: string;
}

function randomCase(random: Random): Case {
  const good = new Set<string>(["timeout", "noDiscovery", "packages"]);
  /** Mostly a good value, as few cases would be accepted otherwise. */
  const either = (option: string, make: () => string): string => {
    if (random.chance(0.88)) {
      good.add(option);
      return make();
    }
    return random.text(PIECES, 0, 12);
  };
  const location = randomUrl(random);
  const options: CloudConfigOptions = {
    url: either("url", () => location.url),
    serverDiscoveryToken: either("serverDiscoveryToken", () =>
      // Blanks are welcome inside a token, and not at its ends.
      [1, 2, 3].map(() => random.text(PRINTABLE, 1, 20)).join(" ")),
    publicKey: either(
      "publicKey",
      () =>
        `ssh-rsa ${random.text(BASE64, 1, 60)} ${
          random.text(PIECES.filter((piece) => !isLineEnd(piece)), 0, 12)
        }${random.pick(["", "\n", "\r\n", "  \n\n"])}`,
    ),
    username: either(
      "username",
      () =>
        random.chance(0.1)
          ? random.pick(["yes", "no", "on", "off", "null", "true", "y", "_"])
          : random.pick(NAME_FIRST) + random.text(NAME_REST, 0, 31),
    ),
    timeout: random.pick([1, 0.25, 20, 3600]),
  };
  if (location.url.startsWith("https:") && options.url === location.url) {
    options.caCertificate = either("caCertificate", () => randomPem(random));
  }
  return {
    options,
    good,
    endpoint: good.has("url") ? location.endpoint : undefined,
  };
}

function isLineEnd(piece: string): boolean {
  return /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u.test(piece.replaceAll("\t", ""));
}

function randomUrl(random: Random): { url: string; endpoint: string } {
  const label = () => random.text(LABEL, 1, 10);
  const host = random.pick([
    () => `h${label()}`,
    () => `h${label()}.${label()}.example`,
    () => `10.${random.integer(0, 255)}.0.${random.integer(1, 254)}`,
    () => `[fd00::${random.integer(1, 9)}:1]`,
  ])() + random.pick(["", `:${random.integer(1024, 65535)}`]);
  const prefix = random.pick(["", `/${label()}`, `/${label()}/x%20y'$()`]);
  const scheme = random.pick(["", "http://", "https://"]);
  const end = random.pick([
    "",
    "/",
    "/v1",
    "/v1/",
    "/v1/server",
    "/v1/server/",
  ]);
  return {
    url: scheme + host + prefix + end,
    endpoint: `${scheme || "http://"}${host}${prefix}/v1/server/`,
  };
}

function randomPem(random: Random): string {
  const end = random.pick(["\n", "\r\n"]);
  const block = () =>
    [
      "-----BEGIN CERTIFICATE-----",
      ...Array.from(
        { length: random.integer(1, 4) },
        () => random.text(BASE64, 1, 64),
      ),
      "-----END CERTIFICATE-----",
    ].join(end) + end;
  const remark = () =>
    random.chance(0.5) ? "" : random.text(PRINTABLE, 1, 30) + end;
  return remark() + block() + remark() + random.pick(["", block()]);
}

const cases = (() => {
  const random = new Random(20_160_421);
  return Array.from({ length: CASES }, () => randomCase(random));
})();

/** For each case the user-data, or the error. */
const outcomes = cases.map(({ options }): string | Error => {
  try {
    return generateCloudConfig(options);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
});

Deno.test("a value that is refused is named, and a good one is not refused", () => {
  const names = new Set<string>();
  for (const [number, { options, good }] of cases.entries()) {
    const error = outcomes[number];
    if (!(error instanceof Error)) continue;
    const { message } = error;
    const context = `case ${number}: ${message}`;
    assert(error instanceof TypeError || error instanceof RangeError, context);
    const name = /^Invalid ([a-zA-Z]+): /.exec(message)?.[1] ?? "";
    assert(name in options, context);
    assert(!good.has(name), context);
    const token = options.serverDiscoveryToken;
    // A short one may be there by chance.
    if (token.length > 8) assert(!message.includes(token), context);
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

/** Reads many documents as cloud-init does; as JSON, one array. */
const READ_ALL = `
import json, sys, yaml
documents = json.load(sys.stdin)
loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
json.dump([yaml.load(text, loader) for text in documents], sys.stdout)
`;

testWith(
  tools.python3,
  "PyYAML reads every value as it was given",
  async (tool) => {
    const accepted = [...outcomes.entries()].filter(
      (entry): entry is [number, string] => typeof entry[1] === "string",
    );
    assert(accepted.length > CASES / 3, "too few cases to mean anything");
    const { code, text, stdout } = await run(
      tool,
      ["-c", READ_ALL],
      JSON.stringify(accepted.map(([, userData]) => userData)),
    );
    assertEquals(code, 0, text.slice(0, 2000));
    const documents: CloudConfig[] = JSON.parse(stdout);
    assertEquals(documents.length, accepted.length);

    for (const [i, [number, userData]] of accepted.entries()) {
      const { users, packages, write_files = [] } = documents[i] ??
        { users: [] };
      const { options, endpoint } = cases[number] ?? {};
      assert(options);
      const context = `case ${number}: ${JSON.stringify(options)}`;
      assert(userData.startsWith("#cloud-config\n"), context);
      assertEquals(users, [{
        name: options.username,
        groups: ["sudo"],
        shell: "/bin/bash",
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        ssh_authorized_keys: [options.publicKey.trim()],
      }], context);
      assertEquals(packages, ["python"], context);

      const [file, ...programs] = write_files;
      const settings: Settings = JSON.parse(file?.content ?? "");
      assertEquals(settings.token, options.serverDiscoveryToken, context);
      assertEquals(settings.username, options.username, context);
      assertEquals(settings.timeout, options.timeout, context);
      assertEquals(
        settings.ca_certificate,
        options.caCertificate ?? null,
        context,
      );
      assertEquals(new URL(settings.url).href, settings.url, context);
      assert(settings.url.endsWith("/v1/server/"), context);
      if (endpoint !== undefined) assertEquals(settings.url, endpoint, context);
      // No value is in a program: they are the same for everybody.
      assertEquals(programs, documents[0]?.write_files?.slice(1), context);
    }
  },
);

/** The accepted cases, one in so many, with an API that is really there. */
function casesToRun(): CloudConfigOptions[] {
  const options = cases
    .filter(({ good }) =>
      good.has("serverDiscoveryToken") && good.has("username")
    )
    .map(({ options }) => options);
  const step = Math.floor(options.length / RUNS);
  return options.filter((_, i) => i % step === 0).slice(0, RUNS);
}

test("every value is sent as it was given", async (make) => {
  await using api = new Api();
  for (
    const [i, { serverDiscoveryToken, username }] of casesToRun().entries()
  ) {
    const prefix = `/${i}/a'$()`;
    using host = make(`127.0.0.1:${api.port}${prefix}`, {
      serverDiscoveryToken,
      username,
    });
    const { code, log } = await host.boot();
    const context = JSON.stringify({ serverDiscoveryToken, username });
    assertEquals(code, 0, `${context}\n${log}`);
    const request = api.received.at(-1);
    assertEquals(request?.path, `${prefix}/v1/server/`);
    assertEquals(request?.headers.get("authorization"), serverDiscoveryToken);
    assertEquals(JSON.parse(request?.body ?? ""), {
      username,
      host: ADDRESS,
      id: UUID,
    }, context);
  }
  assertEquals(api.received.length, RUNS);
});
