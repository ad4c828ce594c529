/**
 * Boots a Debian root file system twice with cloud-init's own runner and the
 * user-data, against the stand-in Decapod.
 * Then it runs the discovery program in networks with other faults.
 *
 * cloud_config_boot_test.ts starts it in new namespaces, with the folder of the
 * root file system as its argument. When it ends, the kernel removes all
 * its interfaces, mounts and processes.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { generateCloudConfig, V1Client } from "../../mod.ts";
import { DISCOVERY_TOKEN, StandIn } from "../standin/mod.ts";
import { KEY, LOG, PROGRAM, SETTINGS, UUID } from "./host.ts";
import { run } from "./tools.ts";

const SCRIPT = fileURLToPath(new URL("boot.sh", import.meta.url));
const ROOT = "/mnt/root";
// The API's name has an IPv6 address, too, on which nothing listens.
const API = { name: "decapod.test", ipv4: "192.0.2.1", ipv6: "2001:db8::1" };
const HOST = "192.0.2.2";
const PORT = 9999;
const STAGES = ["init --local", "init", "modules --mode=config"];

/** What NoCloud and other data sources read, by path. */
const files = {
  "var/lib/cloud/seed/nocloud/user-data": generateCloudConfig({
    url: `${API.name}:${PORT}`,
    serverDiscoveryToken: DISCOVERY_TOKEN,
    publicKey: KEY,
    username: "ansible",
  }),
  "var/lib/cloud/seed/nocloud/meta-data":
    "instance-id: boot-test\nlocal-hostname: host\n",
  "etc/hosts":
    `127.0.0.1 localhost\n${API.ipv6} ${API.name}\n${API.ipv4} ${API.name}\n` +
    "127.0.1.1 host.test\n",
  "etc/cloud/cloud.cfg.d/99_boot_test.cfg":
    "datasource_list: [NoCloud]\nnetwork: {config: disabled}\n",
};

/** Starts a process and waits for its first output. */
async function start(command: string, ...args: string[]): Promise<number> {
  const options = { args, stdin: "null", stdout: "piped" } as const;
  const process = new Deno.Command(command, options).spawn();
  const { done } = await process.stdout.getReader().read();
  if (done) throw new Error(`${command} ${args.join(" ")} ended`);
  return process.pid;
}

const [image = ""] = Deno.args;
const host = await start("unshare", "--net", "--uts", "sh", SCRIPT, image);
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
const inside = [`--net=/proc/${host}/ns/net`, `--uts=/proc/${host}/ns/uts`];

/** Runs a command in the host's network, with its name and its files. */
function onHost(...command: string[]) {
  const env = { PATH, LC_ALL: "C.UTF-8" };
  const args = [...inside, "chroot", ROOT, ...command];
  return run({ command: "nsenter", env }, args);
}

async function boot(): Promise<void> {
  await onHost("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run");
  for (const stage of [...STAGES, "modules --mode=final"]) {
    // A package that cannot be installed fails its stage only.
    const { text } = await onHost("cloud-init", ...stage.split(" "));
    console.log(`cloud-init ${stage}\n${text}`);
  }
  await onHost("umount", "--lazy", "/run"); // as a reboot does
}

const read = (path: string) => Deno.readTextFile(ROOT + path);

/** Runs the program with another API, as an operator does. */
async function register(url: string): Promise<string> {
  const settings = JSON.parse(await read(SETTINGS));
  const changed = JSON.stringify({ ...settings, url, retry_delays: [] });
  await Deno.writeTextFile(ROOT + SETTINGS, changed);
  const { code, stdout } = await onHost(PROGRAM);
  return `${stdout.split("\n")[2]} Exit code ${code}.`;
}

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
const login = { login: "root", password: "root" };
const client = new V1Client(`http://${API.ipv4}:${PORT}`, login);
for (const [path, text] of Object.entries(files)) {
  await Deno.mkdir(dirname(`${ROOT}/${path}`), { recursive: true });
  await Deno.writeTextFile(`${ROOT}/${path}`, text);
}

for (const number of [1, 2]) {
  await boot();
  standIn.controller.discover();
  const { items } = await client.getServers({ all: true });
  const servers = items.map(({ id, data }) => [id, data.ip, data.username]);
  assertEquals(servers, [[UUID, HOST, "ansible"]]);
  assertEquals(posts.length, number);
  const post = JSON.stringify(posts.at(-1));
  console.log(`▸ boot ${number}: ${post} posted, one server: ${servers}`);
}
assertEquals(posts[1], posts[0]);
assertStringIncludes(await read("/home/ansible/.ssh/authorized_keys"), KEY);
console.log((await read(LOG)).trim().replace(/^/gm, "▸ "));

const server = "from http.server import *; " +
  "server = HTTPServer(('127.0.1.1', 80), SimpleHTTPRequestHandler); " +
  "print(flush=True); server.serve_forever()";
const web = ["chroot", ROOT, "python3", "-c", server];
await start("nsenter", ...inside, ...web);
const registered = `Registered as ${HOST}, id ${UUID}. Exit code 0.`;
const expected: { [url: string]: string } = {
  [`http://${API.name}.:${PORT}/v1/server/`]: registered,
  "http://host.test/v1/server/":
    "Other hosts cannot reach this one at 127.0.0.1. Exit code 4.",
  "http://198.51.100.1/v1/server/": "No route to 198.51.100.1. Exit code 4.",
  "http://203.0.113.1/v1/server/": "No route to 203.0.113.1. Exit code 4.",
  [`http://${API.ipv4}:1/v1/server/`]:
    `Cannot reach http://${API.ipv4}:1/v1/server/: [Errno 111] Connection ` +
    "refused. Exit code 5.",
};
for (const [url, outcome] of Object.entries(expected)) {
  assertEquals(await register(url), outcome);
  console.log(`▸ ${url}: ${outcome}`);
}
Deno.exit(); // and with it every process and mount
