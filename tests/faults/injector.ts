/** Injects failures into fetch, bodies, timers and JSON, and counts what is open. */

import { replace } from "../support/patch.ts";

/** The error of an injected failure. */
export class InjectedFailure extends Error {
  override readonly name = "InjectedFailure";
}

type Timer = Parameters<typeof clearTimeout>[0];
/** A `fetch` function. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Observes all calls that can fail until it is disposed of. */
export class FaultInjector implements Disposable {
  /** The kinds of all calls, in their order. */
  readonly calls: string[] = [];
  /** Called at each call with its number, from 0; may throw. */
  onCall: (number: number) => void = () => {};
  /** The callbacks of pending timers. */
  readonly #timers = new Map<Timer, () => void>();
  readonly #frozen = Promise.withResolvers<void>();
  #isFrozen = false;
  #bodies = 0;
  #quiet = 0;
  readonly #patches = new DisposableStack();

  constructor() {
    const { setTimeout, clearTimeout } = globalThis;
    const set = (callback: () => void, wait = 0) => {
      if (this.#quiet > 0) return setTimeout(callback, wait);
      const go = () => {
        if (this.#isFrozen) return;
        this.#timers.delete(timer);
        callback();
      };
      try {
        this.#tick("timer");
      } catch (error) {
        if (!(error instanceof InjectedFailure)) throw error;
        wait = 0; // a timer fails by firing at once
      }
      const timer = setTimeout(go, wait);
      this.#timers.set(timer, go);
      return timer;
    };
    const clear = (timer?: Timer) => {
      this.#timers.delete(timer);
      clearTimeout(timer);
    };
    for (
      const patch of [
        replace(globalThis, "setTimeout", Object.assign(set, setTimeout)),
        replace(globalThis, "clearTimeout", Object.assign(clear, clearTimeout)),
        replace(JSON, "parse", this.#counted(JSON.parse)),
        replace(JSON, "stringify", this.#counted(JSON.stringify)),
      ]
    ) this.#patches.use(patch);
  }

  /** The number of pending timers and open bodies. */
  get open(): number {
    return this.#timers.size + this.#bodies;
  }

  /** Resolves when nothing arrives any more. */
  get frozen(): Promise<void> {
    return this.#frozen.promise;
  }

  /** From now on nothing arrives and no timer fires. */
  freeze(): void {
    this.#isFrozen = true;
    this.#frozen.resolve();
  }

  /** Fires all pending timers at once. */
  expire(): void {
    for (const [timer, go] of [...this.#timers]) {
      clearTimeout(timer);
      go();
    }
  }

  /** A fetch that is observed; the calls of the server are not. */
  wrap(fetch: Fetch): Fetch {
    return async (url, init) => {
      this.#tick("fetch");
      this.#quiet++;
      let response;
      let bytes;
      try {
        response = await fetch(url, init);
        bytes = new Uint8Array(await response.arrayBuffer());
      } finally {
        this.#quiet--;
      }
      await this.#aborted(init.signal);
      init.signal?.throwIfAborted();
      this.#tick("response");
      const { status, headers } = response;
      return new Response(this.#body(bytes, init.signal), { status, headers });
    };
  }

  [Symbol.dispose](): void {
    this.#patches.dispose();
  }

  /** If nothing arrives any more, waits for the abort of the request. */
  async #aborted(signal: RequestInit["signal"]): Promise<void> {
    if (!this.#isFrozen) return;
    await new Promise((_, reject) => {
      if (signal?.aborted) reject(signal.reason);
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
  }

  /** A body in three chunks. */
  #body(
    bytes: Uint8Array,
    signal: RequestInit["signal"],
  ): ReadableStream<Uint8Array> {
    const size = Math.max(1, Math.ceil(bytes.length / 3));
    let at = 0;
    let open = true;
    this.#bodies++;
    const close = () => {
      if (open) this.#bodies--;
      open = false;
    };
    return new ReadableStream({
      pull: async (controller) => {
        try {
          this.#tick("read");
          await this.#aborted(signal);
        } catch (error) {
          close();
          throw error;
        }
        if (at < bytes.length) {
          controller.enqueue(bytes.slice(at, at += size));
          return;
        }
        close();
        controller.close();
      },
      cancel: close,
    }, { highWaterMark: 0 });
  }

  /** Counts a call; throws if it is to fail. */
  #tick(kind: string): void {
    this.onCall(this.calls.push(kind) - 1);
  }

  /** The same function, counted under its name. */
  #counted<T extends CallableFunction>(work: T): T {
    return new Proxy(work, {
      apply: (target, self, args) => {
        if (this.#quiet === 0) this.#tick(work.name);
        return Reflect.apply(target, self, args);
      },
    });
  }
}
