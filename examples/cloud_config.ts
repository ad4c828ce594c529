/**
 * Generates the user-data with which new hosts register themselves in Decapod.
 *
 *     export DECAPOD_DISCOVERY_TOKEN=26758c32-3421-4f3d-9603-e4b5337e7ecc
 *     deno run --allow-read --allow-write --allow-env=DECAPOD_DISCOVERY_TOKEN \
 *       examples/cloud_config.ts --url https://decapod.example.com \
 *       --key ~/.ssh/id_ed25519.pub --output user-data.yaml
 *
 * The text contains the token: keep the file secret.
 */
import {
  type CloudConfigOptions,
  generateCloudConfig,
} from "jsr:@decapod/decapodlib@^1";
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { parseArgs } from "node:util";

const TOKEN_VARIABLE = "DECAPOD_DISCOVERY_TOKEN";

const HELP =
  `Generate the user-data with which a host registers itself in Decapod.

Usage: cloud_config.ts --url URL --key FILE [OPTION...]

  --url URL        the API's base URL, as the hosts reach it
  --key FILE       the public SSH key of Decapod's Ansible, a .pub file
  --output FILE    write the text to FILE (default: standard output);
                   a new file is readable by its owner only
  --token TOKEN    the server discovery token of Decapod's configuration
                   (default: ${TOKEN_VARIABLE} in the environment, which
                   is not visible in lists of processes)
  --user NAME      the user that Ansible logs in as (default: ansible)
  --timeout N      seconds to wait for a response (default: 20)
  --package NAME   a package to install; can be repeated (default: python)
  --no-packages    install no package
  --ca FILE        PEM file with the CA certificate to verify the API with
  --no-metadata    do not ask the metadata service for a public address
  --no-discovery   create the user and install the packages only
  --help           show this text
`;

/** A usage error, reported without a stack trace. */
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
    packages: values["no-packages"] ? [] : values.package,
    caCertificate: values.ca === undefined ? undefined : await read(values.ca),
    metadata: !values["no-metadata"],
  };
  const userData = generateCloudConfig(options);
  if (values.output === undefined) process.stdout.write(userData);
  else await write(values.output, userData);
}

function parseArguments(args: string[]) {
  return parseArgs({
    args,
    strict: true,
    options: {
      url: { type: "string" },
      key: { type: "string" },
      output: { type: "string" },
      token: { type: "string" },
      user: { type: "string", default: "ansible" },
      timeout: { type: "string" },
      package: { type: "string", multiple: true },
      "no-packages": { type: "boolean" },
      ca: { type: "string" },
      "no-metadata": { type: "boolean" },
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
    throw new UsageError(`Cannot read ${path}: ${reason(error)}`);
  }
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600 });
  } catch (error) {
    throw new UsageError(`Cannot write ${path}: ${reason(error)}`);
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // parseArgs and generateCloudConfig throw TypeErrors and RangeErrors.
  const isUsageError = error instanceof UsageError ||
    error instanceof TypeError || error instanceof RangeError;
  if (!isUsageError) throw error;
  console.error(`${error.message}\nTry --help`);
  process.exitCode = 2;
}
