/** The seven routes that every versioned model has. */
import { ApiError, crash, standard } from "./errors.ts";
import {
  type Access,
  type Context,
  pageText,
  type Route,
  route,
} from "./http.ts";
import type { Json, JsonObject } from "./json.ts";
import type { ApiPermission } from "./playbooks.ts";
import { subscript } from "./python.ts";
import { checkObject, type Schema } from "./schemas.ts";
import { type Collection, modelText, type Version } from "./store.ts";
import type { World } from "./world.ts";

/** The properties of one kind of model. */
export interface Resource<D extends JsonObject> {
  readonly model: string;
  readonly collection: (world: World) => Collection<D>;
  readonly view: readonly ApiPermission[];
  /** The further permission for listing versions. */
  readonly viewVersions: ApiPermission;
  /** The further permissions for one version; default: `viewVersions`. */
  readonly viewVersion?: readonly ApiPermission[];
  readonly change?: {
    readonly schema: Schema;
    readonly permission: ApiPermission;
    /** The field that the server logs for a duplicate. */
    readonly naming?: string;
    /** The new data, from the current data and the data that was sent. */
    readonly apply: (current: D, sent: Json) => D;
    readonly then?: (context: Context, changed: Version<D>) => void;
  };
  readonly remove?: {
    readonly permission: ApiPermission;
    /** Throws if the model cannot be deleted. */
    readonly check?: (context: Context, current: Version<D>) => void;
    readonly then?: (context: Context, removed: Version<D>) => void;
  };
}

/** The routes of a resource, except POST. */
export function routesOf<D extends JsonObject>(
  { model, collection, view, change, remove, ...resource }: Resource<D>,
): Route[] {
  const viewVersions = [...view, resource.viewVersions];
  const viewVersion = resource.viewVersion
    ? [...view, ...resource.viewVersion]
    : viewVersions;
  const get = (
    path: string,
    access: Access,
    read: (models: Collection<D>, context: Context) => string,
  ) =>
    route(
      `GET /${model}${path}`,
      access,
      (context) => read(collection(context.world), context),
    );
  const routes = [
    get("", view, (models, { query }) => pageText(models.list(query))),
    get("/{id}", view, (models, { id }) => modelText(find(models, id))),
    get("/{id}/version", viewVersions, (models, { id, query }) => {
      return pageText(models.listVersions(id, query));
    }),
    get("/{id}/version/{number}", viewVersion, (models, { id, args }) => {
      const number = Number(args[1]);
      checkInteger(number);
      const found = models.version(id, number);
      if (found === undefined) throw standard("NotFound");
      return modelText(found);
    }),
  ];
  if (change !== undefined) {
    const access = [...view, change.permission];
    const put = route(`PUT /${model}/{id}`, access, async (context) => {
      const models = collection(context.world);
      find(models, context.id);
      const json = await context.json();
      // The model may have changed while the body was read.
      const current = find(models, context.id);
      const sent = checkObject(json, change.schema);
      checkManagedFields(current, sent);
      const data = change.apply(current.data, sent.data ?? null);
      const { insertDuration } = context.world.settings;
      if (insertDuration > 0) {
        await new Promise((resolve) => setTimeout(resolve, insertDuration));
      }
      try {
        // Another PUT of this version may have been faster: then the number of
        // the next version is taken.
        if (models.latest(context.id) !== current) {
          throw standard("CannotUpdateModelWithSuchParameters");
        }
        const changed = models.save(current, data, context.userId);
        change.then?.(context, changed);
        return modelText(changed);
      } catch (error) {
        const duplicate = error instanceof ApiError &&
          error.error === "CannotUpdateModelWithSuchParameters";
        // The server logs this field, and crashes if it is missing.
        if (duplicate && change.naming) {
          subscript(sent.data ?? null, change.naming);
        }
        throw error;
      }
    });
    routes.push(put);
  }
  if (remove !== undefined) {
    const access = [...view, remove.permission];
    routes.push(route(`DELETE /${model}/{id}`, access, (context) => {
      const models = collection(context.world);
      const current = find(models, context.id);
      remove.check?.(context, current);
      const removed = models.remove(current);
      remove.then?.(context, removed);
      return modelText(removed);
    }));
  }
  return routes;
}

/** A crash if a number is too large for the database. */
export function checkInteger(value: number): void {
  if (value >= 2 ** 63) throw crash("BSON can only handle up to 8-byte ints");
}

/** The latest version of a model, or 404. */
export function find<D extends JsonObject>(
  models: Collection<D>,
  id: string,
): Version<D> {
  const found = models.latest(id);
  if (found === undefined) throw standard("NotFound");
  return found;
}

function checkManagedFields(current: Version, sent: JsonObject): void {
  const same = current.time_created === sent.time_updated &&
    current.time_deleted === sent.time_deleted &&
    current.model_id === sent.id &&
    current.version === sent.version &&
    current.initiator_id === sent.initiator_id;
  if (!same) throw standard("CannotUpdateManagedFieldsError");
}
