/** Types: code that compiles, and code that does not. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { tempFolder } from "../.dev/files.ts";
import { deno } from "../.dev/process.ts";
import { read } from "./support/markdown.ts";

const LIBRARY = new URL("../mod.ts", import.meta.url);

const HEAD = `import * as api from "${LIBRARY}";
import type { Filter, Page, Server, User, UserData } from "${LIBRARY}";
declare const client: api.Client;
declare const mock: (url: string) => Promise<{
  ok: boolean; status: number; statusText: string;
  headers: Map<string, string> & { get(name: string): string | null };
  text(): Promise<string>; arrayBuffer(): Promise<ArrayBuffer>;
}>;
declare const none: undefined;
declare const all: boolean | undefined;
declare const headers: Headers | undefined;
declare const n: number | undefined;
declare const signal: AbortSignal | undefined;
declare const text: string | undefined;
const url = "http://a";
const account = { login: "a", password: "b" };
const names = { login: "a", email: "a", fullName: "a" };
const ids = { name: "a", clusterId: "c", playbookId: "p", serverIds: [] };
`;

/** Statements, and the error of each that does not compile. */
const CODE = `
for await (const user of client.getUsers()) user satisfies User;
for await (const user of client.getUsers()) user satisfies Server; // 'User'
for await (const user of client.getUserVersions("1")) user satisfies User;
for await (const page of client.getServers().pages()) page satisfies Page<Server>;
for await (const page of client.getUsers().pages()) page satisfies User; // Page<User>
(await client.getServers()).items satisfies Server[];
(await client.getUsers().toArray({ limit: 3 })) satisfies User[];
client.getUsers() satisfies api.Listing<User>;
(await client.getUsers().then(({ total }) => total)) satisfies number;

client.getUsers({ filter: { login: "a", version: { gt: 1 } } });
client.getUsers({ filter: { login: 5 } }); // Type 'number'
client.getUsers({ filter: { version: "1" } }); // Type 'string'
client.getUsers({ filter: { version: { gt: "a" } } }); // Type 'string'
client.getUsers({ filter: { login: { in: "a" } } }); // Type 'string'
client.getUsers({ filter: { login: { $eq: "a" } } }); // '$eq'
client.getUsers({ filter: { login: null } }); // Type 'null'
client.getUsers({ filter: { id: "a" } }); // 'id' does not exist
client.getUsers({ filter: { "facts.x": 1 } }); // 'facts.x'
client.getServers({ filter: { state: { in: ["off", "another"] } } });
client.getServers({ filter: { "facts.x": { gte: 1 }, "facts.a.b": true } });
client.getServers({ filter: { time_updated: { gt: 1 } } }); // 'time_updated' does not exist
client.getServers({ filter: { statee: "off" } }); // 'statee'
client.getServers({ filter: { shiny: 1 } as Filter<api.ServerFields> });
client.getExecutions({ filter: { state: "failed", pc_model_id: "1", pc_version: 2 } });
client.getExecutionSteps("1", { filter: { result: { in: [2, 4] } } });
client.getExecutionSteps("1", { filter: { result: "error" } }); // Type 'string'
client.getClusters({ filter: { name: { regexp: "^a" }, is_latest: false } });
({ name: 5 }) satisfies Filter<{ name: string }>; // Type 'number'

client.getUsers({ sortBy: { login: -1, _id: 1 } });
client.getUsers({ sortBy: { login: 2 } }); // Type '2'
client.getUsers({ sortBy: { id: 1 } }); // 'id' does not exist
client.getUsers({ sortBy: { time_updated: 1 } }); // 'time_updated' does not exist
client.getUsers({ sort_by: { login: 1 } }); // 'sort_by'
client.getServers({ sortBy: { "facts.x": 1 } });
client.getServers({ sortBy: { fqnd: 1 } }); // 'fqnd'
client.getExecutionSteps("1", { sortBy: { time_finished: 1 } });
client.getUserVersions("1", { filter: { login: "a" } }); // 'filter'
client.getUserVersions("1", { sortBy: { login: 1 } }); // 'sortBy'

client.editUser("1", (data) => ({ ...data satisfies UserData, role_id: null }));
client.editUser("1", ((data) => data) as api.Change<UserData>);
client.editUser("1", (data) => ({ login: data.login })); // is missing the following properties from type 'UserData'
client.editUser("1", (data) => { data.role_id = null; }); // UserData
client.editServer("1", async (data) => ({ ...data, name: await "a" }));
client.editServer("1", (data) => ({ ...data, nam: "a", name: 5 })); // number

(await client.waitForExecution("1", { expect: ["canceled"] })) satisfies api.Execution;
client.waitForExecution("1", { interval: { min: 1, max: 2 } });
client.waitForExecution("1", { expect: "completed" }); // Type 'string'
client.waitForExecution("1", { interval: { min: 1 } }); // Property 'max' is missing
client.followExecution("1", { onUpdate: () => {} }); // 'onUpdate'
for await (const event of client.followExecution("1")) if (event.type === "step") event.step satisfies api.ExecutionStep; else event.execution satisfies api.Execution;
for await (const line of client.streamExecutionLog("1")) line satisfies string;
(await client.request<{ items: string[] }>("GET", "user/")) satisfies { items: string[] };
new api.Client(url, { ...account, fetch });
new api.Client(url, { ...account, fetch: (url, init) => fetch(url, init) });
new api.Client(url, { ...account, fetch: mock });

client.getServers({ signal, filter: none, sortBy: none });
client.getUsers({ page: n, perPage: n, timeout: n, retries: n });
client.getUserVersions("1", { all });
client.getInfo({ headers });
client.waitForExecution("1", { interval: n, timeout: n, onUpdate: none, expect: none });
client.getCinderIntegration("1", { root: text });
client.createUser({ ...names, roleId: text });
client.getUsers().toArray({ limit: n });
new api.Client(url, { ...account, timeout: n, retries: n, headers, fetch: none, onAttempt: none });
new api.Client(url, { ...account, tls: { ca: text, cert: text, key: text, verify: all } });
client.createPlaybookConfiguration({ ...ids, hints: none, runAfter: all });
client.request("GET", "user/", { query: none, body: none });
`;

Deno.test("Client methods infer types, reject what the server would ignore, and accept undefined options", async () => {
  const { imports, compilerOptions } = JSON.parse(await read("deno.json"));
  compilerOptions.exactOptionalPropertyTypes = true;
  using folder = tempFolder();
  const config = `${folder.path}/config.json`;
  const options = { imports, compilerOptions };
  await Deno.writeTextFile(config, JSON.stringify(options));
  const script = `${folder.path}/script.ts`;
  await Deno.writeTextFile(script, HEAD + CODE);
  const { stderr } = await deno(["check", "--config", config, script]);
  const errors = new Map<number, string>();
  for (const error of stderr.split(/^TS(?=\d+ \[ERROR\])/m).slice(1)) {
    const line = Number(/script\.ts:(\d+)/.exec(error)?.[1]);
    errors.set(line, `${errors.get(line) ?? ""}${error}`);
  }
  assert(errors.size > 20, stderr);
  for (const [index, code] of (HEAD + CODE).split("\n").entries()) {
    const [, expected] = code.split(" // ");
    const error = errors.get(index + 1);
    if (expected === undefined) assertEquals(error, undefined, code);
    else assertStringIncludes(error ?? "", expected, code);
  }
});
