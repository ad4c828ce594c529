/** Aborting at any moment of a call, and looking at what is left of it. */

import { CountedSignal, replace } from "./patch.ts";

/** Something that calls a server with `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * Aborts at the given moment: when a request goes out, an answer or a piece of
 * it comes in, a wait begins, or something of the caller's is called; or some
 * turns after that, each as long as an `await` takes.
 *
 * From then on nothing comes in and no wait ends any more: whatever goes on
 * does so because of the abort.
 */
export class Interruption implements Disposable {
  readonly reason = { why: "enough" };
  /** Resolved when the abort comes. */
  readonly aborted: Promise<void>;
  /** How many moments there have been. */
  moments = 0;
  /** What was begun after the abort. */
  readonly late: string[] = [];
  /** When the abort came. */
  time = 0;
  /** Requests, bodies and waits that are not over yet. */
  readonly open = new Set<object>();
  readonly #signal = new CountedSignal();
  readonly #announce: () => void;
  readonly #at: number;
  readonly #turns: number;
  readonly #patches: Disposable[];

  constructor(at: number, turns: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.aborted = promise;
    this.#announce = resolve;
    this.#at = at;
    this.#turns = turns;
    this.#patches = this.#watchTimers();
  }

  get signal(): AbortSignal {
    return this.#signal.signal;
  }

  /** How many listeners are on the signal. */
  get listeners(): number {
    return this.#signal.listeners;
  }

  /** Says that this is a moment at which to abort, and what is begun there. */
  moment(begun?: string): void {
    if (!this.signal.aborted) {
      if (++this.moments === this.#at) this.#abort();
    } else if (begun !== undefined) this.late.push(begun);
  }

  async #abort(): Promise<void> {
    for (let turn = 0; turn < this.#turns; turn++) await undefined;
    this.time = performance.now();
    this.#signal.controller.abort(this.reason);
    this.#announce();
  }

  /** Waits are over at once, but not after the abort; deadlines never are. */
  #watchTimers(): Disposable[] {
    const { setTimeout, clearTimeout } = globalThis;
    type Timer = Parameters<typeof clearTimeout>[0];
    const timers = new Map<Timer, object>();
    const end = (timer: Timer) => {
      this.open.delete(timers.get(timer) ?? {});
      timers.delete(timer);
    };
    const set = (callback: () => void, wait = 0) => {
      const timer = setTimeout(() => {
        if (this.signal.aborted) return;
        end(timer);
        callback();
      }, wait >= 10_000 ? wait : 0);
      const what = { what: `a wait for ${wait} ms` };
      timers.set(timer, what);
      this.open.add(what);
      if (wait >= 10_000) return timer;
      if (this.signal.aborted) this.late.push(what.what);
      // Nobody can abort before whoever waits goes on to listen.
      else queueMicrotask(() => this.moment());
      return timer;
    };
    const clear = (timer?: Timer) => {
      end(timer);
      clearTimeout(timer);
    };
    return [
      replace(globalThis, "setTimeout", Object.assign(set, setTimeout)),
      replace(globalThis, "clearTimeout", Object.assign(clear, clearTimeout)),
    ];
  }

  /** The same `fetch`, with moments. */
  watch(fetch: Fetch): Fetch {
    return async (url, init) => {
      const request = { what: `${init.method} ${url}` };
      this.open.add(request);
      try {
        this.moment(request.what);
        const response = await fetch(url, init);
        await this.#freeze(init.signal);
        this.moment();
        return this.#watchBody(response, request.what, init.signal);
      } finally {
        this.open.delete(request);
      }
    };
  }

  /** After the abort nothing comes in, unless it is somebody else's. */
  async #freeze(signal: AbortSignal | null | undefined): Promise<void> {
    if (!this.signal.aborted || !signal) return;
    await new Promise((_, reject) => {
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  }

  #watchBody(
    response: Response,
    what: string,
    signal: AbortSignal | null | undefined,
  ): Response {
    if (response.body === null) return response;
    const reader = response.body.getReader();
    const body = { what: `the body of ${what}` };
    this.open.add(body);
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        try {
          this.moment();
          const { done, value } = await reader.read();
          await this.#freeze(signal);
          this.moment();
          if (!done) return controller.enqueue(value);
          this.open.delete(body);
          controller.close();
        } catch (error) {
          this.open.delete(body);
          controller.error(error);
        }
      },
      cancel: (reason) => {
        this.open.delete(body);
        return reader.cancel(reason);
      },
    }, { highWaterMark: 0 });
    return new Response(stream, response);
  }

  [Symbol.dispose](): void {
    for (const patch of this.#patches) patch[Symbol.dispose]();
  }
}
