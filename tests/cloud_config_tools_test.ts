/** What cloud-init, Python and OpenSSH say of the user-data. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { tempFolder } from "../.dev/files.ts";
import { type CloudConfigOptions, generateCloudConfig } from "../mod.ts";
import { OPTIONS, parseUserData } from "./cloud_config/host.ts";
import {
  findCloudInit,
  findPythons,
  must,
  run,
  testWith,
  type Tool,
} from "./cloud_config/tools.ts";
import { issue } from "./runtimes/certificates.ts";

const { cert: caCertificate } = await issue("CA", { ca: true });
const variants: Partial<CloudConfigOptions>[] = [
  {},
  { noDiscovery: true },
  { packages: [] },
  { packages: ["python3", "vim", "vim"] },
  { username: "yes" }, // true in YAML 1.1
  { url: "https://decapod", caCertificate },
  { serverDiscoveryToken: `to'k"e\\n: $(x) {} #` },
];

const pythons = await findPythons();

/** What `cloud-init schema` says of each text, after its exit code. */
async function validate(tool: Tool, texts: string[]): Promise<string[]> {
  return await Promise.all(texts.map(async (text) => {
    using folder = tempFolder();
    const path = `${folder.path}/user-data`;
    await Deno.writeTextFile(path, text);
    const args = ["-m", "cloudinit.cmd.main", "schema", "--config-file", path];
    const result = await run(tool, args);
    return `${result.code} ${result.text}`;
  }));
}

const MISTAKE = /^[^0]|deprecat|warn|invalid/i;

testWith(
  await findCloudInit(),
  "generateCloudConfig() passes cloud-init's validator, which notices mistakes",
  async (tool) => {
    const userData = generateCloudConfig(OPTIONS);
    // The image's own user as well, as docs/cloud_config.md does it with sed.
    const edited = userData.replace(/^users:$/m, "users:\n- default");
    const [user] = Object.values(parseUserData(edited).users);
    assertEquals<unknown>(user, "default");
    const valid = variants.map((options) =>
      generateCloudConfig({ ...OPTIONS, ...options })
    );
    for (const text of await validate(tool, [edited, ...valid])) {
      assertStringIncludes(text, "0 Valid");
      assertEquals(text.match(MISTAKE), null, text);
    }
    const mistakes = [
      ["ssh_authorized_keys", "ssh-authorized-keys"],
      ["permissions: '0600'", "permissions: 0600"],
      ["shell: /bin/bash", "shel: /bin/bash"],
    ].map(([from = "", to = ""]) => userData.replace(from, to));
    for (const text of await validate(tool, mistakes)) {
      assertMatch(text, MISTAKE);
    }
  },
);

const program =
  parseUserData(generateCloudConfig(OPTIONS)).write_files?.[1]?.content ?? "";

testWith(
  pythons[0],
  "discovery program has the syntax of Python 3.5, and no Python warns of it",
  async (python) => {
    const compile = "import sys; compile(sys.stdin.read(), 'program', 'exec')";
    for (const { command, version } of pythons) {
      const args = ["-W", "error", "-c", compile];
      const { code, text } = await run({ command }, args, program);
      assertEquals([code, text], [0, ""], version);
    }
    const parse = "import ast, sys; " +
      "ast.parse(sys.stdin.read(), feature_version=(3, 5))";
    const newer = ["x: int = 1", "(a := 1)", "def f(a, /): pass"];
    for (const line of ["", ...newer]) {
      const text = `${program}\n${line}\n`;
      const { code } = await run(python, ["-c", parse], text);
      assertEquals(code, newer.includes(line) ? 1 : 0, line);
    }
    // Python's parser does not check f-strings (3.6) for older versions.
    assertEquals(program.match(/\bf["']/), null);
  },
);

const command: Tool = { command: "ssh-keygen" };
const keygen = await run(command, ["-?"]).then(() => command, () => undefined);

testWith(
  keygen,
  "generateCloudConfig() accepts the keys of ssh-keygen",
  async (tool) => {
    using folder = tempFolder();
    const ecdsa = ["256", "384", "521"].map((bits) => ["ecdsa", "-b", bits]);
    const kinds = [["ed25519"], ["rsa", "-b", "2048"], ...ecdsa];
    for (const kind of kinds) {
      const path = `${folder.path}/${kind.join("")}`;
      await must(tool, ["-t", ...kind, "-q", "-N", "", "-f", path]);
      const sign = ["-I", "id", "-n", "ansible", "-z", "7"];
      await must(tool, ["-q", "-s", path, ...sign, `${path}.pub`]);
      for (const file of [`${path}.pub`, `${path}-cert.pub`]) {
        const publicKey = await Deno.readTextFile(file);
        const userData = generateCloudConfig({ ...OPTIONS, publicKey });
        const keys = parseUserData(userData).users[0]?.ssh_authorized_keys;
        assertEquals(keys, [publicKey.trim()]);
      }
    }
  },
  keygen !== undefined,
);
