/**
 * What the tests of the discovery programs share: each runs once under every
 * Python that the programs must work with.
 *
 * @module
 */
import {
  type CloudConfigOptions,
  generateCloudConfig,
} from "../../cloud_config.ts";
import { Host, type HostOptions } from "./host.ts";
import { findTools, run, testWith, type Tool } from "./tools.ts";

export const TOKEN = "26758c32-3421-4f3d-9603-e4b5337e7ecc";
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ansible@decapod";

export function userData(options: Partial<CloudConfigOptions>): string {
  return generateCloudConfig({
    url: "http://127.0.0.1",
    serverDiscoveryToken: TOKEN,
    publicKey: KEY,
    username: "ansible",
    ...options,
  });
}

const { python2, python3 } = await findTools();

/** The interpreter itself: a shim of a version manager needs its own PATH. */
async function interpreter(tool: Tool): Promise<string> {
  const script = "import sys; print(sys.executable)";
  return (await run(tool, ["-c", script])).stdout.trim();
}

/** Makes a host whose user-data names this API. */
export type Make = (
  url: string,
  more?: HostOptions & Partial<CloudConfigOptions>,
) => Host;

/**
 * Registers a test once for each Python; as one to ignore if the machine
 * cannot run it at all.
 */
export function test(
  name: string,
  body: (make: Make) => Promise<void>,
  possible = true,
): void {
  const register = (
    version: string,
    command: string,
    tool: Tool | undefined,
    possible: boolean,
  ) =>
    testWith(
      tool,
      `discovery under Python ${version}: ${name}`,
      async (tool) => {
        const python = { name: command, path: await interpreter(tool) };
        await body((url, { commands, settings, ...options } = {}) =>
          new Host(userData({ url, ...options }), {
            python,
            commands,
            settings,
          })
        );
      },
      possible,
    );
  register("3", "python3", python3, possible && isLinux);
  // No package of today brings a Python 2.7, so not every machine has one.
  const hasPython2 = python2 !== undefined;
  register("2.7", "python", python2, possible && isLinux && hasPython2);
}

/** The programs are for Linux: they need its bash, and the checks its /proc. */
export const isLinux = Deno.build.os === "linux";

function canListen(hostname: string): boolean {
  try {
    Deno.listen({ hostname, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}
export const hasIpv6 = canListen("::1");
