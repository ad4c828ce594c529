/**
 * A simulated host: the files of the user-data in a temporary folder, with
 * stand-ins for the commands that the program calls.
 *
 * The program names absolute paths; the folder is prepended to each of them.
 * Nothing outside the folder is written, and no real service is contacted.
 */
import { parse } from "@std/yaml/parse";
import { dirname } from "node:path";
import type { CloudConfigOptions } from "../../cloud_config.ts";

/** The part of a cloud-config document that the tests read. */
export interface CloudConfig {
  users: Record<string, unknown>[];
  packages?: string[];
  write_files?: Record<"path" | "owner" | "permissions" | "content", string>[];
}

/** The content of `/etc/server_discovery.json`. */
export interface Settings {
  url: string;
  token: string;
  username: string;
  id: string | null;
  timeout: number;
  ca_certificate: string | null;
  metadata_url: string | null;
  retry_delays: number[];
}

export const SETTINGS = "/etc/server_discovery.json";
export const PROGRAM = "/var/lib/cloud/scripts/per-boot/server_discovery.py";
export const LOG = "/var/log/server_discovery.log";
export const PRODUCT_UUID = "/sys/class/dmi/id/product_uuid";

export const TOKEN = "26758c32-3421-4f3d-9603-e4b5337e7ecc";
export const KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFMPVXbJkfBaBn7tLZhG7OXQpj5HFgMMbTO6MaexrZU ansible@decapod";

export const OPTIONS: CloudConfigOptions = {
  url: "http://127.0.0.1",
  serverDiscoveryToken: TOKEN,
  publicKey: KEY,
  username: "ansible",
};

/** A key as `ssh-keygen` writes it: its type, and fields of these sizes. */
export function publicKey(type: string, ...sizes: number[]): string {
  const fields = sizes.map((size, index) => "ABCDE".charAt(index).repeat(size));
  const data = [type, ...fields].map((field) =>
    String.fromCharCode(0, 0, field.length >> 8, field.length & 255) + field
  );
  return `${type} ${btoa(data.join(""))}`;
}

/** One key of each type that sshd accepts in `authorized_keys`. */
export const KEYS = [
  publicKey("ssh-ed25519", 32),
  publicKey("ssh-rsa", 3, 257),
  publicKey("ssh-dss", 129, 21, 128, 128),
  publicKey("ecdsa-sha2-nistp256", 8, 65),
  publicKey("ecdsa-sha2-nistp521", 8, 133),
  publicKey("sk-ssh-ed25519@openssh.com", 32, 4),
  publicKey("sk-ecdsa-sha2-nistp256@openssh.com", 8, 65, 4),
  publicKey("ssh-ed25519-cert-v01@openssh.com", 32, 32, 8, 4, 200),
];

export const UUID = "4c4c4544-0031-3010-8054-b7c04f4a3258";
export const ADDRESS = "10.20.30.40";
export const COMMANDS = {
  dmidecode: `${UUID.toUpperCase()}\n`,
  ip: `10.0.0.1 via 10.20.30.1 dev eth0 src ${ADDRESS} uid 0 \n    cache \n`,
  getent: "127.0.0.1       STREAM localhost\n127.0.0.1       DGRAM  \n",
};

/** Settings without retries and with a URL at which nothing listens. */
const QUIET = { metadata_url: "http://127.0.0.1:1/", retry_delays: [] };

export interface HostOptions {
  /**
   * What commands print; undefined if one is missing. The others are those of a
   * host at 10.20.30.40.
   */
  commands?: { [name in keyof typeof COMMANDS]?: string | undefined };
  /** Changes to the settings file. */
  settings?: Partial<Settings>;
  /** The firmware's UUID in sysfs. Defaults to none. */
  productUuid?: string | undefined;
}

export function parseUserData(userData: string): CloudConfig {
  return parse(userData) as CloudConfig;
}

export class Host implements Disposable {
  readonly #root = Deno.makeTempDirSync({ prefix: "decapod-host-" });

  /** @param python The path of the host's Python; undefined if it has none. */
  constructor(userData: string, python?: string, options: HostOptions = {}) {
    Deno.mkdirSync(this.path("/var/log"), { recursive: true });
    const settings = { ...QUIET, ...options.settings };
    for (const file of parseUserData(userData).write_files ?? []) {
      const content = file.path === SETTINGS
        ? JSON.stringify({ ...JSON.parse(file.content), ...settings })
        : file.content.replaceAll(/(?<=")(?=\/(?:etc|sys|var)\/)/g, this.#root);
      this.write(file.path, content, parseInt(file.permissions, 8));
    }
    const commands = { ...COMMANDS, ...options.commands };
    for (const [name, text] of Object.entries(commands)) {
      if (text === undefined) continue;
      this.write(`/calls/${name}`, "");
      const calls = this.path(`/calls/${name}`);
      const script = [
        ...["#!/bin/sh", `printf '%s\\n' "$*" >> '${calls}'`],
        ...[`export -p > '${calls}.env'`, `/bin/cat << 'EOF'\n${text}\nEOF`],
      ];
      this.write(`/bin/${name}`, script.join("\n"), 0o755);
    }
    if (python) Deno.symlinkSync(python, this.path("/bin/python3"));
    if (options.productUuid) this.write(PRODUCT_UUID, options.productUuid);
  }

  /** Where a path of the host is on this machine. */
  path(path: string): string {
    return this.#root + path;
  }

  write(path: string, content: string, mode = 0o644): void {
    Deno.mkdirSync(dirname(this.path(path)), { recursive: true });
    Deno.writeTextFileSync(this.path(path), content, { mode });
  }

  read(path: string): string {
    return Deno.readTextFileSync(this.path(path));
  }

  /** The arguments of each call of a command, in order. */
  calls(name: string): string[] {
    return this.read(`/calls/${name}`).split("\n").slice(0, -1);
  }

  /** Runs the program, as cloud-init does at every boot. */
  async boot(
    env: Record<string, string> = {},
    onOutput: (output: string) => void = () => {},
  ): Promise<{ code: number; output: string }> {
    const process = new Deno.Command(this.path(PROGRAM), {
      clearEnv: true,
      env: { ...env, PATH: this.path("/bin") },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const errors = new Response(process.stderr).text();
    let output = "";
    const chunks = process.stdout.pipeThrough(new TextDecoderStream());
    for await (const chunk of chunks) onOutput(output += chunk);
    const { code } = await process.status;
    return { code, output: output + await errors };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#root, { recursive: true });
  }
}
