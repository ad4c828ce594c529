/**
 * Boots a Debian root file system twice with cloud-init's own runner and the
 * user-data, against the stand-in Decapod.
 *
 * cloud_config_boot_test.ts starts it in namespaces of its own, with the folder
 * of the root file system as its argument. When it ends, the kernel removes all
 * its interfaces, mounts and processes.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { generateCloudConfig, V1Client } from "../../mod.ts";
import { DISCOVERY_TOKEN, StandIn } from "../standin/mod.ts";

// Addresses of documentation, on a link that exists in the namespaces only. The
// API's name has an IPv6 address, too, on which nothing listens.
const API = { name: "decapod.test", ipv4: "192.0.2.1", ipv6: "2001:db8::1" };
const HOST = { ipv4: "192.0.2.2", ipv6: "2001:db8::2" };
const PORT = 9999;
const KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFMPVXbJkfBaBn7tLZhG7OXQpj5HFgMMbTO6MaexrZU ansible@decapod";
const UUID = "4c4c4544-0031-3010-8054-b7c04f4a3258";
const STAGES = [
  ["init", "--local"],
  ["init"],
  ["modules", "--mode=config"],
  ["modules", "--mode=final"],
];

const [image = ""] = Deno.args;
const root = "/mnt/root";

async function run(command: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" },
    stdin: "null",
  }).output();
  const [out = "", errors = ""] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  if (code !== 0) {
    throw new Error(`${command} ${args.join(" ")}: ${code}\n${out}${errors}`);
  }
  return out;
}

async function mount(
  type: string,
  path: string,
  options = "mode=755",
): Promise<void> {
  await Deno.mkdir(path, { recursive: true });
  await run("mount", "-t", type, "-o", options, type, path);
}

async function bind(from: string, to: string): Promise<void> {
  const { isDirectory } = await Deno.stat(from);
  if (isDirectory) await Deno.mkdir(to, { recursive: true });
  else await Deno.writeTextFile(to, "");
  await run("mount", "--bind", from, to);
}

/** The firmware's tables (SMBIOS 3.0) with one system UUID. */
function smbios(): { entryPoint: Uint8Array; tables: Uint8Array } {
  const bytes =
    UUID.replaceAll("-", "").match(/../g)?.map((byte) => parseInt(byte, 16)) ??
      [];
  const uuid = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
    .map((index) => bytes[index] ?? 0);
  const system = [1, 27, 0, 1, 0, 0, 0, 0, ...uuid, 6, 0, 0, 0, 0];
  const end = [127, 4, 0, 2, 0, 0];
  const tables = Uint8Array.of(...system, ...end);
  const entryPoint = new Uint8Array(24);
  entryPoint.set(new TextEncoder().encode("_SM3_"));
  entryPoint.set([0, 24, 3, 0, 0, 1, 0, tables.length], 5);
  const sum = entryPoint.reduce((total, byte) => total + byte, 0);
  entryPoint[5] = 256 - sum % 256;
  return { entryPoint, tables };
}

/** Mounts the image read-only with a layer in memory on top. */
async function mountRoot(): Promise<void> {
  await mount("tmpfs", "/mnt");
  for (const folder of ["upper", "work", "root"]) {
    await Deno.mkdir(`/mnt/${folder}`);
  }
  const layers = `lowerdir=${image},upperdir=/mnt/upper,workdir=/mnt/work`;
  await run("mount", "-t", "overlay", "-o", layers, "overlay", root);
  await mount("proc", `${root}/proc`, "ro");
  // No block devices: cloud-init would resize them.
  await mount("tmpfs", `${root}/dev`);
  for (const name of ["null", "zero", "full", "random", "urandom", "tty"]) {
    await bind(`/dev/${name}`, `${root}/dev/${name}`);
  }
}

/** Mounts the kernel's view of the host's devices, with the firmware's tables. */
async function mountDevices(host: number): Promise<void> {
  await Deno.mkdir("/mnt/sys");
  const sysfs = ["mount", "-t", "sysfs", "-o", "ro", "sysfs", "/mnt/sys"];
  await run("nsenter", `--net=/proc/${host}/ns/net`, ...sysfs);
  await mount("tmpfs", `${root}/sys`);
  for (const folder of ["block", "bus", "class", "dev", "devices", "kernel"]) {
    await bind(`/mnt/sys/${folder}`, `${root}/sys/${folder}`);
  }
  const tables = `${root}/sys/firmware/dmi/tables`;
  await Deno.mkdir(tables, { recursive: true });
  const firmware = smbios();
  await Deno.writeFile(`${tables}/smbios_entry_point`, firmware.entryPoint);
  await Deno.writeFile(`${tables}/DMI`, firmware.tables);
}

/** Connects the host to the API's side with a pair of interfaces. */
async function connect(host: number): Promise<void> {
  const ip = (...args: string[]) => run("chroot", root, "ip", ...args);
  const hostIp = (...args: string[]) =>
    inside(host, "chroot", root, "ip", ...args);
  const peer = ["peer", "name", "eth0", "netns", `/proc/${host}/ns/net`];
  await ip("link", "add", "decapod", "type", "veth", ...peer);
  for (
    const [run, device, { ipv4, ipv6 }] of [
      [ip, "decapod", API],
      [hostIp, "eth0", HOST],
    ] as const
  ) {
    await run("link", "set", "lo", "up");
    await run("address", "add", `${ipv4}/30`, "dev", device);
    await run("address", "add", `${ipv6}/64`, "dev", device, "nodad");
    await run("link", "set", device, "up");
  }
}

/** Runs a command in the host's network and with the host's name. */
function inside(host: number, ...command: string[]): Promise<string> {
  const namespaces = ["net", "uts"].map((name) =>
    `--${name}=/proc/${host}/ns/${name}`
  );
  return run("nsenter", ...namespaces, ...command);
}

/** Puts user-data where cloud-init's data source NoCloud looks for it. */
async function seed(userData: string): Promise<void> {
  const folder = `${root}/var/lib/cloud/seed/nocloud`;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/user-data`, userData);
  await Deno.writeTextFile(
    `${folder}/meta-data`,
    "instance-id: boot-test\nlocal-hostname: host\n",
  );
  await Deno.writeTextFile(
    `${root}/etc/hosts`,
    `127.0.0.1 localhost\n${API.ipv6} ${API.name}\n${API.ipv4} ${API.name}\n`,
  );
  await Deno.writeTextFile(
    `${root}/etc/cloud/cloud.cfg.d/99_boot_test.cfg`,
    "datasource_list: [NoCloud]\nnetwork: {config: disabled}\n",
  );
}

async function boot(host: number): Promise<void> {
  await mount("tmpfs", `${root}/run`); // what a reboot clears
  for (const stage of STAGES) {
    const output = await inside(host, "chroot", root, "cloud-init", ...stage)
      // A package that cannot be installed fails its stage only.
      .catch((error: Error) => error.message);
    console.log(`cloud-init ${stage.join(" ")}\n${output}`);
  }
  await run("umount", "--lazy", `${root}/run`);
}

await mountRoot();
const sleeper = new Deno.Command("unshare", {
  args: ["--net", "--uts", "sh", "-c", "echo ready; exec sleep infinity"],
  stdout: "piped",
}).spawn();
await sleeper.stdout.getReader().read(); // its namespaces are ready
await mountDevices(sleeper.pid);
await connect(sleeper.pid);

const posts: unknown[] = [];
const standIn = new StandIn({ servers: 0 });
Deno.serve(
  { hostname: API.ipv4, port: PORT, onListen() {} },
  async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST" && pathname === "/v1/server/") {
      posts.push(await request.clone().json());
    }
    return standIn.handler(request);
  },
);
const client = new V1Client(`http://${API.ipv4}:${PORT}`, {
  login: "root",
  password: "root",
});
await seed(generateCloudConfig({
  url: `${API.name}:${PORT}`,
  serverDiscoveryToken: DISCOVERY_TOKEN,
  publicKey: KEY,
  username: "ansible",
}));

for (const number of [1, 2]) {
  await boot(sleeper.pid);
  const { items } = await client.getServers({ all: true });
  const servers = items.map(({ id, data }) => [id, data.ip, data.username]);
  assertEquals(servers, [[UUID, HOST.ipv4, "ansible"]]);
  assertEquals(posts.length, number);
  console.log(
    `▸ boot ${number}: ${
      JSON.stringify(posts.at(-1))
    } posted, ${items.length} server: ${servers.join(" ")}`,
  );
}
assertEquals(posts[1], posts[0]);
const keys = `${root}/home/ansible/.ssh/authorized_keys`;
assert((await Deno.readTextFile(keys)).includes(KEY));
const log = await Deno.readTextFile(`${root}/var/log/server_discovery.log`);
console.log(log.trim().replace(/^/gm, "▸ "));
Deno.exit(); // and with it every process and mount
