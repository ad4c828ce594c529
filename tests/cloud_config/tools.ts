/**
 * Other projects' programs that check the user-data: cloud-init's validator,
 * PyYAML, Pythons and debootstrap.
 *
 * Those that the machine lacks come from Debian packages that are unpacked into
 * a cache folder, never installed: an installed cloud-init would run at the
 * machine's next boot. Run this file or call {@linkcode ensureTools} before the
 * tests; the tests change nothing.
 */
import { join } from "node:path";
import { cacheFolder, makeOnce } from "../../.dev/registry.ts";

/** A program and how to start it. */
export interface Tool {
  command: string;
  args: string[];
  env: Record<string, string>;
}

interface Python extends Tool {
  version: string;
}

const PACKAGES = ["cloud-init", "python3-yaml"];

/** Runs a tool; `text` is all that it prints. */
export async function run(
  { command, args, env }: Tool,
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
  const result = process.output();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await result;
  const decoder = new TextDecoder();
  const out = decoder.decode(stdout);
  return { code, stdout: out, text: out + decoder.decode(stderr) };
}

/** Runs a tool that must succeed. */
export async function must(tool: Tool, args: string[]): Promise<string> {
  const { code, stdout, text } = await run(tool, args);
  if (code === 0) return stdout;
  throw new Error(`${tool.command} ${args[0]} failed:\n${text}`);
}

async function firstThatRuns(
  tools: Tool[],
  args: string[],
): Promise<Tool | undefined> {
  for (const tool of tools) {
    try {
      if ((await run(tool, args)).code === 0) return tool;
    } catch {
      // There is no such command.
    }
  }
  return undefined;
}

const plain = (command: string): Tool => ({ command, args: [], env: {} });

/** The tools of this machine and those in the cache; undefined if missing. */
export async function findTools() {
  const unpacked = await unpackedEnvironment(PACKAGES);
  const env = {
    ...unpacked.env,
    PYTHONPATH: join(unpacked.root, "usr/lib/python3/dist-packages"),
    PYTHONDONTWRITEBYTECODE: "1",
  };
  // Debian's modules fit Debian's Python.
  const debian = ["/usr/bin/python3", join(unpacked.root, "usr/bin/python3")]
    .map((command) => ({ command, args: [], env }));
  const cloudInits = debian.map((tool) => ({
    ...tool,
    args: ["-m", "cloudinit.cmd.main"],
  }));
  const [cloudInit, yaml, python3, others] = await Promise.all([
    firstThatRuns([plain("cloud-init"), ...cloudInits], ["schema", "--help"]),
    firstThatRuns([plain("python3"), ...debian], ["-c", "import yaml"]),
    findPython("python3"),
    findPythons(),
  ]);
  return {
    /** `cloud-init`, to be followed by a subcommand. */
    cloudInit,
    /** A Python 3 with PyYAML. */
    yaml,
    /** The machine's Python 3, by the path of the interpreter itself. */
    python3,
    /** Further Pythons from 3.5 on, oldest first. */
    pythons: others.filter(({ version }) => version !== python3?.version),
  };
}

/** The interpreter behind a command, which may be a version manager's script. */
async function findPython(command: string): Promise<Python | undefined> {
  const script =
    "import ssl, sys; sys.version_info >= (3, 5) or sys.exit(1); " +
    "print(sys.executable); print('%d.%d' % sys.version_info[:2])";
  const tool = await firstThatRuns([plain(command)], ["-c", script]);
  if (!tool) return undefined;
  const { stdout } = await run(tool, ["-c", script]);
  const [path = "", version = ""] = stdout.trim().split("\n");
  return { ...plain(path), version };
}

async function findPythons(): Promise<Python[]> {
  const pyenv = join(
    Deno.env.get("PYENV_ROOT") ?? join(Deno.env.get("HOME") ?? "", ".pyenv"),
    "versions",
  );
  const commands = [
    ...list(pyenv).map(({ name }) => join(pyenv, name, "bin/python3")),
    ...Array.from({ length: 16 }, (_, minor) => `python3.${minor + 5}`),
  ];
  const byVersion = new Map<string, Python>();
  for (const python of await Promise.all(commands.map(findPython))) {
    if (python) byVersion.set(python.version, python);
  }
  const minor = ({ version }: Python) => Number(version.split(".")[1]);
  return [...byVersion.values()].sort((a, b) => minor(a) - minor(b));
}

function list(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch {
    return [];
  }
}

/** Where packages are unpacked, and the environment of their programs. */
async function unpackedEnvironment(packages: string[]) {
  const root = join(await cacheFolder(), await unpackedName(packages));
  const libraries = ["usr/lib", "lib"].flatMap((folder) =>
    list(join(root, folder)).filter(({ name }) => name.includes("-linux-"))
      .map(({ name }) => join(root, folder, name))
  );
  const programs = ["usr/sbin", "usr/bin"].map((folder) => join(root, folder));
  const path = [...programs, Deno.env.get("PATH")].join(":");
  return { root, env: { LD_LIBRARY_PATH: libraries.join(":"), PATH: path } };
}

/** Packages fit one release and one kind of processor. */
async function unpackedName(packages: string[]): Promise<string> {
  const release = await Deno.readTextFile("/etc/debian_version")
    .catch(() => ""); // not Debian: there will be no such folder
  return ["debian", release.trim(), Deno.build.arch, ...packages].join("-")
    .replaceAll(/[^a-z0-9._-]/gi, "_");
}

/** Downloads packages and unpacks them into the cache. */
export async function unpack(packages: string[]) {
  const fill = (root: string) =>
    withApt(async (apt, archives) => {
      const options = ["--yes", "--no-install-recommends", "--download-only"];
      await must(apt, ["install", ...options, ...packages]);
      for (const { name } of list(archives)) {
        if (!name.endsWith(".deb")) continue;
        await must(plain("dpkg"), ["--extract", join(archives, name), root]);
      }
    });
  await makeOnce(await unpackedName(packages), fill);
  return await unpackedEnvironment(packages);
}

/** Runs apt-get in folders of its own; the machine's lists and locks stay. */
export async function withApt<T>(
  use: (apt: Tool, archives: string) => Promise<T>,
): Promise<T> {
  const scratch = await Deno.makeTempDir({ prefix: "decapod-apt-" });
  try {
    const state = join(scratch, "state");
    const archives = join(scratch, "archives");
    for (const folder of [join(state, "lists"), archives]) {
      await Deno.mkdir(join(folder, "partial"), { recursive: true });
    }
    const options = {
      "Dir::State": state,
      "Dir::State::status": "/var/lib/dpkg/status",
      "Dir::Cache": scratch,
      "Debug::NoLocking": "true",
      "APT::Sandbox::User": "",
      "Acquire::http::Timeout": "20",
      "Acquire::Retries": "1",
    };
    const apt: Tool = {
      command: "apt-get",
      args: Object.entries(options).flatMap(([k, v]) => ["-o", `${k}=${v}`]),
      env: { LC_ALL: "C" },
    };
    await must(apt, ["update"]);
    return await use(apt, archives);
  } finally {
    await Deno.remove(scratch, { recursive: true });
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
  Deno.test({
    name,
    ignore: !possible ||
      (tool === undefined && Deno.env.get("CI") !== "true"),
    fn: () => {
      if (tool !== undefined) return body(tool);
      throw new Error("Cannot run this check: its tool is missing");
    },
  });
}

if (import.meta.main) {
  const found = await findTools();
  if (!found.cloudInit || !found.yaml) {
    await unpack(PACKAGES).catch((error) =>
      console.error(`Cannot unpack Debian's packages: ${error}`)
    );
  }
  const { cloudInit, yaml, python3, pythons } = await findTools();
  for (const [name, tool] of Object.entries({ cloudInit, yaml, python3 })) {
    console.log(`${name}: ${tool?.command ?? "missing"}`);
  }
  const versions = pythons.map(({ version }) => version).join(", ");
  console.log(`further Pythons: ${versions || "none"}`);
}
