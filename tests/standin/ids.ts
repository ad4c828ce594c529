/** Random ids, passwords and tokens. */

/** A random number generator with a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const LETTERS =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Generates everything that is unique or secret. */
export class Ids {
  readonly #random: () => number;
  #steps = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  #hex(digits: number): string {
    let text = "";
    for (; digits > 0; digits -= 8) {
      text += Math.floor(this.#random() * 4294967296).toString(16)
        .padStart(8, "0").slice(0, digits);
    }
    return text;
  }

  /** A random UUID (version 4), in lower case. */
  uuid(): string {
    const hex = this.#hex(32);
    const variant = "89ab"[Math.floor(this.#random() * 4)];
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-` +
      `${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  /** The id of a step: 24 hex digits, ascending. */
  step(seconds: number): string {
    const counter = (this.#steps++).toString(16).padStart(16, "0");
    return seconds.toString(16).padStart(8, "0").slice(-8) + counter;
  }

  /** `parts` groups of letters and digits, joined by dashes. */
  secret(length: number, parts = 1): string {
    return Array.from({ length: parts }, () =>
      Array.from(
        { length },
        () => LETTERS[Math.floor(this.#random() * LETTERS.length)],
      ).join("")).join("-");
  }
}
