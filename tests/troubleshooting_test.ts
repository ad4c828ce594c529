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

const PAGE = new URL("../docs/troubleshooting.md", import.meta.url);
const LIBRARY = new URL("../mod.ts", import.meta.url);

/** An unknown id; on the page it stands for any id. */
const ID = "11111111-1111-4111-8111-111111111111";

/** The servers, and what was created on them. */
type World = Awaited<ReturnType<typeof openWorld>>["world"];

/** Creates a client without retries. */
function connect(url: string, options: Partial<ClientOptions> = {}): Client {
  const account = { login: "root", password: "root", retries: 0 };
  return new Client(url, { ...account, ...options });
}

const viewer = { login: "viewer", password: "viewer" };

/** The calls for each heading of the page. */
const PROVOKED: Record<string, ((world: World) => unknown)[]> = {
  "Invalid URL": [
    () => connect("decapod.example"),
    () => connect("decapod.example:9999"),
    () => connect("http://root:root@decapod.example"),
  ],
  "Values out of range": [
    () => connect("http://decapod.example", { timeout: 0 }),
    ({ client }) => client.getUsers({ page: 0 }),
  ],
  "Filters that Decapod ignores": [
    ({ client }) =>
      client.getServers({ filter: { "facts.load": 0.5 } }).toArray(),
  ],
  "Regular expressions": [
    ({ client }) =>
      client.getServers({ filter: { name: { regexp: "(" } } }).toArray(),
  ],
  "Numbers": [
    ({ client }) =>
      client.createPlaybookConfiguration({
        name: "deploy",
        clusterId: ID,
        playbookId: "cluster_deploy",
        serverIds: [],
        hints: [{ id: "mon_count", value: NaN }],
      }),
  ],
  "Custom fetch": [
    () =>
      connect("http://decapod.example", {
        fetch: () => Promise.reject(new Error("not mocked")),
      }).getInfo(),
  ],
  "Connection refused": [
    ({ closed }) => connect(closed).getUserSelf(),
  ],
  "Unknown host": [
    () => connect("http://nosuch.invalid").getUserSelf(),
  ],
  "Unreachable host": [
    () => connect("http://255.255.255.255:81").getUserSelf(),
  ],
  "HTTPS to a server without TLS": [
    ({ url }) => connect(url.replace("http:", "https:")).getUserSelf(),
  ],
  "HTTP to a server with TLS": [
    ({ tls }) => connect(tls.replace("https:", "http:")).getUserSelf(),
  ],
  "Untrusted certificate": [
    ({ tls }) => connect(tls).getUserSelf(),
    async ({ tls, otherCa }) => {
      await using client = connect(tls, { tls: { ca: otherCa } });
      await client.getUserSelf();
    },
  ],
  "TLS settings": [
    ({ tls }) => connect(tls, { tls: { ca: "ca.pem" } }),
    ({ tls }) => connect(tls, { tls: { verify: false } }),
  ],
  "Timeout": [
    ({ silent }) => connect(silent, { timeout: 50 }).getInfo(),
  ],
  "Wrong server or path": [
    ({ other }) => connect(other).getUserSelf(),
    ({ url }) => connect(`${url}/v1/user`).getUserSelf(),
    ({ pointer }) => connect(pointer).getUserSelf(),
  ],
  "Wrong login or password": [
    ({ url }) => connect(url, { password: "wrong" }).getUserSelf(),
  ],
  "Missing permission": [
    ({ url }) => connect(url, viewer).getUsers(),
  ],
  "Unknown id": [
    ({ client }) => client.getUser(ID),
    ({ client }) => client.getUser("root"),
  ],
  "Rejected values": [
    ({ client }) => client.createCluster("my-cluster"),
    async ({ client }) => {
      await client.createCluster("taken");
      await client.createCluster("taken");
    },
  ],
  "Concurrent change": [
    async ({ client }) => {
      const read = await client.createCluster("read");
      const update = (name: string) =>
        client.updateCluster({ ...read, data: { ...read.data, name } });
      await update("written");
      await update("late");
    },
  ],
  "Change with unknown outcome": [
    ({ rude }) =>
      connect(rude, { headers: { authorization: "a-token" } })
        .createCluster("one"),
  ],
  "Long filters": [
    ({ nginx }) =>
      connect(nginx).getServers({
        filter: { model_id: { in: Array(100).fill(ID) } },
      }).toArray(),
  ],
  "Missing log": [
    ({ client, executions }) => client.getExecutionLog(executions.endless),
  ],
  "Failed execution": [
    ({ client, executions }) => client.waitForExecution(executions.failed),
  ],
  "Unfinished execution": [
    ({ client, executions }) =>
      client.waitForExecution(executions.endless, { timeout: 100 }),
  ],
  "Abort": [
    ({ silent }) => connect(silent).getInfo({ signal: AbortSignal.abort() }),
    ({ silent }) => {
      const signal = AbortSignal.abort(new Error("Interrupted"));
      return connect(silent).getInfo({ signal });
    },
  ],
  "Logout during a call": [
    async ({ url }) => {
      const client = connect(url);
      const call = client.getUserSelf();
      call.catch(() => {});
      await client.logout();
      await call;
    },
  ],
};

/** Calls that TypeScript would reject, as JavaScript. */
const MISUSED: Record<string, string[]> = {
  "Misspelt options": [
    'new Client(url, { login: "root", password: "root", timeOut: 5000 })',
    "await client.getUsers({ per_page: 5 })",
    'await client.createUser({ login: "ann", full_name: "Ann" })',
  ],
  "Missing values": [
    'new Client(url, { login: "root" })',
    'new Client(url, "root", "root")',
    "await client.getUser(undefined)",
  ],
  "Filters that Decapod ignores": [
    'await client.getServers({ filter: { id: "one" } })',
    "await client.getServers({ filter: { cluster_id: null } })",
    'await client.getServers({ filter: { "data.name": "one" } })',
  ],
  "Custom fetch": [
    `const fetch = () => ({ ok: true });
     const account = { login: "root", password: "root", retries: 0 };
     await new Client(url, { ...account, fetch }).getInfo();`,
  ],
  "Missing await": [
    "client.getUserSelf().data.login",
    "await client.updateUser(client.getUserSelf())",
    `const cluster = client.createCluster("forgotten");
     await client.createExecution(cluster, 1)`,
    "for (const user of client.getUsers());",
  ],
  "Page instead of items": [
    "for (const user of await client.getUsers());",
  ],
};

/** Scripts whose messages come from Deno. */
const SCRIPTS: Record<string, { args: string[]; text: string }[]> = {
  "Misspelt options": [{
    args: ["check"],
    text: 'new Client("url", { login: "", password: "", timeOut: 5000 });',
  }],
  "Missing await": [{
    args: ["check"],
    text: "Client.fromEnv().getUserSelf().data.login;",
  }],
  "Missing values": [{
    args: ["run", "--no-prompt", "--allow-env"],
    text: "Client.fromEnv();",
  }],
  "Deno permissions": [
    {
      args: ["run", "--no-prompt"],
      text: 'await new Client("http://127.0.0.1:9999", ' +
        '{ login: "root", password: "root" }).getUserSelf();',
    },
    { args: ["run", "--no-prompt"], text: "Client.fromEnv();" },
  ],
};

/** Runs plain JavaScript. */
async function runJavaScript(code: string, url: string): Promise<unknown> {
  const text = `export default async (Client, client, url) => { ${code} }`;
  const { default: run }: {
    default: (...args: unknown[]) => Promise<unknown>;
  } = await import(`data:text/javascript,${encodeURIComponent(text)}`);
  return await run(Client, connect(url), url);
}

/** Runs Deno on a script and returns its error message. */
async function runScript(args: string[], text: string): Promise<string> {
  using folder = tempFolder();
  const script = `${folder.path}/script.ts`;
  const head = `import { Client } from "${LIBRARY}";\n`;
  await Deno.writeTextFile(script, head + text);
  const { stderr } = await deno(
    [...args, "--config", `${ROOT}deno.json`, script],
    { env: { DECAPOD_URL: "" } },
  );
  const [, message = stderr] = stderr.match(
    /^(?:error: Uncaught \(in promise\) )?((?:TS\d+|\w+:) .*)$/m,
  ) ?? [];
  return message;
}

/** The thrown error as text. */
async function message(provoke: () => unknown): Promise<string> {
  try {
    await provoke();
  } catch (error) {
    return String(error);
  }
  throw new Error(`Expected an error of ${provoke}`);
}

/** A message without the ports, ids and counts of one run. */
function onPage(message: string): string {
  return message
    .replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:9999")
    .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, ID)
    .replace(
      /it is \w+ and continues \(polled [^)]*\)/,
      "it is started and continues (polled started 9×)",
    );
}

/** A heading of the page and the messages below it. */
const MESSAGES = /^### (.*)\n\n```text\n[^]*?^```/gm;

/** Starts all servers. */
async function openWorld() {
  const stack = new AsyncDisposableStack();
  const serve = (
    handler: Deno.ServeHandler,
    tls: { cert?: string; key?: string } = {},
  ) => {
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {}, ...tls },
      handler,
    );
    stack.defer(() => server.shutdown());
    return `${tls.cert ? "https" : "http"}://127.0.0.1:${server.addr.port}`;
  };
  const standIn = new StandIn({ pace: 1, seed: 7 });
  const ca = await issue("CA", { ca: true });
  const names = ["127.0.0.1", "localhost"];
  const { cert, key } = await issue("Decapod", { names }, ca);
  const { cert: otherCa } = await issue("Other CA", { ca: true });
  const url = serve(standIn.handler);
  const client = connect(url);
  const role = await client.createRole("viewers", []);
  await client.createUser({
    login: viewer.login,
    email: "viewer@example.com",
    fullName: "Viewer",
    roleId: role.id,
  });
  standIn.setPassword(viewer.login, viewer.password);

  const servers = (await client.getServers()).items;
  /** Deploys on one server; returns the execution's id. */
  const deploy = async (name: string, index: number) => {
    const cluster = await client.createCluster(name);
    const { data } = await client.createPlaybookConfiguration({
      name,
      clusterId: cluster.id,
      playbookId: "cluster_deploy",
      serverIds: servers.slice(index, index + 1).map(({ id }) => id),
      runAfter: true,
    });
    return data.created_execution_id ?? "";
  };
  standIn.failTask({ task: "install ceph packages" });
  const failed = await deploy("failed", 0);
  const ends: string[] = ["failed"];
  await client.waitForExecution(failed, { expect: ends, interval: 5 });
  standIn.setPace(3_600_000);
  const endless = await deploy("endless", 1);

  const rude = new RawServer(async (peer) => {
    await peer.request();
    peer.close();
  });
  stack.use(rude);
  const hold = Promise.withResolvers<void>();
  const world = {
    /** A stand-in, and a client for it. */
    url,
    client,
    /** An execution that failed, and one that does not end. */
    executions: { failed, endless },
    /** The same with TLS and a certificate of an unknown CA. */
    tls: serve(standIn.handler, { cert, key }),
    /** A CA that signed no certificate. */
    otherCa,
    /** Another stand-in, behind Decapod's nginx. */
    nginx: serve(new StandIn({ behindNginx: true }).handler),
    /** A closed port: no service uses it. */
    closed: "http://127.0.0.1:4",
    /** A server that is not a Decapod. */
    other: serve(() => {
      const headers = { "content-type": "text/html" };
      return new Response("<h1>It works!</h1>", { headers });
    }),
    /** A server that redirects. */
    pointer: serve((request) => {
      const { pathname } = new URL(request.url);
      const headers = { location: `https://decapod.example${pathname}` };
      return new Response(null, { status: 301, headers });
    }),
    /** A server that never responds. */
    silent: serve(async () => {
      await hold.promise;
      return new Response();
    }),
    /** A server that closes the connection after the request. */
    rude: rude.url,
  };
  stack.defer(() => hold.resolve()); // before the servers are waited for
  return { world, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test("docs/troubleshooting.md: shows the messages as they are", async () => {
  await using opened = await openWorld();
  const { world } = opened;
  const provoked: Record<string, string[]> = {};
  const add = (heading: string, message: string) => {
    (provoked[heading] ??= []).push(onPage(message));
  };
  for (const [heading, scripts] of Object.entries(SCRIPTS)) {
    for (const { args, text } of scripts) {
      add(heading, await runScript(args, text));
    }
  }
  for (const [heading, codes] of Object.entries(MISUSED)) {
    for (const code of codes) {
      add(heading, await message(() => runJavaScript(code, world.url)));
    }
  }
  for (const [heading, calls] of Object.entries(PROVOKED)) {
    for (const call of calls) {
      add(heading, await message(() => call(world)));
    }
  }
  const page = await Deno.readTextFile(PAGE);
  const updated = page.replace(MESSAGES, (found, heading: string) => {
    const lines = [...new Set(provoked[heading])].join("\n");
    return lines === ""
      ? found
      : `### ${heading}\n\n\`\`\`text\n${lines}\n\`\`\``;
  });
  if (Deno.env.has("UPDATE")) await Deno.writeTextFile(PAGE, updated);
  else assertEquals(page, updated, "Run it with UPDATE=1 and read the page");
  const headings = [...page.matchAll(MESSAGES)].map(([, heading]) => heading);
  assertEquals(headings.toSorted(), Object.keys(provoked).toSorted());
});
