/** Parts of regular expressions that match by backtracking. */

/** The state of a search: the text, and what the groups have matched. */
export interface Search {
  readonly text: readonly string[];
  readonly groups: (readonly [start: number, end: number] | undefined)[];
}

/** Whether the rest of the expression matches at this position. */
type Next = (at: number) => boolean;

/** Whether a character matches. */
export type CharTest = (char: string) => boolean;

/** A part of an expression. */
export interface Part {
  readonly match: (search: Search, at: number, next: Next) => boolean;
  /** The minimum and maximum number of characters it consumes. */
  readonly width: readonly [min: number, max: number];
  /** The test, for a single character. */
  readonly test?: CharTest;
  /** Set if the part cannot be repeated. */
  readonly kind?: "anchor" | "repeat";
}

/** One character. */
export function character(test: CharTest): Part {
  return {
    match: ({ text }, at, next) => {
      const char = text[at];
      return char !== undefined && test(char) && next(at + 1);
    },
    width: [1, 1],
    test,
  };
}

/** Parts, one after another. */
export function sequence(parts: readonly Part[]): Part {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  return parts.reduceRight<Part>(({ match, width }, part) => ({
    match: (search, at, next) =>
      part.match(search, at, (end) => match(search, end, next)),
    width: [part.width[0] + width[0], part.width[1] + width[1]],
  }), { match: (_search, at, next) => next(at), width: [0, 0] });
}

/** Alternatives, tried in order. */
export function either(parts: readonly Part[]): Part {
  return {
    match: (search, at, next) =>
      parts.some((part) => part.match(search, at, next)),
    width: [
      Math.min(...parts.map(({ width }) => width[0])),
      Math.max(...parts.map(({ width }) => width[1])),
    ],
  };
}

/** A repeated part. */
export function repeat(
  part: Part,
  min: number,
  max: number,
  lazy: boolean,
): Part {
  const width = [
    part.width[0] * min,
    max === 0 ? 0 : part.width[1] && part.width[1] * max,
  ] as const;
  const { test } = part;
  const match: Part["match"] = test === undefined
    ? (search, at, next) => {
      const from = (count: number, at: number): boolean => {
        const stop = () => count >= min && next(at);
        const more = () =>
          count < max && part.match(search, at, (end) =>
            // A round that consumes nothing would repeat forever.
            (end > at || count < min) && from(count + 1, end));
        return lazy ? stop() || more() : more() || stop();
      };
      return from(0, at);
    }
    : ({ text }, at, next) => {
      let count = 0;
      const fits = () => {
        const char = text[at + count];
        return count < max && char !== undefined && test(char);
      };
      if (lazy) {
        for (; count < min; count++) if (!fits()) return false;
        for (;; count++) {
          if (next(at + count)) return true;
          if (!fits()) return false;
        }
      }
      while (fits()) count++;
      for (; count >= min; count--) if (next(at + count)) return true;
      return false;
    };
  return { match, width, kind: "repeat" };
}

/** A capturing group. */
export function capture(part: Part, group: number): Part {
  return {
    match: (search, at, next) =>
      part.match(search, at, (end) => {
        const before = search.groups[group];
        search.groups[group] = [at, end];
        if (next(end)) return true;
        search.groups[group] = before;
        return false;
      }),
    width: part.width,
  };
}

/** A reference to what a group has matched. */
export function backReference(
  group: number,
  width: Part["width"],
  same: (a: string, b: string) => boolean,
): Part {
  return {
    match: ({ text, groups }, at, next) => {
      const found = groups[group];
      if (found === undefined) return false;
      const [start, end] = found;
      for (let i = start; i < end; i++) {
        const char = text[at + i - start];
        if (char === undefined || !same(text[i] ?? "", char)) return false;
      }
      return next(at + end - start);
    },
    width,
  };
}

/** A condition: the first part if a group has matched, else the second. */
export function conditional(group: number, yes: Part, no: Part): Part {
  return {
    match: (search, at, next) =>
      (search.groups[group] === undefined ? no : yes).match(search, at, next),
    width: either([yes, no]).width,
  };
}

/** A lookahead or lookbehind. */
export function look(part: Part, behind: boolean, negative: boolean): Part {
  return {
    match: (search, at, next) => {
      const start = behind ? at - part.width[0] : at;
      const before = [...search.groups];
      const found = start >= 0 &&
        part.match(search, start, (end) => !behind || end === at);
      if (found !== negative && next(at)) return true;
      search.groups.splice(0, Infinity, ...before);
      return false;
    },
    width: [0, 0],
  };
}

/** A position in the text, such as its start. */
export function anchor(
  test: (text: readonly string[], at: number) => boolean,
): Part {
  return {
    match: ({ text }, at, next) => test(text, at) && next(at),
    width: [0, 0],
    kind: "anchor",
  };
}
