/** Tests of the edit methods. */

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
import { CountedSignal } from "./support/patch.ts";
import { skipTimers } from "./support/time.ts";

/** Creates a user to edit. */
function newUser(client: V1Client) {
  return client.createUser({
    login: "edited",
    email: "edited@example.com",
    fullName: "start",
  });
}

/** A change that appends a word to the full name. */
function append(word: string): (data: UserData) => UserData {
  return (data) => ({ ...data, full_name: `${data.full_name} ${word}` });
}

Deno.test("editUser() loses no edit of 20 concurrent editors", async () => {
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
        const changed = await own.editUser(id, append(word));
        assert(changed.data.full_name.endsWith(` ${word}`));
      }
    }),
  );
  const { version, data } = await client.getUser(id);
  assertEquals(version, 201);
  const [start, ...found] = data.full_name.split(" ");
  assertEquals(start, "start");
  assertEquals(found.toSorted(), words.toSorted());
  // There were conflicts.
  assert(server.sent("PUT", `/v1/user/${id}/`).length > 200);
});

/** Runs a test in which another editor wins the first races. */
async function withConflicts(
  conflicts: number,
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
      await other.editUser(id, append("other"), {
        headers: { "x-other": "1" },
      });
      return undefined;
    },
  );
  const other: V1Client = server.client();
  await using client = server.client();
  const { id } = await newUser(client);
  left = conflicts;
  const mine = (method: string) =>
    server.sent(method, `/v1/user/${id}/`)
      .filter(({ headers }) => !headers.has("x-other"));
  await test(client, id, mine);
  await other.logout();
}

Deno.test("editUser() reads and changes the model anew after a conflict", async () => {
  await withConflicts(2, async (client, id, requests) => {
    const seen: UserData[] = [];
    const user = await client.editUser(id, async (data) => {
      seen.push(data);
      await client.getInfo();
      data.full_name += " mine"; // may be mutated
      return data;
    });
    assertEquals(user.data.full_name, "start other other mine");
    assertEquals(seen.length, 3);
    assertNotStrictEquals(seen[0], seen[1]);
    assertEquals([requests("GET").length, requests("PUT").length], [3, 3]);
  });
});

Deno.test("editUser() rejects after 50 conflicts", async () => {
  using _ = skipTimers(60_000);
  await withConflicts(Infinity, async (client, id, requests) => {
    const error = await assertRejects(
      () => client.editUser(id, append("mine")),
      DecapodAPIError,
    );
    assertEquals(error.error, "CannotUpdateManagedFieldsError");
    assertEquals(requests("PUT").length, 50);
  });
});

Deno.test("editUser() writes once if the server rejects the data", async () => {
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
    () => client.editUser(id, append("late")),
    DecapodAPIError,
  );
  assertEquals(deleted.error, "CannotUpdateDeletedModel");
  assertEquals(server.sent("PUT", path).length, 2);
  const unknown = await assertRejects(
    () => client.editUser(crypto.randomUUID(), append("late")),
    DecapodAPIError,
  );
  assertEquals(unknown.code, 404);
});

Deno.test("editUser() retries the read but not the write", async () => {
  let failing = "";
  await using server = new StandInServer({ servers: 0 }, ({ method }) => {
    if (method !== failing) return undefined;
    failing = "";
    return badGateway();
  });
  await using client = server.client();
  const { id } = await newUser(client);
  using _ = skipTimers(60_000);
  failing = "GET";
  await client.editUser(id, append("1"));
  assertEquals(server.sent("GET", `/v1/user/${id}/`).length, 2);
  failing = "PUT";
  const error = await assertRejects(
    () => client.editUser(id, append("2"), { retries: 5 }),
    DecapodAPIError,
  );
  assertEquals([error.code, error.outcomeUnknown], [502, true]);
  assertEquals(server.sent("PUT", `/v1/user/${id}/`).length, 2);
});

Deno.test("editUser() rejects with what the change throws and writes nothing", async () => {
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
      "Invalid change: must return the new data",
    );
  }
  const change = JSON.parse("5");
  await assertRejects(
    () => client.editUser(id, change),
    TypeError,
    "Invalid change",
  );
  await assertRejects(
    () => client.editUser(id, append("x"), JSON.parse('{"attempts":1}')),
    TypeError,
    'Unknown option "attempts"',
  );
  assertEquals(server.sent("PUT", `/v1/user/${id}/`), []);
});

Deno.test("editUser() ends a hanging change at the deadline and at an abort", async () => {
  await using server = new StandInServer({ servers: 0 });
  await using client = server.client();
  const { id } = await newUser(client);
  const hang = () => new Promise<UserData>(() => {});
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

Deno.test("editUser() rejects with outcomeUnknown if the write gets no response", async () => {
  await using server = new StandInServer({ servers: 0 });
  await using client = server.client({
    fetch: (url, init) =>
      init.method === "PUT"
        ? Promise.reject(new TypeError("connection reset"))
        : fetch(url, init),
  });
  const { id } = await newUser(client);
  const error = await assertRejects(
    () => client.editUser(id, append("x")),
    DecapodConnectionError,
  );
  assertEquals(error.outcomeUnknown, true);
});

Deno.test("editCluster() loses no edit of 8 editors whose writes overlap", async () => {
  await using server = new StandInServer({ servers: 0, insertDuration: 5 });
  await using client = server.client();
  const { id } = await client.createCluster("edited");
  await Promise.all(
    Array.from({ length: 8 }, async (_, editor) => {
      await using own = server.client();
      for (let edit = 0; edit < 5; edit++) {
        await own.editCluster(id, (data) => ({
          ...data,
          name: `${data.name} ${editor}/${edit}`,
        }));
      }
    }),
  );
  const { version, data } = await client.getCluster(id);
  const words = data.name.split(" ").slice(1);
  assertEquals([version, words.length, new Set(words).size], [41, 40, 40]);
  const duplicates = server.sent("PUT", `/v1/cluster/${id}/`).filter((
    { answer },
  ) => answer?.text.includes("CannotUpdateModelWithSuchParameters"));
  assert(duplicates.length > 0, "no two writes overlapped");
});

Deno.test("editCluster() rejects a name that is taken after one write", async () => {
  await using server = new StandInServer({ servers: 0, insertDuration: 5 });
  await using client = server.client();
  await client.createCluster("taken");
  const { id } = await client.createCluster("edited");
  const error = await assertRejects(
    () => client.editCluster(id, (data) => ({ ...data, name: "taken" })),
    DecapodAPIError,
  );
  assertEquals(error.error, "CannotUpdateModelWithSuchParameters");
  assertEquals(server.sent("PUT", `/v1/cluster/${id}/`).length, 1);
  assertEquals((await client.getCluster(id)).version, 1);
});

Deno.test("updateCluster() rejects what is not a model and sends nothing", async () => {
  await using server = new StandInServer({ servers: 0 });
  const client = server.client();
  const invalid: [unknown, string][] = [
    [Promise.resolve({}), "a promise (is an await missing?)"],
    ["id", "string"],
    [undefined, "undefined"],
  ];
  for (const [model, got] of invalid) {
    await assertRejects(
      () => Reflect.apply(client.updateCluster, client, [model]),
      TypeError,
      `Invalid cluster: must be a whole model as it was read, got ${got}`,
    );
  }
  assertEquals(server.exchanges, []);
});
