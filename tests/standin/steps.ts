/** Steps: the results of one task on one server. */
import type { Value } from "./filters.ts";
import { isObject, type JsonObject, toJson } from "./json.ts";
import { Table } from "./table.ts";

/** The results of steps, with the numbers that filters use. */
const RESULTS = { ok: 1, error: 2, skipped: 3, unreachable: 4 };

/** How a step ended. */
export type StepResult = keyof typeof RESULTS;

/** One step. */
export interface Step {
  readonly seq: number;
  readonly id: string;
  readonly fields: {
    readonly execution_id: string;
    readonly role: string;
    readonly name: string;
    readonly result: StepResult;
    readonly error: JsonObject;
    readonly server_id: string;
    readonly time_started: number;
    readonly time_finished: number;
  };
  /** The JSON text, written when it is first needed. */
  text?: string;
}

/** A table of steps, the latest first. */
export function stepTable(): Table<Step> {
  return new Table<Step>(stepField, [
    ["time_finished", -1],
    ["time_started", -1],
  ]);
}

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

/** A step as the API shows it. */
export function stepText(step: Step): string {
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
