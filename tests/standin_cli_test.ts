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
  const program = command("--port", "0", "--servers", "2").spawn();
  const errors = new Response(program.stderr).text();
  const lines = program.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let output = "";
  const readUntil = async (wanted: string) => {
    while (!output.includes(wanted)) {
      const { value, done } = await lines.read();
      if (done) throw new Error(`Ended before "${wanted}": ${output}`);
      output += value;
    }
  };
  await readUntil("Ctrl-C");
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0] ?? "";
  assertStringIncludes(output, DISCOVERY_TOKEN);

  const login = await fetch(`${url}/v1/auth/`, {
    method: "POST",
    body: JSON.stringify({ username: "root", password: "root" }),
  });
  const { id } = await login.json();
  const servers = await fetch(`${url}/v1/server/?filter=secret`, {
    headers: { Authorization: id },
  });
  assertEquals((await servers.json()).total, 2);
  for (
    const path of ["v1//password_reset/secret/", "v1/password_reset/secret"]
  ) {
    await (await fetch(`${url}/${path}`)).body?.cancel();
  }
  await readUntil("GET /v1/password_reset/<token> 404");
  assert(!output.includes(id) && !output.includes("secret"), output);
  assertStringIncludes(output, "POST /v1/auth/ 200\nGET /v1/server/ 200\n");

  program.kill("SIGINT");
  await readUntil("Stopped");
  assertEquals((await program.status).code, 0);
  assertEquals(await errors, "");
  await lines.cancel();
});
