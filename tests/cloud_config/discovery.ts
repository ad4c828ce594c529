/**
 * Registers tests of the discovery program, with the Pythons that this machine
 * has.
 */
import { assertEquals } from "@std/assert";
import {
  type CloudConfigOptions,
  generateCloudConfig,
} from "../../cloud_config.ts";
import { Host, type HostOptions, OPTIONS, type Outcome } from "./host.ts";
import { findTools, testWith, type Tool } from "./tools.ts";

const { python3, pythons } = await findTools();

export interface BootOptions
  extends HostOptions, Partial<Omit<CloudConfigOptions, "url">> {
  /** The environment of the program. */
  env?: Record<string, string>;
  /** Called with all output so far whenever there is more. */
  onOutput?: (output: string) => void;
  /** Called before the boot. */
  prepare?: (host: Host) => void;
}

/**
 * Boots a host whose user-data names this API; fails unless the program exits
 * with this code, by default with 0.
 */
export type Boot = (
  url: string,
  options?: BootOptions,
  code?: number,
) => Promise<Outcome & { host: Host }>;

type TestBody = (boot: Boot) => Promise<void>;

export const isLinux = Deno.build.os === "linux";

/** Registers a test of the program under this machine's Python 3. */
export function test(name: string, body: TestBody, possible = true): void {
  register(`discovery program ${name}`, python3, body, possible);
}

/** Registers a test of the program under each Python from 3.5 on. */
export function testAll(name: string, body: TestBody): void {
  test(name, body);
  for (const python of pythons) {
    const version = `Python ${python.version}`;
    register(`discovery program ${name} (${version})`, python, body, true);
  }
}

function register(
  name: string,
  python: Tool | undefined,
  body: TestBody,
  possible: boolean,
): void {
  testWith(python, name, async ({ command }) => {
    using hosts = new DisposableStack();
    await body(async (url, options = {}, expected = 0) => {
      const { commands, settings, productUuid, ...more } = options;
      const { env, onOutput, prepare, ...config } = more;
      const userData = generateCloudConfig({ ...OPTIONS, ...config, url });
      const own = { python: command, commands, settings, productUuid };
      const host = hosts.use(new Host(userData, own));
      prepare?.(host);
      const outcome = await host.boot(env, onOutput);
      assertEquals(outcome.code, expected, outcome.output);
      return { ...outcome, host };
    });
  }, possible && isLinux);
}

function canListen(hostname: string): boolean {
  try {
    Deno.listen({ hostname, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}
export const hasIpv6 = canListen("::1");
