/** Requests without a library. */

/** The shortest request. */
export async function plainFetch<T>(
  url: string,
  headers: Record<string, string>,
): Promise<T> {
  const response = await fetch(url, { headers });
  return await response.json();
}

/** A request with a deadline, no redirects, and a check of the response. */
export async function carefulFetch<T>(
  url: string,
  headers: Record<string, string>,
): Promise<T> {
  const response = await fetch(url, {
    headers,
    redirect: "manual",
    signal: AbortSignal.timeout(60_000),
  });
  if (!response.ok) throw new Error(`${url}: status ${response.status}`);
  const type = response.headers.get("content-type") ?? "no content type";
  if (!type.startsWith("application/json")) throw new Error(`${url}: ${type}`);
  return await response.json();
}
