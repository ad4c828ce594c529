/** A clock for tests, moved by hand. */

/** A clock that only moves when told to. */
export class TestClock {
  #now: number;

  /** Starts at this time; default: 2026-01-01T00:00:00Z. */
  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
    this.now = this.now.bind(this);
  }

  /** The time, in milliseconds since 1970. Bound to this object. */
  now(): number {
    return this.#now;
  }

  /** Moves the clock forward by this many milliseconds. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }
}
