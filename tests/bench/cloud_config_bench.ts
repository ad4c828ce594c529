/** Benchmark of generateCloudConfig(). */

import { parse, stringify } from "@std/yaml";
import { generateCloudConfig } from "../../mod.ts";
import { type Contest, register } from "./contest.ts";

function generate(): string {
  return generateCloudConfig({
    url: "https://decapod.example",
    serverDiscoveryToken: "26758c32-3421-4f3d-9603-e4b5337e7ecc",
    publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqf ansible@decapod",
    username: "ansible",
  });
}

const document = parse(generate());

/** The options of the library. */
const OPTIONS = { lineWidth: -1, useAnchors: false };

/** The comparisons. */
export const contests: Contest[] = [{
  name: "a cloud-config",
  ways: {
    "generateCloudConfig": () => generate().length > 0 ? 1 : 0,
    "its YAML alone": () => stringify(document, OPTIONS).length > 0 ? 1 : 0,
  },
  targets: [{ against: "its YAML alone", of: "time" }],
  times: 20,
}];

contests.forEach(register);
