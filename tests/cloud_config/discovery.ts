/**
 * Registers tests of the discovery program, with the Pythons that this machine
 * has and servers on loopback.
 */
import { assertEquals } from "@std/assert";
import { type CloudConfigOptions, generateCloudConfig } from "../../mod.ts";
import { TestServer } from "../support/server.ts";
import { Host, type HostOptions, OPTIONS } from "./host.ts";
import { findPythons, testWith } from "./tools.ts";

interface BootOptions
  extends HostOptions, Partial<Omit<CloudConfigOptions, "url">> {
  /** Called with all output so far whenever there is more. */
  onOutput?: (output: string) => void;
  /** Called before the boot. */
  prepare?: (host: Host) => void;
}

type TestBody = (boot: ReturnType<typeof booter>) => Promise<void>;

export const isLinux = Deno.build.os === "linux";

/** Runs a function for each item, for four of them at once. */
export async function each<T>(
  items: readonly T[],
  body: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await body(item);
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

const pythons = await findPythons();

/** Registers a test of the program, by default under this machine's Python 3. */
export function test(
  name: string,
  body: TestBody,
  possible = true,
  python = pythons[0],
): void {
  testWith(python, `discovery program ${name}`, async ({ command }) => {
    using hosts = new DisposableStack();
    await body(booter(hosts, command));
  }, possible && isLinux);
}

/** Registers a test of the program under each Python from 3.5 on. */
export function testAll(name: string, body: TestBody): void {
  test(name, body);
  for (const python of pythons.slice(1)) {
    test(`${name} (Python ${python.version})`, body, true, python);
  }
}

/**
 * Boots hosts whose user-data names this API; fails unless the program exits
 * with this code.
 */
function booter(hosts: DisposableStack, python: string) {
  return async (url: string, options: BootOptions = {}, expected = 0) => {
    const { commands, settings, productUuid, ...more } = options;
    const { onOutput, prepare, ...config } = more;
    const userData = generateCloudConfig({ ...OPTIONS, ...config, url });
    const host = hosts.use(
      new Host(userData, python, { commands, settings, productUuid }),
    );
    prepare?.(host);
    const { code, output } = await host.boot({}, onOutput);
    assertEquals(code, expected, output);
    return { output, host };
  };
}

/** Decapod's API or a cloud's metadata service. */
export class Api extends TestServer {
  /** @param respond Responds to the nth request, from 0. */
  constructor(
    respond: (n: number) => Response | Promise<Response> = () =>
      Response.json({}),
    place?: ConstructorParameters<typeof TestServer>[1],
  ) {
    super(() => respond(this.exchanges.length - 1), place);
  }

  /** The bodies of the POSTs. */
  get bodies(): Record<string, string>[] {
    return this.exchanges.map(({ body }) => Object(body));
  }
}

/** A place on loopback where nothing listens yet: all of 127/8 is loopback. */
export function freePlace(): { hostname: string; port: number } {
  const [a, b] = crypto.getRandomValues(new Uint8Array(2));
  return { hostname: `127.99.${a}.${b}`, port: 9000 };
}

export const hasIpv6 = (() => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
})();
