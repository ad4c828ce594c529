/** The stand-in as a program. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { DISCOVERY_TOKEN } from "./standin/mod.ts";

const PROGRAM = new URL("./standin/main.ts", import.meta.url).pathname;

function command(...args: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-config", PROGRAM, ...args],
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  });
}

async function assertFails(args: string[], code: number, ...parts: string[]) {
  const output = await command(...args).output();
  const text = new TextDecoder().decode(output.stderr);
  assertEquals(output.code, code, text);
  for (const part of parts) assertStringIncludes(text, part);
}

Deno.test("stand-in program names a mistake on its command line", async () => {
  const mistakes: [args: string[], complaint: string][] = [
    [["--prot", "1"], "--prot"],
    [["--port", "many"], "Cannot use --port many"],
    [["--pace", "0"], "Cannot use --pace 0"],
    [["--discovery-delay", "-1"], "--discovery-delay"],
    [["--insert-duration", "3s"], "Cannot use --insert-duration 3s"],
    [["extra"], "extra"],
  ];
  await Promise.all(
    mistakes.map(([args, complaint]) =>
      assertFails(args, 2, complaint, "Usage:")
    ),
  );
});

Deno.test("stand-in program names a port that is in use", async () => {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  await assertFails(["--port", `${port}`], 1, `127.0.0.1:${port}`);
});

Deno.test("stand-in program serves, logs no secrets, and ends on Ctrl-C", async () => {
  await using program = command("--port", "0", "--servers", "2").spawn();
  const errors = new Response(program.stderr).text();
  let output = "";
  let token = "";
  for await (
    const text of program.stdout.pipeThrough(new TextDecoderStream())
  ) {
    output += text;
    if (token !== "" || !output.includes("Ctrl-C")) continue;
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
    const login = await fetch(`${url}/v1/auth/`, {
      method: "POST",
      body: JSON.stringify({ username: "root", password: "root" }),
    });
    token = (await login.json()).id;
    const servers = await fetch(`${url}/v1/server/?filter=secret`, {
      headers: { Authorization: token },
    });
    assertEquals((await servers.json()).total, 2);
    for (const path of ["/password_reset/secret/", "password_reset/secret"]) {
      await (await fetch(`${url}/v1/${path}`)).body?.cancel();
    }
    program.kill("SIGINT");
  }
  for (
    const part of [
      DISCOVERY_TOKEN,
      "POST /v1/auth/ 200\nGET /v1/server/ 200\n",
      "GET /v1//password_reset/<token>/ 404\n",
      "GET /v1/password_reset/<token> 404\n",
      "Stopped",
    ]
  ) assertStringIncludes(output, part);
  assert(!output.includes(token) && !output.includes("secret"), output);
  assertEquals((await program.status).code, 0);
  assertEquals(await errors, "");
});
