/** The schemas of request bodies, and the messages for invalid ones. */
import { badRequest } from "./errors.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import { repr } from "./python.ts";
import { pythonRegExp } from "./regexp.ts";

/**
 * A schema, as Decapod writes it in JSON Schema (draft 4): the messages for what
 * is invalid, in its order.
 */
export type Schema = (value: Json) => string[];

/** Returns an object; throws InvalidJSONError with all messages for it. */
export function checkObject(value: Json, schema: Schema): JsonObject {
  const messages = schema(value);
  if (messages.length > 0) {
    throw badRequest("InvalidJSONError", messages.join("\n"));
  }
  if (!isObject(value)) throw new TypeError("The schema is not of an object");
  return value;
}

function all(...schemas: Schema[]): Schema {
  return (value) => schemas.flatMap((schema) => schema(value));
}

function anyOf(...schemas: Schema[]): Schema {
  return rule(
    (value) => schemas.some((schema) => schema(value).length === 0),
    "is not valid under any of the given schemas",
  );
}

function rule(fits: (value: Json) => boolean, complaint: string): Schema {
  return (value) => fits(value) ? [] : [`${repr(value)} ${complaint}`];
}

function typeOf(value: Json): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

function type(name: string): Schema {
  const fits = (value: Json) => typeOf(value) === name;
  return rule(fits, `is not of type ${repr(name)}`);
}

function textRule(fits: (text: string) => boolean, complaint: string): Schema {
  return rule((value) => typeof value !== "string" || fits(value), complaint);
}

function numberRule(fits: (number: number) => boolean, complaint: string) {
  return rule((value) => typeof value !== "number" || fits(value), complaint);
}

function pattern(text: string): Schema {
  return textRule(pythonRegExp(text).test, `does not match ${repr(text)}`);
}

function format(name: string, fits: (text: string) => boolean): Schema {
  return all(type("string"), textRule(fits, `is not a ${repr(name)}`));
}

function arrayOf(item: Schema): Schema {
  return all(
    type("array"),
    (value) => Array.isArray(value) ? value.flatMap(item) : [],
  );
}

/** An object with exactly these properties. */
function object(
  schemas: Record<string, Schema>,
  required = Object.keys(schemas),
  isEntry = false,
): Schema {
  return (value) => {
    if (!isObject(value)) return type("object")(value);
    const invalid = Object.entries(schemas).flatMap(([name, schema]) =>
      Object.hasOwn(value, name) ? schema(value[name] ?? null) : []
    );
    const extra = Object.keys(value)
      .filter((name) => !Object.hasOwn(schemas, name));
    const names = extra.map(repr).join(", ");
    const verb = extra.length === 1 ? "was" : "were";
    const others = extra.length === 0 ? [] : [
      `Additional properties are not allowed (${names} ${verb} unexpected)`,
    ];
    const missing = required.filter((name) => !Object.hasOwn(value, name))
      .map((name) => `${repr(name)} is a required property`);
    return isEntry
      ? [...missing, ...others, ...invalid]
      : [...invalid, ...others, ...missing];
  };
}

/** An object inside of another one: its messages have another order. */
function entry(schemas: Record<string, Schema>): Schema {
  return object(schemas, Object.keys(schemas), true);
}

const SHORT = textRule((text) => [...text].length <= 1024, "is too long");
const ANY_TEXT = all(type("string"), SHORT);
const TEXT = all(
  type("string"),
  textRule((text) => text !== "", "is too short"),
  SHORT,
);

const UUID4 = all(
  type("string"),
  pattern(
    "^[a-f0-9]{8}-?[a-f0-9]{4}-?4[a-f0-9]{3}-?[89ab][a-f0-9]{3}-?[a-f0-9]{12}$",
  ),
);

/** Ids of servers come from their boards: not all are UUIDs. */
const SERVER_ID = all(type("string"), pattern("^[a-fA-F0-9-]{32,38}$"));

const COUNT = all(
  type("number"),
  numberRule((number) => number % 1 === 0, "is not a multiple of 1.0"),
  numberRule((number) => !(number < 0), "is less than the minimum of 0"),
);

const EMAIL = all(
  format("email", (text) => text.includes("@")),
  type("string"),
  pattern("^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\\.[a-zA-Z0-9-.]+$"),
);

const HOST = anyOf(
  format("hostname", (text) =>
    /^[A-Za-z0-9][A-Za-z0-9.-]{1,255}$/.test(text) &&
    text.split(".").every((label) => label.length <= 63)),
  // Addresses in four decimal parts are such names too.
  format(
    "ipv6",
    (text) => text.includes(":") && URL.canParse(`http://[${text}]/`),
  ),
);

/** A whole model, as PUT accepts it. Its data is not validated. */
export function modelSchema(model: string): Schema {
  return object({
    id: model === "server" ? SERVER_ID : UUID4,
    model: rule((value) => value === model, `is not one of ${repr([model])}`),
    time_updated: COUNT,
    time_deleted: COUNT,
    version: COUNT,
    initiator_id: anyOf(type("null"), UUID4),
    data: all(),
  });
}

/** The bodies of POST, by what they create. */
export const BODIES = {
  login: object({ username: ANY_TEXT, password: ANY_TEXT }),
  passwordReset: object({ login: TEXT }),
  newPassword: object({ password: TEXT }),
  user: object({
    login: TEXT,
    email: EMAIL,
    full_name: TEXT,
    role_id: anyOf(UUID4, type("null")),
  }),
  role: object({
    name: TEXT,
    permissions: arrayOf(entry({ name: TEXT, permissions: arrayOf(TEXT) })),
  }),
  cluster: object({
    name: all(type("string"), pattern("^[a-zA-Z0-9]+$"), SHORT),
  }),
  // A missing property crashes the server later.
  server: object({ host: HOST, username: TEXT, id: SERVER_ID }, []),
  playbookConfiguration: object(
    {
      name: TEXT,
      cluster_id: UUID4,
      playbook_id: TEXT,
      server_ids: arrayOf(SERVER_ID),
      hints: arrayOf(entry({
        id: TEXT,
        value: anyOf(ANY_TEXT, COUNT, type("boolean"), type("array")),
      })),
      run: type("boolean"),
    },
    ["name", "cluster_id", "playbook_id", "server_ids", "hints"],
  ),
  execution: object({
    playbook_configuration: entry({ id: UUID4, version: COUNT }),
  }),
};
