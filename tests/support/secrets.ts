/** Searches for secrets in everything that a person or a log may read. */
import { assert } from "@std/assert";

/** Every text that a log could make of a value. */
export function texts(value: unknown): string[] {
  const found = [
    String(value),
    Deno.inspect(value, {
      depth: 20,
      showHidden: true,
      strAbbreviateSize: 1e6,
    }),
    JSON.stringify(value) ?? "",
  ];
  if (value instanceof Error) {
    found.push(value.message, value.name, value.stack ?? "");
    for (const key of Reflect.ownKeys(value)) {
      const part: unknown = Reflect.get(value, key);
      if (key !== "cause") found.push(Deno.inspect(part, { depth: 20 }));
    }
    if (value.cause !== undefined) found.push(...texts(value.cause));
  }
  return found;
}

/** The encodings in which a server could echo a secret. */
export function spellings(secret: string): string[] {
  const escaped = JSON.stringify(secret).slice(1, -1);
  const ascii = escaped.replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const encoded = encodeURIComponent(secret);
  return [
    secret,
    escaped,
    ascii,
    escaped.replaceAll("/", "\\/"),
    encoded,
    encoded.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    encoded.replaceAll("%20", "+"),
    new URLSearchParams({ s: secret }).toString().slice(2),
  ];
}

/** Fails if a secret, in any encoding, is in a value. */
export function assertNoSecrets(value: unknown, secrets: string[]): void {
  for (const text of texts(value)) {
    for (const secret of secrets.flatMap(spellings)) {
      assert(!text.includes(secret), `"${secret}" is in ${text}`);
    }
  }
}
