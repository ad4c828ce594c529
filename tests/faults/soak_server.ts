/**
 * The server of the soak: a stand-in behind random faults. It runs in a Worker
 * so that its memory is not counted with that of the clients.
 */

import { seededRandom } from "../standin/ids.ts";
import { StandIn } from "../standin/mod.ts";
import { respond } from "../support/cores.ts";
import { PASSWORD } from "../support/server.ts";
import { FAULTS } from "./faults.ts";
import { FaultServer } from "./server.ts";

/** A message to the server. It responds with its state. */
export type Question = "state" | "stopFaults";

/** The state of the server. */
export type State = Awaited<ReturnType<typeof reply>>;

/** One request in this many has a fault. */
const ODDS = 8;

/** How often every token is revoked, in ms. */
const REVOCATION = 1500;

const random = seededRandom(
  Number(new URL(import.meta.url).searchParams.get("seed")),
);
const standIn = new StandIn({ rootPassword: PASSWORD });
const log = { servers: 2, steps: 20, duration: 1 };
const execution = String(standIn.seedExecution(log).id);
standIn.setLog(execution, "ok: [10.0.0.1]\n".repeat(200));
const running = String(standIn.seedExecution({ duration: 1e9 }).id);
const server = new FaultServer(standIn.handler);
server.keepAlive = true;
let requests = 0;
let struck = 0;

// One draw per request decides which fault it gets, if any.
let draw = 0;
const kinds = FAULTS.flatMap((fault) =>
  [false, true].map((inBody) => ({ fault, inBody }))
).filter(({ fault, inBody }) =>
  fault.unsent === undefined && !(inBody && fault.headOnly)
);
for (const [place, { fault, inBody }] of kinds.entries()) {
  const operation = () => {
    if (place === 0) draw = Math.floor(random() * kinds.length * ODDS);
    return draw === place;
  };
  server.inject({ fault, inBody, operation });
}
// Reading byte by byte is slow: connections are closed, not reset.
server.careful = false;
const revocations = setInterval(() => standIn.revokeTokens(), REVOCATION);

async function reply(question: Question) {
  let busy = 0; // the number of pending requests without faults
  if (question === "stopFaults") {
    clearInterval(revocations);
    server.clear();
    busy = await server.pending();
  }
  // Dropped once they are counted: there are many.
  for (const { fault } of server.received.splice(0)) {
    requests++;
    if (fault !== undefined) struck++;
  }
  const { url, open } = server;
  return { url, execution, running, open, requests, struck, busy };
}

respond(reply);
