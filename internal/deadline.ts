/** The life of one call: its deadline and its caller's signal in one. */

/** The longest that is left to the platform, which holds on to it, in ms. */
const LONGEST_LIGHT = 60_000;

/** Ends what is done within it when the time is up or the caller aborts. */
export class Scope {
  /** Aborted when the scope ends before its work does. */
  readonly signal: AbortSignal;
  /** Whether something may have been changed of which no answer told. */
  doubt = false;
  readonly #controller: AbortController | undefined;
  readonly #outer: AbortSignal | undefined;
  readonly #timeout: number;
  readonly #late: () => Error;
  #error: Error | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #end: number;

  /**
   * @param timeout Milliseconds until it ends by itself.
   * @param late Makes the error to end with.
   * @param outer The caller's signal.
   * @param light Whether it can be the platform's own timeout: that costs
   * least, but can neither be restarted nor keep a program running, and takes
   * up memory until the time is up, whatever comes of the work.
   */
  constructor(
    timeout: number,
    late: () => Error,
    outer?: AbortSignal,
    light = false,
  ) {
    outer?.throwIfAborted();
    this.#late = late;
    this.#outer = outer;
    this.#timeout = timeout;
    this.#end = performance.now() + timeout;
    if (light && !outer && timeout <= LONGEST_LIGHT) {
      this.signal = AbortSignal.timeout(Math.ceil(timeout)); // Node: no parts
      return;
    }
    // Not AbortSignal.any: Node 20 loses its aborts when it collects garbage.
    this.#controller = new AbortController();
    this.signal = this.#controller.signal;
    outer?.addEventListener("abort", this);
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

  /** Gives the whole time again. */
  restart(): void {
    this.pause();
    this.#end = performance.now() + this.#timeout;
    if (this.#timeout === Infinity) return;
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
    if (!this.#controller) return;
    this.pause();
    this.#outer?.removeEventListener("abort", this);
  }

  /** The caller's signal was aborted. */
  handleEvent(): void {
    this.#controller?.abort(this.#outer?.reason);
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
