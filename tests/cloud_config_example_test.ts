/** examples/cloud_config.ts, run as a user runs it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateCloudConfig } from "../cloud_config.ts";
import { KEY, TOKEN } from "./cloud_config/samples.ts";

const EXAMPLE = fileURLToPath(
  new URL("../examples/cloud_config.ts", import.meta.url),
);

async function example(
  args: string[],
  env: Record<string, string> = { DECAPOD_DISCOVERY_TOKEN: TOKEN },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const permissions = [
    ...["--allow-read", "--allow-write"],
    "--allow-env=DECAPOD_DISCOVERY_TOKEN",
  ];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-lock", ...permissions, EXAMPLE, ...args],
    env: { DECAPOD_DISCOVERY_TOKEN: "", ...env, NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** Runs a test with a folder that contains a public key. */
function test(
  name: string,
  body: (key: string, folder: string) => Promise<void>,
): void {
  Deno.test(`examples/cloud_config.ts ${name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const key = join(folder, "id.pub");
      await Deno.writeTextFile(key, `${KEY}\n`);
      await body(key, folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

const OPTIONS = {
  url: "decapod.example:9999",
  serverDiscoveryToken: TOKEN,
  publicKey: KEY,
  username: "ansible",
};

test("prints the user-data or writes it to a file", async (key, folder) => {
  const args = ["--url", OPTIONS.url, "--key", key];
  assertEquals(await example(args), {
    code: 0,
    stdout: generateCloudConfig(OPTIONS),
    stderr: "",
  });
  const output = join(folder, "user-data.yaml");
  const more = [
    ...["--output", output, "--token", TOKEN, "--user=deploy", "--timeout=5"],
    ...["--package=python3", "--package=chrony", "--no-metadata"],
  ];
  assertEquals(await example([...args, ...more], {}), {
    code: 0,
    stdout: "",
    stderr: "",
  });
  assertEquals(
    await Deno.readTextFile(output),
    generateCloudConfig({
      ...OPTIONS,
      username: "deploy",
      timeout: 5,
      packages: ["python3", "chrony"],
      metadata: false,
    }),
  );
  if (Deno.build.os !== "windows") {
    assertEquals(((await Deno.stat(output)).mode ?? 0) & 0o777, 0o600);
  }
  const { stdout } = await example([
    ...args,
    "--no-packages",
    "--no-discovery",
  ]);
  assertEquals(
    stdout,
    generateCloudConfig({ ...OPTIONS, packages: [], noDiscovery: true }),
  );
});

test("prints a usage text", async () => {
  const { code, stdout, stderr } = await example(["--help"]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertStringIncludes(stdout, "Usage: cloud_config.ts --url URL --key FILE");
});

test("exits 2 for wrong arguments, without a stack", async (key, folder) => {
  const good = ["--url", "decapod.example", "--key", key];
  const privateKey = join(folder, "id");
  await Deno.writeTextFile(privateKey, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
  const wrong: [args: string[], message: string][] = [
    [["--key", key], "Missing --url"],
    [["--url", "decapod.example"], "Missing --key"],
    [[...good, "--colour"], "Unknown option '--colour'"],
    [[...good, "--url", "ftp://decapod.example"], "Invalid url: "],
    [[...good, "--timeout", "soon"], "Invalid timeout: "],
    [[...good, "--key", "/nowhere/id.pub"], "Cannot read /nowhere/id.pub: "],
    [[...good, "--key", privateKey], "got a private key"],
    [[...good, "--output", "/nowhere/x"], "Cannot write /nowhere/x: "],
    [[...good, "--user", TOKEN], "Invalid username: "],
    [[...good, "more"], "Unexpected argument 'more'"],
  ];
  for (const [args, message] of wrong) {
    const { code, stdout, stderr } = await example(args);
    assertEquals({ code, stdout }, { code: 2, stdout: "" }, message);
    assertStringIncludes(stderr, message);
    assert(stderr.endsWith("\nTry --help\n"), stderr);
    assert(!stderr.includes(TOKEN) && !stderr.includes("    at "), stderr);
  }
  const { code, stderr } = await example(good, {});
  assertEquals(code, 2);
  assertStringIncludes(stderr, "Missing --token, or DECAPOD_DISCOVERY_TOKEN");
});
