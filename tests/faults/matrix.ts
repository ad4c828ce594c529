/** Runs the cells of the matrix: a method, a fault, and its position. */

import { type Attempt, DecapodError, type V1Client } from "../../mod.ts";
import { NEW_PASSWORD, OPERATIONS } from "../operations.ts";
import { forAllCores } from "../support/cores.ts";
import { fixedRandom } from "../support/patch.ts";
import { spellings, texts } from "../support/secrets.ts";
import { makeClient, PASSWORD } from "../support/server.ts";
import { comparable, openWorld, type StandInWorld } from "../support/world.ts";
import { faultNamed, FAULTS } from "./faults.ts";
import { POSITIONS, predict, setUp } from "./rules.ts";
import { FaultServer } from "./server.ts";

type Cell = ReturnType<typeof cells>[number];

/** All cells. Those of one fault are apart: they may wait for a second. */
export function cells() {
  return OPERATIONS.flatMap((operation) =>
    FAULTS.flatMap((fault) =>
      POSITIONS.flatMap((position) => {
        const name = `${operation.name} × ${fault.name} × ${position}`;
        const setup = setUp(operation, fault, position);
        if (setup === undefined) return [];
        const expected = predict(operation, fault, position, setup);
        return [{ name, operation, fault, position, setup, expected }];
      })
    )
  );
}

/** The timeout of calls that are to reach it, in ms. */
const SHORT = 800;

/** The timeout of all other calls, in ms. */
const LONG = 10_000;

/** How much later than its deadline a call may end, in ms. */
const GRACE = 250;

/** How many cells run at once on each core; most of them wait. */
const CONCURRENCY = 12;

/** The options of methods that wait: hundreds of polls would be slow. */
const POLLING = { timeout: 2500, interval: { min: 50, max: 50 } };

/** Runs cells without delays between attempts; returns violations of rules. */
export async function runMatrix(chosen: Cell[]): Promise<string[]> {
  return (await onAllCores(chosen.map(({ name }) => name))).flat();
}

const onAllCores = forAllCores(
  import.meta.url,
  async (names: string[], share, shares) => {
    using _ = fixedRandom(0);
    const chosen = new Set(names);
    const results = await normalResults();
    const violations: string[] = [];
    const queue = cells().filter(({ name }) => chosen.has(name))
      .filter((_, place) => place % shares === share).values();
    const work = async () => {
      for (const cell of queue) {
        const wrong = await runCell(cell, results.get(cell.operation.name))
          .catch((error: unknown) => [String(error)]);
        if (wrong.length > 0) {
          violations.push(`${cell.name}: ${wrong.join("; ")}`);
        }
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    return violations;
  },
);

/** The results of all methods without faults. */
async function normalResults(): Promise<Map<string, string>> {
  const results = new Map<string, string>();
  for (const { name, run } of OPERATIONS) {
    const world = await openWorld();
    const client = makeClient("http://decapod", { fetch: world.standIn.fetch });
    await client.login();
    results.set(name, comparable(await run(client, world)));
  }
  return results;
}

const isLogin = (method: string, path: string) =>
  method === "POST" && path.endsWith("/v1/auth/");

/** Runs one cell and returns the violations of its rules. */
async function runCell(cell: Cell, normal?: string): Promise<string[]> {
  const { operation, fault, position, expected } = cell;
  const world = await openWorld();
  await using server = new FaultServer(world.standIn.handler);
  server.careful = server.keepAlive = fault.keepAlive === true;
  const attempts: Attempt[] = [];
  const isHanging = fault.event === "no response";
  const timeout = isHanging ? SHORT : LONG;
  const client = makeClient(server.url, {
    timeout,
    onAttempt: (attempt) => attempts.push(attempt),
    ...fault.unsent && { fetch: server.fetch },
  });
  await prepare(cell, world, server, client);
  attempts.length = 0;
  const before = server.received.length;

  const start = performance.now();
  const options = operation.waits ? POLLING : {};
  let error: unknown;
  const value = await operation.run(client, world, options)
    .catch((thrown: unknown) => error = thrown);
  const elapsed = performance.now() - start;

  const left = await server.pending();
  const received = server.received.slice(before);
  const wrong: string[] = [];
  const check = (name: string, actual: unknown, expected: unknown) => {
    if (actual !== expected) wrong.push(`${name} ${actual}, not ${expected}`);
  };

  // The rules of this cell.
  const known = error instanceof DecapodError ? error : undefined;
  const unknown = known?.outcomeUnknown ?? false;
  check("error:", known?.name ?? error, expected.error);
  check("code", Reflect.get(known ?? {}, "code"), expected.code);
  check("outcomeUnknown", unknown, expected.unknown ?? false);
  const [{ login: ofLogins = false, streamed = false } = {}] =
    operation.requests;
  const sent = attempts.filter(({ method, url }) =>
    isLogin(method, url) === ofLogins
  );
  // A runtime may itself retry a read on a kept connection that was closed.
  if (fault.keepAlive && sent.length < (expected.attempts ?? 0)) {
    check("an attempt less than", sent.length + 1, expected.attempts);
  } else if (expected.attempts !== undefined) {
    check("attempts", sent.length, expected.attempts);
  }
  if (expected.logins !== undefined && !ofLogins) {
    check("logins", attempts.length - sent.length, expected.logins);
  }
  if (error === undefined && !fault.alters) {
    check("result", comparable(value), normal);
  }

  // The rules of all cells.
  const changes = received.filter(({ method, path }) =>
    method !== "GET" && !isLogin(method, path)
  );
  const served = changes.filter(({ status }) => status === 200);
  const refused = changes.filter(({ status, fault }) =>
    status === 401 || fault === "401"
  );
  if (changes.length > 1 + refused.length) {
    wrong.push(`${changes.length} requests for one change`);
  }
  if (served.length > 1) wrong.push("one change made twice");
  if (error !== undefined && !unknown && served.length > 0) {
    wrong.push("a change was made, the error says that none was");
  }
  const most = fault.keepAlive ? 2 * attempts.length : attempts.length;
  if (received.length > most) {
    const requests = received.map(({ method, path, fault = "ok" }) =>
      `${method} ${path} ${fault}`
    );
    wrong.push(`${attempts.length} attempts sent ${requests.join(", ")}`);
  }
  // Polling has its own intervals.
  if (fault.asks !== undefined && !operation.waits) {
    for (const [index, { fault: struck, at }] of received.entries()) {
      const pause = (received[index + 1]?.at ?? Infinity) - at;
      if (struck === fault.name && pause < fault.asks) {
        wrong.push(`went on after ${Math.round(pause)} ms`);
      }
    }
  }
  const deadline = operation.waits ? LONG : timeout;
  // Each chunk of a stream may arrive in time.
  const isEndless = streamed && isHanging && position === "in the body";
  if (!isEndless && elapsed > deadline + GRACE) {
    wrong.push(`took ${Math.round(elapsed)} ms of ${deadline} ms`);
  }
  check("pending requests:", left, 0);
  const shown = [...attempts, ...error === undefined ? [] : [error]]
    .flatMap(texts);
  const secrets = [
    ...[PASSWORD, NEW_PASSWORD, world.resetToken],
    ...new Set(server.received.map(({ authorization }) => authorization)),
  ].filter((secret) => secret !== null);
  for (const secret of secrets.flatMap(spellings)) {
    const isShown = shown.some((text) => text.includes(secret));
    if (isShown) wrong.push(`"${secret}" can be read`);
  }

  // The client can still be used.
  server.clear();
  await client.getUserSelf({ timeout: LONG }).catch((error: unknown) =>
    wrong.push(`the next call failed: ${error}`)
  );
  return wrong;
}

/** Sets up the server and the client of a cell. */
async function prepare(
  { operation, fault, position, setup: { prelude, ...strikes } }: Cell,
  world: StandInWorld,
  server: FaultServer,
  client: V1Client,
): Promise<void> {
  const ofLogins = position === "during login" ||
    operation.requests[0]?.login === true;
  const long = { timeout: LONG };
  if (!ofLogins) await client.login(long);
  if (ofLogins || fault.keepAlive) await client.getInfo(long);
  if (prelude === "revoked") world.standIn.revokeTokens();
  const matches = (method: string, path: string) =>
    isLogin(method, path) === ofLogins;
  const inBody = position === "in the body";
  server.inject({ fault, operation: matches, ...strikes, inBody });
  if (prelude === "503") {
    const away = faultNamed("503, Retry-After: 0");
    server.inject({ fault: away, operation: matches, count: 1 });
  }
}
