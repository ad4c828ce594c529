/**
 * The server of the soak: a stand-in behind random faults. It runs in a worker
 * so that its memory is not counted with that of the clients.
 */

import { seededRandom } from "../standin/ids.ts";
import { StandIn } from "../standin/mod.ts";
import { FAULTS } from "./faults.ts";
import { ALWAYS } from "./rules.ts";
import { FaultServer } from "./server.ts";

/** A message to the server. */
export type Question =
  | { kind: "start"; password: string; seed: number }
  | { kind: "state" }
  | { kind: "stopFaults" }
  | { kind: "stop" };

/** The response to a message. */
export interface Answer {
  url: string;
  /** The execution whose log can be read. */
  execution: string;
  /** An execution that never ends. */
  running: string;
  /** The number of open connections. */
  open: number;
  /** The number of requests so far, and of those with a fault. */
  requests: number;
  struck: number;
  /** The number of pending requests, after "stopFaults". */
  busy: number;
}

/** One request in this many has a fault. */
const ODDS = 8;

/** How often every token is revoked, in ms. */
const REVOCATION = 1500;

/** How long pending requests may take to end, in ms. */
const SETTLE_TIMEOUT = 5000;

class Soaked {
  readonly #standIn: StandIn;
  readonly #server: FaultServer;
  readonly #execution: string;
  readonly #running: string;
  #requests = 0;
  #struck = 0;
  #revocations: ReturnType<typeof setInterval> | undefined;

  constructor(password: string, seed: number) {
    const random = seededRandom(seed);
    const standIn = new StandIn({ rootPassword: password });
    const { id } = standIn.seedExecution({
      servers: 2,
      steps: 20,
      duration: 1,
    });
    standIn.setLog(String(id), "ok: [10.0.0.1]\n".repeat(200));
    this.#execution = String(id);
    const running = standIn.seedExecution({ duration: 1e9 });
    this.#running = String(running.id);
    this.#standIn = standIn;
    this.#server = new FaultServer(standIn.handler);
    // One draw per request decides which fault it gets, if any.
    let draw = 0;
    const kinds = FAULTS.flatMap((fault) =>
      [false, true].map((inBody) => ({ fault, inBody }))
    ).filter(({ fault, inBody }) =>
      fault.unsent === undefined && !(inBody && fault.headOnly)
    );
    for (const [place, { fault, inBody }] of kinds.entries()) {
      this.#server.inject({
        fault,
        inBody,
        skip: 0,
        count: ALWAYS,
        operation: () => {
          if (place === 0) draw = Math.floor(random() * kinds.length * ODDS);
          return draw === place;
        },
      });
    }
    // Reading byte by byte is slow: connections are closed, not reset.
    this.#server.careful = false;
    this.#server.keepAlive = true;
    this.#revocations = setInterval(
      () => standIn.revokeTokens(),
      REVOCATION,
    );
  }

  async answer(settle: boolean): Promise<Answer> {
    const server = this.#server;
    const busy = settle ? await server.settled(SETTLE_TIMEOUT) : 0;
    // Dropped once they are counted: there are many.
    for (const { fault } of server.received.splice(0)) {
      this.#requests++;
      if (fault !== undefined) this.#struck++;
    }
    return {
      url: server.url,
      execution: this.#execution,
      running: this.#running,
      open: server.open,
      requests: this.#requests,
      struck: this.#struck,
      busy,
    };
  }

  /** Stops all faults. */
  stopFaults(): void {
    clearInterval(this.#revocations);
    this.#server.clear();
  }

  async stop(): Promise<void> {
    this.stopFaults();
    await this.#server[Symbol.asyncDispose]();
  }
}

let soaked: Soaked | undefined;

/** Handles one message. */
async function reply(question: Question): Promise<Answer | undefined> {
  if (question.kind === "start") {
    soaked = new Soaked(question.password, question.seed);
  }
  if (question.kind === "stopFaults") soaked?.stopFaults();
  if (question.kind === "stop") {
    await soaked?.stop();
    return undefined;
  }
  return await soaked?.answer(question.kind === "stopFaults");
}

/** The part of a worker's scope that is used here. */
interface Scope {
  onmessage: ((event: MessageEvent<Question>) => void) | null;
  postMessage(message: Answer | undefined): void;
}

function isScope(scope: object): scope is Scope {
  return "postMessage" in scope;
}

const scope: object = globalThis;
if (isScope(scope)) {
  scope.onmessage = async ({ data }) => scope.postMessage(await reply(data));
}
