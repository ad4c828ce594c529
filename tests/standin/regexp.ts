/**
 * Regular expressions of Python 3.6, translated to JavaScript. Errors are exact:
 * Decapod drops the whole filter if Python cannot compile a pattern.
 */

/** Compiles a pattern; throws a SyntaxError where Python raises an error. */
export function pythonRegExp(pattern: string): { test(text: string): boolean } {
  const { source, flags } = new Translation(pattern);
  const regexp = new RegExp(source, flags.includes("i") ? "vi" : "v");
  return { test: (text) => regexp.test(text) };
}

/** The minimum and maximum number of characters that a part matches. */
type Width = readonly [min: number, max: number];

/** An open group, or the whole pattern. */
interface Group {
  /** The flags before it. */
  readonly flags: string;
  /** The widths of the parts of each branch. */
  readonly branches: Width[][];
  /** The number of a capturing group. */
  readonly number?: number;
  readonly look?: "ahead" | "behind";
  /** The number of groups before it. */
  readonly groupsBefore: number;
  /** What starts the second branch of a condition. */
  readonly otherwise?: string;
}

/** The content of the classes `\w`, `\d` and `\s`. */
const UNICODE = { w: "\\p{L}\\p{N}_", d: "\\p{Nd}", s: "\\s\\x1c-\\x1f\\x85" };
const ASCII = { w: "a-zA-Z0-9_", d: "0-9", s: " \\t\\n\\r\\f\\v" };

const QUANTIFIERS: Record<string, string> = {
  "*": "{0,}",
  "+": "{1,}",
  "?": "{0,1}",
};

/** The smallest number of repetitions that is too large. */
const MAX_REPEAT = 2 ** 32 - 1;

/**
 * The translation of a pattern. It checks only what JavaScript would accept.
 * A reference to a group that took no part matches, unlike in Python.
 */
class Translation {
  source = "";
  /** The flags at the current position. */
  flags = "";
  #at = 0;
  /** The whole pattern and the open groups, the innermost last. */
  #open: Group[] = [];
  /** The widths of the groups; undefined while a group is open. */
  #widths: (Width | undefined)[] = [];
  readonly #names = new Map<string, number>();
  /** The groups that conditions refer to, including later ones. */
  #conditions: number[] = [];

  constructor(private readonly pattern: string) {
    this.#start("");
    while (this.#at < pattern.length) this.#next();
    if (this.#open.length > 1) this.#fail("missing )");
    if (this.#conditions.some((group) => group >= this.#widths.length)) {
      this.#fail("invalid group reference");
    }
    if (/L|a.*u|u.*a/.test(this.flags)) this.#fail("incompatible flags");
  }

  /** Starts, or starts again with flags for the whole pattern. */
  #start(flags: string): void {
    this.#at = 0;
    this.source = "";
    this.flags = flags;
    this.#open = [{ flags, branches: [[]], groupsBefore: 0 }];
    this.#widths = [[0, 0]];
    this.#names.clear();
    this.#conditions = [];
  }

  #has(flag: string): boolean {
    return this.flags.includes(flag);
  }

  get #group(): Group {
    return this.#open.at(-1) ?? this.#fail("unbalanced parenthesis");
  }

  #fail(why: string): never {
    throw new SyntaxError(`Cannot read the pattern: ${why} at ${this.#at}`);
  }

  /** Consumes what comes next if it has this form. */
  #take(form: RegExp): string | undefined {
    form.lastIndex = this.#at;
    const [text, ...captured] = form.exec(this.pattern) ?? [];
    this.#at += text?.length ?? 0;
    return captured.find((part) => part !== undefined) ?? text;
  }

  /** Adds a part, which can be repeated. */
  #add(source: string, width: Width = [1, 1]): void {
    this.source += source;
    this.#group.branches.at(-1)?.push(width);
  }

  #next(): void {
    if (this.#has("x") && this.#take(/[ \t\n\r\f\v]+|#[^\n]*/y)) return;
    const times = this.#take(/[*+?]|\{\d+\}|\{\d*,\d*\}/y);
    if (times !== undefined) return this.#repeat(times);
    const char = this.#take(/[^]/uy) ?? "";
    switch (char) {
      case "(":
        return this.#openGroup();
      case ")":
        return this.#closeGroup();
      case "|":
        return this.#branch();
      case "[":
        return this.#add(this.#class());
      case "\\":
        return this.#escape();
      case ".":
        return this.#add(this.#has("s") ? "[^]" : "[^\\n]");
      case "^":
        this.source += this.#has("m") ? "(?<![^\\n])" : "^";
        return;
      case "$":
        this.source += this.#has("m") ? "(?![^\\n])" : "(?=\\n?$)";
        return;
      default:
        return this.#add(literal(char));
    }
  }

  #repeat(times: string): void {
    const [min = 0, width = 0] = this.#group.branches.at(-1)?.pop() ?? [];
    const range = QUANTIFIERS[times] ?? times.replace("{,", "{0,");
    const [low = "", high = low] = range.slice(1, -1).split(",");
    const most = high === "" ? Infinity : Number(high);
    if (Number(low) >= MAX_REPEAT || Number(high) >= MAX_REPEAT) {
      this.#fail("the repetition number is too large");
    }
    const max = width === 0 || most === 0 ? 0 : width * most;
    this.#add(range + (this.#take(/\?/y) ?? ""), [min * Number(low), max]);
  }

  #escape(): void {
    const word = `[${this.#has("a") ? ASCII.w : UNICODE.w}]`;
    const edge = `(?<=${word})(?!${word})|(?<!${word})(?=${word})`;
    const anchors: Record<string, string> = {
      ...{ A: "^", Z: "$", b: `(?=${edge})`, B: `(?!${edge})` },
    };
    const anchor = anchors[this.#take(/[AZbB]/y) ?? ""];
    if (anchor !== undefined) {
      this.source += anchor;
      return;
    }
    const octal = this.#take(/0[0-7]{0,2}|[1-7][0-7]{2}/y);
    if (octal !== undefined) return this.#add(this.#octal(octal));
    const group = this.#take(/[1-9]\d?/y);
    if (group !== undefined) return this.#refer(Number(group));
    this.#add(this.#escaped());
  }

  #octal(digits: string): string {
    const code = parseInt(digits, 8);
    if (code > 0o377) this.#fail("octal out of range");
    return literal(String.fromCodePoint(code));
  }

  /** A character or class after a backslash. */
  #escaped(): string {
    const kind = this.#take(/[wWdDsS]/y);
    if (kind !== undefined) {
      const { w, d, s } = this.#has("a") ? ASCII : UNICODE;
      const content = /w/i.test(kind) ? w : /d/i.test(kind) ? d : s;
      return /[a-z]/.test(kind) ? `[${content}]` : `[^${content}]`;
    }
    const hex = this.#take(
      /x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})/y,
    );
    if (hex !== undefined) return `\\u{${hex}}`;
    const char = this.#take(/[afnrtv]|[^a-zA-Z]/uy) ?? this.#fail("bad escape");
    if (char === "a") return "\\x07";
    return /[fnrtv]/.test(char) ? `\\${char}` : literal(char);
  }

  #class(): string {
    let source = this.#take(/\^/y) ? "[^" : "[";
    // A bracket in first place is a literal.
    do {
      source += this.#classItem();
      if (this.#take(/-(?=\])/y)) source += "\\-";
      else if (this.#take(/-/y)) source += `-${this.#classItem()}`;
    } while (!this.#take(/\]/y));
    return `${source}]`;
  }

  #classItem(): string {
    const char = this.#take(/[^]/uy) ?? this.#fail("unterminated class");
    if (char !== "\\") return literal(char);
    if (this.#take(/b/y)) return "\\x08";
    const octal = this.#take(/[0-7]{1,3}/y);
    if (octal !== undefined) return this.#octal(octal);
    return this.#take(/[89]/y) ? this.#fail("bad escape") : this.#escaped();
  }

  #refer(group: number): void {
    const width = this.#widths[group] ?? this.#fail("unknown or open group");
    this.#checkLookbehind(group);
    this.#add(`\\k<g${group}>`, width);
  }

  /** A lookbehind can only refer to groups that have ended before it. */
  #checkLookbehind(group: number): void {
    const outer = this.#open.find(({ look }) => look === "behind");
    if (outer === undefined) return;
    if (!this.#widths[group] || group >= outer.groupsBefore) {
      this.#fail("group of the same lookbehind");
    }
  }

  #begin(source: string, group: Partial<Group> = {}, flags = this.flags): void {
    this.source += source;
    const groupsBefore = this.#widths.length;
    this.#open.push({
      ...{ flags: this.flags, branches: [[]], groupsBefore },
      ...group,
    });
    this.flags = flags;
  }

  #openGroup(): void {
    if (!this.#take(/\?/y)) return this.#capture();
    if (this.#take(/#[^)]*\)/y)) return;
    const look = this.#take(/<?[=!]/y);
    if (look !== undefined) {
      // Python can repeat it.
      const behind = look.startsWith("<");
      return this.#begin(`(?:(?${look}`, { look: behind ? "behind" : "ahead" });
    }
    if (this.#take(/P</y)) {
      const name = this.#name(/([^>]*)>/y);
      if (this.#names.has(name)) this.#fail("redefinition of a group name");
      this.#names.set(name, this.#widths.length);
      return this.#capture();
    }
    if (this.#take(/P=/y)) {
      const group = this.#names.get(this.#name(/([^)]*)\)/y));
      return this.#refer(group ?? this.#fail("unknown group name"));
    }
    if (this.#take(/\(/y)) return this.#condition();
    const on = this.#take(/[a-zA-Z]+/y) ?? "";
    if (on !== "" && this.#take(/\)/y)) return this.#setFlags(on);
    const off = this.#take(/-([a-zA-Z]+)/y) ?? "";
    if (!this.#take(/:/y)) this.#fail("unknown extension");
    if (
      /[^imsx]/.test(on + off) || [...on].some((flag) => off.includes(flag))
    ) {
      this.#fail("unusable flags");
    }
    const flags = (this.flags + on).replaceAll(new RegExp(`[${off}]`, "g"), "");
    this.#begin(flags.includes("i") ? "(?i:" : "(?-i:", {}, flags);
  }

  #name(form: RegExp): string {
    const name = this.#take(form) ?? "";
    return /^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(name)
      ? name
      : this.#fail("bad group name");
  }

  /** The group `r1` is the rest of the text where the group 1 starts. */
  #capture(): void {
    const number = this.#widths.push(undefined) - 1;
    this.#begin(`(?<g${number}>(?=(?<r${number}>[^]*))`, { number });
  }

  /** In JavaScript, a reference to a group that is not set matches. */
  #condition(): void {
    const name = this.#take(/([^)]*)\)/y) ?? "";
    const group = this.#names.get(name) ??
      (/^\d+$/.test(name) ? Number(name) : this.#fail("unknown group name"));
    if (group === 0) this.#fail("bad group number");
    this.#checkLookbehind(group);
    this.#conditions.push(group);
    const rest = `\\k<r${group}>`;
    this.#begin(`(?:(?!${rest})`, { otherwise: `|(?=${rest})` });
  }

  /** Flags for the whole pattern, which has to be read again with them. */
  #setFlags(flags: string): void {
    if (/[^iLmsxatu]/.test(flags)) this.#fail("unknown flag");
    const [{ flags: known } = this.#group] = this.#open;
    const fresh = [...flags].filter((flag) => !known.includes(flag));
    if (fresh.length > 0) this.#start(known + fresh.join(""));
  }

  #branch(): void {
    const { branches, otherwise } = this.#group;
    if (otherwise !== undefined && branches.length === 2) {
      this.#fail("a third branch");
    }
    this.source += otherwise ?? "|";
    branches.push([]);
  }

  #closeGroup(): void {
    if (this.#open.length === 1) this.#fail("unbalanced parenthesis");
    const { otherwise, branches, flags, look, number } = this.#group;
    if (otherwise !== undefined && branches.length === 1) this.#branch();
    this.#open.pop();
    this.flags = flags;
    const widths = branches.map((parts): Width => [
      parts.reduce((sum, [min]) => sum + min, 0),
      parts.reduce((sum, [, max]) => sum + max, 0),
    ]);
    const width: Width = [
      Math.min(...widths.map(([min]) => min)),
      Math.max(...widths.map(([, max]) => max)),
    ];
    if (number !== undefined) this.#widths[number] = width;
    if (look === "behind" && width[0] !== width[1]) {
      this.#fail("look-behind requires fixed-width pattern");
    }
    this.#add(look ? "))" : ")", look ? [0, 0] : width);
  }
}

/** A character that stands for itself, in a class too. */
function literal(char: string): string {
  return `\\u{${char.codePointAt(0)?.toString(16)}}`;
}
