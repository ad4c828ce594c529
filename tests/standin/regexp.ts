/**
 * Regular expressions of Python 3.6, which filters and schemas use. Errors are
 * exact: Decapod drops the whole filter if Python cannot compile a pattern.
 */
import {
  anchor,
  backReference,
  capture,
  character,
  type CharTest,
  conditional,
  either,
  look,
  type Part,
  repeat,
  sequence,
} from "./matcher.ts";

/** A compiled pattern. */
export interface Pattern {
  /** Whether the pattern matches somewhere in the text. */
  test(text: string): boolean;
}

/** Compiles a pattern; throws a SyntaxError where Python raises an error. */
export function pythonRegExp(pattern: string): Pattern {
  let flags = "";
  for (;;) {
    try {
      const { match } = new Parser(pattern, flags).parse();
      return {
        test(string) {
          const text = [...string];
          for (let start = 0; start <= text.length; start++) {
            if (match({ text, groups: [] }, start, () => true)) return true;
          }
          return false;
        },
      };
    } catch (error) {
      if (!(error instanceof FlagsFound)) throw error;
      flags += error.flags;
    }
  }
}

/** Flags for the whole pattern, which has to be parsed again with them. */
class FlagsFound extends Error {
  readonly flags: string;

  constructor(flags: string) {
    super();
    this.flags = flags;
  }
}

/** In Python, the separators among control characters are whitespace. */
const SPACE = new RegExp(String.raw`[\s\x1c-\x1f\x85]`);

const KINDS: Record<string, (ascii: boolean) => RegExp> = {
  w: (ascii) => ascii ? /[a-zA-Z0-9_]/ : /[\p{L}\p{N}_]/u,
  d: (ascii) => ascii ? /[0-9]/ : /\p{Nd}/u,
  s: (ascii) => ascii ? /[ \t\n\r\f\v]/ : SPACE,
};

const CONTROLS: Record<string, string> = {
  a: "\x07",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

const HEX_DIGITS: Record<string, RegExp> = {
  x: /[\da-fA-F]{2}/y,
  u: /[\da-fA-F]{4}/y,
  U: /[\da-fA-F]{8}/y,
};

const FLAGS = "iLmsxatu";

/** Flags that cannot be set for a part of a pattern. */
const GLOBAL_FLAGS = /[aLtu]/;

const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u;

/** The smallest number of repetitions that is too large. */
const MAX_REPEAT = 2 ** 32 - 1;

class Parser {
  readonly #pattern: string;
  /** The flags for the whole pattern. */
  readonly #globalFlags: string;
  /** The flags at the current position. */
  #flags: string;
  #at = 0;
  /** The widths of the groups; undefined while a group is open. */
  readonly #groups: (Part["width"] | undefined)[] = [[0, 0]];
  readonly #names = new Map<string, number>();
  /** The groups that conditions refer to, including later ones. */
  readonly #conditions: number[] = [];
  /** The number of groups before the outermost lookbehind. */
  #lookbehindGroups: number | undefined;

  constructor(pattern: string, flags: string) {
    this.#pattern = pattern;
    this.#globalFlags = flags;
    this.#flags = flags;
  }

  parse(): Part {
    const part = this.#alternatives();
    if (this.#at < this.#pattern.length) this.#fail("unbalanced parenthesis");
    if (this.#conditions.some((group) => group >= this.#groups.length)) {
      this.#fail("invalid group reference");
    }
    if (this.#has("L")) this.#fail("flag L is for bytes");
    if (this.#has("a") && this.#has("u")) this.#fail("flags a and u");
    return part;
  }

  #has(flag: string): boolean {
    return this.#flags.includes(flag);
  }

  #fail(why: string): never {
    throw new SyntaxError(`Cannot read the pattern: ${why} at ${this.#at}`);
  }

  /** Consumes this text if it comes next. */
  #take(text: string): boolean {
    if (!this.#pattern.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #takeMatch(form: RegExp): string | undefined {
    form.lastIndex = this.#at;
    const [text] = form.exec(this.#pattern) ?? [];
    this.#at += text?.length ?? 0;
    return text;
  }

  /** Consumes the next character. */
  #char(missing: string): string {
    return this.#takeMatch(/[^]/uy) ?? this.#fail(missing);
  }

  #until(end: string): string {
    const index = this.#pattern.indexOf(end, this.#at);
    if (index < 0) this.#fail(`missing ${end}`);
    const text = this.#pattern.slice(this.#at, index);
    this.#at = index + end.length;
    return text;
  }

  #alternatives(): Part {
    const parts = [this.#sequence()];
    while (this.#take("|")) parts.push(this.#sequence());
    const [only] = parts;
    return parts.length === 1 && only ? only : either(parts);
  }

  #sequence(): Part {
    const parts: Part[] = [];
    for (;;) {
      const next = this.#pattern[this.#at];
      if (next === undefined || next === "|" || next === ")") break;
      if (this.#has("x") && this.#takeMatch(/[ \t\n\r\f\v]+|#[^\n]*/y)) {
        continue;
      }
      const times = this.#times();
      if (times === undefined) {
        const part = this.#part();
        if (part !== undefined) parts.push(part);
        continue;
      }
      const part = parts.pop();
      if (part === undefined || part.kind === "anchor") {
        this.#fail("nothing to repeat");
      }
      if (part.kind === "repeat") this.#fail("multiple repeat");
      parts.push(repeat(part, ...times, this.#take("?")));
    }
    return sequence(parts);
  }

  #times(): [min: number, max: number] | undefined {
    const text = this.#takeMatch(/[*+?]|\{\d+\}|\{\d*,\d*\}/y);
    if (text === undefined) return undefined;
    if (this.#has("t")) this.#fail("a template has no repetitions");
    if (text === "*") return [0, Infinity];
    if (text === "+") return [1, Infinity];
    if (text === "?") return [0, 1];
    const [low = "", high = low] = text.slice(1, -1).split(",");
    const min = Number(low);
    const max = high === "" ? Infinity : Number(high);
    if ([min, Number(high)].some((number) => number >= MAX_REPEAT)) {
      this.#fail("the repetition number is too large");
    }
    if (max < min) this.#fail("min repeat greater than max repeat");
    return [min, max];
  }

  /** One part; undefined for a comment or flags. */
  #part(): Part | undefined {
    const char = this.#char("nothing");
    switch (char) {
      case "\\":
        return this.#escape();
      case "[":
        return this.#class();
      case "(":
        return this.#group();
      case ".":
        return character(this.#has("s") ? () => true : (c) => c !== "\n");
      case "^":
        return this.#has("m")
          ? anchor((text, at) => at === 0 || text[at - 1] === "\n")
          : anchor((_text, at) => at === 0);
      case "$":
        return this.#has("m")
          ? anchor((text, at) => at === text.length || text[at] === "\n")
          : anchor((text, at) =>
            at === text.length ||
            (at === text.length - 1 && text[at] === "\n")
          );
      default:
        return this.#literal(char);
    }
  }

  #literal(char: string): Part {
    return character(this.#inAnyCase((other) => other === char));
  }

  /** The test; with the flag `i`, it ignores case. */
  #inAnyCase(test: CharTest): CharTest {
    if (!this.#has("i")) return test;
    return (char) =>
      test(char) || test(char.toLowerCase()) || test(char.toUpperCase());
  }

  #escape(): Part {
    const digits = this.#takeMatch(/0[0-7]{0,2}|[1-9]\d?/y);
    if (digits !== undefined) return this.#number(digits);
    const char = this.#char("bad escape");
    const kind = this.#kind(char);
    if (kind) return character(kind);
    const word = this.#kind("w") ?? (() => false);
    const isWord = (char: string | undefined) =>
      char !== undefined && word(char);
    const atEdge = (text: readonly string[], at: number) =>
      isWord(text[at - 1]) !== isWord(text[at]);
    switch (char) {
      case "A":
        return anchor((_text, at) => at === 0);
      case "Z":
        return anchor((text, at) => at === text.length);
      case "b":
        return anchor(atEdge);
      case "B":
        return anchor((text, at) => !atEdge(text, at));
      default:
        return this.#literal(this.#escaped(char));
    }
  }

  /** The test for `\w`, `\d`, `\s` or their complements. */
  #kind(char: string): CharTest | undefined {
    const make = KINDS[char.toLowerCase()];
    if (make === undefined) return undefined;
    const form = make(this.#has("a"));
    return char === char.toLowerCase()
      ? (other) => form.test(other)
      : (other) => !form.test(other);
  }

  /** `\1`, `\12`, `\012`, `\123`: a back reference or an octal character. */
  #number(digits: string): Part {
    if (digits.startsWith("0")) return this.#literal(octal(digits));
    const third = /^[0-7]{2}$/.test(digits) && this.#takeMatch(/[0-7]/y);
    if (third) {
      if (parseInt(digits + third, 8) > 0o377) this.#fail("octal out of range");
      return this.#literal(octal(digits + third));
    }
    return this.#reference(Number(digits));
  }

  #reference(group: number): Part {
    const width = this.#groups[group];
    if (width === undefined) this.#fail("unknown or open group");
    this.#checkLookbehind(group);
    const ignoreCase = this.#has("i");
    return backReference(
      group,
      width,
      (a, b) => a === b || (ignoreCase && a.toLowerCase() === b.toLowerCase()),
    );
  }

  /** A lookbehind can only refer to groups before it. */
  #checkLookbehind(group: number): void {
    if (this.#lookbehindGroups === undefined) return;
    if (
      this.#groups[group] === undefined || group >= this.#lookbehindGroups
    ) this.#fail("group of the same lookbehind");
  }

  /** The character that an escape stands for. */
  #escaped(char: string): string {
    if (CONTROLS[char] !== undefined) return CONTROLS[char];
    const form = HEX_DIGITS[char];
    if (form !== undefined) {
      const code = parseInt(this.#takeMatch(form) ?? "", 16);
      if (!(code <= 0x10ffff)) this.#fail(`bad escape \\${char}`);
      return String.fromCodePoint(code);
    }
    if (/[a-zA-Z]/.test(char)) this.#fail(`bad escape \\${char}`);
    return char;
  }

  #class(): Part {
    const negative = this.#take("^");
    const tests: CharTest[] = [];
    for (let first = true;; first = false) {
      // A bracket in first place is a literal.
      if (!first && this.#take("]")) break;
      const low = this.#classItem();
      if (!this.#take("-")) {
        tests.push(testFor(low));
        continue;
      }
      if (this.#take("]")) {
        tests.push(testFor(low), (char) => char === "-");
        break;
      }
      const high = this.#classItem();
      if (typeof low !== "string" || typeof high !== "string") {
        this.#fail("bad character range");
      }
      const [from, to] = [codePoint(low), codePoint(high)];
      if (from > to) this.#fail("bad character range");
      tests.push((char) => codePoint(char) >= from && codePoint(char) <= to);
    }
    const test = this.#inAnyCase((char) => tests.some((test) => test(char)));
    return character(negative ? (char) => !test(char) : test);
  }

  #classItem(): string | CharTest {
    const char = this.#char("unterminated character set");
    if (char !== "\\") return char;
    const digits = this.#takeMatch(/[0-7]{1,3}/y);
    if (digits !== undefined) {
      if (parseInt(digits, 8) > 0o377) this.#fail("octal out of range");
      return octal(digits);
    }
    const escaped = this.#char("bad escape");
    if (/[89]/.test(escaped)) this.#fail("bad escape");
    if (escaped === "b") return "\b";
    return this.#kind(escaped) ?? this.#escaped(escaped);
  }

  #group(): Part | undefined {
    if (!this.#take("?")) return this.#captured();
    const char = this.#char("unexpected end of pattern");
    switch (char) {
      case "P":
        return this.#named();
      case ":":
        return this.#closed(() => this.#alternatives());
      case "#":
        this.#until(")");
        return undefined;
      case "=":
      case "!":
        return this.#look(false, char);
      case "<": {
        const kind = this.#char("unexpected end of pattern");
        if (kind !== "=" && kind !== "!") this.#fail("unknown extension ?<");
        return this.#look(true, kind);
      }
      case "(":
        return this.#condition();
      default:
        return this.#flagged(char);
    }
  }

  /** The content of parentheses up to the closing one. */
  #closed(content: () => Part): Part {
    const { match, width } = content();
    if (!this.#take(")")) this.#fail("missing )");
    // A group can be repeated, whatever it contains.
    return { match, width };
  }

  #captured(name?: string): Part {
    const group = this.#groups.push(undefined) - 1;
    if (name !== undefined) this.#names.set(name, group);
    const part = this.#closed(() => this.#alternatives());
    this.#groups[group] = part.width;
    return capture(part, group);
  }

  #named(): Part {
    const isReference = this.#take("=");
    if (!isReference && !this.#take("<")) this.#fail("unknown extension ?P");
    const name = this.#until(isReference ? ")" : ">");
    if (!IDENTIFIER.test(name)) this.#fail("bad group name");
    const known = this.#names.get(name);
    if (isReference) {
      return this.#reference(known ?? this.#fail("unknown group name"));
    }
    if (known !== undefined) this.#fail("redefinition of a group name");
    return this.#captured(name);
  }

  #look(behind: boolean, kind: "=" | "!"): Part {
    const outer = this.#lookbehindGroups;
    if (behind) this.#lookbehindGroups ??= this.#groups.length;
    const part = this.#closed(() => this.#alternatives());
    this.#lookbehindGroups = outer;
    if (behind && part.width[0] !== part.width[1]) {
      this.#fail("look-behind requires fixed-width pattern");
    }
    return look(part, behind, kind === "!");
  }

  #condition(): Part {
    const name = this.#until(")");
    const group = this.#names.get(name) ??
      (/^\d+$/.test(name) ? Number(name) : this.#fail("unknown group name"));
    if (group === 0) this.#fail("bad group number");
    this.#checkLookbehind(group);
    this.#conditions.push(group);
    return this.#closed(() => {
      const yes = this.#sequence();
      const no = this.#take("|") ? this.#sequence() : sequence([]);
      return conditional(group, yes, no);
    });
  }

  /** Flags: `(?i)` for the whole pattern, `(?i-m:…)` for a part of it. */
  #flagged(first: string): Part | undefined {
    this.#at -= first.length;
    const on = this.#takeMatch(/[a-zA-Z]+/y) ?? "";
    if (on !== "" && this.#take(")")) {
      this.#checkFlags(on);
      const fresh = [...on].filter((flag) => !this.#globalFlags.includes(flag));
      if (fresh.length > 0) throw new FlagsFound(fresh.join(""));
      return undefined;
    }
    const off = this.#take("-")
      ? this.#takeMatch(/[a-zA-Z]+/y) ?? this.#fail("missing flag")
      : "";
    if (on + off === "" || !this.#take(":")) this.#fail("unknown extension");
    this.#checkFlags(on + off);
    if (GLOBAL_FLAGS.test(on + off)) this.#fail("a flag for the whole pattern");
    if ([...on].some((flag) => off.includes(flag))) {
      this.#fail("flag turned on and off");
    }
    const outer = this.#flags;
    this.#flags = [...outer + on].filter((flag) => !off.includes(flag)).join(
      "",
    );
    const part = this.#closed(() => this.#alternatives());
    this.#flags = outer;
    return part;
  }

  #checkFlags(flags: string): void {
    if ([...flags].some((flag) => !FLAGS.includes(flag))) {
      this.#fail("unknown flag");
    }
  }
}

function testFor(item: string | CharTest): CharTest {
  return typeof item === "string" ? (char) => char === item : item;
}

function codePoint(char: string): number {
  return char.codePointAt(0) ?? 0;
}

function octal(digits: string): string {
  return String.fromCodePoint(parseInt(digits, 8));
}
