/** Files: temporary folders, what is below a folder, and archives. */
import { dirname, join } from "node:path";
import { run } from "./process.ts";

/** Creates a folder that is deleted on disposal. */
export function tempFolder(): Disposable & { path: string } {
  const path = Deno.realPathSync(Deno.makeTempDirSync());
  const remove = () => Deno.removeSync(path, { recursive: true });
  return { path, [Symbol.dispose]: remove };
}

/** The paths of the files below a folder, from there. */
export function* walk(folder: string, below = ""): Generator<string> {
  for (const { name, isFile, isDirectory } of Deno.readDirSync(folder)) {
    if (isFile) yield below + name;
    if (isDirectory) yield* walk(`${folder}/${name}`, `${below}${name}/`);
  }
}

/** The texts of the files in a compressed archive, by path. */
export async function untar(
  archive: Uint8Array,
): Promise<Map<string, string>> {
  using folder = tempFolder();
  const file = join(folder.path, ".archive");
  await Deno.writeFile(file, archive);
  await tar(["-xzf", file], folder.path);
  await Deno.remove(file);
  return new Map(
    [...walk(folder.path)].map((path) => [
      path,
      Deno.readTextFileSync(join(folder.path, path)),
    ]),
  );
}

/** A compressed archive of these files, in `package/` as npm requires. */
export async function packed(
  files: Map<string, string>,
): Promise<Uint8Array<ArrayBuffer>> {
  using folder = tempFolder();
  for (const [path, text] of files) {
    const file = join(folder.path, "package", path);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
  const file = join(folder.path, "package.tgz");
  await tar(["-czf", file, "package"], folder.path);
  return await Deno.readFile(file);
}

async function tar(args: string[], cwd: string): Promise<void> {
  const { code, stderr } = await run("tar", args, { cwd });
  if (code !== 0) throw new Error(`Cannot run tar: ${stderr}`);
}
