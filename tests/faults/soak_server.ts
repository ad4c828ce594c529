/**
 * The server of the soak, in a worker of its own so that its memory is not
 * counted with the client's: a stand-in behind random faults.
 */

import { seededRandom } from "../standin/ids.ts";
import { StandIn } from "../standin/mod.ts";
import { FAULTS } from "./faults.ts";
import { ALWAYS } from "./rules.ts";
import { FaultServer } from "./server.ts";

/** What the soak asks for. */
export type Question =
  | { kind: "start"; password: string; seed: number }
  | { kind: "state" }
  | { kind: "relent" }
  | { kind: "stop" };

/** What it is told. */
export interface Answer {
  url: string;
  /** The execution whose log can be read. */
  execution: string;
  /** Connections that are open. */
  open: number;
  /** Requests so far, and how many of them were struck by a fault. */
  requests: number;
  struck: number;
  /** Exchanges that are still under way, waited for when relenting. */
  busy: number;
}

/** One request in so many is struck. */
const ODDS = 8;

/** How often every token is revoked, in ms. */
const REVOCATION = 1500;

/** How long exchanges may take to come to their end, in ms. */
const SETTLING = 5000;

class Soaked {
  readonly #standIn: StandIn;
  readonly #server: FaultServer;
  readonly #execution: string;
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
    this.#standIn = standIn;
    this.#server = new FaultServer(standIn.handler);
    // One draw a request decides which fault strikes, if any does.
    let draw = 0;
    const kinds = FAULTS.flatMap((fault) =>
      [false, true].map((inBody) => ({ fault, inBody }))
    ).filter(({ fault, inBody }) => !(inBody && fault.headOnly));
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
    // Reading byte by byte is slow: its resets are plain closings here.
    this.#server.careful = false;
    this.#server.keepAlive = true;
    this.#revocations = setInterval(
      () => standIn.revokeTokens(),
      REVOCATION,
    );
  }

  async answer(settle: boolean): Promise<Answer> {
    const server = this.#server;
    const busy = settle ? await server.settled(SETTLING) : 0;
    // Forgotten as soon as they are counted: there are many.
    for (const { fault } of server.received.splice(0)) {
      this.#requests++;
      if (fault !== undefined) this.#struck++;
    }
    return {
      url: server.url,
      execution: this.#execution,
      open: server.open,
      requests: this.#requests,
      struck: this.#struck,
      busy,
    };
  }

  /** Does no more wrong. */
  relent(): void {
    clearInterval(this.#revocations);
    this.#server.relent();
  }

  async stop(): Promise<void> {
    this.relent();
    await this.#server[Symbol.asyncDispose]();
  }
}

let soaked: Soaked | undefined;

/** Answers the questions of the soak, one at a time. */
async function reply(question: Question): Promise<Answer | undefined> {
  if (question.kind === "start") {
    soaked = new Soaked(question.password, question.seed);
  }
  if (question.kind === "relent") soaked?.relent();
  if (question.kind === "stop") {
    await soaked?.stop();
    return undefined;
  }
  return await soaked?.answer(question.kind === "relent");
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
