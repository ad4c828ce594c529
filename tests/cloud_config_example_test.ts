/** examples/cloud_config.ts, run as a user runs it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { generateCloudConfig } from "../cloud_config.ts";

const TOKEN = "26758c32-3421-4f3d-9603-e4b5337e7ecc";
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ansible@decapod";
const EXAMPLE = fileURLToPath(
  new URL("../examples/cloud_config.ts", import.meta.url),
);

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

async function example(
  args: string[],
  env: Record<string, string> = { DECAPOD_DISCOVERY_TOKEN: TOKEN },
): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-lock",
      "--allow-read",
      "--allow-env=DECAPOD_DISCOVERY_TOKEN",
      EXAMPLE,
      ...args,
    ],
    env: { DECAPOD_DISCOVERY_TOKEN: "", ...env, NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

async function withKey(body: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".pub" });
  try {
    await Deno.writeTextFile(path, `${KEY}\n`);
    await body(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("the cloud_config example prints the user-data, ready to redirect", async () => {
  await withKey(async (key) => {
    const options = {
      url: "decapod.example:9999",
      serverDiscoveryToken: TOKEN,
      publicKey: KEY,
    };
    assertEquals(await example(["--url", options.url, "--key", key]), {
      code: 0,
      stdout: generateCloudConfig({ ...options, username: "ansible" }),
      stderr: "",
    });
    const all = ["--url", options.url, "--key", key, "--token", TOKEN].concat(
      ["--user=deploy", "--timeout=5"],
      ["--package=python3", "--package=chrony", "--no-discovery"],
    );
    assertEquals(await example(all, {}), {
      code: 0,
      stdout: generateCloudConfig({
        ...options,
        username: "deploy",
        timeout: 5,
        packages: ["python3", "chrony"],
        noDiscovery: true,
      }),
      stderr: "",
    });
  });
});

Deno.test("the cloud_config example explains itself", async () => {
  const { code, stdout, stderr } = await example(["--help"]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertStringIncludes(stdout, "Usage: cloud_config.ts --url URL --key FILE");
});

Deno.test("the cloud_config example says what is wrong, without a stack", async () => {
  await withKey(async (key) => {
    const good = ["--url", "decapod.example", "--key", key];
    const wrong: [args: string[], message: string][] = [
      [["--key", key], "Missing --url"],
      [["--url", "decapod.example"], "Missing --key"],
      [[...good, "--colour"], "Unknown option '--colour'"],
      [[...good, "--url", "ftp://decapod.example"], "Invalid url: "],
      [[...good, "--timeout", "soon"], "Invalid timeout: "],
      [[...good, "--key", "/nowhere/id.pub"], "Cannot read /nowhere/id.pub: "],
      [[...good, "--user", "Not A User"], "Invalid username: "],
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
});
