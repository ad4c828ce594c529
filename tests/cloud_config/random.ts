/**
 * Random values that are the same in every run.
 *
 * @module
 */

/** A source of random numbers (mulberry32) and what tests make of them. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `low` up to and including `high`. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.integer(0, items.length - 1)];
    if (item === undefined) throw new Error("Cannot pick from nothing");
    return item;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A text of `low` to `high` of the given pieces. */
  text(pieces: readonly string[], low: number, high: number): string {
    const length = this.integer(low, high);
    return Array.from({ length }, () => this.pick(pieces)).join("");
  }
}
