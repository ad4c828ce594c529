/** The life of one call: its deadline and its caller's signal in one. */

/** Ends what is done within it when the time is up or the caller aborts. */
export class Scope {
  /** Aborted when the scope ends before its work does. */
  readonly signal: AbortSignal;
  /** Whether something may have been changed of which no answer told. */
  doubt = false;
  readonly #controller: AbortController | undefined;
  readonly #late: () => Error;
  readonly #outer: AbortSignal | undefined;
  readonly #timeout: number;
  readonly #abort = () => this.#controller?.abort(this.#outer?.reason);
  #error: Error | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #end = Infinity;

  /**
   * @param timeout Milliseconds until it ends by itself.
   * @param late Makes the error to end with.
   * @param outer The caller's signal.
   * @param light Whether it can be the platform's own timeout: that costs
   * least, but can neither be restarted nor keep a program running.
   */
  constructor(
    timeout: number,
    late: () => Error,
    outer: AbortSignal | undefined,
    light = false,
  ) {
    outer?.throwIfAborted();
    this.#late = late;
    this.#outer = outer;
    this.#timeout = timeout;
    if (light && outer === undefined) {
      this.#end = performance.now() + timeout;
      this.signal = AbortSignal.timeout(timeout);
      return;
    }
    // Not AbortSignal.any: Node 20 loses its aborts when it collects garbage.
    this.#controller = new AbortController();
    this.signal = this.#controller.signal;
    outer?.addEventListener("abort", this.#abort);
    this.restart();
  }

  /** Why it has ended: the caller's reason, or the error of being late. */
  get reason(): unknown {
    return this.#controller ? this.signal.reason : this.#error ??= this.#late();
  }

  /** Milliseconds until the deadline. */
  get remaining(): number {
    return this.#end - performance.now();
  }

  /** Throws if it has ended. */
  throwIfOver(): void {
    if (this.signal.aborted) throw this.reason;
  }

  /** Gives the whole time again. */
  restart(): void {
    this.pause();
    if (this.#timeout === Infinity) return;
    this.#end = performance.now() + this.#timeout;
    this.#timer = setTimeout(
      () => this.#controller?.abort(this.#late()),
      this.#timeout,
    );
  }

  /** Stops the clock: whoever is at work is not the server. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Lets go of the timer and of the caller's signal. */
  close(): void {
    this.pause();
    this.#outer?.removeEventListener("abort", this.#abort);
  }
}

/** A promise that is no longer waited for once the signal is aborted. */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    promise.then(resolve, reject).finally(() =>
      signal.removeEventListener("abort", stop)
    );
  });
}
