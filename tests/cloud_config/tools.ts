/**
 * The programs of other projects that judge the user-data: cloud-init's
 * validator, shellcheck, PyYAML and, where the machine has one, Python 2.7.
 *
 * The first three are Debian packages. They are unpacked into a cache folder
 * and never installed: cloud-init, installed, would run at the machine's next
 * boot, and unpacking needs no root. Run this file, or call
 * {@linkcode ensureTools}, once before the tests; the tests only look.
 *
 * @module
 */
import { join } from "node:path";
import { cacheFolder, makeOnce } from "../../.dev/registry.ts";

/** How to run each tool; undefined where it cannot be had. */
export interface Tools {
  /** `cloud-init`, to be followed by `schema`, and so on. */
  cloudInit?: Tool;
  shellcheck?: Tool;
  /** A Python 3 that has PyYAML. */
  python3?: Tool;
  /** Python 2.7. It is no Debian package any more, so it is only looked for. */
  python2?: Tool;
}

export interface Tool {
  command: string;
  args: string[];
  env: Record<string, string>;
}

/** Runs a tool and returns what it said, both streams in one. */
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

/** The tool, if the given arguments make it succeed. */
async function ifItRuns(tool: Tool, args: string[]): Promise<Tool | undefined> {
  try {
    return (await run(tool, args)).code === 0 ? tool : undefined;
  } catch {
    return undefined;
  }
}

async function firstThatRuns(
  tools: Tool[],
  args: string[],
): Promise<Tool | undefined> {
  for (const tool of tools) {
    if (await ifItRuns(tool, args)) return tool;
  }
  return undefined;
}

/** Looks for every tool, the machine's own first, and changes nothing. */
export async function findTools(): Promise<Tools> {
  const root = join(await cacheFolder(), await packagesName());
  const env = {
    PYTHONPATH: join(root, "usr/lib/python3/dist-packages"),
    PYTHONDONTWRITEBYTECODE: "1",
    LD_LIBRARY_PATH: [...libraryFolders(root)].join(":"),
  };
  const plain = { args: [], env: {} };
  // Debian's own Python has Debian's modules; one in the PATH may not.
  const pythons = ["/usr/bin/python3", join(root, "usr/bin/python3")];
  const [cloudInit, shellcheck, python3, python2] = await Promise.all([
    firstThatRuns([
      { command: "cloud-init", ...plain },
      ...pythons.map((command) => ({
        command,
        args: ["-m", "cloudinit.cmd.main"],
        env,
      })),
    ], ["schema", "--help"]),
    firstThatRuns([
      { command: "shellcheck", ...plain },
      { command: join(root, "usr/bin/shellcheck"), args: [], env },
    ], ["--version"]),
    firstThatRuns([
      { command: "python3", ...plain },
      ...pythons.map((command) => ({ command, args: [], env })),
    ], ["-c", "import yaml"]),
    firstThatRuns(
      [...python2Paths()].map((command) => ({ command, ...plain })),
      ["-c", "import sys, ssl; sys.exit(sys.version_info[:2] != (2, 7))"],
    ),
  ]);
  return { cloudInit, shellcheck, python3, python2 };
}

/** Packages fit one release and one kind of processor. */
async function packagesName(): Promise<string> {
  let release = "";
  try {
    release = (await Deno.readTextFile("/etc/debian_version")).trim();
  } catch {
    // No Debian: there will be no such folder.
  }
  const name = `debian-${release}-${Deno.build.arch}`;
  return name.replaceAll(/[^a-z0-9._-]/gi, "_");
}

function* libraryFolders(root: string): Generator<string> {
  for (const folder of ["usr/lib", "lib"]) {
    for (const { name, isDirectory } of list(join(root, folder))) {
      if (isDirectory && name.includes("-linux-")) {
        yield join(root, folder, name);
      }
    }
  }
}

function* python2Paths(): Generator<string> {
  yield "python2.7";
  const home = Deno.env.get("HOME") ?? "";
  const pyenv = join(
    Deno.env.get("PYENV_ROOT") ?? join(home, ".pyenv"),
    "versions",
  );
  for (const { name } of list(pyenv)) {
    if (name.startsWith("2.7")) yield join(pyenv, name, "bin/python2.7");
  }
}

function list(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch {
    return [];
  }
}

/**
 * Finds every tool, and unpacks Debian's packages into the cache if one of
 * theirs is missing and the machine has apt-get.
 */
export async function ensureTools(): Promise<Tools> {
  const tools = await findTools();
  if (tools.cloudInit && tools.shellcheck && tools.python3) return tools;
  try {
    await makeOnce(await packagesName(), unpackPackages);
  } catch (error) {
    console.error(`Cannot unpack Debian's packages: ${error}`);
  }
  return await findTools();
}

async function unpackPackages(root: string): Promise<void> {
  const scratch = await Deno.makeTempDir({ prefix: "decapod-apt-" });
  try {
    const archives = await downloadPackages(scratch);
    const dpkg: Tool = { command: "dpkg", args: ["--extract"], env: {} };
    for (const archive of archives) await must(dpkg, [archive, root]);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

async function downloadPackages(scratch: string): Promise<string[]> {
  const state = join(scratch, "state");
  const archives = join(scratch, "archives");
  for (const folder of [join(state, "lists"), archives]) {
    await Deno.mkdir(join(folder, "partial"), { recursive: true });
  }
  // apt-get with folders of its own: the machine's lists and locks stay as
  // they are, only the list of what is installed is read.
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
  await must(apt, [
    "install",
    "--yes",
    "--no-install-recommends",
    "--download-only",
    "cloud-init",
    "shellcheck",
    "python3-yaml",
  ]);
  return list(archives).filter(({ name }) => name.endsWith(".deb"))
    .map(({ name }) => join(archives, name));
}

async function must(tool: Tool, args: string[]): Promise<void> {
  const { code, text } = await run(tool, args);
  if (code !== 0) {
    throw new Error(`${tool.command} ${args[0]} failed:\n${text}`);
  }
}

/**
 * Registers a test that needs a tool. Without the tool it is reported as
 * ignored, by name; in CI, where `CI` is "true", it fails. What is not
 * possible on the machine, such as IPv6, is ignored everywhere.
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
      throw new Error(
        "Cannot run this check: its tool is missing, which CI does not allow",
      );
    },
  });
}

if (import.meta.main) {
  const tools = await ensureTools();
  for (
    const name of ["cloudInit", "shellcheck", "python3", "python2"] as const
  ) {
    console.log(`${name}: ${tools[name]?.command ?? "missing"}`);
  }
}
