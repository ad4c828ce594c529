/** The routes that all versioned models have. */
import { ApiError, crash, standard } from "./errors.ts";
import { type Context, pageText, type Route, route } from "./http.ts";
import type { Json, JsonObject } from "./json.ts";
import type { ApiPermission } from "./playbooks.ts";
import { subscript } from "./python.ts";
import { checkObject, modelSchema } from "./schemas.ts";
import { type Collection, modelText, type Version } from "./store.ts";
import type { World } from "./world.ts";

/** The model that a permission allows to create. */
type Created<P> = P extends `create_${infer Model}` ? Model : never;

/** What one kind of model has of its own. */
interface Resource<D extends JsonObject> {
  readonly model: Created<ApiPermission>;
  readonly collection: (world: World) => Collection<D>;
  /** Handles POST. */
  readonly create?: Route["handle"];
  /** The field that the server logs for a duplicate. */
  readonly naming?: string;
  /** The new data, from the current data and the data that was sent. */
  readonly change?: (current: D, sent: Json) => D;
  readonly changed?: (context: Context, changed: Version<D>) => void;
  /** Throws if the model cannot be deleted. */
  readonly checkRemoval?: (context: Context, current: Version<D>) => void;
  readonly removed?: (context: Context, removed: Version<D>) => void;
}

/** The routes of a resource; PUT and DELETE only if it has `change`. */
export function routesOf<D extends JsonObject>(
  { model, collection, create, change, ...resource }: Resource<D>,
): Route[] {
  const view: ApiPermission = `view_${model}`;
  const isShort = model === "execution" || model === "playbook_configuration";
  const versions: ApiPermission[] = [
    view,
    isShort ? `view_${model}_version` : `view_${model}_versions`,
  ];
  const get = (
    path: string,
    access: ApiPermission[],
    read: (models: Collection<D>, context: Context) => string,
  ) =>
    route(
      `GET /${model}${path}`,
      access,
      (context) => read(collection(context.world), context),
    );
  const oneVersion = model === "execution" ? [view] : versions;
  const routes = [
    get("", [view], (models, { query }) => pageText(models.list(query))),
    get("/{id}", [view], (models, { id }) => modelText(find(models, id))),
    get("/{id}/version", versions, (models, { id, query }) => {
      return pageText(models.listVersions(id, query));
    }),
    get("/{id}/version/{number}", oneVersion, (models, { id, args }) => {
      const number = Number(args[1]);
      checkInteger(number);
      const found = models.version(id, number);
      if (found === undefined) throw standard("NotFound");
      return modelText(found);
    }),
  ];
  if (create) {
    routes.push(route(`POST /${model}`, [view, `create_${model}`], create));
  }
  if (change === undefined || model === "execution") return routes;
  const schema = modelSchema(model);
  const edit: ApiPermission[] = [view, `edit_${model}`];
  const put = route(`PUT /${model}/{id}`, edit, async (context) => {
    const models = collection(context.world);
    find(models, context.id);
    const json = await context.json();
    // The model may have changed while the body was read.
    const current = find(models, context.id);
    const sent = checkObject(json, schema);
    checkManagedFields(current, sent);
    const data = change(current.data, sent.data ?? null);
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
      resource.changed?.(context, changed);
      return modelText(changed);
    } catch (error) {
      const duplicate = error instanceof ApiError &&
        error.error === "CannotUpdateModelWithSuchParameters";
      // The server logs this field, and crashes if it is missing.
      if (duplicate && resource.naming) {
        subscript(sent.data ?? null, resource.naming);
      }
      throw error;
    }
  });
  const access: ApiPermission[] = [view, `delete_${model}`];
  const remove = route(`DELETE /${model}/{id}`, access, (context) => {
    const models = collection(context.world);
    const current = find(models, context.id);
    resource.checkRemoval?.(context, current);
    const removed = models.remove(current);
    resource.removed?.(context, removed);
    return modelText(removed);
  });
  return [...routes, put, remove];
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
