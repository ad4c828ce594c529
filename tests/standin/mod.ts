/**
 * A stand-in for a Decapod server: the whole API, in memory, on a clock that
 * can be moved. It works in-process, as the `fetch` of a client, or behind a
 * real server:
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
 * The rooms: `routes.ts` lists every path; `accounts.ts`, `clusters.ts`,
 * `servers.ts`, `playbook_configurations.ts`, `executions.ts` and `cinder.ts`
 * say what happens there; `schemas.ts` says what a body must look like;
 * `store.ts`, `table.ts` and `filters.ts` keep, sort and find the models.
 *
 * @module
 */

import type { Mail } from "./accounts.ts";
import type { Cinder } from "./cinder.ts";
import { Controller } from "./controller.ts";
import type { Failure } from "./executions.ts";
import { seededRandom } from "./ids.ts";
import type { JsonObject } from "./json.ts";
import type { Log } from "./logs.ts";
import { behindNginx } from "./nginx.ts";
import { answer } from "./routes.ts";
import { register, type ServerData, survey } from "./servers.ts";
import { toModel } from "./store.ts";
import type { Task } from "./tasks.ts";
import { World } from "./world.ts";

export { TestClock } from "./clock.ts";
export type {
  Cinder,
  Controller,
  Failure,
  JsonObject,
  Log,
  Mail,
  ServerData,
  Task,
};

/** How a {@linkcode StandIn} is set up. */
export interface StandInOptions {
  /** The clock, in milliseconds since 1970; `Date.now` unless said. */
  now?: () => number;
  /** Where chance comes from, 0 up to 1; `Math.random` unless said. */
  random?: () => number;
  /** Makes chance repeat itself: the same ids and secrets for the same seed. */
  seed?: number;
  /** How long a token lives after its last use, in seconds: 1800. */
  tokenLifetime?: number;
  /** The login of the first user: `root`. */
  rootLogin?: string;
  /** The password of the first user: `root`. */
  rootPassword?: string;
  /** The token with which servers announce themselves. */
  discoveryToken?: string;
  /** How long an announced server waits for its discovery, in ms: 300. */
  discoveryDelay?: number;
  /**
   * How long the database takes to insert a version that was PUT, in ms, by
   * the real clock: 0. Above 0, PUTs of one version can overlap.
   */
  insertDuration?: number;
  /** How many servers have been discovered already: 5. */
  servers?: number;
  /** How long each task of a playbook takes, in milliseconds: 500. */
  pace?: number;
  /**
   * Whether executions and discoveries wait for {@linkcode
   * StandIn.controller}, instead of following the clock: no.
   */
  manual?: boolean;
  /** Whether Decapod's nginx is in front, with its limits and errors: no. */
  behindNginx?: boolean;
}

/** What {@linkcode StandIn.seedExecution} makes. */
export interface SeedExecutionOptions {
  /** On how many servers; 3 unless said. */
  servers?: number;
  /** How many steps, all servers together; 30 unless said. */
  steps?: number;
  /** How long they take, from the start to the end, in milliseconds: 60000. */
  duration?: number;
  /** How long the execution waits to start, in milliseconds: 0. */
  delay?: number;
  /** Where it fails; nowhere unless said. */
  failures?: readonly Failure[];
}

/** The discovery token unless another is set. */
export const DISCOVERY_TOKEN = "server-discovery-token";

/** A Decapod server in memory. */
export class StandIn {
  readonly #world: World;
  readonly #behindNginx: boolean;
  /** Decapod's controller: runs executions and discovers servers by hand. */
  readonly controller: Controller;
  #seeded = 0;
  #servers = 0;

  constructor(options: StandInOptions = {}) {
    const { seed, servers = 5 } = options;
    this.#behindNginx = options.behindNginx ?? false;
    this.#world = new World({
      now: options.now ?? Date.now,
      random: options.random ??
        (seed === undefined ? Math.random : seededRandom(seed)),
      tokenLifetime: options.tokenLifetime ?? 1800,
      rootLogin: options.rootLogin ?? "root",
      rootPassword: options.rootPassword ?? "root",
      discoveryToken: options.discoveryToken ?? DISCOVERY_TOKEN,
      discoveryDelay: options.discoveryDelay ?? 300,
      insertDuration: options.insertDuration ?? 0,
      pace: options.pace ?? 500,
      manual: options.manual ?? false,
    });
    this.controller = new Controller(this.#world);
    this.addServers(servers);
  }

  /**
   * Answers as the platform's `fetch` would, without a network. Bound, so
   * that it can be handed on as it is.
   */
  readonly fetch = async (
    input: string | URL | Request,
    init?: RequestInit,
  ): Promise<Response> => {
    const signal = init?.signal ??
      (input instanceof Request ? input.signal : undefined);
    signal?.throwIfAborted();
    const request = new Request(input, init);
    return signal
      ? abortable(await abandon(this.handler(request), signal), signal)
      : await this.handler(request);
  };

  /** Answers a request: what a server is given to call. Bound. */
  readonly handler = (request: Request): Promise<Response> => {
    const reply = (received: Request) => {
      this.#world.catchUp();
      return answer(this.#world, received);
    };
    return this.#behindNginx ? behindNginx(request, reply) : reply(request);
  };

  /** The token with which servers announce themselves. */
  get discoveryToken(): string {
    return this.#world.settings.discoveryToken;
  }

  /** Every mail that the server would have sent, oldest first. */
  get mails(): readonly Mail[] {
    return this.#world.accounts.mails;
  }

  /** Ends the tokens of a user, or of everybody, at once. */
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

  /** Puts a server on record, as if it had been discovered. */
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

  /** Puts so many servers on record. */
  addServers(count: number): JsonObject[] {
    return Array.from({ length: count }, () => this.addServer());
  }

  /** Makes so many clusters, named by the function. */
  seedClusters(
    count: number,
    name: (index: number) => string = (index) =>
      `cluster${String(index).padStart(6, "0")}`,
  ): JsonObject[] {
    const { clusters } = this.#caughtUp();
    return Array.from(
      { length: count },
      (_, index) =>
        toModel(
          clusters.create({ name: name(index), configuration: {} }, null),
        ),
    );
  }

  /** Makes so many users without a role. No mails are written. */
  seedUsers(count: number): JsonObject[] {
    const { accounts } = this.#caughtUp();
    return Array.from({ length: count }, (_, index) => {
      const login = `user${String(index).padStart(6, "0")}`;
      return toModel(accounts.users.create({
        login,
        email: `${login}@example.com`,
        full_name: `User ${index}`,
        role_id: null,
      }, null));
    });
  }

  /** Starts an execution of any size, on servers of its own. */
  seedExecution(options: SeedExecutionOptions = {}): JsonObject {
    const { servers = 3, steps = 30, duration = 60_000, delay = 0 } = options;
    const world = this.#caughtUp();
    const number = ++this.#seeded;
    const cluster = world.clusters.create({
      name: `seeded${number}`,
      configuration: {},
    }, null);
    const ips = this.addServers(servers).map(({ id }) =>
      world.servers.latest(String(id))?.data.ip ?? null
    );
    const configuration = world.configurations.create({
      name: `seeded${number}`,
      playbook_id: "hello_world",
      cluster_id: cluster.model_id,
      configuration: { global_vars: {}, inventory: { servers: ips } },
    }, null);
    const count = Math.ceil(steps / servers);
    const tasks = Array.from({ length: count }, (_, index): Task => ({
      role: "seeded",
      name: `task ${String(index + 1).padStart(6, "0")}`,
    }));
    const pace = { delay, task: duration / count };
    return toModel(
      world.executions.create(configuration, {
        tasks,
        pace,
        failures: options.failures ?? [],
      }),
    );
  }

  /** Lets every execution made from now on fail there. */
  failTask(failure: Failure = {}): void {
    this.#world.executions.failures.push(failure);
  }

  /** Lets executions made from now on succeed again. */
  repairTasks(): void {
    this.#world.executions.failures.length = 0;
  }

  /** Gives a playbook other tasks; all playbooks with `*`. */
  setTasks(playbookId: string, tasks: readonly Task[]): void {
    this.#world.executions.tasks.set(playbookId, tasks);
  }

  /** Sets how long a task takes in the executions made from now on. */
  setPace(milliseconds: number): void {
    this.#world.pace = milliseconds;
  }

  /** Gives an execution another log. */
  setLog(executionId: string, log: Log): void {
    this.#world.executions.replaceLog(executionId, log);
  }

  /** Sets what a cluster offers to OpenStack; `null` for nothing. */
  setCinder(clusterId: string, cinder: Cinder | null): void {
    if (cinder === null) this.#world.cinder.delete(clusterId);
    else this.#world.cinder.set(clusterId, cinder);
  }

  #caughtUp(): World {
    this.#world.catchUp();
    return this.#world;
  }
}

/** 10.0.0.1 for 0, and so on, without an end for as long as it matters. */
function addressOfNumber(number: number): string {
  const parts = [Math.floor(number / 62500), Math.floor(number / 250) % 250];
  return `10.${parts.join(".")}.${number % 250 + 1}`;
}

/** Waits for an answer, but no longer than until the signal fires. */
function abandon(
  answer: Promise<Response>,
  signal: AbortSignal,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    answer.then(resolve, reject).finally(() =>
      signal.removeEventListener("abort", abort)
    );
  });
}

/** Lets the body of an answer end with the signal's reason when it fires. */
function abortable(response: Response, signal: AbortSignal): Response {
  if (response.body === null) return response;
  const reader = response.body.getReader();
  let abort = () => {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      abort = () => {
        controller.error(signal.reason);
        reader.cancel(signal.reason).catch(() => {});
      };
      signal.addEventListener("abort", abort, { once: true });
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (signal.aborted) return;
      if (value !== undefined) controller.enqueue(value);
      if (done) {
        signal.removeEventListener("abort", abort);
        controller.close();
      }
    },
    cancel(reason) {
      signal.removeEventListener("abort", abort);
      return reader.cancel(reason);
    },
  });
  return new Response(body, response);
}
