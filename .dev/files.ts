/** Temporary folders and archives. */
import { createTarGzip, parseTarGzip } from "npm:nanotar@0.3.0";
import { join } from "node:path/posix";

/** Creates a folder that is deleted on disposal. */
export function tempFolder(): Disposable & { path: string } {
  const path = Deno.realPathSync(Deno.makeTempDirSync());
  const remove = () => Deno.removeSync(path, { recursive: true });
  return { path, [Symbol.dispose]: remove };
}

/** The texts of the files in a compressed archive, by path. */
export async function untar(archive: Uint8Array): Promise<Map<string, string>> {
  const entries = await parseTarGzip(archive);
  const files = entries.filter(({ type }) => type === "file");
  return new Map(files.map(({ name, text }) => [name, text]));
}

/** A compressed archive of these files, in `package/` as npm requires. */
export async function packed(
  files: Map<string, string>,
): Promise<Uint8Array<ArrayBuffer>> {
  const items = [...files]
    .map(([path, data]) => ({ name: join("package", path), data }));
  return new Uint8Array(await createTarGzip(items));
}
