/** The log of an execution: as a file, or as JSON. */

import type { Context } from "./http.ts";
import type { Log } from "./executions.ts";
import { toJson } from "./json.ts";

/** For how many seconds a log may be kept by who has read it. */
const KEPT = 2592000;

const YES = /^(?:y|yes|t|true|on|1)$/i;

/** The answer to a request for a log. */
export async function logResponse(
  { request, params, id, world }: Context,
  log: Log,
): Promise<Response | string> {
  const download = YES.test(params.get("download") ?? "");
  const wantsJson = ["Accept", "Content-Type"].some((name) =>
    request.headers.get(name) === "application/json"
  );
  if (wantsJson && !download) {
    const text = typeof log === "string"
      ? log
      : await new Response(log()).text();
    return toJson({ data: text });
  }
  const etag = `"${await digest(typeof log === "string" ? log : id)}"`;
  const headers = new Headers({
    "Accept-Ranges": "none",
    "Cache-Control": `private, no-store, max-age=${KEPT}`,
    "ETag": etag,
    "Expires": new Date(world.time + KEPT * 1000).toUTCString(),
  });
  const known = request.headers.get("If-None-Match")?.split(/\s*,\s*/) ?? [];
  if (known.some((tag) => tag === "*" || tag.replace(/^W\//, "") === etag)) {
    return new Response(null, { status: 304, headers });
  }
  headers.set("Content-Type", "text/plain; charset=utf-8");
  if (download) {
    headers.set("Content-Disposition", `attachment; filename=${id}.log`);
  }
  if (typeof log !== "string") return new Response(log(), { headers });
  const bytes = new TextEncoder().encode(log);
  headers.set("Content-Length", String(bytes.length));
  return new Response(bytes, { headers });
}

async function digest(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash.subarray(0, 16)].map((byte) =>
    byte.toString(16).padStart(2, "0")
  ).join("");
}
