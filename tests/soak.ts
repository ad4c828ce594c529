/**
 * Runs many clients under random faults, logouts and disposals, and verifies
 * every change that they made: `deno task soak [--seconds 120] [--seed 1]`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { delay } from "@std/async/delay";
import {
  DecapodAPIError,
  DecapodError,
  type RequestOptions,
  type V1Client,
} from "../mod.ts";
import { Fuzzer } from "./faults/fuzzer.ts";
import type { Question, State } from "./faults/soak_server.ts";
import { ask } from "./support/cores.ts";
import { makeClient } from "./support/server.ts";

/** How many clients there are, and how many workers share one. */
const CLIENTS = 8;
const SHARING = 8;

/** How much memory, in MiB, and connections may grow. */
const MAX_GROWTH = { heap: 8, connections: 32 };

/** Whether the server confirmed a change, rejected it, or did not respond. */
type Verdict = "yes" | "no" | "unknown";

/** What a worker knows about a cluster that it created. */
class Expected {
  id = "";
  made: Verdict = "unknown";
  deleted: Verdict = "no";
  /** Confirmed edits, and edits with an unknown outcome. */
  edits = 0;
  doubts = 0;
}

type Outcome<T> = { value: T } | { error: unknown };

/** The calls of all workers and their outcomes. */
class Soak {
  readonly expected = new Map<string, Expected>();
  /** The number of calls by outcome. */
  readonly outcomes: Record<string, number> = {};
  /** Violations of what must hold. */
  readonly violations: string[] = [];
  /** How many clients were disposed of while they were in use. */
  disposals = 0;
  constructor(
    readonly random: Fuzzer,
    readonly server: State,
    readonly over: AbortSignal,
  ) {}

  /** Makes calls until the time is over. */
  async work(client: V1Client): Promise<void> {
    const mine: Expected[] = [];
    while (!this.over.aborted) {
      await this.random.pick(Object.values(this.#kinds))(client, mine);
    }
  }

  /** Makes a call, which is sometimes aborted, and counts its outcome. */
  async #call<T>(
    work: (options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<Outcome<T>> {
    const { signal } = this.random.oneIn(20)
      ? { signal: AbortSignal.timeout(20) }
      : new AbortController();
    const outcome: Outcome<T> = await work({ signal }).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    const name = "value" in outcome
      ? "result"
      : this.#nameOf(outcome.error, signal);
    this.outcomes[name] = (this.outcomes[name] ?? 0) + 1;
    return outcome;
  }

  #nameOf(error: unknown, signal: AbortSignal): string {
    if (signal.aborted && error === signal.reason) return "aborted";
    if (error instanceof DecapodAPIError) return `${error.name} ${error.code}`;
    if (error instanceof DecapodError) return error.name;
    this.violations.push(Deno.inspect(error));
    return "violation";
  }

  /** Changes a cluster, and returns it and whether that was done. */
  async #change(
    mine: Expected[],
    work: (id: string, options: RequestOptions) => Promise<unknown>,
  ): Promise<{ cluster?: Expected; verdict?: Verdict }> {
    if (mine.length === 0) return {};
    const cluster = this.random.pick(mine);
    if (cluster.deleted !== "no") return {};
    const outcome = await this.#call((options) => work(cluster.id, options));
    return { cluster, verdict: verdictOf(outcome) };
  }

  readonly #kinds: Record<
    string,
    (client: V1Client, mine: Expected[]) => Promise<unknown> | undefined
  > = {
    create: async (client, mine) => {
      const name = `soak${this.expected.size}`;
      const cluster = new Expected();
      this.expected.set(name, cluster);
      const outcome = await this.#call((options) =>
        client.createCluster(name, options)
      );
      cluster.made = verdictOf(outcome);
      if (!("value" in outcome)) return;
      cluster.id = outcome.value.id;
      if (cluster.id) mine.push(cluster); // a fault may have removed the id
    },
    edit: async (client, mine) => {
      const { cluster, verdict } = await this.#change(
        mine,
        (id, options) =>
          client.editCluster(id, (data) => ({ ...data }), options),
      );
      if (cluster && verdict === "yes") cluster.edits++;
      if (cluster && verdict === "unknown") cluster.doubts++;
    },
    delete: async (client, mine) => {
      const { cluster, verdict } = await this.#change(
        mine,
        (id, options) => client.deleteCluster(id, options),
      );
      if (cluster && verdict) cluster.deleted = verdict;
    },
    get: (client, mine) => {
      const { id } = this.random.pick([{ id: "" }, ...mine]);
      return this.#call<unknown>((options) =>
        id ? client.getCluster(id, options) : client.getInfo(options)
      );
    },
    list: (client) =>
      this.#call((options) =>
        client.getClusters({ perPage: 20, ...options }).toArray({ limit: 50 })
      ),
    page: (client) =>
      this.#call(async (options) => await client.getServers(options)),
    log: (client) =>
      this.#call(async (options) => {
        const log = client.streamExecutionLog(this.server.execution, options);
        for await (const _ of log) {
          if (this.over.aborted) break; // it may arrive byte by byte
        }
      }),
    wait: (client) =>
      this.#call((options) => {
        const all = { timeout: 500, ...options };
        return client.waitForExecution(this.server.execution, all);
      }),
    logout: (client) =>
      // Rare: it ends the calls of all workers that share the client.
      this.#call<unknown>((options) =>
        this.random.oneIn(50)
          ? client.logout(options)
          : client.getUserSelf(options)
      ),
    dispose: () => this.random.oneIn(3) ? this.#dispose() : undefined,
  };

  /** Disposes of a client whose calls would never end: nothing may follow. */
  async #dispose(): Promise<void> {
    const { url, running } = this.server;
    let isDisposed = false;
    const calls: Promise<unknown>[] = [];
    const interval = 10;
    {
      await using client = makeClient(url, {
        timeout: 600,
        fetch: (url, init) => {
          if (isDisposed) this.violations.push(`sent after disposal: ${url}`);
          return fetch(url, init);
        },
      });
      const works: ((options: RequestOptions) => Promise<unknown>)[] = [
        (o) => client.waitForExecution(running, { ...o, interval }),
        (o) =>
          Array.fromAsync(client.followExecution(running, { ...o, interval })),
        (o) => client.getClusters({ perPage: 5, ...o }).toArray(),
      ];
      calls.push(...works.map((work) => this.#call(work)));
      await delay(this.random.below(100));
    }
    isDisposed = true;
    this.disposals++;
    const start = performance.now();
    await Promise.all(calls);
    const elapsed = performance.now() - start;
    if (elapsed > 2000) this.violations.push(`ended after ${elapsed} ms`);
  }

  /** Clusters that are missing, unexpected or edited too often. */
  account(found: { name: string; version: number }[]) {
    const versions = new Map(found.map(({ name, version }) => [name, version]));
    const missing: string[] = [];
    const wrong: string[] = [];
    const extra = [...versions.keys()]
      .filter((name) => !this.expected.has(name));
    if (versions.size < found.length) extra.push("one name twice");
    for (const [name, { made, deleted, edits, doubts }] of this.expected) {
      const version = versions.get(name);
      if (version === undefined) {
        if (made === "yes" && deleted === "no") missing.push(name);
        continue;
      }
      if (made === "no" || deleted === "yes") extra.push(name);
      if (version < 1 + edits || version > 1 + edits + doubts) {
        wrong.push(`${name} has version ${version} after ${edits} edits`);
      }
    }
    return { missing, extra, wrong };
  }
}

/** Whether a change was made, as far as the client knows. */
function verdictOf(outcome: Outcome<unknown>): Verdict {
  if ("value" in outcome) return "yes";
  const { error } = outcome;
  const isKnown = error instanceof DecapodError && !error.outcomeUnknown;
  return isKnown ? "no" : "unknown";
}

/** The heap in MiB, after a collection if --expose-gc is set. */
function heapSize(): number {
  const gc: unknown = Reflect.get(globalThis, "gc");
  if (typeof gc === "function") gc();
  return Deno.memoryUsage().heapUsed / 2 ** 20;
}

/** Compares the medians of the second and of the last quarter of the samples. */
function trend(samples: number[]) {
  const quarter = Math.max(1, Math.floor(samples.length / 4));
  const median = (some: number[]) =>
    some.toSorted((a, b) => a - b).at(some.length >> 1) ?? 0;
  const from = median(samples.slice(quarter, 2 * quarter));
  const to = median(samples.slice(-quarter));
  const text = `${from.toFixed(1)}, later ${to.toFixed(1)}`;
  return { growth: to - from, text };
}

async function soak(seconds: number, seed: number): Promise<number> {
  const place = new URL(`faults/soak_server.ts?seed=${seed}`, import.meta.url);
  const worker = new Worker(place, { type: "module" });
  const askServer = (question: Question) =>
    ask<Question, State>(worker, question);
  const started = await askServer("state");
  const { url } = started;
  const over = AbortSignal.timeout(seconds * 1000);
  const soaking = new Soak(new Fuzzer(seed), started, over);
  const heaps: number[] = [];
  const connections: number[] = [];
  const sample = async () => {
    while (!over.aborted) {
      await delay(Math.min(1000, seconds * 25));
      connections.push((await askServer("state")).open);
      heaps.push(heapSize());
    }
  };
  const clients = Array.from({ length: CLIENTS }, async () => {
    const client = makeClient(url, { timeout: 600 });
    const workers = Array.from({ length: SHARING }, () => soaking.work(client));
    await Promise.all(workers);
  });
  await Promise.all([sample(), ...clients]);

  const { requests, struck, busy } = await askServer("stopFaults");
  const all = await makeClient(url).getClusters({ perPage: 1000 }).toArray();
  const found = all.map(({ version, data }) => ({ name: data.name, version }))
    .filter(({ name }) => name.startsWith("soak"));
  const { missing, extra, wrong } = soaking.account(found);
  const { violations, disposals, outcomes, expected } = soaking;

  const [yes = 0, no, lost] = ["yes", "no", "unknown"].map((verdict) =>
    [...expected.values()].filter(({ made }) => made === verdict).length
  );
  const few = (all: string[]) => all.slice(0, 5).join(", ");
  const heap = trend(heaps);
  const open = trend(connections);
  const checks: [string, string, boolean][] = [
    ["calls", JSON.stringify(outcomes), expected.size > 0],
    ["requests", `${requests}, ${struck} of them with a fault`, struck > 0],
    ["creations", `${yes} confirmed, ${no} rejected, ${lost} unknown`, yes > 0],
    ["clusters", `${found.length} found`, true],
    ["missing", few(missing), missing.length === 0],
    ["unexpected", few(extra), extra.length === 0],
    ["wrong versions", few(wrong), wrong.length === 0],
    ["violations", few(violations), violations.length === 0],
    ["disposals", String(disposals), disposals > 0],
    ["pending", String(busy), busy === 0],
    ["heap in MiB", heap.text, heap.growth <= MAX_GROWTH.heap],
    ["connections", open.text, open.growth <= MAX_GROWTH.connections],
  ];
  const workers = CLIENTS * SHARING;
  console.log(`Soaked for ${seconds} s, ${workers} workers, seed ${seed}`);
  for (const [name, text, good] of checks) {
    console.log(`${good ? "ok    " : "FAILED"} ${name.padEnd(15)} ${text}`);
  }
  return checks.every(([, , good]) => good) ? 0 : 1;
}

if (import.meta.main) {
  const options = {
    seconds: { type: "string", default: "120" },
    seed: { type: "string", default: "1" },
  } as const;
  const { values: { seconds, seed } } = parseArgs({ args: Deno.args, options });
  Deno.exit(await soak(Number(seconds), Number(seed)));
}
