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
    execution_id: string;
    role: string;
    name: string;
    result: StepResult;
    error: JsonObject;
    server_id: string;
    time_started: number;
    time_finished: number;
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
  let value: Value = fields;
  for (const key of name.split(".")) {
    value = isObject(value) && Object.hasOwn(value, key)
      ? value[key]
      : undefined;
  }
  return value;
}

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
