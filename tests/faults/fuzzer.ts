/** Random hostile values, the same for the same seed. */

import type { JsonValue } from "../../mod.ts";
import { seededRandom } from "../standin/ids.ts";

const KEYS = [
  ..."__proto__ constructor prototype toString then".split(" "),
  ..."id data items total page per_page state version".split(" "),
  ..."code error message".split(" "),
];

const TEXTS = [
  ...["", "__proto__", "\u0000", "\u2028\u2029", "\ud800"],
  "\x1b[31m\r\nSet-Cookie: a=b",
  ...["<".repeat(3000), "a".repeat(100_000), "%s%n$&$1", "NaN"],
];

const NUMBERS = [0, -1, 1, 0.5, 1e21, -1e308, 2 ** 53, 5e-324];

/** A source of random values. */
export class Fuzzer {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** An integer ≥ 0 below the limit. */
  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** True once in so many times. */
  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)];
    if (picked === undefined) throw new RangeError("Cannot pick from nothing");
    return picked;
  }

  /** A random JSON value. */
  json(depth = 4): JsonValue {
    const kind = this.below(depth > 0 ? 7 : 5);
    if (kind === 0) return null;
    if (kind === 1) return this.oneIn(2);
    if (kind === 2) return this.pick(NUMBERS);
    if (kind <= 4) return this.pick(TEXTS);
    const length = this.below(4);
    const items = Array.from({ length }, () => this.json(depth - 1));
    if (kind === 5) return items;
    return Object.fromEntries(items.map((item) => [this.pick(KEYS), item]));
  }

  /** The text of random JSON, with own keys such as `__proto__`. */
  jsonText(): string {
    if (this.oneIn(12)) {
      const depth = 1 + this.below(20_000);
      const [open, close] = this.pick([["[", "]"], ['{"a":', "}"]] as const);
      return `${open.repeat(depth)}1${close.repeat(depth)}`;
    }
    return JSON.stringify(this.json());
  }

  /** A value with one part replaced or removed. */
  mutate(value: JsonValue): JsonValue {
    if (this.oneIn(4)) return this.json(2);
    if (Array.isArray(value)) {
      if (value.length === 0) return [this.json(1)];
      const at = this.below(value.length);
      return value.map((item, index) =>
        index === at ? this.mutate(item) : item
      );
    }
    if (typeof value !== "object" || value === null) return this.json(1);
    const entries = Object.entries(value);
    if (entries.length === 0) return { [this.pick(KEYS)]: this.json(1) };
    const at = this.below(entries.length);
    return Object.fromEntries(
      entries.flatMap(([key, item], index): [string, JsonValue][] => {
        if (index !== at) return [[key, item]];
        return this.oneIn(4) ? [] : [[key, this.mutate(item)]];
      }),
    );
  }

  /** Random bytes. */
  bytes(): Uint8Array<ArrayBuffer> {
    const length = this.below(200);
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** A random value of a header. */
  header(): string {
    const length = this.below(40);
    const codes = Array.from({ length }, () => 0x20 + this.below(0x5f));
    return String.fromCharCode(...codes);
  }
}
