/** Everything that the server knows, and its time. */

import { Accounts } from "./accounts.ts";
import type { Cinder } from "./cinder.ts";
import type { ClusterData } from "./clusters.ts";
import { Executions } from "./executions.ts";
import { Ids } from "./ids.ts";
import type { ConfigurationData } from "./playbook_configurations.ts";
import type { JsonObject } from "./json.ts";
import type { Announcement, ServerData } from "./servers.ts";
import { Collection } from "./store.ts";

/** The settings of a server, every one of them said. */
export interface Settings {
  readonly now: () => number;
  readonly random: () => number;
  readonly tokenLifetime: number;
  readonly rootLogin: string;
  readonly rootPassword: string;
  readonly discoveryToken: string;
  readonly discoveryDelay: number;
  readonly insertDuration: number;
  readonly pace: number;
  readonly manual: boolean;
}

/** Something that happens at its time, without a timer. */
export interface Happening {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly apply: () => void;
}

/** A row of happenings, earliest first. */
export interface Agenda {
  readonly happenings: Happening[];
  /** The index of the one that comes next. */
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
  /** What runs have told of the hosts of a cluster, by its id and their IP. */
  readonly hostVariables = new Map<string, Map<string, JsonObject>>();
  /** By cluster id. */
  readonly cinder = new Map<string, Cinder>();
  /** How long a task takes in the executions made from now on. */
  pace: number;
  readonly #agendas = new Set<Agenda>();
  #time: number;

  constructor(settings: Settings) {
    this.settings = settings;
    this.#time = settings.now();
    this.pace = settings.pace;
    this.ids = new Ids(settings.random);
    this.accounts = new Accounts(this);
    this.clusters = new Collection<ClusterData>(
      {
        model: "cluster",
        defaultSort: [["name", 1]],
        unique: ["name"],
      },
      this.ids,
      this.seconds,
    );
    this.servers = new Collection<ServerData>(
      {
        model: "server",
        defaultSort: [["name", 1]],
        unique: ["name", "fqdn", "ip"],
        staysTaken: true,
      },
      this.ids,
      this.seconds,
    );
    this.configurations = new Collection<ConfigurationData>(
      {
        model: "playbook_configuration",
        defaultSort: [["time_created", -1]],
      },
      this.ids,
      this.seconds,
    );
    this.executions = new Executions(this);
  }

  /** The time of what is happening, in milliseconds since 1970. */
  get time(): number {
    return this.#time;
  }

  /** The same in whole seconds, as models have it. */
  readonly seconds = (): number => Math.floor(this.#time / 1000);

  /** Lets these things happen when their time has come. */
  plan(happenings: Happening[]): Agenda {
    const agenda: Agenda = { happenings, next: 0 };
    this.#agendas.add(agenda);
    return agenda;
  }

  /** Lets everything happen that is due by now, in order, at its time. */
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

  #nextDue(now: number): Happening | undefined {
    let first: Agenda | undefined;
    let earliest: Happening | undefined;
    for (const agenda of this.#agendas) {
      const happening = agenda.happenings[agenda.next];
      if (happening === undefined) this.#agendas.delete(agenda);
      else if (
        happening.at <= now && !(happening.at >= (earliest?.at ?? Infinity))
      ) {
        first = agenda;
        earliest = happening;
      }
    }
    if (first !== undefined) first.next++;
    return earliest;
  }
}
