/** Measures bundles of the published package; fails if one is too large. */
import { gzipSync } from "node:zlib";
import { denoConsumer } from "./consumers.ts";
import { openRegistry } from "./server.ts";

/** The bundled scripts and their size limits in bytes, gzipped. */
const GATES = [
  {
    name: "only Client",
    limit: 24_500,
    code: `import { Client } from "@decapod/decapodlib";
const client = new Client("https://decapod.example", {
  login: "root",
  password: "root",
});
console.log(client.url);
`,
  },
  {
    name: "everything",
    limit: 34_300,
    code: `import * as everything from "@decapod/decapodlib";
console.log(everything);
`,
  },
];

await using server = await openRegistry();
await using consumer = await denoConsumer(server);
for (const { name, limit, code } of GATES) {
  await consumer.write("main.ts", code);
  await consumer.deno(["bundle", "--minify", "-o", "main.js", "main.ts"]);
  // The bundle must run, or its size means nothing.
  await consumer.deno(["run", "--no-remote", "main.js"]);
  const bundle = await Deno.readFile(consumer.at("main.js"));
  const size = gzipSync(bundle, { level: 9 }).length;
  const fits = size <= limit;
  if (!fits) Deno.exitCode = 1;
  console.log(
    `  ${
      name.padEnd(11)
    }  ${size} of ${limit} bytes gzipped (${bundle.length} minified)${
      fits ? "" : "  TOO LARGE"
    }`,
  );
}
