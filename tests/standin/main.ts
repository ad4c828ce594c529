/**
 * Serves the stand-in Decapod, for trying scripts.
 *
 * ```sh
 * deno run -A tests/standin/main.ts --port 9999
 * ```
 */
import { parseArgs } from "node:util";
import process from "node:process";
import { StandIn } from "./mod.ts";

const USAGE = `Usage: main.ts [options]

  --port NUMBER         where to listen (9999; 0 for any free port)
  --host ADDRESS        on which address (127.0.0.1)
  --servers NUMBER      how many servers have been discovered already (5)
  --pace MS             how long each task of a playbook takes (500)
  --discovery-delay MS  how long an announced server waits for its discovery (300)
  --insert-duration MS  how long the database takes to store an edit (0); above
                        0, edits of one version can overlap
  --fail TASK           let executions fail at the task of this name; may be
                        repeated
  --nginx               behave as behind Decapod's own nginx
  --help                print this`;

/** A mistake on the command line. */
class UsageError extends Error {}

/** Options with a number: its default, the least and the most. */
const NUMBERS = {
  port: [9999, 0, 65_535],
  servers: [5, 0, 100_000],
  pace: [500, 1, 3_600_000],
  "discovery-delay": [300, 0, 3_600_000],
  "insert-duration": [0, 0, 60_000],
} as const;

const TEXT = { type: "string" } as const;

function readArguments(args: string[]) {
  const { values } = parseArguments(args);
  const number = (name: keyof typeof NUMBERS) => {
    const [otherwise, least, most] = NUMBERS[name];
    const text = values[name] ?? String(otherwise);
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new UsageError(
      `Cannot use --${name} ${text}: it takes a whole number from ${least} to ${most}`,
    );
  };
  return {
    ...values,
    port: number("port"),
    standIn: {
      servers: number("servers"),
      pace: number("pace"),
      discoveryDelay: number("discovery-delay"),
      insertDuration: number("insert-duration"),
      behindNginx: values.nginx,
    },
  };
}

function parseArguments(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        ...{ port: TEXT, servers: TEXT, pace: TEXT },
        ...{ "discovery-delay": TEXT, "insert-duration": TEXT },
        host: { ...TEXT, default: "127.0.0.1" },
        fail: { ...TEXT, multiple: true, default: [] },
        nginx: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : `${error}`);
  }
}

const RESET_TOKEN = /(?<=\/password_reset\/+)[^/]+/;

function serve(options: ReturnType<typeof readArguments>): Deno.HttpServer {
  const standIn = new StandIn(options.standIn);
  for (const task of options.fail) standIn.failTask({ task });
  return Deno.serve({
    hostname: options.host,
    port: options.port,
    onListen: ({ hostname, port }) => {
      const host = hostname.includes(":") ? `[${hostname}]` : hostname;
      console.log(`Stand-in Decapod: http://${host}:${port}`);
      console.log("Login: root, password: root");
      console.log(`Server discovery token: ${standIn.discoveryToken}`);
      console.log("Press Ctrl-C to stop");
    },
  }, async (request) => {
    const response = await standIn.handler(request);
    const path = new URL(request.url).pathname.replace(RESET_TOKEN, "<token>");
    console.log(`${request.method} ${path} ${response.status}`);
    return response;
  });
}

async function main(): Promise<number> {
  let where = "";
  try {
    const options = readArguments(process.argv.slice(2));
    where = `${options.host}:${options.port}`;
    if (options.help) {
      console.log(USAGE);
      return 0;
    }
    const server = serve(options);
    const stop = () => void server.shutdown();
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    await server.finished;
    console.log("Stopped");
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\n${USAGE}`);
      return 2;
    }
    if (error instanceof Deno.errors.AddrInUse) {
      console.error(
        `Cannot listen on ${where}: the port is in use. Choose another with --port`,
      );
      return 1;
    }
    throw error;
  }
}

if (import.meta.main) process.exit(await main());
