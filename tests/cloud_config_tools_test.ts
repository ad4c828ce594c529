/** What cloud-init, Python and OpenSSH say of the user-data. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type CloudConfigOptions,
  generateCloudConfig,
} from "../cloud_config.ts";
import { OPTIONS, parseUserData } from "./cloud_config/host.ts";
import {
  findTools,
  must,
  run,
  testWith,
  type Tool,
} from "./cloud_config/tools.ts";
import { issue } from "./runtimes/certificates.ts";

const { cert: caCertificate } = await issue("CA", { ca: true });
const variants: { [name: string]: Partial<CloudConfigOptions> } = {
  "by default": {},
  "without discovery": { noDiscovery: true },
  "without packages": { packages: [] },
  "with packages": { packages: ["python3", "vim", "vim"] },
  "with a user that YAML 1.1 reads as true": { username: "yes" },
  "with a CA certificate": { url: "https://decapod", caCertificate },
  "with hostile values": { serverDiscoveryToken: `to'k"e\\n: $(x) {} #` },
};

const { cloudInit, python3, pythons } = await findTools();

async function validate(tool: Tool, userData: string): Promise<string> {
  const path = await Deno.makeTempFile({ prefix: "decapod-" });
  try {
    await Deno.writeTextFile(path, userData);
    const { code, text } = await run(tool, ["schema", "--config-file", path]);
    return `${code} ${text}`;
  } finally {
    await Deno.remove(path);
  }
}

testWith(
  cloudInit,
  "generateCloudConfig() passes cloud-init's validator",
  async (tool) => {
    for (const [name, options] of Object.entries(variants)) {
      const userData = generateCloudConfig({ ...OPTIONS, ...options });
      const text = await validate(tool, userData);
      assertStringIncludes(text, "0 Valid", name);
      assertEquals(text.match(/deprecat|warn|invalid/gi), null, text);
    }
    // The image's own user as well, as docs/cloud_config.md does it with sed.
    const edited = generateCloudConfig(OPTIONS)
      .replace(/^users:$/m, "users:\n- default");
    assertStringIncludes(await validate(tool, edited), "0 Valid");
    const [user] = Object.values(parseUserData(edited).users);
    assertEquals<unknown>(user, "default");
  },
);

testWith(cloudInit, "cloud-init's validator notices mistakes", async (tool) => {
  const userData = generateCloudConfig(OPTIONS);
  for (
    const [from, to] of [
      ["ssh_authorized_keys", "ssh-authorized-keys"],
      ["permissions: '0600'", "permissions: 0600"],
      ["shell: /bin/bash", "shel: /bin/bash"],
    ] as const
  ) {
    assertStringIncludes(userData, from);
    const text = await validate(tool, userData.replace(from, to));
    assert(!text.startsWith("0") || /deprecat|warn|invalid/i.test(text), text);
  }
});

const program =
  parseUserData(generateCloudConfig(OPTIONS)).write_files?.[1]?.content ?? "";

for (const python of python3 ? [python3, ...pythons] : []) {
  testWith(
    python,
    `discovery program compiles without a warning (Python ${python.version})`,
    async (tool) => {
      const script = "import sys; compile(sys.stdin.read(), 'program', 'exec')";
      const args = ["-W", "error", "-c", script];
      const { code, text } = await run(tool, args, program);
      assertEquals({ code, text }, { code: 0, text: "" });
    },
  );
}

testWith(
  python3,
  "discovery program has the syntax of Python 3.5",
  async (tool) => {
    const script = "import ast, sys; " +
      "ast.parse(sys.stdin.read(), feature_version=(3, 5))";
    const parse = async (text: string) =>
      (await run(tool, ["-c", script], text)).code;
    assertEquals(await parse(program), 0);
    // Python's parser does not check f-strings (3.6) for older versions.
    assertEquals(program.match(/\bf["']/), null);
    for (const line of ["x: int = 1", "(a := 1)", "def f(a, /): pass"]) {
      assertEquals(await parse(`${program}\n${line}\n`), 1, line);
    }
  },
);

const command: Tool = { command: "ssh-keygen", args: [], env: {} };
const keygen = await run(command, ["-?"]).then(() => command, () => undefined);

testWith(
  keygen,
  "generateCloudConfig() accepts the keys of ssh-keygen",
  async (tool) => {
    const folder = await Deno.makeTempDir({ prefix: "decapod-keys-" });
    try {
      const ecdsa = ["256", "384", "521"].map((bits) => ["ecdsa", "-b", bits]);
      const kinds = [["ed25519"], ["rsa", "-b", "2048"], ...ecdsa];
      for (const kind of kinds) {
        const path = `${folder}/${kind.join("")}`;
        const silent = ["-q", "-N", "", "-f", path];
        await must(tool, ["-t", ...kind, ...silent]);
        const sign = ["-I", "id", "-n", "ansible", "-z", "7"];
        await must(tool, ["-q", "-s", path, ...sign, `${path}.pub`]);
        for (const file of [`${path}.pub`, `${path}-cert.pub`]) {
          const publicKey = await Deno.readTextFile(file);
          const userData = generateCloudConfig({ ...OPTIONS, publicKey });
          assertEquals(
            parseUserData(userData).users[0]?.ssh_authorized_keys,
            [publicKey.trim()],
          );
        }
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
  keygen !== undefined,
);
