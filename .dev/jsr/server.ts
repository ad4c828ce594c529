/**
 * A stand-in for the JSR registry on a loopback socket. It accepts the uploads
 * of `deno publish` and serves them to Deno, and to npm and Bun in JSR's npm
 * form. Packages of std come from a folder.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { untar } from "../files.ts";
import { deno } from "../process.ts";
import { standInRegistry } from "../registry.ts";
import { load, provideTools } from "../tools.ts";
import { npmForm, type TypeScript } from "./npm_form.ts";

/** A registry that runs until disposal. */
export type JsrServer = Awaited<ReturnType<typeof openRegistry>>;

/** Opens a registry to which the project is published. */
export async function openRegistry() {
  const std = await standInRegistry();
  const typescript = load<TypeScript>(await provideTools(), "typescript");
  const published = new Map<string, string>();
  const packages = new Map<string, ReturnType<typeof npmForm>>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) =>
      await respond(request) ??
        Response.json({ code: "notFound", message: "" }, { status: 404 }),
  );
  const origin = `http://127.0.0.1:${server.addr.port}/`;
  const base = `${origin}${crypto.randomUUID()}/`;
  const npmUrl = `${base}npm/`;

  const args = ["publish", "--no-check", "--allow-dirty", "--token", "none"];
  const { code, stderr } = await deno(args, { env: { JSR_URL: base } });
  if (code !== 0) throw new Error(`Cannot publish:\n${stderr.trim()}`);
  return {
    /** The value for JSR_URL; a new path each time, so no cache is stale. */
    url: base,
    /** The registry of the npm scope `@jsr`. */
    npmUrl,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await forget(server.addr);
    },
  };

  async function respond(request: Request): Promise<Response | undefined> {
    const { method, url } = request;
    // `deno publish` expects the API at the root.
    if (url.startsWith(`${origin}api/`)) {
      if (method === "POST") {
        accept(new URL(url), await untar(await request.bytes()));
      } else if (url.includes("/versions/")) return undefined; // not published
      return Response.json({ id: "", status: "success", error: null });
    }
    if (!url.startsWith(base)) return undefined;
    const path = decodeURIComponent(url.slice(base.length));
    const [, name, tarball] = /^npm\/(?:@jsr\/(.+)|~\/(.+)\.tgz)$/.exec(path) ??
      [];
    if (name) return Response.json((await provide(name)).document);
    if (tarball) return new Response((await provide(tarball)).archive);
    const text = await read(path);
    if (text === undefined) return undefined;
    const [ending = ""] = path.match(/json$|ts$/) ?? [];
    const type = TYPES[ending] ?? "text/javascript";
    return new Response(text, { headers: { "content-type": type } });
  }

  /** Stores an upload as the registry's files. */
  function accept(
    { pathname, searchParams }: URL,
    files: Map<string, string>,
  ): void {
    const [, scope, name, version = ""] =
      /scopes\/(.+)\/packages\/(.+)\/versions\/(.+)/.exec(pathname) ?? [];
    const folder = `@${scope}/${name}`;
    const manifest: Record<string, object> = {};
    for (const [path, text] of files) {
      const bytes = new TextEncoder().encode(text);
      const checksum = createHash("sha256").update(bytes).digest("hex");
      const entry = { size: bytes.length, checksum: `sha256-${checksum}` };
      manifest[`/${path}`] = entry;
      published.set(`${folder}/${version}/${path}`, text);
    }
    const config = files.get(searchParams.get("config")?.slice(1) ?? "");
    const { exports } = JSON.parse(config ?? "{}");
    const meta = { scope, name, latest: version, versions: { [version]: {} } };
    const details = {
      manifest,
      exports: typeof exports === "string" ? { ".": exports } : exports,
    };
    published.set(`${folder}/meta.json`, JSON.stringify(meta));
    published.set(`${folder}/${version}_meta.json`, JSON.stringify(details));
  }

  /** A file of a package that was published, or of std. */
  async function read(path: string): Promise<string | undefined> {
    try {
      return published.get(path) ?? await Deno.readTextFile(join(std, path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** The npm form of a package, `scope__name`, which is created once. */
  function provide(mangled: string): ReturnType<typeof npmForm> {
    const made = packages.get(mangled) ?? create();
    packages.set(mangled, made);
    return made;

    async function create() {
      const name = `@${mangled.replace("__", "/")}`;
      const parse = async (file: string) =>
        JSON.parse(await read(`${name}/${file}`) ?? "{}");
      const { latest: version } = await parse("meta.json");
      const { exports, manifest } = await parse(`${version}_meta.json`);
      const files = new Map<string, string>();
      for (const path of Object.keys(manifest)) {
        files.set(path, await read(`${name}/${version}${path}`) ?? "");
      }
      const form = { name, version, exports, files };
      return await npmForm(form, typescript, npmUrl);
    }
  }
}

/** Content types, by the end of the path. */
const TYPES: Record<string, string> = {
  json: "application/json",
  ts: "text/typescript",
};

/** Deletes the files of a server from Deno's cache. */
async function forget({ hostname, port }: Deno.NetAddr): Promise<void> {
  const { stdout } = await deno(["info", "--json"]);
  const { modulesCache } = JSON.parse(stdout);
  const folder = join(modulesCache, "http", `${hostname}_PORT${port}`);
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
