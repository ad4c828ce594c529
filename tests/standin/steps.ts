/** Steps: the results of one task on one server. */
import type { Value } from "./filters.ts";
import type { JsonObject } from "./json.ts";
import { path, type Version } from "./store.ts";
import { Table } from "./table.ts";

/** The results of steps, with the numbers that filters use. */
const RESULTS = { ok: 1, error: 2, skipped: 3 };

/** A step, in the only version that it has. */
export type Step = Version<{
  execution_id: string;
  role: string;
  name: string;
  result: keyof typeof RESULTS;
  error: JsonObject;
  server_id: string;
  time_started: number;
  time_finished: number;
}>;

/** A table of steps, the latest first. */
export function stepTable(): Table<Step> {
  return new Table<Step>(stepField, [
    ["time_finished", -1],
    ["time_started", -1],
  ], []);
}

function stepField({ data }: Step, name: string): Value {
  return name === "result" ? RESULTS[data.result] : path(data, name.split("."));
}
