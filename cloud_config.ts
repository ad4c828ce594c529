/**
 * User-data for cloud-init: a host that boots with it registers itself in
 * Decapod.
 *
 * 1. The operator takes the server discovery token from Decapod's
 *    configuration (`server_discovery_token` under `api`) and the public SSH
 *    key of Decapod's Ansible.
 * 2. {@linkcode generateCloudConfig} creates a text from them. The cloud,
 *    libvirt or MAAS passes it to every new host as its user-data.
 * 3. On the host, cloud-init creates the user and installs a program that
 *    runs at every boot. It sends one POST to the API: user name, address and
 *    system UUID.
 * 4. Decapod connects to the host over SSH and adds it to its servers. The
 *    host's log is `/var/log/server_discovery.log`.
 *
 * The same options always give the same text, byte for byte.
 *
 * @module
 */
import { stringify } from "@std/yaml/stringify";
import {
  PROGRAM,
  PROGRAM_PATH,
  SETTINGS_PATH,
} from "./internal/discovery_program.ts";
import {
  ARRAY,
  BOOLEAN,
  validate,
  validateNames,
} from "./internal/validate.ts";

/** Options of {@linkcode generateCloudConfig}. */
export interface CloudConfigOptions {
  /**
   * The API's base URL, as the hosts reach it, with or without scheme (default:
   * `http://`), port, path prefix and trailing slash. An IPv6 address is
   * enclosed in brackets. The hosts post to `<url>/v1/server/`; a URL that
   * already ends in `/v1` or `/v1/server` leads to the same place.
   */
  url: string;
  /**
   * The server discovery token of Decapod's configuration. It is written to a
   * file on the host that only root can read.
   */
  serverDiscoveryToken: string;
  /**
   * The public SSH key of Decapod's Ansible: the text of a `.pub` file, or a
   * line of `authorized_keys` with options. Surrounding white space is removed.
   */
  publicKey: string;
  /** The user that Ansible logs in as, with sudo and without a password. */
  username: string;
  /**
   * How many **seconds** the host waits for the metadata service, and for each
   * attempt to reach the API. At most 3600.
   *
   * @default {20}
   */
  timeout?: number | undefined;
  /**
   * Leaves out the discovery program: the host gets its user and its packages,
   * and an operator adds it to Decapod.
   *
   * @default {false}
   */
  noDiscovery?: boolean | undefined;
  /**
   * Debian packages that the host installs. The default is what Decapod's
   * Ansible needs on the releases that Decapod supports; `docs/cloud_config.md`
   * lists the packages for newer releases. A host registers even if a package
   * cannot be installed.
   *
   * @default {["python"]}
   */
  packages?: readonly string[] | undefined;
  /**
   * CA certificates as PEM text. One of them must have issued the API's
   * certificate, or be it. The host then verifies the API before it sends the
   * token; without this option it does not verify the API.
   */
  caCertificate?: string | undefined;
  /**
   * Whether the host asks the cloud's metadata service for its public address
   * first. Use `false` if Decapod must connect to the hosts' internal addresses.
   *
   * @default {true}
   */
  metadata?: boolean | undefined;
}

/** The names of all options. */
const NAMES: Record<keyof CloudConfigOptions, true> = {
  url: true,
  serverDiscoveryToken: true,
  publicKey: true,
  username: true,
  timeout: true,
  noDiscovery: true,
  packages: true,
  caCertificate: true,
  metadata: true,
};

/**
 * Generates the user-data with which a host registers itself in Decapod.
 *
 * The text is a `#cloud-config` document for cloud-init on Ubuntu 16.04 and
 * newer and Debian 12 and newer. It contains the token: treat it as a secret.
 *
 * @example
 * ```ts
 * import { generateCloudConfig } from "@decapod/decapodlib";
 * import { assert } from "@std/assert";
 *
 * const userData = generateCloudConfig({
 *   url: "https://decapod.example.com",
 *   serverDiscoveryToken: "26758c32-3421-4f3d-9603-e4b5337e7ecc",
 *   publicKey:
 *     "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFMPVXbJkfBaBn7tLZhG7OXQpj5HFgMMbTO6MaexrZU ansible@decapod",
 *   username: "ansible",
 * });
 *
 * assert(userData.startsWith("#cloud-config\n"));
 * ```
 *
 * @returns The user-data; it ends in a newline.
 * @throws {TypeError} If an option is missing, unknown or of the wrong type.
 * @throws {RangeError} If no host could use an option's value. The message
 * names the option and never contains the value.
 */
export function generateCloudConfig(options: CloudConfigOptions): string {
  validateNames("options", options, Object.keys(NAMES));
  const {
    url,
    serverDiscoveryToken,
    publicKey,
    username,
    timeout = 20,
    noDiscovery = false,
    packages = ["python"],
    caCertificate,
    metadata = true,
  } = options;
  checkToken(serverDiscoveryToken);
  checkUsername(username);
  checkTimeout(timeout);
  validate("noDiscovery", noDiscovery, BOOLEAN);
  validate("metadata", metadata, BOOLEAN);
  const endpoint = toEndpoint(url);
  const settings = {
    url: endpoint,
    token: serverDiscoveryToken,
    username,
    id: null,
    timeout,
    ca_certificate: toCertificates(caCertificate, endpoint),
    metadata_url: metadata
      ? "http://169.254.169.254/latest/meta-data/public-ipv4"
      : null,
    // In seconds. Half a minute in all, so that a boot is not held up.
    retry_delays: [1, 2, 4, 8, 15],
  };
  const names = toPackageNames(packages);
  const document = {
    users: [{
      name: username,
      groups: ["sudo"],
      shell: "/bin/bash",
      sudo: "ALL=(ALL) NOPASSWD:ALL",
      ssh_authorized_keys: [toKeyLine(publicKey)],
    }],
    // cloud-init's schema does not allow an empty list.
    ...names.length > 0 && { packages: names },
    ...!noDiscovery && {
      write_files: [
        file(SETTINGS_PATH, "0600", JSON.stringify(settings, null, 2) + "\n"),
        file(PROGRAM_PATH, "0550", PROGRAM),
      ],
    },
  };
  return "#cloud-config\n" +
    stringify(document, { lineWidth: -1, arrayIndent: false });
}

function file(path: string, permissions: string, content: string) {
  return { path, owner: "root:root", permissions, content };
}

/** Values are never repeated: any of them may be a secret in a wrong place. */
function invalid(name: string, expected: string, got: string): RangeError {
  return new RangeError(`Invalid ${name}: must be ${expected}, got ${got}`);
}

function checkToken(token: string): void {
  const name = "serverDiscoveryToken";
  validate(name, token);
  const expected = "printable ASCII without spaces at either end";
  if (token === "") throw invalid(name, expected, "an empty string");
  // It is sent in an HTTP header.
  if (!/^[!-~](?:[ -~]*[!-~])?$/.test(token)) {
    throw invalid(name, expected, "other characters");
  }
}

function checkUsername(username: string): void {
  validate("username", username);
  // What useradd accepts on every release and sudoers needs no escapes for.
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(username)) {
    throw invalid(
      "username",
      "up to 32 lower-case letters, digits, underscores and dashes that " +
        "start with a letter or an underscore",
      username === "" ? "an empty string" : "another string",
    );
  }
  if (username === "default") {
    throw invalid(
      "username",
      "the name of a user",
      '"default", which cloud-init replaces by the image\'s own user',
    );
  }
}

function checkTimeout(timeout: number): void {
  validate("timeout", timeout, [
    "a number of seconds",
    (value) => typeof value === "number",
  ]);
  validate("timeout", timeout, [
    "a positive number of seconds up to 3600",
    (value) => Number(value) > 0 && Number(value) <= 3600,
    RangeError,
  ]);
}

/** The options of `authorized_keys`; sshd ignores a key with any other. */
const KEY_OPTION =
  '(?:(?:no-)?(?:agent|port|x11)-forwarding|(?:no-)?pty|(?:no-)?user-rc|restrict|cert-authority|no-touch-required|verify-required|(?:command|environment|expiry-time|from|permitlisten|permitopen|principals|tunnel)="(?:\\\\"|[^"])*")';

const KEY_LINE = new RegExp(
  `^(?:${KEY_OPTION}(?:,${KEY_OPTION})*\\s+)?` +
    "((?:ssh|ecdsa|sk)-[\\w.@-]+)\\s+([a-z0-9+/]+={0,2})(?:\\s.*)?$",
  "i",
);

/** Returns the public key as one line of `authorized_keys`. */
function toKeyLine(publicKey: string): string {
  validate("publicKey", publicKey);
  // Some YAML parsers read the escape of a no-break space wrongly.
  const key = publicKey.trim().replaceAll("\u00a0", " ");
  const expected =
    'the one line of a .pub file, such as "ssh-ed25519 AAAA… comment"';
  const refuse = (got: string) => invalid("publicKey", expected, got);
  if (key === "") throw refuse("an empty string");
  const [, type = "", base64 = ""] = KEY_LINE.exec(key) ?? [];
  if (type === "" && /PRIVATE|PuTTY|AGE-SECRET|b3BlbnNzaC1r|"d"/.test(key)) {
    throw refuse("a private key");
  }
  // cloud-init splits authorized_keys where Python's splitlines() does.
  if (/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u.test(key.replaceAll("\t", " "))) {
    throw refuse("several lines or control characters");
  }
  if (type === "") throw refuse("another text");
  if (!isWholeKey(type, base64)) throw refuse("an incomplete key");
  return key;
}

/** Whether the data of a key starts with its type and is complete. */
function isWholeKey(type: string, base64: string): boolean {
  const bytes = decodeBase64(base64);
  if (!bytes) return false;
  const view = new DataView(bytes.buffer);
  const fields: Uint8Array[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const end = at + 4 + view.getUint32(at);
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  // A certificate has numbers, too; its length cannot be checked like this.
  const isComplete = (at === bytes.length && fields.length > 1) ||
    /-cert-v\d+@/.test(type);
  return isComplete && new TextDecoder().decode(fields[0]) === type;
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0) return undefined;
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function toPackageNames(packages: readonly string[]): string[] {
  validate("packages", packages, ARRAY);
  for (const [index, name] of packages.entries()) {
    const label = `packages[${index}]`;
    validate(label, name);
    // Names as apt-get accepts them, never an option. YAML parsers may read
    // names such as 08, 0o7 and 1e3 as numbers.
    if (
      !/^[a-z0-9][a-z0-9+.:~=\/-]*$/i.test(name) ||
      /^(?:[\d.:+-]*|0[box][\da-f]+|[\d.]+e[+-]?\d+)$/i.test(name)
    ) {
      throw invalid(label, "the name of a Debian package", "another string");
    }
  }
  // cloud-init's schema does not allow duplicates.
  return [...new Set(packages)];
}

const CERTIFICATE =
  /-----BEGIN CERTIFICATE-----([A-Za-z0-9+\/=\s]*)-----END CERTIFICATE-----/g;

/** Returns the PEM blocks of a text, without what is around them. */
function toCertificates(
  pem: string | undefined,
  endpoint: string,
): string | null {
  if (pem === undefined) return null;
  const name = "caCertificate";
  validate(name, pem);
  const expected = "complete certificates as PEM text";
  const refuse = (got: string) => invalid(name, expected, got);
  if (pem === "") throw refuse("an empty string");
  if (/PRIVATE KEY/.test(pem)) throw refuse("a private key");
  const blocks = [...pem.matchAll(CERTIFICATE)].map(([, body = ""]) =>
    body.split(/\s+/).filter((line) => line !== "")
  );
  if (blocks.length === 0) throw refuse("no certificate");
  // A marker that is left over belongs to a block that was cut short.
  if (
    /CERTIFICATE-----|-----(?:BEGIN|END)(?! [A-Z0-9 ]+-----)/.test(
      pem.replace(CERTIFICATE, ""),
    ) || !blocks.every((lines) => isWholeCertificate(lines.join("")))
  ) {
    throw refuse("an incomplete certificate");
  }
  if (!endpoint.startsWith("https:")) {
    throw new RangeError(
      `Cannot use ${name}: the hosts reach url without TLS; use a url that starts with https://`,
    );
  }
  return blocks.map((lines) =>
    [
      "-----BEGIN CERTIFICATE-----",
      ...lines,
      "-----END CERTIFICATE-----\n",
    ].join("\n")
  ).join("");
}

/** Whether it is a DER sequence of exactly the length that it states. */
function isWholeCertificate(base64: string): boolean {
  const [tag, first = 0, ...rest] = decodeBase64(base64) ?? [];
  const size = first < 0x80 ? 0 : first & 0x7f;
  const length = size === 0
    ? first
    : rest.slice(0, size).reduce((sum, byte) => sum * 256 + byte, 0);
  return tag === 0x30 && rest.length === size + length;
}

/** Returns where the hosts post to: `<base>/v1/server/`. */
function toEndpoint(url: string): string {
  validate("url", url);
  const expected =
    "the API's base URL, such as http://decapod.example.com:9999 or http://[fd00::1]:9999";
  const refuse = (got: string) => invalid("url", expected, got);
  if (url === "") throw refuse("an empty string");
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(url);
  const text = hasScheme ? url : `http://${url}`;
  const parsed = parseUrl(text);
  if (
    !parsed ||
    // The parser drops white space and invisible characters.
    /[\s\\\p{Cc}\p{Cf}\p{Cs}]/u.test(text) ||
    // A misspelled scheme, as in http//decapod.
    (!hasScheme && /\/\/+[^\/]/.test(url))
  ) {
    throw refuse("another text");
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw refuse("a URL with credentials");
  }
  if (!/^https?:$/.test(parsed.protocol)) {
    throw refuse("another scheme than http or https");
  }
  if (/[?#]/.test(text)) throw refuse("a query or a fragment");
  const [, host = ""] = /:\/\/(.*?)(?::\d+)?(?:\/|$)/.exec(text) ?? [];
  if (!isHost(parsed.hostname, host.toLowerCase()) || parsed.port === "0") {
    throw refuse("an invalid host or port");
  }
  const base = parsed.pathname.replace(/\/*(?:\/v1(?:\/server)?)?\/*$/, "");
  return `${parsed.protocol}//${parsed.host}${base}/v1/server/`;
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** Whether hosts can connect to it, and the URL parser did not repair it. */
function isHost(hostname: string, given: string): boolean {
  if (hostname.startsWith("[")) return !/^\[(?:::\]|ff)/.test(hostname);
  const isIpv4 = /^[\d.]+$/.test(hostname);
  // Unspecified, multicast and reserved addresses.
  if (isIpv4 && !/^(?:[1-9]|[1-9]\d|1\d\d|2[01]\d|22[0-3])\./.test(hostname)) {
    return false;
  }
  // 192.168.1 and 10.020.0.1 are other addresses to the parser. Names with
  // other characters than ASCII become punycode.
  const isUnchanged = hostname === given || (!isIpv4 && /[^ -~]/.test(given));
  const label = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
  return isUnchanged && hostname.length <= 253 &&
    new RegExp(`^${label}(?:\\.${label})*\\.?$`).test(hostname);
}
