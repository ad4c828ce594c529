/** Generates user-data. */

import { parse, stringify } from "@std/yaml";
import { generateCloudConfig } from "../../mod.ts";
import { register } from "./contest.ts";

function generate(): string {
  return generateCloudConfig({
    url: "https://decapod.example",
    serverDiscoveryToken: "26758c32-3421-4f3d-9603-e4b5337e7ecc",
    publicKey:
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFMPVXbJkfBaBn7tLZhG7OXQpj5HFgMMbTO6MaexrZU ansible@decapod",
    username: "ansible",
  });
}

const document = parse(generate());

/** The options with which generateCloudConfig() calls stringify(). */
const OPTIONS = { lineWidth: -1, arrayIndent: false };

export const contests = register({
  name: "user-data",
  ways: {
    "generateCloudConfig": () => generate().length > 0 ? 1 : 0,
    "its YAML only": () => stringify(document, OPTIONS).length > 0 ? 1 : 0,
  },
  targets: [{ against: "its YAML only", of: "time" }],
  times: 20,
});
