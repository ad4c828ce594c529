/** Users, roles, tokens and passwords. */
import { ApiError, badRequest, crash, standard } from "./errors.ts";
import { type Context, type Route, route } from "./http.ts";
import { Float, isObject, type Json, type JsonObject, toJson } from "./json.ts";
import {
  type PermissionClass,
  PERMISSIONS,
  readPermissions,
} from "./playbooks.ts";
import { typeName } from "./python.ts";
import { find, routesOf } from "./resources.ts";
import { BODIES } from "./schemas.ts";
import { Collection, modelText, toModel, type Version } from "./store.ts";
import type { World } from "./world.ts";

/** The data of a user. PUT does not check types, so any JSON is possible. */
type UserData = { login: Json; email: Json; full_name: Json; role_id: Json };

/** The data of a role. */
type RoleData = { name: Json; permissions: PermissionClass[] };

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

/** What a token or a password reset permits, and until when. */
interface Grant {
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
  readonly #passwords = new Map<string, string>();
  readonly #tokens = new Map<string, Grant>();
  readonly #resets = new Map<string, Grant>();

  constructor(private readonly world: World) {
    this.users = new Collection(world, "user", {
      sort: [["full_name", 1]],
      unique: ["login", "email"],
    });
    this.roles = new Collection(world, "role", { unique: ["name"] });
    const { rootLogin, rootPassword } = world.settings;
    const data = { name: "wheel", permissions: PERMISSIONS };
    const wheel = this.roles.create(data, null);
    const root = this.users.create({
      login: rootLogin,
      email: "noreply@example.com",
      full_name: "Root User",
      role_id: wheel.model_id,
    }, null);
    this.setPassword(root, rootPassword);
  }

  /** The undeleted user with this login. */
  byLogin(login: string): UserVersion | undefined {
    return this.users.holder("login", login);
  }

  setPassword(user: UserVersion, password: string): void {
    this.#passwords.set(user.model_id, password);
  }

  /** Creates a user with a random password, and mails it. */
  createUser(data: UserData, initiatorId: string | null): UserVersion {
    const user = this.users.create(data, initiatorId);
    const password = this.world.ids.secret(10);
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

  /** The id of a new token; undefined if the login or password is wrong. */
  logIn(login: string, password: string): string | undefined {
    const user = this.byLogin(login);
    if (!user || this.#passwords.get(user.model_id) !== password) return;
    const id = this.world.ids.uuid();
    this.#tokens.set(id, { userId: user.model_id, expires: Infinity });
    return id;
  }

  /** Identifies the user of a token; each use extends its life. */
  useToken(id: string): { user: UserVersion; expires: number } | undefined {
    const token = this.#valid(this.#tokens, id);
    const user = token && this.users.latest(token.userId);
    if (token === undefined || user?.time_deleted !== 0) return undefined;
    const { time, settings } = this.world;
    token.expires = time + settings.tokenLifetime * 1000;
    return { user, expires: Math.floor(token.expires / 1000) };
  }

  #valid(grants: Map<string, Grant>, id: string): Grant | undefined {
    const grant = grants.get(id);
    return grant && grant.expires > this.world.time ? grant : undefined;
  }

  revokeToken(id: string): void {
    this.#tokens.delete(id);
  }

  /** Revokes all tokens of a user, or of all users. */
  revokeTokens(userId?: string): void {
    for (const [id, token] of this.#tokens) {
      if (token.userId === (userId ?? token.userId)) this.#tokens.delete(id);
    }
  }

  role(user: UserVersion): Version<RoleData> | undefined {
    const { role_id: id } = user.data;
    return typeof id === "string" ? this.roles.latest(id) : undefined;
  }

  /** Mails a token for setting a new password. */
  requestReset({ model_id, data }: UserVersion): void {
    const resetToken = this.world.ids.secret(16, 4);
    const expires = this.world.time + RESET_LIFETIME;
    this.#resets.set(resetToken, { userId: model_id, expires });
    this.mails.push({
      to: String(data.email),
      login: String(data.login),
      subject: "Password reset for Decapod",
      text: `Your password reset token is ${resetToken}`,
      resetToken,
    });
  }

  /** The id of the user whose password this reset token can set; else 404. */
  resetOwner(resetToken: string): string {
    const reset = this.#valid(this.#resets, resetToken);
    if (reset === undefined) throw standard("NotFound");
    return reset.userId;
  }

  /** Sets the password, once, and revokes the user's tokens. */
  consumeReset(resetToken: string, password: string): void {
    const userId = this.resetOwner(resetToken);
    const user = this.users.latest(userId);
    if (user?.time_deleted !== 0) {
      throw badRequest("BadRequest", `Invalid user ${userId}`);
    }
    this.#resets.delete(resetToken);
    this.setPassword(this.users.save(user, user.data), password);
    this.revokeTokens(userId);
  }
}

/** Identifies the user of a request. 401 for any invalid token. */
export function authenticate(context: Context): void {
  const header = context.request.headers.get("Authorization") ?? "";
  // Any word that begins with Bearer is accepted as the scheme.
  context.token = header.replace(/^Bearer\S* /, "");
  const used = context.world.accounts.useToken(context.token);
  if (used === undefined) throw standard("Unauthorized");
  context.user = used.user;
  context.tokenExpires = used.expires;
}

/** 403 unless the user's role has all these permissions. */
export function authorize(
  { world, user }: Context,
  kind: "api" | "playbook",
  ...names: readonly string[]
): void {
  const role = user && world.accounts.role(user);
  const { permissions = [] } =
    role?.data.permissions.find(({ name }) => name === kind) ?? {};
  if (!names.every((name) => permissions.includes(name))) {
    throw standard("Forbidden");
  }
}

/** The fields of a model, with the values that were sent. */
function overlay(current: JsonObject, sent: Json): JsonObject {
  if (!isObject(sent)) {
    throw crash(`'${typeName(sent)}' object has no attribute 'items'`);
  }
  return Object.fromEntries(
    Object.entries({ ...current, ...sent })
      .filter(([name]) => Object.hasOwn(current, name)),
  );
}

/** The items that Python's `for` finds in a value; none in false. */
function iterate(value: Json): Json[] {
  if (Array.isArray(value)) return value;
  if (isObject(value)) return Object.keys(value);
  return value === false ? [] : [value];
}

/** The routes of users, roles, logins and password resets. */
export const accountRoutes: readonly Route[] = [
  route("POST /auth", "public", async (context) => {
    const { accounts } = context.world;
    const { username, password } = await context.body(BODIES.login);
    const id = accounts.logIn(String(username), String(password));
    const used = id && accounts.useToken(id);
    if (!id || !used) throw standard("Unauthorized");
    context.tokenExpires = used.expires;
    return toJson({
      data: { expires_at: new Float(used.expires), user: toModel(used.user) },
      id,
      initiator_id: used.user.model_id,
      model: "token",
      time_deleted: 0,
      time_updated: context.world.seconds(),
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
    ({ world, userId }) => modelText(find(world.accounts.users, userId ?? "")),
  ),
  route("GET /role/self", "token", ({ world, user }) => {
    const role = user && world.accounts.role(user);
    if (role) return modelText(role);
    throw new ApiError(404, "NotFound", "Cannot find role");
  }),
  ...routesOf<UserData>({
    model: "user",
    collection: ({ accounts }) => accounts.users,
    create: async (context) => {
      const { login = null, email = null, full_name = null, role_id = null } =
        await context.body(BODIES.user);
      const data = { login, email, full_name, role_id };
      return modelText(context.world.accounts.createUser(data, context.userId));
    },
    naming: "login",
    change: (current, sent) => ({ ...current, ...overlay(current, sent) }),
    removed: ({ world }, { model_id }) => world.accounts.revokeTokens(model_id),
  }),
  ...routesOf<RoleData>({
    model: "role",
    collection: ({ accounts }) => accounts.roles,
    create: async (context) => {
      const { name = null, permissions } = await context.body(BODIES.role);
      const sent = Array.isArray(permissions) ? permissions : [];
      const data = { name, permissions: readPermissions(sent) };
      const { roles } = context.world.accounts;
      return modelText(roles.create(data, context.userId));
    },
    naming: "name",
    change: (current, sent) => {
      const { name = null, permissions = null } = overlay(current, sent);
      return { name, permissions: readPermissions(iterate(permissions)) };
    },
    checkRemoval: ({ world }, { model_id }) => {
      for (const { data } of world.accounts.users.undeleted) {
        if (data.role_id === model_id) {
          throw standard("CannotDeleteRoleWithActiveUsers");
        }
      }
    },
  }),
  route("GET /permission", ["view_role"], () => toJson({ items: PERMISSIONS })),
  route("POST /password_reset", "public", async (context) => {
    const { accounts } = context.world;
    const { login } = await context.body(BODIES.passwordReset);
    const user = accounts.byLogin(String(login));
    if (user === undefined) {
      throw badRequest("UnknownUserError", `Unknown user with ID ${login}`);
    }
    accounts.requestReset(user);
    return toJson({ message: "Password reset was requested." });
  }),
  route("GET /password_reset/{text}", "public", ({ world, id }) => {
    world.accounts.resetOwner(id);
    return toJson({ message: "Password reset was requested" });
  }),
  route("POST /password_reset/{text}", "public", async (context) => {
    const { password } = await context.body(BODIES.newPassword);
    context.world.accounts.consumeReset(context.id, String(password));
    return toJson({ message: "Password has been reset" });
  }),
];
