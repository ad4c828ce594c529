/** Users, roles, tokens and passwords. */
import { badRequest, crash, standard } from "./errors.ts";
import { type Context, type Route, route } from "./http.ts";
import { Float, isObject, type Json, type JsonObject, toJson } from "./json.ts";
import {
  type ApiPermission,
  type PermissionClass,
  PERMISSIONS,
  readPermissions,
} from "./playbooks.ts";
import { typeName } from "./python.ts";
import { find, routesOf } from "./resources.ts";
import { BODIES, MODELS } from "./schemas.ts";
import { Collection, modelText, toModel, type Version } from "./store.ts";
import type { World } from "./world.ts";

/** The data of a user. PUT does not check types, so any JSON is possible. */
export type UserData = {
  login: Json;
  email: Json;
  full_name: Json;
  role_id: Json;
};

/** The data of a role. */
export type RoleData = { name: Json; permissions: PermissionClass[] };

/** A version of a user. */
export type UserVersion = Version<UserData>;

/** A mail that a Decapod would have sent. */
export interface Mail {
  readonly to: string;
  readonly login: string;
  readonly subject: string;
  readonly text: string;
  /** In the mail to a new user. */
  readonly password?: string;
  /** In the mail to a user who forgot the password. */
  readonly resetToken?: string;
}

interface Token {
  readonly id: string;
  readonly userId: string;
  /** Milliseconds since 1970. */
  expires: number;
}

/** The lifetime of a password reset, in milliseconds. */
const RESET_LIFETIME = 24 * 60 * 60 * 1000;

/** Users, their roles and permissions, their passwords and tokens. */
export class Accounts {
  readonly users: Collection<UserData>;
  readonly roles: Collection<RoleData>;
  readonly mails: Mail[] = [];
  readonly #world: World;
  readonly #passwords = new Map<string, string>();
  readonly #tokens = new Map<string, Token>();
  readonly #resets = new Map<string, { userId: string; expires: number }>();

  constructor(world: World) {
    this.#world = world;
    this.users = new Collection(world, "user", [["full_name", 1]], {
      unique: ["login", "email"],
    });
    this.roles = new Collection(world, "role", [["name", 1]], {
      unique: ["name"],
    });
    const { rootLogin, rootPassword } = world.settings;
    const wheel = this.roles.create({
      name: "wheel",
      permissions: PERMISSIONS.map(({ name, permissions }) => ({
        name,
        permissions: [...permissions],
      })),
    }, null);
    const root = this.users.create({
      login: rootLogin,
      email: "noreply@example.com",
      full_name: "Root User",
      role_id: wheel.model_id,
    }, null);
    this.#passwords.set(root.model_id, rootPassword);
  }

  /** The undeleted user with this login. */
  byLogin(login: string): UserVersion | undefined {
    return this.users.holder("login", login);
  }

  setPassword(user: UserVersion, password: string): void {
    this.#passwords.set(user.model_id, password);
  }

  isPassword(user: UserVersion, password: string): boolean {
    return this.#passwords.get(user.model_id) === password;
  }

  /** Creates a user with a random password, and mails it. */
  createUser(data: UserData, initiatorId: string | null): UserVersion {
    const user = this.users.create(data, initiatorId);
    const password = this.#world.ids.secret(10);
    this.setPassword(user, password);
    this.mails.push({
      to: String(data.email),
      login: String(data.login),
      subject: "New password for Decapod",
      text: `Hello ${data.full_name}, your password is ${password}`,
      password,
    });
    return user;
  }

  issueToken(user: UserVersion): Token {
    const token = {
      id: this.#world.ids.uuid(),
      userId: user.model_id,
      expires: this.#world.time + this.#world.settings.tokenLifetime * 1000,
    };
    this.#tokens.set(token.id, token);
    return token;
  }

  /** The token with this id if it is valid; each use extends its life. */
  useToken(id: string): Token | undefined {
    const token = this.#tokens.get(id);
    if (token === undefined) return undefined;
    if (token.expires <= this.#world.time) {
      this.#tokens.delete(id);
      return undefined;
    }
    token.expires = this.#world.time +
      this.#world.settings.tokenLifetime * 1000;
    return token;
  }

  revokeToken(id: string): void {
    this.#tokens.delete(id);
  }

  /** Revokes all tokens of a user, or of all users. */
  revokeTokens(userId?: string): void {
    for (const token of this.#tokens.values()) {
      if (userId === undefined || token.userId === userId) {
        this.#tokens.delete(token.id);
      }
    }
  }

  role(user: UserVersion): Version<RoleData> | undefined {
    const { role_id: id } = user.data;
    return typeof id === "string" ? this.roles.latest(id) : undefined;
  }

  may(user: UserVersion, kind: "api" | "playbook", name: string): boolean {
    return this.role(user)?.data.permissions.some((item) =>
      item.name === kind && item.permissions.includes(name)
    ) ?? false;
  }

  /** Mails a token for setting a new password. */
  requestReset(user: UserVersion): void {
    const resetToken = this.#world.ids.secret(16, 4);
    this.#resets.set(resetToken, {
      userId: user.model_id,
      expires: this.#world.time + RESET_LIFETIME,
    });
    this.mails.push({
      to: String(user.data.email),
      login: String(user.data.login),
      subject: "Password reset for Decapod",
      text: `Your password reset token is ${resetToken}`,
      resetToken,
    });
  }

  /** The user whose password this reset token can set. */
  resetOwner(resetToken: string): string | undefined {
    const reset = this.#resets.get(resetToken);
    if (reset === undefined) return undefined;
    if (reset.expires > this.#world.time) return reset.userId;
    this.#resets.delete(resetToken);
    return undefined;
  }

  /** Sets the password, once, and revokes the user's tokens. */
  consumeReset(resetToken: string, password: string): void {
    const userId = this.resetOwner(resetToken);
    if (userId === undefined) throw standard("NotFound");
    const user = this.users.latest(userId);
    if (user === undefined || user.time_deleted !== 0) {
      throw badRequest("BadRequest", `Invalid user ${userId}`);
    }
    this.#resets.delete(resetToken);
    this.setPassword(this.users.save(user, user.data), password);
    this.revokeTokens(userId);
  }
}

/** Identifies the user of a request. 401 for any invalid token. */
export function authenticate(context: Context): UserVersion {
  const { accounts } = context.world;
  const header = context.request.headers.get("Authorization") ?? "";
  // Any word that begins with Bearer is accepted as the scheme.
  const id = header.startsWith("Bearer")
    ? header.slice(header.indexOf(" ") + 1)
    : header;
  const token = accounts.useToken(id);
  const user = token && accounts.users.latest(token.userId);
  if (token === undefined || user === undefined || user.time_deleted !== 0) {
    throw standard("Unauthorized");
  }
  context.user = user;
  context.token = token.id;
  context.tokenExpires = Math.floor(token.expires / 1000);
  return user;
}

/** 403 unless the user's role has all these permissions. */
export function authorize(
  context: Context,
  permissions: readonly ApiPermission[],
): void {
  const { accounts } = context.world;
  const user = context.user;
  for (const permission of permissions) {
    if (user === undefined || !accounts.may(user, "api", permission)) {
      throw standard("Forbidden");
    }
  }
}

/** 403 unless the user is allowed to run the playbook. */
export function authorizePlaybook(context: Context, playbookId: string): void {
  const user = context.user;
  const { accounts } = context.world;
  if (user === undefined || !accounts.may(user, "playbook", playbookId)) {
    throw standard("Forbidden");
  }
}

/** The members of `data` as sent; a crash if it is no object. */
function items(sent: Json): [string, Json][] {
  if (typeof sent !== "object" || sent === null || Array.isArray(sent)) {
    throw crash(`'${typeName(sent)}' object has no attribute 'items'`);
  }
  return Object.entries(sent);
}

/** The items that Python's `for` finds in a value; none in false. */
function iterate(value: Json): Json[] {
  if (Array.isArray(value)) return value;
  if (isObject(value)) return Object.keys(value);
  return value === false ? [] : [value];
}

/** The current fields, replaced by those that were sent. */
function overlay(current: JsonObject, sent: Json): JsonObject {
  const data = { ...current };
  for (const [name, value] of items(sent)) {
    if (Object.hasOwn(current, name)) data[name] = value;
  }
  return data;
}

const userRoutes = routesOf<UserData>({
  model: "user",
  collection: ({ accounts }) => accounts.users,
  view: ["view_user"],
  viewVersions: "view_user_versions",
  change: {
    schema: MODELS.user,
    permission: "edit_user",
    naming: "login",
    apply: (current, sent) => {
      const { login, email, full_name, role_id } = current;
      const known = { login, email, full_name, role_id };
      return { ...known, ...overlay(known, sent) };
    },
  },
  remove: {
    permission: "delete_user",
    then: ({ world }, user) => world.accounts.revokeTokens(user.model_id),
  },
});

const roleRoutes = routesOf<RoleData>({
  model: "role",
  collection: ({ accounts }) => accounts.roles,
  view: ["view_role"],
  viewVersions: "view_role_versions",
  change: {
    schema: MODELS.role,
    permission: "edit_role",
    naming: "name",
    apply: (current, sent) => {
      const { name = null, permissions } = overlay(current, sent);
      return {
        name,
        permissions: readPermissions(iterate(permissions ?? null)),
      };
    },
  },
  remove: {
    permission: "delete_role",
    check: ({ world }, role) => {
      for (const { data } of world.accounts.users.undeleted) {
        if (data.role_id === role.model_id) {
          throw standard("CannotDeleteRoleWithActiveUsers");
        }
      }
    },
  },
});

/** The routes of users, roles, logins and password resets. */
export const accountRoutes: readonly Route[] = [
  route("POST /auth", "public", async (context) => {
    const { world } = context;
    const { username, password } = await context.body(BODIES.login);
    const user = world.accounts.byLogin(String(username));
    if (!user || !world.accounts.isPassword(user, String(password))) {
      throw standard("Unauthorized");
    }
    const token = world.accounts.issueToken(user);
    context.tokenExpires = Math.floor(token.expires / 1000);
    return toJson({
      data: {
        expires_at: new Float(context.tokenExpires),
        user: toModel(user),
      },
      id: token.id,
      initiator_id: user.model_id,
      model: "token",
      time_deleted: 0,
      time_updated: world.seconds(),
      version: 1,
    });
  }),
  route("DELETE /auth", "token", (context) => {
    context.world.accounts.revokeToken(context.token ?? "");
    context.tokenExpires = undefined;
    return "{}";
  }),
  route(
    "GET /user/self",
    "token",
    ({ world, user }) =>
      modelText(find(world.accounts.users, user?.model_id ?? "")),
  ),
  route("GET /role/self", "token", ({ world, user }) => {
    const role = user && world.accounts.role(user);
    if (role === undefined) {
      throw Object.assign(standard("NotFound"), {
        message: "Cannot find role",
      });
    }
    return modelText(role);
  }),
  ...userRoutes,
  route("POST /user", ["view_user", "create_user"], async (context) => {
    const { login = null, email = null, full_name = null, role_id = null } =
      await context.body(BODIES.user);
    const data = { login, email, full_name, role_id };
    return modelText(
      context.world.accounts.createUser(data, context.userId),
    );
  }),
  ...roleRoutes,
  route("POST /role", ["view_role", "create_role"], async (context) => {
    const { name = null, permissions } = await context.body(BODIES.role);
    const known = readPermissions(
      Array.isArray(permissions) ? permissions : [],
    );
    const data = { name, permissions: known };
    return modelText(
      context.world.accounts.roles.create(data, context.userId),
    );
  }),
  route(
    "GET /permission",
    ["view_role"],
    () => toJson({ items: [...PERMISSIONS] }),
  ),
  route("POST /password_reset", "public", async (context) => {
    const { login } = await context.body(BODIES.passwordReset);
    const user = context.world.accounts.byLogin(String(login));
    if (user === undefined) {
      throw badRequest("UnknownUserError", `Unknown user with ID ${login}`);
    }
    context.world.accounts.requestReset(user);
    return toJson({ message: "Password reset was requested." });
  }),
  route("GET /password_reset/{text}", "public", ({ world, id }) => {
    if (world.accounts.resetOwner(id) === undefined) {
      throw standard("NotFound");
    }
    return toJson({ message: "Password reset was requested" });
  }),
  route("POST /password_reset/{text}", "public", async (context) => {
    const { password } = await context.body(BODIES.newPassword);
    context.world.accounts.consumeReset(context.id, String(password));
    return toJson({ message: "Password has been reset" });
  }),
];
