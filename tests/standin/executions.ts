/** Executions: runs of playbooks, which take their time. */
import { authorize } from "./accounts.ts";
import { type Effect, effectsOf } from "./effects.ts";
import { ApiError, badRequest, crash, standard } from "./errors.ts";
import { pageText, type Route, route } from "./http.ts";
import { hostsByGroup } from "./inventory.ts";
import { isObject, type JsonObject } from "./json.ts";
import { type Log, logResponse, writeLog } from "./logs.ts";
import type { ConfigurationData } from "./playbook_configurations.ts";
import { checkInteger, find, routesOf } from "./resources.ts";
import { BODIES } from "./schemas.ts";
import type { ServerData } from "./servers.ts";
import { type Step, stepTable } from "./steps.ts";
import { Collection, modelText, type Version } from "./store.ts";
import type { Table } from "./table.ts";
import { type Task, tasksOf } from "./tasks.ts";
import type { Process, World } from "./world.ts";

/** How a run can end. */
export type Outcome = "completed" | "failed" | "canceled";

/** The data of an execution. */
type ExecutionData = {
  playbook_configuration: {
    id: string;
    playbook_name: string;
    version: number;
  };
  state: "created" | "started" | "canceling" | Outcome;
};

/** Which executions fail, and where. */
export interface Failure {
  /** The id of the playbook; default: every playbook. */
  readonly playbook?: string;
  /** The name of the task that fails; default: the last one. */
  readonly task?: string;
}

/** How a run goes. */
interface Plan {
  readonly tasks: readonly Task[];
  readonly failures: readonly Failure[];
  /** Milliseconds from the creation to the start, and from task to task. */
  readonly pace: { delay: number; task: number };
}

/** The queued task behind an execution. */
export interface Run extends Plan {
  readonly id: string;
  readonly configuration: Version<ConfigurationData>;
  readonly servers: readonly Version<ServerData>[];
  readonly steps: Table<Step>;
  /** Undefined until the run has ended. */
  log?: Log;
  /** A run that is due is waiting until its servers are free. */
  phase: "queued" | "waiting" | "working" | "ended";
  /** How it continues by itself. */
  process?: Process;
}

const ERROR: JsonObject = {
  changed: true,
  cmd: ["ceph-disk", "activate"],
  failed: true,
  msg: "non-zero return code",
  rc: 1,
  stderr: "no such device",
};

/** All executions and their runs. */
export class Executions {
  readonly collection: Collection<ExecutionData>;
  /** Failures of the executions that are created from now on. */
  readonly failures: Failure[] = [];
  /** Tasks that replace those of a playbook, by its id or `*`. */
  readonly tasks = new Map<string, readonly Task[]>();
  readonly #runs = new Map<string, Run>();
  /** Configurations from the start of a run until a run completes, by id. */
  readonly locked = new Set<string>();
  #stepSeq = 0;

  constructor(private readonly world: World) {
    this.collection = new Collection(world, "execution", {
      sort: [["time_created", -1]],
      databaseFields: ({ state, playbook_configuration: { id, version } }) => {
        return { state, pc_model_id: id, pc_version: version };
      },
    });
  }

  /** Whether a run is working on one of these servers. */
  isBusy({ servers }: Pick<Run, "servers">): boolean {
    const ids = new Set(servers.map(({ model_id }) => model_id));
    return this.#runs.values().some(({ phase, servers }) =>
      phase === "working" && servers.some(({ model_id }) => ids.has(model_id))
    );
  }

  /** Queues an execution of a configuration. */
  create(
    configuration: Version<ConfigurationData>,
    plan: Partial<Plan> = {},
  ): Version<ExecutionData> {
    const { playbook_id: id, configuration: inventory } = configuration.data;
    const execution = this.collection.create({
      playbook_configuration: {
        id: configuration.model_id,
        playbook_name: id,
        version: configuration.version,
      },
      state: "created",
    }, null);
    const hosts = new Set([...hostsByGroup(inventory).values()].flat());
    const { pace } = this.world;
    const run: Run = {
      id: execution.model_id,
      configuration,
      servers: [...hosts]
        .flatMap((ip) => this.world.servers.holder("ip", ip) ?? [])
        .sort((a, b) => a.seq - b.seq),
      tasks: this.tasks.get(id) ?? this.tasks.get("*") ?? tasksOf(id),
      failures: this.failures.filter(({ playbook = id }) => playbook === id),
      pace: { delay: pace, task: pace },
      ...plan,
      steps: stepTable(),
      phase: "queued",
    };
    this.#runs.set(run.id, run);
    this.#continue(run, this.#queue(run));
    return execution;
  }

  /** Replaces what a run does by itself. */
  #continue(run: Run, process: Process): void {
    if (run.process) this.world.stop(run.process);
    run.process = this.world.run(process);
  }

  *#queue(run: Run): Process {
    yield this.world.time + run.pace.delay;
    run.phase = "waiting";
    this.#startWaiting();
  }

  /** Starts the runs that are due and whose servers are free. */
  #startWaiting(): void {
    for (const run of this.#runs.values()) {
      if (run.phase === "waiting" && !this.isBusy(run)) this.#start(run);
    }
  }

  /** Starts a run, even if it was canceled before. */
  start(id: string): void {
    const run = this.run(id);
    if (run.phase === "working" || run.phase === "ended") {
      throw new Error(`Cannot start execution ${id}: it is ${run.phase}`);
    }
    if (this.isBusy(run)) {
      throw new Error(`Cannot start execution ${id}: its servers are busy`);
    }
    this.#start(run);
  }

  #start(run: Run): void {
    const { configuration: { model_id, data } } = run;
    const { start, defect } = effectsOf(data.playbook_id);
    this.locked.add(model_id);
    run.phase = "working";
    this.#set(run.id, "started");
    const prepared = this.#apply(start, data) && defect !== "preparation";
    if (prepared) this.#continue(run, this.#work(run));
    else this.#finish(run, "failed");
  }

  /** Ends a run that is working. */
  finish(id: string, outcome: Outcome): void {
    const run = this.run(id);
    if (run.phase !== "working") {
      throw new Error(`Cannot end execution ${id}: it is ${run.phase}`);
    }
    this.#finish(run, outcome);
  }

  /** Starts a run if necessary and lets it end by itself. */
  complete(id: string): void {
    const run = this.run(id);
    if (run.phase === "queued") this.start(id);
    if (run.phase === "working") this.#finish(run, "completed");
  }

  #finish(run: Run, outcome: Outcome): void {
    const { id, configuration: { model_id, data } } = run;
    const { complete, defect } = effectsOf(data.playbook_id);
    const broken = defect === "clean-up";
    const completed = outcome === "completed" && !broken &&
      this.#apply(complete, data);
    const state = completed || outcome === "canceled" ? outcome : "failed";
    if (completed) this.locked.delete(model_id);
    if (!broken) run.log ??= writeLog(run, state);
    if (run.process) this.world.stop(run.process);
    run.phase = "ended";
    this.#set(id, state);
    this.#startWaiting();
  }

  /** Applies an effect; false if the server refused it. */
  #apply(effect: Effect = () => {}, configuration: ConfigurationData): boolean {
    try {
      effect(this.world, configuration);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return false;
    }
  }

  /** The tasks of a run that is not disturbed, and its end. */
  *#work(run: Run): Process {
    const { id, servers, tasks, failures, pace, steps } = run;
    let start = this.world.time;
    for (const { role, name, result = "ok" } of tasks) {
      const fails = failures.some(({ task = tasks.at(-1)?.name }) =>
        task === name
      );
      for (const [place, { model_id: server_id }] of servers.entries()) {
        // The servers finish one after another, near the end of the task.
        yield start + pace.task * (0.8 + 0.15 * (place + 1) / servers.length);
        const seconds = this.world.seconds();
        steps.add({
          seq: ++this.#stepSeq,
          model: "execution_step",
          model_id: this.world.ids.step(seconds),
          version: 1,
          time_created: seconds,
          time_deleted: 0,
          initiator_id: id,
          is_latest: true,
          data: {
            ...{ execution_id: id, role, name, server_id },
            result: fails ? "error" : result,
            error: fails ? ERROR : {},
            time_started: Math.floor(start / 1000),
            time_finished: seconds,
          },
        });
      }
      start += pace.task;
      if (fails) {
        yield start;
        return this.#finish(run, "failed");
      }
    }
    yield start + pace.delay;
    this.#finish(run, "completed");
  }

  #set(id: string, state: ExecutionData["state"]): void {
    const execution = find(this.collection, id);
    this.collection.save(execution, { ...execution.data, state });
  }

  /** The run of an execution, or 404. */
  run(id: string): Run {
    const run = this.#runs.get(id);
    if (run === undefined) throw standard("NotFound");
    return run;
  }

  /**
   * Cancels an execution; a finished one stays as it is. The queued task of an
   * execution that has not started is not removed: it still runs.
   */
  cancel(id: string): Version<ExecutionData> {
    const { state } = find(this.collection, id).data;
    if (state === "created") this.#set(id, "canceled");
    if (state === "started") {
      this.#set(id, "canceling");
      const run = this.run(id);
      this.#continue(run, this.#end(run));
    }
    return find(this.collection, id);
  }

  /** The end of a run that is being canceled. */
  *#end(run: Run): Process {
    yield this.world.time + this.world.pace;
    this.#finish(run, "canceled");
  }
}

/** The routes of executions, their steps and their logs. */
export const executionRoutes: readonly Route[] = [
  ...routesOf<ExecutionData>({
    model: "execution",
    collection: ({ executions }) => executions.collection,
    create: async (context) => {
      const { world } = context;
      const body = await context.body(BODIES.execution);
      const { id, version } = isObject(body.playbook_configuration)
        ? body.playbook_configuration
        : {};
      checkInteger(Number(version));
      const found = world.configurations.version(String(id), Number(version));
      if (found === undefined) {
        throw badRequest(
          "UnknownPlaybookConfiguration",
          `There is no playbook configuration with ID ${id} and version ${version}`,
        );
      }
      authorize(context, "playbook", found.data.playbook_id);
      const { cluster_id: clusterId } = found.data;
      if (world.clusters.latest(clusterId)?.time_deleted !== 0) {
        throw badRequest(
          "CannotExecuteOnDeletedCluster",
          `Cannot run execution on deleted cluster ${clusterId}`,
        );
      }
      return modelText(world.executions.create(found));
    },
  }),
  route("PUT /execution/{id}", ["view_execution"], () => {
    throw crash("Unimplemented method 'PUT'");
  }),
  route(
    "DELETE /execution/{id}",
    ["view_execution", "delete_execution"],
    ({ world, id }) => modelText(world.executions.cancel(id)),
  ),
  route(
    "GET /execution/{id}/steps",
    ["view_execution", "view_execution_steps"],
    ({ world, id, query }) => {
      // A filter cannot select the steps of another execution.
      const filter = () =>
        query.filter().filter(({ field }) => field !== "execution_id");
      return pageText(
        world.executions.run(id).steps.list({ ...query, filter }),
      );
    },
  ),
  route(
    "GET /execution/{id}/log",
    ["view_execution", "view_execution_steps"],
    (context) => {
      const { log } = context.world.executions.run(context.id);
      if (log === undefined) throw standard("NotFound");
      return logResponse(context, log);
    },
  ),
];
