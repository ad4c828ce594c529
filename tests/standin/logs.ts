/** The log of an execution: how it is written and sent. */
import type { Outcome, Run } from "./executions.ts";
import { YES } from "./filters.ts";
import type { Context } from "./http.ts";
import { toJson } from "./json.ts";

/** The text of a log, or a function that streams it. */
export type Log = string | (() => ReadableStream<Uint8Array<ArrayBuffer>>);

const LOG_WORDS = { ok: "ok", error: "fatal", skipped: "skipping" };

/** What Ansible writes about a run that has ended. */
export function writeLog(
  { id, configuration, servers, steps }: Run,
  state: Outcome,
): string {
  let log = "Using /etc/ansible/ansible.cfg as config file\n" +
    `\nPLAY [all] ${"*".repeat(60)}\n`;
  let current: string | undefined;
  for (const { data: { role, name, result, error, server_id } } of steps) {
    const task = role === "" ? name : `${role} : ${name}`;
    if (task !== current) log += `\nTASK [${task}] ${"*".repeat(40)}\n`;
    current = task;
    const server = servers.find(({ model_id }) => model_id === server_id);
    log += `${LOG_WORDS[result]}: [${server?.data.ip ?? server?.data.fqdn}]`;
    if (result === "error") log += `: FAILED! => ${JSON.stringify(error)}`;
    log += "\n";
  }
  if (state !== "completed") {
    const code = state === "failed" ? 2 : -15;
    return `${log}\nInternal error\n\n` +
      `ChildProcessError: Process exit with code ${code}\n\n`;
  }
  return `${log}\n\n${"=".repeat(29)} Ansible commandline ${"=".repeat(30)}\n` +
    "ANSIBLE_CONFIG=/etc/ansible/ansible.cfg " +
    `DECAPOD_ENTRYPOINT=${configuration.data.playbook_id} ` +
    `DECAPOD_EXECUTION_ID=${id} ansible-playbook -vvv playbook.yaml\n` +
    `${"=".repeat(80)}\n`;
}

/** For how many seconds a log can be cached. */
const CACHE_SECONDS = 2592000;

/** The response to a request for a log. */
export async function logResponse(
  { request, params, id, world }: Context,
  log: Log,
): Promise<Response | string> {
  const body = () =>
    typeof log === "string" ? new TextEncoder().encode(log) : log();
  const download = YES.test(params.get("download") ?? "");
  const wantsJson = ["Accept", "Content-Type"].some((name) =>
    request.headers.get(name) === "application/json"
  );
  if (wantsJson && !download) {
    return toJson({ data: await new Response(body()).text() });
  }
  // A log does not change: its id is as good as a digest.
  const etag = `"${id.replaceAll("-", "")}"`;
  const headers = new Headers({
    "Accept-Ranges": "none",
    "Cache-Control": `private, no-store, max-age=${CACHE_SECONDS}`,
    "ETag": etag,
    "Expires": new Date(world.time + CACHE_SECONDS * 1000).toUTCString(),
  });
  const known = request.headers.get("If-None-Match") ?? "";
  if (known === "*" || known.includes(etag)) {
    return new Response(null, { status: 304, headers });
  }
  headers.set("Content-Type", "text/plain; charset=utf-8");
  if (download) {
    headers.set("Content-Disposition", `attachment; filename=${id}.log`);
  }
  const sent = body();
  if (sent instanceof Uint8Array) {
    headers.set("Content-Length", String(sent.length));
  }
  return new Response(sent, { headers });
}
