/** What Decapod's own nginx does to requests and responses. */
import { decode } from "./http.ts";

/** The longest request line and the longest header line, in bytes. */
const MAX_LINE = 4096;

/** The biggest body, in bytes. */
const MAX_BODY = 1024 * 1024;

/** The smallest response that nginx compresses, in bytes. */
const MIN_COMPRESSED = 1024;

/** The titles of pages by status. */
const TITLES = {
  200: "Decapod",
  400: "400 Bad Request",
  405: "405 Not Allowed",
  413: "413 Request Entity Too Large",
  414: "414 Request-URI Too Large",
};

/** What browsers are told about requests from other origins. */
const CORS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Methods": "GET, POST, OPTIONS, PUT, DELETE",
  "Access-Control-Allow-Headers":
    "Authorization, Content-Type, Accept, Origin, User-Agent, Cache-Control",
  "Access-Control-Max-Age": "1728000",
};

/** Responds as nginx would in front of Decapod. */
export async function behindNginx(
  request: Request,
  respond: (request: Request) => Promise<Response>,
): Promise<Response> {
  const refused = checkLines(request);
  if (refused !== null) return page(refused);
  const { method } = request;
  const url = new URL(request.url);
  const path = decode(url.pathname)?.replace(/\/+/g, "/");
  if (path === undefined || path.includes("\0")) return page(400);
  // This resolves dots.
  url.pathname = path.replace(/[%\\]/g, encodeURIComponent);
  if (!url.pathname.startsWith("/v1")) {
    return method === "GET" || method === "HEAD"
      ? page(200, method)
      : page(405);
  }
  if (method === "OPTIONS") {
    const headers = { ...CORS, "Content-Type": "text/plain charset=UTF-8" };
    return new Response(null, { status: 204, headers });
  }
  const body = request.body === null ? null : await request.arrayBuffer();
  if (body !== null && body.byteLength > MAX_BODY) return page(413);
  const { headers } = request;
  const response = await respond(new Request(url, { method, headers, body }));
  return compress(request, response);
}

/** The status for a line that is too long, if there is one. */
function checkLines({ method, url, headers }: Request): 400 | 414 | null {
  const target = url.replace(/^\w+:\/\/[^/?#]*/, "");
  if (`${method} ${target} HTTP/1.1\r\n`.length > MAX_LINE) return 414;
  const isLong = [...headers].some(([name, value]) =>
    `${name}: ${value}\r\n`.length > MAX_LINE
  );
  return isLong ? 400 : null;
}

function page(status: keyof typeof TITLES, method = "GET"): Response {
  const title = TITLES[status];
  const heading = `<title>${title}</title>\n<h1>${title}</h1>\n`;
  const html = `<!doctype html>\n${heading}<hr>\nnginx\n`;
  return new Response(method === "HEAD" ? null : html, {
    status,
    headers: { "Content-Type": "text/html; charset=utf-8" },
  });
}

function compress(request: Request, response: Response): Response {
  const accepted = request.headers.get("Accept-Encoding") ?? "";
  const length = Number(response.headers.get("Content-Length") ?? Infinity);
  if (
    response.body === null || length <= MIN_COMPRESSED ||
    !/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(accepted)
  ) return response;
  const headers = new Headers(response.headers);
  headers.delete("Content-Length");
  headers.set("Content-Encoding", "gzip");
  headers.set("Vary", "Accept-Encoding");
  const { status, body } = response;
  return new Response(body.pipeThrough(new CompressionStream("gzip")), {
    status,
    headers,
  });
}
