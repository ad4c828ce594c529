/**
 * Registers tests of the discovery program, with the Pythons that this machine
 * has.
 *
 * @module
 */
import {
  type CloudConfigOptions,
  generateCloudConfig,
} from "../../cloud_config.ts";
import { Host, type HostOptions } from "./host.ts";
import { OPTIONS } from "./samples.ts";
import { findTools, testWith, type Tool } from "./tools.ts";

const { python3, pythons = [] } = await findTools();

/** Creates a host whose user-data names this API. */
export type MakeHost = (
  url: string,
  more?: HostOptions & Partial<CloudConfigOptions>,
) => Host;

type TestBody = (make: MakeHost) => Promise<void>;

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
  testWith(
    python,
    name,
    ({ command }) =>
      body((url, { commands, settings, productUuid, ...options } = {}) =>
        new Host(generateCloudConfig({ ...OPTIONS, url, ...options }), {
          python: command,
          commands,
          settings,
          productUuid,
        })
      ),
    possible && isLinux,
  );
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
