/**
 * Serves the stand-in Decapod, for trying scripts.
 *
 * ```sh
 * deno run -A tests/standin/main.ts --port 9999
 * ```
 */
import { parseArgs } from "node:util";
import process from "node:process";
import { DISCOVERY_TOKEN, StandIn } from "./mod.ts";

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

/** The options with a number: the default, the least and the most. */
const NUMBERS = {
  port: [9999, 0, 65_535],
  servers: [5, 0, 100_000],
  pace: [500, 1, 3_600_000],
  "discovery-delay": [300, 0, 3_600_000],
  "insert-duration": [0, 0, 60_000],
} as const;

/** What logs must not show of a path. */
const RESET_TOKEN = /(?<=\/password_reset\/+)[^/]+/;

function exit(code: number, message: string): never {
  console.error(message);
  process.exit(code);
}

function readOptions() {
  const text = { type: "string" } as const;
  try {
    const { values } = parseArgs({
      options: {
        ...{ port: text, servers: text, pace: text },
        ...{ "discovery-delay": text, "insert-duration": text },
        host: { ...text, default: "127.0.0.1" },
        fail: { ...text, multiple: true, default: [] },
        nginx: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const number = (name: keyof typeof NUMBERS) => {
      const [fallback, least, most] = NUMBERS[name];
      const given = values[name] ?? `${fallback}`;
      const value = /^\d+$/.test(given) ? Number(given) : -1;
      if (value >= least && value <= most) return value;
      const range = `a whole number from ${least} to ${most}`;
      throw new Error(`Cannot use --${name} ${given}: it takes ${range}`);
    };
    const standIn = {
      servers: number("servers"),
      pace: number("pace"),
      discoveryDelay: number("discovery-delay"),
      insertDuration: number("insert-duration"),
      behindNginx: values.nginx,
    };
    return { ...values, port: number("port"), standIn };
  } catch (error) {
    const message = error instanceof Error ? error.message : error;
    return exit(2, `${message}\n\n${USAGE}`);
  }
}

const { fail, help, host: hostname, port, ...options } = readOptions();
if (help) {
  console.log(USAGE);
  process.exit();
}
const standIn = new StandIn(options.standIn);
for (const task of fail) standIn.failTask({ task });
const onListen = ({ hostname, port }: Deno.NetAddr) => {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  console.log(`Stand-in Decapod: http://${host}:${port}`);
  console.log("Login: root, password: root");
  console.log(`Server discovery token: ${DISCOVERY_TOKEN}`);
  console.log("Press Ctrl-C to stop");
};
try {
  const server = Deno.serve({ hostname, port, onListen }, async (request) => {
    const response = await standIn.handler(request);
    const path = new URL(request.url).pathname.replace(RESET_TOKEN, "<token>");
    console.log(`${request.method} ${path} ${response.status}`);
    return response;
  });
  const stop = () => void server.shutdown();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  await server.finished;
} catch (error) {
  if (!(error instanceof Deno.errors.AddrInUse)) throw error;
  exit(
    1,
    `Cannot listen on ${hostname}:${port}: the port is in use. Choose another with --port`,
  );
}
console.log("Stopped");
process.exit();
