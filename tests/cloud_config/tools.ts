/**
 * Other projects' programs that check the user-data: cloud-init's validator,
 * PyYAML and Pythons.
 *
 * cloud-init and PyYAML come from Debian packages that are unpacked into a
 * cache folder, never installed: an installed cloud-init would run at the
 * machine's next boot. Run this file before the tests to download them.
 */
import { join } from "node:path";
import { tempFolder } from "../../.dev/files.ts";
import { cacheFolder, makeOnce } from "../../.dev/registry.ts";

/** A program and how to start it. */
export interface Tool {
  command: string;
  args?: string[];
  env?: Record<string, string>;
}

const PACKAGES = ["cloud-init", "python3-yaml"];

/** Runs a tool; `text` is all that it prints. */
export async function run(
  { command, args = [], env = {} }: Tool,
  more: string[],
  input = "",
): Promise<{ code: number; stdout: string; text: string }> {
  const process = new Deno.Command(command, {
    args: [...args, ...more],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writing = new Blob([input]).stream().pipeTo(process.stdin);
  const [stdout, stderr] = await Promise.all([
    process.stdout.text(),
    process.stderr.text(),
    writing.catch(() => {}), // the tool ended without reading it
  ]);
  const { code } = await process.status;
  return { code, stdout, text: stdout + stderr };
}

/** Runs a tool that must succeed, and returns its output. */
export async function must(
  tool: Tool,
  args: string[],
  input?: string,
): Promise<string> {
  const { code, stdout, text } = await run(tool, args, input);
  if (code === 0) return stdout;
  throw new Error(`${tool.command} ${args[0]} failed:\n${text.slice(-2000)}`);
}

/** What a tool prints, or undefined if it is missing or fails. */
async function attempt(tool: Tool, script: string) {
  const result = await run(tool, ["-c", script]).catch(() => undefined);
  return result?.code === 0 ? result.stdout : undefined;
}

/** A Debian Python with cloud-init and PyYAML; undefined if not found. */
export async function findCloudInit(): Promise<Tool | undefined> {
  const { root, env } = await unpacked(PACKAGES);
  const python = {
    PYTHONPATH: join(root, "usr/lib/python3/dist-packages"),
    PYTHONDONTWRITEBYTECODE: "", // it starts in half the time with bytecode
  };
  for (const folder of ["/", root]) {
    const command = join(folder, "usr/bin/python3");
    const tool = { command, env: { ...env, ...python } };
    if (await attempt(tool, "import cloudinit, yaml") !== undefined) {
      return tool;
    }
  }
  return undefined;
}

/** One Python of each version ≥ 3.5 on this machine, the system's first. */
export async function findPythons() {
  const home = Deno.env.get("HOME") ?? "/";
  const pyenv = `${Deno.env.get("PYENV_ROOT") ?? `${home}/.pyenv`}/versions`;
  const commands = [
    "/usr/bin/python3", // starts faster than a version manager's
    "python3",
    ...list(pyenv).map((version) => join(pyenv, version, "bin/python3")),
    ...list("/usr/bin").filter((name) => /^python3\.\d+$/.test(name)),
  ];
  const script =
    "import ssl, sys; sys.version_info >= (3, 5) or sys.exit(1); " +
    "print('%d.%d' % sys.version_info[:2], sys.executable, end='')";
  const outputs = await Promise.all(
    commands.map((command) => attempt({ command }, script)),
  );
  const pythons = new Map<string, { command: string; version: string }>();
  for (const output of outputs) {
    const [version, command] = output?.split(" ") ?? [];
    if (!version || !command || pythons.has(version)) continue;
    pythons.set(version, { command, version });
  }
  return [...pythons.values()];
}

/** The names in a folder; none if it does not exist. */
function list(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
}

/** The folder for packages, and the environment for the programs in it. */
async function unpacked(packages: string[]) {
  // Packages fit one release and one kind of processor.
  const release = await Deno.readTextFile("/etc/debian_version")
    .catch(() => ""); // not Debian: there will be no such folder
  const name = ["debian", release.trim(), Deno.build.arch, ...packages]
    .join("-").replaceAll(/[^a-z0-9._-]/gi, "_");
  const root = join(await cacheFolder(), name);
  const libraries = ["usr/lib", "lib"].flatMap((folder) =>
    list(join(root, folder)).filter((name) => name.includes("-linux-"))
      .map((name) => join(root, folder, name))
  );
  const path = [`${root}/usr/sbin`, `${root}/usr/bin`, Deno.env.get("PATH")];
  const env = { LD_LIBRARY_PATH: libraries.join(":"), PATH: path.join(":") };
  return { name, root, env };
}

/** Downloads packages and unpacks them into the cache. */
export async function unpack(packages: string[]) {
  const { name } = await unpacked(packages);
  await makeOnce(name, (root) => download(packages, root));
  return await unpacked(packages);
}

/** Runs apt-get in a temporary folder, without the machine's lists and locks. */
async function download(packages: string[], root: string): Promise<void> {
  using folder = tempFolder();
  const scratch = folder.path;
  for (const name of ["lists", "archives"]) {
    await Deno.mkdir(`${scratch}/${name}/partial`, { recursive: true });
  }
  const options = {
    "Dir::State": scratch,
    "Dir::State::status": "/var/lib/dpkg/status",
    "Dir::Cache": scratch,
    "Debug::NoLocking": "true",
    "APT::Sandbox::User": "",
    "Acquire::http::Timeout": "20",
    "Acquire::Retries": "1",
  };
  const args = Object.entries(options)
    .flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const apt = { command: "apt-get", args };
  await must(apt, ["update"]);
  const quiet = ["--yes", "--no-install-recommends", "--download-only"];
  await must(apt, ["install", ...quiet, ...packages]);
  for (const name of list(`${scratch}/archives`)) {
    if (!name.endsWith(".deb")) continue;
    const archive = `${scratch}/archives/${name}`;
    await must({ command: "dpkg" }, ["--extract", archive, root]);
  }
}

/**
 * Registers a test that needs a tool. Without the tool it is ignored, or fails
 * where `CI` is "true". What is impossible on the machine, such as IPv6, is
 * ignored everywhere.
 */
export function testWith<T>(
  tool: T | undefined,
  name: string,
  body: (tool: T) => Promise<void> | void,
  possible = true,
): void {
  const isMissing = tool === undefined && Deno.env.get("CI") !== "true";
  Deno.test(name, { ignore: !possible || isMissing }, () => {
    if (tool !== undefined) return body(tool);
    throw new Error("Cannot run this check: its tool is missing");
  });
}

if (import.meta.main) {
  if (!await findCloudInit()) {
    await unpack(PACKAGES).catch((error) =>
      console.error(`Cannot unpack Debian's packages: ${error}`)
    );
  }
  console.log(`cloud-init: ${(await findCloudInit())?.command ?? "missing"}`);
  const versions = (await findPythons()).map(({ version }) => version);
  console.log(`Pythons: ${versions.join(", ") || "none"}`);
}
