/** Injects failures into fetch, bodies, timers and JSON, and counts what is open. */

import { replace } from "../support/patch.ts";

/** The error of an injected failure. */
export class InjectedFailure extends Error {
  override readonly name = "InjectedFailure";
}

type Timer = Parameters<typeof clearTimeout>[0];
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Observes all calls that can fail until it is disposed of. */
export class FaultInjector implements Disposable {
  /** The kinds of all calls, in their order. */
  readonly calls: string[] = [];
  /** Called at each call with its number, from 0; may throw. */
  onCall: (number: number) => void = () => {};
  /** The callbacks of pending timers. */
  readonly #timers = new Map<Timer, () => void>();
  readonly #freezing = Promise.withResolvers<void>();
  /** Resolves when nothing arrives any more. */
  readonly frozen = this.#freezing.promise;
  #isFrozen = false;
  readonly #bodies = new Set<symbol>();
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
    const all = [
      replace(globalThis, "setTimeout", Object.assign(set, setTimeout)),
      replace(globalThis, "clearTimeout", Object.assign(clear, clearTimeout)),
      replace(JSON, "parse", this.#counted(JSON.parse)),
      replace(JSON, "stringify", this.#counted(JSON.stringify)),
    ];
    for (const patch of all) this.#patches.use(patch);
  }

  /** The number of pending timers and open bodies. */
  get open(): number {
    return this.#timers.size + this.#bodies.size;
  }

  /** From now on nothing arrives and no timer fires. */
  freeze(): void {
    this.#isFrozen = true;
    this.#freezing.resolve();
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
      const response = await fetch(url, init).finally(() => this.#quiet--);
      const bytes = await response.bytes();
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
  #body(bytes: Uint8Array<ArrayBuffer>, signal: RequestInit["signal"]) {
    const size = Math.max(1, Math.ceil(bytes.length / 3));
    let at = 0;
    const body = Symbol();
    this.#bodies.add(body);
    const close = () => void this.#bodies.delete(body);
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
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

  /** Counts a call; may throw. */
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
