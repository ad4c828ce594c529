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
import { untyped } from "./support/untyped.ts";

/** A change that appends a word to the full name. */
function append(word: string): (data: UserData) => UserData {
  return (data) => ({ ...data, full_name: `${data.full_name} ${word}` });
}

/** Runs a test with a user; another editor wins the first races. */
async function withUser(
  test: (
    client: V1Client,
    user: User,
    requests: (method: string) => number,
  ) => Promise<void>,
  races = 0,
): Promise<void> {
  const headers = { "x-other": "1" };
  const isOwn = (exchange: Exchange) => !exchange.headers.has("x-other");
  await using server: StandInServer = new StandInServer(
    { servers: 0, insertDuration: 5 },
    async (exchange) => {
      if (exchange.method === "PUT" && isOwn(exchange) && races-- > 0) {
        await client.editUser(user.id, append("other"), { headers });
      }
      return undefined;
    },
  );
  await using client = server.client();
  const email = "edited@example.com";
  const names = { login: "edited", email, fullName: "start" };
  const user = await client.createUser(names);
  const requests = (method: string) =>
    server.sent(method, `/v1/user/${user.id}/`).filter(isOwn).length;
  await test(client, user, requests);
}

Deno.test("editUser() loses no edit of 20 concurrent editors", () =>
  withUser(async (client, { id }, requests) => {
    const words: string[] = [];
    const edit = async (_: unknown, editor: number) => {
      for (let edit = 0; edit < 5; edit++) {
        const word = `${editor}/${edit}`;
        words.push(word);
        const changed = await client.editUser(id, append(word));
        assert(changed.data.full_name.endsWith(` ${word}`));
      }
    };
    await Promise.all(Array.from({ length: 20 }, edit));
    const { version, data } = await client.getUser(id);
    assertEquals(version, 101);
    const [start, ...found] = data.full_name.split(" ");
    assertEquals(start, "start");
    assertEquals(found.toSorted(), words.toSorted());
    assert(requests("PUT") > 100, "there were no conflicts");
  }));

Deno.test("editUser() reads and changes the model anew after a conflict", () =>
  withUser(async (client, { id }, requests) => {
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
    assertEquals([requests("GET"), requests("PUT")], [3, 3]);
  }, 2));

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
  await withUser(async (client, { id }, requests) => {
    const error = await assertRejects(
      () => client.editUser(id, append("mine")),
      DecapodAPIError,
    );
    assertEquals(error.error, "CannotUpdateManagedFieldsError");
    assertEquals(requests("PUT"), 50);
  }, 60); // the 61st write would succeed
});

Deno.test("editUser() writes once if the server rejects the data", () =>
  withUser(async (client, { id }, requests) => {
    const takeName = (data: UserData) => ({ ...data, login: "root" });
    const invalid = await assertRejects(
      () => client.editUser(id, takeName, { timeout: 2000 }),
      DecapodAPIError,
    );
    assertEquals(invalid.error, "CannotUpdateModelWithSuchParameters");
    assertEquals(requests("PUT"), 1);
    assertEquals((await client.deleteUser(id)).version, 2);
    const deleted = await assertRejects(
      () => client.editUser(id, append("late")),
      DecapodAPIError,
    );
    assertEquals(deleted.error, "CannotUpdateDeletedModel");
    assertEquals(requests("PUT"), 2);
  }));

Deno.test("editUser() does not resend the write, whatever retries is", async () => {
  let writes = 0;
  const client = stubClient((_, { method }) => {
    if (method === "GET") return Response.json({ id: "id", data: {} });
    writes++;
    return badGateway();
  });
  const error = await assertRejects(
    () => client.editUser("id", (data) => data, { retries: 5 }),
    DecapodAPIError,
  );
  assertEquals([error.code, error.outcomeUnknown, writes], [502, true, 1]);
});

Deno.test("editUser() rejects with what the change throws and writes nothing", () =>
  withUser(async (client, { id }, requests) => {
    const own = new Error("mine");
    const throwOwn = () => {
      throw own;
    };
    for (const change of [throwOwn, () => Promise.reject(own)]) {
      const error = await client.editUser(id, change).catch((error) => error);
      assertStrictEquals(error, own);
    }
    const part = "Invalid change: must return an object with the new data";
    for (const nothing of [null, 5, [], "text"]) {
      const edit = () => client.editUser(id, () => untyped(nothing));
      await assertRejects(edit, TypeError, part);
    }
    const edit = () => client.editUser(id, untyped(5));
    await assertRejects(edit, TypeError, "Invalid change");
    assertEquals(requests("PUT"), 0);
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

Deno.test("updateCluster() rejects what is not a model and sends nothing", async () => {
  const client = stubClient(() => {
    throw new Error("A request was sent");
  });
  const invalid: [unknown, string][] = [
    [Promise.resolve({}), "a promise (is an await missing?)"],
    ["id", "string"],
    [undefined, "undefined"],
  ];
  for (const [model, got] of invalid) {
    await assertRejects(
      () => client.updateCluster(untyped(model)),
      TypeError,
      `Invalid cluster: must be a model as it was read, got ${got}`,
    );
  }
});
