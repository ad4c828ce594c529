/** Paths of the API whose values cannot lead to another endpoint. */

import { REDACTED } from "./redact.ts";
import { validate } from "./validate.ts";

/** The strings of a template, and the values between them. */
export interface Path {
  strings: readonly string[];
  values: (string | number)[];
}

/** Argument names in messages, by the text before the value. Default: id. */
const ARGUMENT_NAMES: Record<string, string> = {
  "cinder_integration/": "clusterId",
  "password_reset/": "resetToken",
  "/version/": "version",
};

/** A path below `/v1/`; encodePath() validates it. */
export function path(
  strings: TemplateStringsArray,
  ...values: (string | number)[]
): Path {
  return { strings, values };
}

/**
 * The path as it is sent. Throws if a value is invalid.
 *
 * @param secrets Values to redact.
 */
export function encodePath(
  { strings, values }: Path,
  secrets?: readonly string[],
): string {
  let text = `/v1/${strings[0]}`;
  for (let index = 0; index < values.length; index++) {
    const name = ARGUMENT_NAMES[`${strings[index]}`] ?? "id";
    const segment = encodeSegment(name, values[index]);
    const isSecret = secrets?.includes(`${values[index]}`);
    text += isSecret ? REDACTED : segment;
    text += strings[index + 1];
  }
  return text.endsWith("/") ? text : `${text}/`;
}

function encodeSegment(name: string, value: unknown): string {
  validate(name, value);
  const text = String(value);
  // These would lead elsewhere even if they are percent-encoded: Decapod's
  // nginx decodes a slash before it resolves "..".
  const problem = text === ""
    ? "an empty string"
    : /^\.{1,2}$/.test(text)
    ? `"${text}"`
    : /\0|\//.test(text) && name !== "resetToken" ||
        /(?:^|\/)\.{1,2}(?:\/|$)/.test(text)
    ? "a path"
    : !text.isWellFormed()
    ? "malformed Unicode"
    : undefined;
  if (problem) {
    throw new TypeError(
      `Invalid ${name}: must be a value from the server, got ${problem}`,
    );
  }
  return encodeURIComponent(text);
}

/** The path of an endpoint that has no method; throws if it leads elsewhere. */
export function relativePath(endpoint: string): Path {
  validate("endpoint", endpoint);
  const text = endpoint.replace(/^\/?(?:v1\/)?/, "");
  const segments = text.replace(/\/$/, "").split("/");
  const isValid = segments.every((segment) =>
    /^(?:[\w~!$&'()*+,;=:@.-]|%[0-9a-f]{2})+$/i.test(segment) &&
    !/^(?:\.|%2e){1,2}$|%(?:2f|00)/i.test(segment)
  );
  if (!isValid) {
    throw new TypeError(
      "Invalid endpoint: must be a path below /v1/ without query, such as cluster/",
    );
  }
  return { strings: [text], values: [] };
}
