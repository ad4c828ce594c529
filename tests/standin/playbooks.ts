/** The playbooks of the server, with their hints, and all permissions. */
import { badRequest, crash } from "./errors.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import { PLAYBOOK_ROWS } from "./playbook_rows.ts";

/** An option of a playbook. */
type Hint = {
  id: string;
  type: "boolean" | "integer" | "string";
  description: string;
  default_value: boolean | number | string;
  /** The possible values; if empty, each value of the type. */
  values: string[];
};

/** A playbook, as the API lists it. */
export type Playbook = {
  id: string;
  name: string;
  description: string;
  required_server_list: boolean;
  /** Which servers it can run on. */
  server_list_policy:
    | "any_server"
    | "in_this_cluster"
    | "not_in_other_cluster"
    | "not_in_any_cluster";
  hints: Hint[];
};

/** Every playbook, in the order of the listing. */
export const PLAYBOOKS: readonly Playbook[] = PLAYBOOK_ROWS.split("\n")
  .map((row) => JSON.parse(row));

const API_PERMISSIONS = [
  ...["create_cluster", "create_execution", "create_playbook_configuration"],
  ...["create_role", "create_server", "create_user"],
  ...["delete_cluster", "delete_execution", "delete_playbook_configuration"],
  ...["delete_role", "delete_server", "delete_user"],
  ...["edit_cluster", "edit_playbook_configuration", "edit_role"],
  ...["edit_server", "edit_user"],
  ...["view_cinder", "view_cluster", "view_cluster_versions", "view_execution"],
  ...["view_execution_steps", "view_execution_version"],
  ...["view_playbook_configuration", "view_playbook_configuration_version"],
  ...["view_role", "view_role_versions", "view_server", "view_server_versions"],
  ...["view_user", "view_user_versions"],
] as const;

/** A permission of class `api`. */
export type ApiPermission = typeof API_PERMISSIONS[number];

/** The permissions of one class. */
export type PermissionClass = { name: string; permissions: string[] };

/** All known permissions. */
export const PERMISSIONS: PermissionClass[] = [
  { name: "playbook", permissions: PLAYBOOKS.map(({ id }) => id).sort() },
  { name: "api", permissions: [...API_PERMISSIONS] },
];

/**
 * Reads the permissions of a role as sent. An unknown class is an error, an
 * unknown permission is dropped.
 */
export function readPermissions(sent: readonly Json[]): PermissionClass[] {
  const permitted = new Map<string, string[]>();
  for (const item of sent) {
    if (typeof item === "string") {
      throw crash("string indices must be integers");
    }
    if (!isObject(item)) throw crash("the permissions are not readable");
    const known = PERMISSIONS.find(({ name }) => name === item.name);
    if (known === undefined) {
      throw badRequest("BadRequest", "There is no such class of permissions.");
    }
    const names = Array.isArray(item.permissions) ? item.permissions : [];
    permitted.set(
      known.name,
      known.permissions.filter((name) => names.includes(name)),
    );
  }
  return [...permitted].map(([name, permissions]) => ({ name, permissions }));
}

/** Validates the hints of a body and adds the defaults. */
export function readHints({ hints }: Playbook, sent: Json): JsonObject {
  const read: JsonObject = {};
  for (const { id, default_value } of hints) read[id] = default_value;
  // Playbooks without hints ignore all values.
  if (hints.length === 0 || !Array.isArray(sent)) return read;
  for (const item of sent) {
    const { id, value = null } = isObject(item) ? item : {};
    const hint = hints.find((hint) => hint.id === id);
    const isValid = hint?.type === "integer"
      ? Number.isInteger(value)
      : typeof value === hint?.type && (hint.values.length === 0 ||
        hint.values.some((item) => item === value));
    if (hint === undefined || !isValid) throw crash("Cannot validate hints");
    read[hint.id] = value;
  }
  return read;
}
