/** Runs the suite within a Worker: the answer has its results. */
import { lines } from "./suite.ts";

export default {
  fetch(_request: Request, env: { SETTINGS: string }): Response {
    const encoder = new TextEncoder();
    const { readable, writable } = new TransformStream<Uint8Array>();
    (async () => {
      const writer = writable.getWriter();
      for await (const line of lines(env.SETTINGS, "bundled")) {
        await writer.write(encoder.encode(`${line}\n`));
      }
      await writer.close();
    })();
    return new Response(readable);
  },
};
