/** Two boots of a Debian host with the real cloud-init. */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeOnce } from "../.dev/registry.ts";
import { must, run, type Tool, unpack, withApt } from "./cloud_config/tools.ts";

const BOOT = fileURLToPath(new URL("cloud_config/boot.ts", import.meta.url));

/** In seconds; both boots take about 20. */
const TIMEOUT = "300";

/** Namespaces that end with their first process. */
const NAMESPACES = [
  ...["--net", "--mount", "--pid", "--uts", "--ipc"],
  ...["--fork", "--kill-child", "--mount-proc"],
];

/** What debootstrap adds to a minimal system; it follows no alternatives. */
const PACKAGES = [
  ...["cloud-init", "dmidecode", "iproute2", "sudo"],
  "python3-cffi-backend",
];

/** Why this machine cannot boot a host; undefined if it can. */
async function obstacle(): Promise<string | undefined> {
  if (Deno.env.get("CI") !== "true") return "it runs with CI=true";
  if (Deno.build.os !== "linux") return "it needs Linux";
  if (Deno.uid() !== 0) return "it needs root";
  const overlay = "mount -t tmpfs tmpfs /mnt && cd /mnt && " +
    "mkdir lower upper work root && mount -t overlay " +
    "-o lowerdir=lower,upperdir=upper,workdir=work overlay root";
  const needs: [reason: string, command: string, ...args: string[]][] = [
    ["it needs apt-get", "apt-get", "--version"],
    ["it needs namespaces", "unshare", ...NAMESPACES, "true"],
    ["it needs overlayfs", "unshare", ...NAMESPACES, "sh", "-c", overlay],
  ];
  for (const [reason, command, ...args] of needs) {
    try {
      const { code, text } = await run({ command, args, env: {} }, []);
      if (code !== 0) return `${reason} (${text.trim().split("\n").at(-1)})`;
    } catch {
      return `${reason} (${command} is missing)`;
    }
  }
  return undefined;
}

/** A Debian root file system with cloud-init, made once. */
async function provideRoot(): Promise<string> {
  const release = await Deno.readTextFile("/etc/os-release");
  const codename = /^VERSION_CODENAME="?(\w+)/m.exec(release)?.[1] ?? "";
  const name = ["root", codename, Deno.build.arch, ...PACKAGES].join("-");
  const folder = await makeOnce(name, async (scratch) => {
    const { root, env } = await unpack(["debootstrap"]);
    const mirror = await withApt((apt) => mirrorOf(codename, apt));
    // Its mounts end with its namespaces.
    await must({
      command: "unshare",
      args: ["--mount", "--pid", "--fork", "debootstrap"],
      env: { ...env, DEBOOTSTRAP_DIR: join(root, "usr/share/debootstrap") },
    }, [
      ...["--variant=minbase", `--include=${PACKAGES.join(",")}`],
      ...[codename, join(scratch, "root"), mirror],
    ]);
  });
  return join(folder, "root");
}

/** The URL from which this machine gets the packages of its release. */
async function mirrorOf(codename: string, apt: Tool): Promise<string> {
  const format = "$(CODENAME) $(COMPONENT) $(REPO_URI)";
  const args = ["indextargets", "--format", format, "Created-By: Packages"];
  const targets = await must(apt, args);
  const main = targets.split("\n").find((line) =>
    line.startsWith(`${codename} main `)
  );
  if (main === undefined) throw new Error("Cannot find a mirror of Debian");
  return main.slice(`${codename} main `.length);
}

const reason = await obstacle();
if (reason) console.log(`▸ boot test skipped: ${reason}`);

Deno.test({
  name:
    "generateCloudConfig() registers a Debian host at two boots of cloud-init",
  ignore: reason !== undefined,
  async fn() {
    const root = await provideRoot();
    const { code, stdout, text } = await run({
      command: "timeout",
      args: [
        ...[TIMEOUT, "unshare", ...NAMESPACES],
        ...[Deno.execPath(), "run", "-A", BOOT, root],
      ],
      env: { NO_COLOR: "1" },
    }, []);
    assertEquals(code, 0, text);
    console.log(stdout.match(/^▸ .*$/gm)?.join("\n"));
  },
});
