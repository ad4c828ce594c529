/** Executions: playbooks that run over time, step by step. */

import { authorizePlaybook } from "./accounts.ts";
import { cinderOf } from "./cinder.ts";
import { addServers, purge, removeServers } from "./clusters.ts";
import { crash, refusal, standard } from "./errors.ts";
import type { Query, Value } from "./filters.ts";
import { listText, type Route } from "./http.ts";
import { GROUPS, hostsByGroup } from "./inventory.ts";
import { isObject, type JsonObject, toJson } from "./json.ts";
import { logResponse } from "./logs.ts";
import type { ConfigurationData } from "./playbook_configurations.ts";
import { checkInteger, find, routesOf } from "./resources.ts";
import { BODIES } from "./schemas.ts";
import type { ServerData } from "./servers.ts";
import { Collection, modelText, type Version } from "./store.ts";
import { type Page, Table } from "./table.ts";
import { type Task, tasksOf } from "./tasks.ts";
import type { Agenda, Happening, World } from "./world.ts";

/** What an execution is in. */
export type ExecutionState =
  | "created"
  | "started"
  | "completed"
  | "canceling"
  | "canceled"
  | "failed";

/** What an execution is. */
export type ExecutionData = {
  playbook_configuration: {
    id: string;
    playbook_name: string;
    version: number;
  };
  state: ExecutionState;
};

/** Where executions are to fail: at a task, on a server. */
export interface Failure {
  /** The name of the task; the last one of the playbook unless said. */
  readonly task?: string;
  /** The id of the server; every server unless said. */
  readonly server?: string;
}

/** How a step can end, with the number that filters know it by. */
const RESULTS = { ok: 1, error: 2, skipped: 3, unreachable: 4 };

interface Step {
  readonly seq: number;
  readonly id: string;
  readonly fields: {
    readonly execution_id: string;
    readonly role: string;
    readonly name: string;
    readonly result: keyof typeof RESULTS;
    readonly error: JsonObject;
    readonly server_id: string;
    readonly time_started: number;
    readonly time_finished: number;
  };
  text?: string;
}

/** The text of a log, or a way to get at it piece by piece. */
export type Log = string | (() => ReadableStream<Uint8Array<ArrayBuffer>>);

interface Run {
  readonly configuration: Version<ConfigurationData>;
  readonly servers: readonly Version<ServerData>[];
  readonly agenda: Agenda;
  readonly steps: Table<Step>;
  readonly log: string[];
  replacedLog?: Log;
}

/** When the tasks of a run take place. */
interface Pace {
  /** From the creation to the start, in milliseconds. */
  readonly delay: number;
  /** From task to task, in milliseconds. */
  readonly task: number;
}

const ERROR: JsonObject = {
  changed: true,
  cmd: ["ceph-disk", "activate"],
  failed: true,
  msg: "non-zero return code",
  rc: 1,
  stderr: "no such device",
};

const RUNNING: readonly ExecutionState[] = ["created", "started", "canceling"];

/** All executions, and what they do. */
export class Executions {
  readonly collection: Collection<ExecutionData>;
  /** Where the executions made from now on are to fail. */
  readonly failures: Failure[] = [];
  /** Tasks that take the place of a playbook's own, by its id or `*`. */
  readonly tasks = new Map<string, readonly Task[]>();
  readonly #world: World;
  readonly #runs = new Map<string, Run>();
  #stepSeq = 0;

  constructor(world: World) {
    this.#world = world;
    this.collection = new Collection<ExecutionData>(
      {
        model: "execution",
        defaultSort: [["time_created", -1]],
        databaseFields: ({ state, playbook_configuration }) => ({
          state,
          pc_model_id: playbook_configuration.id,
          pc_version: playbook_configuration.version,
        }),
      },
      world.ids,
      world.seconds,
    );
  }

  /** Whether an execution of this configuration is under way. */
  isRunning(configurationId: string): boolean {
    return this.#running().some(([{ data }]) =>
      data.playbook_configuration.id === configurationId
    );
  }

  /** Whether an execution is at work on this server. */
  isBusy(serverId: string): boolean {
    return this.#running().some(([, { servers }]) =>
      servers.some(({ model_id }) => model_id === serverId)
    );
  }

  #running(): [Version<ExecutionData>, Run][] {
    const running: [Version<ExecutionData>, Run][] = [];
    for (const [id, run] of this.#runs) {
      const execution = find(this.collection, id);
      if (RUNNING.includes(execution.data.state)) {
        running.push([execution, run]);
      }
    }
    return running;
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
    const id = execution.model_id;
    const hosts = new Set(
      [...hostsByGroup(configuration.data.configuration).values()].flat(),
    );
    const servers = [...hosts].flatMap((ip) =>
      this.#world.servers.holder("ip", ip) ?? []
    ).sort((a, b) => a.seq - b.seq);
    const { pace: step } = this.#world;
    const happenings = this.#timeline(
      id,
      servers,
      tasks ?? this.tasks.get(playbookId) ?? this.tasks.get("*") ??
        tasksOf(playbookId),
      failures,
      pace ?? { delay: step, task: step },
    );
    this.#runs.set(id, {
      configuration,
      servers,
      agenda: this.#world.plan(happenings),
      steps: new Table<Step>(stepField, [
        ["time_finished", -1],
        ["time_started", -1],
      ]),
      log: [],
    });
    return execution;
  }

  /** Everything that an execution will do, unless it is canceled. */
  #timeline(
    id: string,
    servers: readonly Version<ServerData>[],
    tasks: readonly Task[],
    failures: readonly Failure[],
    pace: Pace,
  ): Happening[] {
    const start = this.#world.time + pace.delay;
    const happenings: Happening[] = [
      { at: start, apply: () => this.#start(id) },
    ];
    let taskStart = start;
    for (const [index, task] of tasks.entries()) {
      const isLast = index === tasks.length - 1;
      const broken = failures.filter((failure) =>
        failure.task === undefined ? isLast : failure.task === task.name
      );
      const started = taskStart;
      let failed = false;
      for (const [place, server] of servers.entries()) {
        const fails = broken.some((failure) =>
          (failure.server ?? server.model_id) === server.model_id
        );
        failed ||= fails;
        happenings.push({
          // The servers finish one after the other, near the end of the task.
          at: started + pace.task * (0.8 + 0.15 * (place + 1) / servers.length),
          apply: () => this.#finishStep(id, task, server, started, fails),
        });
      }
      taskStart += pace.task;
      if (failed) {
        const at = taskStart;
        happenings.push({ at, apply: () => this.#end(id, "failed") });
        return happenings;
      }
    }
    const at = taskStart + pace.delay;
    happenings.push({ at, apply: () => this.#end(id, "completed") });
    return happenings;
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

  #start(id: string): void {
    this.#set(id, "started");
    this.#run(id).log.push(
      "Using /etc/ansible/ansible.cfg as config file\n",
      `\nPLAY [all] ${"*".repeat(60)}\n`,
    );
  }

  #finishStep(
    id: string,
    task: Task,
    server: Version<ServerData>,
    started: number,
    fails: boolean,
  ): void {
    const { log, steps, servers } = this.#run(id);
    const result = fails ? "error" : task.result ?? "ok";
    if (server === servers[0]) {
      const title = task.role === ""
        ? task.name
        : `${task.role} : ${task.name}`;
      log.push(`\nTASK [${title}] ${"*".repeat(40)}\n`);
    }
    log.push(
      `${LOG_WORDS[result]}: [${server.data.ip}]${
        fails ? `: FAILED! => ${JSON.stringify(ERROR)}` : ""
      }\n`,
    );
    steps.add({
      seq: ++this.#stepSeq,
      id: this.#world.ids.step(this.#world.seconds()),
      fields: {
        execution_id: id,
        role: task.role,
        name: task.name,
        result,
        error: fails ? ERROR : {},
        server_id: server.model_id,
        time_started: Math.floor(started / 1000),
        time_finished: this.#world.seconds(),
      },
    });
  }

  #end(id: string, state: "completed" | "failed" | "canceled"): void {
    const { log, configuration } = this.#run(id);
    if (state === "completed") {
      const command = `ANSIBLE_CONFIG=/etc/ansible/ansible.cfg ` +
        `DECAPOD_ENTRYPOINT=${configuration.data.playbook_id} ` +
        `DECAPOD_EXECUTION_ID=${id} ansible-playbook -vvv playbook.yaml`;
      log.push(
        `\n\n${"=".repeat(29)} Ansible commandline ${"=".repeat(30)}\n`,
        `${command}\n${"=".repeat(80)}\n`,
      );
      this.#applyEffects(configuration);
    } else {
      const code = state === "failed" ? 2 : -15;
      log.push(
        "\nInternal error\n\n",
        `ChildProcessError: Process exit with code ${code}\n\n`,
      );
    }
    this.#set(id, state);
  }

  /** What a playbook that has run through leaves behind. */
  #applyEffects({ data }: Version<ConfigurationData>): void {
    const world = this.#world;
    const { playbook_id: playbookId, cluster_id: clusterId } = data;
    const roles = Object.fromEntries(
      [...hostsByGroup(data.configuration)].map(([group, hosts]) => [
        group,
        hosts.flatMap((ip) => world.servers.holder("ip", ip)?.model_id ?? []),
      ]),
    );
    const [, verb, part = ""] = /^(add|remove)_(.+)$/.exec(playbookId) ?? [];
    const group = GROUPS[part];
    if (playbookId === "cluster_deploy") {
      addServers(world, clusterId, roles);
    } else if (verb === "add" && group) {
      addServers(world, clusterId, { [group]: roles[group] ?? [] });
    } else if (verb === "remove" && group) {
      removeServers(world, clusterId, roles[group] ?? [], group);
    } else if (playbookId === "purge_cluster") {
      purge(world, clusterId);
      world.cinder.delete(clusterId);
    }
    if (
      playbookId === "cluster_deploy" || playbookId === "cinder_integration"
    ) {
      world.cinder.set(clusterId, cinderOf(clusterId));
    }
  }

  /** Stops an execution that is under way; leaves a finished one alone. */
  cancel(execution: Version<ExecutionData>): Version<ExecutionData> {
    const { model_id: id, data: { state } } = execution;
    if (state !== "created" && state !== "started") return execution;
    const { agenda } = this.#run(id);
    const { settings: { canceledMayRun }, pace } = this.#world;
    if (state === "created") {
      // A task that is queued is not taken back.
      if (!canceledMayRun) agenda.happenings.length = agenda.next;
      this.#set(id, "canceled");
    } else {
      agenda.happenings.length = agenda.next;
      this.#world.plan([{
        at: this.#world.time + pace,
        apply: () => this.#end(id, "canceled"),
      }]);
      this.#set(id, "canceling");
    }
    return find(this.collection, id);
  }

  /** The steps of one execution, whatever the filter says of others. */
  steps(id: string, query: Query): Page<Step> {
    return this.#run(id).steps.list({
      ...query,
      filter: () =>
        query.filter().filter(({ field }) => field !== "execution_id"),
    });
  }

  /** The log, if there is one yet. */
  log(id: string): Log | undefined {
    const { log, replacedLog } = this.#run(id);
    return replacedLog ?? (log.length > 0 ? log.join("") : undefined);
  }

  replaceLog(id: string, log: Log): void {
    this.#run(id).replacedLog = log;
  }
}

const LOG_WORDS = {
  ok: "ok",
  error: "fatal",
  skipped: "skipping",
  unreachable: "unreachable",
};

function stepField({ fields }: Step, name: string): Value {
  if (name === "result") return RESULTS[fields.result];
  const [first = "", ...rest] = name.split(".");
  if (!Object.hasOwn(STEP_FIELDS, first)) return undefined;
  let value: Value = STEP_FIELDS[first]!(fields);
  for (const key of rest) value = isObject(value) ? value[key] : undefined;
  return value;
}

const STEP_FIELDS: Record<string, (fields: Step["fields"]) => Value> = {
  execution_id: (fields) => fields.execution_id,
  role: (fields) => fields.role,
  name: (fields) => fields.name,
  error: (fields) => fields.error,
  server_id: (fields) => fields.server_id,
  time_started: (fields) => fields.time_started,
  time_finished: (fields) => fields.time_finished,
};

function stepText(step: Step): string {
  return step.text ??= toJson({
    id: step.id,
    model: "execution_step",
    version: 1,
    initiator_id: step.fields.execution_id,
    time_deleted: 0,
    time_updated: step.fields.time_finished,
    data: step.fields,
  });
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
  {
    method: "POST",
    path: "/execution",
    access: ["view_execution", "create_execution"],
    handle: async (context) => {
      const { world } = context;
      const body = await context.body(BODIES.execution);
      const { id, version } = isObject(body.playbook_configuration)
        ? body.playbook_configuration
        : {};
      checkInteger(Number(version));
      const found = world.configurations.version(String(id), Number(version));
      if (found === undefined) {
        throw refusal(
          "UnknownPlaybookConfiguration",
          `There is no playbook configuration with ID ${id} and version ${version}`,
        );
      }
      authorizePlaybook(context, found.data.playbook_id);
      const { cluster_id: clusterId } = found.data;
      if (world.clusters.latest(clusterId)?.time_deleted !== 0) {
        throw refusal(
          "CannotExecuteOnDeletedCluster",
          `Cannot run execution on deleted cluster ${clusterId}`,
        );
      }
      return modelText(world.executions.create(found));
    },
  },
  {
    method: "PUT",
    path: "/execution/{id}",
    access: ["view_execution"],
    handle: () => {
      throw crash("Unimplemented method 'PUT'");
    },
  },
  {
    method: "DELETE",
    path: "/execution/{id}",
    access: ["view_execution", "delete_execution"],
    handle: ({ world, id }) =>
      modelText(
        world.executions.cancel(find(world.executions.collection, id)),
      ),
  },
  {
    method: "GET",
    path: "/execution/{id}/steps",
    access: ["view_execution", "view_execution_steps"],
    handle: ({ world, id, query }) => {
      const page = world.executions.steps(id, query);
      return listText(page.rows.map(stepText), page);
    },
  },
  {
    method: "GET",
    path: "/execution/{id}/log",
    access: ["view_execution", "view_execution_steps"],
    handle: async (context) => {
      const log = context.world.executions.log(context.id);
      if (log === undefined) throw standard("NotFound");
      return await logResponse(context, log);
    },
  },
];
