/** Requests and responses, as every part of the server sees them. */
import { type ApiError, crash, standard } from "./errors.ts";
import { type Query, readQuery } from "./filters.ts";
import { type Json, type JsonObject, parseJson } from "./json.ts";
import type { ApiPermission } from "./playbooks.ts";
import { checkObject, type Schema } from "./schemas.ts";
import { modelText, type Version } from "./store.ts";
import type { Page } from "./table.ts";
import type { UserVersion } from "./accounts.ts";
import type { World } from "./world.ts";

/** One request on its way through the server. */
export class Context {
  /** The user who sent the request; set after authentication. */
  user: UserVersion | undefined;
  /** The id of the token that came with the request. */
  token: string | undefined;
  /** When that token expires, in seconds; sent as a response header. */
  tokenExpires: number | undefined;

  /**
   * @param params The query of the request.
   * @param args The variable parts of the path.
   */
  constructor(
    readonly world: World,
    readonly request: Request,
    readonly params: URLSearchParams,
    readonly args: readonly string[],
  ) {}

  /** The first variable part of the path, usually an id. */
  get id(): string {
    return this.args[0] ?? "";
  }

  get query(): Query {
    return readQuery(this.params);
  }

  /** The user's id; null without authentication. */
  get userId(): string | null {
    return this.user?.model_id ?? null;
  }

  /** Reads the body, whatever its content type; 406 unless it is JSON. */
  async json(): Promise<Json> {
    const type = this.request.headers.get("Content-Type") ?? "";
    const decoder = decoderFor(/;\s*charset="?([^\s";]+)/i.exec(type)?.[1]);
    const bytes = await this.request.arrayBuffer();
    try {
      return parseJson(decoder.decode(bytes));
    } catch {
      throw standard("NotAcceptable");
    }
  }

  /** Reads the body and validates it. */
  async body(schema: Schema): Promise<JsonObject> {
    return checkObject(await this.json(), schema);
  }
}

/** A byte order mark is kept: with it, a body is not JSON. */
function decoderFor(charset = "utf-8"): TextDecoder {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true });
  } catch {
    throw crash(`unknown encoding: ${charset}`);
  }
}

/** The path of a URL without escapes; undefined if that is impossible. */
export function decode(pathname: string): string | undefined {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return undefined;
  }
}

/** Who is allowed to use a route. */
export type Access =
  /** Everyone. */
  | "public"
  /** Every user with a token. */
  | "token"
  /** Users with all these permissions. */
  | readonly ApiPermission[]
  /** Users who can create servers, and who has the server discovery token. */
  | "announcement";

/** One row of the route table. */
export interface Route {
  readonly method: string;
  /** The path without `/v1` and the trailing slash. */
  readonly path: string;
  readonly access: Access;
  /** Returns the JSON text of a 200, or a whole response. */
  readonly handle: (
    context: Context,
  ) => string | Response | Promise<string | Response>;
}

/** Creates a row: `route("GET /user/self", "token", handle)`. */
export function route(
  endpoint: `${"GET" | "POST" | "PUT" | "DELETE"} ${string}`,
  access: Access,
  handle: Route["handle"],
): Route {
  const [method = "", path = ""] = endpoint.split(" ");
  return { method, path, access, handle };
}

export const NO_CACHE = "private, no-store, no-cache";

/** A 200 with JSON. */
export function jsonResponse(text: string): Response {
  const body = `${text}\n`;
  const headers = {
    "Content-Type": "application/json",
    "Cache-Control": NO_CACHE,
  };
  // Text beyond ASCII is sent in chunks, without Content-Length.
  return /\P{ASCII}/u.test(body)
    ? new Response(new Blob([body]).stream(), { headers })
    : new Response(body, {
      headers: { ...headers, "Content-Length": String(body.length) },
    });
}

/** The response for an error. Its JSON has spaces, unlike all other. */
export function errorResponse(failure: ApiError): Response {
  const { status, error, message } = failure;
  const text = `{"code": ${status}, "error": ${ascii(error)}, ` +
    `"message": ${ascii(message)}}`;
  const headers = new Headers({
    "Content-Type": "application/json",
    "Content-Length": String(text.length),
  });
  if (status === 401) {
    headers.set("WWW-Authenticate", 'Token realm="Application"');
  }
  return new Response(text, { status, headers });
}

/** The JSON text of a page of models. */
export function pageText({ rows, page, perPage, total }: Page<Version>) {
  return `{"items":[${rows.map(modelText).join(",")}],"page":${page},` +
    `"per_page":${perPage},"total":${total}}`;
}

/** JSON text with everything beyond ASCII escaped. */
function ascii(text: string): string {
  return JSON.stringify(text).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
