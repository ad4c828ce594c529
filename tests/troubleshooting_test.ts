/**
 * docs/troubleshooting.md shows the messages as they are: everything that can
 * be provoked on Deno is provoked here, as a user would, and has to be there.
 */

import { assert, assertEquals } from "@std/assert";
import { Client, type ClientOptions } from "../mod.ts";
import { issue } from "./runtimes/certificates.ts";
import { StandIn } from "./standin/mod.ts";
import { RawServer } from "./support/raw.ts";

const PAGE = new URL("../docs/troubleshooting.md", import.meta.url);
const CONFIG = new URL("../deno.json", import.meta.url);
const LIBRARY = new URL("../mod.ts", import.meta.url);

/** An id that belongs to nobody; on the page it stands for any id. */
const ID = "11111111-1111-4111-8111-111111111111";

/** The servers that are spoken to, and what is made on them. */
interface World {
  /** A stand-in. */
  url: string;
  /** The same by TLS, with a certificate of an unknown CA. */
  tls: string;
  /** Nobody. */
  closed: string;
  /** Something that is no Decapod. */
  other: string;
  /** Somebody who points elsewhere. */
  pointer: string;
  /** Somebody who never answers. */
  silent: string;
  /** Somebody who reads, and hangs up. */
  rude: string;
  /** A CA that signed nothing. */
  otherCa: string;
  /** An execution that failed, and one that does not end. */
  executions: { failed: string; endless: string };
}

/** A client that gives up at once. */
function connect(url: string, options: Partial<ClientOptions> = {}): Client {
  const account = { login: "root", password: "root", retries: 0 };
  return new Client(url, { ...account, ...options });
}

const viewer = { login: "viewer", password: "viewer" };

/** What is done under each heading of the page. */
const PROVOKED: Record<string, ((world: World) => unknown)[]> = {
  "A URL that is none": [
    () => connect("decapod.example"),
    () => connect("decapod.example:9999"),
    () => connect("http://root:root@decapod.example"),
  ],
  "A value that is out of range": [
    () => connect("http://decapod.example", { timeout: 0 }),
    ({ url }) => connect(url).getUsers({ page: 0 }),
  ],
  "A filter that the server would ignore or misread": [
    ({ url }) =>
      connect(url).getServers({ filter: { "data.name": "one" } }).toArray(),
    ({ url }) =>
      connect(url).getServers({ filter: { "facts.load": 0.5 } }).toArray(),
  ],
  "The server is down, or the port is wrong": [
    ({ closed }) => connect(closed).getUserSelf(),
  ],
  "The host is unknown": [
    () => connect("http://nosuch.invalid").getUserSelf(),
  ],
  "The host cannot be reached": [
    () => connect("http://255.255.255.255:81").getUserSelf(),
  ],
  "https:// where HTTP is spoken": [
    ({ url }) => connect(url.replace("http:", "https:")).getUserSelf(),
  ],
  "http:// where HTTPS is spoken": [
    ({ tls }) => connect(tls.replace("https:", "http:")).getUserSelf(),
  ],
  "The CA is unknown, or it is the wrong one": [
    ({ tls }) => connect(tls).getUserSelf(),
    async ({ tls, otherCa }) => {
      await using client = connect(tls, { tls: { ca: otherCa } });
      await client.getUserSelf();
    },
  ],
  "TLS settings that cannot work": [
    ({ tls }) => connect(tls, { tls: { ca: "ca.pem" } }),
    ({ tls }) => connect(tls, { tls: { verify: false } }),
  ],
  "The server is slow": [
    ({ silent }) => connect(silent, { timeout: 50 }).getInfo(),
  ],
  "Something else answers": [
    ({ other }) => connect(other).getUserSelf(),
    ({ url }) => connect(`${url}/v1/user`).getUserSelf(),
    ({ pointer }) => connect(pointer).getUserSelf(),
  ],
  "A wrong login or password": [
    ({ url }) => connect(url, { password: "wrong" }).getUserSelf(),
  ],
  "A permission is missing": [
    ({ url }) => connect(url, viewer).getUsers(),
  ],
  "There is nothing under this id": [
    ({ url }) => connect(url).getUser(ID),
    ({ url }) => connect(url).getUser("root"),
  ],
  "A value that the server does not like": [
    ({ url }) => connect(url).createCluster("my-cluster"),
    async ({ url }) => {
      await connect(url).createCluster("taken");
      await connect(url).createCluster("taken");
    },
  ],
  "Somebody else was faster": [
    async ({ url }) => {
      const client = connect(url);
      const read = await client.createCluster("read");
      const update = (name: string) =>
        client.updateCluster({ ...read, data: { ...read.data, name } });
      await update("written");
      await update("late");
    },
  ],
  "A change whose answer was lost": [
    ({ rude }) =>
      connect(rude, { headers: { authorization: "a-token" } })
        .createCluster("one"),
  ],
  "An execution failed": [
    ({ url, executions }) => connect(url).waitForExecution(executions.failed),
  ],
  "An execution did not end in time": [
    ({ url, executions }) =>
      connect(url).waitForExecution(executions.endless, { timeout: 100 }),
  ],
  "An abort": [
    ({ silent }) => connect(silent).getInfo({ signal: AbortSignal.abort() }),
    ({ silent }) => {
      const signal = AbortSignal.abort(new Error("Interrupted"));
      return connect(silent).getInfo({ signal });
    },
  ],
  "A logout while calls wait": [
    async ({ url }) => {
      const client = connect(url);
      const call = client.getUserSelf();
      call.catch(() => {});
      await client.logout();
      await call;
    },
  ],
};

/** The same for what TypeScript would not let through, as plain JavaScript. */
const MISUSED: Record<string, string[]> = {
  "A name that is misspelt": [
    'new Client(url, { login: "root", password: "root", timeOut: 5000 })',
    "await client.getUsers({ per_page: 5 })",
    'await client.createUser({ login: "ann", full_name: "Ann" })',
  ],
  "Something that is missing": [
    'new Client(url, { login: "root" })',
    'new Client(url, "root", "root")',
    "await client.getUser(undefined)",
  ],
  "A filter that the server would ignore or misread": [
    'await client.getServers({ filter: { id: "one" } })',
    "await client.getServers({ filter: { cluster_id: null } })",
  ],
  "An await that was forgotten": [
    "client.getUserSelf().data.login",
    "await client.updateUser(client.getUserSelf())",
    `const cluster = client.createCluster("forgotten");
     await client.createExecution(cluster, 1)`,
    "for (const user of client.getUsers());",
  ],
  "A page that is taken for a list": [
    "for (const user of await client.getUsers());",
  ],
};

/** The same for whole scripts, which Deno itself has something to say to. */
const SCRIPTS: Record<string, { args: string[]; text: string }[]> = {
  "A name that is misspelt": [{
    args: ["check"],
    text: 'new Client("url", { login: "", password: "", timeOut: 5000 });',
  }],
  "An await that was forgotten": [{
    args: ["check"],
    text: "Client.fromEnv().getUserSelf().data.login;",
  }],
  "Something that is missing": [{
    args: ["run", "--no-prompt", "--allow-env"],
    text: "Client.fromEnv();",
  }],
  "Deno may not do it": [
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

/** Runs Deno on a script, and gives what it says was wrong. */
async function runScript(args: string[], text: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const script = `${folder}/script.ts`;
    const head = `import { Client } from "${LIBRARY}";\n`;
    await Deno.writeTextFile(script, head + text);
    const { stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...args, "--config", CONFIG.pathname, script],
      env: { NO_COLOR: "1", DECAPOD_URL: "" },
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stderr);
    const [, message = said] = said.match(
      /^(?:error: Uncaught \(in promise\) )?((?:TS\d+|\w+:) .*)$/m,
    ) ??
      [];
    return message;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What is thrown, as it is shown. */
async function message(provoke: () => unknown): Promise<string> {
  try {
    await provoke();
  } catch (error) {
    return String(error);
  }
  throw new Error(`Expected an error of ${provoke}`);
}

/** A message as the page has it: no ports, ids and counts of one run. */
function onPage(message: string): string {
  return message
    .replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:9999")
    .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, ID)
    .replace(/it is \w+ \(seen [^)]*\)/g, "it is started (seen started 9×)");
}

/** The messages of the page, by their headings. */
function messagesOf(page: string): Record<string, string[]> {
  const parts = page.split(/^### /m).slice(1);
  return Object.fromEntries(parts.map((part) => {
    const [heading = ""] = part.split("\n");
    const blocks = [...part.matchAll(/^```text\n([^]*?)^```/gm)];
    return [
      heading.replaceAll("`", ""),
      blocks.flatMap(([, text = ""]) => text.trim().split("\n")),
    ];
  }));
}

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
  /** Deploys on one server, and gives the execution's id. */
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
  const world: World = {
    url,
    tls: serve(standIn.handler, { cert, key }),
    closed: "http://127.0.0.1:4", // it belongs to nobody
    other: serve(() =>
      new Response("<h1>It works!</h1>", {
        headers: { "content-type": "text/html" },
      })
    ),
    pointer: serve((request) =>
      new Response(null, {
        status: 301,
        headers: {
          location: `https://decapod.example${new URL(request.url).pathname}`,
        },
      })
    ),
    silent: serve(async () => {
      await hold.promise;
      return new Response();
    }),
    rude: rude.url,
    otherCa,
    executions: { failed, endless },
  };
  stack.defer(() => hold.resolve()); // before the servers are waited for
  return { world, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test("docs/troubleshooting.md has the messages as they are", async () => {
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
  const shown = messagesOf(await Deno.readTextFile(PAGE));
  for (const [heading, messages] of Object.entries(provoked)) {
    assertEquals(
      [...new Set(shown[heading])].sort(),
      [...new Set(messages)].sort(),
      `Under "${heading}" the page has other messages`,
    );
  }
  // Nor does it show one that nobody has seen.
  for (const [heading, messages] of Object.entries(shown)) {
    assert(messages.length === 0 || provoked[heading], `Who saw "${heading}"?`);
  }
});
