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
  #steps = 0;

  readonly #random: () => number;

  /** Without a seed, ids differ from run to run. */
  constructor(seed?: number) {
    this.#random = seed === undefined ? Math.random : seededRandom(seed);
  }

  #oneOf(characters: string): string {
    return characters.charAt(Math.floor(this.#random() * characters.length));
  }

  /** A random UUID (version 4), in lower case. */
  uuid(): string {
    return "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".replace(
      /[xy]/g,
      (char) => this.#oneOf(char === "x" ? "0123456789abcdef" : "89ab"),
    );
  }

  /** The id of a step: 24 hex digits, ascending. */
  step(seconds: number): string {
    const counter = (this.#steps++).toString(16).padStart(16, "0");
    return seconds.toString(16).padStart(8, "0").slice(-8) + counter;
  }

  /** `parts` groups of letters and digits, joined by dashes. */
  secret(length: number, parts = 1): string {
    const form = Array(parts).fill("x".repeat(length)).join("-");
    return form.replace(/x/g, () => this.#oneOf(LETTERS));
  }
}
