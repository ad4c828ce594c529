/** What `generateCloudConfig` makes of its options, and what it refuses. */
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  type CloudConfigOptions,
  generateCloudConfig,
} from "../cloud_config.ts";
import { parseUserData, SETTINGS, type Settings } from "./cloud_config/host.ts";

const TOKEN = "26758c32-3421-4f3d-9603-e4b5337e7ecc";
const PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const OPTIONS: CloudConfigOptions = {
  url: "http://decapod.example.com:9999",
  serverDiscoveryToken: TOKEN,
  publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ansible@decapod",
  username: "ansible",
};

function generate(options: Partial<CloudConfigOptions> = {}) {
  return parseUserData(generateCloudConfig({ ...OPTIONS, ...options }));
}

function settings(options: Partial<CloudConfigOptions> = {}): Settings {
  const file = generate(options).write_files?.find(({ path }) =>
    path === SETTINGS
  );
  return JSON.parse(file?.content ?? "");
}

Deno.test("generateCloudConfig() makes one user with sudo and the key", () => {
  const config = generate();
  assertEquals(config.users, [{
    name: "ansible",
    groups: ["sudo"],
    shell: "/bin/bash",
    sudo: "ALL=(ALL) NOPASSWD:ALL",
    ssh_authorized_keys: [OPTIONS.publicKey],
  }]);
  assertEquals(config.packages, ["python"]);
  assertEquals(Object.keys(config), ["users", "packages", "write_files"]);
});

Deno.test("generateCloudConfig() gives each file to root, with its mode", () => {
  const files = generate().write_files ?? [];
  assertEquals(files.map((file) => [file.path, file.permissions, file.owner]), [
    ["/etc/server_discovery.json", "0600", "root:root"],
    ["/usr/share/server_discovery.py", "0440", "root:root"],
    ["/usr/share/server_discovery.sh", "0550", "root:root"],
    [
      "/var/lib/cloud/scripts/per-boot/server_discovery.sh",
      "0550",
      "root:root",
    ],
  ]);
  // An unquoted mode would be read as a number.
  assertStringIncludes(generateCloudConfig(OPTIONS), 'permissions: "0440"');
});

Deno.test("generateCloudConfig() keeps every value in the settings alone", () => {
  assertEquals(
    settings({ caCertificate: PEM, url: "https://[fd00::1]:8443" }),
    {
      url: "https://[fd00::1]:8443/v1/server/",
      token: TOKEN,
      username: "ansible",
      timeout: 20,
      ca_certificate: PEM,
      metadata_url: "http://169.254.169.254/latest/meta-data/public-ipv4",
      retry_delays: [1, 2, 4, 8, 15],
    },
  );
  assertEquals(settings().ca_certificate, null);
  assertEquals(settings({ timeout: 0.5 }).timeout, 0.5);

  const [, ...programs] = generate().write_files ?? [];
  const others = generate({
    url: "https://elsewhere.example",
    serverDiscoveryToken: "another",
    username: "deploy",
    timeout: 7,
    caCertificate: PEM,
  }).write_files?.slice(1);
  assertEquals(programs, others);
});

Deno.test("generateCloudConfig() writes plain YAML, the same for the same", () => {
  const text = generateCloudConfig(OPTIONS);
  assertEquals(text, generateCloudConfig({ ...OPTIONS }));
  assert(text.startsWith("#cloud-config\nusers:\n"));
  assert(text.endsWith("\n"));
  const blocks = text.match(/^ +[a-z_]+: [|>&*!].*$/gm) ?? [];
  assertEquals(blocks, Array(4).fill("    content: |"));
});

Deno.test("generateCloudConfig() writes ASCII, which each release's YAML reads", () => {
  const publicKey =
    'ssh-ed25519 AAAA Zoë "\\" \u{1f980}\u00a0\u200d\ufeff\t:#x';
  const text = generateCloudConfig({ ...OPTIONS, publicKey });
  assert(/^[\n -~]*$/.test(text));
  const { users } = generate({ publicKey });
  assertEquals(users[0]?.ssh_authorized_keys, [publicKey]);
});

Deno.test("generateCloudConfig() stays within the 16 KB that EC2 takes", () => {
  const { length } = new TextEncoder().encode(generateCloudConfig(OPTIONS));
  const caCertificate = 2 * 1024;
  assert(length + caCertificate < 16 * 1024, `${length} bytes`);
});

Deno.test("generateCloudConfig() without discovery has no programs", () => {
  const text = generateCloudConfig({ ...OPTIONS, noDiscovery: true });
  assertEquals(Object.keys(parseUserData(text)), ["users", "packages"]);
  assert(!text.includes(TOKEN));
});

Deno.test("generateCloudConfig() installs the packages that it is given", () => {
  assertEquals(
    generate({ packages: ["python3", "vim=2:8.1", "libc6:i386"] }).packages,
    [
      "python3",
      "vim=2:8.1",
      "libc6:i386",
    ],
  );
  assertEquals(generate({ packages: ["vim", "git", "vim"] }).packages, [
    "vim",
    "git",
  ]);
  assert(!("packages" in generate({ packages: [] })));
});

Deno.test("generateCloudConfig() trims the key, as read from a file", () => {
  const publicKey = `\ufeff ${OPTIONS.publicKey}\r\n\n`;
  assertEquals(generate({ publicKey }).users[0]?.ssh_authorized_keys, [
    OPTIONS.publicKey,
  ]);
});

const server = "/v1/server/";
const urls: [url: string, endpoint: string][] = [
  ["http://decapod", `http://decapod${server}`],
  ["decapod", `http://decapod${server}`],
  ["decapod:9999", `http://decapod:9999${server}`],
  ["localhost:9999/", `http://localhost:9999${server}`],
  ["10.0.0.1", `http://10.0.0.1${server}`],
  ["https://decapod.example.com", `https://decapod.example.com${server}`],
  ["HTTPS://Decapod.Example.com", `https://decapod.example.com${server}`],
  ["https://decapod.example.com.", `https://decapod.example.com.${server}`],
  ["https://decapod:443", `https://decapod${server}`],
  ["http://my_host", `http://my_host${server}`],
  ["http://[fd00::1]:8080", `http://[fd00::1]:8080${server}`],
  ["[fd00::1]", `http://[fd00::1]${server}`],
  ["[FD00:0::1]:80/x", `http://[fd00::1]/x${server}`],
  ["http://decapod/api", `http://decapod/api${server}`],
  ["http://decapod/api//", `http://decapod/api${server}`],
  ["http://decapod/a/b/", `http://decapod/a/b${server}`],
  ["http://decapod/a%20b/ä", `http://decapod/a%20b/%C3%A4${server}`],
  ["http://decapod/v1", `http://decapod${server}`],
  ["http://decapod/v1/", `http://decapod${server}`],
  ["http://decapod/v1/server", `http://decapod${server}`],
  ["http://decapod/v1/server/", `http://decapod${server}`],
  ["decapod/api/v1/server/", `http://decapod/api${server}`],
  ["http://decapod/api/v1/", `http://decapod/api${server}`],
  ["http://decapod/v10", `http://decapod/v10${server}`],
  ["http://decapod/server", `http://decapod/server${server}`],
  ["http://decapod/xv1/server", `http://decapod/xv1/server${server}`],
  ["http://bücher.example", `http://xn--bcher-kva.example${server}`],
];

for (const [url, endpoint] of urls) {
  Deno.test(`generateCloudConfig() posts to ${endpoint} for ${url}`, () => {
    assertEquals(settings({ url }).url, endpoint);
  });
}

/** Every option with a value that its type allows and no host could use. */
const refused: [
  option: keyof CloudConfigOptions,
  value: string | number,
  why: string,
][] = [
  ["url", "", "the API's URL is needed"],
  ["url", "http://", "the API's URL is needed"],
  ["url", "http:///decapod", "the API's URL is needed"],
  ["url", "//decapod", "the API's URL is needed"],
  ["url", "http:decapod", "the API's URL is needed"],
  ["url", "fd00::1", "the API's URL is needed"],
  ["url", "http://fd00::1", "the API's URL is needed"],
  ["url", "http://decapod:0x50", "the API's URL is needed"],
  ["url", "http://decapod:99999", "the API's URL is needed"],
  ["url", "http://deca pod", "the API's URL is needed"],
  ["url", " http://decapod", "the API's URL is needed"],
  ["url", "http://decapod\n", "the API's URL is needed"],
  ["url", "http://deca\tpod", "the API's URL is needed"],
  ["url", "http://decapod/\0", "the API's URL is needed"],
  ["url", "http://decapod/\ud800", "the API's URL is needed"],
  ["url", "http:\\\\decapod", "the API's URL is needed"],
  ["url", "http://decapod\\v1", "the API's URL is needed"],
  ["url", "http://'; reboot; '", "the API's URL is needed"],
  ["url", "http://a'b", "the API's URL is needed"],
  ["url", "http://$(reboot)", "the API's URL is needed"],
  ["url", "http://-o", "the API's URL is needed"],
  ["url", "http://a..b", "the API's URL is needed"],
  ["url", "http://.", "the API's URL is needed"],
  ["url", `http://${"a".repeat(64)}`, "the API's URL is needed"],
  ["url", `http://${"a.".repeat(127)}example`, "the API's URL is needed"],
  ["url", "ftp://decapod", "http or https is needed"],
  ["url", "file://decapod/etc/passwd", "http or https is needed"],
  ["url", "http://decapod?x=1", "no query and no fragment"],
  ["url", "http://decapod/?", "no query and no fragment"],
  ["url", "http://decapod/#", "no query and no fragment"],
  ["url", "http://user:secret@decapod", "it holds credentials"],
  ["url", "http://user@decapod", "it holds credentials"],
  ["url", "http://us er:secret@decapod", "the API's URL is needed"],
  ["serverDiscoveryToken", "", "it is empty"],
  ["serverDiscoveryToken", " ", "printable ASCII is needed"],
  ["serverDiscoveryToken", `${TOKEN}\n`, "printable ASCII is needed"],
  ["serverDiscoveryToken", ` ${TOKEN}`, "printable ASCII is needed"],
  ["serverDiscoveryToken", `${TOKEN}\r\nX: y`, "printable ASCII is needed"],
  ["serverDiscoveryToken", `${TOKEN}é`, "printable ASCII is needed"],
  ["publicKey", "", "it is empty"],
  ["publicKey", " \n", "it is empty"],
  [
    "publicKey",
    `${OPTIONS.publicKey}\n${OPTIONS.publicKey}`,
    "one key on one line",
  ],
  ["publicKey", "ssh-rsa AAAA\rx", "one key on one line"],
  ["publicKey", "ssh-rsa AAAA\x85x", "one key on one line"],
  ["publicKey", "ssh-rsa AAAA\u2028x", "one key on one line"],
  ["publicKey", "ssh-rsa AAAA \0", "one key on one line"],
  ["publicKey", "ssh-rsa AAAA \ud83d", "one key on one line"],
  ["publicKey", "/root/.ssh/id_rsa.pub", "the text of a .pub file is needed"],
  [
    "publicKey",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n",
    "it is a private key",
  ],
  ["username", "", "useradd takes"],
  ["username", "Ansible", "useradd takes"],
  ["username", "1ansible", "useradd takes"],
  ["username", "-ansible", "useradd takes"],
  ["username", "ans ible", "useradd takes"],
  ["username", "ansible\n", "useradd takes"],
  ["username", "ans:ible", "useradd takes"],
  ["username", "ans/ible", "useradd takes"],
  ["username", "a".repeat(33), "useradd takes"],
  ["username", "änsible", "useradd takes"],
  ["timeout", 0, "seconds from above 0 to 3600"],
  ["timeout", -1, "seconds from above 0 to 3600"],
  ["timeout", NaN, "seconds from above 0 to 3600"],
  ["timeout", Infinity, "seconds from above 0 to 3600"],
  ["timeout", 3601, "seconds from above 0 to 3600"],
  ["caCertificate", "", "PEM text in ASCII is needed"],
  ["caCertificate", "/etc/ssl/ca.pem", "PEM text in ASCII is needed"],
  ["caCertificate", PEM.slice(0, -10), "PEM text in ASCII is needed"],
  [
    "caCertificate",
    PEM.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE"),
    "PEM text in ASCII is needed",
  ],
  ["caCertificate", PEM.replace("MIIB", "MI?B"), "PEM text in ASCII is needed"],
  ["caCertificate", `Müller\n${PEM}`, "PEM text in ASCII is needed"],
  ["caCertificate", `${PEM}\0`, "PEM text in ASCII is needed"],
  [
    "caCertificate",
    `${PEM}-----BEGIN PRIVATE KEY-----\n`,
    "it holds a private key",
  ],
];

for (const [option, value, why] of refused) {
  Deno.test(`generateCloudConfig() refuses ${option} ${JSON.stringify(value)}`, () => {
    const error = assertThrows(
      () => generate({ url: "https://decapod", [option]: value }),
      RangeError,
      `Invalid ${option}: `,
    );
    assertStringIncludes(error.message, why);
    assert(!error.message.includes(TOKEN), "the message shows the token");
    assert(!error.message.includes("secret"), "the message shows a password");
  });
}

Deno.test("generateCloudConfig() refuses a CA certificate for plain HTTP", () => {
  for (const url of ["decapod", "http://decapod"]) {
    assertThrows(
      () => generate({ url, caCertificate: PEM }),
      RangeError,
      "Invalid caCertificate: there is nothing to verify",
    );
  }
});

Deno.test("generateCloudConfig() refuses packages that are no names", () => {
  for (const name of ["", "-y", "--purge", "a b", "a;b", "a\n", "Ä", "$(x)"]) {
    assertThrows(
      () => generate({ packages: ["vim", name] }),
      RangeError,
      "Invalid packages: names of Debian packages are needed",
    );
  }
});

/** Calls it as JavaScript may, with anything. */
function generateFrom(options: unknown): string {
  return Reflect.apply(generateCloudConfig, undefined, [options]);
}

const wrongTypes: [options: unknown, message: string][] = [
  [undefined, "Invalid options: an object is needed"],
  [null, "Invalid options: an object is needed"],
  ["decapod", "Invalid options: an object is needed"],
  [[OPTIONS], "Invalid options: an object is needed"],
  [{ ...OPTIONS, url: undefined }, "Invalid url: a string is needed"],
  [
    { ...OPTIONS, url: new URL("http://decapod") },
    "Invalid url: a string is needed",
  ],
  [
    { ...OPTIONS, serverDiscoveryToken: undefined },
    "Invalid serverDiscoveryToken: a string is needed",
  ],
  [
    { ...OPTIONS, serverDiscoveryToken: [TOKEN] },
    "Invalid serverDiscoveryToken: a string is needed",
  ],
  [
    { ...OPTIONS, serverDiscoveryToken: 26758 },
    "Invalid serverDiscoveryToken: a string is needed",
  ],
  [
    { ...OPTIONS, publicKey: undefined },
    "Invalid publicKey: a string is needed",
  ],
  [
    { ...OPTIONS, username: null },
    "Invalid username: a string is needed, it is null",
  ],
  [
    { ...OPTIONS, timeout: "20" },
    "Invalid timeout: a number of seconds is needed",
  ],
  [
    { ...OPTIONS, noDiscovery: 1 },
    "Invalid noDiscovery: true or false is needed",
  ],
  [
    { ...OPTIONS, packages: "python" },
    "Invalid packages: an array is needed",
  ],
  [
    { ...OPTIONS, packages: null },
    "Invalid packages: an array is needed, it is null",
  ],
  [{ ...OPTIONS, packages: [1] }, "Invalid packages: a string is needed"],
  [
    { ...OPTIONS, caCertificate: null },
    "Invalid caCertificate: a string is needed, it is null",
  ],
];

for (const [i, [options, message]] of wrongTypes.entries()) {
  Deno.test(`generateCloudConfig() says (${i}) ${message}`, () => {
    const error = assertThrows(() => generateFrom(options), TypeError, message);
    assert(!error.message.includes("26758"), "the message shows the token");
  });
}

Deno.test("generateCloudConfig() refuses options that do not exist", () => {
  for (const name of ["publickey", "server_discovery_token", "toString"]) {
    const error = assertThrows(
      () => generateFrom({ ...OPTIONS, [name]: "x" }),
      TypeError,
      `"${name}"`,
    );
    assertStringIncludes(error.message, "serverDiscoveryToken, publicKey");
  }
});

Deno.test("generateCloudConfig() takes undefined for what has a default", () => {
  assertEquals(
    generateCloudConfig({
      ...OPTIONS,
      timeout: undefined,
      noDiscovery: undefined,
      packages: undefined,
      caCertificate: undefined,
    }),
    generateCloudConfig(OPTIONS),
  );
});
