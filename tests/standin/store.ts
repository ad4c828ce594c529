/** Versioned models: a change or a deletion creates a new version. */
import { standard, type StandardError } from "./errors.ts";
import type { Query, Sort, Value } from "./filters.ts";
import { isObject, type JsonObject, toJson } from "./json.ts";
import { cut, type Page, Table } from "./table.ts";
import type { World } from "./world.ts";

/** One version of one model, as the database has it. */
export interface Version<D extends JsonObject = JsonObject> {
  /** The field `_id`: unique, ascending with each new version. */
  readonly seq: number;
  readonly model: string;
  readonly model_id: string;
  readonly version: number;
  readonly time_created: number;
  readonly time_deleted: number;
  readonly initiator_id: string | null;
  readonly data: D;
  is_latest: boolean;
  /** The JSON text, written when it is first needed. */
  text?: string;
}

/** What is special about a collection. */
export interface CollectionOptions<D> {
  /** The default order of listings; default: by name. */
  readonly sort?: Sort;
  /** Fields whose values are unique among undeleted models. */
  readonly unique?: readonly (keyof D & string)[];
  /**
   * Whether values of unique fields stay taken: by every version that is not
   * itself a deletion, including old ones and those of deleted models.
   */
  readonly staysTaken?: boolean;
  /** The model's own fields in the database, if they differ from its data. */
  readonly databaseFields?: (data: D) => JsonObject;
}

/** All models of one kind. */
export class Collection<D extends JsonObject> {
  readonly #versions = new Map<string, Version<D>[]>();
  readonly #taken = new Map<string, Map<unknown, string>>();
  readonly #undeleted: Table<Version<D>>;
  #seq = 0;

  constructor(
    private readonly world: Pick<World, "ids" | "seconds">,
    private readonly model: string,
    private readonly options: CollectionOptions<D>,
  ) {
    this.#undeleted = this.#table();
    for (const field of options.unique ?? []) {
      this.#taken.set(field, new Map());
    }
  }

  /** The undeleted models, in no particular order. */
  get undeleted(): Iterable<Version<D>> {
    return this.#undeleted;
  }

  /** The latest version, deleted or not. */
  latest(id: string): Version<D> | undefined {
    return this.#versions.get(id)?.at(-1);
  }

  version(id: string, version: number): Version<D> | undefined {
    return this.#versions.get(id)?.[version - 1];
  }

  /** The model whose latest version has this value in a unique field. */
  holder(field: keyof D & string, value: unknown): Version<D> | undefined {
    const id = this.#taken.get(field)?.get(value);
    const holder = id === undefined ? undefined : this.latest(id);
    return holder?.data[field] === value ? holder : undefined;
  }

  list(query: Query): Page<Version<D>> {
    const named = new Set(query.filter().map(({ field }) => field));
    if (!named.has("is_latest") && !named.has("time_deleted")) {
      return this.#undeleted.list(query);
    }
    const rows = [...this.#versions.values()].flat().filter((row) =>
      (named.has("is_latest") || row.is_latest) &&
      (named.has("time_deleted") || row.time_deleted === 0)
    );
    return this.#table(rows).list(query);
  }

  #table(rows: Version<D>[] = []): Table<Version<D>> {
    return new Table(this.#field, this.options.sort ?? [["name", 1]], rows);
  }

  /** The versions of one model, newest first. Filter and order are ignored. */
  listVersions(id: string, query: Query): Page<Version<D>> {
    return cut((this.#versions.get(id) ?? []).toReversed(), query);
  }

  create(
    data: D,
    initiatorId: string | null,
    id: string = this.world.ids.uuid(),
  ): Version<D> {
    this.#checkUnique(id, data, "ImpossibleToCreateSuchModel");
    return this.#insert(id, data, initiatorId, 0);
  }

  /** Creates the next version; default initiator: that of the current one. */
  save(
    current: Version<D>,
    data: D,
    initiatorId: string | null = current.initiator_id,
  ): Version<D> {
    this.checkAlive(current);
    return this.restore(current, data, initiatorId);
  }

  /** Creates the next version even if the model is deleted. */
  restore(
    current: Version<D>,
    data: D,
    initiatorId: string | null = current.initiator_id,
  ): Version<D> {
    const { model_id } = current;
    this.#checkUnique(model_id, data, "CannotUpdateModelWithSuchParameters");
    return this.#insert(model_id, data, initiatorId, 0);
  }

  /** Creates a version that marks the model as deleted. */
  remove(current: Version<D>, data: D = current.data): Version<D> {
    this.checkAlive(current);
    const { model_id, initiator_id } = current;
    return this.#insert(model_id, data, initiator_id, this.world.seconds());
  }

  checkAlive(current: Version<D>): void {
    if (current.time_deleted !== 0) throw standard("CannotUpdateDeletedModel");
  }

  #checkUnique(id: string, data: D, error: StandardError): void {
    for (const [field, taken] of this.#taken) {
      if ((taken.get(data[field]) ?? id) !== id) throw standard(error);
    }
  }

  #insert(
    id: string,
    data: D,
    initiatorId: string | null,
    timeDeleted: number,
  ): Version<D> {
    const versions = this.#versions.get(id) ?? [];
    const before = versions.at(-1);
    if (before !== undefined) {
      this.#undeleted.delete(before);
      before.is_latest = false;
      if (!this.options.staysTaken) {
        for (const [field, taken] of this.#taken) {
          taken.delete(before.data[field]);
        }
      }
    }
    const row: Version<D> = {
      seq: ++this.#seq,
      model: this.model,
      model_id: id,
      version: versions.length + 1,
      time_created: this.world.seconds(),
      time_deleted: timeDeleted,
      initiator_id: initiatorId,
      is_latest: true,
      data,
    };
    versions.push(row);
    this.#versions.set(id, versions);
    if (timeDeleted === 0) {
      this.#undeleted.add(row);
      for (const [field, taken] of this.#taken) taken.set(data[field], id);
    }
    return row;
  }

  readonly #field = (row: Version<D>, name: string): Value => {
    const common = COMMON.find((field) => field === name);
    if (common !== undefined) return row[common];
    const own = this.options.databaseFields?.(row.data) ?? row.data;
    return name.includes(".") ? path(own, name.split(".")) : own[name];
  };
}

/** The fields that all models have in the database. */
const COMMON = [
  ...["model_id", "version", "initiator_id"] as const,
  ...["time_created", "time_deleted", "is_latest"] as const,
];

/** Follows a dotted path, also into the items of lists. */
export function path(value: Value, names: readonly string[]): Value {
  const [name, ...rest] = names;
  if (name === undefined) return value;
  if (Array.isArray(value)) {
    return value.map((item) => path(item, names) ?? null);
  }
  return isObject(value) && Object.hasOwn(value, name)
    ? path(value[name], rest)
    : undefined;
}

/** A version as the API shows it. */
export function toModel(row: Version): JsonObject {
  return {
    data: row.data,
    id: row.model_id,
    initiator_id: row.initiator_id,
    model: row.model,
    time_deleted: row.time_deleted,
    time_updated: row.time_created,
    version: row.version,
  };
}

/** The JSON text of a version. */
export function modelText(row: Version): string {
  return row.text ??= toJson(toModel(row));
}
