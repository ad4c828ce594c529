/** The user-data is the same text on each runtime. */
import { generateCloudConfig } from "@decapod/decapodlib";
import { assert, section, test } from "./kit.ts";

/** The runner generates this too, to compare. */
export const OPTIONS = {
  url: "https://decapod.example:9999",
  serverDiscoveryToken: "26758c32-3421-4f3d-9603-e4b5337e7ecc",
  publicKey:
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFMPVXbJkfBaBn7tLZhG7OXQpj5HFgMMbTO6MaexrZU größe@decapod",
  username: "ansible",
  timeout: 2.5,
  packages: ["python", "chrony"],
};

section("cloud config");

test("generateCloudConfig() returns the same bytes on each runtime", (settings) => {
  assert(
    generateCloudConfig(OPTIONS) === settings.cloudConfig,
    "Expected the same text",
  );
});
