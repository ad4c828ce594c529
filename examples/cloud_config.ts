/**
 * Prints the user-data with which new hosts register themselves in Decapod.
 *
 *     export DECAPOD_DISCOVERY_TOKEN=26758c32-3421-4f3d-9603-e4b5337e7ecc
 *     deno run --allow-read --allow-env=DECAPOD_DISCOVERY_TOKEN \
 *       examples/cloud_config.ts --url https://decapod.example.com \
 *       --key ~/.ssh/id_ed25519.pub > user-data.yaml
 *
 * The text holds the token: keep the file to yourself.
 */
import {
  type CloudConfigOptions,
  generateCloudConfig,
} from "jsr:@decapod/decapodlib@^1";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { parseArgs } from "node:util";

const TOKEN_VARIABLE = "DECAPOD_DISCOVERY_TOKEN";

const HELP = `Print the user-data with which a host registers itself in Decapod.

Usage: cloud_config.ts --url URL --key FILE [OPTION...] > user-data.yaml

  --url URL        the API's base URL, as the hosts reach it
  --key FILE       the SSH public key of Decapod's Ansible, a .pub file
  --token TOKEN    the server discovery token of Decapod's configuration;
                   better given as ${TOKEN_VARIABLE}, which no shell
                   history and no list of processes shows
  --user NAME      the user that Ansible logs in as (default: ansible)
  --timeout N      seconds to wait for an answer (default: 20)
  --package NAME   a package to install, once for each (default: python)
  --ca FILE        a PEM file with the CA certificate to verify the API with
  --no-discovery   make the user and install the packages, and nothing more
  --help           show this text
`;

/** What the user can mend; anything else is a bug and keeps its stack. */
class UsageError extends Error {}

async function main(args: string[]): Promise<void> {
  const { values } = parseArguments(args);
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const options: CloudConfigOptions = {
    url: required(values.url, "--url"),
    serverDiscoveryToken: required(
      values.token ?? process.env[TOKEN_VARIABLE],
      `--token, or ${TOKEN_VARIABLE} in the environment`,
    ),
    publicKey: await read(required(values.key, "--key")),
    username: values.user,
    timeout: values.timeout === undefined ? undefined : Number(values.timeout),
    noDiscovery: values["no-discovery"],
    packages: values.package,
    caCertificate: values.ca === undefined ? undefined : await read(values.ca),
  };
  process.stdout.write(generateCloudConfig(options));
}

function parseArguments(args: string[]) {
  return parseArgs({
    args,
    strict: true,
    options: {
      url: { type: "string" },
      key: { type: "string" },
      token: { type: "string" },
      user: { type: "string", default: "ansible" },
      timeout: { type: "string" },
      package: { type: "string", multiple: true },
      ca: { type: "string" },
      "no-discovery": { type: "boolean" },
      help: { type: "boolean" },
    },
  });
}

function required(value: string | undefined, option: string): string {
  if (value) return value;
  throw new UsageError(`Missing ${option}`);
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new UsageError(`Cannot read ${path}: ${reason}`);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // parseArgs and generateCloudConfig throw these for what they were given.
  const known = error instanceof UsageError || error instanceof TypeError ||
    error instanceof RangeError;
  if (!known) throw error;
  console.error(`${error.message}\nTry --help`);
  process.exitCode = 2;
}
