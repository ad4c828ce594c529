/** Executions: runs of playbooks, which take their time. */
import { authorizePlaybook } from "./accounts.ts";
import { type Effects, effectsOf } from "./effects.ts";
import { ApiError, badRequest, crash, standard } from "./errors.ts";
import type { Query } from "./filters.ts";
import { listText, type Route, route } from "./http.ts";
import { hostsByGroup } from "./inventory.ts";
import { isObject, type JsonObject } from "./json.ts";
import { type Log, logResponse, RunLog } from "./logs.ts";
import type { ConfigurationData } from "./playbook_configurations.ts";
import { checkInteger, find, routesOf } from "./resources.ts";
import { BODIES } from "./schemas.ts";
import type { ServerData } from "./servers.ts";
import { type Step, stepTable, stepText } from "./steps.ts";
import { Collection, modelText, type Version } from "./store.ts";
import type { Page, Table } from "./table.ts";
import { type Task, tasksOf } from "./tasks.ts";
import type { Schedule, ScheduledEvent, World } from "./world.ts";

/** The states of an execution. */
export type ExecutionState =
  | "created"
  | "started"
  | "completed"
  | "canceling"
  | "canceled"
  | "failed";

/** How a run can end. */
export type Outcome = "completed" | "failed" | "canceled";

/** The data of an execution. */
export type ExecutionData = {
  playbook_configuration: {
    id: string;
    playbook_name: string;
    version: number;
  };
  state: ExecutionState;
};

/** Which executions fail, and where. */
export interface Failure {
  /** The id of the playbook; default: every playbook. */
  readonly playbook?: string;
  /** The name of the task that fails; default: the last one. */
  readonly task?: string;
  /** The id of the server on which it fails; default: every server. */
  readonly server?: string;
}

/** The timing of a run. */
interface Pace {
  /** From the creation to the start, in milliseconds. */
  readonly delay: number;
  /** From task to task, in milliseconds. */
  readonly task: number;
}

/** The queued task behind an execution. */
interface Run {
  readonly id: string;
  readonly configuration: Version<ConfigurationData>;
  readonly effects: Effects;
  readonly servers: readonly Version<ServerData>[];
  readonly tasks: readonly Task[];
  readonly failures: readonly Failure[];
  readonly pace: Pace;
  readonly steps: Table<Step>;
  readonly log: RunLog;
  phase: "queued" | "working" | "ended";
  /** The events that are scheduled while it works. */
  schedule?: Schedule;
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
  readonly #world: World;
  readonly #runs = new Map<string, Run>();
  readonly #working = new Set<Run>();
  /** Runs that are due but have to wait for their servers, oldest first. */
  readonly #waiting = new Set<Run>();
  readonly #locked = new Set<string>();
  #stepSeq = 0;

  constructor(world: World) {
    this.#world = world;
    this.collection = new Collection(
      world,
      "execution",
      [["time_created", -1]],
      {
        databaseFields: ({ state, playbook_configuration }) => ({
          state,
          pc_model_id: playbook_configuration.id,
          pc_version: playbook_configuration.version,
        }),
      },
    );
  }

  /**
   * Whether a configuration is locked: from the start of a run of it until a
   * run of it completes.
   */
  isLocked(configurationId: string): boolean {
    return this.#locked.has(configurationId);
  }

  /** Whether a run is working on this server. */
  isBusy(serverId: string): boolean {
    return [...this.#working].some(({ servers }) =>
      servers.some(({ model_id }) => model_id === serverId)
    );
  }

  /** Queues an execution of a configuration. */
  create(
    configuration: Version<ConfigurationData>,
    { tasks, pace, failures = this.failures }: {
      tasks?: readonly Task[];
      pace?: Pace;
      failures?: readonly Failure[];
    } = {},
  ): Version<ExecutionData> {
    const { playbook_id: playbookId } = configuration.data;
    const execution = this.collection.create({
      playbook_configuration: {
        id: configuration.model_id,
        playbook_name: playbookId,
        version: configuration.version,
      },
      state: "created",
    }, null);
    const hosts = new Set(
      [...hostsByGroup(configuration.data.configuration).values()].flat(),
    );
    const { pace: step, settings, time } = this.#world;
    const run: Run = {
      id: execution.model_id,
      configuration,
      effects: effectsOf(playbookId),
      servers: [...hosts].flatMap((ip) =>
        this.#world.servers.holder("ip", ip) ?? []
      ).sort((a, b) => a.seq - b.seq),
      tasks: tasks ?? this.tasks.get(playbookId) ?? this.tasks.get("*") ??
        tasksOf(playbookId),
      failures: failures.filter(({ playbook = playbookId }) =>
        playbook === playbookId
      ),
      pace: pace ?? { delay: step, task: step },
      steps: stepTable(),
      log: new RunLog(),
      phase: "queued",
    };
    this.#runs.set(run.id, run);
    if (!settings.manual) {
      const at = time + run.pace.delay;
      this.#world.schedule([{ at, apply: () => this.#startInTurn(run) }]);
    }
    return execution;
  }

  /** Starts a run now or as soon as its servers are free. */
  #startInTurn(run: Run): void {
    if (run.phase !== "queued") return;
    this.#waiting.add(run);
    this.#startWaiting();
  }

  #startWaiting(): void {
    for (const run of this.#waiting) {
      if (!this.#mustWait(run)) this.#start(run);
    }
  }

  #mustWait({ servers }: Run): boolean {
    return servers.some(({ model_id }) => this.isBusy(model_id));
  }

  /** Starts a run, even if it was canceled before. */
  start(id: string): void {
    const run = this.#run(id);
    if (run.phase !== "queued") {
      throw new Error(`Cannot start execution ${id}: it is ${run.phase}`);
    }
    if (this.#mustWait(run)) {
      throw new Error(`Cannot start execution ${id}: its servers are busy`);
    }
    this.#start(run);
  }

  #start(run: Run): void {
    this.#waiting.delete(run);
    this.#working.add(run);
    this.#locked.add(run.configuration.model_id);
    run.phase = "working";
    run.log.start();
    this.#set(run.id, "started");
    const { effects, configuration } = run;
    const prepared = this.#apply(effects.start, configuration.data);
    if (!prepared || effects.defect === "preparation") {
      this.#finish(run, "failed");
    } else if (!this.#world.settings.manual) {
      run.schedule = this.#world.schedule(this.#timeline(run));
    }
  }

  /** Ends a run that is working. */
  finish(id: string, outcome: Outcome): void {
    const run = this.#run(id);
    if (run.phase !== "working") {
      throw new Error(`Cannot end execution ${id}: it is ${run.phase}`);
    }
    this.#finish(run, outcome);
  }

  /** Starts a run if necessary and lets it end by itself. */
  complete(id: string): void {
    const run = this.#run(id);
    if (run.phase === "queued") this.start(id);
    if (run.phase === "working") this.#finish(run, "completed");
  }

  #finish(run: Run, outcome: Outcome): void {
    const { id, effects, configuration } = run;
    drop(run.schedule);
    const broken = effects.defect === "clean-up";
    const completed = outcome === "completed" && !broken &&
      this.#apply(effects.complete, configuration.data);
    const state = completed || outcome === "canceled" ? outcome : "failed";
    if (completed) this.#locked.delete(configuration.model_id);
    if (!broken) run.log.end(id, configuration.data.playbook_id, state);
    run.phase = "ended";
    this.#working.delete(run);
    this.#set(id, state);
    this.#startWaiting();
  }

  /** Applies an effect; false if the server refused it. */
  #apply(effect: Effects["start"], configuration: ConfigurationData): boolean {
    try {
      effect?.(this.#world, configuration);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return false;
    }
  }

  /** The events of a run that is not disturbed. */
  #timeline(run: Run): ScheduledEvent[] {
    const { servers, tasks, failures, pace } = run;
    const events: ScheduledEvent[] = [];
    let started = this.#world.time;
    for (const [index, task] of tasks.entries()) {
      const isLast = index === tasks.length - 1;
      const broken = failures.filter((failure) =>
        failure.task === undefined ? isLast : failure.task === task.name
      );
      const start = started;
      let failed = false;
      for (const [place, server] of servers.entries()) {
        const fails = broken.some((failure) =>
          (failure.server ?? server.model_id) === server.model_id
        );
        failed ||= fails;
        events.push({
          // The servers finish one after another, near the end of the task.
          at: start + pace.task * (0.8 + 0.15 * (place + 1) / servers.length),
          apply: () => this.#finishStep(run, task, server, start, fails),
        });
      }
      started += pace.task;
      if (failed) {
        const apply = () => this.#finish(run, "failed");
        events.push({ at: started, apply });
        return events;
      }
    }
    const apply = () => this.#finish(run, "completed");
    events.push({ at: started + pace.delay, apply });
    return events;
  }

  #set(id: string, state: ExecutionState): void {
    const execution = find(this.collection, id);
    this.collection.save(execution, { ...execution.data, state });
  }

  #run(id: string): Run {
    const run = this.#runs.get(id);
    if (run === undefined) throw standard("NotFound");
    return run;
  }

  #finishStep(
    { id, log, steps, servers }: Run,
    task: Task,
    server: Version<ServerData>,
    started: number,
    fails: boolean,
  ): void {
    const result = fails ? "error" : task.result ?? "ok";
    const error = fails ? ERROR : {};
    if (server === servers[0]) log.task(task);
    log.step(result, server.data.ip ?? server.data.fqdn, error);
    steps.add({
      seq: ++this.#stepSeq,
      id: this.#world.ids.step(this.#world.seconds()),
      fields: {
        execution_id: id,
        role: task.role,
        name: task.name,
        result,
        error,
        server_id: server.model_id,
        time_started: Math.floor(started / 1000),
        time_finished: this.#world.seconds(),
      },
    });
  }

  /**
   * Cancels an execution; a finished one stays as it is. The queued task of an
   * execution that has not started is not removed: it still runs.
   */
  cancel(execution: Version<ExecutionData>): Version<ExecutionData> {
    const { model_id: id, data: { state } } = execution;
    if (state === "created") {
      this.#set(id, "canceled");
    } else if (state === "started") {
      this.#set(id, "canceling");
      const run = this.#run(id);
      drop(run.schedule);
      const { settings, time, pace } = this.#world;
      if (!settings.manual) {
        const apply = () => this.#finish(run, "canceled");
        run.schedule = this.#world.schedule([{ at: time + pace, apply }]);
      }
    }
    return find(this.collection, id);
  }

  /** The steps of one execution; a filter cannot select another one. */
  steps(id: string, query: Query): Page<Step> {
    return this.#run(id).steps.list({
      ...query,
      filter: () =>
        query.filter().filter(({ field }) => field !== "execution_id"),
    });
  }

  /** The log; undefined until the run has ended. */
  log(id: string): Log | undefined {
    return this.#run(id).log.written;
  }

  replaceLog(id: string, log: Log): void {
    this.#run(id).log.written = log;
  }
}

/** Removes all events that are still to come. */
function drop(schedule: Schedule | undefined): void {
  if (schedule !== undefined) schedule.events.length = schedule.next;
}

/** The routes of executions, their steps and their logs. */
export const executionRoutes: readonly Route[] = [
  ...routesOf<ExecutionData>({
    model: "execution",
    collection: ({ executions }) => executions.collection,
    view: ["view_execution"],
    viewVersions: "view_execution_version",
    viewVersion: [],
  }),
  route(
    "POST /execution",
    ["view_execution", "create_execution"],
    async (context) => {
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
      authorizePlaybook(context, found.data.playbook_id);
      const { cluster_id: clusterId } = found.data;
      if (world.clusters.latest(clusterId)?.time_deleted !== 0) {
        throw badRequest(
          "CannotExecuteOnDeletedCluster",
          `Cannot run execution on deleted cluster ${clusterId}`,
        );
      }
      return modelText(world.executions.create(found));
    },
  ),
  route("PUT /execution/{id}", ["view_execution"], () => {
    throw crash("Unimplemented method 'PUT'");
  }),
  route(
    "DELETE /execution/{id}",
    ["view_execution", "delete_execution"],
    ({ world, id }) =>
      modelText(
        world.executions.cancel(find(world.executions.collection, id)),
      ),
  ),
  route(
    "GET /execution/{id}/steps",
    ["view_execution", "view_execution_steps"],
    ({ world, id, query }) => {
      const page = world.executions.steps(id, query);
      return listText(page.rows.map(stepText), page);
    },
  ),
  route(
    "GET /execution/{id}/log",
    ["view_execution", "view_execution_steps"],
    async (context) => {
      const log = context.world.executions.log(context.id);
      if (log === undefined) throw standard("NotFound");
      return await logResponse(context, log);
    },
  ),
];
