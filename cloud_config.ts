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
 * The same options always produce the same text, byte for byte.
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

/**
 * Options of {@linkcode generateCloudConfig}.
 *
 * @category User-data
 */
export interface CloudConfigOptions {
  /**
   * The API's base URL, as the hosts reach it, with or without scheme (default:
   * `http://`), port, path prefix and trailing slash. An IPv6 address is
   * enclosed in brackets. The hosts post to `<url>/v1/server/`; a URL that
   * already ends in `/v1` or `/v1/server` is equivalent.
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
  /**
   * The user that Ansible logs in as, with sudo and without a password. Not
   * `root`, whose password cloud-init would lock, and not the name of a group
   * of the image, such as `sudo`.
   */
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
   * Ansible needs on the releases that Decapod supports. On Ubuntu with
   * cloud-init 23.4 and newer, cloud-init asks the snap store for packages that
   * apt does not know: use `["python-is-python3"]` or `[]` there. A host
   * registers even if a package cannot be installed.
   *
   * @default {["python"]}
   */
  packages?: readonly string[] | undefined;
  /**
   * CA certificates as PEM text. One of them must be the API's
   * certificate or its issuer. The host then verifies the API before it sends the
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

/** The options' names. */
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
 * @category User-data
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
 * @throws {RangeError} If an option has a value that no host can use. The
 * message names the option and contains no text of the value.
 */
export function generateCloudConfig(options: CloudConfigOptions): string {
  validateNames("options", options, Object.keys(NAMES));
  const { serverDiscoveryToken, username, timeout = 20 } = options;
  const { noDiscovery = false, packages = ["python"], metadata = true } =
    options;
  validateText(
    "serverDiscoveryToken",
    serverDiscoveryToken,
    "printable ASCII without spaces at either end", // sent in an HTTP header
    /^[!-~](?:[ -~]*[!-~])?$/,
  );
  validateText(
    "username",
    username,
    // useradd accepts it on every release, and sudoers needs no escapes.
    `up to 32 lower-case letters, digits, underscores and dashes, starting with a letter or underscore, and not "default", which cloud-init replaces by the image's own user`,
    /^(?!default$)[a-z_][a-z0-9_-]{0,31}$/,
  );
  validate("timeout", timeout, [
    "a positive number of seconds up to 3600",
    () => typeof timeout === "number" && timeout > 0 && timeout <= 3600,
    typeof timeout === "number" ? RangeError : TypeError,
  ]);
  validate("noDiscovery", noDiscovery, BOOLEAN);
  validate("metadata", metadata, BOOLEAN);
  validate("packages", packages, ARRAY);
  for (const [index, name] of packages.entries()) {
    validate("packages", name);
    // What apt-get accepts, except options and what YAML reads as numbers.
    const pattern =
      /^(?![\d.:+-]*$|0[box][\da-f]+$|[\d.]+e[+-]?\d+$)[a-z\d][a-z\d+.:~=\/-]*$/i;
    reject("packages", "names of Debian packages", [
      [!pattern.test(name), `an invalid name at index ${index}`],
    ]);
  }
  const url = toEndpoint(options.url);
  const settings = {
    url,
    token: serverDiscoveryToken,
    username,
    id: null,
    timeout,
    ca_certificate: toCertificates(options.caCertificate, url),
    metadata_url: metadata
      ? "http://169.254.169.254/latest/meta-data/public-ipv4"
      : null,
    // In seconds. Half a minute in total, so that the boot is not delayed.
    retry_delays: [1, 2, 4, 8, 15],
  };
  const document = {
    users: [{
      name: username,
      groups: ["sudo"],
      shell: "/bin/bash",
      sudo: "ALL=(ALL) NOPASSWD:ALL",
      ssh_authorized_keys: [toKeyLine(options.publicKey)],
    }],
    // cloud-init's schema allows neither an empty list nor duplicates.
    ...packages.length > 0 && { packages: [...new Set(packages)] },
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

/** Throws for the first problem that applies, without quoting the value. */
function reject(
  name: string,
  expected: string,
  problems: [applies: boolean, got: string][],
): void {
  const [, got] = problems.find(([applies]) => applies) ?? [];
  if (got === undefined) return;
  throw new RangeError(`Invalid ${name}: must be ${expected}, got ${got}`);
}

function validateText(
  name: string,
  value: string,
  expected: string,
  pattern: RegExp,
): void {
  validate(name, value);
  validate(name, value, [expected, () => pattern.test(value), RangeError]);
}

/** Returns the public key as one line of `authorized_keys`. */
function toKeyLine(publicKey: string): string {
  validate("publicKey", publicKey);
  // Some YAML parsers misread the escape of a no-break space.
  const key = publicKey.trim().replaceAll("\u00a0", " ");
  const [, type = "", base64 = ""] = keyLine().exec(key) ?? [];
  reject(
    "publicKey",
    'the one line of a .pub file, such as "ssh-ed25519 AAAA… comment"',
    [
      [key === "", "an empty string"],
      [
        type === "" && /PRIVATE|PuTTY|AGE-SECRET|b3BlbnNzaC1r|"d"/.test(key),
        "a private key",
      ],
      // cloud-init ends a line where Python's splitlines() does.
      [
        /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u.test(key.replaceAll("\t", " ")),
        "several lines or control characters",
      ],
      [type === "", "other text"],
      [!isWholeKey(type, base64), "an incomplete key"],
    ],
  );
  return key;
}

/** A line of `authorized_keys`; sshd ignores a key with unknown options. */
function keyLine(): RegExp {
  const flag =
    "(?:no-)?(?:(?:agent|port|x11)-forwarding|pty|user-rc)|restrict|" +
    "cert-authority|no-touch-required|verify-required";
  const named =
    "command|environment|expiry-time|from|permitlisten|permitopen|" +
    "principals|tunnel";
  const option = `(?:${flag}|(?:${named})="(?:\\\\"|[^"])*")`;
  return new RegExp(
    `^(?:${option}(?:,${option})*[ \t]+)?` +
      "((?:ssh|ecdsa|sk)-[\\w.@-]+)[ \t]+([a-z0-9+/]+={0,2})(?:[ \t].*)?$",
    "i",
  );
}

/** Whether the data of a key starts with its type and is complete. */
function isWholeKey(type: string, base64: string): boolean {
  const data = decodeBase64(base64);
  let end = 0;
  while (end < data.length) end += 4 + toNumber(data.slice(end, end + 4));
  // A certificate also has fields without a length: its end is unknown.
  return (end === data.length || /-cert-v\d+@/.test(type)) &&
    data.length > 4 + type.length &&
    data.startsWith(`\0\0\0${String.fromCharCode(type.length)}${type}`);
}

/** Returns the bytes as characters; an empty string for malformed base64. */
function decodeBase64(text: string): string {
  const pattern = /^(?:[a-z0-9+\/]{4})*(?:[a-z0-9+\/]{2}(?:[a-z0-9+\/]|=)=)?$/i;
  return pattern.test(text) ? atob(text) : "";
}

function toNumber(bytes: string): number {
  return [...bytes].reduce((sum, byte) => sum * 256 + byte.charCodeAt(0), 0);
}

/** Returns the PEM blocks of a text, without the text around them. */
function toCertificates(pem: string | undefined, url: string): string | null {
  if (pem === undefined) return null;
  const name = "caCertificate";
  validate(name, pem);
  const [begin, end] = ["BEGIN", "END"].map((word) =>
    `-----${word} CERTIFICATE-----`
  );
  const block = new RegExp(`${begin}([\\w+/=\\s]*)${end}`, "g");
  const blocks = [...pem.matchAll(block)].map(([, body = ""]) =>
    body.split(/\s+/).filter((line) => line !== "")
  );
  // A remaining marker belongs to a truncated block.
  const cut = /CERTIFICATE\p{Pd}|\p{Pd}(?:BEGIN|END)(?! [A-Z0-9 ]+-----)/iu;
  reject(name, "complete certificates as PEM text", [
    [pem === "", "an empty string"],
    [/PRIVATE KEY/.test(pem), "a private key"],
    [cut.test(pem.replace(block, "")), "an incomplete certificate"],
    [blocks.length === 0, "no certificate"],
    [!blocks.every(isWholeCertificate), "an incomplete certificate"],
  ]);
  reject(name, "used with a url that starts with https://", [
    [!url.startsWith("https:"), "http://"],
  ]);
  return blocks.map((lines) => [begin, ...lines, `${end}\n`].join("\n"))
    .join("");
}

/** Whether it is a DER sequence as long as its (long-form) header states. */
function isWholeCertificate(lines: string[]): boolean {
  const der = decodeBase64(lines.join(""));
  const header = 2 + (der.charCodeAt(1) & 0x7f);
  return der.startsWith("\x30") &&
    der.length === header + toNumber(der.slice(2, header));
}

/** Returns the URL that hosts post to: `<base>/v1/server/`. */
function toEndpoint(url: string): string {
  validate("url", url);
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(url);
  const text = hasScheme ? url : `http://${url}`;
  const isUrl = URL.canParse(text);
  const parsed = new URL(isUrl ? text : "http://invalid");
  const [, host = ""] = /:\/\/(.*?)(?::\d+)?(?:\/|$)/.exec(text) ?? [];
  reject(
    "url",
    "the API's base URL, such as http://decapod.example.com:9999 or http://[fd00::1]:9999",
    [
      [url === "", "an empty string"],
      // The parser drops white space and invisible characters.
      [!isUrl || /[\s\\\p{Cc}\p{Cf}\p{Cs}]/u.test(text), "other text"],
      [parsed.username + parsed.password !== "", "a URL with credentials"],
      [!/^https?:$/.test(parsed.protocol), "another scheme"],
      [/[?#]/.test(text), "a query or a fragment"],
      // A misspelled scheme, as in http//decapod.
      [
        /^https?$/.test(parsed.hostname) ||
        (!hasScheme && /\/\/+[^\/]/.test(url)),
        "an invalid scheme",
      ],
      [!isHost(parsed.hostname, host.toLowerCase()), "an invalid host"],
      [parsed.port === "0", "an invalid port"],
    ],
  );
  const base = parsed.pathname.replace(/\/*(?:\/v1(?:\/server)?)?\/*$/, "");
  return `${parsed.protocol}//${parsed.host}${base}/v1/server/`;
}

/** Whether hosts can connect to it, and the URL parser did not repair it. */
function isHost(hostname: string, given: string): boolean {
  if (hostname.startsWith("[")) {
    // Unspecified, link-local without a zone, and multicast addresses.
    return !/^\[(?:::(?:ffff:0:0)?\]|fe[89ab]|ff)/.test(hostname);
  }
  if (/^[\d.]+$/.test(hostname)) {
    // The parser reads 192.168.1 and 10.020.0.1 as other addresses. Addresses
    // of hosts start with 1 to 223.
    const first = parseInt(hostname);
    return hostname === given && first > 0 && first < 224;
  }
  // Names that are not ASCII become punycode; a UUID is the token by mistake.
  const label = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
  return (hostname === given || /[^ -~]/.test(given)) &&
    /^(?!.{8}(?:-.{4}){3}-.{12}$).{1,253}$/.test(hostname) &&
    new RegExp(`^${label}(?:\\.${label})*\\.?$`).test(hostname);
}
