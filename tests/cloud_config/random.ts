/**
 * Random values that are the same in every run.
 *
 * @module
 */

/** A source of random values (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 up to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `min` to `max`. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.integer(0, items.length - 1)];
    if (item === undefined) throw new Error("Cannot pick from an empty list");
    return item;
  }

  fixedRandom(probability: number): boolean {
    return this.next() < probability;
  }

  /** A text of `min` to `max` of the given pieces. */
  text(pieces: readonly string[], min: number, max: number): string {
    const length = this.integer(min, max);
    return Array.from({ length }, () => this.pick(pieces)).join("");
  }
}
