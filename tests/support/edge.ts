/** TLS servers and a proxy in front of a port, in a process of Node. */
import { fileURLToPath } from "node:url";
import type { Edge } from "../runtimes/edge.ts";

/** Starts the servers; Node has to be the newest. */
export async function startEdge(node: string, edge: Edge) {
  const child = new Deno.Command(node, {
    args: [fileURLToPath(new URL("../runtimes/edge.ts", import.meta.url))],
    env: { EDGE: JSON.stringify(edge) },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await reader.read();
  const ports: Record<string, number> = JSON.parse(value);
  return {
    ports,
    async [Symbol.asyncDispose]() {
      await child.stdin.close();
      await reader.cancel();
      await child.status;
    },
  };
}
