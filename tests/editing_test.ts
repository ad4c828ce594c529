/** Tests of the edit methods. */

import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  type ClusterData,
  DecapodAPIError,
  DecapodTimeoutError,
  type User,
  type UserData,
  type V1Client,
} from "../mod.ts";
import { apiError, type Exchange, StandInServer } from "./support/server.ts";
import { badGateway } from "./support/execution.ts";
import { CountedSignal } from "./support/patch.ts";
import { stubClient } from "./support/stub.ts";
import { inTime, skipTimers } from "./support/time.ts";

/** Runs a test with a user on a server. */
async function withUser(
  test: (
    client: V1Client,
    user: User,
    requests: (method: string) => Exchange[],
  ) => Promise<void>,
  before?: (exchange: Exchange) => Response | undefined | Promise<undefined>,
): Promise<void> {
  await using server = new StandInServer({ servers: 0 }, before);
  await using client = server.client();
  const user = await client.createUser({
    login: "edited",
    email: "edited@example.com",
    fullName: "start",
  });
  const requests = (method: string) =>
    server.sent(method, `/v1/user/${user.id}/`)
      .filter(({ headers }) => !headers.has("x-other"));
  await test(client, user, requests);
}

/** A change that appends a word to the full name. */
function append(word: string): (data: UserData) => UserData {
  return (data) => ({ ...data, full_name: `${data.full_name} ${word}` });
}

Deno.test("editUser() loses no edit of 20 concurrent editors", () =>
  withUser(async (client, { id }, requests) => {
    const words: string[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async (_, editor) => {
        for (let edit = 0; edit < 10; edit++) {
          const word = `${editor}/${edit}`;
          words.push(word);
          const changed = await client.editUser(id, append(word));
          assert(changed.data.full_name.endsWith(` ${word}`));
        }
      }),
    );
    const { version, data } = await client.getUser(id);
    assertEquals(version, 201);
    const [start, ...found] = data.full_name.split(" ");
    assertEquals(start, "start");
    assertEquals(found.toSorted(), words.toSorted());
    assert(requests("PUT").length > 200, "there were no conflicts");
  }));

/** Runs a test in which another editor wins the first races. */
async function withConflicts(
  conflicts: number,
  test: Parameters<typeof withUser>[0],
): Promise<void> {
  let editAsOther: (() => Promise<User>) | undefined;
  await withUser(async (client, user, requests) => {
    const headers = { "x-other": "1" };
    editAsOther = () => client.editUser(user.id, append("other"), { headers });
    await test(client, user, requests);
  }, async ({ method, headers }) => {
    if (method !== "PUT" || headers.has("x-other")) return;
    if (conflicts-- > 0) await editAsOther?.();
  });
}

Deno.test("editUser() reads and changes the model anew after a conflict", () =>
  withConflicts(2, async (client, { id }, requests) => {
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
  }));

Deno.test("editUser() recognizes a conflict whose name contains the password", async () => {
  const conflicts: [password: string, name: string][] = [
    ["update", "CannotUpdateManagedFieldsError"],
    ["such", "CannotUpdateModelWithSuchParameters"],
  ];
  for (const [password, name] of conflicts) {
    let version = 1;
    const client = stubClient(
      (_, { method }) =>
        method === "PUT" && version++ === 1
          ? apiError(400, name, "Too late")
          : Response.json({ id: "id", version, data: {} }),
      { password },
    );
    await client.editUser("id", (data) => data);
    assertEquals(version, 3);
  }
});

Deno.test("editUser() rejects after 50 conflicts", async () => {
  using _ = skipTimers(60_000);
  // The 61st write would succeed.
  await withConflicts(60, async (client, { id }, requests) => {
    const error = await assertRejects(
      () => client.editUser(id, append("mine")),
      DecapodAPIError,
    );
    assertEquals(error.error, "CannotUpdateManagedFieldsError");
    assertEquals(requests("PUT").length, 50);
  });
});

Deno.test("editUser() writes once if the server rejects the data", () =>
  withUser(async (client, { id }, requests) => {
    const takeName = (data: UserData) => ({ ...data, login: "root" });
    const invalid = await assertRejects(
      () => client.editUser(id, takeName, { timeout: 2000 }),
      DecapodAPIError,
    );
    assertEquals([invalid.code, requests("PUT").length], [400, 1]);
    await client.deleteUser(id);
    const deleted = await assertRejects(
      () => client.editUser(id, append("late")),
      DecapodAPIError,
    );
    assertEquals(deleted.error, "CannotUpdateDeletedModel");
    assertEquals(requests("PUT").length, 2);
    await assertRejects(
      () => client.editUser(crypto.randomUUID(), append("late")),
      DecapodAPIError,
      "404",
    );
  }));

Deno.test("editUser() retries the read but not the write", async () => {
  let failing = "";
  await withUser(async (client, { id }, requests) => {
    using _ = skipTimers(60_000);
    failing = "GET";
    await client.editUser(id, append("1"));
    assertEquals(requests("GET").length, 2);
    failing = "PUT";
    const error = await assertRejects(
      () => client.editUser(id, append("2"), { retries: 5 }),
      DecapodAPIError,
    );
    assertEquals([error.code, error.outcomeUnknown], [502, true]);
    assertEquals(requests("PUT").length, 2);
  }, ({ method }) => {
    if (method !== failing) return;
    failing = "";
    return badGateway();
  });
});

Deno.test("editUser() rejects with what the change throws and writes nothing", () =>
  withUser(async (client, { id }, requests) => {
    const own = new Error("mine");
    const changes: (() => UserData | Promise<UserData>)[] = [
      () => {
        throw own;
      },
      () => Promise.reject(own),
    ];
    for (const change of changes) {
      const error = await assertRejects(() => client.editUser(id, change));
      assertStrictEquals(error, own);
    }
    for (const nothing of ["null", "5", "[]", '"text"']) {
      await assertRejects(
        () => client.editUser(id, () => JSON.parse(nothing)),
        TypeError,
        "Invalid change: must return an object with the new data",
      );
    }
    await assertRejects(
      () => client.editUser(id, JSON.parse("5")),
      TypeError,
      "Invalid change",
    );
    await assertRejects(
      () => client.editUser(id, append("x"), JSON.parse('{"attempts":1}')),
      TypeError,
      'Unknown option "attempts"',
    );
    assertEquals(requests("PUT"), []);
  }));

Deno.test("editUser() ends a hanging change at the deadline and at an abort", () =>
  withUser(async (client, { id }) => {
    const hang = () => new Promise<UserData>(() => {});
    await assertRejects(
      () => inTime(client.editUser(id, hang, { timeout: 50 })),
      DecapodTimeoutError,
    );
    const counted = new CountedSignal();
    const { controller, signal } = counted;
    const editing = client.editUser(id, () => {
      controller.abort("enough");
      return hang();
    }, { signal });
    assertEquals(await inTime(editing).catch((reason) => reason), "enough");
    assertEquals(counted.listeners, 0);
  }));

Deno.test("editCluster() rejects a name that is taken after one write", async () => {
  await using server = new StandInServer({ servers: 0, insertDuration: 5 });
  await using client = server.client();
  await client.createCluster("taken");
  const { id } = await client.createCluster("edited");
  const takeName = (data: ClusterData) => ({ ...data, name: "taken" });
  const error = await assertRejects(
    () => client.editCluster(id, takeName, { timeout: 2000 }),
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
      `Invalid cluster: must be a model as it was read, got ${got}`,
    );
  }
  assertEquals(server.exchanges, []);
});
