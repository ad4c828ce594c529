/**
 * A stand-in for a Decapod server: the whole API, in memory, with an adjustable
 * clock. It runs in process, as the `fetch` of a client, or behind a real server:
 *
 * ```ts
 * import { StandIn } from "./mod.ts";
 *
 * const standIn = new StandIn();
 * const response = await standIn.fetch("http://decapod/v1/info/");
 * console.log(await response.json());
 *
 * const server = Deno.serve({ port: 0 }, standIn.handler);
 * await server.shutdown();
 * ```
 *
 * `routes.ts` lists all paths; `accounts.ts`, `clusters.ts`, `servers.ts`,
 * `playbook_configurations.ts`, `executions.ts` and `cinder.ts` handle them;
 * `effects.ts` says what playbooks change and `inventory.ts` how they are
 * configured; `schemas.ts` validates bodies; `store.ts`, `table.ts` and
 * `filters.ts` store, sort and find models; `nginx.ts` is the proxy in front.
 */
import type { Mail } from "./accounts.ts";
import type { Cinder } from "./cinder.ts";
import type { Failure, Outcome } from "./executions.ts";
import { Ids } from "./ids.ts";
import type { JsonObject } from "./json.ts";
import type { Log } from "./logs.ts";
import { behindNginx } from "./nginx.ts";
import { respond } from "./routes.ts";
import { discoverNext, register, type ServerData, survey } from "./servers.ts";
import { toModel } from "./store.ts";
import type { Task } from "./tasks.ts";
import { World } from "./world.ts";

export { DISCOVERY_TOKEN } from "./servers.ts";
export type { Cinder, Failure, JsonObject, Log, Mail, ServerData, Task };

/** Options of a {@linkcode StandIn}. */
export interface StandInOptions {
  /** The clock, in milliseconds since 1970; default: `Date.now`. */
  now?: () => number;
  /** The seed of the random numbers, for reproducible ids and secrets. */
  seed?: number;
  /** The lifetime of a token after its last use, in seconds; default: 1800. */
  tokenLifetime?: number;
  /** The login of the first user; default: `root`. */
  rootLogin?: string;
  /** The password of the first user; default: `root`. */
  rootPassword?: string;
  /** How long an announced server waits for its discovery, in ms; default: 300. */
  discoveryDelay?: number;
  /**
   * How long the database takes to insert the version of a PUT, in milliseconds
   * of real time; default: 0. Above 0, PUTs of one version can overlap.
   */
  insertDuration?: number;
  /** The number of servers at the beginning; default: 5. */
  servers?: number;
  /** The duration of each task of a playbook, in milliseconds; default: 500. */
  pace?: number;
  /**
   * Whether executions and discoveries wait for {@linkcode
   * StandIn.controller} instead of the clock; default: false.
   */
  manual?: boolean;
  /** Whether Decapod's own nginx is in front; default: false. */
  behindNginx?: boolean;
}

/** Options of {@linkcode StandIn.seedExecution}. */
export interface SeedExecutionOptions {
  /** The number of servers; default: 3. */
  servers?: number;
  /** The number of steps on all servers together; default: 30. */
  steps?: number;
  /** The duration from start to end, in milliseconds; default: 60000. */
  duration?: number;
  /** The time from creation to start, in milliseconds; default: 0. */
  delay?: number;
  /** Where it fails; default: nowhere. */
  failures?: readonly Failure[];
}

/** A Decapod server in memory. */
export class StandIn {
  readonly #world: World;
  readonly #behindNginx: boolean;
  /** Decapod's controller, for running executions by hand. */
  readonly controller = {
    /** Discovers all servers that have announced themselves. */
    discover: (): void => {
      const world = this.#caughtUp();
      while (world.announced.length > 0) discoverNext(world);
    },
    /** Starts the run of an execution. */
    start: (id: string): void => this.#caughtUp().executions.start(id),
    /** Ends a run that has started. */
    complete: (id: string): void => this.#finish(id, "completed"),
    fail: (id: string): void => this.#finish(id, "failed"),
    cancel: (id: string): void => this.#finish(id, "canceled"),
    /** Starts a run if necessary and lets it end by itself. */
    end: (id: string): void => this.#caughtUp().executions.complete(id),
  };
  #seeded = 0;
  #servers = 0;

  constructor(options: StandInOptions = {}) {
    const { seed, servers = 5, behindNginx = false, ...settings } = options;
    this.#behindNginx = behindNginx;
    this.#world = new World({
      now: Date.now,
      tokenLifetime: 1800,
      rootLogin: "root",
      rootPassword: "root",
      discoveryDelay: 300,
      insertDuration: 0,
      pace: 500,
      manual: false,
      ...settings,
    }, new Ids(seed));
    this.addServers(servers);
  }

  /**
   * Responds as the platform's `fetch` would, without a network. Bound to this
   * object.
   */
  readonly fetch = async (
    input: string | URL | Request,
    init?: RequestInit,
  ): Promise<Response> => {
    const signal = init?.signal ??
      (input instanceof Request ? input.signal : undefined);
    signal?.throwIfAborted();
    const response = this.handler(new Request(input, init));
    return await (signal ? abortable(response, signal) : response);
  };

  /** Responds to a request: the handler of a server. Bound to this object. */
  readonly handler = (request: Request): Promise<Response> => {
    const reply = (received: Request) => {
      this.#world.catchUp();
      return respond(this.#world, received);
    };
    return this.#behindNginx ? behindNginx(request, reply) : reply(request);
  };

  /** All mails that a Decapod would have sent, oldest first. */
  get mails(): readonly Mail[] {
    return this.#world.accounts.mails;
  }

  /** Revokes all tokens of a user, or of all users. */
  revokeTokens(login?: string): void {
    const { accounts } = this.#world;
    if (login === undefined) accounts.revokeTokens();
    else accounts.revokeTokens(this.#user(login).model_id);
  }

  /** Sets the password of a user. */
  setPassword(login: string, password: string): void {
    this.#world.accounts.setPassword(this.#user(login), password);
  }

  #user(login: string) {
    const user = this.#world.accounts.byLogin(login);
    if (user === undefined) {
      throw new RangeError(`Cannot find a user with the login "${login}"`);
    }
    return user;
  }

  /** Adds a server, as if it had been discovered. */
  addServer(
    { id = this.#world.ids.uuid(), ...data }:
      & Partial<ServerData>
      & { id?: string } = {},
  ): JsonObject {
    this.#world.catchUp();
    const number = this.#servers++;
    const { ip = addressOfNumber(number), username = "ansible" } = data;
    const { fqdn = ip ?? "fd00::1" } = data;
    const found = { username, ...survey(fqdn, ip) };
    return toModel(register(this.#world, id, found, data));
  }

  /** Adds this many servers. */
  addServers(count: number): JsonObject[] {
    return Array.from({ length: count }, () => this.addServer());
  }

  /** Creates this many clusters. */
  seedClusters(
    count: number,
    name = (index: number) => `cluster${sixDigits(index)}`,
  ): JsonObject[] {
    const { clusters } = this.#caughtUp();
    return Array.from({ length: count }, (_, index) => {
      const data = { name: name(index), configuration: {} };
      return toModel(clusters.create(data, null));
    });
  }

  /** Creates this many users without a role, and sends no mails. */
  seedUsers(count: number): JsonObject[] {
    const { accounts } = this.#caughtUp();
    return Array.from({ length: count }, (_, index) => {
      const login = `user${sixDigits(index)}`;
      return toModel(accounts.users.create({
        login,
        email: `${login}@example.com`,
        full_name: `User ${index}`,
        role_id: null,
      }, null));
    });
  }

  /** Creates an execution of any size, on its own servers. */
  seedExecution(options: SeedExecutionOptions = {}): JsonObject {
    const { servers = 3, steps = 30, duration = 60_000, delay = 0 } = options;
    const world = this.#caughtUp();
    const name = `seeded${++this.#seeded}`;
    const cluster = world.clusters.create({ name, configuration: {} }, null);
    const ips = this.addServers(servers).map(({ id }) =>
      world.servers.latest(String(id))?.data.ip ?? null
    );
    const configuration = world.configurations.create({
      name,
      playbook_id: "hello_world",
      cluster_id: cluster.model_id,
      configuration: { global_vars: {}, inventory: { servers: ips } },
    }, null);
    const count = Math.ceil(steps / servers);
    return toModel(world.executions.create(configuration, {
      tasks: Array.from({ length: count }, (_, index) => ({
        role: "seeded",
        name: `task ${sixDigits(index + 1)}`,
      })),
      pace: { delay, task: duration / count },
      failures: options.failures ?? [],
    }));
  }

  /** Makes executions that are created from now on fail. */
  failTask(failure: Failure = {}): void {
    this.#world.executions.failures.push(failure);
  }

  /** Makes executions that are created from now on succeed again. */
  repairTasks(): void {
    this.#world.executions.failures.length = 0;
  }

  /** Replaces the tasks of a playbook, or of all playbooks with `*`. */
  setTasks(playbookId: string, tasks: readonly Task[]): void {
    this.#world.executions.tasks.set(playbookId, tasks);
  }

  /** Sets the duration of tasks in executions that are created from now on. */
  setPace(milliseconds: number): void {
    this.#world.pace = milliseconds;
  }

  /** Replaces the log of an execution; it can be read at once. */
  setLog(executionId: string, log: Log): void {
    this.#world.executions.run(executionId).log = log;
  }

  /** Sets the Cinder files of a cluster; `null` removes them. */
  setCinder(clusterId: string, cinder: Cinder | null): void {
    if (cinder === null) this.#world.cinder.delete(clusterId);
    else this.#world.cinder.set(clusterId, cinder);
  }

  #finish(executionId: string, outcome: Outcome): void {
    this.#caughtUp().executions.finish(executionId, outcome);
  }

  #caughtUp(): World {
    this.#world.catchUp();
    return this.#world;
  }
}

/** A clock for tests that only moves when told to. */
export class TestClock {
  #now = Date.UTC(2026, 0, 1);

  /** The time, in milliseconds since 1970. Bound to this object. */
  readonly now = (): number => this.#now;

  /** Moves the clock forward by this many milliseconds. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }
}

function sixDigits(number: number): string {
  return String(number).padStart(6, "0");
}

/** 10.0.0.1 for 0, 10.0.0.2 for 1, and so on. */
function addressOfNumber(number: number): string {
  const parts = [Math.floor(number / 62500), Math.floor(number / 250) % 250];
  return `10.${parts.join(".")}.${number % 250 + 1}`;
}

/** A response that fails with the signal's reason, as its body does. */
async function abortable(
  response: Promise<Response>,
  signal: AbortSignal,
): Promise<Response> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    const received = await Promise.race([response, aborted.promise]);
    const body = received.body?.pipeThrough(new TransformStream(), { signal });
    return new Response(body ?? null, received);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
