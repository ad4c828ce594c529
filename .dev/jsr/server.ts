/**
 * A stand-in for the JSR registry on a loopback socket. It accepts the uploads
 * of `deno publish` and serves them to Deno, and to npm and Bun in JSR's npm
 * form. Packages of std come from a folder.
 */
import { createHash } from "node:crypto";
import { join, sep } from "node:path";
import { deno } from "../process.ts";
import { untar } from "../files.ts";
import { standInRegistry } from "../registry.ts";
import { load, type Tools } from "../tools.ts";
import {
  npmForm,
  type NpmPackage,
  type Published,
  type TypeScript,
} from "./npm_form.ts";

/** Responds to a request; the parts of the path are given by name. */
type Handler = (
  parts: Record<string, string>,
  request: Request,
) => Response | undefined | Promise<Response | undefined>;

/** A registry that runs until disposal. */
export class JsrServer implements AsyncDisposable {
  /** The value for JSR_URL; a new path each time, so no cache is stale. */
  readonly url: string;
  /** The registry of the npm scope `@jsr`. */
  readonly npmUrl: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #std: string;
  readonly #typescript: TypeScript;
  readonly #published = new Map<string, Published>();
  readonly #npm = new Map<string, NpmPackage>();

  /**
   * @param std The folder of a registry that has std.
   * @param typescript The compiler for the npm form.
   */
  constructor(std: string, typescript: TypeScript) {
    this.#std = std;
    this.#typescript = typescript;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#respond(request),
    );
    const origin = `http://127.0.0.1:${this.#server.addr.port}`;
    this.url = `${origin}/${crypto.randomUUID()}/`;
    this.npmUrl = `${this.url}npm/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await forget(this.#server.addr);
  }

  async #respond(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    // `deno publish` expects the API at the root.
    const base = pathname.startsWith("/api/")
      ? "/"
      : new URL(this.url).pathname;
    if (!pathname.startsWith(base)) return problem(404, "notFound");
    const path = decodeURIComponent(pathname.slice(base.length));
    for (const [route, respond] of Object.entries(this.#routes)) {
      const pattern = route.replace(/:(\w+)/g, "(?<$1>[^/]+)")
        .replace("*", "(?<file>.+)");
      const match = new RegExp(`^${pattern}$`).exec(
        `${request.method} ${path}`,
      );
      const response = match && await respond(match.groups ?? {}, request);
      if (response) return response;
    }
    return problem(404, "notFound");
  }

  /** `:name` stands for a part of the path, `*` for the rest. */
  readonly #routes: Record<string, Handler> = {
    // For `deno publish`.
    "GET api/scopes/:scope/packages/:name": ({ scope, name }) =>
      Response.json({ scope, name }),
    "POST api/scopes/:scope/packages/:name/versions/:version": (
      found,
      request,
    ) => this.#publish(found, request),
    "GET api/publish_status/:id": ({ id }) =>
      Response.json({ id, status: "success", error: null }),
    // For imports of Deno.
    "GET @decapod/:name/*": ({ name, file = "" }) =>
      this.#jsrFile(`@decapod/${name}`, file),
    "GET @std/*": ({ file }) => this.#stdFile(`@std/${file}`),
    // For npm and Bun.
    "GET npm/@jsr/:name": async ({ name = "" }) => {
      const found = await this.#npmPackage(name);
      return found && Response.json(found.document(this.npmUrl));
    },
    "GET npm/~/:name.tgz": async ({ name = "" }) => {
      const found = await this.#npmPackage(name);
      return found && new Response(found.tarball);
    },
  };

  async #publish(
    { scope, name, version = "" }: Record<string, string>,
    request: Request,
  ): Promise<Response> {
    if (!request.headers.get("authorization")?.startsWith("Bearer ")) {
      return problem(401, "missingAuthentication");
    }
    const archive = await untar(await request.bytes());
    const files = new Map(
      [...archive].map(([path, text]) => [`/${path}`, text]),
    );
    const config = new URL(request.url).searchParams.get("config") ?? "";
    const { exports } = JSON.parse(files.get(config) ?? "{}");
    const full = `@${scope}/${name}`;
    this.#published.set(full, {
      name: full,
      version,
      exports: typeof exports === "string" ? { ".": exports } : exports,
      files,
    });
    return Response.json({ id: crypto.randomUUID(), status: "pending" });
  }

  #jsrFile(name: string, file: string): Response | undefined {
    const found = this.#published.get(name);
    if (found === undefined) return undefined;
    const { version, exports, files } = found;
    if (file === "meta.json") {
      const [scope, simple] = name.slice(1).split("/");
      const versions = { [version]: {} };
      return Response.json({ scope, name: simple, latest: version, versions });
    }
    if (file === `${version}_meta.json`) {
      const manifest = Object.fromEntries(
        [...files].map(([path, text]) => {
          const bytes = new TextEncoder().encode(text);
          const hash = createHash("sha256").update(bytes).digest("hex");
          return [path, { size: bytes.length, checksum: `sha256-${hash}` }];
        }),
      );
      return Response.json({ manifest, exports });
    }
    const text = file.startsWith(`${version}/`)
      ? files.get(file.slice(version.length))
      : undefined;
    return text === undefined ? undefined : source(text, file);
  }

  async #stdFile(path: string): Promise<Response | undefined> {
    const file = join(this.#std, path);
    if (!file.startsWith(join(this.#std, sep))) return undefined;
    try {
      return source(await Deno.readTextFile(file), path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** The npm form of a package, `scope__name`. */
  async #npmPackage(mangled: string): Promise<NpmPackage | undefined> {
    const known = this.#npm.get(mangled);
    if (known) return known;
    const name = `@${mangled.replace("__", "/")}`;
    const found = this.#published.get(name) ?? await this.#stdPackage(name);
    if (found === undefined) return undefined;
    const made = await npmForm(found, this.#typescript);
    this.#npm.set(mangled, made);
    return made;
  }

  async #stdPackage(name: string): Promise<Published | undefined> {
    const meta = await this.#stdFile(`${name}/meta.json`);
    if (meta === undefined) return undefined;
    const { latest: version } = await meta.json();
    const details = await this.#stdFile(`${name}/${version}_meta.json`);
    const { exports, manifest } = await details?.json() ?? {};
    const files = new Map<string, string>();
    for (const path of Object.keys(manifest)) {
      const text = await this.#stdFile(`${name}/${version}${path}`);
      if (text !== undefined) files.set(path, await text.text());
    }
    return { name, version, exports, files };
  }
}

/** Opens a registry to which the project is published. */
export async function openRegistry(tools: Tools): Promise<JsrServer> {
  const typescript = load<TypeScript>(tools, "typescript");
  const server = new JsrServer(await standInRegistry(), typescript);
  await publish(server);
  return server;
}

/** Publishes the project, as its maintainers do. */
export async function publish(server: JsrServer): Promise<string> {
  const output = await deno(
    ["publish", "--allow-dirty", "--token", "not-a-secret"],
    { env: { JSR_URL: server.url } },
  );
  if (output.code !== 0) {
    throw new Error(`Cannot publish:\n${output.stderr.trim()}`);
  }
  return output.stderr;
}

function source(text: string, path: string): Response {
  const type = path.endsWith(".json")
    ? "application/json"
    : path.endsWith(".ts")
    ? "text/typescript"
    : "text/javascript";
  return new Response(text, { headers: { "content-type": type } });
}

function problem(status: number, code: string): Response {
  return Response.json({ code, message: code }, { status });
}

/** Deletes the files of a server from Deno's cache. */
async function forget({ hostname, port }: Deno.NetAddr): Promise<void> {
  const { stdout } = await deno(["info", "--json"]);
  const folder = join(
    JSON.parse(stdout).modulesCache,
    "http",
    `${hostname}_PORT${port}`,
  );
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
