/** Aborts a call at a given moment and records what is left open. */

import { CountedSignal, replace } from "./patch.ts";

/** A `fetch` function. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * Aborts at the given moment: when a request is sent, a response or a chunk
 * arrives, a timer starts or a callback is called; or some awaits later.
 *
 * After the abort nothing arrives and no timer fires: whatever happens then is
 * caused by the abort.
 */
export class Interruption implements Disposable {
  readonly reason = { why: "enough" };
  /** Resolves at the abort. */
  readonly aborted: Promise<void>;
  /** The number of moments so far. */
  moments = 0;
  /** What was started after the abort. */
  readonly late: string[] = [];
  /** When the abort happened. */
  time = 0;
  /** Pending requests, bodies and timers. */
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

  /** The number of listeners on the signal. */
  get listeners(): number {
    return this.#signal.listeners;
  }

  /** Marks a moment, and what is started there. */
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

  /** Timers fire at once before the abort; deadlines never fire. */
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
      // The caller of setTimeout can listen to the signal only afterwards.
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

  /** After the abort nothing arrives, unless the request has another signal. */
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
