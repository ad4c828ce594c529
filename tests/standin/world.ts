/** The state of the server, and its time. */
import { Accounts } from "./accounts.ts";
import type { Cinder } from "./cinder.ts";
import type { ClusterData } from "./clusters.ts";
import { Executions } from "./executions.ts";
import type { Ids } from "./ids.ts";
import type { ConfigurationData } from "./playbook_configurations.ts";
import type { JsonObject } from "./json.ts";
import type { StandInOptions } from "./mod.ts";
import type { Announcement, ServerData } from "./servers.ts";
import { Collection } from "./store.ts";

/** The options of a server, with all defaults applied. */
export type Settings = Readonly<
  Required<Omit<StandInOptions, "behindNginx" | "seed" | "servers">>
>;

/** What happens over time: it yields the times at which it continues. */
export type Process = Generator<number, void>;

/** The state of the server. */
export class World {
  readonly clusters = new Collection<ClusterData>(this, "cluster", {
    unique: ["name"],
  });
  readonly servers = new Collection<ServerData>(this, "server", {
    unique: ["name", "fqdn", "ip"],
    staysTaken: true,
  });
  readonly configurations = new Collection<ConfigurationData>(
    this,
    "playbook_configuration",
    { sort: [["time_created", -1]] },
  );
  readonly accounts: Accounts;
  readonly executions = new Executions(this);
  /** Servers that have announced themselves and wait to be discovered. */
  readonly announced: Announcement[] = [];
  /** Host variables of the runs on a cluster, by its id and their IP. */
  readonly hostVariables = new Map<string, Map<string, JsonObject>>();
  /** By cluster id. */
  readonly cinder = new Map<string, Cinder>();
  /** The duration of a task in executions that are created from now on, in ms. */
  pace: number;
  /** When each process continues. */
  readonly #due = new Map<Process, number>();
  #time: number;

  constructor(readonly settings: Settings, readonly ids: Ids) {
    this.#time = settings.now();
    this.pace = settings.pace;
    this.accounts = new Accounts(this);
  }

  /** The time of what happens now, in milliseconds since 1970. */
  get time(): number {
    return this.#time;
  }

  /** The same in whole seconds, as in models. */
  readonly seconds = (): number => Math.floor(this.#time / 1000);

  /** Lets a process continue, unless the controller is operated by hand. */
  run(process: Process): Process {
    const { done, value } = this.settings.manual
      ? process.return()
      : process.next();
    if (done) this.#due.delete(process);
    else this.#due.set(process, value);
    return process;
  }

  /** Ends a process before its time. */
  stop(process: Process): void {
    this.#due.delete(process);
  }

  /** Lets all processes continue that are due, in order, each at its time. */
  catchUp(): void {
    const now = this.settings.now();
    for (;;) {
      const [next] = [...this.#due].filter(([, time]) => time <= now)
        .sort(([, a], [, b]) => a - b);
      if (next === undefined) break;
      this.#time = next[1];
      this.run(next[0]);
    }
    this.#time = now;
  }
}
