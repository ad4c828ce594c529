/** Decapod's controller, operated by hand. */

import { discoverNext } from "./servers.ts";
import type { World } from "./world.ts";

/** Runs executions and discovers servers when told to. */
export class Controller {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Discovers all servers that have announced themselves. */
  discover(): void {
    this.#world.catchUp();
    while (this.#world.announced.length > 0) discoverNext(this.#world);
  }

  /** Starts the run of an execution. */
  start(executionId: string): void {
    this.#world.catchUp();
    this.#world.executions.start(executionId);
  }

  /** Completes a run that has started. */
  complete(executionId: string): void {
    this.#world.catchUp();
    this.#world.executions.finish(executionId, "completed");
  }

  /** Lets a run that has started fail. */
  fail(executionId: string): void {
    this.#world.catchUp();
    this.#world.executions.finish(executionId, "failed");
  }

  /** Ends a run as canceled. */
  cancel(executionId: string): void {
    this.#world.catchUp();
    this.#world.executions.finish(executionId, "canceled");
  }

  /** Starts a run if necessary and lets it end by itself. */
  end(executionId: string): void {
    this.#world.catchUp();
    this.#world.executions.complete(executionId);
  }
}
