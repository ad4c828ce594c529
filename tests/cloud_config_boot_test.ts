/** Two boots of a Debian host with the real cloud-init. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeOnce } from "../.dev/registry.ts";
import { must, run, unpack } from "./cloud_config/tools.ts";

const BOOT = fileURLToPath(new URL("cloud_config/boot.ts", import.meta.url));

/** In seconds; both boots take about 20. */
const TIMEOUT = "300";

/** Namespaces that end with their first process. */
const NAMESPACES = [
  ...["--net", "--mount", "--pid", "--uts", "--ipc"],
  ...["--fork", "--kill-child", "--mount-proc"],
];

const PACKAGES = ["cloud-init", "dmidecode", "iproute2", "sudo"];

/** Why this machine cannot boot a host; undefined if it can. */
async function obstacle(): Promise<string | undefined> {
  if (Deno.env.get("CI") !== "true") return "it runs with CI=true";
  const script = "apt-get --version && mount -t tmpfs tmpfs /mnt && " +
    "cd /mnt && mkdir lower upper work root && mount -t overlay " +
    "-o lowerdir=lower,upperdir=upper,workdir=work overlay root";
  const args = [...NAMESPACES, "sh", "-c", script];
  const { code, text } = await run({ command: "unshare" }, args)
    .catch((error) => ({ code: 1, text: String(error) }));
  if (code === 0) return undefined;
  const last = text.trim().split("\n").at(-1);
  return `it needs root, namespaces, overlayfs and apt-get (${last})`;
}

/** A Debian root file system with cloud-init, made once. */
async function provideRoot(): Promise<string> {
  const release = await Deno.readTextFile("/etc/os-release");
  const codename = /^VERSION_CODENAME="?(\w+)/m.exec(release)?.[1] ?? "";
  const name = ["root", codename, Deno.build.arch, ...PACKAGES].join("-");
  const folder = await makeOnce(name, async (scratch) => {
    const { env } = await unpack(["mmdebstrap"]);
    // Its mounts end with its namespaces.
    await must({ command: "unshare", env }, [
      ...["--mount", "--pid", "--fork", "mmdebstrap", "--variant=apt"],
      ...[`--include=${PACKAGES.join()}`, codename, `${scratch}/root`],
    ]);
  });
  return join(folder, "root");
}

const reason = await obstacle();
if (reason) console.log(`▸ boot test skipped: ${reason}`);

Deno.test({
  name:
    "generateCloudConfig() registers a Debian host at two boots of cloud-init",
  ignore: reason !== undefined,
  async fn() {
    const root = await provideRoot();
    const stdout = await must({ command: "timeout" }, [
      ...[TIMEOUT, "unshare", ...NAMESPACES],
      ...[Deno.execPath(), "run", "-A", BOOT, root],
    ]);
    console.log(stdout.match(/^▸ .*$/gm)?.join("\n"));
  },
});
