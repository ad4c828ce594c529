/**
 * Runs many clients under random faults, logouts and disposals, and verifies
 * every change that they made: `deno task soak [--seconds 120] [--seed 1]`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { DecapodAPIError, DecapodError, type V1Client } from "../mod.ts";
import type { Answer, Question } from "./faults/soak_server.ts";
import { seededRandom } from "./standin/ids.ts";
import { makeClient, PASSWORD } from "./support/server.ts";

/** How many workers there are, and how many share a client. */
const WORKERS = 64;
const SHARING = 8;

/** How much memory and connections may grow. */
const MAX_GROWTH = { heap: 8 * 2 ** 20, connections: 32 };

/** What a worker knows about a cluster that it created. */
interface Expected {
  /** Whether the server confirmed it, rejected it, or did not respond. */
  made: "yes" | "no" | "unknown";
  deleted: "yes" | "no" | "unknown";
  /** Confirmed edits, and edits with an unknown outcome. */
  edits: number;
  doubts: number;
  id?: string;
}

/** One measurement. */
interface Sample {
  heap: number;
  rss: number;
  open: number;
}

/** The server in its worker. */
class Server {
  readonly #worker = new Worker(
    new URL("./faults/soak_server.ts", import.meta.url),
    { type: "module" },
  );
  #last: Promise<unknown> = Promise.resolve();

  /** Sends one question after the other. */
  ask(question: Question): Promise<Answer> {
    const answer = this.#last.then(() =>
      new Promise<Answer>((resolve, reject) => {
        this.#worker.onmessage = ({ data }) => resolve(data);
        this.#worker.onerror = (event) => reject(new Error(event.message));
        this.#worker.postMessage(question);
      })
    );
    this.#last = answer;
    return answer;
  }

  close(): void {
    this.#worker.terminate();
  }
}

/** The calls of all workers and their outcomes. */
class Soak {
  readonly expected = new Map<string, Expected>();
  /** The number of calls by outcome. */
  readonly outcomes: Record<string, number> = {};
  /** Violations of what must hold. */
  readonly violations: string[] = [];
  /** How many clients were disposed of while they were in use. */
  disposals = 0;
  readonly #random: () => number;
  readonly #server: Answer;
  readonly #over: AbortSignal;
  #names = 0;

  constructor(seed: number, server: Answer, over: AbortSignal) {
    this.#random = seededRandom(seed);
    this.#server = server;
    this.#over = over;
  }

  /** Makes calls until the time is over. */
  async work(client: V1Client): Promise<void> {
    const mine: string[] = [];
    while (!this.#over.aborted) {
      const kinds = Object.values(this.#kinds);
      const kind = kinds[Math.floor(this.#random() * kinds.length)];
      await kind?.(client, mine);
    }
  }

  /** Makes a call, which is sometimes aborted. */
  async #call<T>(
    work: (options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<{ value: T } | { error: unknown }> {
    const controller = new AbortController();
    const timer = this.#random() < 0.05
      ? setTimeout(
        () => controller.abort(new Error("aborted by the caller")),
        20,
      )
      : undefined;
    let outcome: { value: T } | { error: unknown };
    try {
      outcome = { value: await work({ signal: controller.signal }) };
    } catch (error) {
      outcome = { error };
    }
    clearTimeout(timer);
    this.#record(outcome, controller.signal);
    return outcome;
  }

  #record(
    outcome: { value: unknown } | { error: unknown },
    signal: AbortSignal,
  ) {
    let name = "result";
    if ("error" in outcome) {
      const { error } = outcome;
      if (signal.aborted && error === signal.reason) name = "aborted";
      else if (error instanceof DecapodAPIError) {
        name = `${error.name} ${error.code}`;
      } else if (error instanceof DecapodError) name = error.name;
      else {
        name = "violation";
        this.violations.push(Deno.inspect(error));
      }
    }
    this.outcomes[name] = (this.outcomes[name] ?? 0) + 1;
  }

  /** Whether a change was made, as far as the client knows. */
  #verdict(outcome: { value: unknown } | { error: unknown }): Expected["made"] {
    if ("value" in outcome) return "yes";
    const { error } = outcome;
    return error instanceof DecapodError && !error.outcomeUnknown
      ? "no"
      : "unknown";
  }

  /** One of the worker's own clusters that exist. */
  #one(mine: string[]): [string, Expected] | undefined {
    const name = mine[Math.floor(this.#random() * mine.length)];
    const expected = name === undefined ? undefined : this.expected.get(name);
    return name !== undefined && expected?.id ? [name, expected] : undefined;
  }

  readonly #kinds: Record<
    string,
    (client: V1Client, mine: string[]) => Promise<unknown> | undefined
  > = {
    create: async (client, mine) => {
      const name = `soak${++this.#names}`;
      const expected: Expected = {
        made: "unknown",
        deleted: "no",
        edits: 0,
        doubts: 0,
      };
      this.expected.set(name, expected);
      const outcome = await this.#call((options) =>
        client.createCluster(name, options)
      );
      expected.made = this.#verdict(outcome);
      if ("value" in outcome) {
        expected.id = outcome.value.id;
        mine.push(name);
      }
    },
    edit: async (client, mine) => {
      const [, expected] = this.#one(mine) ?? [];
      if (expected?.id === undefined || expected.deleted !== "no") return;
      const { id } = expected;
      const outcome = await this.#call((options) =>
        client.editCluster(id, (data) => ({ ...data }), options)
      );
      const verdict = this.#verdict(outcome);
      if (verdict === "yes") expected.edits++;
      if (verdict === "unknown") expected.doubts++;
    },
    delete: async (client, mine) => {
      const [, expected] = this.#one(mine) ?? [];
      if (expected?.id === undefined || expected.deleted !== "no") return;
      const { id } = expected;
      const outcome = await this.#call((options) =>
        client.deleteCluster(id, options)
      );
      expected.deleted = this.#verdict(outcome);
    },
    get: (client, mine) => {
      const [, expected] = this.#one(mine) ?? [];
      const id = expected?.id;
      return id === undefined
        ? this.#call((options) => client.getInfo(options))
        : this.#call((options) => client.getCluster(id, options));
    },
    list: (client) =>
      this.#call((options) =>
        client.getClusters({ perPage: 20, ...options }).toArray({ limit: 50 })
      ),
    page: (client) =>
      this.#call(async (options) => await client.getServers(options)),
    log: (client) =>
      this.#call(async (options) => {
        let lines = 0;
        const log = client.streamExecutionLog(this.#server.execution, options);
        for await (const line of log) {
          if (line !== "") lines++;
          if (this.#over.aborted) break; // it may arrive byte by byte
        }
        return lines;
      }),
    wait: (client) =>
      this.#call((options) =>
        client.waitForExecution(this.#server.execution, {
          timeout: 500,
          ...options,
        })
      ),
    logout: (client) =>
      // Rare: it ends the calls of all workers that share the client.
      this.#random() < 0.02
        ? this.#call((options) => client.logout(options))
        : this.#call((options) => client.getUserSelf(options)),
    dispose: () => this.#random() < 0.3 ? this.#dispose() : undefined,
  };

  /** Disposes of a client whose calls would never end: nothing may follow. */
  async #dispose(): Promise<void> {
    const { url, running } = this.#server;
    let isDisposed = false;
    const calls: Promise<unknown>[] = [];
    const interval = { min: 10, max: 10 };
    {
      await using client = makeClient(url, {
        timeout: 600,
        fetch: (url, init) => {
          if (isDisposed) this.violations.push(`sent after disposal: ${url}`);
          return fetch(url, init);
        },
      });
      calls.push(
        this.#call((options) =>
          client.waitForExecution(running, { ...options, interval })
        ),
        this.#call((options) =>
          Array.fromAsync(
            client.followExecution(running, { ...options, interval }),
          )
        ),
        this.#call((options) =>
          client.getClusters({ perPage: 5, ...options }).toArray()
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, this.#random() * 100));
    }
    isDisposed = true;
    this.disposals++;
    const start = performance.now();
    await Promise.all(calls);
    const elapsed = performance.now() - start;
    if (elapsed > 2000) this.violations.push(`ended after ${elapsed} ms`);
  }

  /** Clusters that are missing, unexpected or edited too often. */
  account(
    found: { name: string; version: number }[],
  ): { missing: string[]; extra: string[]; wrong: string[] } {
    const versions = new Map(found.map(({ name, version }) => [name, version]));
    const missing: string[] = [];
    const extra: string[] = [];
    const wrong: string[] = [];
    if (versions.size < found.length) extra.push("one name twice");
    for (const { name } of found) {
      if (!this.expected.has(name)) extra.push(name);
    }
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

/** Memory, after a collection if --expose-gc is set. */
function collected(): { heap: number; rss: number } {
  const gc: unknown = Reflect.get(globalThis, "gc");
  if (typeof gc === "function") gc();
  const { heapUsed, rss } = Deno.memoryUsage();
  return { heap: heapUsed, rss };
}

/** The medians of the second and of the last quarter of the samples. */
function trend(
  samples: Sample[],
  key: keyof Sample,
): { from: number; to: number } {
  const quarter = Math.max(1, Math.floor(samples.length / 4));
  const median = (some: Sample[]) =>
    some.map((sample) => sample[key]).sort((a, b) => a - b)
      .at(some.length >> 1) ?? 0;
  return {
    from: median(samples.slice(quarter, 2 * quarter)),
    to: median(samples.slice(-quarter)),
  };
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

async function soak(seconds: number, seed: number): Promise<number> {
  const server = new Server();
  const started = await server.ask({
    kind: "start",
    password: PASSWORD,
    seed,
  });
  const { url } = started;
  const clients = Array.from(
    { length: WORKERS / SHARING },
    () => makeClient(url, { timeout: 600 }),
  );
  const over = AbortSignal.timeout(seconds * 1000);
  const soaking = new Soak(seed, started, over);
  const working = clients.flatMap((client) =>
    Array.from({ length: SHARING }, () => soaking.work(client))
  );
  const samples: Sample[] = [];
  const sampling = setInterval(async () => {
    const { open } = await server.ask({ kind: "state" });
    samples.push({ ...collected(), open });
  }, Math.min(1000, seconds * 25));
  await Promise.all(working);
  clearInterval(sampling);

  const { requests, struck, busy } = await server.ask({ kind: "stopFaults" });
  const all = await makeClient(url).getClusters({ perPage: 1000 }).toArray();
  const found = all.map(({ version, data }) => ({ name: data.name, version }))
    .filter(({ name }) => name.startsWith("soak"));
  const { missing, extra, wrong } = soaking.account(found);
  await server.ask({ kind: "stop" });
  server.close();

  const made = [...soaking.expected.values()];
  const count = (verdict: Expected["made"]) =>
    made.filter((expected) => expected.made === verdict).length;
  const heap = trend(samples, "heap");
  const memory = trend(samples, "rss");
  const open = trend(samples, "open");
  const checks: [string, string, boolean][] = [
    ["calls", JSON.stringify(soaking.outcomes), made.length > 0],
    [
      "requests",
      `${requests}, ${struck} of them with a fault`,
      struck > 0,
    ],
    [
      "creations",
      `${count("yes")} confirmed, ${count("no")} rejected, ${
        count("unknown")
      } unknown`,
      count("yes") > 0,
    ],
    ["clusters", `${found.length} found`, true],
    ["missing", missing.slice(0, 5).join(", "), missing.length === 0],
    ["unexpected", extra.slice(0, 5).join(", "), extra.length === 0],
    ["wrong versions", wrong.slice(0, 5).join(", "), wrong.length === 0],
    [
      "violations",
      soaking.violations.slice(0, 3).join("\n"),
      soaking.violations.length === 0,
    ],
    ["disposals", String(soaking.disposals), soaking.disposals > 0],
    ["pending", String(busy), busy === 0],
    [
      "heap",
      `${mebibytes(heap.from)}, later ${mebibytes(heap.to)}`,
      heap.to <= heap.from + MAX_GROWTH.heap,
    ],
    [
      "memory",
      `${mebibytes(memory.from)}, later ${mebibytes(memory.to)}`,
      true,
    ],
    [
      "connections",
      `${open.from} open, later ${open.to}`,
      open.to <= open.from + MAX_GROWTH.connections,
    ],
  ];
  console.log(`Soaked for ${seconds} s, ${WORKERS} workers, seed ${seed}`);
  for (const [name, text, good] of checks) {
    console.log(`${good ? "ok    " : "FAILED"} ${name.padEnd(15)} ${text}`);
  }
  return checks.every(([, , good]) => good) ? 0 : 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      seconds: { type: "string", default: "120" },
      seed: { type: "string", default: "1" },
    },
  });
  const seconds = Number(values.seconds);
  const seed = Number(values.seed);
  if (!(seconds > 0 && seconds <= 86_400) || !Number.isSafeInteger(seed)) {
    console.error(
      "Invalid --seconds or --seed: must be a number up to 86400 and an integer",
    );
    return 2;
  }
  return await soak(seconds, seed);
}

if (import.meta.main) Deno.exit(await main());
