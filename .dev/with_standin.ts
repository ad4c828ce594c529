/**
 * Runs `deno` with a stand-in Decapod server:
 * `deno run -A .dev/with_standin.ts [--fail|--docs|--nginx] run --allow-net … script.ts`.
 *
 * The server listens on a loopback socket; DECAPOD_URL, DECAPOD_LOGIN and
 * DECAPOD_PASSWORD are set for it. Its first server has no IPv4 address, so a
 * script that ignores this fails on every run. With
 * `--fail`, the last task of every deployment fails. With `--docs`, it has
 * servers for many examples and its playbooks end at once. With `--nginx`, it
 * has the limits of Decapod's own nginx.
 */
import { StandIn } from "../tests/standin/mod.ts";
import { serve } from "../tests/support/server.ts";
import { denoInFront } from "./process.ts";

const command = Deno.args.findIndex((arg) => !arg.startsWith("--"));
const flags = Deno.args.slice(0, command);

const docs = { servers: 50, pace: 20 };
const standIn = new StandIn({
  ...(flags.includes("--docs") && docs),
  behindNginx: flags.includes("--nginx"),
});
standIn.addServer({ id: "00000000-0000-4000-8000-000000000001", ip: null });
if (flags.includes("--fail")) standIn.failTask({ playbook: "cluster_deploy" });
for (const [name, value] of Object.entries(serve(standIn).account)) {
  Deno.env.set(name, value);
}
Deno.exit(await denoInFront(Deno.args.slice(command)));
