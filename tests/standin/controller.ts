/** Decapod's controller, moved by hand. */

import { discoverNext } from "./servers.ts";
import type { World } from "./world.ts";

/** Runs executions and discovers servers when it is told to. */
export class Controller {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Looks at all servers that have announced themselves. */
  discover(): void {
    this.#world.catchUp();
    while (this.#world.announced.length > 0) discoverNext(this.#world);
  }

  /** Starts the run of an execution. */
  start(executionId: string): void {
    this.#world.catchUp();
    this.#world.executions.start(executionId);
  }

  /** Ends a run that has started: it has done its work. */
  complete(executionId: string): void {
    this.#world.catchUp();
    this.#world.executions.finish(executionId, "completed");
  }

  /** Ends a run that has started: it has failed. */
  fail(executionId: string): void {
    this.#world.catchUp();
    this.#world.executions.finish(executionId, "failed");
  }

  /** Ends a run that is canceling. */
  cancel(executionId: string): void {
    this.#world.catchUp();
    this.#world.executions.finish(executionId, "canceled");
  }

  /** Starts a run if it has not started, and lets it come to its own end. */
  end(executionId: string): void {
    this.#world.catchUp();
    this.#world.executions.complete(executionId);
  }
}
