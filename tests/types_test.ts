/** Types: code that compiles, and code that does not. */
import { assert, assertEquals } from "@std/assert";
import { tempFolder } from "../.dev/files.ts";
import { deno, ROOT } from "../.dev/process.ts";

const MODULE = new URL("../mod.ts", import.meta.url).href;
const CONFIG = `${ROOT}deno.json`;

const HEAD = `import { Client, type Change, type Execution, type ExecutionStep,
  type Filter, type Listing, type Page, type Server,
  type ServerFields, type User,
  type UserData } from ${JSON.stringify(MODULE)};
declare const client: Client;
`;

/** Code that compiles. */
const RIGHT = [
  "for await (const user of client.getUsers()) user satisfies User;",
  "for await (const user of client.getUserVersions('1')) user satisfies User;",
  "for await (const page of client.getServers().pages()) page satisfies Page<Server>;",
  "(await client.getServers()).items satisfies Server[];",
  "(await client.getUsers().toArray({ limit: 3 })) satisfies User[];",
  "client.getUsers() satisfies Listing<User>;",
  "(await client.getUsers().then(({ total }) => total)) satisfies number;",
  "client.getUsers({ filter: { login: 'a', version: { gt: 1 } }, sortBy: { login: -1, _id: 1 } });",
  "client.getServers({ filter: { state: { in: ['off', 'another'] }, 'facts.x': { gte: 1 } } });",
  "client.getServers({ sortBy: { 'facts.x': 1 } });",
  "client.getServers({ filter: { 'facts.a.b': true } });",
  "client.getServers({ filter: { shiny: 1 } as Filter<ServerFields> });",
  "client.getExecutions({ filter: { state: 'failed', pc_model_id: '1', pc_version: 2 } });",
  "client.getExecutionSteps('1', { filter: { result: { in: [2, 4] } }, sortBy: { time_finished: 1 } });",
  "client.getClusters({ filter: { name: { regexp: '^a' }, is_latest: false } });",
  "client.editUser('1', (data) => { data satisfies UserData; return { ...data, role_id: null }; });",
  "client.editServer('1', async (data) => ({ ...data, name: await Promise.resolve('a') }));",
  "const change: Change<UserData> = (data) => data; client.editUser('1', change);",
  "(await client.waitForExecution('1', { expect: ['canceled'], interval: { min: 1, max: 2 } })) satisfies Execution;",
  "for await (const event of client.followExecution('1')) { if (event.type === 'step') event.step satisfies ExecutionStep; else event.execution satisfies Execution; }",
  "for await (const line of client.streamExecutionLog('1')) line satisfies string;",
  "new Client('http://a', { login: 'a', password: 'b', fetch });",
  "new Client('http://a', { login: 'a', password: 'b', fetch: (url, init) => fetch(url, init) });",
  "declare const mock: (url: string) => Promise<{ ok: boolean; status: number; statusText: string; headers: Map<string, string> & { get(name: string): string | null }; text(): Promise<string>; arrayBuffer(): Promise<ArrayBuffer> }>; new Client('http://a', { login: 'a', password: 'b', fetch: mock });",
  "(await client.request<{ items: string[] }>('GET', 'user/')) satisfies { items: string[] };",
];

/** Code that does not compile, and a part of the error. */
const WRONG: [string, string][] = [
  [
    "for await (const user of client.getUsers()) user satisfies Server;",
    "'User'",
  ],
  [
    "for await (const page of client.getUsers().pages()) page satisfies User;",
    "Page<User>",
  ],
  ["client.getUsers({ filter: { login: 5 } });", "Type 'number'"],
  ["client.getUsers({ filter: { version: '1' } });", "Type 'string'"],
  ["client.getUsers({ filter: { version: { gt: 'a' } } });", "Type 'string'"],
  ["client.getUsers({ filter: { login: { in: 'a' } } });", "Type 'string'"],
  ["client.getUsers({ filter: { login: { $eq: 'a' } } });", "'$eq'"],
  ["client.getUsers({ filter: { login: null } });", "Type 'null'"],
  ["client.getUsers({ filter: { id: 'a' } });", "'id' does not exist"],
  [
    "client.getServers({ filter: { time_updated: { gt: 1 } } });",
    "'time_updated' does not exist",
  ],
  ["client.getUsers({ sortBy: { id: 1 } });", "'id' does not exist"],
  [
    "client.getUsers({ sortBy: { time_updated: 1 } });",
    "'time_updated' does not exist",
  ],
  ["client.getServers({ filter: { statee: 'off' } });", "'statee'"],
  ["client.getServers({ sortBy: { fqnd: 1 } });", "'fqnd'"],
  ["client.getUsers({ filter: { 'facts.x': 1 } });", "'facts.x'"],
  ["client.getUsers({ sortBy: { login: 2 } });", "Type '2'"],
  ["client.getUsers({ sort_by: { login: 1 } });", "'sort_by'"],
  ["client.getUserVersions('1', { filter: { login: 'a' } });", "'filter'"],
  ["client.getUserVersions('1', { sortBy: { login: 1 } });", "'sortBy'"],
  [
    "client.getExecutionSteps('1', { filter: { result: 'error' } });",
    "Type 'string'",
  ],
  [
    "client.editUser('1', (data) => ({ login: data.login }));",
    "is missing the following properties from type 'UserData'",
  ],
  ["client.editUser('1', (data) => { data.role_id = null; });", "UserData"],
  [
    "client.editServer('1', (data) => ({ ...data, nam: 'a', name: 5 }));",
    "number",
  ],
  ["client.waitForExecution('1', { expect: 'completed' });", "Type 'string'"],
  [
    "client.waitForExecution('1', { interval: { min: 1 } });",
    "Property 'max' is missing",
  ],
  ["client.followExecution('1', { onUpdate: () => {} });", "'onUpdate'"],
  [
    "const filter: Filter<{ name: string }> = { name: 5 }; filter;",
    "Type 'number'",
  ],
];

/** The errors of `deno check` for each snippet. */
async function check(
  snippets: string[],
  config = CONFIG,
): Promise<string[]> {
  using folder = tempFolder();
  const files = snippets.map((code, index) => {
    const file = `${folder.path}/snippet${index}_.ts`;
    Deno.writeTextFileSync(file, `${HEAD}${code}\nexport {};\n`);
    return file;
  });
  const { code, stderr } = await deno(
    ["check", "--no-lock", "--config", config, ...files],
  );
  // Each complaint ends with its place.
  const said = snippets.map(() => "");
  for (const part of stderr.split(/^TS(?=\d+ \[ERROR\])/m).slice(1)) {
    const index = Number(/snippet(\d+)_\.ts/.exec(part)?.[1] ?? NaN);
    assert(index in said, stderr);
    said[index] += part;
  }
  assertEquals(code === 0, said.every((one) => one === ""), stderr);
  return said;
}

Deno.test("Client methods infer the types of items, and reject what the server would ignore", async () => {
  const errors = await check([...RIGHT, ...WRONG.map(([code]) => code)]);
  assertEquals(errors.slice(0, RIGHT.length), RIGHT.map(() => ""));
  for (const [index, [code, error]] of WRONG.entries()) {
    const text = errors[RIGHT.length + index] ?? "";
    assert(text.includes(error), `${code}\n${text || "compiles"}`);
  }
});

/** Options that callers pass on although they may be undefined. */
const OPTIONAL = [
  "declare const signal: AbortSignal | undefined; client.getServers({ signal });",
  "declare const n: number | undefined; client.getUsers({ page: n, perPage: n, timeout: n, retries: n });",
  "declare const all: boolean | undefined; client.getUserVersions('1', { all });",
  "declare const headers: Headers | undefined; client.getInfo({ headers });",
  "declare const interval: number | undefined; client.waitForExecution('1', { interval, timeout: interval, onUpdate: undefined, expect: undefined });",
  "declare const root: string | undefined; client.getCinderIntegration('1', { root });",
  "declare const role: string | undefined; client.createUser({ login: 'a', email: 'a', fullName: 'a', roleId: role });",
  "declare const limit: number | undefined; client.getUsers().toArray({ limit });",
  "declare const ca: string | undefined; new Client('http://a', { login: 'a', password: 'b', timeout: undefined, retries: undefined, headers: undefined, fetch: undefined, onAttempt: undefined, tls: { ca, cert: ca, key: ca, verify: undefined } });",
  "declare const run: boolean | undefined; client.createPlaybookConfiguration({ name: 'a', clusterId: 'c', playbookId: 'p', serverIds: [], hints: undefined, runAfter: run });",
  "client.request('GET', 'user/', { query: undefined, body: undefined });",
  "client.getUsers({ filter: undefined, sortBy: undefined });",
];

Deno.test("RequestOptions and all other options accept undefined with exactOptionalPropertyTypes", async () => {
  using folder = tempFolder();
  const { imports, compilerOptions }: {
    imports: object;
    compilerOptions: object;
  } = JSON.parse(await Deno.readTextFile(CONFIG));
  const options = { ...compilerOptions, exactOptionalPropertyTypes: true };
  const config = `${folder.path}/deno.json`;
  await Deno.writeTextFile(
    config,
    JSON.stringify({ imports, compilerOptions: options }),
  );
  const errors = await check(OPTIONAL, config);
  assertEquals(errors, OPTIONAL.map(() => ""));
});
