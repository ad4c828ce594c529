/**
 * Runs `deno` with the stand-in Decapod at hand:
 * `deno run -A .dev/with_standin.ts [--fail|--docs|--nginx] run --allow-net … script.ts`.
 *
 * The server is a real one, on a loopback socket; DECAPOD_URL and so on lead
 * to it. With `--fail`, the last task of every deployment fails. With `--docs`
 * it has servers for many examples, and playbooks that take no time to speak of.
 * With `--nginx`, it has the limits of Decapod's own nginx. One of the servers
 * has no IPv4 address, so that scripts meet one.
 */
import { StandIn } from "../tests/standin/mod.ts";
import { denoInFront } from "./process.ts";

const command = Deno.args.findIndex((arg) => !arg.startsWith("--"));
const flags = Deno.args.slice(0, command);

const account = { rootLogin: "root", rootPassword: "root" };
const docs = { servers: 50, pace: 20 };
const standIn = new StandIn({
  ...account,
  ...(flags.includes("--docs") && docs),
  behindNginx: flags.includes("--nginx"),
});
standIn.addServer({ ip: null });
if (flags.includes("--fail")) standIn.failTask({ playbook: "cluster_deploy" });
const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen() {} },
  standIn.handler,
);
Deno.env.set("DECAPOD_URL", `http://127.0.0.1:${server.addr.port}`);
Deno.env.set("DECAPOD_LOGIN", account.rootLogin);
Deno.env.set("DECAPOD_PASSWORD", account.rootPassword);
Deno.exit(await denoInFront(Deno.args.slice(command)));
