/** The schemas of request bodies, and the messages for invalid ones. */
import { badRequest } from "./errors.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import { repr } from "./python.ts";
import { pythonRegExp } from "./regexp.ts";

/**
 * A schema: the keywords of JSON Schema (draft 4) that Decapod uses. They are
 * checked in the order of the object, with one message each.
 */
export interface Schema {
  readonly type?: Type;
  readonly enum?: readonly Json[];
  readonly format?: "email" | "hostname" | "ipv4" | "ipv6";
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly multipleOf?: number;
  readonly minimum?: number;
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: false;
  readonly required?: readonly string[];
}

type Type = "null" | "boolean" | "number" | "string" | "array" | "object";

/** Throws InvalidJSONError, with one message a line, for an invalid value. */
export function checkSchema(value: Json, schema: Schema): void {
  const messages = [...validate(value, schema)];
  if (messages.length > 0) {
    throw badRequest("InvalidJSONError", messages.join("\n"));
  }
}

/** The same for an object, which is returned. */
export function checkObject(value: Json, schema: Schema): JsonObject {
  checkSchema(value, schema);
  if (!isObject(value)) throw new TypeError("The schema is not of an object");
  return value;
}

/** The messages for an invalid value. */
export function* validate(value: Json, schema: Schema): Generator<string> {
  for (const keyword of Object.keys(schema)) {
    if (isKeyword(keyword)) yield* KEYWORDS[keyword](value, schema);
  }
}

function isKeyword(name: string): name is keyof Schema {
  return Object.hasOwn(KEYWORDS, name);
}

function fits(value: Json, schema: Schema): boolean {
  return validate(value, schema).next().done === true;
}

const TYPES: Record<Type, (value: Json) => boolean> = {
  null: (value) => value === null,
  boolean: (value) => typeof value === "boolean",
  number: (value) => typeof value === "number",
  string: (value) => typeof value === "string",
  array: (value) => Array.isArray(value),
  object: isObject,
};

const KEYWORDS: Record<
  keyof Schema,
  (value: Json, schema: Schema) => Iterable<string>
> = {
  *type(value, { type }) {
    if (type !== undefined && !TYPES[type](value)) {
      yield `${repr(value)} is not of type ${repr(type)}`;
    }
  },
  *enum(value, { enum: allowed = [] }) {
    if (!allowed.includes(value)) {
      yield `${repr(value)} is not one of ${repr([...allowed])}`;
    }
  },
  *format(value, { format }) {
    if (typeof value === "string" && format && !FORMATS[format](value)) {
      yield `${repr(value)} is not a ${repr(format)}`;
    }
  },
  *pattern(value, { pattern = "" }) {
    if (typeof value === "string" && !pythonRegExp(pattern).test(value)) {
      yield `${repr(value)} does not match ${repr(pattern)}`;
    }
  },
  *minLength(value, { minLength = 0 }) {
    if (typeof value === "string" && length(value) < minLength) {
      yield `${repr(value)} is too short`;
    }
  },
  *maxLength(value, { maxLength = Infinity }) {
    if (typeof value === "string" && length(value) > maxLength) {
      yield `${repr(value)} is too long`;
    }
  },
  *multipleOf(value, { multipleOf = 1 }) {
    if (typeof value === "number" && value % multipleOf !== 0) {
      yield `${repr(value)} is not a multiple of ${multipleOf.toFixed(1)}`;
    }
  },
  *minimum(value, { minimum = -Infinity }) {
    if (typeof value === "number" && value < minimum) {
      yield `${repr(value)} is less than the minimum of ${minimum}`;
    }
  },
  *items(value, { items = {} }) {
    if (!Array.isArray(value)) return;
    for (const item of value) yield* validate(item, items);
  },
  *allOf(value, { allOf = [] }) {
    for (const schema of allOf) yield* validate(value, schema);
  },
  *anyOf(value, { anyOf = [] }) {
    if (!anyOf.some((schema) => fits(value, schema))) {
      yield `${repr(value)} is not valid under any of the given schemas`;
    }
  },
  *properties(value, { properties = {} }) {
    if (!isObject(value)) return;
    for (const [name, schema] of Object.entries(properties)) {
      const item = Object.hasOwn(value, name) ? value[name] : undefined;
      if (item !== undefined) yield* validate(item, schema);
    }
  },
  *additionalProperties(value, { properties = {} }) {
    if (!isObject(value)) return;
    const extra = Object.keys(value).filter((name) =>
      !Object.hasOwn(properties, name)
    );
    if (extra.length > 0) {
      const names = extra.map(repr).join(", ");
      const verb = extra.length === 1 ? "was" : "were";
      yield `Additional properties are not allowed (${names} ${verb} unexpected)`;
    }
  },
  *required(value, { required = [] }) {
    if (!isObject(value)) return;
    for (const name of required) {
      if (!Object.hasOwn(value, name)) {
        yield `${repr(name)} is a required property`;
      }
    }
  },
};

/** The number of characters, not of UTF-16 units. */
function length(text: string): number {
  return [...text].length;
}

const FORMATS: Record<
  NonNullable<Schema["format"]>,
  (text: string) => boolean
> = {
  email: (text) => text.includes("@"),
  hostname: (text) =>
    /^[A-Za-z0-9][A-Za-z0-9.-]{1,255}$/.test(text) &&
    text.split(".").every((label) => label.length <= 63),
  ipv4: (text) =>
    /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text) &&
    text.split(".").every((part) => Number(part) <= 255),
  ipv6: (text) => text.includes(":") && URL.canParse(`http://[${text}]/`),
};

const ANY_TEXT: Schema = { type: "string", maxLength: 1024 };

const TEXT: Schema = { type: "string", minLength: 1, maxLength: 1024 };

const UUID4: Schema = {
  type: "string",
  pattern:
    "^[a-f0-9]{8}-?[a-f0-9]{4}-?4[a-f0-9]{3}-?[89ab][a-f0-9]{3}-?[a-f0-9]{12}$",
};

/** Ids of servers come from their boards: not all are UUIDs. */
const SERVER_ID: Schema = {
  type: "string",
  pattern: "^[a-fA-F0-9-]{32,38}$",
};

const COUNT: Schema = { type: "number", multipleOf: 1, minimum: 0 };

/** An object with exactly these properties. */
function object(
  properties: Record<string, Schema>,
  required: readonly string[] = Object.keys(properties),
): Schema {
  return { type: "object", properties, additionalProperties: false, required };
}

/** A whole model, as PUT accepts it. Its data is not validated. */
function modelSchema(model: string, id: Schema = UUID4): Schema {
  return object({
    id,
    model: { enum: [model] },
    time_updated: COUNT,
    time_deleted: COUNT,
    version: COUNT,
    initiator_id: { anyOf: [{ type: "null" }, UUID4] },
    data: {},
  });
}

/** The bodies of PUT, by model. */
export const MODELS = {
  user: modelSchema("user"),
  role: modelSchema("role"),
  cluster: modelSchema("cluster"),
  server: modelSchema("server", SERVER_ID),
  playbook_configuration: modelSchema("playbook_configuration"),
} satisfies Record<string, Schema>;

/** The bodies of POST, by what they create. */
export const BODIES = {
  login: object({ username: ANY_TEXT, password: ANY_TEXT }),
  passwordReset: object({ login: TEXT }),
  newPassword: object({ password: TEXT }),
  user: object({
    login: TEXT,
    email: {
      allOf: [
        { type: "string", format: "email" },
        {
          type: "string",
          pattern: "^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\\.[a-zA-Z0-9-.]+$",
        },
      ],
    },
    full_name: TEXT,
    role_id: { anyOf: [UUID4, { type: "null" }] },
  }),
  role: object({
    name: TEXT,
    permissions: {
      type: "array",
      items: {
        type: "object",
        required: ["name", "permissions"],
        additionalProperties: false,
        properties: {
          name: TEXT,
          permissions: { type: "array", items: TEXT },
        },
      },
    },
  }),
  cluster: object({
    name: { type: "string", pattern: "^[a-zA-Z0-9]+$", maxLength: 1024 },
  }),
  server: object({
    host: {
      anyOf: [
        { type: "string", format: "hostname" },
        { type: "string", format: "ipv4" },
        { type: "string", format: "ipv6" },
      ],
    },
    username: TEXT,
    id: SERVER_ID,
    // A missing property crashes the server later.
  }, []),
  playbookConfiguration: object(
    {
      name: TEXT,
      cluster_id: UUID4,
      playbook_id: TEXT,
      server_ids: { type: "array", items: SERVER_ID },
      hints: {
        type: "array",
        items: {
          type: "object",
          required: ["id", "value"],
          additionalProperties: false,
          properties: {
            id: TEXT,
            value: {
              anyOf: [ANY_TEXT, COUNT, { type: "boolean" }, { type: "array" }],
            },
          },
        },
      },
      run: { type: "boolean" },
    },
    ["name", "cluster_id", "playbook_id", "server_ids", "hints"],
  ),
  execution: object({
    playbook_configuration: {
      type: "object",
      additionalProperties: false,
      required: ["id", "version"],
      properties: { id: UUID4, version: COUNT },
    },
  }),
} satisfies Record<string, Schema>;
