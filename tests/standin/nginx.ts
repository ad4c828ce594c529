/** What Decapod's own nginx does to requests and answers. */

/** The biggest body that nginx lets through, in bytes. */
const MAX_BODY = 1024 * 1024;

/** The smallest answer that nginx compresses, in bytes. */
const MIN_COMPRESSED = 1024;

/** Answers as nginx would in front of Decapod. */
export async function behindNginx(
  request: Request,
  answer: (request: Request) => Promise<Response>,
): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (!/^\/+v1(?:\/|$)/.test(pathname)) {
    return page(200, "<title>Decapod</title><p>The web interface.</p>");
  }
  const body = request.body === null ? null : await request.arrayBuffer();
  if (body !== null && body.byteLength > MAX_BODY) {
    return page(413, "<h1>413 Request Entity Too Large</h1>");
  }
  const response = await answer(
    body === null ? request : new Request(request.url, {
      method: request.method,
      headers: request.headers,
      body,
      signal: request.signal,
    }),
  );
  return compress(request, response);
}

function page(status: number, content: string): Response {
  return new Response(`<!doctype html>\n<html>${content}</html>\n`, {
    status,
    headers: { "Content-Type": "text/html" },
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
