/** Listings that are awaited more than once. */

import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { Client, DecapodAPIError } from "../mod.ts";
import { apiError, StandInServer } from "./support/server.ts";

Deno.test("Listing requests its page again after a failure, and keeps it after a success", async () => {
  let fails = true;
  await using server = new StandInServer(
    {},
    ({ path }) =>
      fails && path === "/v1/user/"
        ? apiError(500, "Oops", "Sorry")
        : undefined,
  );
  const client = server.client();
  const listing = client.getUsers();
  const requests = () => server.sent("GET", "/v1/user/").length;
  const failures = await Promise.allSettled([listing, listing, listing]);
  assertEquals(failures.map(({ status }) => status), [
    "rejected",
    "rejected",
    "rejected",
  ]);
  assertEquals(requests(), 1); // awaits at the same time share it
  await assertRejects(async () => await listing, DecapodAPIError, "500");
  assertEquals(requests(), 2);
  fails = false;
  const page = await listing;
  assertEquals(requests(), 3);
  fails = true;
  assertStrictEquals(await listing, page);
  assertEquals(requests(), 3);
});

Deno.test("Listing has catch() and finally()", async () => {
  await using server = new StandInServer();
  const client = server.client();
  const listing = client.getUsers();
  let calls = 0;
  const count = () => void calls++;
  assertEquals(await listing.catch(count), await listing);
  assertEquals(await listing.finally(count), await listing);
  assertEquals(calls, 1);
  const failing = client.getUsers({ page: 0 });
  const error = await failing.catch((error) => error);
  assertInstanceOf(error, RangeError);
  await assertRejects(() => failing.finally(count), RangeError);
  await assertRejects(() => failing.catch(), RangeError);
  assertEquals(calls, 2);
});

Deno.test("Listing shows its request in console.log", () => {
  const client = new Client("http://decapod.example", {
    login: "root",
    password: "secret",
  });
  const listing = client.getServers({ filter: { state: "off" } });
  assertEquals(
    Deno.inspect(listing),
    `Listing { GET http://decapod.example/v1/server/?filter=${
      encodeURIComponent('{"state":"off"}')
    } }`,
  );
  assertEquals(Deno.inspect(client.getUserVersions("")), "Listing {}");
});

Deno.test("Listing obeys options that an object inherits from its class", async () => {
  await using server = new StandInServer();
  await using client = server.client();
  const options = Object.create({ filter: { login: "nobody" } });
  assertEquals((await client.getUsers(options)).items, []);
  assertEquals(await client.getUsers(options).toArray(), []);
});
