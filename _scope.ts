/** The life of one call: its deadline and its caller's signal in one. */

/** Ends what is done within it when the time is up or the caller aborts. */
export class Scope {
  readonly #controller = new AbortController();
  readonly #expire: () => void;
  readonly #outer: AbortSignal | undefined;
  readonly #timeout: number | undefined;
  readonly #abort = () => this.#controller.abort(this.#outer?.reason);
  /** Whether something may have been changed of which no answer told. */
  doubt = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #end = Infinity;

  /**
   * @param timeout Milliseconds until it ends by itself, if ever.
   * @param late Makes the error to end with.
   * @param outer The caller's signal.
   */
  constructor(
    timeout: number | undefined,
    late: () => Error,
    outer: AbortSignal | undefined,
  ) {
    outer?.throwIfAborted();
    outer?.addEventListener("abort", this.#abort);
    this.#outer = outer;
    this.#timeout = timeout;
    this.#expire = () => this.#controller.abort(late());
    this.restart();
  }

  /** Aborted when the scope ends before its work does. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Milliseconds until the deadline. */
  get remaining(): number {
    return this.#end - performance.now();
  }

  /** Gives the whole time again. */
  restart(): void {
    if (this.#timeout === undefined) return;
    clearTimeout(this.#timer);
    this.#end = performance.now() + this.#timeout;
    this.#timer = setTimeout(this.#expire, this.#timeout);
  }

  /** Stops the clock: whoever is at work is not the server. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /**
   * Waits for a promise, but not longer than the scope lives, even if the
   * promise never hears of its end.
   *
   * @param discard What to do with a value that comes too late.
   */
  race<T>(promise: Promise<T>, discard?: (late: T) => unknown): Promise<T> {
    const { signal } = this;
    return new Promise<T>((resolve, reject) => {
      const stop = () => {
        reject(signal.reason);
        promise.then(discard).catch(() => {}); // its end is nobody's any more
      };
      if (signal.aborted) return stop();
      signal.addEventListener("abort", stop);
      promise.then(resolve, reject).finally(() =>
        signal.removeEventListener("abort", stop)
      );
    });
  }

  /** Lets go of the timer and of the caller's signal. */
  close(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#abort);
  }
}
