/**
 * User-data for cloud-init: a host that boots with it registers itself in
 * Decapod.
 *
 * The story in short:
 *
 * 1. Decapod's operator takes the server discovery token from Decapod's own
 *    configuration (`server_discovery_token` under `api`) and the public half
 *    of the SSH key that Decapod's Ansible uses.
 * 2. {@linkcode generateCloudConfig} makes a text of them, and the cloud,
 *    libvirt or MAAS hands that text to every new host as its user-data.
 * 3. On the host, cloud-init makes the user, writes the discovery programs and
 *    runs them, at the first boot and at every boot after it. They send one
 *    POST to the API: user name, own address, system UUID.
 * 4. Decapod looks at the host over SSH, and the host appears among the
 *    servers. What happened is in `/var/log/server_discovery.log` on the host.
 *
 * The module does no I/O and has no state: the same options give the same
 * text, byte for byte.
 *
 * @example Register every host of a rack
 * ```ts
 * import { generateCloudConfig } from "@decapod/decapodlib";
 * import { assert } from "@std/assert";
 *
 * const userData = generateCloudConfig({
 *   url: "https://decapod.example.com",
 *   serverDiscoveryToken: "26758c32-3421-4f3d-9603-e4b5337e7ecc",
 *   publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ansible@decapod",
 *   username: "ansible",
 * });
 *
 * assert(userData.startsWith("#cloud-config\n"));
 * assert(userData.includes("/var/lib/cloud/scripts/per-boot/"));
 * ```
 *
 * @module
 */
import {
  ARRAY,
  BOOLEAN,
  validate,
  validateNames,
} from "./internal/validate.ts";
import {
  BOOT_PROGRAM,
  PYTHON_PROGRAM,
  SETTINGS_PATH,
  SHELL_PROGRAM,
} from "./internal/discovery_program.ts";

/** What {@linkcode generateCloudConfig} makes the user-data from. */
export interface CloudConfigOptions {
  /**
   * The API's base URL, as the hosts reach it: with or without scheme (then
   * `http://`), port, path prefix or trailing slash; an IPv6 address goes in
   * brackets. The hosts post to `<url>/v1/server/`, and a URL that ends in
   * `/v1`, `/v1/server` or `/v1/server/` already means the same place.
   */
  url: string;
  /**
   * The server discovery token of Decapod's configuration. It goes into a
   * file on the host that only root can read.
   */
  serverDiscoveryToken: string;
  /**
   * The SSH public key that Decapod's Ansible logs in with, as the text of a
   * `.pub` file. White space around it, such as the last newline, is removed.
   */
  publicKey: string;
  /** The user that Ansible logs in as. It may use sudo without a password. */
  username: string;
  /**
   * How long the host waits for an answer, in **seconds**: for the metadata
   * service and for each attempt to reach the API. At most 3600.
   *
   * @default {20}
   */
  timeout?: number;
  /**
   * Whether to leave the discovery programs out. Then the host gets its user
   * and packages, and an operator adds it to Decapod by hand.
   *
   * @default {false}
   */
  noDiscovery?: boolean;
  /**
   * Debian packages that the host installs. The default is what Decapod's
   * Ansible needs on the releases that Decapod supports; a host whose release
   * has no such package registers all the same. See the user-data page of the
   * documentation for what to name on newer releases.
   *
   * @default {["python"]}
   */
  packages?: readonly string[];
  /**
   * Certificates, as PEM text, one of which must have signed the API's
   * certificate. With it the host verifies the API, its name included, before
   * the token is sent; without it the API is not verified.
   */
  caCertificate?: string;
}

/**
 * Makes the user-data with which a host registers itself in Decapod.
 *
 * The text is a `#cloud-config` document for cloud-init as it comes with
 * Ubuntu 16.04 and newer, Debian 12 and newer. It does what the user-data of
 * the Python decapodlib does, and works where that fails: on hosts without
 * `/etc/rc.local`, without a package `python`, with an API on IPv6. Every
 * option is data to the programs on the host: nothing in a value can change
 * what they do.
 *
 * The token is part of the text, so treat the text as a secret.
 *
 * @example Verify the API, and name the packages of a newer release
 * ```ts
 * import { generateCloudConfig } from "@decapod/decapodlib";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const userData = generateCloudConfig({
 *   url: "https://[fd00::1]:8443/decapod",
 *   serverDiscoveryToken: "26758c32-3421-4f3d-9603-e4b5337e7ecc",
 *   publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ansible@decapod\n",
 *   username: "ansible",
 *   packages: ["python3"],
 *   caCertificate:
 *     "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
 * });
 *
 * assertStringIncludes(
 *   userData,
 *   '"url": "https://[fd00::1]:8443/decapod/v1/server/"',
 * );
 * ```
 *
 * @example A user name that no host would accept
 * ```ts
 * import { generateCloudConfig } from "@decapod/decapodlib";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(
 *   () =>
 *     generateCloudConfig({
 *       url: "decapod.example.com",
 *       serverDiscoveryToken: "26758c32-3421-4f3d-9603-e4b5337e7ecc",
 *       publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ansible@decapod",
 *       username: "Not A User",
 *     }),
 *   RangeError,
 *   "Invalid username",
 * );
 * ```
 *
 * @param options What to make the text from.
 * @returns The user-data. It ends in a newline.
 * @throws {TypeError} If an option is missing, of the wrong type, or unknown.
 * @throws {RangeError} If an option's value could not work on a host. The
 * message names the option, and never shows the token.
 */
export function generateCloudConfig(options: CloudConfigOptions): string {
  const values = readOptions(options);
  const { username, publicKey, packages, noDiscovery } = values;
  let text = `#cloud-config
users:
  - name: ${scalar(username)}
    groups:
      - sudo
    shell: /bin/bash
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    ssh_authorized_keys:
      - ${scalar(publicKey)}
`;
  // cloud-init's schema refuses an empty list.
  if (packages.length > 0) {
    text += `packages:\n  - ${packages.map(scalar).join("\n  - ")}\n`;
  }
  if (noDiscovery) return text;
  const settings = {
    url: values.endpoint,
    token: values.serverDiscoveryToken,
    username,
    timeout: values.timeout,
    ca_certificate: values.caCertificate ?? null,
    metadata_url: "http://169.254.169.254/latest/meta-data/public-ipv4",
    // In seconds: a boot must not be held up for long.
    retry_delays: [1, 2, 4, 8, 15],
  };
  return text + "write_files:\n" +
    file(SETTINGS_PATH, "0600", JSON.stringify(settings, null, 2) + "\n") +
    file("/usr/share/server_discovery.py", "0440", PYTHON_PROGRAM) +
    file("/usr/share/server_discovery.sh", "0550", SHELL_PROGRAM) +
    file(
      "/var/lib/cloud/scripts/per-boot/server_discovery.sh",
      "0550",
      BOOT_PROGRAM,
    );
}

/** An entry of `write_files`; the content is ASCII and ends in a newline. */
function file(path: string, permissions: string, content: string): string {
  return `  - path: ${path}
    owner: "root:root"
    permissions: "${permissions}"
    content: |
${content.replace(/^(?=.)/gm, "      ")}`;
}

/**
 * A text as YAML: a JSON string is one too. All in ASCII, because the parsers
 * of older releases take no character that has more than four hex digits.
 */
function scalar(text: string): string {
  return JSON.stringify(text).replace(
    /[^ -~]/gu,
    (character) =>
      `\\U${character.codePointAt(0)?.toString(16).padStart(8, "0")}`,
  );
}

/** The options, each checked, with the defaults filled in. */
function readOptions(options: CloudConfigOptions) {
  const names: Record<keyof CloudConfigOptions, true> = {
    url: true,
    serverDiscoveryToken: true,
    publicKey: true,
    username: true,
    timeout: true,
    noDiscovery: true,
    packages: true,
    caCertificate: true,
  };
  validateNames("options", options, Object.keys(names));
  const {
    url,
    serverDiscoveryToken,
    publicKey,
    username,
    timeout = 20,
    noDiscovery = false,
    packages = ["python"],
    caCertificate,
  } = options;
  checkToken(serverDiscoveryToken);
  checkUsername(username);
  checkTimeout(timeout);
  validate("noDiscovery", noDiscovery, BOOLEAN);
  const endpoint = toEndpoint(url);
  if (caCertificate !== undefined) checkCertificate(caCertificate, endpoint);
  return {
    endpoint,
    serverDiscoveryToken,
    publicKey: toKeyLine(publicKey),
    username,
    timeout,
    noDiscovery,
    packages: toPackageNames(packages),
    caCertificate,
  };
}

/** Throws; the value is shown only where it is given. */
function refuse(name: string, why: string, value?: string): never {
  const current = value === undefined ? "" : `, it is ${JSON.stringify(value)}`;
  throw new RangeError(`Invalid ${name}: ${why}${current}`);
}

function checkToken(token: string): void {
  const name = "serverDiscoveryToken";
  const hidden = "; the value is not shown here";
  if (typeof token !== "string") {
    throw new TypeError(`Invalid ${name}: a string is needed${hidden}`);
  }
  if (token === "") refuse(name, "it is empty");
  // It travels in an HTTP header, which drops outer blanks.
  if (!/^[!-~](?:[ -~]*[!-~])?$/.test(token)) {
    const needed = "printable ASCII is needed, without blanks at either end";
    refuse(name, needed + hidden);
  }
}

function checkUsername(username: string): void {
  validate("username", username);
  // What useradd takes on every release, and sudoers needs no escapes for.
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(username)) {
    refuse(
      "username",
      "useradd takes up to 32 lower-case letters, digits, underscores and " +
        "dashes, first a letter or an underscore",
      username,
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
    (value) => typeof value === "number" && value > 0 && value <= 3600,
    RangeError,
  ]);
}

/** The public key as one line of `authorized_keys`. */
function toKeyLine(publicKey: string): string {
  validate("publicKey", publicKey);
  const key = publicKey.trim();
  if (key === "") refuse("publicKey", "it is empty");
  if (/PRIVATE KEY/.test(key)) {
    refuse("publicKey", "it is a private key, use the text of the .pub file");
  }
  // cloud-init reads authorized_keys with Python's idea of a line's end.
  if (/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u.test(key.replaceAll("\t", " "))) {
    refuse("publicKey", "one key on one line of text is needed", key);
  }
  if (!/\s/.test(key)) {
    refuse(
      "publicKey",
      'the text of a .pub file is needed, such as "ssh-ed25519 AAAA… comment"',
      key,
    );
  }
  return key;
}

function toPackageNames(packages: readonly string[]): string[] {
  validate("packages", packages, ARRAY);
  for (const name of packages) {
    validate("packages", name);
    // apt-get's own forms of a name; never an option, which starts in a dash.
    if (!/^[a-z0-9][A-Za-z0-9+.:~=\/-]*$/.test(name)) {
      refuse("packages", "names of Debian packages are needed", name);
    }
  }
  // cloud-init's schema refuses a name that is there twice.
  return [...new Set(packages)];
}

/**
 * The certificates go to the host as they are: Python's ssl module takes
 * ASCII text and ignores what stands between certificates.
 */
function checkCertificate(pem: string, endpoint: string): void {
  const name = "caCertificate";
  validate(name, pem);
  if (/PRIVATE KEY/.test(pem)) {
    refuse(name, "it holds a private key, which must stay off the hosts");
  }
  const block =
    /-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+\/=\s]+-----END CERTIFICATE-----/;
  if (!block.test(pem) || !/^[\t\r\n -~]*$/.test(pem)) {
    refuse(
      name,
      "PEM text in ASCII is needed, with the line " +
        "-----BEGIN CERTIFICATE-----; read the file and give its text",
    );
  }
  // Going on over plain HTTP would look verified and not be.
  if (!endpoint.startsWith("https:")) {
    refuse(name, "there is nothing to verify unless url begins with https://");
  }
}

/** Where the hosts post to: `<base>/v1/server/`, whichever form `url` has. */
function toEndpoint(url: string): string {
  validate("url", url);
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : `http://${url}`;
  const parsed = parseUrl(text);
  if (
    // What the parser repairs in silence: white space, control characters,
    // backslashes, a host after three slashes.
    /[\s\\\p{Cc}\p{Cs}]|:\/\/\//u.test(text) ||
    !parsed || !isHost(parsed.hostname)
  ) {
    refuse(
      "url",
      "the API's URL is needed, such as http://decapod.example.com:9999 " +
        "or http://[fd00::1]:9999",
      // Credentials are not shown.
      url.includes("@") ? undefined : url,
    );
  }
  if (parsed.username !== "" || parsed.password !== "") {
    refuse("url", "it holds credentials, the hosts send the token instead");
  }
  if (!/^https?:$/.test(parsed.protocol)) {
    refuse("url", "http or https is needed", url);
  }
  if (/[?#]/.test(text)) {
    refuse("url", "a base URL has no query and no fragment", url);
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

/** Whether a resolver takes it: an IP address, or labels of 1 to 63. */
function isHost(hostname: string): boolean {
  const label = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
  return hostname.startsWith("[") ||
    (hostname.length <= 253 &&
      new RegExp(`^${label}(?:\\.${label})*\\.?$`).test(hostname));
}
