/**
 * Runs the client for a while through random faults, and accounts for all that
 * it made: `deno task soak [--seconds 120] [--seed 1]`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { DecapodAPIError, DecapodError, type V1Client } from "../mod.ts";
import type { Answer, Question } from "./faults/soak_server.ts";
import { seededRandom } from "./standin/ids.ts";
import { makeClient, PASSWORD } from "./support/server.ts";

/** How many work at once, and how many share a client. */
const WORKERS = 64;
const SHARING = 8;

/** What may be gained and still be called flat. */
const SLACK = { heap: 8 * 2 ** 20, connections: 32 };

/** What a worker knows of a cluster that it wanted. */
interface Wanted {
  /** Whether the server said so, said no, or did not say. */
  made: "yes" | "no" | "unknown";
  deleted: "yes" | "no" | "unknown";
  /** Edits that the server said were made, and others that it may have made. */
  edits: number;
  doubts: number;
  id?: string;
}

/** What was seen at one moment. */
interface Sample {
  heap: number;
  rss: number;
  open: number;
}

/** The server, asked by messages. */
class Server {
  readonly #worker = new Worker(
    new URL("./faults/soak_server.ts", import.meta.url),
    { type: "module" },
  );
  #last: Promise<unknown> = Promise.resolve();

  /** Asks one question after the other. */
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

/** Everything that is done, and what came of it. */
class Soak {
  readonly wanted = new Map<string, Wanted>();
  /** How many calls ended how. */
  readonly outcomes: Record<string, number> = {};
  /** What should not have come. */
  readonly surprises: string[] = [];
  readonly #random: () => number;
  readonly #execution: string;
  readonly #over: AbortSignal;
  #names = 0;

  constructor(seed: number, execution: string, over: AbortSignal) {
    this.#random = seededRandom(seed);
    this.#execution = execution;
    this.#over = over;
  }

  /** Works until it is over. */
  async work(client: V1Client): Promise<void> {
    const mine: string[] = [];
    while (!this.#over.aborted) {
      const kinds = Object.values(this.#kinds);
      const kind = kinds[Math.floor(this.#random() * kinds.length)];
      await kind?.(client, mine);
    }
  }

  /** Makes a call, which a caller may lose patience with. */
  async #call<T>(
    work: (options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<{ value: T } | { error: unknown }> {
    const impatience = new AbortController();
    const timer = this.#random() < 0.05
      ? setTimeout(() => impatience.abort(new Error("no patience")), 20)
      : undefined;
    let outcome: { value: T } | { error: unknown };
    try {
      outcome = { value: await work({ signal: impatience.signal }) };
    } catch (error) {
      outcome = { error };
    }
    clearTimeout(timer);
    this.#note(outcome, impatience.signal);
    return outcome;
  }

  #note(outcome: { value: unknown } | { error: unknown }, signal: AbortSignal) {
    let name = "result";
    if ("error" in outcome) {
      const { error } = outcome;
      if (signal.aborted && error === signal.reason) name = "aborted";
      else if (error instanceof DecapodAPIError) {
        name = `${error.name} ${error.code}`;
      } else if (error instanceof DecapodError) name = error.name;
      else {
        name = "surprise";
        this.surprises.push(Deno.inspect(error));
      }
    }
    this.outcomes[name] = (this.outcomes[name] ?? 0) + 1;
  }

  /** Whether a change was made, as far as its caller can know. */
  #verdict(outcome: { value: unknown } | { error: unknown }): Wanted["made"] {
    if ("value" in outcome) return "yes";
    const { error } = outcome;
    return error instanceof DecapodError && !error.outcomeUnknown
      ? "no"
      : "unknown";
  }

  /** One of the worker's own clusters that is there for sure. */
  #one(mine: string[]): [string, Wanted] | undefined {
    const name = mine[Math.floor(this.#random() * mine.length)];
    const wanted = name === undefined ? undefined : this.wanted.get(name);
    return name !== undefined && wanted?.id ? [name, wanted] : undefined;
  }

  readonly #kinds: Record<
    string,
    (client: V1Client, mine: string[]) => Promise<unknown>
  > = {
    create: async (client, mine) => {
      const name = `soak${++this.#names}`;
      const wanted: Wanted = {
        made: "unknown",
        deleted: "no",
        edits: 0,
        doubts: 0,
      };
      this.wanted.set(name, wanted);
      const outcome = await this.#call((options) =>
        client.createCluster(name, options)
      );
      wanted.made = this.#verdict(outcome);
      if ("value" in outcome) {
        wanted.id = outcome.value.id;
        mine.push(name);
      }
    },
    edit: async (client, mine) => {
      const [, wanted] = this.#one(mine) ?? [];
      if (wanted?.id === undefined || wanted.deleted !== "no") return;
      const { id } = wanted;
      const outcome = await this.#call((options) =>
        client.editCluster(id, (data) => ({ ...data }), options)
      );
      const verdict = this.#verdict(outcome);
      if (verdict === "yes") wanted.edits++;
      if (verdict === "unknown") wanted.doubts++;
    },
    delete: async (client, mine) => {
      const [, wanted] = this.#one(mine) ?? [];
      if (wanted?.id === undefined || wanted.deleted !== "no") return;
      const { id } = wanted;
      const outcome = await this.#call((options) =>
        client.deleteCluster(id, options)
      );
      wanted.deleted = this.#verdict(outcome);
    },
    get: (client, mine) => {
      const [, wanted] = this.#one(mine) ?? [];
      const id = wanted?.id;
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
        const log = client.streamExecutionLog(this.#execution, options);
        for await (const line of log) {
          if (line !== "") lines++;
          if (this.#over.aborted) break; // it may come byte by byte
        }
        return lines;
      }),
    wait: (client) =>
      this.#call((options) =>
        client.waitForExecution(this.#execution, { timeout: 500, ...options })
      ),
    logout: (client) =>
      // Seldom: whoever waits for the login is told that it has ended.
      this.#random() < 0.02
        ? this.#call((options) => client.logout(options))
        : this.#call((options) => client.getUserSelf(options)),
  };

  /** What is there and should not be, or the other way round. */
  account(
    found: { name: string; version: number }[],
  ): { missing: string[]; extra: string[]; wrong: string[] } {
    const versions = new Map(found.map(({ name, version }) => [name, version]));
    const missing: string[] = [];
    const extra: string[] = [];
    const wrong: string[] = [];
    if (versions.size < found.length) extra.push("one name twice");
    for (const { name } of found) {
      if (!this.wanted.has(name)) extra.push(name);
    }
    for (const [name, { made, deleted, edits, doubts }] of this.wanted) {
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

/** Memory after a collection, if the flag for it is given. */
function collected(): { heap: number; rss: number } {
  const gc: unknown = Reflect.get(globalThis, "gc");
  if (typeof gc === "function") gc();
  const { heapUsed, rss } = Deno.memoryUsage();
  return { heap: heapUsed, rss };
}

/** The medians of the second quarter of the samples and of the last one. */
function course(
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
  const { url, execution } = await server.ask({
    kind: "start",
    password: PASSWORD,
    seed,
  });
  const clients = Array.from(
    { length: WORKERS / SHARING },
    () => makeClient(url, { timeout: 600 }),
  );
  const over = AbortSignal.timeout(seconds * 1000);
  const soaking = new Soak(seed, execution, over);
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

  const { requests, struck, busy } = await server.ask({ kind: "relent" });
  const all = await makeClient(url).getClusters({ perPage: 1000 }).toArray();
  const found = all.map(({ version, data }) => ({ name: data.name, version }))
    .filter(({ name }) => name.startsWith("soak"));
  const { missing, extra, wrong } = soaking.account(found);
  await server.ask({ kind: "stop" });
  server.close();

  const made = [...soaking.wanted.values()];
  const count = (verdict: Wanted["made"]) =>
    made.filter((wanted) => wanted.made === verdict).length;
  const heap = course(samples, "heap");
  const memory = course(samples, "rss");
  const open = course(samples, "open");
  const checks: [string, string, boolean][] = [
    ["calls", JSON.stringify(soaking.outcomes), made.length > 0],
    [
      "requests",
      `${requests}, ${struck} of them struck by a fault`,
      struck > 0,
    ],
    [
      "creations",
      `${count("yes")} acknowledged, ${count("no")} refused, ${
        count("unknown")
      } in doubt`,
      count("yes") > 0,
    ],
    ["accounted for", `${found.length} there`, true],
    ["missing", missing.slice(0, 5).join(", "), missing.length === 0],
    ["not wanted", extra.slice(0, 5).join(", "), extra.length === 0],
    ["edited wrongly", wrong.slice(0, 5).join(", "), wrong.length === 0],
    [
      "surprises",
      soaking.surprises.slice(0, 3).join("\n"),
      soaking.surprises.length === 0,
    ],
    ["left under way", String(busy), busy === 0],
    [
      "heap",
      `${mebibytes(heap.from)}, later ${mebibytes(heap.to)}`,
      heap.to <= heap.from + SLACK.heap,
    ],
    [
      "memory",
      `${mebibytes(memory.from)}, later ${mebibytes(memory.to)}`,
      true,
    ],
    [
      "connections",
      `${open.from} open, later ${open.to}`,
      open.to <= open.from + SLACK.connections,
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
      "Cannot soak: --seconds takes a number up to 86400, --seed a whole one",
    );
    return 2;
  }
  return await soak(seconds, seed);
}

if (import.meta.main) Deno.exit(await main());
