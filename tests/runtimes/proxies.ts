/** Proxies: from the environment, or on Node by a custom fetch. */
import { Client, type ClientOptions } from "@decapod/decapodlib";
import { ACCOUNT } from "./clients.ts";
import { assertEquals, only, section, test, WITH_TLS } from "./kit.ts";

let injected: ClientOptions["fetch"];

/** Sets the fetch that connects through the proxy. */
export function useProxyFetch(fetch: NonNullable<ClientOptions["fetch"]>) {
  injected = fetch;
}

section("proxies");

only(...WITH_TLS);
test("Client connects through a proxy", async ({ pem, behindProxy }) => {
  for (const protocol of ["http", "https"]) {
    const { ca } = pem;
    await using client = new Client(`${protocol}://${behindProxy}`, {
      ...ACCOUNT,
      ...(injected
        ? { fetch: injected }
        : protocol === "https" && { tls: { ca } }),
    });
    assertEquals((await client.getUserSelf()).data.login, "root");
  }
});
