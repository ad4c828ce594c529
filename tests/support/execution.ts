/** An execution whose states and steps a test scripts. */

import type { JsonValue, V1Client } from "../../mod.ts";
import { apiError, type Exchange, json, StandInServer } from "./server.ts";
import { inTime, skipWaits } from "./time.ts";

/** The id of the scripted execution. */
export const ID = "231c54ee-384b-4fce-8ad4-7e029c7d13cb";

/** The fields of a step that tests set. */
export interface ScriptedStep {
  name: string;
  finished: number;
  result?: "ok" | "error" | "unreachable";
  server?: string | null;
}

/** A response that replaces the usual one, if any. */
type Instead = Response | undefined | Promise<Response | undefined>;

const RESULTS = { ok: 1, error: 2, unreachable: 4 };

/** More polls than any test needs: the method does not end. */
const MAX_POLLS = 200;

/** A scripted execution; its `answer` is the handler of a server. */
export class ScriptedExecution {
  /** The states of its versions so far. */
  readonly states: string[];
  /** Its steps so far, in the order of their creation. */
  readonly steps: ScriptedStep[] = [];
  /** The number of polls. */
  polls = 0;
  /** The number of requests for steps, and of steps in the responses. */
  readonly read = { requests: 0, items: 0 };
  /** The response of a request that hangs until the test is over. */
  readonly hanging = Promise.withResolvers<undefined>();
  /** Called before each poll with its number, from 1. */
  onPoll: (poll: number) => Instead | void = () => {};
  /** Called before each page of steps. */
  onSteps: (request: number, query: Exchange["query"]) => Instead | void =
    () => {};
  /** Called before each version that is requested. */
  onVersion: (version: number) => Instead | void = () => {};

  /**
   * @param states The states of its first versions, separated by spaces.
   * @param changes The states that follow, by the poll before which they do.
   */
  constructor(
    states: string,
    readonly changes: Readonly<Record<number, string>> = {},
  ) {
    this.states = states.split(" ");
  }

  /** Responds to requests for it. Bound to this object. */
  readonly answer = async (
    { path, query }: Exchange,
  ): Promise<Response | undefined> => {
    const [, id, what, number] = /^\/v1\/execution\/([^/]+)\/(?:(\w+)\/)?(\d+)?/
      .exec(path) ?? [];
    if (id === undefined) return undefined;
    if (id !== ID) return apiError(404, "NotFound", "Not found");
    if (what === "steps") {
      const request = ++this.read.requests;
      return await this.onSteps(request, query) || this.#page(query);
    }
    if (what === "version") {
      return await this.onVersion(Number(number)) ||
        json(this.#version(Number(number)));
    }
    const poll = ++this.polls;
    if (poll > MAX_POLLS) return apiError(400, "TooManyPolls", "It must end");
    this.states.push(...this.changes[poll]?.split(" ") ?? []);
    return await this.onPoll(poll) || json(this.#version(this.states.length));
  };

  #version(version: number): JsonValue {
    return {
      id: ID,
      model: "execution",
      version,
      initiator_id: null,
      time_updated: 1479300415,
      time_deleted: 0,
      data: {
        state: this.states[version - 1] ?? "",
        playbook_configuration: {
          id: "9a962393-a1bd-4a96-a9dc-fc151327eea7",
          version: 1,
          playbook_name: "cluster_deploy",
        },
      },
    };
  }

  #page(query: Exchange["query"]): Response {
    const filter = JSON.parse(query.filter ?? "{}");
    const since = filter.time_finished?.gte ?? 0;
    const results: number[] = filter.result?.in ?? Object.values(RESULTS);
    const found = this.steps
      .map((step, index) => ({ ...step, index }))
      .filter(({ finished, result = "ok" }) =>
        finished >= since && results.includes(RESULTS[result])
      );
    if ("time_finished" in JSON.parse(query.sort_by ?? "{}")) {
      found.sort((a, b) => a.finished - b.finished || a.index - b.index);
    }
    const page = Number(query.page ?? 1);
    const perPage = Number(query.per_page ?? 25);
    const rows = found.slice((page - 1) * perPage, page * perPage);
    this.read.items += rows.length;
    return json({
      items: rows.map((step) => ({
        id: step.index.toString(16).padStart(24, "0"),
        model: "execution_step",
        version: 1,
        initiator_id: ID,
        time_updated: step.finished,
        time_deleted: 0,
        data: {
          execution_id: ID,
          role: "role",
          name: step.name,
          error: {},
          server_id: step.server === undefined ? "server1" : step.server,
          time_started: step.finished,
          time_finished: step.finished,
          result: step.result ?? "ok",
        },
      })),
      page,
      per_page: perPage,
      total: found.length,
    });
  }
}

/** The response of a proxy that cannot reach Decapod. */
export function badGateway(): Response {
  return new Response("<html><h1>502 Bad Gateway</h1></html>", {
    status: 502,
    headers: { "content-type": "text/html" },
  });
}

/** The timeout of requests; other waits are skipped. */
export const TIMEOUT = 30_000;

/**
 * Runs a test against a server with this execution.
 *
 * @param deadlines Waits that are not skipped, in ms.
 */
export async function withExecution<T>(
  execution: ScriptedExecution,
  test: (client: V1Client, waits: number[]) => Promise<T>,
  ...deadlines: number[]
): Promise<T> {
  await using server = new StandInServer({ servers: 0 }, execution.answer);
  await using client = server.client({ retries: 0, timeout: TIMEOUT });
  await client.login();
  using skipped = skipWaits(TIMEOUT, ...deadlines);
  return await inTime(test(client, skipped.waits))
    .finally(() => execution.hanging.resolve(undefined));
}
