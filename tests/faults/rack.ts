/**
 * A rack to torture a method on: it counts every call that can fail, lets any
 * of them fail, and sees what is left open.
 */

import { replace } from "../support/patch.ts";

/** What the rack makes fail. */
export class Torture extends Error {
  override readonly name = "Torture";
}

type Timer = Parameters<typeof clearTimeout>[0];
type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Counts the fallible calls of what runs between its making and its end. */
export class Rack implements Disposable {
  /** The calls, by kind, in their order. */
  readonly calls: string[] = [];
  /** Called at each of them with its number, from 0. */
  onCall: (number: number) => void = () => {};
  /** What each timer does that is set. */
  readonly #timers = new Map<Timer, () => void>();
  #bodies = 0;
  #quiet = 0;
  readonly #patches: Disposable[];

  constructor() {
    const { setTimeout, clearTimeout } = globalThis;
    const { parse, stringify } = JSON;
    this.#patches = [
      replace(
        globalThis,
        "setTimeout",
        Object.assign((callback: () => void, wait = 0) => {
          if (this.#quiet > 0) return setTimeout(callback, wait);
          const early = this.#fails("timer");
          const go = () => {
            this.#timers.delete(timer);
            callback();
          };
          const timer = setTimeout(go, early ? 0 : wait);
          this.#timers.set(timer, go);
          return timer;
        }, setTimeout),
      ),
      replace(
        globalThis,
        "clearTimeout",
        Object.assign((timer?: Timer) => {
          this.#timers.delete(timer);
          clearTimeout(timer);
        }, clearTimeout),
      ),
      replace(JSON, "parse", (...args: Parameters<typeof parse>) => {
        if (this.#quiet === 0) this.#tick("parse");
        return parse(...args);
      }),
      replace(JSON, "stringify", (value: unknown) => {
        if (this.#quiet === 0) this.#tick("stringify");
        return stringify(value);
      }),
    ];
  }

  /** How many timers and bodies are open now. */
  get open(): number {
    return this.#timers.size + this.#bodies;
  }

  /** Lets every timer that is set go off at once. */
  expire(): void {
    for (const [timer, go] of [...this.#timers]) {
      clearTimeout(timer);
      go();
    }
  }

  /** A fetch whose every part counts; what it asks does not. */
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
      init.signal?.throwIfAborted();
      this.#tick("answer");
      const { status, headers } = response;
      return new Response(this.#body(bytes), { status, headers });
    };
  }

  [Symbol.dispose](): void {
    for (const patch of this.#patches) patch[Symbol.dispose]();
  }

  /** A body in three pieces. */
  #body(bytes: Uint8Array): ReadableStream<Uint8Array> {
    const size = Math.max(1, Math.ceil(bytes.length / 3));
    let at = 0;
    let open = true;
    this.#bodies++;
    const close = () => {
      if (open) this.#bodies--;
      open = false;
    };
    return new ReadableStream({
      pull: (controller) => {
        try {
          this.#tick("read");
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

  /** Counts a call, and fails it if it is to fail. */
  #tick(kind: string): void {
    const number = this.calls.push(kind) - 1;
    this.onCall(number);
  }

  #fails(kind: string): boolean {
    try {
      this.#tick(kind);
      return false;
    } catch (error) {
      if (error instanceof Torture) return true;
      throw error;
    }
  }
}
