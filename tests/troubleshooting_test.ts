/**
 * Provokes every message of docs/troubleshooting.md on Deno, as a user would,
 * and compares it with the page. With UPDATE=1 it writes them to the page.
 */
import { assertEquals } from "@std/assert";
import { tempFolder } from "../.dev/files.ts";
import { deno, ROOT } from "../.dev/process.ts";
import { Client, type ClientOptions } from "../mod.ts";
import { issue } from "./runtimes/certificates.ts";
import { StandIn } from "./standin/mod.ts";
import { RawServer } from "./support/raw.ts";
import { type Handler, TestServer } from "./support/server.ts";
import { CLOSED, responds, typed } from "./support/stub.ts";

const LIBRARY = new URL("../mod.ts", import.meta.url).href;
const PAGE = `${ROOT}docs/troubleshooting.md`;

/** An unknown id; on the page it stands for any id. */
const ID = "11111111-1111-4111-8111-111111111111";

const viewer = { login: "viewer", password: "viewer" };

/** Scripts whose messages come from Deno, each message with its heading. */
const SCRIPTS: [headings: string[], command: string, text: string][] = [
  [
    ["Misspelt options", "Missing await"],
    "check",
    `new Client("url", { login: "", password: "", timeOut: 5000 });
     Client.fromEnv().getUserSelf().data.login;`,
  ],
  [["Missing values"], "run --no-prompt --allow-env", "Client.fromEnv();"],
  [
    ["Deno permissions"],
    "run --no-prompt",
    `const account = { login: "root", password: "root" };
     await new Client("http://127.0.0.1:9999", account).getUserSelf();`,
  ],
  [["Deno permissions"], "run --no-prompt", "Client.fromEnv();"],
];

/**
 * JavaScript for each heading, each line for one message or none, with the
 * variables that openWorld() returns. Some of it does not compile as TypeScript.
 */
const CALLS = `
Misspelt options
  new Client(url, { login: "root", password: "root", timeOut: 5000 });
  await client.getUsers({ per_page: 5 });
  await client.createUser({ login: "ann", full_name: "Ann" });
Missing values
  new Client(url, { login: "root" });
  new Client(url, "root", "root");
  await client.getUser(undefined);
Invalid URL
  connect("decapod.example");
  connect("decapod.example:9999");
  connect("http://root:root@decapod.example");
Values out of range
  connect(url, { timeout: 0 });
  await client.getUsers({ page: 0 });
Filters that Decapod ignores
  await client.getServers({ filter: { id: "one" } });
  await client.getServers({ filter: { cluster_id: null } });
  await client.getServers({ filter: { "data.name": "one" } });
  await client.getServers({ filter: { "facts.load": 0.5 } }).toArray();
Regular expressions
  await client.getServers({ filter: { name: { regexp: "(" } } }).toArray();
Numbers
  const configuration = { name: "deploy", clusterId: ID, playbookId: "any" };
  const hints = [{ id: "mon_count", value: NaN }];
  await client.createPlaybookConfiguration({ ...configuration, serverIds: [], hints });
Custom fetch
  await connect(url, { fetch: () => ({ ok: true }) }).getInfo();
  const fetch = () => Promise.reject(new Error("not mocked"));
  await connect("http://decapod.example", { fetch }).getInfo();
Connection refused
  await connect(closed).getUserSelf();
Unknown host
  await connect("http://nosuch.invalid").getUserSelf();
Unreachable host
  await connect("http://255.255.255.255:81").getUserSelf();
HTTPS to a server without TLS
  await connect(url.replace("http:", "https:")).getUserSelf();
HTTP to a server with TLS
  await connect(tls.replace("https:", "http:")).getUserSelf();
Untrusted certificate
  await connect(tls).getUserSelf();
  await using secure = connect(tls, { tls: { ca: otherCa } });
  await secure.getUserSelf();
TLS settings
  connect(tls, { tls: { ca: "ca.pem" } });
  connect(tls, { tls: { verify: false } });
Timeout
  await connect(silent, { timeout: 50 }).getInfo();
Wrong server or path
  await connect(other).getUserSelf();
  await connect(url + "/v1/user").getUserSelf();
  await connect(pointer).getUserSelf();
Wrong login or password
  await connect(url, { password: "wrong" }).getUserSelf();
Missing permission
  await connect(url, viewer).getUsers();
Unknown id
  await client.getUser(ID);
  await client.getUser("root");
Rejected values
  await client.createCluster("my-cluster");
  await client.createCluster("failed");
Concurrent change
  const read = await client.createCluster("read");
  await client.editCluster(read.id, (data) => ({ ...data, name: "written" }));
  await client.updateCluster({ ...read, data: { ...read.data, name: "late" } });
Change with unknown outcome
  const headers = { authorization: "a-token" };
  await connect(rude, { headers }).createCluster("one");
Long filters
  const filter = { model_id: { in: Array(100).fill(ID) } };
  await connect(nginx).getServers({ filter }).toArray();
Missing log
  await client.getExecutionLog(endless);
Failed execution
  await client.waitForExecution(failed);
Unfinished execution
  await client.waitForExecution(endless, { timeout: 100 });
Missing await
  client.getUserSelf().data.login;
  await client.updateUser(client.getUserSelf());
  await client.createExecution(client.createCluster("forgotten"), 1);
  for (const user of client.getUsers());
Page instead of items
  for (const user of await client.getUsers());
Abort
  await connect(silent).getInfo({ signal: AbortSignal.abort() });
  const signal = AbortSignal.abort(new Error("Interrupted"));
  await connect(silent).getInfo({ signal });
Logout during a call
  const leaving = connect(url);
  const error = leaving.getUserSelf().catch((error) => error);
  await leaving.logout();
  throw await error;
`;

/** Creates a client without retries. */
function connect(url: string, options: Partial<ClientOptions> = {}): Client {
  const account = { login: "root", password: "root", retries: 0 };
  return new Client(url, { ...account, ...options });
}

/** Starts all servers, and returns the variables of the calls. */
async function openWorld(stack: AsyncDisposableStack) {
  const serve = (handler: Handler, tls = {}) =>
    stack.use(new TestServer(handler, tls)).url;
  const standIn = new StandIn({ pace: 1, seed: 7 });
  const url = serve(standIn.handler);
  const client = connect(url);
  const role = await client.createRole("viewers", []);
  const { login } = viewer;
  const names = { login, email: "viewer@example.com", fullName: "Viewer" };
  await client.createUser({ ...names, roleId: role.id });
  standIn.setPassword(viewer.login, viewer.password);

  /** Deploys on one server; returns the execution's id. */
  const deploy = async (name: string) => {
    const { items } = await client.getServers();
    const free = items.filter(({ data }) => data.cluster_id === null);
    const cluster = await client.createCluster(name);
    const { data } = await client.createPlaybookConfiguration({
      name,
      clusterId: cluster.id,
      playbookId: "cluster_deploy",
      serverIds: free.slice(0, 1).map(({ id }) => id),
      runAfter: true,
    });
    return data.created_execution_id ?? "";
  };
  standIn.failTask({ task: "install ceph packages" });
  const failed = await deploy("failed");
  await client.waitForExecution(failed, { expect: ["failed"], interval: 5 });
  standIn.setPace(3_600_000);
  const endless = await deploy("endless");

  const ca = await issue("CA", { ca: true });
  const { cert, key } = await issue("Decapod", { names: ["127.0.0.1"] }, ca);
  const hold = Promise.withResolvers<Response>();
  const silent = serve(() => hold.promise);
  stack.defer(() => hold.resolve(new Response())); // before its server stops
  return {
    ...{ Client, connect, ID, viewer },
    ...{ url, client, failed, endless, silent, closed: CLOSED },
    tls: serve(standIn.handler, { cert, key }).replace("http", "https"),
    /** A CA that signed no certificate. */
    otherCa: (await issue("Other CA", { ca: true })).cert,
    /** Behind Decapod's nginx. */
    nginx: serve(new StandIn({ behindNginx: true }).handler),
    /** Not a Decapod. */
    other: serve(() => typed("text/html", "<h1>It works!</h1>")),
    /** Redirects. */
    pointer: serve(({ url }) =>
      Response.redirect(`https://decapod.example${new URL(url).pathname}`, 301)
    ),
    /** Closes the connection after the request. */
    rude: stack.use(new RawServer(responds())).url,
  };
}

/** The errors of some lines of JavaScript as text. */
async function runLines(lines: string[], world: object): Promise<string[]> {
  const code = lines.map((line) =>
    /^ *(const|await using) /.test(line)
      ? line
      : `try { ${line} } catch (error) { errors.push(String(error)); }`
  );
  const names = Object.keys(world);
  const text = `export default async ({ ${names} }) => {
    const errors = []; ${code.join("\n")}; return errors;
  }`;
  const { default: run }: { default: (world: object) => Promise<string[]> } =
    await import(`data:text/javascript,${encodeURIComponent(text)}`);
  return await run(world);
}

/** Runs Deno on a script and returns its error messages. */
async function runScript(command: string, text: string): Promise<string[]> {
  using folder = tempFolder();
  const script = `${folder.path}/script.ts`;
  const head = `import { Client } from "${LIBRARY}";\n`;
  await Deno.writeTextFile(script, head + text);
  const { stderr } = await deno(
    [...command.split(" "), "--config", `${ROOT}deno.json`, script],
    { env: { DECAPOD_URL: "" } },
  );
  const messages =
    /^(?:error: Uncaught .*?\) )?((?:TS\d+ \[ERROR\]|Not\w+|\w+Error): \S.*)$/gm;
  return [...stderr.matchAll(messages)].map(([, message = ""]) => message);
}

/** A message without the ports, ids and counts of one run. */
function onPage(message: string): string {
  return message
    .replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:9999")
    .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, ID)
    .replace(/it is \w+ and/, "it is started and")
    .replace(/\(polled [^)]*\)/, "(polled started 9×)");
}

/** A heading of the page and the messages below it. */
const MESSAGES = /^### (.*)\n\n```text\n([^]*?)^```/gm;

Deno.test("docs/troubleshooting.md: shows the messages as they are", async () => {
  await using stack = new AsyncDisposableStack();
  const scripts = Promise.all(
    SCRIPTS.map(([, ...script]) => runScript(...script)),
  );
  const world = await openWorld(stack);
  const provoked = new Map<string, Set<string>>();
  const add = (heading: string, messages: string[]) => {
    const known = provoked.get(heading) ?? [];
    provoked.set(heading, new Set([...known, ...messages.map(onPage)]));
  };
  for (const [index, messages] of (await scripts).entries()) {
    const [headings = []] = SCRIPTS[index] ?? [];
    assertEquals(messages.length, headings.length, messages.join("\n"));
    for (const heading of headings) add(heading, messages.splice(0, 1));
  }
  const calls = CALLS.matchAll(/^(\w.*)\n((?: .*\n)*)/gm);
  for (const [, heading = "", lines = ""] of calls) {
    add(heading, await runLines(lines.split("\n"), world));
  }
  const page = await Deno.readTextFile(PAGE);
  const updated = page.replace(MESSAGES, (found, heading: string) => {
    const lines = provoked.get(heading);
    return lines
      ? `### ${heading}\n\n\`\`\`text\n${[...lines].join("\n")}\n\`\`\``
      : found;
  });
  if (Deno.env.has("UPDATE")) await Deno.writeTextFile(PAGE, updated);
  else assertEquals(page, updated, "Run it with UPDATE=1 and read the page");
  const headings = [...page.matchAll(MESSAGES)].map(([, heading]) => heading);
  assertEquals(headings.toSorted(), [...provoked.keys()].toSorted());
});
