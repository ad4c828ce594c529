/** The user-data that generateCloudConfig() returns, and the options it rejects. */
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { type CloudConfigOptions, generateCloudConfig } from "../mod.ts";
import {
  KEY,
  KEYS,
  OPTIONS as BASE,
  parseUserData,
  PROGRAM,
  publicKey,
  SETTINGS,
  type Settings,
  TOKEN,
} from "./cloud_config/host.ts";
import { issue } from "./runtimes/certificates.ts";
import { untyped } from "./support/untyped.ts";

const OPTIONS = { ...BASE, url: "https://decapod.example.com:9999" };
const { cert: PEM, key: PRIVATE_PEM } = await issue("CA", { ca: true });
const { cert: PEM2 } = await issue("Other CA", { ca: true });

function generate(options: Partial<CloudConfigOptions> = {}) {
  return parseUserData(generateCloudConfig({ ...OPTIONS, ...options }));
}

function settings(options: Partial<CloudConfigOptions> = {}): Settings {
  const [file] = generate(options).write_files ?? [];
  assertEquals(file?.path, SETTINGS);
  return JSON.parse(file?.content ?? "");
}

Deno.test("generateCloudConfig() creates one user with sudo, and two files of root", () => {
  const config = generate();
  const files = config.write_files?.map(({ content: _, ...file }) => file);
  const owner = "root:root";
  assertEquals<unknown>({ ...config, write_files: files }, {
    users: [{
      name: "ansible",
      groups: ["sudo"],
      shell: "/bin/bash",
      sudo: "ALL=(ALL) NOPASSWD:ALL",
      ssh_authorized_keys: [KEY],
    }],
    packages: ["python"],
    write_files: [
      { path: SETTINGS, owner, permissions: "0600" },
      { path: PROGRAM, owner, permissions: "0550" },
    ],
  });
});

Deno.test("generateCloudConfig() writes option values into the JSON settings, never into the program", () => {
  assertEquals(
    settings({ caCertificate: PEM, url: "https://[fd00::1]:8443" }),
    {
      url: "https://[fd00::1]:8443/v1/server/",
      token: TOKEN,
      username: "ansible",
      id: null,
      timeout: 20,
      ca_certificate: PEM,
      metadata_url: "http://169.254.169.254/latest/meta-data/public-ipv4",
      retry_delays: [1, 2, 4, 8, 15],
    },
  );
  assertEquals(settings().ca_certificate, null);
  assertEquals(settings({ timeout: 0.5 }).timeout, 0.5);
  assertEquals(settings({ metadata: false }).metadata_url, null);
  const other = generate({
    url: "https://elsewhere.example",
    serverDiscoveryToken: "another",
    username: "deploy",
    timeout: 7,
    caCertificate: PEM,
    metadata: false,
  });
  assertEquals(other.write_files?.[1], generate().write_files?.[1]);
});

Deno.test("generateCloudConfig() writes the same YAML each time, without folding, tags or aliases", () => {
  const publicKey = `${KEY} ${"a long comment ".repeat(20)}end`;
  const text = generateCloudConfig({ ...OPTIONS, publicKey });
  const names = ["timeout", "noDiscovery", "packages", "caCertificate"];
  const unset = [...names, "metadata"].map((name) => [name, undefined]);
  const options = { ...OPTIONS, publicKey, ...Object.fromEntries(unset) };
  assertEquals(text, generateCloudConfig(options)); // undefined: the default
  assert(text.startsWith("#cloud-config\nusers:\n"));
  assert(text.endsWith("\n"));
  assertStringIncludes(text, `- ${publicKey}\n`); // not folded
  assertStringIncludes(text, "permissions: '0600'\n"); // not a number
  const blocks = text.match(/^ +[a-z_]+: [|>&*!].*$/gm);
  assertEquals(blocks, Array(2).fill("  content: |"));
});

Deno.test("generateCloudConfig() leaves room for a certificate on EC2", () => {
  const { length } = generateCloudConfig(OPTIONS); // ASCII
  assert(length + 2200 < 16 * 1024, `${length} bytes`);
});

Deno.test("generateCloudConfig() with noDiscovery writes no files", () => {
  const text = generateCloudConfig({ ...OPTIONS, noDiscovery: true });
  assertEquals(Object.keys(parseUserData(text)), ["users", "packages"]);
  assert(!text.includes(TOKEN));
});

Deno.test("generateCloudConfig() installs the given packages", () => {
  const packages = ["python3", "vim=2:8.1", "libc6:i386", "0ad", "2to3"];
  assertEquals(generate({ packages }).packages, packages);
  const twice = ["vim", "git", "vim"];
  assertEquals(generate({ packages: twice }).packages, ["vim", "git"]);
  assert(!("packages" in generate({ packages: [] })));
});

Deno.test("generateCloudConfig() accepts every form of public key", () => {
  const options = [
    "restrict",
    'from="10.0.0.0/8,*.example.com",no-pty',
    'command="echo \\"a, b\\"",no-X11-forwarding',
    'cert-authority,principals="ansible"',
  ];
  const keys = [
    ...KEYS,
    ...KEYS.map((key) => `${key} ansible@decapod`),
    ...options.map((option) => `${option} ${KEY}`),
    `${KEY} my "quoted": #comment, größe \u{1f980} PRIVATE KEY`,
    `ssh-ed25519\t${KEY.split(" ")[1]}\tcomment`,
  ];
  for (const publicKey of keys) {
    const { users } = generate({ publicKey });
    assertEquals(users[0]?.ssh_authorized_keys, [publicKey]);
  }
  for (const [before, after] of [["\ufeff", "\r\n"], [" ", "\n\n"]]) {
    const { users } = generate({ publicKey: before + KEY + after });
    assertEquals(users[0]?.ssh_authorized_keys, [KEY]);
  }
  const { users } = generate({ publicKey: `${KEY} no\u00a0break` });
  assertEquals(users[0]?.ssh_authorized_keys, [`${KEY} no break`]);
});

Deno.test("generateCloudConfig() takes the certificates out of a text", () => {
  const forms: [text: string, certificates: string][] = [
    [PEM, PEM],
    [PEM + PEM2, PEM + PEM2],
    [PEM.trimEnd(), PEM],
    [PEM.trimEnd() + PEM2, PEM + PEM2],
    [`\ufeff${PEM.replaceAll("\n", "\r\n")}`, PEM],
    [PEM.replace(/^/gm, "\t  "), PEM],
    [PEM.replaceAll("\n", "\n\n"), PEM],
    [`Müller's CA: -----\n${PEM}\0`, PEM],
    [`Certificate:\n${"    Data: 00:1f\n".repeat(1500)}${PEM}`, PEM],
    [`${PEM}-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n`, PEM],
  ];
  for (const [caCertificate, expected] of forms) {
    assertEquals(settings({ caCertificate }).ca_certificate, expected);
  }
});

/** Forms of a URL, by the base URL that hosts use. */
const urls: { [base: string]: string[] } = {
  "http://decapod": [
    ...["http://decapod", "decapod", "http://decapod/v1", "http://decapod/v1/"],
    ...["http://decapod/v1/server", "http://decapod/v1/server/"],
  ],
  "http://decapod:9999": ["decapod:9999"],
  "http://localhost:9999": ["localhost:9999/"],
  "http://10.0.0.1": ["10.0.0.1"],
  "http://223.255.255.254": ["223.255.255.254:80"],
  "https://decapod.example.com": ["HTTPS://Decapod.Example.com"],
  "https://decapod.example.com.": ["https://decapod.example.com."],
  "https://decapod": ["https://decapod:443"],
  "http://my_host": ["http://my_host"],
  "http://[fd00::1]:8080": ["http://[fd00::1]:8080"],
  "http://[fd00::1]": ["[fd00::1]"],
  "http://[fd00::1]/x": ["[FD00:0::1]:80/x"],
  "http://decapod/api": [
    ...["http://decapod/api", "http://decapod/api//", "decapod/api/v1/server/"],
    "http://decapod/api/v1/",
  ],
  "http://decapod/a/b": ["http://decapod/a/b/"],
  "http://decapod/a%20b/%C3%A4": ["http://decapod/a%20b/ä"],
  "http://decapod/v10": ["http://decapod/v10"],
  "http://decapod/server": ["http://decapod/server"],
  "http://decapod/xv1/server": ["http://decapod/xv1/server"],
  "http://xn--bcher-kva.example": ["http://bücher.example"],
};

Deno.test("generateCloudConfig() accepts every form of URL", () => {
  for (const [base, forms] of Object.entries(urls)) {
    for (const url of forms) {
      assertEquals(settings({ url }).url, `${base}/v1/server/`, url);
    }
  }
});

const [type = "", data = ""] = KEY.split(" ");

/** Values of the right type that no host could use, and what the error says. */
const invalid: [option: string, got: string, values: unknown[]][] = [
  ["url", "", [
    ...["", "http://", "http:///decapod", "//decapod", "http:decapod"],
    ...["fd00::1", "http://fd00::1", "http://decapod:0x50", "decapod:99999"],
    ...["http://deca pod", " http://decapod", "http://decapod\n", "deca\tpod"],
    ...["http://decapod/\0", "http://decapod/\ud800", "deca\u200bpod"],
    ...["http:\\\\decapod", "http://decapod\\v1", "http://'; reboot; '"],
    ...["http://a'b", "http://$(reboot)", "http://-o", "http://a..b"],
    ...["http://.", "decapod:0", "decapod:", "decapod:/x", "deca%70od"],
    ...[`http://${"a".repeat(64)}`, `http://${"a.".repeat(127)}example`],
    ...["ftp://decapod", "file://decapod/etc/passwd", "htps://decapod"],
    ...["http://decapod?x=1", "http://decapod/?", "http://decapod/#"],
    ...["http://user:secret@decapod", "http://user@decapod", "http://@decapod"],
    ...["http://us er:secret@decapod", `https://${TOKEN}@decapod`],
    `https://decapod/?token=${TOKEN}`,
    // Texts that the URL parser repairs.
    ...["10.020.030.040", "192.168.1", "9999", "0x7f.1", "http://2130706433"],
    ...["https://10.0.0.08", "１０.0.0.1", "10.0.0.1.", "10.0.0.1%2e"],
    ...["https:/decapod.example.com", "http:/decapod", "https:decapod"],
    ...["http//host", "https//host/v1", "htp//host", "HTTP//host", "http:"],
    ...["http://http//host", "https://https://host", "http;//host", "http"],
    // Addresses that are no host's.
    ...["http://0.0.0.0:9999", "0.1.2.3", "224.0.0.1", "255.255.255.255"],
    ...["240.0.0.1", "http://[::]:9999", "http://[ff02::1]", "http://0"],
    ...["[fe80::1]:9999", "[::ffff:0.0.0.0]"],
  ]],
  ["serverDiscoveryToken", "", [
    ...["", " ", `${TOKEN}\n`, ` ${TOKEN}`, `${TOKEN}\r\nX: y`, `${TOKEN}é`],
  ]],
  ["publicKey", "a private key", [
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUA\n",
    "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjEAAAAABG5vbmUA",
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2g",
    PRIVATE_PEM,
    "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n",
    "AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0SWLWDW",
    '{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDus"}',
  ]],
  ["publicKey", "", [
    ...["", " \n", `${KEY}\n${KEY}`, `${KEY}\0`, `${KEY}\ud83d`],
    ...["\r", "\x85", "\u2028", "\u2029", "\v"].map((end) => `${KEY}${end}x`),
    ...["# my key", "/root/.ssh/id_rsa.pub", "~/.ssh/id_ed25519.pub", data],
    TOKEN,
    "256 SHA256:uNiVztksCsDhcc0u9e8BrrwBqXcWIHMwKZOQY8fSbEo me (ED25519)",
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    ...[`${data} me`, `"${KEY}"`, `'${KEY}'`, `\u200b${KEY}`, `\u2060${KEY}`],
    ...[`github.com ${KEY}`, `decapod ${KEY}`, `[decapod]:22 ${KEY}`],
    ...[`|1|aGFzaA==|aGFzaA== ${KEY}`, `@cert-authority *.example ${KEY}`],
    ...[`# ${KEY}`, `- ${KEY}`, `command="x ${KEY}`, `restricted ${KEY}`],
    "---- BEGIN SSH2 PUBLIC KEY ----",
    // Keys that are cut or mixed up.
    ...[type, `${type} me`, `${type} ${data.slice(0, 16)}`, "ssh-rsa AAAA me"],
    ...[4, 8, 17, 40, 67].map((n) => `${type} ${data.slice(0, n)} me`),
    ...[4, 17, 40].map((n) => `${type} ${data.slice(0, n)} ${data.slice(n)}`),
    ...[`${type} ${data}AAAA`, `ssh-rsa ${data}`, `${type} ${data}=`],
    ...[`ssh-ed25519${data}`, `SSH-ED25519 ${data}`, `${type}\u00a0${data}x`],
    publicKey("ssh-rsa", 3, 257).slice(0, 76),
    KEYS.at(-1)?.slice(0, 50) ?? "",
  ]],
  ["username", "", [
    ...["", "Ansible", "1ansible", "-ansible", "ans ible", "ansible\n"],
    ...["ans:ible", "ans/ible", "a".repeat(33), "änsible", "default"],
    TOKEN,
  ]],
  ["timeout", "", [0, -1, NaN, Infinity, 3601]],
  [
    "packages",
    "an invalid name at index 1",
    [
      ...["", "-y", "--purge", "a b", "a;b", "a\n", "Ä", "$(x)", "_x", ".x"],
      // Numbers to YAML 1.1 or YAML 1.2.
      ...["08", "0o7", "0x1F", "0b11", "1e3", "1.5", "12", "1.5e+3", "12:30"],
      `${TOKEN}!`,
    ].map((name) => ["vim", name]),
  ],
  ["caCertificate", "", [
    ...["", "/etc/ssl/ca.pem", "MIIB", PEM2.split("\n")[1] ?? "", TOKEN],
    // Cut short: the end, the start, a line, a marker.
    ...[PEM.slice(0, -10), PEM.slice(20), PEM.slice(0, 200)],
    ...[PEM + PEM2.slice(0, 200), PEM.slice(0, 200) + PEM2, PEM + "-----BEGIN"],
    ...[PEM + PEM2.slice(0, 20), PEM + PEM2.slice(-20), PEM2.slice(30) + PEM],
    PEM.split("\n").toSpliced(2, 1).join("\n"),
    PEM.replace(/\n.{10}/, "\n"),
    PEM.replace("MII", "M?I"),
    "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    PEM.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE"),
    PEM.replaceAll("CERTIFICATE", "PUBLIC KEY"),
    PEM + PRIVATE_PEM,
  ]],
];

for (const [option, expected, values] of invalid) {
  const name = `generateCloudConfig() throws for an invalid ${option}`;
  Deno.test(expected === "" ? name : `${name}: ${expected}`, () => {
    for (const value of values) {
      const { message } = assertThrows(
        () => generate({ [option]: value }),
        RangeError,
        `Invalid ${option}: must be `,
        String(value),
      );
      const [, got = ""] = message.split(", got ");
      assertStringIncludes(got, expected, String(value));
      assert(message.length <= 500 && !message.includes("\n"), message);
      for (const word of String(value).trim().split(/\s+/)) {
        assert(word.length < 9 || !got.includes(word), message);
      }
    }
  });
}

Deno.test("generateCloudConfig() throws for a CA certificate without HTTPS", () => {
  for (const url of ["decapod", "http://decapod"]) {
    assertThrows(
      () => generate({ url, caCertificate: PEM }),
      RangeError,
      "Invalid caCertificate: must be used with a url that starts with https",
    );
  }
});

Deno.test("generateCloudConfig() throws for unknown options and values of a wrong type", () => {
  for (const options of [undefined, null, "decapod", [OPTIONS]]) {
    assertThrows(
      () => generateCloudConfig(untyped(options)),
      TypeError,
      "Invalid options: must be an object",
    );
  }
  const cases: [change: object, message: string][] = [
    [{ url: undefined }, "Invalid url: must be a string"],
    [{ url: new URL("http://a") }, "Invalid url: must be a string"],
    [{ serverDiscoveryToken: undefined }, "Invalid serverDiscoveryToken: must"],
    [{ serverDiscoveryToken: [TOKEN] }, "Invalid serverDiscoveryToken: must"],
    [{ serverDiscoveryToken: 26758 }, "Invalid serverDiscoveryToken: must be"],
    [{ publicKey: [KEY] }, "Invalid publicKey: must be a string"],
    [{ username: null }, "Invalid username: must be a string"],
    [{ timeout: "20" }, "Invalid timeout: must be a positive number"],
    [{ noDiscovery: 1 }, "Invalid noDiscovery: must be a boolean"],
    [{ metadata: null }, "Invalid metadata: must be a boolean"],
    [{ packages: "vim" }, "Invalid packages: must be an array"],
    [{ packages: null }, "Invalid packages: must be an array"],
    [{ packages: [1] }, "Invalid packages: must be a string"],
    [{ caCertificate: null }, "Invalid caCertificate: must be a string"],
    [{ ca_certificate: PEM }, 'did you mean "caCertificate"?'],
  ];
  for (const [change, expected] of cases) {
    const { message } = assertThrows(
      () => generateCloudConfig(untyped({ ...OPTIONS, ...change })),
      TypeError,
      expected,
    );
    assert(!message.includes(TOKEN), message);
  }
});
