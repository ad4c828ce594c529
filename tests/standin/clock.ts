/** A clock that only moves when it is told to. */

/** Milliseconds since 1970, set by hand. */
export class TestClock {
  #now: number;

  /** Starts at the given time, at 2026-01-01T00:00:00Z unless said. */
  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
    this.now = this.now.bind(this);
  }

  /** The time, in milliseconds. Bound, so that it can be handed on. */
  now(): number {
    return this.#now;
  }

  /** Moves the clock on by so many milliseconds. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }
}
