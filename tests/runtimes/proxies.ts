/** Proxies: of the environment where the runtime heeds it, else injected. */
import { Client, type ClientOptions } from "@decapod/decapodlib";
import { assertEquals, section, test } from "./kit.ts";

let injected: ClientOptions["fetch"];

/** Tells the suite to reach the proxy with a fetch of its own. */
export function useProxyFetch(fetch: NonNullable<ClientOptions["fetch"]>) {
  injected = fetch;
}

section("proxies");

test("reach what only they can reach", async ({ pem, behindProxy }) => {
  for (const protocol of ["http", "https"]) {
    const { ca } = pem;
    await using client = new Client(`${protocol}://${behindProxy}`, {
      login: "root",
      password: "root",
      ...(injected
        ? { fetch: injected }
        : protocol === "https" && { tls: { ca } }),
    });
    assertEquals((await client.getUserSelf()).data.login, "root");
  }
}, ["bun", "deno", "node"]);
