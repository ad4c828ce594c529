/**
 * A host of the test's own: the user-data's files in a temporary folder, the
 * programs that they call replaced by stand-ins, and a boot on request.
 *
 * Nothing outside the folder is written or asked. The programs name absolute
 * paths, so every such path in them gets the folder in front; the settings
 * hold no path and stay as they are.
 *
 * @module
 */
import { parse } from "@std/yaml/parse";
import { join } from "node:path";

/** The part of a cloud-config document that these tests look at. */
export interface CloudConfig {
  users: Record<string, unknown>[];
  packages?: string[];
  write_files?: CloudFile[];
}

export interface CloudFile {
  path: string;
  owner: string;
  permissions: string;
  content: string;
}

/** What `/etc/server_discovery.json` holds. */
export interface Settings {
  url: string;
  token: string;
  username: string;
  timeout: number;
  ca_certificate: string | null;
  metadata_url: string;
  retry_delays: number[];
}

export const SETTINGS = "/etc/server_discovery.json";
export const SHELL_PROGRAM = "/usr/share/server_discovery.sh";
export const PYTHON_PROGRAM = "/usr/share/server_discovery.py";
export const BOOT_FOLDER = "/var/lib/cloud/scripts/per-boot/";
export const LOG = "/var/log/server_discovery.log";
export const PRODUCT_UUID = "/sys/class/dmi/id/product_uuid";

export interface HostOptions {
  /** What the host's Python is called, and the Python behind that name. */
  python?: { name: string; path: string };
  /**
   * What each command prints. A command that is not named here is missing.
   * The default is a host at 10.20.30.40 with every command.
   */
  commands?: Record<string, string>;
  /** Changes to the settings, made as an operator would: in the file. */
  settings?: Partial<Settings>;
}

export const UUID = "4c4c4544-0031-3010-8054-b7c04f4a3258";
export const ADDRESS = "10.20.30.40";
export const COMMANDS = {
  dmidecode: `${UUID.toUpperCase()}\n`,
  ip: `10.0.0.1 via 10.20.30.1 dev eth0 src ${ADDRESS} uid 0 \n    cache \n`,
  getent: "127.0.0.1       STREAM localhost\n127.0.0.1       DGRAM  \n",
};

export function parseUserData(userData: string): CloudConfig {
  return parse(userData) as CloudConfig;
}

/** How a run of the programs ended. */
export interface Outcome {
  code: number;
  /** What cloud-init, or the operator's terminal, got to see. */
  output: string;
  /** The whole of the log, earlier boots included. */
  log: string;
}

export class Host implements Disposable {
  readonly #root = Deno.makeTempDirSync({ prefix: "decapod-host-" });
  readonly #bin = join(this.#root, "bin");

  constructor(userData: string, options: HostOptions = {}) {
    for (const folder of ["bin", "calls", "var/log"]) {
      Deno.mkdirSync(join(this.#root, folder), { recursive: true });
    }
    for (const file of parseUserData(userData).write_files ?? []) {
      this.#writeFile(file, options.settings);
    }
    for (const [name, text] of Object.entries(options.commands ?? COMMANDS)) {
      this.#addCommand(name, text);
    }
    if (options.python) {
      Deno.symlinkSync(
        options.python.path,
        join(this.#bin, options.python.name),
      );
    }
  }

  /** Where a path of the host is on this machine. */
  path(path: string): string {
    return this.#root + path;
  }

  #writeFile(file: CloudFile, settings: Partial<Settings> = {}): void {
    const path = this.path(file.path);
    Deno.mkdirSync(join(path, ".."), { recursive: true });
    const content = file.path === SETTINGS
      ? JSON.stringify({
        ...JSON.parse(file.content),
        // A port that nobody listens on: a test never asks a real service.
        metadata_url: "http://127.0.0.1:1/",
        retry_delays: [],
        ...settings,
      })
      : file.content.replaceAll(
        /(?<![\w./])\/(?:etc|sys|usr|var)\//g,
        (prefix) => this.#root + prefix,
      );
    Deno.writeTextFileSync(path, content);
    Deno.chmodSync(path, parseInt(file.permissions, 8));
  }

  /**
   * The stand-in for a command. It also notes how it was called, and what
   * anybody can see of the process that called it. Only bash's own commands:
   * the host has no other.
   */
  #addCommand(name: string, text: string): void {
    const calls = join(this.#root, "calls", name);
    Deno.writeTextFileSync(`${calls}.output`, text);
    Deno.writeTextFileSync(
      join(this.#bin, name),
      `#!/bin/bash
printf '%s\\n' "$*" >> '${calls}'
{ printf '%s\\n' "$(< /proc/$PPID/cmdline)" "$(< /proc/$PPID/environ)" \\
  >> '${calls}.seen'; } 2> /dev/null
printf '%s\\n' "$(< '${calls}.output')"
`,
      { mode: 0o755 },
    );
  }

  /** The arguments of each call of a command, in order. */
  calls(name: string): string[] {
    try {
      const text = Deno.readTextFileSync(join(this.#root, "calls", name));
      return text.trimEnd().split("\n");
    } catch {
      return [];
    }
  }

  /** Arguments and environment of the processes that called a command. */
  seen(name: string): string {
    return Deno.readTextFileSync(join(this.#root, "calls", `${name}.seen`));
  }

  #command(path: string, env: Record<string, string>): Deno.Command {
    return new Deno.Command(this.path(path), {
      clearEnv: true,
      env: { ...env, PATH: this.#bin },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  }

  /** What cloud-init does at every boot: runs what is in its folder. */
  async boot(env: Record<string, string> = {}): Promise<Outcome> {
    const scripts = [...Deno.readDirSync(this.path(BOOT_FOLDER))];
    if (scripts.length !== 1) throw new Error("Expected one boot script");
    return await this.#run(BOOT_FOLDER + scripts[0]?.name, env);
  }

  /** What an operator does who wants to see the outcome at once. */
  async runByHand(): Promise<Outcome> {
    return await this.#run(SHELL_PROGRAM, {});
  }

  async #run(path: string, env: Record<string, string>): Promise<Outcome> {
    const { code, stdout, stderr } = await this.#command(path, env).output();
    const decoder = new TextDecoder();
    return {
      code,
      output: decoder.decode(stdout) + decoder.decode(stderr),
      log: this.log(),
    };
  }

  log(): string {
    try {
      return Deno.readTextFileSync(this.path(LOG));
    } catch {
      return "";
    }
  }

  /**
   * Runs the programs by hand, and calls `action` as soon as they have said
   * `text`.
   */
  async runUntil(
    text: string,
    action: () => void,
  ): Promise<{ code: number; output: string }> {
    const process = this.#command(SHELL_PROGRAM, {}).spawn();
    const errors = new Response(process.stderr).text();
    let output = "";
    let said = false;
    const lines = process.stdout.pipeThrough(new TextDecoderStream());
    for await (const part of lines) {
      output += part;
      if (said || !output.includes(text)) continue;
      said = true;
      action();
    }
    const { code } = await process.status;
    return { code, output: output + await errors };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#root, { recursive: true });
  }
}
