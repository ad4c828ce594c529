/** The state of the server, and its time. */
import { Accounts } from "./accounts.ts";
import type { Cinder } from "./cinder.ts";
import type { ClusterData } from "./clusters.ts";
import { Executions } from "./executions.ts";
import { Ids } from "./ids.ts";
import type { ConfigurationData } from "./playbook_configurations.ts";
import type { JsonObject } from "./json.ts";
import type { StandInOptions } from "./mod.ts";
import type { Announcement, ServerData } from "./servers.ts";
import { Collection } from "./store.ts";

/** The options of a server, with all defaults applied. */
export type Settings = Readonly<
  Required<Omit<StandInOptions, "behindNginx" | "seed" | "servers">>
>;

/** An event at a time of the server's clock. */
export interface ScheduledEvent {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly apply: () => void;
}

/** A series of events, earliest first. */
export interface Schedule {
  readonly events: ScheduledEvent[];
  /** The index of the next event. */
  next: number;
}

/** The state of the server. */
export class World {
  readonly settings: Settings;
  readonly ids: Ids;
  readonly accounts: Accounts;
  readonly clusters: Collection<ClusterData>;
  readonly servers: Collection<ServerData>;
  readonly configurations: Collection<ConfigurationData>;
  readonly executions: Executions;
  /** Servers that have announced themselves and wait to be discovered. */
  readonly announced: Announcement[] = [];
  /** Host variables of the runs on a cluster, by its id and their IP. */
  readonly hostVariables = new Map<string, Map<string, JsonObject>>();
  /** By cluster id. */
  readonly cinder = new Map<string, Cinder>();
  /** The duration of a task in executions that are created from now on, in ms. */
  pace: number;
  readonly #schedules = new Set<Schedule>();
  #time: number;

  constructor(settings: Settings) {
    this.settings = settings;
    this.#time = settings.now();
    this.pace = settings.pace;
    this.ids = new Ids(settings.random);
    this.accounts = new Accounts(this);
    this.clusters = new Collection(this, "cluster", [["name", 1]], {
      unique: ["name"],
    });
    this.servers = new Collection(this, "server", [["name", 1]], {
      unique: ["name", "fqdn", "ip"],
      staysTaken: true,
    });
    this.configurations = new Collection(this, "playbook_configuration", [
      ["time_created", -1],
    ]);
    this.executions = new Executions(this);
  }

  /** The time of the current event, in milliseconds since 1970. */
  get time(): number {
    return this.#time;
  }

  /** The same in whole seconds, as in models. */
  readonly seconds = (): number => Math.floor(this.#time / 1000);

  /** Schedules events. */
  schedule(events: ScheduledEvent[]): Schedule {
    const schedule: Schedule = { events, next: 0 };
    this.#schedules.add(schedule);
    return schedule;
  }

  /** Applies all events that are due, in order, each at its time. */
  catchUp(): void {
    const now = this.settings.now();
    for (;;) {
      const due = this.#nextDue(now);
      if (due === undefined) break;
      this.#time = due.at;
      due.apply();
    }
    this.#time = now;
  }

  #nextDue(now: number): ScheduledEvent | undefined {
    let first: Schedule | undefined;
    let earliest: ScheduledEvent | undefined;
    for (const schedule of this.#schedules) {
      const event = schedule.events[schedule.next];
      if (event === undefined) this.#schedules.delete(schedule);
      else if (
        event.at <= now && !(event.at >= (earliest?.at ?? Infinity))
      ) {
        first = schedule;
        earliest = event;
      }
    }
    if (first !== undefined) first.next++;
    return earliest;
  }
}
