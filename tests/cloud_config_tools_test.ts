/** What cloud-init, shellcheck and Python themselves say of the user-data. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  type CloudConfigOptions,
  generateCloudConfig,
} from "../cloud_config.ts";
import { parseUserData, PYTHON_PROGRAM } from "./cloud_config/host.ts";
import { findTools, run, testWith, type Tool } from "./cloud_config/tools.ts";

const OPTIONS: CloudConfigOptions = {
  url: "https://decapod.example.com",
  serverDiscoveryToken: `to'k"e\\n: $(x)`,
  publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ansible@decapod",
  username: "ansible",
};

const variants: [name: string, options: Partial<CloudConfigOptions>][] = [
  ["as it is", {}],
  ["without discovery", { noDiscovery: true }],
  ["without packages", { packages: [] }],
  ["with packages", { packages: ["python3", "vim", "vim"] }],
  ["with a user that YAML 1.1 calls true", { username: "yes" }],
  [
    "with a CA certificate",
    {
      caCertificate:
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    },
  ],
];

const { cloudInit, shellcheck, python2, python3 } = await findTools();

/** Writes a text to a file, and says what a tool makes of the file. */
async function judge(
  text: string,
  ask: (path: string) => ReturnType<typeof run>,
): ReturnType<typeof run> {
  const path = await Deno.makeTempFile({ prefix: "decapod-" });
  try {
    await Deno.writeTextFile(path, text);
    return await ask(path);
  } finally {
    await Deno.remove(path);
  }
}

for (const [name, options] of variants) {
  testWith(
    cloudInit,
    `cloud-init takes the user-data ${name}`,
    async (tool) => {
      const { code, text } = await judge(
        generateCloudConfig({ ...OPTIONS, ...options }),
        (path) => run(tool, ["schema", "--config-file", path]),
      );
      assertEquals(code, 0, text);
      assertStringIncludes(text, "Valid");
      // A deprecation is a warning to cloud-init, and a failure here.
      assertEquals(text.match(/deprecat|warn|invalid/gi), null, text);
    },
  );
}

testWith(
  cloudInit,
  "cloud-init refuses what the check must notice",
  async (tool) => {
    const good = generateCloudConfig(OPTIONS);
    const bad: [from: string, to: string][] = [
      ["ssh_authorized_keys", "ssh-authorized-keys"],
      ['permissions: "0440"', "permissions: 0440"],
      ["shell: /bin/bash", "shel: /bin/bash"],
    ];
    for (const [from, to] of bad) {
      const { code, text } = await judge(
        good.replace(from, to),
        (path) => run(tool, ["schema", "--config-file", path]),
      );
      assertEquals(
        code !== 0 || /deprecat|warn|invalid/i.test(text),
        true,
        `${to}: ${text}`,
      );
    }
  },
);

const programs = parseUserData(generateCloudConfig(OPTIONS)).write_files ?? [];

for (const { path, content } of programs) {
  if (!path.endsWith(".sh")) continue;
  testWith(
    shellcheck,
    `shellcheck has nothing to say of ${path}`,
    async (tool) => {
      const { code, text } = await run(
        tool,
        ["--severity=style", "-"],
        content,
      );
      assertEquals({ code, text }, { code: 0, text: "" });
    },
  );
}

const python = programs.find(({ path }) => path === PYTHON_PROGRAM)?.content ??
  "";

async function compiles(tool: Tool): Promise<void> {
  const script = "import sys; compile(sys.stdin.read(), 'program', 'exec')";
  const { code, text } = await run(tool, ["-W", "error", "-c", script], python);
  assertEquals({ code, text }, { code: 0, text: "" });
}

testWith(python3, "Python 3 compiles the program without a warning", compiles);
testWith(
  python2,
  "Python 2.7 compiles the program without a warning",
  compiles,
  // No package of today brings a Python 2.7, so not every machine has one.
  python2 !== undefined,
);

/**
 * What Python 3 has and Python 2.7 has not, as Python's own parser sees it:
 * for machines that have no Python 2.7 to ask.
 */
const NEWER = `
import ast, sys
newer = ("JoinedStr AnnAssign AsyncFunctionDef AsyncFor AsyncWith Await "
         "YieldFrom Nonlocal Starred NamedExpr MatMult Match").split()
for node in ast.walk(ast.parse(sys.stdin.read())):
    name = type(node).__name__
    if (name in newer
            or isinstance(node, ast.arg) and node.annotation
            or isinstance(node, ast.arguments) and node.kwonlyargs
            or isinstance(node, ast.FunctionDef) and node.returns
            or isinstance(node, ast.ClassDef) and node.keywords
            or isinstance(node, ast.Raise) and node.cause
            or isinstance(node, ast.keyword) and node.arg is None):
        sys.exit("line %d: %s" % (getattr(node, "lineno", 0), name))
`;

testWith(
  python3,
  "the program has no syntax that Python 2.7 lacks, says Python 3's parser",
  async (tool) => {
    const { code, text } = await run(tool, ["-c", NEWER], python);
    assertEquals({ code, text }, { code: 0, text: "" });
    for (
      const line of ["f'{x}'", "x: int = 1", "def f(*, a): pass", "(a := 1)"]
    ) {
      const { code } = await run(tool, ["-c", NEWER], `${python}\n${line}\n`);
      assertEquals(code, 1, `${line} goes unnoticed`);
    }
  },
);
