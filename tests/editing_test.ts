/** Editing: read, change, write, and no edit of another is lost. */

import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  DecapodAPIError,
  DecapodConnectionError,
  DecapodTimeoutError,
  type UserData,
  type V1Client,
} from "../mod.ts";
import { type Exchange, StandInServer } from "./support/server.ts";
import { badGateway } from "./support/execution.ts";
import { CountedSignal, hurry, replace } from "./support/patch.ts";

/** A user to edit. */
function newUser(client: V1Client) {
  return client.createUser({
    login: "edited",
    email: "edited@example.com",
    fullName: "start",
  });
}

/** Adds a word to the name of a user. */
function adding(word: string): (data: UserData) => UserData {
  return (data) => ({ ...data, full_name: `${data.full_name} ${word}` });
}

Deno.test("of 20 editors with 10 edits each on one model, none loses any", async () => {
  await using server = new StandInServer({ servers: 0 });
  await using client = server.client();
  const { id } = await newUser(client);
  const words: string[] = [];
  await Promise.all(
    Array.from({ length: 20 }, async (_, editor) => {
      await using own = server.client();
      for (let edit = 0; edit < 10; edit++) {
        const word = `${editor}/${edit}`;
        words.push(word);
        const changed = await own.editUser(id, adding(word));
        assert(changed.data.full_name.endsWith(` ${word}`));
      }
    }),
  );
  const { version, data } = await client.getUser(id);
  assertEquals(version, 201);
  const [start, ...found] = data.full_name.split(" ");
  assertEquals(start, "start");
  assertEquals(found.toSorted(), words.toSorted());
  // Somebody did come between.
  assert(server.sent("PUT", `/v1/user/${id}/`).length > 200);
});

Deno.test("each kind of model that can be changed can be edited", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const user = await newUser(client);
  const role = await client.createRole("before", []);
  const cluster = await client.createCluster("before");
  const { items: [machine] } = await client.getServers();
  assert(machine);
  const configuration = await client.createPlaybookConfiguration({
    name: "before",
    clusterId: cluster.id,
    playbookId: "cluster_deploy",
    serverIds: [machine.id],
  });
  const rename = <Data extends object>(data: Data) => ({
    ...data,
    name: "after",
  });
  const edited = [
    await client.editRole(role.id, rename),
    await client.editCluster(cluster.id, rename),
    await client.editServer(machine.id, rename),
    await client.editPlaybookConfiguration(configuration.id, rename),
  ];
  for (const { data, version } of edited) {
    assertEquals([data.name, version], ["after", 2]);
  }
  const renamed = await client.editUser(user.id, adding("after"));
  assertEquals(renamed.data.full_name, "start after");
});

/** A server on which others come between, so many times. */
async function contested(
  times: number,
  test: (
    client: V1Client,
    id: string,
    requests: (method: string) => Exchange[],
  ) => Promise<void>,
): Promise<void> {
  let left = 0;
  await using server: StandInServer = new StandInServer(
    { servers: 0 },
    async ({ method, path, headers }) => {
      if (method !== "PUT" || headers.has("x-other") || left-- <= 0) {
        return undefined;
      }
      const id = path.split("/").at(-2) ?? "";
      await other.editUser(id, adding("other"), {
        headers: { "x-other": "1" },
      });
      return undefined;
    },
  );
  const other: V1Client = server.client();
  await using client = server.client();
  const { id } = await newUser(client);
  left = times;
  const mine = (method: string) =>
    server.sent(method, `/v1/user/${id}/`)
      .filter(({ headers }) => !headers.has("x-other"));
  await test(client, id, mine);
  await other.logout();
}

Deno.test("where another edit comes between, the model is read and changed anew", async () => {
  await contested(2, async (client, id, requests) => {
    const given: UserData[] = [];
    const user = await client.editUser(id, async (data) => {
      given.push(data);
      await client.getInfo();
      data.full_name += " mine"; // it is the caller's own
      return data;
    });
    assertEquals(user.data.full_name, "start other other mine");
    assertEquals(given.length, 3);
    assertNotStrictEquals(given[0], given[1]);
    assertEquals([requests("GET").length, requests("PUT").length], [3, 3]);
  });
});

Deno.test("editing gives up where others always come between", async () => {
  using _ = hurry(60_000);
  await contested(Infinity, async (client, id, requests) => {
    const error = await assertRejects(
      () => client.editUser(id, adding("mine")),
      DecapodAPIError,
    );
    assertEquals(error.error, "CannotUpdateManagedFieldsError");
    assertEquals(requests("PUT").length, 50);
  });
});

Deno.test("what is refused for another reason is not sent again", async () => {
  await using server = new StandInServer({ servers: 0 });
  await using client = server.client();
  const { id } = await newUser(client);
  const path = `/v1/user/${id}/`;
  const invalid = await assertRejects(
    () => client.editUser(id, (data) => ({ ...data, login: "root" })),
    DecapodAPIError,
  );
  assertEquals(invalid.code, 400);
  assertEquals(server.sent("PUT", path).length, 1);
  await client.deleteUser(id);
  const deleted = await assertRejects(
    () => client.editUser(id, adding("late")),
    DecapodAPIError,
  );
  assertEquals(deleted.error, "CannotUpdateDeletedModel");
  assertEquals(server.sent("PUT", path).length, 2);
  const unknown = await assertRejects(
    () => client.editUser(crypto.randomUUID(), adding("late")),
    DecapodAPIError,
  );
  assertEquals(unknown.code, 404);
});

Deno.test("reading is tried again, writing is not: it may have taken effect", async () => {
  let failing = "";
  await using server = new StandInServer({ servers: 0 }, ({ method }) => {
    if (method !== failing) return undefined;
    failing = "";
    return badGateway();
  });
  await using client = server.client();
  const { id } = await newUser(client);
  using _ = hurry(60_000);
  failing = "GET";
  await client.editUser(id, adding("1"));
  assertEquals(server.sent("GET", `/v1/user/${id}/`).length, 2);
  failing = "PUT";
  const error = await assertRejects(
    () => client.editUser(id, adding("2"), { retries: 5 }),
    DecapodAPIError,
  );
  assertEquals([error.code, error.outcomeUnknown], [502, true]);
  assertEquals(server.sent("PUT", `/v1/user/${id}/`).length, 2);
});

Deno.test("what the function throws is the caller's, and nothing is written", async () => {
  await using server = new StandInServer({ servers: 0 });
  await using client = server.client();
  const { id } = await newUser(client);
  const own = new Error("mine");
  const functions: (() => UserData | Promise<UserData>)[] = [
    () => {
      throw own;
    },
    () => Promise.reject(own),
  ];
  for (const change of functions) {
    const error = await assertRejects(() => client.editUser(id, change));
    assertStrictEquals(error, own);
  }
  for (const nothing of ["null", "5", "[]", '"text"']) {
    await assertRejects(
      () => client.editUser(id, () => JSON.parse(nothing)),
      TypeError,
      "Cannot edit: the function has to return the new data",
    );
  }
  const change = JSON.parse("5");
  await assertRejects(
    () => client.editUser(id, change),
    TypeError,
    "Invalid change",
  );
  await assertRejects(
    () => client.editUser(id, adding("x"), JSON.parse('{"attempts":1}')),
    TypeError,
    'there is no "attempts"',
  );
  assertEquals(server.sent("PUT", `/v1/user/${id}/`), []);
});

Deno.test("the deadline and the signal hold for the whole edit", async () => {
  await using server = new StandInServer({ servers: 0 });
  await using client = server.client();
  const { id } = await newUser(client);
  const hang = () => new Promise<UserData>(() => {});
  using _ = replace(AbortSignal, "timeout", () => {
    throw new Error("It would not keep the program running meanwhile");
  });
  await assertRejects(
    () => client.editUser(id, hang, { timeout: 50 }),
    DecapodTimeoutError,
  );
  const counted = new CountedSignal();
  const { controller, signal } = counted;
  const editing = client.editUser(id, () => {
    controller.abort("enough");
    return hang();
  }, { signal });
  assertEquals(await editing.catch((reason) => reason), "enough");
  assertEquals(counted.listeners, 0);
});

Deno.test("an edit without an answer is not taken for done", async () => {
  await using server = new StandInServer({ servers: 0 });
  await using client = server.client({
    fetch: (url, init) =>
      init.method === "PUT"
        ? Promise.reject(new TypeError("connection reset"))
        : fetch(url, init),
  });
  const { id } = await newUser(client);
  const error = await assertRejects(
    () => client.editUser(id, adding("x")),
    DecapodConnectionError,
  );
  assertEquals(error.outcomeUnknown, true);
});
