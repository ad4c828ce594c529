/** The log of an execution: how it is written and sent. */
import { YES } from "./filters.ts";
import type { Context } from "./http.ts";
import { type JsonObject, toJson } from "./json.ts";
import type { StepResult } from "./steps.ts";
import type { Task } from "./tasks.ts";

/** The text of a log, or a function that streams it. */
export type Log = string | (() => ReadableStream<Uint8Array<ArrayBuffer>>);

const LOG_WORDS: Record<StepResult, string> = {
  ok: "ok",
  error: "fatal",
  skipped: "skipping",
  unreachable: "unreachable",
};

/** The log of a run: collected while it runs, written when it ends. */
export class RunLog {
  /** The log as it can be read; undefined until the run has ended. */
  written: Log | undefined;
  readonly #lines: string[] = [];

  start(): void {
    this.#lines.push(
      "Using /etc/ansible/ansible.cfg as config file\n",
      `\nPLAY [all] ${"*".repeat(60)}\n`,
    );
  }

  task({ role, name }: Task): void {
    const title = role === "" ? name : `${role} : ${name}`;
    this.#lines.push(`\nTASK [${title}] ${"*".repeat(40)}\n`);
  }

  step(result: StepResult, host: string, error: JsonObject): void {
    const failure = result === "error"
      ? `: FAILED! => ${JSON.stringify(error)}`
      : "";
    this.#lines.push(`${LOG_WORDS[result]}: [${host}]${failure}\n`);
  }

  end(executionId: string, playbookId: string, state: string): void {
    this.#lines.push(
      ...(state === "completed"
        ? [
          `\n\n${"=".repeat(29)} Ansible commandline ${"=".repeat(30)}\n`,
          `ANSIBLE_CONFIG=/etc/ansible/ansible.cfg ` +
          `DECAPOD_ENTRYPOINT=${playbookId} ` +
          `DECAPOD_EXECUTION_ID=${executionId} ` +
          `ansible-playbook -vvv playbook.yaml\n${"=".repeat(80)}\n`,
        ]
        : [
          "\nInternal error\n\n",
          `ChildProcessError: Process exit with code ${
            state === "failed" ? 2 : -15
          }\n\n`,
        ]),
    );
    this.written ??= this.#lines.join("");
  }
}

/** For how many seconds a log can be cached. */
const CACHE_SECONDS = 2592000;

/** The response to a request for a log. */
export async function logResponse(
  { request, params, id, world }: Context,
  log: Log,
): Promise<Response | string> {
  const download = YES.test(params.get("download") ?? "");
  const wantsJson = ["Accept", "Content-Type"].some((name) =>
    request.headers.get(name) === "application/json"
  );
  if (wantsJson && !download) {
    const text = typeof log === "string"
      ? log
      : await new Response(log()).text();
    return toJson({ data: text });
  }
  const etag = `"${await digest(typeof log === "string" ? log : id)}"`;
  const headers = new Headers({
    "Accept-Ranges": "none",
    "Cache-Control": `private, no-store, max-age=${CACHE_SECONDS}`,
    "ETag": etag,
    "Expires": new Date(world.time + CACHE_SECONDS * 1000).toUTCString(),
  });
  const known = request.headers.get("If-None-Match")?.split(/\s*,\s*/) ?? [];
  if (known.some((tag) => tag === "*" || tag.replace(/^W\//, "") === etag)) {
    return new Response(null, { status: 304, headers });
  }
  headers.set("Content-Type", "text/plain; charset=utf-8");
  if (download) {
    headers.set("Content-Disposition", `attachment; filename=${id}.log`);
  }
  if (typeof log !== "string") return new Response(log(), { headers });
  const bytes = new TextEncoder().encode(log);
  headers.set("Content-Length", String(bytes.length));
  return new Response(bytes, { headers });
}

async function digest(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash.subarray(0, 16)].map((byte) =>
    byte.toString(16).padStart(2, "0")
  ).join("");
}
