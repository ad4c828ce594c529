/**
 * Boots a Debian root file system twice with cloud-init's own runner and the
 * user-data, against the stand-in Decapod.
 * Then it runs the discovery program in networks with other faults.
 *
 * cloud_config_boot_test.ts starts it in namespaces of its own, with the folder
 * of the root file system as its argument. When it ends, the kernel removes all
 * its interfaces, mounts and processes.
 */
import { assert, assertEquals } from "@std/assert";
import { dirname } from "node:path";
import { generateCloudConfig, V1Client } from "../../mod.ts";
import { DISCOVERY_TOKEN, StandIn } from "../standin/mod.ts";
import { KEY, LOG, PROGRAM, SETTINGS, UUID } from "./host.ts";
import { must, run as runTool, type Tool } from "./tools.ts";

// Addresses of documentation, on a link that exists in the namespaces only. The
// API's name has an IPv6 address, too, on which nothing listens.
const API = { name: "decapod.test", ipv4: "192.0.2.1", ipv6: "2001:db8::1" };
const HOST = { ipv4: "192.0.2.2", ipv6: "2001:db8::2" };
const PORT = 9999;
const STAGES = [
  ["init", "--local"],
  ["init"],
  ["modules", "--mode=config"],
  ["modules", "--mode=final"],
];

const [image = ""] = Deno.args;
const root = "/mnt/root";

const tool = (command: string): Tool => ({
  command,
  args: [],
  env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" },
});

function run(command: string, ...args: string[]): Promise<string> {
  return must(tool(command), args);
}

async function mount(
  type: string,
  path: string,
  options = "mode=755",
): Promise<void> {
  await Deno.mkdir(path, { recursive: true });
  await run("mount", "-t", type, "-o", options, type, path);
}

async function write(path: string, content: string | Uint8Array) {
  await Deno.mkdir(dirname(path), { recursive: true });
  if (typeof content === "string") await Deno.writeTextFile(path, content);
  else await Deno.writeFile(path, content);
}

async function bind(from: string, to: string): Promise<void> {
  const { isDirectory } = await Deno.stat(from);
  if (isDirectory) await Deno.mkdir(to, { recursive: true });
  else await write(to, "");
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
  const { entryPoint, tables } = smbios();
  const folder = `${root}/sys/firmware/dmi/tables`;
  await write(`${folder}/smbios_entry_point`, entryPoint);
  await write(`${folder}/DMI`, tables);
}

/** Connects the host to the API's side with a pair of interfaces. */
async function connect(host: number): Promise<void> {
  const ip = (...args: string[]) => run("chroot", root, "ip", ...args);
  const hostIp = (...args: string[]) => run(...inside(host, "ip", ...args));
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

/** A command on the host: in its network, with its name and its files. */
function inside(host: number, ...command: string[]): [string, ...string[]] {
  const namespaces = ["net", "uts"].map((name) =>
    `--${name}=/proc/${host}/ns/${name}`
  );
  return ["nsenter", ...namespaces, "chroot", root, ...command];
}

/** Puts user-data where cloud-init's data source NoCloud looks for it. */
async function seed(userData: string): Promise<void> {
  const files = {
    "var/lib/cloud/seed/nocloud/user-data": userData,
    "var/lib/cloud/seed/nocloud/meta-data":
      "instance-id: boot-test\nlocal-hostname: host\n",
    "etc/hosts":
      `127.0.0.1 localhost\n${API.ipv6} ${API.name}\n${API.ipv4} ${API.name}\n` +
      "127.0.1.1 host.test\n",
    "etc/cloud/cloud.cfg.d/99_boot_test.cfg":
      "datasource_list: [NoCloud]\nnetwork: {config: disabled}\n",
  };
  for (const [path, text] of Object.entries(files)) {
    await write(`${root}/${path}`, text);
  }
}

async function boot(host: number): Promise<void> {
  await mount("tmpfs", `${root}/run`); // what a reboot clears
  for (const stage of STAGES) {
    // A package that cannot be installed fails its stage only.
    const [command, ...args] = inside(host, "cloud-init", ...stage);
    const { text } = await runTool(tool(command), args);
    console.log(`cloud-init ${stage.join(" ")}\n${text}`);
  }
  await run("umount", "--lazy", `${root}/run`);
}

/** Starts a process and waits for its first output. */
async function start(...command: string[]): Promise<number> {
  const [program = "", ...args] = command;
  const options = { args, stdin: "null", stdout: "piped" } as const;
  const process = new Deno.Command(program, options).spawn();
  await process.stdout.getReader().read();
  return process.pid;
}

/** Runs the program with another API, as an operator does. */
async function register(host: number, url: string): Promise<string> {
  const settings = JSON.parse(await Deno.readTextFile(root + SETTINGS));
  await Deno.writeTextFile(
    root + SETTINGS,
    JSON.stringify({ ...settings, url, retry_delays: [] }),
  );
  const [command, ...args] = inside(host, PROGRAM);
  const { code, stdout } = await runTool(tool(command), args);
  return `${stdout.split("\n")[2]} Exit code ${code}.`;
}

await mountRoot();
const ready = "echo ready; exec sleep infinity";
const host = await start("unshare", "--net", "--uts", "sh", "-c", ready);
await mountDevices(host);
await connect(host);

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
  await boot(host);
  standIn.controller.discover();
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
const keys = await Deno.readTextFile(
  `${root}/home/ansible/.ssh/authorized_keys`,
);
assert(keys.includes(KEY), keys);
const log = await Deno.readTextFile(root + LOG);
console.log(log.trim().replace(/^/gm, "▸ "));

await run(...inside(host, "ip", "route", "add", "unreachable", "198.51.100.1"));
const web = ["python3", "-u", "-m", "http.server", "80", "--bind", "127.0.1.1"];
await start(...inside(host, ...web));
const expected: { [url: string]: string } = {
  [`http://${API.name}.:${PORT}/v1/server/`]:
    `Registered as ${HOST.ipv4}, id ${UUID}. Exit code 0.`,
  "http://host.test/v1/server/":
    "Other hosts cannot reach this one at 127.0.0.1. Exit code 4.",
  "http://198.51.100.1/v1/server/": "No route to 198.51.100.1. Exit code 4.",
  "http://203.0.113.1/v1/server/": "No route to 203.0.113.1. Exit code 4.",
  [`http://${API.ipv4}:1/v1/server/`]:
    `Cannot reach http://${API.ipv4}:1/v1/server/: [Errno 111] Connection ` +
    "refused. Exit code 5.",
};
for (const [url, outcome] of Object.entries(expected)) {
  assertEquals(await register(host, url), outcome);
  console.log(`▸ ${url}: ${outcome}`);
}
Deno.exit(); // and with it every process and mount
